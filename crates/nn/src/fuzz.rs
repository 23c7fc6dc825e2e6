//! What must hold for any input: the bodies of the fuzz targets of `fuzz/`, built for them and for tests only.
// A panic is how a target tells of a fault.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use crate::{WeightCache, WeightFile, WeightStore, WeightWriter, element_count};

/// Every tensor of a weights file has as many values as its shape, and is found by its name.
pub fn safetensors(bytes: &[u8], folder: &Path) {
    let path = folder.join("input.safetensors");
    // Never written again in place: a map of it may live.
    let _ = std::fs::remove_file(&path);
    std::fs::write(&path, bytes).unwrap();
    if let Ok(store) = WeightStore::open(&path) {
        holds(&store);
    }
    if let Ok(store) = WeightCache::new(folder).open(&path) {
        holds(&store);
    }
    assert_eq!(WeightFile::open(&path).is_ok(), !bytes.is_empty());
}

fn holds(store: &WeightStore) {
    for weight in store.weights() {
        assert_eq!(element_count(weight.shape()), Some(weight.values().len()));
        assert_eq!(store.get(weight.name()).unwrap().name(), weight.name());
    }
}

/// Weights that are written into the cache are read back under their names, to the last value. The first byte says how
/// many; each has two bytes of shape, and the rest is their names.
pub fn weight_cache(bytes: &[u8], folder: &Path) {
    let Some((count, rest)) = bytes.split_first() else {
        return;
    };
    let count = usize::from(count % 8);
    let Some((shapes, names)) = rest.split_at_checked(2 * count) else {
        return;
    };
    let names = String::from_utf8_lossy(names);
    let mut names = names.split('\n');
    let tensors: Vec<(String, Vec<usize>)> = shapes
        .chunks_exact(2)
        .enumerate()
        .map(|(i, shape)| {
            let name = format!("{i}.{}", names.next().unwrap_or_default());
            (name, shape.iter().map(|side| usize::from(side % 32)).collect())
        })
        .collect();
    let values = |i: usize| vec![i as f32 + 0.5; element_count(&tensors[i].1).unwrap_or(0)];
    let cache = WeightCache::new(folder);
    let _ = std::fs::remove_file(cache.path("input"));
    let writer = WeightWriter::new(tensors.clone());
    let store = cache.get_or_write("input", &writer, |i| Ok(values(i).into())).unwrap();
    assert_eq!(store.weights().len(), count);
    for (i, (name, shape)) in tensors.iter().enumerate() {
        let weight = store.get(name).unwrap();
        assert_eq!(
            (weight.shape(), weight.values()),
            (shape.as_slice(), values(i).as_slice())
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bodies_hold_for_what_is_usual() {
        let folder = tempfile::tempdir().unwrap();
        let header = br#"{"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#;
        let whole = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 8]].concat();
        for cut in [0, 4, whole.len() - 1, whole.len()] {
            safetensors(&whole[..cut], folder.path());
        }
        weight_cache(b"\x02\x01\x03\x00\x05conv\n\"\\\xff", folder.path());
    }
}
