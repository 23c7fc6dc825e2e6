use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use kinora_media::PacketIndex;
use serde_json::{Map, Value as Json, json};

use crate::EngineError;

/// Inputs above this are known by their ends and their packets instead of every byte.
const WHOLE_BYTES: u64 = 4 << 30;
/// Bytes of either end.
const END_BYTES: u64 = 8 << 20;

/// Everything that can change a pixel or a time of an output, and the hash of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    parts: Json,
}

impl Identity {
    /// From its parts, an object.
    #[must_use]
    pub fn new(parts: Json) -> Self {
        Self { parts: sorted(parts) }
    }

    /// The parts in clear.
    #[must_use]
    pub fn parts(&self) -> &Json {
        &self.parts
    }

    /// BLAKE3 of the parts in their one form: keys sorted, no spaces.
    #[must_use]
    pub fn hash(&self) -> String {
        blake3::hash(self.parts.to_string().as_bytes()).to_hex().to_string()
    }

    /// The keys whose values differ from `other`'s, with both values as text: ours, then the other's.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<(String, String, String)> {
        let (mut ours, mut theirs) = (Map::new(), Map::new());
        flatten("", &self.parts, &mut ours);
        flatten("", &other.parts, &mut theirs);
        let mut keys: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
        keys.sort();
        keys.dedup();
        let text = |value: Option<&Json>| match value {
            None => "none".to_owned(),
            Some(Json::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        keys.into_iter()
            .filter(|key| ours.get(*key) != theirs.get(*key))
            .map(|key| (key.clone(), text(ours.get(key)), text(theirs.get(key))))
            .collect()
    }
}

fn sorted(value: Json) -> Json {
    match value {
        Json::Object(fields) => {
            let mut fields: Vec<(String, Json)> = fields.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(fields.into_iter().collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn flatten(path: &str, value: &Json, into: &mut Map<String, Json>) {
    let below = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match value {
        Json::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                flatten(&below(key), value, into);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for (at, value) in items.iter().enumerate() {
                flatten(&below(&at.to_string()), value, into);
            }
        }
        value => {
            into.insert(path.to_owned(), value.clone());
        }
    }
}

/// What a source's bytes are: BLAKE3 of all of them, or for a large one its size, the hash of its two ends, and that of
/// the times of all its packets.
///
/// # Errors
/// [`EngineError::JobIo`] for a file that cannot be read.
pub fn content_hash(path: &Path, index: &PacketIndex) -> Result<Json, EngineError> {
    content_hash_with(path, index, WHOLE_BYTES)
}

fn content_hash_with(path: &Path, index: &PacketIndex, whole: u64) -> Result<Json, EngineError> {
    let fault = |source| EngineError::job_io("reading", path, source);
    let mut file = File::open(path).map_err(fault)?;
    let bytes = file.metadata().map_err(fault)?.len();
    let mut hasher = blake3::Hasher::new();
    if bytes <= whole {
        hasher.update_reader(&mut file).map_err(fault)?;
        return Ok(json!({"bytes": bytes, "blake3": hasher.finalize().to_hex().to_string()}));
    }
    hasher.update_reader((&mut file).take(END_BYTES)).map_err(fault)?;
    file.seek(SeekFrom::Start(bytes.saturating_sub(END_BYTES)))
        .map_err(fault)?;
    hasher.update_reader(&mut file).map_err(fault)?;
    let mut packets = blake3::Hasher::new();
    for time in index.times() {
        packets.update(&time.ticks.to_le_bytes());
    }
    Ok(json!({
        "bytes": bytes,
        "blake3_of_ends": hasher.finalize().to_hex().to_string(),
        "blake3_of_times": packets.finalize().to_hex().to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_is_no_difference_and_every_other_one_is_named() {
        let a = Identity::new(json!({"b": {"x": 1, "y": [1, 2]}, "a": "s"}));
        let same = Identity::new(json!({"a": "s", "b": {"y": [1, 2], "x": 1}}));
        assert_eq!(a.hash(), same.hash());
        assert_eq!(a.differences(&same), []);
        let other = Identity::new(json!({"a": "t", "b": {"y": [1, 3], "z": null}}));
        assert_ne!(a.hash(), other.hash());
        let named: Vec<String> = a
            .differences(&other)
            .into_iter()
            .map(|(key, ours, theirs)| format!("{key}: {ours} -> {theirs}"))
            .collect();
        assert_eq!(
            named,
            ["a: s -> t", "b.x: 1 -> none", "b.y.1: 2 -> 3", "b.z: none -> null"]
        );
    }

    #[test]
    fn a_large_file_is_known_by_its_ends_and_its_times() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film");
        let mut bytes = vec![7u8; (2 * END_BYTES + 100) as usize];
        let hash = |bytes: &[u8], frames: u64| {
            std::fs::write(&path, bytes).unwrap();
            let index = {
                let times: Vec<_> = (0..frames as i64)
                    .map(|tick| kinora_frame::Timestamp::new(tick, kinora_frame::Rational::ONE))
                    .collect();
                PacketIndex::of_times(&times)
            };
            content_hash_with(&path, &index, 1000).unwrap()
        };
        let first = hash(&bytes, 5);
        assert_ne!(first, hash(&bytes, 6), "another number of packets");
        bytes[3] = 8;
        assert_ne!(first, hash(&bytes, 5), "another beginning");
        bytes[3] = 7;
        *bytes.last_mut().unwrap() = 8;
        assert_ne!(first, hash(&bytes, 5), "another end");
        bytes.push(8);
        assert_ne!(first, hash(&bytes, 5), "another length");
    }
}
