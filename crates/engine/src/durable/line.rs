//! Lines of a manifest: JSON objects, each with a checksum of itself at its end.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of `,"c":"0123456789abcdef"}`.
const TAIL: usize = 24;

/// A record as a line, its end included.
pub(crate) fn write<T: Serialize>(record: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut object = serde_json::Map::new();
    object.insert("v".to_owned(), 1.into());
    if let Json::Object(fields) = serde_json::to_value(record)? {
        object.extend(fields);
    }
    let text = serde_json::to_string(&object)?;
    let sum = xxh3_64(text.as_bytes());
    let open = text.strip_suffix('}').unwrap_or(&text);
    Ok(format!("{open},\"c\":\"{sum:016x}\"}}\n").into_bytes())
}

/// A record of a line without its end; `None` for a line that is torn, changed or of another kind.
pub(crate) fn read<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(line).ok()?;
    let (open, tail) = text.split_at_checked(text.len().checked_sub(TAIL)?)?;
    let sum = tail.strip_prefix(",\"c\":\"")?.strip_suffix("\"}")?;
    let whole = format!("{open}}}");
    let sum = u64::from_str_radix(sum, 16).ok()?;
    // A fuzzer cannot make sums, so to it every one is right.
    if !cfg!(fuzzing) && sum != xxh3_64(whole.as_bytes()) {
        return None;
    }
    serde_json::from_str(&whole).ok()
}

/// What a manifest file holds.
pub(crate) struct Lines<T> {
    pub(crate) records: Vec<T>,
    /// Bytes of the lines that are whole; what follows is a torn last line.
    pub(crate) whole: u64,
    /// Number of a bad line that others follow, from 1: not torn but damaged.
    pub(crate) damaged: Option<usize>,
}

pub(crate) fn read_all<T: DeserializeOwned>(bytes: &[u8]) -> Lines<T> {
    let mut lines = Lines {
        records: Vec::new(),
        whole: 0,
        damaged: None,
    };
    let mut at = 0usize;
    let mut bad: Option<usize> = None;
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        at += line.len();
        let record = line.strip_suffix(b"\n").and_then(read);
        match (record, bad) {
            (Some(record), None) => {
                lines.records.push(record);
                lines.whole = at as u64;
            }
            (None, None) => bad = Some(number + 1),
            (_, Some(first)) => lines.damaged = Some(first),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Thing {
        name: String,
        count: u64,
    }

    fn thing(count: u64) -> Thing {
        Thing {
            name: "a \"quoted\" näme\n".to_owned(),
            count,
        }
    }

    #[test]
    fn every_cut_of_a_manifest_loses_its_last_line_alone() {
        let lines: Vec<Vec<u8>> = (0..3).map(|count| write(&thing(count)).unwrap()).collect();
        let all = lines.concat();
        let two = lines[0].len() + lines[1].len();
        for cut in two..all.len() {
            let found = read_all::<Thing>(&all[..cut]);
            assert_eq!(found.records, [thing(0), thing(1)], "cut at {cut}");
            assert_eq!((found.whole, found.damaged), (two as u64, None));
        }
        let found = read_all::<Thing>(&all);
        assert_eq!((found.records.len(), found.whole), (3, all.len() as u64));
    }

    #[test]
    fn a_number_is_read_to_its_last_bit() {
        // One that a reader which is only nearly exact gets wrong.
        for number in [1.922_337_203_685_477_6_f64, 0.1, f64::MIN_POSITIVE, f64::MAX] {
            let line = write(&serde_json::json!({"strength": number})).unwrap();
            let found: Json = read(line.strip_suffix(b"\n").unwrap()).unwrap();
            assert_eq!(found["strength"].as_f64(), Some(number));
        }
    }

    #[test]
    fn a_flipped_bit_is_seen_and_is_damage_where_lines_follow() {
        let lines: Vec<Vec<u8>> = (0..3).map(|count| write(&thing(count)).unwrap()).collect();
        for at in 0..lines[1].len() - 1 {
            let mut all = lines.concat();
            all[lines[0].len() + at] ^= 1;
            let found = read_all::<Thing>(&all);
            assert!(found.damaged.is_some(), "byte {at} of the second line");
            assert_eq!(found.records.len(), 1);
        }
    }
}
