//! A broken or hostile model file is an error that says why; it never stops the program or reaches outside its folder.

use std::path::{Path, PathBuf};

use kinora_models::{ModelError, ncnn, onnx_file};
use kinora_nn::{Form, WeightCache, lower};
use proptest::prelude::*;

use crate::support::small_net;

fn varint(mut n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// A length-delimited field.
fn field(number: usize, content: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(content.len()), content.to_vec()].concat()
}

fn int(number: u8, n: u8) -> Vec<u8> {
    vec![number << 3, n]
}

/// A model whose only weight, four floats, lies in a file.
fn with_external(location: &str, offset: &str) -> Vec<u8> {
    field(7, &field(5, &external_weight(location, offset)))
}

fn external_weight(location: &str, offset: &str) -> Vec<u8> {
    let entry = |key: &str, value: &str| field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat());
    [
        int(1, 4),
        int(2, 1),
        field(8, b"w"),
        entry("location", location),
        entry("offset", offset),
        entry("length", "16"),
        vec![14 << 3, 1],
    ]
    .concat()
}

fn refusal(folder: &Path, model: &[u8]) -> ModelError {
    let path = folder.join("model.onnx");
    std::fs::write(&path, model).unwrap();
    onnx_file::open(&path).unwrap_err()
}

#[test]
fn t09_external_data_outside_the_folder_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let (inside, outside) = (root.path().join("model"), root.path().join("secret.bin"));
    std::fs::create_dir_all(inside.join("sub")).unwrap();
    std::fs::write(&outside, [0u8; 64]).unwrap();
    std::fs::write(inside.join("weights.bin"), [0u8; 64]).unwrap();
    std::fs::write(inside.join("sub/weights.bin"), [0u8; 64]).unwrap();
    std::os::unix::fs::symlink(&outside, inside.join("link.bin")).unwrap();
    std::os::unix::fs::symlink(root.path(), inside.join("linked")).unwrap();
    std::fs::hard_link(&outside, inside.join("hard.bin")).unwrap();
    let cases = [
        (outside.to_str().unwrap(), "a path below the model's folder"),
        ("../secret.bin", "a path below the model's folder"),
        ("sub/../../secret.bin", "a path below the model's folder"),
        ("..\\secret.bin", "a path below the model's folder"),
        ("", "it names no file"),
        (".", "a path below the model's folder"),
        ("sub", "not a plain file"),
        ("link.bin", "is a symbolic link"),
        ("linked/secret.bin", "is a symbolic link"),
        ("hard.bin", "second name"),
        ("none.bin", "No such file"),
    ];
    for (location, why) in cases {
        let error = refusal(&inside, &with_external(location, "0"));
        assert_eq!(error.code(), "model.onnx.external-data", "{location}: {error}");
        assert!(error.to_string().contains(why), "{location}: {error}");
    }
    let error = refusal(&inside, &with_external("weights.bin", "50"));
    assert!(
        error.to_string().contains("bytes 50 to 66 of a file of 64 bytes"),
        "{error}"
    );
    let error = refusal(&inside, &with_external("weights.bin", "18446744073709551615"));
    assert_eq!(error.code(), "model.onnx.external-data");
    for location in ["weights.bin", "sub/weights.bin"] {
        std::fs::write(inside.join("model.onnx"), with_external(location, "48")).unwrap();
        let model = onnx_file::open(&inside.join("model.onnx")).unwrap();
        assert_eq!(model.file.folder, Some(inside.canonicalize().unwrap()));
    }
}

#[test]
fn t09_external_data_is_refused_wherever_in_a_model_it_hides() {
    let root = tempfile::tempdir().unwrap();
    let inside = root.path().join("model");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(root.path().join("secret.bin"), [0u8; 64]).unwrap();
    let weight = external_weight("../secret.bin", "0");
    let node = |attribute: &[u8]| field(1, &[field(4, b"Constant"), field(5, attribute)].concat());
    let plain = field(7, &field(1, &field(4, b"Relu")));
    for (place, model) in [
        ("an attribute", field(7, &node(&field(5, &weight)))),
        ("a list of an attribute", field(7, &node(&field(10, &weight)))),
        (
            "a graph of an attribute",
            field(7, &node(&field(6, &field(5, &weight)))),
        ),
        (
            "a function's node",
            [
                plain.clone(),
                field(
                    25,
                    &field(7, &[field(4, b"Constant"), field(5, &field(5, &weight))].concat()),
                ),
            ]
            .concat(),
        ),
        (
            "a function's default",
            [plain.clone(), field(25, &field(11, &field(5, &weight)))].concat(),
        ),
        (
            "a graph for training",
            [plain.clone(), field(20, &field(2, &field(5, &weight)))].concat(),
        ),
    ] {
        let error = refusal(&inside, &model);
        assert_eq!(error.code(), "model.onnx.external-data", "{place}: {error}");
    }
    // A sparse weight holds two others, and nothing needs one.
    let sparse = [field(1, &weight), field(2, &weight)].concat();
    for model in [
        field(7, &field(15, &sparse)),
        field(7, &node(&field(22, &sparse))),
        field(7, &node(&field(23, &sparse))),
        [plain, field(25, &field(11, &field(22, &sparse)))].concat(),
    ] {
        let error = refusal(&inside, &model);
        assert!(error.to_string().contains("sparse weights"), "{error}");
    }
}

#[test]
fn t09_operators_of_other_domains_and_models_past_the_limits_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let node = |domain: &[u8]| field(1, &[field(4, b"Steal"), field(7, domain)].concat());
    let error = refusal(dir.path(), &field(7, &node(b"evil.ops")));
    assert_eq!(error.code(), "model.onnx.custom-domain");
    assert!(error.to_string().contains("`evil.ops` (first: Steal)"), "{error}");
    // Hidden in a branch of an If.
    let mut graph = node(b"evil.ops");
    graph = field(1, &[field(4, b"If"), field(5, &field(6, &graph))].concat());
    assert_eq!(
        refusal(dir.path(), &field(7, &graph)).code(),
        "model.onnx.custom-domain"
    );
    let mut deep = field(1, &field(4, b"Relu"));
    for _ in 0..2000 {
        deep = field(1, &[field(4, b"If"), field(5, &field(6, &deep))].concat());
    }
    assert!(
        refusal(dir.path(), &field(7, &deep))
            .to_string()
            .contains("nested deeper"),
        "no stack is used up"
    );
    let many = field(7, &field(1, &[]).repeat(200_001));
    assert!(
        refusal(dir.path(), &many)
            .to_string()
            .contains("more than 200000 nodes")
    );
    let wide = [int(1, 100), int(2, 1), field(9, &[0; 12])].concat();
    assert!(
        refusal(dir.path(), &field(7, &field(5, &wide)))
            .to_string()
            .contains("needs 400 bytes and has 12")
    );
    let absurd = [[1 << 3, 0xff, 0xff, 0xff, 0xff, 0x7f].repeat(3), int(2, 1)].concat();
    assert!(
        refusal(dir.path(), &field(7, &field(5, &absurd)))
            .to_string()
            .contains("impossible sides")
    );
    assert!(
        refusal(dir.path(), b"GIF89a not a model")
            .to_string()
            .contains("no usable ONNX model")
    );
    assert_eq!(
        refusal(dir.path(), b"").to_string(),
        format!(
            "{} is no usable ONNX model: it has no graph",
            dir.path().join("model.onnx").display()
        )
    );
}

fn pair() -> (Vec<u8>, Vec<u8>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ncnn/se_block_fp32");
    (
        std::fs::read(folder.join("model.param")).unwrap(),
        std::fs::read(folder.join("model.bin")).unwrap(),
    )
}

fn write_pair(folder: &Path, param: &[u8], bin: &[u8]) -> (PathBuf, PathBuf) {
    let (p, b) = (folder.join("m.param"), folder.join("m.bin"));
    std::fs::write(&p, param).unwrap();
    std::fs::write(&b, bin).unwrap();
    (p, b)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_ncnn_pair_never_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        digits in prop::collection::vec((any::<prop::sample::Index>(), "[0-9=.,-]{1,12}"), 0..3),
        keep in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut param, mut bin) = pair();
        for (at, byte) in &edits {
            let at = at.index(param.len());
            param[at] = *byte;
        }
        for (at, text) in &digits {
            let at = at.index(param.len());
            param.splice(at..at, text.bytes());
        }
        if cut {
            bin.truncate(keep.index(bin.len()));
        }
        let (p, b) = write_pair(dir.path(), &param, &bin);
        let cache = WeightCache::new(dir.path());
        if let Err(error) = ncnn::load(&p, &b, None, None, &cache) {
            prop_assert!(!error.code().is_empty() && !error.to_string().is_empty());
        }
    }

    #[test]
    fn mutated_numbers_of_a_layer_never_panic(key in 0u32..20, value in prop_oneof![any::<i64>().prop_map(|n| n.to_string()), "-?[0-9]{1,3}", "[0-9]\\.[0-9]e[0-9]{1,2}"], layer in 0usize..13) {
        let dir = tempfile::tempdir().unwrap();
        let (param, bin) = pair();
        let mut lines: Vec<String> = String::from_utf8(param).unwrap().lines().map(str::to_owned).collect();
        lines[2 + layer].push_str(&format!(" {key}={value}"));
        let (p, b) = write_pair(dir.path(), lines.join("\n").as_bytes(), &bin);
        let _ = ncnn::load(&p, &b, None, None, &WeightCache::new(dir.path()));
    }

    #[test]
    fn a_mutated_onnx_file_never_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        keep in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = lower(&small_net(3, 2), Form::Plain).unwrap().bytes;
        for (at, byte) in &edits {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        let path = dir.path().join("m.onnx");
        std::fs::write(&path, &bytes).unwrap();
        let _ = onnx_file::open(&path);
    }
}
