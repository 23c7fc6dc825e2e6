//! What a colour description means in numbers (ITU-T H.273; BT.601, BT.709, BT.2020).

use super::kernels::{Quantiser, RgbToYcc, YuvToRgb};
use crate::{ColorRange, ColorSpec, FrameError, Matrix, PixelFormat};

/// Code values of luma and chroma of a format: `code = value * scale + offset`.
#[derive(Clone, Copy, Debug)]
pub(super) struct CodeScale {
    pub(super) y_scale: f64,
    pub(super) y_offset: f64,
    pub(super) c_scale: f64,
    pub(super) c_offset: f64,
    pub(super) max: u16,
}

impl CodeScale {
    /// Of a YUV or gray format with this range.
    pub(super) fn new(format: PixelFormat, range: ColorRange) -> Self {
        let step = f64::from(1u32 << (format.bits - 8));
        let max = format.max_code();
        let (y_scale, y_offset, c_scale) = match range {
            ColorRange::Limited => (219.0 * step, 16.0 * step, 224.0 * step),
            ColorRange::Full => (f64::from(max), 0.0, f64::from(max)),
        };
        Self {
            y_scale,
            y_offset,
            c_scale,
            c_offset: 128.0 * step,
            max: max as u16,
        }
    }

    pub(super) fn luma(self) -> Quantiser {
        Quantiser {
            scale: self.y_scale as f32,
            offset: self.y_offset as f32,
            max: self.max,
        }
    }

    pub(super) fn chroma(self) -> Quantiser {
        Quantiser {
            scale: self.c_scale as f32,
            offset: self.c_offset as f32,
            max: self.max,
        }
    }
}

/// Rounds 0..1 to the codes of `format`; RGB and alpha always use the full range.
pub(super) fn full_range(format: PixelFormat) -> Quantiser {
    Quantiser {
        scale: format.max_code() as f32,
        offset: 0.0,
        max: format.max_code() as u16,
    }
}

/// Luma weights (Kr, Kb) of a picture `height` rows high.
///
/// Gray pictures that declare the identity matrix (sRGB images) use BT.601's weights, as Pillow, OpenCV and FFmpeg do.
///
/// # Errors
/// [`FrameError::BadParameter`] for a matrix that is not defined by luma weights.
pub(super) fn luma_weights(color: ColorSpec, height: u32, gray: bool) -> Result<(f64, f64), FrameError> {
    let matrix = match color.resolved_matrix(height) {
        Matrix::Identity if gray => Matrix::Bt601,
        matrix => matrix,
    };
    matrix.luma_weights().ok_or_else(|| FrameError::BadParameter {
        name: "colour matrix of a luma and chroma picture",
        expected: "bt601, bt709, bt2020nc, bt470bg, fcc or smpte240m",
        found: matrix.to_string(),
    })
}

/// Codes of `scale` to RGB in 0..1.
pub(super) fn yuv_to_rgb((kr, kb): (f64, f64), scale: CodeScale) -> YuvToRgb {
    let kg = 1.0 - kr - kb;
    let (red, blue) = (2.0 * (1.0 - kr), 2.0 * (1.0 - kb));
    YuvToRgb {
        y_offset: scale.y_offset as f32,
        y_scale: (1.0 / scale.y_scale) as f32,
        rv: (red / scale.c_scale) as f32,
        gu: (-kb * blue / kg / scale.c_scale) as f32,
        gv: (-kr * red / kg / scale.c_scale) as f32,
        bu: (blue / scale.c_scale) as f32,
    }
}

/// RGB in 0..1 to luma in 0..1 and chroma in -0.5..0.5.
pub(super) fn rgb_to_ycc((kr, kb): (f64, f64)) -> RgbToYcc {
    RgbToYcc {
        kr: kr as f32,
        kg: (1.0 - kr - kb) as f32,
        kb: kb as f32,
        cb: (0.5 / (1.0 - kb)) as f32,
        cr: (0.5 / (1.0 - kr)) as f32,
    }
}
