//! `color.*`: conversion, adjustments, curves, tone maps, colour fix, tables.

use kinora_frame::{
    ChromaLocation, ChromaUp, ColorModel, ColorRange, ColorSpec, ConvertOptions, ElementType, Image, ImageDesc, Layout,
    Matrix, PixelFormat, Pool, Size, TensorOrder, ValueRange,
    color::{
        adjust::{Adjust, gray_world, white_patch},
        fix,
        lut::{Interpolation, Lut},
        map_rgb,
        tone_map::ToneMap,
        transfer,
    },
    convert, convert_with,
};

use super::{Answer, End, Runner};
use crate::{case::Case, tensor::Tensor};

pub fn find(set: &str, component: &str) -> Option<Runner> {
    if set != "vision" {
        return None;
    }
    let run = match component {
        "color.rgb_to_yuv" => rgb_to_yuv,
        "color.yuv_to_rgb" => yuv_to_rgb,
        "color.adjust" => adjust,
        "color.adjust.brightness" => |case: &Case| css(case, Adjust::Brightness),
        "color.adjust.contrast" => |case: &Case| css(case, Adjust::Contrast),
        "color.adjust.invert" => |case: &Case| css(case, Adjust::Invert),
        "color.adjust.saturate" => |case: &Case| css(case, Adjust::Saturate),
        "color.adjust.grayscale" => |case: &Case| css(case, Adjust::Grayscale),
        "color.adjust.sepia" => |case: &Case| css(case, Adjust::Sepia),
        "color.adjust.hue_rotate" => |case: &Case| css(case, Adjust::HueRotate),
        "color.transfer" => curves,
        "color.tonemap" => tone_maps,
        "color.fix" => color_fix,
        "color.lut" => lut,
        _ => return None,
    };
    Some(Runner { run, silent: &[] })
}

/// Columns and rows of an HWC (or HW) picture.
fn size_of(tensor: &Tensor) -> Result<Size, End> {
    match tensor.shape[..] {
        [height, width] | [height, width, 3] => Ok(Size::new(width as u32, height as u32)),
        _ => Err(format!("a picture of shape {:?}", tensor.shape).into()),
    }
}

fn shape_of(size: Size) -> [usize; 3] {
    [size.height as usize, size.width as usize, 3]
}

fn rgb24(tensor: &Tensor) -> Result<Image, End> {
    let desc = ImageDesc {
        size: size_of(tensor)?,
        layout: Layout::Pixels(PixelFormat::RGB24),
        color: ColorSpec::SRGB,
    };
    Ok(Image::host(desc, tensor.as_u8()?.into())?)
}

fn spec(case: &Case) -> Result<(ColorSpec, u8), End> {
    let matrix = match case.text("matrix")? {
        "bt601" => Matrix::Bt601,
        "bt709" => Matrix::Bt709,
        "bt2020nc" => Matrix::Bt2020Ncl,
        other => return Err(format!("unknown matrix {other}").into()),
    };
    let range = match case.text("range")? {
        "limited" => ColorRange::Limited,
        "full" => ColorRange::Full,
        other => return Err(format!("unknown range {other}").into()),
    };
    let color = ColorSpec {
        matrix,
        range,
        ..ColorSpec::default()
    };
    Ok((color, case.whole("bits")? as u8))
}

const SITINGS: [(&str, ChromaLocation); 3] = [
    ("left", ChromaLocation::Left),
    ("center", ChromaLocation::Center),
    ("topleft", ChromaLocation::TopLeft),
];

/// One plane as a tensor of its own size.
fn plane(image: &Image, index: usize) -> Result<Tensor, End> {
    let (bytes, layout) = image.plane(index)?;
    let shape = [layout.rows, layout.row_samples];
    Ok(if image.pixel_format("a plane")?.bits == 8 {
        Tensor::u8(&shape, bytes)
    } else {
        Tensor::u16(&shape, bytemuck::cast_slice(bytes))
    })
}

fn rgb_to_yuv(case: &Case) -> Result<Answer, End> {
    let (color, bits) = spec(case)?;
    let pool = Pool::default();
    let rgb = rgb24(case.input("rgb")?)?;
    let to = |model: ColorModel, chroma: ChromaLocation| -> Result<Image, End> {
        let format = PixelFormat {
            model,
            alpha: false,
            bits,
        };
        let target = ImageDesc {
            size: rgb.size(),
            layout: Layout::Pixels(format),
            color: ColorSpec { chroma, ..color },
        };
        Ok(convert(&rgb, &target, &pool)?)
    };
    let mut answer = Answer::default();
    let full = to(ColorModel::Yuv444, ChromaLocation::Left)?;
    for (index, name) in ["y", "u444", "v444"].into_iter().enumerate() {
        answer.outputs.insert(name.to_owned(), plane(&full, index)?);
    }
    for (name, location) in SITINGS {
        let image = to(ColorModel::Yuv420, location)?;
        if image.plane(0)?.0 != full.plane(0)?.0 {
            return Err("luma depends on the chroma format".into());
        }
        answer.outputs.insert(format!("u420_{name}"), plane(&image, 1)?);
        answer.outputs.insert(format!("v420_{name}"), plane(&image, 2)?);
    }
    Ok(answer)
}

fn yuv_to_rgb(case: &Case) -> Result<Answer, End> {
    let (color, bits) = spec(case)?;
    let pool = Pool::default();
    let size = size_of(case.input("y")?)?;
    let source = |model: ColorModel, chroma: ChromaLocation, planes: [&str; 3]| -> Result<Image, End> {
        let mut bytes = Vec::new();
        for name in planes {
            let tensor = case.input(name)?;
            if bits == 8 {
                bytes.extend(tensor.as_u8()?);
            } else {
                bytes.extend(tensor.as_u16()?.iter().flat_map(|code| code.to_le_bytes()));
            }
        }
        let format = PixelFormat {
            model,
            alpha: false,
            bits,
        };
        let desc = ImageDesc {
            size,
            layout: Layout::Pixels(format),
            color: ColorSpec { chroma, ..color },
        };
        Ok(Image::host(desc, bytes.into())?)
    };
    let to = |image: &Image, layout: Layout, chroma_up: ChromaUp| -> Result<Image, End> {
        let target = ImageDesc {
            size,
            layout,
            color: ColorSpec::SRGB,
        };
        let options = ConvertOptions {
            chroma_up,
            ..ConvertOptions::default()
        };
        Ok(convert_with(image, &target, &options, &pool)?)
    };
    let rgb8 = Layout::Pixels(PixelFormat::RGB24);
    let mut answer = Answer::default();
    let mut give = |name: String, tensor: Tensor| drop(answer.outputs.insert(name, tensor));
    let bytes =
        |image: &Image| -> Result<Tensor, End> { Ok(Tensor::u8(&shape_of(size), image.host_buffer()?.bytes())) };
    let full = source(ColorModel::Yuv444, ChromaLocation::Left, ["y", "u444", "v444"])?;
    give("rgb_444".to_owned(), bytes(&to(&full, rgb8, ChromaUp::Bilinear)?)?);
    for (name, location) in SITINGS {
        let image = source(ColorModel::Yuv420, location, ["y", "u420", "v420"])?;
        give(
            format!("rgb_420_{name}"),
            bytes(&to(&image, rgb8, ChromaUp::Bilinear)?)?,
        );
        if location == ChromaLocation::Left {
            give(
                "rgb_420_nearest".to_owned(),
                bytes(&to(&image, rgb8, ChromaUp::Nearest)?)?,
            );
        }
    }
    if case.outputs.contains_key("rgb_444_f32") {
        let layout = Layout::Tensor {
            channels: 3,
            element: ElementType::F32,
            order: TensorOrder::Hwc,
            range: ValueRange::Unit,
        };
        let image = to(&full, layout, ChromaUp::Bilinear)?;
        give(
            "rgb_444_f32".to_owned(),
            Tensor::f32(&shape_of(size), image.host_buffer()?.samples()),
        );
    }
    if case.outputs.contains_key("rgb_444_u16") {
        let layout = Layout::Pixels(PixelFormat {
            model: ColorModel::Gbr,
            alpha: false,
            bits,
        });
        let image = to(&full, layout, ChromaUp::Bilinear)?;
        let planes = [2, 0, 1].map(|index| {
            image
                .plane(index)
                .map(|(bytes, _)| bytemuck::cast_slice::<u8, u16>(bytes))
        });
        let [r, g, b] = planes;
        let (r, g, b) = (r?, g?, b?);
        let codes: Vec<u16> = (0..r.len()).flat_map(|at| [r[at], g[at], b[at]]).collect();
        give("rgb_444_u16".to_owned(), Tensor::u16(&shape_of(size), &codes));
    }
    Ok(answer)
}

/// An adjustment of an 8-bit picture.
fn adjusted(image: &Image, adjust: Adjust, pool: &Pool) -> Result<Tensor, End> {
    adjust.check()?;
    let out = map_rgb(image, adjust.function(), pool)?;
    Ok(Tensor::u8(&shape_of(image.size()), out.host_buffer()?.bytes()))
}

fn css(case: &Case, adjust: impl Fn(f64) -> Adjust) -> Result<Answer, End> {
    let pool = Pool::default();
    let image = rgb24(case.input("rgb")?)?;
    let mut answer = Answer::default();
    for (index, value) in case.numbers("values")?.into_iter().enumerate() {
        let tensor = adjusted(&image, adjust(value), &pool)?;
        answer.outputs.insert(format!("v{index}"), tensor);
    }
    Ok(answer)
}

fn adjust(case: &Case) -> Result<Answer, End> {
    let pool = Pool::default();
    let image = rgb24(case.input("rgb")?)?;
    let values: Vec<f64> = image
        .host_buffer()?
        .bytes()
        .iter()
        .map(|code| f64::from(*code) / 255.0)
        .collect();
    let channel = |index: usize| values[index..].iter().step_by(3).copied().collect::<Vec<f64>>();
    let channels = [channel(0), channel(1), channel(2)];
    let channels = [0, 1, 2].map(|index| channels[index].as_slice());
    let mut list = vec![
        ("gray_world".to_owned(), gray_world(channels)),
        ("white_patch_p99".to_owned(), white_patch(channels, 99.0)),
    ];
    for (index, value) in case.numbers("gamma")?.into_iter().enumerate() {
        list.push((format!("gamma{index}"), Adjust::Gamma(value)));
    }
    for (index, value) in case.numbers("exposure_ev")?.into_iter().enumerate() {
        list.push((format!("exposure{index}"), Adjust::Exposure(value)));
    }
    for (index, row) in case.rows("temperature_tint")?.into_iter().enumerate() {
        list.push((
            format!("temperature_tint{index}"),
            Adjust::temperature_tint(row[0], row[1]),
        ));
    }
    for (index, row) in case.rows("levels")?.into_iter().enumerate() {
        let levels = Adjust::Levels {
            low: row[0],
            high: row[1],
            mid: row[2],
        };
        list.push((format!("levels{index}"), levels));
    }
    for (index, value) in case.numbers("vibrance")?.into_iter().enumerate() {
        list.push((format!("vibrance{index}"), Adjust::Vibrance(value)));
    }
    let mut answer = Answer::default();
    for (name, adjust) in list {
        answer.outputs.insert(name, adjusted(&image, adjust, &pool)?);
    }
    Ok(answer)
}

fn curves(case: &Case) -> Result<Answer, End> {
    let points = case.input("t")?;
    let values = points.as_f64()?;
    type Curve = fn(f64) -> f64;
    let curves: [(&str, Curve); 6] = [
        ("srgb_eotf", transfer::srgb_eotf),
        ("srgb_oetf", transfer::srgb_oetf),
        ("bt709_oetf", transfer::bt709_oetf),
        ("pq_inverse_eotf", transfer::pq_inverse_eotf),
        ("pq_eotf", transfer::pq_eotf),
        ("hlg_oetf", transfer::hlg_oetf),
    ];
    let mut answer = Answer::default();
    for (name, curve) in curves {
        let out: Vec<f64> = values.iter().map(|value| curve(*value)).collect();
        answer.outputs.insert(name.to_owned(), Tensor::f64(&points.shape, &out));
    }
    Ok(answer)
}

fn tone_maps(case: &Case) -> Result<Answer, End> {
    let light = case.input("hdr")?;
    let values = light.as_f64()?;
    let maps = [
        ("reinhard", ToneMap::Reinhard),
        (
            "reinhard_extended_luma",
            ToneMap::ReinhardExtended {
                white: case.number("white")?,
            },
        ),
        (
            "hable",
            ToneMap::Hable {
                exposure_bias: case.number("exposure_bias")?,
            },
        ),
        ("aces_fit", ToneMap::Aces),
    ];
    let mut answer = Answer::default();
    for (name, map) in maps {
        let out: Vec<f64> = values
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|rgb| map.apply(*rgb))
            .collect();
        answer.outputs.insert(name.to_owned(), Tensor::f64(&light.shape, &out));
    }
    Ok(answer)
}

fn color_fix(case: &Case) -> Result<Answer, End> {
    let (content, style) = (case.input("content")?, case.input("style")?);
    let [3, height, width] = content.shape[..] else {
        return Err("the content is not three planes".into());
    };
    let reference = style.as_f32()?;
    let mut answer = Answer::default();
    let mut adain = content.as_f32()?;
    fix::adain(&mut adain, &reference)?;
    answer
        .outputs
        .insert("adain".to_owned(), Tensor::f32(&content.shape, &adain));
    let mut wavelet = content.as_f32()?;
    let size = Size::new(width as u32, height as u32);
    fix::wavelet(&mut wavelet, &reference, size, case.whole("levels")? as u32)?;
    answer
        .outputs
        .insert("wavelet".to_owned(), Tensor::f32(&content.shape, &wavelet));
    Ok(answer)
}

fn lut(case: &Case) -> Result<Answer, End> {
    let path = case.folder.join("lut.cube");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("lut.cube: {error}"))?;
    let lut: Lut = text.parse()?;
    if lut.size() != case.whole("size")? {
        return Err(format!("the table has a size of {}", lut.size()).into());
    }
    let colors = case.input("rgb")?;
    let desc = ImageDesc {
        size: size_of(colors)?,
        layout: Layout::Tensor {
            channels: 3,
            element: ElementType::F32,
            order: TensorOrder::Hwc,
            range: ValueRange::Unit,
        },
        color: ColorSpec::SRGB,
    };
    let bytes: Vec<u8> = colors.as_f32()?.iter().flat_map(|value| value.to_le_bytes()).collect();
    let image = Image::host(desc, bytes.into())?;
    let pool = Pool::default();
    let mut answer = Answer::default();
    let names: &[(&str, Interpolation)] = if lut.is_cube() {
        &[
            ("trilinear", Interpolation::Trilinear),
            ("tetrahedral", Interpolation::Tetrahedral),
        ]
    } else {
        &[("out", Interpolation::Trilinear)]
    };
    for (name, interpolation) in names {
        let out = map_rgb(&image, |rgb| lut.apply(rgb, *interpolation), &pool)?;
        let tensor = Tensor::f32(&colors.shape, out.host_buffer()?.samples());
        answer.outputs.insert((*name).to_owned(), tensor);
    }
    Ok(answer)
}
