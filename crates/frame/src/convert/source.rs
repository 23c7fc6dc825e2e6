//! Reads one row of any picture as float RGB or as luma and chroma.

use super::{
    ChromaUp,
    coefficients::{CodeScale, full_range, luma_weights, yuv_to_rgb},
    kernels::{self, Sample, YuvToRgb},
    tensor::TensorSource,
};
use crate::{ChromaLocation, ColorModel, FrameError, Image, Layout, PixelFormat};

/// A picture to read, with everything that is decided once a picture.
pub(super) enum Source<'a> {
    Bytes(Planes<'a, u8>),
    Words(Planes<'a, u16>),
    Tensor(TensorSource<'a>),
}

/// The planes of a pixel picture.
pub(super) struct Planes<'a, T> {
    format: PixelFormat,
    planes: [Plane<'a, T>; 4],
    scale: CodeScale,
    to_rgb: YuvToRgb,
    location: ChromaLocation,
    up: ChromaUp,
}

#[derive(Clone, Copy)]
struct Plane<'a, T> {
    samples: &'a [T],
    width: usize,
    rows: usize,
}

impl<'a, T> Plane<'a, T> {
    fn row(&self, y: usize) -> &'a [T] {
        let y = y.min(self.rows.saturating_sub(1));
        &self.samples[y * self.width..][..self.width]
    }
}

/// Rows that reading needs; each holds a row of the picture and four samples more.
pub(super) struct SourceRows<'s> {
    pub(super) narrow: &'s mut [f32],
    pub(super) u: &'s mut [f32],
    pub(super) v: &'s mut [f32],
}

impl<'a> Source<'a> {
    pub(super) fn new(image: &'a Image, up: ChromaUp) -> Result<Self, FrameError> {
        Ok(match image.desc().layout {
            Layout::Pixels(format) if format.sample_bytes() == 1 => Self::Bytes(Planes::new(image, format, up)?),
            Layout::Pixels(format) => Self::Words(Planes::new(image, format, up)?),
            Layout::Tensor { .. } => Self::Tensor(TensorSource::new(image)?),
        })
    }

    /// Row `y` as RGB in 0..1 (not clamped).
    pub(super) fn rgb(&self, y: usize, rows: &mut SourceRows<'_>, out: [&mut [f32]; 3]) {
        match self {
            Self::Bytes(planes) => planes.rgb(y, rows, out),
            Self::Words(planes) => planes.rgb(y, rows, out),
            Self::Tensor(tensor) => tensor.rgb(y, out),
        }
    }

    /// True for RGB in codes, which [`Source::exact_rgb`] reads.
    pub(super) const fn is_rgb_codes(&self) -> bool {
        match self {
            Self::Bytes(planes) => planes.is_rgb(),
            Self::Words(planes) => planes.is_rgb(),
            Self::Tensor(_) => false,
        }
    }

    /// Row `y` of RGB codes in 0..1, rounded once from the exact quotient.
    pub(super) fn exact_rgb(&self, y: usize, out: [&mut [f64]; 3]) {
        match self {
            Self::Bytes(planes) => planes.exact_rgb(y, out),
            Self::Words(planes) => planes.exact_rgb(y, out),
            Self::Tensor(_) => {}
        }
    }

    /// Row `y` where it lies, if it is float RGB in 0..1 already.
    pub(super) fn rgb_in_place(&self, y: usize) -> Option<[&'a [f32]; 3]> {
        match self {
            Self::Tensor(tensor) => tensor.rgb_in_place(y),
            _ => None,
        }
    }

    /// Row `y` as luma in 0..1 and chroma in -0.5..0.5; zeros where the source has no chroma.
    pub(super) fn ycc(&self, y: usize, rows: &mut SourceRows<'_>, luma: &mut [f32], cb: &mut [f32], cr: &mut [f32]) {
        match self {
            Self::Bytes(planes) => planes.ycc(y, rows, luma, cb, cr),
            Self::Words(planes) => planes.ycc(y, rows, luma, cb, cr),
            Self::Tensor(_) => {}
        }
    }

    /// Row `y` of chroma plane 1 or 2, normalised, at the plane's own size.
    pub(super) fn chroma_plane(&self, plane: usize, y: usize, out: &mut [f32]) {
        match self {
            Self::Bytes(planes) => planes.chroma_plane(plane, y, out),
            Self::Words(planes) => planes.chroma_plane(plane, y, out),
            Self::Tensor(_) => {}
        }
    }

    /// Row `y` of opacity in 0..1; ones where the source has none.
    pub(super) fn alpha(&self, y: usize, out: &mut [f32]) {
        match self {
            Self::Bytes(planes) => planes.alpha(y, out),
            Self::Words(planes) => planes.alpha(y, out),
            Self::Tensor(tensor) => tensor.alpha(y, out),
        }
    }
}

impl<T> Planes<'_, T> {
    const fn is_rgb(&self) -> bool {
        matches!(self.format.model, ColorModel::Rgb | ColorModel::Gbr)
    }
}

impl<'a, T: Sample> Planes<'a, T> {
    fn new(image: &'a Image, format: PixelFormat, up: ChromaUp) -> Result<Self, FrameError> {
        let color = image.color();
        let mut planes = [Plane {
            samples: &[] as &[T],
            width: 0,
            rows: 0,
        }; 4];
        for (index, plane) in planes.iter_mut().enumerate().take(format.planes()) {
            let (bytes, layout) = image.plane(index)?;
            *plane = Plane {
                samples: bytemuck::cast_slice(bytes),
                width: layout.row_samples,
                rows: layout.rows,
            };
        }
        let scale = CodeScale::new(format, color.range);
        let weights = if format.is_yuv() {
            luma_weights(color, image.size().height, false)?
        } else {
            // Not read: RGB has no matrix, and gray has no chroma to weigh.
            (0.299, 0.114)
        };
        Ok(Self {
            format,
            planes,
            scale,
            to_rgb: yuv_to_rgb(weights, scale),
            location: color.chroma,
            up,
        })
    }

    fn rgb(&self, y: usize, rows: &mut SourceRows<'_>, [r, g, b]: [&mut [f32]; 3]) {
        let max = full_range(self.format).scale;
        match self.format.model {
            ColorModel::Rgb if self.format.alpha => kernels::split_rgb4(self.planes[0].row(y), max, r, g, b),
            ColorModel::Rgb => kernels::split_rgb3(self.planes[0].row(y), max, r, g, b),
            ColorModel::Gbr => {
                for (plane, out) in self.planes.iter().zip([g, b, r]) {
                    kernels::widen(plane.row(y), 0.0, 1.0 / max, out);
                }
            }
            ColorModel::Gray => {
                kernels::widen(self.planes[0].row(y), self.to_rgb.y_offset, self.to_rgb.y_scale, r);
                g.copy_from_slice(r);
                b.copy_from_slice(r);
            }
            ColorModel::Yuv420 | ColorModel::Yuv422 | ColorModel::Yuv444 => {
                self.centred_chroma(y, rows);
                kernels::yuv_to_rgb(self.planes[0].row(y), rows.u, rows.v, self.to_rgb, r, g, b);
            }
        }
    }

    fn exact_rgb(&self, y: usize, out: [&mut [f64]; 3]) {
        let max = f64::from(self.format.max_code());
        let channels = match (self.format.model, self.format.alpha) {
            (ColorModel::Gbr, _) => 1,
            (_, false) => 3,
            (_, true) => 4,
        };
        for (channel, out) in out.into_iter().enumerate() {
            let (plane, first) = if channels == 1 {
                ((channel + 2) % 3, 0)
            } else {
                (0, channel)
            };
            let samples = self.planes[plane].row(y)[first..].iter().step_by(channels);
            for (out, code) in out.iter_mut().zip(samples) {
                *out = f64::from(code.to_f32()) / max;
            }
        }
    }

    fn ycc(&self, y: usize, rows: &mut SourceRows<'_>, luma: &mut [f32], cb: &mut [f32], cr: &mut [f32]) {
        kernels::widen(self.planes[0].row(y), self.to_rgb.y_offset, self.to_rgb.y_scale, luma);
        if !self.format.is_yuv() {
            cb.fill(0.0);
            cr.fill(0.0);
            return;
        }
        self.centred_chroma(y, rows);
        let scale = (1.0 / self.scale.c_scale) as f32;
        for (out, codes) in [(cb, &*rows.u), (cr, &*rows.v)] {
            let columns = out.len();
            out.copy_from_slice(&codes[..columns]);
            kernels::scale_row(out, scale);
        }
    }

    fn chroma_plane(&self, plane: usize, y: usize, out: &mut [f32]) {
        if self.format.is_yuv() {
            let scale = (1.0 / self.scale.c_scale) as f32;
            kernels::widen(self.planes[plane].row(y), self.scale.c_offset as f32, scale, out);
        } else {
            out.fill(0.0);
        }
    }

    fn alpha(&self, y: usize, out: &mut [f32]) {
        let max = full_range(self.format).scale;
        match self.format.model {
            _ if !self.format.alpha => out.fill(1.0),
            ColorModel::Rgb => {
                for (out, pixel) in out.iter_mut().zip(self.planes[0].row(y).chunks_exact(4)) {
                    *out = pixel[3].to_f32() / max;
                }
            }
            _ => kernels::widen(self.planes[self.format.planes() - 1].row(y), 0.0, 1.0 / max, out),
        }
    }

    /// Chroma of luma row `y` at every column, as codes minus the code of gray.
    fn centred_chroma(&self, y: usize, rows: &mut SourceRows<'_>) {
        let offset = self.scale.c_offset as f32;
        let (shift_x, shift_y) = self.format.chroma_shift();
        let (above, below, weight) = match (shift_y, self.up, self.location) {
            (0, _, _) => (y, y, 1.0),
            (_, ChromaUp::Nearest, _) => (y / 2, y / 2, 1.0),
            (_, ChromaUp::Bilinear, ChromaLocation::TopLeft) if y.is_multiple_of(2) => (y / 2, y / 2, 1.0),
            (_, ChromaUp::Bilinear, ChromaLocation::TopLeft) => (y / 2, y / 2 + 1, 0.5),
            (_, ChromaUp::Bilinear, _) if y.is_multiple_of(2) => ((y / 2).saturating_sub(1), y / 2, 0.25),
            (_, ChromaUp::Bilinear, _) => (y / 2, y / 2 + 1, 0.75),
        };
        for (plane, full) in [(&self.planes[1], &mut *rows.u), (&self.planes[2], &mut *rows.v)] {
            let (above, below) = (plane.row(above), plane.row(below));
            let columns = plane.width;
            if shift_x == 0 {
                kernels::widen(above, offset, 1.0, full);
                continue;
            }
            let narrow = &mut rows.narrow[..columns + 2];
            kernels::blend(above, below, weight, 1.0 - weight, offset, &mut narrow[1..=columns]);
            narrow[0] = narrow[1];
            narrow[columns + 1] = narrow[columns];
            let full = &mut full[..2 * columns];
            match (self.up, self.location) {
                (ChromaUp::Nearest, _) => kernels::up_nearest(narrow, full),
                (ChromaUp::Bilinear, ChromaLocation::Center) => kernels::up_centred(narrow, full),
                (ChromaUp::Bilinear, _) => kernels::up_cosited(narrow, full),
            }
        }
    }
}
