//! Conversion between pixel formats and tensors: matrix, range, depth and chroma siting.
//!
//! Definitions (f64 in words, f32 in code): luma `Y = Kr R + Kg G + Kb B`, chroma `(B - Y) / (2 (1 - Kb))` and
//! `(R - Y) / (2 (1 - Kr))`; limited range of n bits `(219 Y + 16) 2^(n-8)` and `(224 C + 128) 2^(n-8)`, full range
//! `Y (2^n - 1)` and `C (2^n - 1) + 2^(n-1)`; rounding `floor(v + 0.5)`, then clamp. RGB and alpha are always full
//! range. Chroma goes up by bilinear weights at its siting; it goes down by a mean across two samples where it sits
//! between them, and by 1-2-1 weights where it sits on one; edges repeat.

mod alpha;
mod coefficients;
mod exact;
pub(crate) mod kernels;
mod source;
mod target;
mod tensor;

pub use alpha::{alpha_plane, with_alpha};

use crate::{ColorSpec, FrameError, Image, ImageDesc, Layout, PixelFormat, Pool, Size, TensorOrder};
use source::Source;
use target::{Band, PAD, PlaneRows, SCRATCH_ROWS, Target};

/// How missing chroma samples are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ChromaUp {
    /// Bilinear at the chroma siting.
    #[default]
    Bilinear,
    /// The sample of the same block, as fast players do.
    Nearest,
}

/// How to convert, beside from what to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvertOptions {
    /// Threads to split the rows over, at least 1. The result does not depend on it.
    pub threads: usize,
    /// How missing chroma samples are made.
    pub chroma_up: ChromaUp,
    /// Clamp tensors to their interval. Video has codes outside it, and a tensor keeps them otherwise.
    pub clamp: bool,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        Self {
            threads: 1,
            chroma_up: ChromaUp::Bilinear,
            clamp: false,
        }
    }
}

/// The picture in another layout and colour description of the same size, on the calling thread.
///
/// Alpha is kept where both sides have it, dropped where the target has none, and opaque where the source has none.
/// A luma target keeps luma and chroma as they are where the matrix stays (out-of-gamut codes survive); everything
/// else goes through RGB, clamped to 0..1 on the way to pixels. Primaries and transfer are not converted.
///
/// # Errors
/// [`FrameError::BadParameter`] for another size or a matrix without luma weights, [`FrameError::WrongLayout`] for a
/// tensor that is no picture, [`FrameError::OnDevice`] for pixels that are not in host memory.
pub fn convert(image: &Image, target: &ImageDesc, pool: &Pool) -> Result<Image, FrameError> {
    convert_with(image, target, &ConvertOptions::default(), pool)
}

/// [`convert`] to planar float RGB in 0..1, the description of colour kept for the way back.
///
/// # Errors
/// As [`convert`].
pub fn to_tensor(image: &Image, pool: &Pool) -> Result<Image, FrameError> {
    let target = ImageDesc {
        layout: Layout::RGB_F32,
        ..*image.desc()
    };
    convert(image, &target, pool)
}

/// [`convert`] to pixels.
///
/// # Errors
/// As [`convert`].
pub fn to_pixels(image: &Image, format: PixelFormat, color: ColorSpec, pool: &Pool) -> Result<Image, FrameError> {
    let target = ImageDesc {
        size: image.size(),
        layout: Layout::Pixels(format),
        color,
    };
    convert(image, &target, pool)
}

/// [`convert`] with a choice of threads and filters.
///
/// # Errors
/// As [`convert`].
pub fn convert_with(
    image: &Image,
    target: &ImageDesc,
    options: &ConvertOptions,
    pool: &Pool,
) -> Result<Image, FrameError> {
    if image.size() != target.size {
        return Err(FrameError::BadParameter {
            name: "target size of a conversion",
            expected: "the picture's own size (resize first)",
            found: format!("{} for a picture of {}", target.size, image.size()),
        });
    }
    if image.desc() == target && !(options.clamp && matches!(target.layout, Layout::Tensor { .. })) {
        return Ok(image.clone());
    }
    let source = Source::new(image, options.chroma_up)?;
    let writer = Target::new(image.desc(), target, options.clamp)?;
    let mut buffer = pool.take(target.layout.bytes(target.size)?);
    let bands = split(buffer.bytes_mut(), target, options.threads);
    let scratch = || pool.take((target.size.width as usize + PAD) * SCRATCH_ROWS * size_of::<f32>());
    std::thread::scope(|scope| {
        let mut bands = bands.into_iter();
        let own = bands.next();
        for band in bands {
            let (source, writer) = (&source, &writer);
            let mut rows = scratch();
            scope.spawn(move || writer.write(source, band, rows.samples_mut(), pool));
        }
        if let Some(band) = own {
            writer.write(&source, band, scratch().samples_mut(), pool);
        }
    });
    Image::host(*target, buffer.freeze())
}

/// Row bytes and vertical shift of each plane of a target.
fn plane_rows(target: &ImageDesc) -> [PlaneRows; 4] {
    let mut planes = [PlaneRows::default(); 4];
    match target.layout {
        Layout::Pixels(format) => {
            for (index, plane) in planes.iter_mut().enumerate().take(format.planes()) {
                let samples = format.plane(target.size, index).map_or(0, |layout| layout.row_samples);
                plane.row_bytes = samples * format.sample_bytes();
                plane.shift_y = if matches!(index, 1 | 2) {
                    format.chroma_shift().1
                } else {
                    0
                };
            }
        }
        Layout::Tensor { channels, order, .. } => {
            let row = Size::new(target.size.width, 1);
            let all = target.layout.bytes(row).unwrap_or(0);
            match order {
                TensorOrder::Hwc => planes[0].row_bytes = all,
                TensorOrder::Chw => {
                    for plane in planes.iter_mut().take(channels as usize) {
                        plane.row_bytes = all / channels as usize;
                    }
                }
            }
        }
    }
    planes
}

/// Cuts a picture into at most `threads` bands of whole pairs of rows.
fn split<'t>(bytes: &'t mut [u8], target: &ImageDesc, threads: usize) -> Vec<Band<'t>> {
    let planes = plane_rows(target);
    let height = target.size.height as usize;
    let mut rest: [&mut [u8]; 4] = Default::default();
    let mut bytes = bytes;
    for (plane, rest) in planes.iter().zip(&mut rest) {
        let (head, tail) = bytes.split_at_mut(plane.row_bytes * height.div_ceil(1 << plane.shift_y));
        (*rest, bytes) = (head, tail);
    }
    let pairs = height.div_ceil(2);
    let bands = threads.clamp(1, pairs);
    let mut out = Vec::with_capacity(bands);
    let mut first = 0;
    for index in 1..=bands {
        let end = (pairs * index / bands * 2).min(height);
        let rows = end - first;
        let mut cut: [&mut [u8]; 4] = Default::default();
        for ((plane, rest), cut) in planes.iter().zip(&mut rest).zip(&mut cut) {
            let length = plane.row_bytes * rows.div_ceil(1 << plane.shift_y);
            let (head, tail) = std::mem::take(rest).split_at_mut(length);
            (*cut, *rest) = (head, tail);
        }
        out.push(Band {
            first,
            rows,
            planes: cut,
        });
        first = end;
    }
    out
}

#[cfg(test)]
mod tests;
