//! `tiling`: tiles against the untiled result, on a small network of the SRVGG kind.

use std::path::Path;

use kinora_frame::quality::psnr;
use kinora_models::{
    ImageModel, ImageModelSpec,
    image_model::PictureSize,
    tiling::{Blend, TileScratch, Tiling, run_tiled, starts},
};
use kinora_nn::{Conv, DType, Dim, Interpolation, NetBuilder, ResizeTo, Scale, Sides, WeightStore};
use serde_json::Value;

use super::{
    Answer, End, Runner,
    runtime::{options, runtime},
};
use crate::{case::Case, compare::compare, tensor::Tensor};

pub fn find(set: &str, component: &str) -> Option<Runner> {
    // The widths are read from the weights, the sides from the picture.
    (set == "vision" && component == "tiling").then_some(Runner {
        run,
        silent: &["nf", "conv", "h", "w"],
    })
}

/// Convolutions with leaky slopes between them, a pixel shuffle, and the enlarged input added.
fn network(case: &Case) -> Result<ImageModel, End> {
    let store = WeightStore::open(&case.folder.join("weights.safetensors"))?;
    let scale = case.whole("scale")?;
    let mut builder = NetBuilder::new("srvgg");
    let shape = [
        Dim::symbol("batch"),
        3.into(),
        Dim::symbol("height"),
        Dim::symbol("width"),
    ];
    let picture = builder.input("x", DType::F32, &shape)?;
    let mut value = picture;
    for layer in 0.. {
        let Ok(weight) = store.get(&format!("body.{layer}.weight")) else {
            break;
        };
        value = match store.get(&format!("body.{layer}.bias")) {
            Ok(bias) => {
                let conv = Conv {
                    pads: Sides::all(1),
                    ..Conv::new(weight, Some(bias))
                };
                builder.conv(value, conv)?
            }
            Err(_) => builder.prelu(value, weight)?,
        };
    }
    let detail = builder.pixel_shuffle(value, scale)?;
    let to = ResizeTo::Scale(Scale { num: scale, den: 1 });
    let enlarged = builder.resize(picture, Interpolation::Nearest, [to, to])?;
    let output = builder.add(detail, enlarged)?;
    builder.output("y", output)?;
    let spec = ImageModelSpec::default();
    Ok(ImageModel::from_net(
        builder.build()?,
        Path::new("srvgg"),
        &spec,
        &runtime()?,
        &options(),
    )?)
}

fn run(case: &Case) -> Result<Answer, End> {
    let model = network(case)?;
    let radius = case.whole("receptive_radius")?;
    if model.receptive_radius() != Some(radius) {
        return Err(format!("receptive radius {:?}, expected {radius}", model.receptive_radius()).into());
    }
    let input = case.input("x")?;
    let [3, height, width] = input.shape[..] else {
        return Err("the picture is not three planes".into());
    };
    let picture = input.as_f32()?;
    let size = PictureSize {
        batch: 1,
        height,
        width,
    };
    let scale = model.scale() as usize;
    let shape = [3, height * scale, width * scale];
    let length = model.output_len(size).ok_or("the output does not fit memory")?;
    let (tile, overlap) = (case.whole("tile")?, case.whole("overlap")?);
    let mut untiled = vec![f32::NAN; length];
    model.run(&picture, size, &mut untiled)?;
    let mut scratch = TileScratch::default();
    let mut tiled = |blend: Blend| -> Result<Vec<f32>, End> {
        let tiling = Tiling {
            blend,
            ..Tiling::square(tile, overlap)
        };
        let mut output = vec![f32::NAN; length];
        run_tiled(&model, &picture, size, &tiling, &mut scratch, &mut output)?;
        Ok(output)
    };
    let (crop, feather) = (tiled(Blend::Crop)?, tiled(Blend::Feather)?);
    let mut answer = Answer::default();
    let mut give = |name: &str, tensor: Tensor| drop(answer.outputs.insert(name.to_owned(), tensor));
    for (name, side) in [("tile_y", height), ("tile_x", width)] {
        let list: Vec<i32> = starts(side, tile, overlap).iter().map(|start| *start as i32).collect();
        give(name, Tensor::i32(&[list.len()], &list));
    }
    give("untiled", Tensor::f32(&shape, &untiled));
    give("tiled_crop", Tensor::f32(&shape, &crop));
    give("tiled_feather", Tensor::f32(&shape, &feather));
    answer.expected = Some(judged(case, &shape, [&untiled, &crop, &feather])?);
    Ok(answer)
}

/// The wanted scalars, where our own tiled results keep their distance from our own untiled one.
fn judged(case: &Case, shape: &[usize], [untiled, crop, feather]: [&[f32]; 3]) -> Result<Value, End> {
    let mut got = case.expected.clone().ok_or("the case has no expected")?;
    let exact = compare(
        &Tensor::f32(shape, untiled),
        &Tensor::f32(shape, crop),
        &case.rules.of_values(),
    );
    if got["exact"] == true && exact.is_err() {
        got["exact"] = Value::Bool(false);
    }
    for (name, tiled) in [("psnr_crop", crop), ("psnr_feather", feather)] {
        let Some(want) = got[name].as_f64() else { continue };
        let found = psnr(tiled, untiled, 1.0)?;
        if (found - want).abs() > 0.5 {
            got[name] = Value::from(found);
        }
    }
    Ok(got)
}
