//! Opacity as a picture of its own, so that a network can see colour and opacity apart.

use super::convert;
use crate::{ColorModel, ColorRange, FrameError, Image, ImageDesc, Layout, PixelFormat, Pool};

/// The opacity of a picture as a gray picture of the same depth and full range; `None` where it has none.
///
/// # Errors
/// [`FrameError::WrongLayout`] for a tensor, [`FrameError::OnDevice`] for pixels elsewhere.
pub fn alpha_plane(image: &Image, pool: &Pool) -> Result<Option<Image>, FrameError> {
    let format = image.pixel_format("taking the opacity")?;
    if !format.alpha {
        return Ok(None);
    }
    let desc = gray(image, format);
    let mut buffer = pool.take(desc.layout.bytes(desc.size)?);
    if format.model == ColorModel::Rgb {
        let step = format.sample_bytes();
        let (bytes, _) = image.plane(0)?;
        for (out, pixel) in buffer
            .bytes_mut()
            .chunks_exact_mut(step)
            .zip(bytes.chunks_exact(4 * step))
        {
            out.copy_from_slice(&pixel[3 * step..]);
        }
    } else {
        let (bytes, _) = image.plane(format.planes() - 1)?;
        buffer.bytes_mut().copy_from_slice(bytes);
    }
    Image::host(desc, buffer.freeze()).map(Some)
}

/// The picture with this opacity: a gray picture of the same size and full range, of any depth.
///
/// # Errors
/// As [`alpha_plane`]; [`FrameError::BadParameter`] for another size.
pub fn with_alpha(image: &Image, alpha: &Image, pool: &Pool) -> Result<Image, FrameError> {
    let format = image.pixel_format("setting the opacity")?;
    let alpha = convert(alpha, &gray(image, format), pool)?;
    let (opacity, _) = alpha.plane(0)?;
    let target = PixelFormat { alpha: true, ..format };
    let desc = ImageDesc {
        layout: Layout::Pixels(target),
        ..*image.desc()
    };
    let step = format.sample_bytes();
    let mut buffer = pool.take(desc.layout.bytes(desc.size)?);
    let bytes = image.host_buffer()?.bytes();
    if format.model == ColorModel::Rgb {
        let channels = if format.alpha { 4 } else { 3 };
        let pixels = bytes.chunks_exact(channels * step).zip(opacity.chunks_exact(step));
        for (out, (pixel, alpha)) in buffer.bytes_mut().chunks_exact_mut(4 * step).zip(pixels) {
            let (color, last) = out.split_at_mut(3 * step);
            color.copy_from_slice(&pixel[..3 * step]);
            last.copy_from_slice(alpha);
        }
    } else {
        let (color, last) = buffer
            .bytes_mut()
            .split_at_mut(desc.layout.bytes(desc.size)? - opacity.len());
        color.copy_from_slice(&bytes[..color.len()]);
        last.copy_from_slice(opacity);
    }
    Image::host(desc, buffer.freeze())
}

fn gray(image: &Image, format: PixelFormat) -> ImageDesc {
    let mut color = image.color();
    color.range = ColorRange::Full;
    ImageDesc {
        size: image.size(),
        layout: Layout::Pixels(PixelFormat {
            model: ColorModel::Gray,
            alpha: false,
            bits: format.bits,
        }),
        color,
    }
}
