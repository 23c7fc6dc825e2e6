//! A function of a pixel applied to a picture.

use crate::{
    ColorModel, ElementType, FrameError, Image, Layout, Pool, TensorOrder, ValueRange, convert::kernels::Sample,
};

/// The picture with `function` applied to every pixel's RGB in 0..1.
///
/// Takes interleaved RGB of 8 and 16 bits (opacity is kept; results are rounded by `floor(v + 0.5)` and clamped) and
/// float tensors of three or four planes or channels in 0..1 (not clamped). Convert other pictures first.
///
/// # Errors
/// [`FrameError::UnsupportedFormat`], [`FrameError::WrongLayout`], [`FrameError::OnDevice`].
pub fn map_rgb(image: &Image, function: impl Fn([f64; 3]) -> [f64; 3], pool: &Pool) -> Result<Image, FrameError> {
    let desc = *image.desc();
    let input = image.host_buffer()?;
    let mut buffer = pool.take(desc.layout.bytes(desc.size)?);
    match desc.layout {
        Layout::Pixels(format) if format.model == ColorModel::Rgb => {
            let channels = if format.alpha { 4 } else { 3 };
            if format.bits == 8 {
                map_codes(
                    input.samples::<u8>(),
                    buffer.samples_mut(),
                    channels,
                    u8::MAX.into(),
                    function,
                );
            } else {
                map_codes(
                    input.samples::<u16>(),
                    buffer.samples_mut(),
                    channels,
                    u16::MAX,
                    function,
                );
            }
        }
        Layout::Pixels(format) => {
            return Err(FrameError::UnsupportedFormat {
                operation: "an adjustment of colour",
                format,
                accepts: "rgb24, rgba, rgb48, rgba64 or a float tensor",
            });
        }
        Layout::Tensor {
            channels: channels @ (3 | 4),
            element: ElementType::F32,
            order,
            range: ValueRange::Unit,
        } => {
            let (step, plane) = match order {
                TensorOrder::Chw => (1, desc.size.width as usize * desc.size.height as usize),
                TensorOrder::Hwc => (channels as usize, 1),
            };
            let (input, out) = (input.samples::<f32>(), buffer.samples_mut::<f32>());
            out.copy_from_slice(input);
            let pixels = input.len() / channels as usize;
            for pixel in 0..pixels {
                let at = [0, 1, 2].map(|channel| pixel * step + channel * plane);
                let values = function(at.map(|index| f64::from(input[index])));
                for (index, value) in at.into_iter().zip(values) {
                    out[index] = value as f32;
                }
            }
        }
        Layout::Tensor { .. } => {
            return Err(FrameError::WrongLayout {
                operation: "an adjustment of colour",
                expected: "interleaved RGB, or a float tensor of 3 or 4 channels in 0..1",
                found: desc.layout.to_string(),
            });
        }
    }
    Image::host(desc, buffer.freeze())
}

fn map_codes<T: Sample>(
    input: &[T],
    out: &mut [T],
    channels: usize,
    max: u16,
    function: impl Fn([f64; 3]) -> [f64; 3],
) {
    let scale = f64::from(max);
    out.copy_from_slice(input);
    for (out, pixel) in out.chunks_exact_mut(channels).zip(input.chunks_exact(channels)) {
        let rgb = function([0, 1, 2].map(|channel| f64::from(pixel[channel].to_f32()) / scale));
        for (out, value) in out.iter_mut().zip(rgb) {
            // The half is added in f64, where the definition adds it: an f32 could round a near-half up.
            let code = (value.clamp(0.0, 1.0) * scale + 0.5).floor();
            *out = T::from_code(code as i32);
        }
    }
}
