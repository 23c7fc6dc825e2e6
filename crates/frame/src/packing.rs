//! The same samples in the arrangements that hardware, browsers and other libraries ask for.
//!
//! An 8-bit 4:2:0 picture as it lies in memory is `i420` already; planar float tensors are made by
//! [`convert`](crate::convert).

use crate::{ColorModel, ColorSpec, FrameError, HostBuffer, Image, ImageDesc, Layout, PixelFormat, Pool, Size};

/// `nv12` (8 bits: luma, then interleaved U and V) or `p010le` (10 bits: the same, values in the high bits) of a 4:2:0
/// picture.
///
/// # Errors
/// [`FrameError::UnsupportedFormat`] for any other format, [`FrameError::OnDevice`].
pub fn to_semi_planar(image: &Image, pool: &Pool) -> Result<HostBuffer, FrameError> {
    let format = image.pixel_format("packing")?;
    let mut buffer = pool.take(check(format)?.frame_bytes(image.size())?);
    let [(y, _), (u, _), (v, _)] = [image.plane(0)?, image.plane(1)?, image.plane(2)?];
    let (luma, chroma) = buffer.bytes_mut().split_at_mut(y.len());
    if format.bits == 8 {
        luma.copy_from_slice(y);
        for ((pair, u), v) in chroma.chunks_exact_mut(2).zip(u).zip(v) {
            pair.copy_from_slice(&[*u, *v]);
        }
    } else {
        let words = bytemuck::cast_slice::<u8, u16>;
        for (out, code) in bytemuck::cast_slice_mut::<u8, u16>(luma).iter_mut().zip(words(y)) {
            *out = code << 6;
        }
        let pairs = bytemuck::cast_slice_mut::<u8, u16>(chroma).chunks_exact_mut(2);
        for ((pair, u), v) in pairs.zip(words(u)).zip(words(v)) {
            pair.copy_from_slice(&[u << 6, v << 6]);
        }
    }
    Ok(buffer.freeze())
}

/// The 4:2:0 picture that `nv12` (`format` [`PixelFormat::YUV420P`]) or `p010le` ([`PixelFormat::YUV420P10`]) bytes
/// hold.
///
/// # Errors
/// [`FrameError::UnsupportedFormat`] for any other format, [`FrameError::BufferSize`] for another length.
pub fn from_semi_planar(
    bytes: &[u8],
    size: Size,
    format: PixelFormat,
    color: ColorSpec,
    pool: &Pool,
) -> Result<Image, FrameError> {
    let expected = check(format)?.frame_bytes(size)?;
    if bytes.len() != expected {
        return Err(FrameError::BufferSize {
            size,
            what: if format.bits == 8 { "nv12" } else { "p010" }.to_owned(),
            expected,
            found: bytes.len(),
        });
    }
    let mut buffer = pool.take(expected);
    let luma = size.width as usize * size.height as usize * format.sample_bytes();
    let (y, chroma) = buffer.bytes_mut().split_at_mut(luma);
    let (u, v) = chroma.split_at_mut(chroma.len() / 2);
    let step = format.sample_bytes();
    y.copy_from_slice(&bytes[..luma]);
    let planes = u.chunks_exact_mut(step).zip(v.chunks_exact_mut(step));
    for ((u, v), pair) in planes.zip(bytes[luma..].chunks_exact(2 * step)) {
        u.copy_from_slice(&pair[..step]);
        v.copy_from_slice(&pair[step..]);
    }
    if format.bits == 10 {
        for code in buffer.samples_mut::<u16>() {
            *code >>= 6;
        }
    }
    let desc = ImageDesc {
        size,
        layout: Layout::Pixels(format),
        color,
    };
    Image::host(desc, buffer.freeze())
}

/// `bgra` of 8-bit interleaved RGB; opaque where the picture has no alpha.
///
/// # Errors
/// [`FrameError::UnsupportedFormat`] for any other format, [`FrameError::OnDevice`].
pub fn to_bgra(image: &Image, pool: &Pool) -> Result<HostBuffer, FrameError> {
    let format = image.pixel_format("packing")?;
    if !matches!(format, PixelFormat::RGB24 | PixelFormat::RGBA) {
        return Err(FrameError::UnsupportedFormat {
            operation: "packing as bgra",
            format,
            accepts: "rgb24 and rgba",
        });
    }
    let mut buffer = pool.take(PixelFormat::RGBA.frame_bytes(image.size())?);
    let channels = if format.alpha { 4 } else { 3 };
    let pixels = image.host_buffer()?.bytes().chunks_exact(channels);
    for (out, pixel) in buffer.bytes_mut().chunks_exact_mut(4).zip(pixels) {
        let alpha = pixel.get(3).copied().unwrap_or(u8::MAX);
        out.copy_from_slice(&[pixel[2], pixel[1], pixel[0], alpha]);
    }
    Ok(buffer.freeze())
}

fn check(format: PixelFormat) -> Result<PixelFormat, FrameError> {
    if format.model == ColorModel::Yuv420 && !format.alpha && matches!(format.bits, 8 | 10) {
        Ok(format)
    } else {
        Err(FrameError::UnsupportedFormat {
            operation: "packing as nv12 or p010",
            format,
            accepts: "yuv420p and yuv420p10",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semi_planar_and_back_gives_the_same_bytes() {
        let pool = Pool::default();
        for format in [PixelFormat::YUV420P, PixelFormat::YUV420P10] {
            for size in [Size::new(1, 1), Size::new(7, 9), Size::new(8, 2)] {
                let desc = ImageDesc {
                    size,
                    layout: Layout::Pixels(format),
                    color: ColorSpec::BT709,
                };
                let mut bytes: Vec<u8> = (0..desc.layout.bytes(size).unwrap()).map(|i| (i * 31) as u8).collect();
                if format.bits == 10 {
                    bytes.chunks_exact_mut(2).for_each(|pair| pair[1] &= 3);
                }
                let image = Image::host(desc, bytes.clone().into()).unwrap();
                let packed = to_semi_planar(&image, &pool).unwrap();
                let back = from_semi_planar(packed.bytes(), size, format, ColorSpec::BT709, &pool).unwrap();
                assert_eq!(back.host_buffer().unwrap().bytes(), bytes);
                assert!(from_semi_planar(&packed.bytes()[1..], size, format, ColorSpec::BT709, &pool).is_err());
            }
        }
    }

    #[test]
    fn other_formats_are_refused_with_what_works() {
        let pool = Pool::default();
        let desc = ImageDesc {
            size: Size::new(2, 2),
            layout: Layout::Pixels(PixelFormat::YUV444P),
            color: ColorSpec::BT709,
        };
        let image = Image::host(desc, vec![0; 12].into()).unwrap();
        let error = to_semi_planar(&image, &pool).unwrap_err().to_string();
        assert!(error.contains("yuv420p10"), "{error}");
        assert!(to_bgra(&image, &pool).is_err());
    }
}
