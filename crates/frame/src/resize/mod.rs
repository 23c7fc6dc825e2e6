//! Resampling: antialiased filters, and the modes of PyTorch and OpenCV for preprocessing that must match them.
//!
//! All of it is separable: each axis is a window and weights an output sample (computed in f64), applied in f32 to
//! float samples and in f64 to codes, so that the result is the rounded exact one.

mod axis;
mod fit;
mod plane;

pub use fit::{Cover, Placement, contain, cover};

use crate::{
    ChromaLocation, ColorModel, ElementType, FrameError, Image, ImageDesc, Layout, PixelFormat, Pool, Size,
    TensorOrder, convert::kernels::Sample,
};
use axis::{Axis, Span, cubic, sinc};
use plane::{Element, Grid, Widen};

/// A resampling kernel that widens where the picture shrinks, so that nothing aliases. The same definitions as
/// Pillow's and as PyTorch's `antialias=True`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Mean of the covered samples.
    Box,
    /// Triangle.
    Bilinear,
    /// Hamming-windowed sinc of one lobe.
    Hamming,
    /// Keys' cubic, a = -0.5 (Catmull-Rom).
    Bicubic,
    /// Lanczos of three lobes: the default for pictures.
    Lanczos3,
    /// Mitchell-Netravali, B = C = 1/3.
    Mitchell,
}

impl Filter {
    /// Half width in samples at scale 1.
    #[must_use]
    pub const fn support(self) -> f64 {
        match self {
            Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic | Self::Mitchell => 2.0,
            Self::Lanczos3 => 3.0,
        }
    }

    /// The kernel at a distance of `x` samples.
    #[must_use]
    pub fn weight(self, x: f64) -> f64 {
        let distance = x.abs();
        match self {
            Self::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Self::Bilinear => (1.0 - distance).max(0.0),
            Self::Hamming if distance >= 1.0 => 0.0,
            Self::Hamming => sinc(x) * (0.54 + 0.46 * (std::f64::consts::PI * x).cos()),
            Self::Bicubic => cubic(x, -0.5),
            Self::Lanczos3 if distance >= 3.0 => 0.0,
            Self::Lanczos3 => sinc(x) * sinc(x / 3.0),
            Self::Mitchell => {
                let (d, d2, d3) = (distance, distance * distance, distance * distance * distance);
                if d < 1.0 {
                    (7.0 * d3 - 12.0 * d2 + 16.0 / 3.0) / 6.0
                } else if d < 2.0 {
                    (-7.0 / 3.0 * d3 + 12.0 * d2 - 20.0 * d + 32.0 / 3.0) / 6.0
                } else {
                    0.0
                }
            }
        }
    }
}

/// How to resample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resample {
    /// An antialiased filter.
    Filter(Filter),
    /// Sample `floor(i * in / out)`, exact: PyTorch's `nearest`.
    Nearest,
    /// Sample `floor(i * in / out)` in OpenCV's float steps: its `INTER_NEAREST`.
    OpenCvNearest,
    /// Sample `floor((i + 0.5) * in / out)`: PyTorch's `nearest-exact`.
    NearestExact,
    /// Two taps, pixel centres aligned, no antialiasing: PyTorch's `bilinear`, OpenCV's `INTER_LINEAR`.
    Linear,
    /// Two taps, corner pixels aligned: PyTorch's `bilinear` with `align_corners=True`.
    LinearCorners,
    /// Four taps, a = -0.75, no antialiasing: PyTorch's `bicubic`, OpenCV's `INTER_CUBIC`.
    Cubic,
    /// Mean of the window `floor(i * in / out)..ceil((i + 1) * in / out)`: PyTorch's `area`.
    Area,
    /// OpenCV's `INTER_AREA`: exact cover where neither side grows, else two taps.
    OpenCvArea,
    /// Eight taps, no antialiasing: OpenCV's `INTER_LANCZOS4`.
    Lanczos4,
}

impl From<Filter> for Resample {
    fn from(filter: Filter) -> Self {
        Self::Filter(filter)
    }
}

/// A picture resampled to another size; layout and colour stay.
///
/// Every plane is resampled in its own code values, chroma at its siting: a chroma sample of the result takes the
/// place that its luma samples take. Pixels are rounded by `floor(v + 0.5)` and clamped; tensors are not clamped.
/// Colour and opacity are resampled apart.
///
/// # Errors
/// [`FrameError::BadSize`], [`FrameError::OnDevice`], and [`FrameError::WrongLayout`] for a tensor of half floats.
pub fn resize(image: &Image, size: Size, method: impl Into<Resample>, pool: &Pool) -> Result<Image, FrameError> {
    let method = method.into();
    size.check()?;
    // Mitchell softens at every scale; everything else gives the samples back where the size stays.
    if size == image.size() && method != Resample::Filter(Filter::Mitchell) {
        return Ok(image.clone());
    }
    let desc = ImageDesc { size, ..*image.desc() };
    let mut buffer = pool.take(desc.layout.bytes(size)?);
    let (input, output) = (image.host_buffer()?.bytes(), buffer.bytes_mut());
    match desc.layout {
        Layout::Pixels(format) if format.sample_bytes() == 1 => {
            pixels::<u8>(image, format, size, method, output, pool)?;
        }
        Layout::Pixels(format) => pixels::<u16>(image, format, size, method, bytemuck::cast_slice_mut(output), pool)?,
        Layout::Tensor {
            channels,
            element,
            order,
            ..
        } => {
            let (planes, interleaved) = match order {
                TensorOrder::Chw => (channels as usize, 1),
                TensorOrder::Hwc => (1, channels as usize),
            };
            let from = Grid::new(image.size().width, image.size().height, interleaved);
            let to = Grid::new(size.width, size.height, interleaved);
            match element {
                ElementType::F32 => {
                    let (input, output) = (bytemuck::cast_slice(input), bytemuck::cast_slice_mut(output));
                    tensor::<f32>(input, output, planes, from, to, method, pool);
                }
                ElementType::U8 => tensor::<u8>(input, output, planes, from, to, method, pool),
                ElementType::F16 => {
                    return Err(FrameError::WrongLayout {
                        operation: "resizing",
                        expected: "pixels, or a tensor of f32 or u8",
                        found: desc.layout.to_string(),
                    });
                }
            }
        }
    }
    Image::host(desc, buffer.freeze())
}

/// Resamples interleaved samples of any channel count: `input` has `from.height` rows of `from.width * channels`.
///
/// Codes are computed in f64, rounded by `floor(v + 0.5)` and clamped; floats are computed in f32, not clamped.
///
/// # Errors
/// [`FrameError::BadSize`], and [`FrameError::BadParameter`] when a slice has another length.
pub fn resize_samples<T: ResizeSample>(
    input: &[T],
    from: Size,
    channels: usize,
    output: &mut [T],
    to: Size,
    method: impl Into<Resample>,
    pool: &Pool,
) -> Result<(), FrameError> {
    check_samples(input.len(), from, channels, "input")?;
    check_samples(output.len(), to, channels, "output")?;
    let from = Grid::new(from.width, from.height, channels);
    let to = Grid::new(to.width, to.height, channels);
    T::run(input, output, from, to, method.into(), pool);
    Ok(())
}

/// Resamples 8-bit samples as Pillow does: the first pass is rounded and clamped to 8 bits before the second.
/// For preprocessing that must see the pixels the original saw; otherwise use [`resize_samples`].
///
/// # Errors
/// As [`resize_samples`].
pub fn resize_pillow_u8(
    input: &[u8],
    from: Size,
    channels: usize,
    output: &mut [u8],
    to: Size,
    filter: Filter,
    pool: &Pool,
) -> Result<(), FrameError> {
    // The pass that comes first, as Pillow chooses it: down where that takes away more than twice as many rows as the
    // pass across takes away columns. Worked out from the results of Pillow 13.
    let (rows, columns) = (
        i64::from(from.height) - i64::from(to.height),
        i64::from(from.width) - i64::from(to.width),
    );
    let middle = if rows > 0 && rows > 2 * columns {
        Size::new(from.width, to.height)
    } else {
        Size::new(to.width, from.height)
    };
    middle.check()?;
    check_samples(input.len(), from, channels, "input")?;
    check_samples(output.len(), to, channels, "output")?;
    let mut rows = pool.take(middle.width as usize * middle.height as usize * channels);
    let grid = |size: Size| Grid::new(size.width, size.height, channels);
    let method = Resample::Filter(filter);
    let (from, middle, to) = (grid(from), grid(middle), grid(to));
    plane::resample::<u8, i32>(
        input,
        from,
        rows.bytes_mut(),
        middle,
        &axes(from, middle, method),
        u8::MAX.into(),
        pool,
    );
    plane::resample::<u8, i32>(
        rows.bytes(),
        middle,
        output,
        to,
        &axes(middle, to, method),
        u8::MAX.into(),
        pool,
    );
    Ok(())
}

fn check_samples(found: usize, size: Size, channels: usize, name: &'static str) -> Result<(), FrameError> {
    size.check()?;
    let expected = usize::try_from(size.pixels())
        .ok()
        .and_then(|pixels| pixels.checked_mul(channels));
    if channels > 0 && expected == Some(found) {
        return Ok(());
    }
    Err(FrameError::BadParameter {
        name,
        expected: "width x height x channels samples",
        found: format!("{found} samples for {size} x {channels}"),
    })
}

/// Samples that can be resampled. Sealed.
pub trait ResizeSample: private::Sealed + Sized {
    #[doc(hidden)]
    fn run(input: &[Self], output: &mut [Self], from: Grid, to: Grid, method: Resample, pool: &Pool);
}

mod private {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for u16 {}
    impl Sealed for f32 {}
}

macro_rules! resize_sample {
    ($($sample:ty, $accumulator:ty;)*) => {
        $(impl ResizeSample for $sample {
            fn run(input: &[Self], output: &mut [Self], from: Grid, to: Grid, method: Resample, pool: &Pool) {
                let axes = axes(from, to, method);
                plane::resample::<Self, $accumulator>(input, from, output, to, &axes, Self::LARGEST, pool);
            }
        })*
    };
}

resize_sample! {
    u8, f64;
    u16, f64;
    f32, f32;
}

fn axes(from: Grid, to: Grid, method: Resample) -> [Axis; 2] {
    let shrink = from.width >= to.width && from.height >= to.height;
    [
        Axis::new(Span::new(from.width, to.width), method, shrink),
        Axis::new(Span::new(from.height, to.height), method, shrink),
    ]
}

fn tensor<T: Element + Widen<f32>>(
    input: &[T],
    output: &mut [T],
    planes: usize,
    from: Grid,
    to: Grid,
    method: Resample,
    pool: &Pool,
) {
    let axes = axes(from, to, method);
    let pairs = input
        .chunks_exact(from.samples())
        .zip(output.chunks_exact_mut(to.samples()));
    for (input, output) in pairs.take(planes) {
        plane::resample::<T, f32>(input, from, output, to, &axes, T::LARGEST, pool);
    }
}

fn pixels<T: Sample + Element + Widen<f64>>(
    image: &Image,
    format: PixelFormat,
    size: Size,
    method: Resample,
    output: &mut [T],
    pool: &Pool,
) -> Result<(), FrameError> {
    let max = format.max_code() as u16;
    let channels = match (format.model, format.alpha) {
        (ColorModel::Rgb, true) => 4,
        (ColorModel::Rgb, false) => 3,
        _ => 1,
    };
    let shrink = image.size().width >= size.width && image.size().height >= size.height;
    let mut rest = output;
    for index in 0..format.planes() {
        let (bytes, from) = image.plane(index)?;
        let Some(to) = format.plane(size, index) else { continue };
        let (plane, tail) = rest.split_at_mut(to.row_samples * to.rows);
        rest = tail;
        let shift = if matches!(index, 1 | 2) {
            format.chroma_shift()
        } else {
            (0, 0)
        };
        let location = image.color().chroma;
        let axes = [
            Axis::new(
                chroma_span(
                    (from.row_samples / channels, to.row_samples / channels),
                    (image.size().width, size.width),
                    shift.0 == 1 && location != ChromaLocation::Center,
                ),
                method,
                shrink,
            ),
            Axis::new(
                chroma_span(
                    (from.rows, to.rows),
                    (image.size().height, size.height),
                    shift.1 == 1 && location == ChromaLocation::TopLeft,
                ),
                method,
                shrink,
            ),
        ];
        let from = Grid {
            width: from.row_samples / channels,
            height: from.rows,
            channels,
        };
        let to = Grid {
            width: to.row_samples / channels,
            height: to.rows,
            channels,
        };
        plane::resample::<T, f64>(bytemuck::cast_slice(bytes), from, plane, to, &axes, max, pool);
    }
    Ok(())
}

/// A span between planes whose luma sizes are `luma`; `cosited` chroma sits on every second luma sample.
fn chroma_span((input, output): (usize, usize), luma: (u32, u32), cosited: bool) -> Span {
    let scale = f64::from(luma.0) / f64::from(luma.1);
    Span {
        input,
        output,
        scale,
        shift: if cosited { 0.25 * (1.0 - scale) } else { 0.0 },
    }
}

#[cfg(test)]
mod tests;
