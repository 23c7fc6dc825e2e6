//! An ONNX file gives what the network it was written from gives, and its sizes are found out.

use std::path::{Path, PathBuf};

use kinora_models::image_model::{ImageModel, PictureSize};
use kinora_models::tiling::{TileScratch, Tiling, run_tiled};
use kinora_models::{ImageModelSpec, ModelSource, onnx_file};
use kinora_nn::{Dim, Form, Net, Runtime, lower};

use crate::support::{distance, on_cpu, picture, runtime, small_net};

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

#[test]
fn a_model_of_a_fixed_batch_takes_any_number_of_pictures() {
    let Some(runtime) = runtime() else { return };
    let dir = tempfile::tempdir().unwrap();
    for channels in [3, 1] {
        let net = small_net(channels, 2);
        let fixed = net.with_input_shapes(&[&[2, channels, 24, 32]]).unwrap();
        let model = open(&runtime, &written(&fixed, dir.path()), dir.path());
        let path = dir.path().join("free");
        let free = ImageModel::from_net(net, &path, &ImageModelSpec::default(), &runtime, &on_cpu()).unwrap();
        for batch in [1, 2, 3] {
            let size = PictureSize {
                batch,
                height: 24,
                width: 32,
            };
            let x = picture(batch * 3 * 24 * 32);
            let (mut a, mut b) = (vec![f32::NAN; 4 * x.len()], vec![f32::NAN; 4 * x.len()]);
            model.run(&x, size, &mut a).unwrap();
            free.run(&x, size, &mut b).unwrap();
            assert!(distance(&a, &b) < 1e-6, "{batch} pictures, {channels} channels");
            assert!(model.activation_bytes(size).unwrap() >= 2 * (channels * 24 * 32 * 4) as u64);
        }
    }
}
