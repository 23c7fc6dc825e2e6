//! What must hold for any input: the bodies of the fuzz targets of `fuzz/`, built for them and for tests only.
// A panic is how a target tells of a fault.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use kinora_nn::{Form, lower};

use crate::ncnn;
use crate::onnx_file;
use crate::zoo::archive::{Wanted, extract_zip};
use crate::zoo::{Catalogue, ModelRecord, extra_paths, inspect, names};

const NOWHERE: &str = "/nowhere/model";

/// A graph text that is read has the layers that its facts count.
pub fn ncnn_param(bytes: &[u8]) {
    let path = Path::new(NOWHERE);
    let facts = std::str::from_utf8(bytes).map(|text| inspect::facts_of(path, text));
    if let Ok(layers) = ncnn::read_layers(path, bytes) {
        let facts = facts.unwrap().unwrap();
        assert_eq!(facts.layers, layers.len());
        assert_eq!(facts.types.values().sum::<usize>(), layers.len());
    }
}

/// A pair of files, text and weights with a zero between them, is a network that lowers to a sound model, or is refused.
pub fn ncnn(bytes: &[u8]) {
    let at = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let (text, weights) = (&bytes[..at], bytes.get(at + 1..).unwrap_or_default());
    let net = match ncnn::from_memory(text, weights) {
        Ok(net) => net,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for form in [Form::Plain, Form::Cpu] {
        let Ok(model) = lower(&net, form) else { continue };
        let path = Path::new(NOWHERE);
        let (head, _) = onnx_file::check(path, path, &model.bytes).unwrap();
        assert_eq!((head.inputs.len(), head.outputs.len()), (1, 1));
    }
}

/// A model that passes has named inputs and outputs of few sides, and is within the limits.
pub fn onnx(bytes: &[u8]) {
    let path = Path::new(NOWHERE);
    match onnx_file::check(path, path, bytes) {
        Ok((head, scan)) => {
            assert!(
                head.inputs
                    .iter()
                    .chain(&head.outputs)
                    .all(|info| info.shape.len() <= 16)
            );
            // A node takes two bytes at least.
            assert!(2 * scan.nodes <= bytes.len());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A catalogue that is read and written again is the same.
pub fn catalogue(bytes: &[u8]) {
    let Ok(Ok(catalogue)) = std::str::from_utf8(bytes).map(Catalogue::from_json) else {
        return;
    };
    for model in &catalogue.models {
        assert_eq!(catalogue.get(&model.id), Some(model));
        let _ = (model.bytes(), model.licence_line(), model.spec());
    }
    let again = serde_json::to_string(&catalogue).unwrap();
    assert_eq!(Catalogue::from_json(&again).unwrap(), catalogue);
}

/// A record of a model that is read and written again is the same.
pub fn model_record(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(record) = ModelRecord::from_openmodeldb("x", text) {
        let again = serde_json::to_string(&record).unwrap();
        assert_eq!(ModelRecord::from_openmodeldb("x", &again).unwrap(), record);
    }
}

/// A file of paths names folders that are there, or is refused.
pub fn extra_paths(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(places) = extra_paths::parse(text, Path::new(NOWHERE), None) {
        assert!(places.iter().all(|place| place.path.is_dir()));
    }
}

/// A name fits itself, however it is spelt, and near names are few.
pub fn model_names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let known = || ["span-x4", "4x-UltraSharp", text].into_iter();
    assert!(names::matches(text, &known().map(|name| vec![name])).contains(&2));
    let spelt = text.trim().to_ascii_uppercase().replace(['-', ' '], "_");
    assert_eq!(names::Forms::of(&spelt), names::Forms::of(text));
    assert!(names::nearest(text, known()).len() <= 3);
    assert!(names::scale_of(text).is_none_or(|scale| (1..=16).contains(&scale)));
}

/// What comes out of an archive is the member that was wanted, or at most one byte more than its length.
pub fn package_zip(bytes: &[u8], folder: &Path) {
    const GOOD: &[u8] = b"good";
    let (path, to) = (folder.join("input.whl"), folder.join("member"));
    std::fs::write(&path, bytes).unwrap();
    let _ = std::fs::remove_file(&to);
    let wanted = Wanted {
        member: "m",
        to: to.clone(),
        size: GOOD.len() as u64,
        sha256: "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c",
        executable: false,
    };
    let taken = extract_zip(&path, "x", &[wanted]);
    let found = std::fs::read(&to).unwrap_or_default();
    assert!(found.len() <= GOOD.len() + 1);
    assert!(taken.is_err() || found == GOOD);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bodies_hold_for_what_is_usual() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ncnn/se_block_fp32");
        let (text, weights) = (
            std::fs::read(data.join("model.param")).unwrap(),
            std::fs::read(data.join("model.bin")).unwrap(),
        );
        ncnn_param(&text);
        ncnn(&[&text[..], b"\0", &weights].concat());
        let net = ncnn::from_memory(&text, &weights).unwrap();
        onnx(&lower(&net, Form::Plain).unwrap().bytes);
        catalogue(br#"{"packages": {}, "models": []}"#);
        model_record(br#"{"name": "a", "scale": 2, "author": ["b"]}"#);
        extra_paths(b"a:\n  base_path: /\n  loras: /\n");
        model_names("4x_NMKD-Siax_200k.pth".as_bytes());
        let folder = tempfile::tempdir().unwrap();
        package_zip(b"PK\x05\x06no archive", folder.path());
    }
}
