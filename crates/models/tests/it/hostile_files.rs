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

#[test]
fn what_a_model_says_of_itself_takes_no_more_memory_or_time_than_it_is_long() {
    let dir = tempfile::tempdir().unwrap();
    let why = |model: &[u8]| refusal(dir.path(), model).to_string();
    let weight = |fields: Vec<u8>| field(7, &field(5, &fields));
    // Field 25, whose key has two bytes.
    let function = |content: &[u8]| [&[0xca, 0x01], &field(1, content)[1..]].concat();
    assert!(why(&weight(int(1, 1).repeat(17))).contains("more than 16 sides"));
    assert!(why(&weight(field(1, &[1; 17]))).contains("more than 16 sides"));
    assert!(why(&weight(field(1, &[1; 8]).repeat(3))).contains("more than 16 sides"));
    assert!(why(&weight(field(13, b"").repeat(65))).contains("more than 64 entries"));
    assert!(why(&field(7, &field(11, b"").repeat(210_001))).contains("more than 210000 inputs"));
    assert!(why(&function(b"").repeat(10_001)).contains("more than 10000 functions"));
    // Every node's domain is looked for among those of all functions.
    let functions: Vec<u8> = (0..10_000)
        .flat_map(|i| function(&field(10, format!("d{i}").as_bytes())))
        .collect();
    let nodes = field(1, &field(7, b"d9999")).repeat(150_000);
    let path = dir.path().join("model.onnx");
    std::fs::write(&path, [functions, field(7, &nodes)].concat()).unwrap();
    assert_eq!(onnx_file::open(&path).unwrap().nodes, 150_000);
}

#[test]
fn extreme_numbers_of_a_crop_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for crop in [
        "0=1 3=9223372036854775807",
        "2=1 5=9223372036854775807",
        "-23309=1,1 -23310=1,-1e30 -23311=1,1",
        "-23309=1,1e30 -23310=1,-1e30 -23311=1,2",
    ] {
        let text = format!("7767517\n2 2\nInput i 0 1 a 2=3\nCrop c 1 1 a b {crop}\n");
        let (p, b) = write_pair(dir.path(), text.as_bytes(), b"");
        if let Err(error) = ncnn::load(&p, &b, None, None, &WeightCache::new(dir.path())) {
            assert!(error.to_string().contains('c'), "{crop}: {error}");
        } else {
            assert!(crop.contains("3=9223"), "{crop}");
        }
    }
}

/// Processor time of this thread: other work on the machine does not count.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[test]
fn a_graph_of_many_names_is_read_in_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let load = |layers: &[String], output: &str| {
        let text = format!("7767517\n{} 0\n{}\n", layers.len(), layers.join("\n"));
        let (p, b) = write_pair(dir.path(), text.as_bytes(), b"");
        let before = cpu_seconds();
        let net = ncnn::load(&p, &b, None, Some(output), &WeightCache::new(dir.path()));
        let took = cpu_seconds() - before;
        assert!(took < 3.0, "{took} s");
        net
    };
    // Each of these is compared with all the names of the input.
    let names: Vec<String> = (0..90_000).map(|i| format!("split{i}")).collect();
    let mut layers = vec![
        "Input i 0 1 in".to_owned(),
        format!("Split s 1 {} in {}", names.len(), names.join(" ")),
    ];
    layers.extend((0..90_000).map(|i| format!("ReLU r 1 1 split{i} relu{i}")));
    load(&layers, "relu0").unwrap();
    // Each of these looks through all the others for who reads it.
    let mut layers: Vec<String> = (0..90_000).map(|i| format!("Input i 0 1 in{i}")).collect();
    layers.push("ReLU r 1 1 in0 out".to_owned());
    assert!(load(&layers, "out").unwrap_err().to_string().contains("90000 inputs"));
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
