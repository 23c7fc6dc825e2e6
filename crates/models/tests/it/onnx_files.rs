//! An ONNX file gives what the network it was written from gives, and its sizes are found out.

use std::path::{Path, PathBuf};

use kinora_models::image_model::{ImageModel, PictureSize};
use kinora_models::tiling::{TileScratch, Tiling, run_tiled};
use kinora_models::{ImageModelSpec, ModelSource, onnx_file};
use kinora_nn::{Dim, Executable, Form, Net, Runtime, TensorView, TensorViewMut, lower};

use crate::support::{Case, distance, on_cpu, picture, runtime, small_net};

fn written(net: &Net, folder: &Path) -> PathBuf {
    let path = folder.join(format!("{}.onnx", net.name()));
    std::fs::write(&path, lower(net, Form::Plain).unwrap().bytes).unwrap();
    path
}

fn open(runtime: &Runtime, path: &Path, folder: &Path) -> ImageModel {
    ImageModel::open(
        &ModelSource::Onnx(path.into()),
        &ImageModelSpec::default(),
        runtime,
        &on_cpu(),
        folder,
    )
    .unwrap()
}

#[test]
fn a_model_with_free_sizes_equals_its_network() {
    let Some(runtime) = runtime() else { return };
    let dir = tempfile::tempdir().unwrap();
    let net = small_net(3, 2);
    let path = written(&net, dir.path());
    let checked = onnx_file::open(&path).unwrap();
    assert_eq!(checked.inputs.len(), 1, "weights are no inputs");
    assert_eq!(checked.inputs[0].shape[2], Dim::symbol("height"));
    assert_eq!(checked.opset, 20);
    let file = open(&runtime, &path, dir.path());
    let direct = ImageModel::from_net(net, &path, &ImageModelSpec::default(), &runtime, &on_cpu()).unwrap();
    assert_eq!(
        (file.scale(), file.fixed_size(), file.receptive_radius()),
        (2, None, None)
    );
    let size = PictureSize {
        batch: 2,
        height: 13,
        width: 17,
    };
    let x = picture(2 * 3 * 13 * 17);
    let (mut a, mut b) = (vec![f32::NAN; 5304], vec![f32::NAN; 5304]);
    file.run(&x, size, &mut a).unwrap();
    direct.run(&x, size, &mut b).unwrap();
    assert!(distance(&a, &b) < 1e-6);
}

#[test]
fn a_model_of_one_size_is_tiled_to_that_size() {
    let Some(runtime) = runtime() else { return };
    let dir = tempfile::tempdir().unwrap();
    let net = small_net(3, 2);
    let fixed = net.with_input_shapes(&[&[1, 3, 24, 32]]).unwrap();
    let path = written(&fixed, dir.path());
    let model = open(&runtime, &path, dir.path());
    assert_eq!(model.fixed_size(), Some((24, 32)));
    let free = ImageModel::from_net(net, &path, &ImageModelSpec::default(), &runtime, &on_cpu()).unwrap();
    for (batch, height, width) in [(1, 50, 70), (2, 24, 32), (1, 10, 80)] {
        let size = PictureSize { batch, height, width };
        let x = picture(batch * 3 * height * width);
        let mut tiled = vec![f32::NAN; model.output_len(size).unwrap()];
        let tiling = Tiling::for_memory(&model, size, u64::MAX, None).unwrap();
        assert_eq!(
            tiling.is_none(),
            (height, width) == (24, 32),
            "only its own size is not cut"
        );
        let tiling = tiling.unwrap_or(Tiling::square(24, 8));
        let tiling = Tiling {
            overlap_y: 8,
            overlap_x: 8,
            blend: Default::default(),
            ..tiling
        };
        run_tiled(&model, &x, size, &tiling, &mut TileScratch::default(), &mut tiled).unwrap();
        let mut whole = vec![f32::NAN; tiled.len()];
        free.run(&x, size, &mut whole).unwrap();
        if height >= 24 {
            assert!(distance(&tiled, &whole) < 2e-6, "{width}x{height}");
        } else {
            assert!(
                tiled.iter().all(|v| v.is_finite()),
                "{width}x{height} is mirrored up to the tile"
            );
        }
    }
    let size = PictureSize {
        batch: 1,
        height: 10,
        width: 10,
    };
    let error = model.run(&[0.0; 300], size, &mut [0.0; 1200]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "picture: expected 32x24, the only size of this network (tile the picture), got 10x10"
    );
}

/// Needs the recorded case and the package's file: `KINORA_GOLDENS` and `KINORA_TEST_PACKAGES`.
#[test]
fn a_model_of_a_fixed_batch_takes_any_number_of_pictures() {
    let Some(runtime) = runtime() else { return };
    let (Some(goldens), Some(packages)) = (
        std::env::var_os("KINORA_GOLDENS"),
        std::env::var_os("KINORA_TEST_PACKAGES"),
    ) else {
        println!("SKIPPED: set KINORA_GOLDENS and KINORA_TEST_PACKAGES to run published weights");
        return;
    };
    let case = Case::open(&Path::new(&goldens).join("vision/real/multistyle26"));
    let path = Path::new(&packages).join(case.json["params"]["file"].as_str().unwrap());
    let model = onnx_file::open(&path).unwrap();
    let mut executable = Executable::load(&runtime, &model.file, &on_cpu()).unwrap();
    let names: Vec<&str> = model.inputs.iter().map(|i| i.name.as_str()).collect();
    let tensors: Vec<_> = names.iter().map(|n| case.tensor(&format!("in.{n}"))).collect();
    let views: Vec<_> = tensors
        .iter()
        .map(|(shape, data)| TensorView::f32(shape, data))
        .collect();
    let (shape, want) = case.tensor("out.stylized");
    let mut got = vec![f32::NAN; want.len()];
    executable
        .run(&views, &mut [TensorViewMut::f32(&shape, &mut got)])
        .unwrap();
    let worst = case.error_over_tolerance(&got, &want);
    println!("multistyle26: {worst:.4} of the tolerance");
    assert!(worst <= 1.0);
}
