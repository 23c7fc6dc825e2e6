//! ncnn pairs compute what the reference runtime computes, and broken ones are told apart.

use kinora_models::image_model::{ImageModel, PictureSize};
use kinora_models::ncnn;
use kinora_models::zoo::{self, Folders, Kind, State};
use kinora_nn::{DeviceChoice, Executable, LoadOptions, TensorView, TensorViewMut, WeightCache};

use crate::support::{Case, on_cpu, picture, runtime};

/// Our code for each class of the recorded cases.
fn code_of(class: &str) -> &'static str {
    match class {
        "BadMagic" => "model.ncnn.bad-magic",
        "LayerCountMismatch" => "model.ncnn.layer-count",
        "MissingBlob" => "model.ncnn.missing-blob",
        "UnknownLayer" => "model.ncnn.unknown-layer",
        "TruncatedBin" => "model.ncnn.truncated-bin",
        "TrailingBytes" => "model.ncnn.trailing-bytes",
        "Int8Unsupported" => "model.ncnn.int8-unsupported",
        other => panic!("class {other} has no code"),
    }
}

#[test]
fn every_recorded_pair_gives_the_recorded_result() {
    let Some(runtime) = runtime() else { return };
    let cache = tempfile::tempdir().unwrap();
    let cache = WeightCache::new(cache.path());
    let mut run = 0;
    for case in Case::data("ncnn").iter().filter(|c| c.json["name"] != "malformed") {
        let text = |key: &str| case.json["params"][key].as_str();
        let (param, bin) = (case.folder.join("model.param"), case.folder.join("model.bin"));
        let net = ncnn::load(&param, &bin, text("blob_in"), text("blob_out"), &cache).unwrap();
        let options = LoadOptions {
            device: DeviceChoice::Cpu,
            threads: 2,
            ..Default::default()
        };
        let mut executable = Executable::load(&runtime, &net, &options).unwrap();
        let (shape, x) = case.tensor(&format!("in.{}", text("blob_in").unwrap()));
        let (out_shape, want) = case.tensor(&format!("out.{}", text("blob_out").unwrap()));
        let shape = [&[1], shape.as_slice()].concat();
        let out_shape = [&[1], out_shape.as_slice()].concat();
        assert_eq!(
            net.output_shapes(&[&shape]).unwrap(),
            std::slice::from_ref(&out_shape),
            "{}",
            case.json["name"]
        );
        let mut got = vec![f32::NAN; want.len()];
        executable
            .run(
                &[TensorView::f32(&shape, &x)],
                &mut [TensorViewMut::f32(&out_shape, &mut got)],
            )
            .unwrap();
        let worst = case.error_over_tolerance(&got, &want);
        println!(
            "{}: {worst:.4} of the tolerance, {}",
            case.json["name"],
            executable.report()
        );
        assert!(worst <= 1.0, "{}: {worst}", case.json["name"]);
        run += 1;
    }
    assert_eq!(run, 7);
}

#[test]
fn broken_pairs_are_refused_by_class_and_never_panic() {
    let cache = tempfile::tempdir().unwrap();
    let cache = WeightCache::new(cache.path());
    let case = Case::open(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ncnn/malformed"));
    let expected = case.json["expected"].as_object().unwrap();
    assert_eq!(expected.len(), 8);
    for (name, class) in expected {
        let file = |ext: &str| case.folder.join(format!("{name}.{ext}"));
        let error = ncnn::load(&file("param"), &file("bin"), None, None, &cache).unwrap_err();
        assert_eq!(error.code(), code_of(class.as_str().unwrap()), "{name}: {error}");
    }
}

#[test]
fn an_input_that_was_not_chosen_is_never_left_out_of_a_sum() {
    let folder = tempfile::tempdir().unwrap();
    let (param, bin) = (folder.path().join("two.param"), folder.path().join("two.bin"));
    let text = "7767517\n3 3\nInput a 0 1 a\nInput b 0 1 b\nBinaryOp sum 2 1 a b output 0=0\n";
    std::fs::write(&param, text).unwrap();
    std::fs::write(&bin, b"").unwrap();
    let cache = WeightCache::new(folder.path());
    let error = ncnn::load(&param, &bin, Some("a"), None, &cache).unwrap_err();
    assert_eq!(error.code(), "model.ncnn.bad-layer");
    assert!(
        error
            .to_string()
            .ends_with("layer `sum`: expected what comes from the input `a` alone, got `b`"),
        "{error}"
    );
    let error = ncnn::load(&param, &bin, None, None, &cache).unwrap_err();
    assert!(error.to_string().contains("2 inputs"), "{error}");
}

/// Every pulled network opens as the catalogue says and gives a picture of its size.
#[test]
fn every_pulled_network_opens_and_runs() {
    let Some(runtime) = runtime() else { return };
    let Some(models) = std::env::var_os("KINORA_MODELS") else {
        println!("SKIPPED: set KINORA_MODELS to run published weights");
        return;
    };
    let folders = Folders::new(models);
    let cache = tempfile::tempdir().unwrap();
    let mut run = 0;
    for entry in zoo::scan(&folders).unwrap().entries {
        if entry.kind != Some(Kind::Upscale) || entry.state != State::Installed {
            continue;
        }
        let found = zoo::resolve(&entry.id, &folders).unwrap();
        let model = ImageModel::open(&found.source, &found.spec, &runtime, &on_cpu(), cache.path()).unwrap();
        assert_eq!(
            Some(model.scale()),
            entry.record.map(|record| record.scale),
            "{}",
            entry.id
        );
        let size = PictureSize {
            batch: 1,
            height: 21,
            width: 30,
        };
        let mut y = vec![f32::NAN; model.output_len(size).unwrap()];
        model.run(&picture(3 * 21 * 30), size, &mut y).unwrap();
        assert!(y.iter().all(|v| v.is_finite()), "{}", entry.id);
        run += 1;
    }
    println!("{run} networks");
    assert!(run > 0 || std::env::var_os("KINORA_TEST_REQUIRE_RUNTIME").is_none());
}
