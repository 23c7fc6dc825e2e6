//! `resize` and `resize.fit`.

use kinora_frame::{
    ColorSpec, ElementType, Filter, Image, ImageDesc, Layout, PixelFormat, Pool, Resample, Size, TensorOrder,
    ValueRange, contain, cover, resize, resize_pillow_u8,
};
use serde_json::{Value, json};

use super::{Answer, End, Runner};
use crate::{case::Case, tensor::Tensor};

pub fn find(set: &str, component: &str) -> Option<Runner> {
    let run = match (set, component) {
        ("vision", "resize") => run,
        ("vision", "resize.fit") => fit,
        _ => return None,
    };
    Some(Runner {
        run,
        silent: &["pillow_order"],
    })
}

/// An output's name: method and size.
fn split(name: &str) -> Result<(&str, Size), End> {
    let parts = name.rsplit_once('_').and_then(|(method, size)| {
        let (height, width) = size.split_once('x')?;
        Some((method, Size::new(width.parse().ok()?, height.parse().ok()?)))
    });
    parts.ok_or_else(|| format!("output {name} names no size").into())
}

fn filter(name: &str) -> Option<Filter> {
    Some(match name {
        "box" => Filter::Box,
        "bilinear" => Filter::Bilinear,
        "hamming" => Filter::Hamming,
        "bicubic" => Filter::Bicubic,
        "lanczos3" => Filter::Lanczos3,
        "mitchell" => Filter::Mitchell,
        _ => return None,
    })
}

fn method(source: &str, name: &str) -> Option<Resample> {
    Some(match (source, name) {
        ("chw", "nearest") => Resample::Nearest,
        ("hwc", "nearest") => Resample::OpenCvNearest,
        ("chw", "nearest_exact") => Resample::NearestExact,
        ("chw", "bilinear") | ("hwc", "linear") => Resample::Linear,
        ("chw", "bilinear_corners") => Resample::LinearCorners,
        ("chw", "bicubic075") | ("hwc", "cubic") => Resample::Cubic,
        ("chw", "bicubic05_aa") => Filter::Bicubic.into(),
        ("chw", "bilinear_aa") => Filter::Bilinear.into(),
        ("chw", "area") => Resample::Area,
        ("hwc", "area") => Resample::OpenCvArea,
        ("hwc", "lanczos4") => Resample::Lanczos4,
        _ => return None,
    })
}

fn run(case: &Case) -> Result<Answer, End> {
    let sizes: Vec<Size> = case
        .rows("sizes_h_w")?
        .iter()
        .map(|row| Size::new(row[1] as u32, row[0] as u32))
        .collect();
    let kernel = match case.param("filter") {
        Some(name) => Some(
            name.as_str()
                .and_then(filter)
                .ok_or_else(|| format!("unknown filter {name}"))?,
        ),
        None => None,
    };
    let pool = Pool::default();
    let mut answer = Answer::default();
    for name in case.outputs.keys() {
        let (what, to) = split(name)?;
        if !sizes.contains(&to) {
            return Err(format!("output {name} has a size that params.sizes_h_w does not list").into());
        }
        let tensor = match kernel {
            Some(kernel) => filtered(case, what, kernel, to, &pool)?,
            None => float(case, what, to, &pool)?,
        };
        answer.outputs.insert(name.clone(), tensor);
    }
    Ok(answer)
}

/// One output of a filter case: from u8 or u16 pixels.
fn filtered(case: &Case, what: &str, filter: Filter, to: Size, pool: &Pool) -> Result<Tensor, End> {
    let source = case.input(if what == "u16" { "u16" } else { "u8" })?;
    let [height, width, channels] = source.shape[..] else {
        return Err("the picture is not HWC".into());
    };
    let from = Size::new(width as u32, height as u32);
    let shape = [to.height as usize, to.width as usize, channels];
    let count: usize = shape.iter().product();
    let resized = |layout: Layout, bytes: Vec<u8>| -> Result<Image, End> {
        let desc = ImageDesc {
            size: from,
            layout,
            color: ColorSpec::SRGB,
        };
        Ok(resize(&Image::host(desc, bytes.into())?, to, filter, pool)?)
    };
    Ok(match what {
        "u8" => {
            let image = resized(Layout::Pixels(PixelFormat::RGB24), source.as_u8()?)?;
            Tensor::u8(&shape, image.host_buffer()?.bytes())
        }
        "u16" => {
            let bytes = source.as_u16()?.iter().flat_map(|code| code.to_le_bytes()).collect();
            let image = resized(Layout::Pixels(PixelFormat::RGB48), bytes)?;
            Tensor::u16(&shape, image.host_buffer()?.samples())
        }
        "f32" => {
            let bytes = source
                .as_u8()?
                .iter()
                .flat_map(|code| (f32::from(*code) / 255.0).to_le_bytes())
                .collect();
            let image = resized(float_layout(TensorOrder::Hwc, channels), bytes)?;
            Tensor::f32(&shape, image.host_buffer()?.samples())
        }
        "pillow_u8" => {
            let mut out = vec![0; count];
            resize_pillow_u8(&source.as_u8()?, from, channels, &mut out, to, filter, pool)?;
            Tensor::u8(&shape, &out)
        }
        _ => return Err(format!("unknown output kind {what}").into()),
    })
}

/// One output of a case of library modes: from float CHW or HWC.
fn float(case: &Case, what: &str, to: Size, pool: &Pool) -> Result<Tensor, End> {
    let (name, order) = if case.inputs.contains_key("chw") {
        ("chw", TensorOrder::Chw)
    } else {
        ("hwc", TensorOrder::Hwc)
    };
    let method = method(name, what).ok_or_else(|| format!("unknown mode {what}"))?;
    let source = case.input(name)?;
    let (out_height, out_width) = (to.height as usize, to.width as usize);
    let (from, channels, shape) = match (order, &source.shape[..]) {
        (TensorOrder::Chw, [c, h, w]) => (Size::new(*w as u32, *h as u32), *c, [*c, out_height, out_width]),
        (TensorOrder::Hwc, [h, w, c]) => (Size::new(*w as u32, *h as u32), *c, [out_height, out_width, *c]),
        _ => return Err("the picture has not three axes".into()),
    };
    let desc = ImageDesc {
        size: from,
        layout: float_layout(order, channels),
        color: ColorSpec::SRGB,
    };
    let bytes: Vec<u8> = source.as_f32()?.iter().flat_map(|value| value.to_le_bytes()).collect();
    let image = resize(&Image::host(desc, bytes.into())?, to, method, pool)?;
    Ok(Tensor::f32(&shape, image.host_buffer()?.samples()))
}

fn float_layout(order: TensorOrder, channels: usize) -> Layout {
    Layout::Tensor {
        channels: channels as u32,
        element: ElementType::F32,
        order,
        range: ValueRange::Unit,
    }
}

/// The picture and the frame stand in `expected` itself.
fn fit(case: &Case) -> Result<Answer, End> {
    let rows = case
        .expected
        .as_ref()
        .and_then(Value::as_array)
        .ok_or("expected is no list")?;
    let size = |row: &Value, key: &str| -> Result<Size, End> {
        let side = |index: usize| row[key][index].as_u64().map(|side| side as u32);
        match (side(0), side(1)) {
            (Some(width), Some(height)) => Ok(Size::new(width, height)),
            _ => Err(format!("{key} is no size").into()),
        }
    };
    let mut out = Vec::new();
    for row in rows {
        let (picture, frame) = (size(row, "src")?, size(row, "dst")?);
        let (inside, filled) = (contain(picture, frame)?, cover(picture, frame)?);
        out.push(json!({
            "src": [picture.width, picture.height],
            "dst": [frame.width, frame.height],
            "contain": {"w": inside.size.width, "h": inside.size.height, "x": inside.x, "y": inside.y},
            "cover": {
                "w": filled.size.width, "h": filled.size.height,
                "crop_x": filled.crop_x, "crop_y": filled.crop_y,
            },
        }));
    }
    Ok(Answer {
        expected: Some(Value::Array(out)),
        ..Answer::default()
    })
}
