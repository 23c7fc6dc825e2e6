//! Tiles are exact where they can be, and say so where they are not.

use std::path::Path;

use kinora_models::{
    ImageModel, ImageModelSpec,
    image_model::PictureSize,
    tiling::{Blend, TileScratch, Tiling, run_tiled},
};
use kinora_nn::{Conv, DType, Dim, NetBuilder, PoolKind, Runtime, Sides, Weight};

use crate::support::{distance, noise, on_cpu, picture, runtime};

/// `depth` convolutions of 3 x 3, whose reach is `depth` pixels; with `global` all of the picture reaches every pixel.
fn model(runtime: &Runtime, depth: usize, global: bool) -> ImageModel {
    let mut b = NetBuilder::new("chain");
    let shape = [
        Dim::symbol("batch"),
        3.into(),
        Dim::symbol("height"),
        Dim::symbol("width"),
    ];
    let mut y = b.input("x", DType::F32, &shape).unwrap();
    for i in 0..depth {
        let weight = Weight::inline(&format!("w{i}"), &[3, 3, 3, 3], noise(81, 0.2)).unwrap();
        let conv = Conv {
            pads: Sides::all(1),
            ..Conv::new(weight, None)
        };
        y = b.conv(y, conv).unwrap();
    }
    if global {
        let mean = b.global_pool(y, PoolKind::Average).unwrap();
        y = b.mul(y, mean).unwrap();
    }
    b.output("y", y).unwrap();
    let spec = ImageModelSpec::default();
    ImageModel::from_net(b.build().unwrap(), Path::new("chain"), &spec, runtime, &on_cpu()).unwrap()
}

fn sized(height: usize, width: usize) -> PictureSize {
    PictureSize {
        batch: 1,
        height,
        width,
    }
}

/// Largest difference between the tiled and the whole result.
fn difference(model: &ImageModel, size: PictureSize, tiling: &Tiling) -> f32 {
    let x = picture(3 * size.height * size.width);
    let mut whole = vec![0.0; model.output_len(size).unwrap()];
    model.run(&x, size, &mut whole).unwrap();
    let mut tiled = vec![f32::NAN; whole.len()];
    run_tiled(model, &x, size, tiling, &mut TileScratch::default(), &mut tiled).unwrap();
    distance(&whole, &tiled)
}

#[test]
fn a_low_wide_picture_is_exact_along_its_long_side() {
    let Some(runtime) = runtime() else { return };
    let model = model(&runtime, 12, false);
    let size = sized(20, 300);
    let tiling = Tiling::for_model(&model, size, (64, 64), None).unwrap();
    assert_eq!((tiling.overlap_y, tiling.overlap_x), (0, 24));
    assert_eq!(tiling.describe(&model, size), "64x20 overlap 24, exact");
    assert!(difference(&model, size, &tiling) < 1e-6);
    let budget = model.activation_bytes(sized(20, 64)).unwrap();
    let by_memory = Tiling::for_memory(&model, size, budget, None).unwrap().unwrap();
    assert_eq!(by_memory, tiling, "the memory is counted for the pixels there are");
}

#[test]
fn a_tile_too_small_for_the_network_is_blended_and_says_so() {
    let Some(runtime) = runtime() else { return };
    let model = model(&runtime, 12, false);
    let size = sized(100, 90);
    let tiling = Tiling::for_model(&model, size, (32, 32), None).unwrap();
    assert_eq!((tiling.blend, tiling.overlap_x), (Blend::Feather, 16));
    assert!(!tiling.is_exact(&model, size));
    assert_eq!(
        tiling.describe(&model, size),
        "32x32 overlap 16, blended: seams are hidden, not exact"
    );
    assert!(difference(&model, size, &tiling) > 0.0);
    let asked = Tiling::for_model(&model, size, (32, 32), Some(24)).unwrap();
    assert_eq!(asked.describe(&model, size), "32x32 overlap 24, exact");
    assert!(difference(&model, size, &asked) < 1e-6);
    assert_eq!(Tiling::for_model(&model, size, (128, 128), None), None);
}

#[test]
fn a_network_that_looks_at_everything_is_blended_whatever_the_tile() {
    let Some(runtime) = runtime() else { return };
    let model = model(&runtime, 2, true);
    assert_eq!(model.receptive_radius(), None);
    let size = sized(200, 200);
    for overlap in [None, Some(60)] {
        let tiling = Tiling::for_model(&model, size, (128, 128), overlap).unwrap();
        assert_eq!(tiling.blend, Blend::Feather);
        assert_eq!(tiling.overlap_x, overlap.unwrap_or(32));
        assert!(tiling.describe(&model, size).ends_with("not exact"));
    }
}

#[test]
fn little_memory_costs_exactness_before_it_is_an_error() {
    let Some(runtime) = runtime() else { return };
    let model = model(&runtime, 40, false);
    let size = sized(400, 400);
    let bytes = |side| model.activation_bytes(sized(side, side)).unwrap();
    let chosen = |side, overlap| Tiling::for_memory(&model, size, bytes(side), overlap);
    let exact = chosen(160, None).unwrap().unwrap();
    assert_eq!(exact.describe(&model, size), "160x160 overlap 80, exact");
    let blended = chosen(100, None).unwrap().unwrap();
    assert_eq!(
        blended.describe(&model, size),
        "96x96 overlap 48, blended: seams are hidden, not exact"
    );
    for error in [chosen(63, None).unwrap_err(), chosen(100, Some(80)).unwrap_err()] {
        assert_eq!(error.code(), "device.out_of_memory");
        assert!(error.hint().unwrap().contains("--memory"), "{error}");
    }
}
