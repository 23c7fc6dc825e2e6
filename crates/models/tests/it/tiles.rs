//! Tiles are the untiled result wherever the overlap covers the receptive radius, and a known distance off elsewhere.

use std::path::Path;

use kinora_models::ImageModelSpec;
use kinora_models::image_model::{ImageModel, PictureSize};
use kinora_models::tiling::{Blend, TileScratch, Tiling, run_tiled, starts};
use kinora_nn::{
    Conv, DType, DeviceChoice, Dim, Interpolation, LoadOptions, NetBuilder, ResizeTo, Runtime, Scale, Sides,
    WeightStore,
};

use crate::support::{Case, runtime};

/// The recorded networks: convolutions with leaky slopes between them, a pixel shuffle, and the enlarged input added.
fn srvgg(case: &Case, runtime: &Runtime) -> ImageModel {
    let store = WeightStore::open(&case.folder.join("weights.safetensors")).unwrap();
    let scale = case.json["params"]["scale"].as_u64().unwrap() as usize;
    let mut b = NetBuilder::new("srvgg");
    let shape = [
        Dim::symbol("batch"),
        3.into(),
        Dim::symbol("height"),
        Dim::symbol("width"),
    ];
    let x = b.input("x", DType::F32, &shape).unwrap();
    let mut y = x;
    for i in 0.. {
        let Ok(weight) = store.get(&format!("body.{i}.weight")) else {
            break;
        };
        y = match store.get(&format!("body.{i}.bias")) {
            Ok(bias) => b
                .conv(
                    y,
                    Conv {
                        pads: Sides::all(1),
                        ..Conv::new(weight, Some(bias))
                    },
                )
                .unwrap(),
            Err(_) => b.prelu(y, weight).unwrap(),
        };
    }
    let y = b.pixel_shuffle(y, scale).unwrap();
    let to = ResizeTo::Scale(Scale { num: scale, den: 1 });
    let skip = b.resize(x, Interpolation::Nearest, [to, to]).unwrap();
    let y = b.add(y, skip).unwrap();
    b.output("y", y).unwrap();
    let options = LoadOptions {
        device: DeviceChoice::Cpu,
        threads: 2,
        ..Default::default()
    };
    ImageModel::from_net(
        b.build().unwrap(),
        Path::new("srvgg"),
        &ImageModelSpec::default(),
        runtime,
        &options,
    )
    .unwrap()
}

fn psnr(a: &[f32], b: &[f32]) -> f64 {
    let mse: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / a.len() as f64;
    -10.0 * mse.log10()
}

#[test]
fn tiles_agree_with_the_recorded_ones_and_crops_are_exact_where_they_should_be() {
    let Some(runtime) = runtime() else { return };
    let mut exact = 0;
    for case in Case::data("tiling") {
        let name = case.json["name"].as_str().unwrap();
        let param = |key: &str| case.json["params"][key].as_u64().unwrap() as usize;
        let model = srvgg(&case, &runtime);
        assert_eq!(model.receptive_radius(), Some(param("receptive_radius")), "{name}");
        let (shape, x) = case.tensor("in.x");
        let size = PictureSize {
            batch: 1,
            height: shape[1],
            width: shape[2],
        };
        let (tile, overlap) = (param("tile"), param("overlap"));
        for (axis, side) in [("tile_y", size.height), ("tile_x", size.width)] {
            assert_eq!(
                starts(side, tile, overlap),
                case.integers(&format!("out.{axis}")),
                "{name} {axis}"
            );
        }
        let mut untiled = vec![f32::NAN; model.output_len(size).unwrap()];
        model.run(&x, size, &mut untiled).unwrap();
        let close = |got: &[f32], key: &str| {
            let worst = case.error_over_tolerance(got, &case.tensor(key).1);
            assert!(worst <= 1.0, "{name} {key}: {worst}");
        };
        close(&untiled, "out.untiled");
        let mut scratch = TileScratch::default();
        for (blend, key, bar) in [
            (Blend::Crop, "out.tiled_crop", "psnr_crop"),
            (Blend::Feather, "out.tiled_feather", "psnr_feather"),
        ] {
            let tiling = Tiling {
                blend,
                ..Tiling::square(tile, overlap)
            };
            let mut tiled = vec![f32::NAN; untiled.len()];
            run_tiled(&model, &x, size, &tiling, &mut scratch, &mut tiled).unwrap();
            close(&tiled, key);
            if let Some(want) = case.json["expected"][bar].as_f64() {
                assert!((psnr(&tiled, &untiled) - want).abs() < 0.5, "{name} {bar}");
            }
            if blend == Blend::Crop && case.json["expected"]["exact"] == true {
                let worst = tiled.iter().zip(&untiled).fold(0f32, |w, (a, b)| w.max((a - b).abs()));
                assert!(worst < 2e-6, "{name}: {worst}");
                exact += 1;
            }
        }
    }
    assert!(exact >= 1);
}

#[test]
fn a_batch_in_tiles_of_any_size_equals_the_whole() {
    let Some(runtime) = runtime() else { return };
    let case = &Case::data("tiling")[0];
    let model = srvgg(case, &runtime);
    let size = PictureSize {
        batch: 2,
        height: 41,
        width: 37,
    };
    let x: Vec<f32> = (0..2 * 3 * 41 * 37)
        .map(|i| ((i * 7919) % 256) as f32 / 255.0)
        .collect();
    let mut whole = vec![0.0; model.output_len(size).unwrap()];
    model.run(&x, size, &mut whole).unwrap();
    let mut scratch = TileScratch::default();
    for (height, width) in [(16, 37), (41, 20), (17, 23), (64, 64)] {
        let tiling = Tiling {
            height,
            width,
            overlap_y: 10,
            overlap_x: 10,
            blend: Blend::Crop,
        };
        let mut tiled = vec![f32::NAN; whole.len()];
        run_tiled(&model, &x, size, &tiling, &mut scratch, &mut tiled).unwrap();
        let worst = tiled.iter().zip(&whole).fold(0f32, |w, (a, b)| w.max((a - b).abs()));
        assert!(worst < 2e-6, "{height}x{width}: {worst}");
    }
    let budget = model
        .activation_bytes(PictureSize {
            batch: 2,
            height: 80,
            width: 80,
        })
        .unwrap();
    let large = PictureSize {
        batch: 2,
        height: 500,
        width: 700,
    };
    let tiling = Tiling::for_memory(&model, large, budget, None).unwrap().unwrap();
    let used = model
        .activation_bytes(PictureSize {
            batch: 2,
            height: tiling.height,
            width: tiling.width,
        })
        .unwrap();
    assert!(
        used <= budget && tiling.height >= 64 && (tiling.overlap_y, tiling.overlap_x) == (10, 10),
        "{tiling:?}"
    );
    assert_eq!(
        Tiling::for_memory(&model, size, budget, None).unwrap(),
        None,
        "a picture that fits is not cut"
    );
}

#[test]
fn an_overlap_as_large_as_the_tile_is_refused() {
    let Some(runtime) = runtime() else { return };
    let model = srvgg(&Case::data("tiling")[0], &runtime);
    let size = PictureSize {
        batch: 1,
        height: 40,
        width: 40,
    };
    let (x, mut y) = (vec![0.0; 4800], vec![0.0; 19200]);
    let error = run_tiled(
        &model,
        &x,
        size,
        &Tiling::square(16, 16),
        &mut TileScratch::default(),
        &mut y,
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "overlap: expected less than the tile of 16x16, got 16"
    );
}

#[test]
fn a_larger_picture_in_tiles_needs_no_more_than_its_own_pixels() {
    let Some(runtime) = runtime() else { return };
    let model = srvgg(&Case::data("tiling")[0], &runtime);
    let tiling = Tiling::square(96, 10);
    let mut scratch = TileScratch::default();
    let mut private_after = |side: usize| -> usize {
        let size = PictureSize {
            batch: 1,
            height: side,
            width: side,
        };
        let x = vec![0.5; 3 * side * side];
        let mut y = vec![0.0; model.output_len(size).unwrap()];
        run_tiled(&model, &x, size, &tiling, &mut scratch, &mut y).unwrap();
        drop((x, y));
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|l| l.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let small = private_after(200);
    let large = private_after(1000);
    let untiled = model
        .activation_bytes(PictureSize {
            batch: 1,
            height: 1000,
            width: 1000,
        })
        .unwrap()
        / 1024;
    assert!(untiled > 60_000, "{untiled} kB");
    assert!(
        large < small + 8192,
        "{small} kB after 200x200, {large} kB after 1000x1000"
    );
}
