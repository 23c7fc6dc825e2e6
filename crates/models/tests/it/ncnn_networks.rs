//! ncnn pairs compute what the reference runtime computes, and broken ones are told apart.

use kinora_models::image_model::PictureSize;
use kinora_models::{ImageModelSpec, ModelSource, ncnn};
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

/// Needs the recorded cases and the packages' files: `KINORA_GOLDENS` and `KINORA_TEST_PACKAGES`.
#[test]
fn published_networks_give_the_recorded_results() {
    let Some(runtime) = runtime() else { return };
    let (Some(goldens), Some(packages)) = (
        std::env::var_os("KINORA_GOLDENS"),
        std::env::var_os("KINORA_TEST_PACKAGES"),
    ) else {
        println!("SKIPPED: set KINORA_GOLDENS and KINORA_TEST_PACKAGES to run published weights");
        return;
    };
    let cache = tempfile::tempdir().unwrap();
    let packages = std::path::PathBuf::from(packages);
    let mut folders: Vec<_> = std::fs::read_dir(std::path::Path::new(&goldens).join("vision/real"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    folders.sort();
    for case in folders
        .iter()
        .map(|f| Case::open(f))
        .filter(|c| c.json["component"] == "net.ncnn.real")
    {
        let params = &case.json["params"];
        let file = |key: &str| packages.join(params[key].as_str().unwrap());
        let source = ModelSource::Ncnn {
            param: file("param"),
            bin: file("bin"),
        };
        let spec = ImageModelSpec {
            scale: Some(params["scale"].as_u64().unwrap() as u32),
            pad: params["pad"].as_u64().unwrap() as u32,
            ..Default::default()
        };
        let options = LoadOptions {
            device: DeviceChoice::Cpu,
            threads: 2,
            ..Default::default()
        };
        let model = kinora_models::ImageModel::open(&source, &spec, &runtime, &options, cache.path()).unwrap();
        let (shape, x) = case.tensor("in.x");
        let (_, want) = case.tensor("out.y");
        let mut got = vec![f32::NAN; want.len()];
        let size = PictureSize {
            batch: 1,
            height: shape[1],
            width: shape[2],
        };
        model.run(&x, size, &mut got).unwrap();
        let worst = case.error_over_tolerance(&got, &want);
        println!(
            "{}: {worst:.4} of the tolerance, radius {:?}",
            case.json["name"],
            model.receptive_radius()
        );
        assert!(worst <= 1.0, "{}: {worst}", case.json["name"]);
    }
}

/// Every network of the packages opens with the padding it needs and gives a picture of its size.
/// Needs the packages' files: `KINORA_TEST_PACKAGES`.
#[test]
fn every_published_network_opens_and_runs() {
    let Some(runtime) = runtime() else { return };
    let Some(packages) = std::env::var_os("KINORA_TEST_PACKAGES") else {
        println!("SKIPPED: set KINORA_TEST_PACKAGES to run published weights");
        return;
    };
    let cache = tempfile::tempdir().unwrap();
    let mut run = 0;
    for folder in std::fs::read_dir(packages).unwrap().map(|e| e.unwrap().path()) {
        for models in ["models", "custom_models"] {
            let Ok(files) = std::fs::read_dir(folder.join(models)) else {
                continue;
            };
            for param in files
                .map(|e| e.unwrap().path())
                .filter(|p| p.extension().is_some_and(|e| e == "param"))
            {
                let source = ModelSource::Ncnn {
                    bin: param.with_extension("bin"),
                    param: param.clone(),
                };
                // The largest network takes seconds: its smaller sister stands for it.
                if param.to_string_lossy().contains("X4PLUS_UP4X") {
                    continue;
                }
                let open = |pad: u32| {
                    let spec = ImageModelSpec {
                        pad,
                        ..Default::default()
                    };
                    kinora_models::ImageModel::open(&source, &spec, &runtime, &on_cpu(), cache.path())
                };
                let model = [0, 7, 14, 18, 19, 28]
                    .into_iter()
                    .map(open)
                    .find_map(Result::ok)
                    .unwrap();
                let size = PictureSize {
                    batch: 1,
                    height: 21,
                    width: 30,
                };
                let mut y = vec![f32::NAN; model.output_len(size).unwrap()];
                model.run(&picture(3 * 21 * 30), size, &mut y).unwrap();
                assert!(y.iter().all(|v| v.is_finite()), "{}", param.display());
                run += 1;
            }
        }
    }
    println!("{run} networks");
    assert!(run > 0);
}
