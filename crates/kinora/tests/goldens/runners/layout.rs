//! `frame.layout`: the arrangements of the same samples.

use kinora_frame::{
    ColorSpec, Image, ImageDesc, Layout, PixelFormat, Pool, Size, ValueRange, convert, to_bgra, to_semi_planar,
};

use super::{Answer, End, Runner};
use crate::{case::Case, tensor::Tensor};

pub fn find(set: &str, component: &str) -> Option<Runner> {
    (set == "vision" && component == "frame.layout").then_some(Runner { run, silent: &[] })
}

fn image(size: Size, format: PixelFormat, color: ColorSpec, bytes: Vec<u8>) -> Result<Image, End> {
    let desc = ImageDesc {
        size,
        layout: Layout::Pixels(format),
        color,
    };
    Ok(Image::host(desc, bytes.into())?)
}

fn run(case: &Case) -> Result<Answer, End> {
    let pool = Pool::default();
    let size = Size::new(case.whole("width")? as u32, case.whole("height")? as u32);
    let (width, height) = (size.width as usize, size.height as usize);
    let mut planes = Vec::new();
    let mut deep = Vec::new();
    for name in ["y", "u", "v"] {
        planes.extend(case.input(name)?.as_u8()?);
        let codes = case.input(&format!("{name}10"))?.as_u16()?;
        deep.extend(codes.iter().flat_map(|code| code.to_le_bytes()));
    }
    let i420 = image(size, PixelFormat::YUV420P, ColorSpec::BT709, planes)?;
    let deep = image(size, PixelFormat::YUV420P10, ColorSpec::BT709, deep)?;
    let rgb = image(size, PixelFormat::RGB24, ColorSpec::SRGB, case.input("rgb")?.as_u8()?)?;
    let mut answer = Answer::default();
    let mut give = |name: &str, tensor: Tensor| drop(answer.outputs.insert(name.to_owned(), tensor));
    let bytes = i420.host_buffer()?.bytes();
    give("i420", Tensor::u8(&[bytes.len()], bytes));
    let nv12 = to_semi_planar(&i420, &pool)?;
    give("nv12", Tensor::u8(&[nv12.bytes().len()], nv12.bytes()));
    let p010 = to_semi_planar(&deep, &pool)?;
    give("p010le", Tensor::u16(&[p010.samples::<u16>().len()], p010.samples()));
    give("bgra", Tensor::u8(&[height, width, 4], to_bgra(&rgb, &pool)?.bytes()));
    for (name, range) in [
        ("chw_f32", ValueRange::Unit),
        ("chw_pm1_f32", ValueRange::SymmetricUnit),
    ] {
        let Layout::Tensor {
            channels,
            element,
            order,
            ..
        } = Layout::RGB_F32
        else {
            return Err("Layout::RGB_F32 is no tensor".into());
        };
        let layout = Layout::Tensor {
            channels,
            element,
            order,
            range,
        };
        let tensor = convert(&rgb, &ImageDesc { layout, ..*rgb.desc() }, &pool)?;
        give(name, Tensor::f32(&[3, height, width], tensor.host_buffer()?.samples()));
    }
    Ok(answer)
}
