//! Writes a band of rows of any picture from a [`Source`].

use super::{
    coefficients::{CodeScale, full_range, luma_weights, rgb_to_ycc},
    exact::ExactLuma,
    kernels::{self, Quantiser, RgbToYcc, Sample},
    source::{Source, SourceRows},
    tensor::TensorLayout,
};
use crate::{ChromaLocation, ColorModel, FrameError, ImageDesc, Layout, PixelFormat, Pool};

/// Bytes of one row of a plane, and how many picture rows it covers as a shift.
#[derive(Clone, Copy, Default)]
pub(super) struct PlaneRows {
    pub(super) row_bytes: usize,
    pub(super) shift_y: u32,
}

/// One band of a picture under construction.
pub(super) struct Band<'t> {
    /// First picture row; even.
    pub(super) first: usize,
    /// Picture rows.
    pub(super) rows: usize,
    /// The band's part of each plane.
    pub(super) planes: [&'t mut [u8]; 4],
}

/// How a target is written, decided once a picture.
#[derive(Clone, Copy)]
pub(super) enum Target {
    Pixels(PixelTarget),
    Tensor {
        layout: TensorLayout,
        clamp: bool,
        gray: RgbToYcc,
    },
}

/// Where the rows of a pixel target come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Route {
    /// Source rows as RGB.
    Rgb,
    /// Luma and chroma kept: both sides have the same matrix.
    Ycc {
        /// Chroma planes of both sides have the same samples at the same places.
        same_chroma: bool,
    },
}

/// A pixel format to write.
#[derive(Clone, Copy)]
pub(super) struct PixelTarget {
    format: PixelFormat,
    width: usize,
    height: usize,
    route: Route,
    to_ycc: RgbToYcc,
    luma: Quantiser,
    chroma: Quantiser,
    full: Quantiser,
    location: ChromaLocation,
    exact: ExactLuma,
}

impl Target {
    pub(super) fn new(from: &ImageDesc, to: &ImageDesc, clamp: bool) -> Result<Self, FrameError> {
        let (width, height) = (to.size.width as usize, to.size.height as usize);
        let Layout::Pixels(format) = to.layout else {
            return Ok(Self::Tensor {
                layout: TensorLayout::new(to.layout, width, height)?,
                clamp,
                gray: rgb_to_ycc(luma_weights(to.color, to.size.height, true).unwrap_or((0.299, 0.114))),
            });
        };
        let has_luma = format.is_yuv() || format.model == ColorModel::Gray;
        let weights = if has_luma {
            luma_weights(to.color, to.size.height, format.model == ColorModel::Gray)?
        } else {
            (0.299, 0.114)
        };
        let scale = CodeScale::new(format, to.color.range);
        Ok(Self::Pixels(PixelTarget {
            format,
            width,
            height,
            route: route(from, to, has_luma, weights)?,
            to_ycc: rgb_to_ycc(weights),
            luma: scale.luma(),
            chroma: scale.chroma(),
            full: full_range(format),
            location: to.color.chroma,
            exact: ExactLuma::new(
                weights,
                scale,
                to.color.chroma,
                format.is_yuv().then(|| format.chroma_shift()),
                (width, height),
            ),
        }))
    }

    pub(super) fn write(&self, source: &Source<'_>, band: Band<'_>, scratch: &mut [f32], pool: &Pool) {
        match self {
            Self::Tensor { layout, clamp, gray } => write_tensor(*layout, *clamp, *gray, source, band, scratch),
            Self::Pixels(target) if target.format.sample_bytes() == 1 => {
                target.write::<u8>(source, band, scratch, pool);
            }
            Self::Pixels(target) => target.write::<u16>(source, band, scratch, pool),
        }
    }
}

fn route(from: &ImageDesc, to: &ImageDesc, has_luma: bool, weights: (f64, f64)) -> Result<Route, FrameError> {
    let (Layout::Pixels(source), Layout::Pixels(target), true) = (from.layout, to.layout, has_luma) else {
        return Ok(Route::Rgb);
    };
    let keeps = match source.model {
        // Gray is luma under every matrix.
        ColorModel::Gray => true,
        ColorModel::Rgb | ColorModel::Gbr => false,
        _ => luma_weights(from.color, from.size.height, false)? == weights,
    };
    if !keeps {
        return Ok(Route::Rgb);
    }
    let shift = source.chroma_shift();
    Ok(Route::Ycc {
        same_chroma: source.is_yuv()
            && shift == target.chroma_shift()
            && (shift == (0, 0) || from.color.chroma == to.color.chroma),
    })
}

/// Rows of scratch that writing a band needs, each of the width and [`PAD`] more.
pub(super) const SCRATCH_ROWS: usize = 14;
/// Samples by which a scratch row is longer than the picture.
pub(super) const PAD: usize = 8;

struct Scratch<'s> {
    source: SourceRows<'s>,
    rgb: [&'s mut [f32]; 3],
    alpha: &'s mut [f32],
    ring: [[&'s mut [f32]; 3]; 2],
    mixed: &'s mut [f32],
}

impl<'s> Scratch<'s> {
    fn new(scratch: &'s mut [f32], width: usize) -> Self {
        let mut rows = scratch.chunks_exact_mut(width + PAD);
        let mut next = || rows.next().unwrap_or_default();
        Self {
            source: SourceRows {
                narrow: next(),
                u: next(),
                v: next(),
            },
            rgb: [next(), next(), next()],
            alpha: next(),
            ring: [[next(), next(), next()], [next(), next(), next()]],
            mixed: next(),
        }
    }
}

fn rgb_row<'r>(
    source: &'r Source<'_>,
    y: usize,
    width: usize,
    rows: &mut SourceRows<'_>,
    [r, g, b]: &'r mut [&mut [f32]; 3],
) -> [&'r [f32]; 3] {
    if let Some(rows) = source.rgb_in_place(y) {
        return rows;
    }
    let (r, g, b) = (&mut r[..width], &mut g[..width], &mut b[..width]);
    source.rgb(y, rows, [&mut *r, &mut *g, &mut *b]);
    [r, g, b]
}

fn write_tensor(
    layout: TensorLayout,
    clamp: bool,
    gray: RgbToYcc,
    source: &Source<'_>,
    band: Band<'_>,
    scratch: &mut [f32],
) {
    let width = layout.width();
    let mut scratch = Scratch::new(scratch, width);
    let mut planes = band.planes;
    let row_bytes = layout.row_bytes();
    for row in 0..band.rows {
        let y = band.first + row;
        let at = row * row_bytes..(row + 1) * row_bytes;
        if layout.is_plain() && layout.channels() >= 3 {
            let [p0, p1, p2, _] = &mut planes;
            let [r, g, b] = [p0, p1, p2].map(|plane| bytemuck::cast_slice_mut::<u8, f32>(&mut plane[at.clone()]));
            source.rgb(y, &mut scratch.source, [&mut *r, &mut *g, &mut *b]);
            if clamp {
                [r, g, b].into_iter().for_each(kernels::clamp_row);
            }
        } else {
            let [r, g, b] = &mut scratch.rgb;
            let (r, g, b) = (&mut r[..width], &mut g[..width], &mut b[..width]);
            source.rgb(y, &mut scratch.source, [&mut *r, &mut *g, &mut *b]);
            if layout.channels() == 1 {
                let luma = &mut scratch.mixed[..width];
                for (((luma, r), g), b) in luma.iter_mut().zip(r).zip(g).zip(b) {
                    *luma = gray.kr * *r + gray.kg * *g + gray.kb * *b;
                }
                if clamp {
                    kernels::clamp_row(luma);
                }
                layout.store(luma, 0, &mut planes[0][at.clone()]);
            } else {
                for (channel, values) in [r, g, b].into_iter().enumerate() {
                    if clamp {
                        kernels::clamp_row(values);
                    }
                    layout.store(values, channel, &mut planes[layout.plane_of(channel)][at.clone()]);
                }
            }
        }
        if layout.channels() == 4 {
            let alpha = &mut scratch.alpha[..width];
            source.alpha(y, alpha);
            layout.store(alpha, 3, &mut planes[layout.plane_of(3)][at]);
        }
    }
}

impl PixelTarget {
    fn write<T: Sample>(&self, source: &Source<'_>, band: Band<'_>, scratch: &mut [f32], pool: &Pool) {
        let mut scratch = Scratch::new(scratch, self.width);
        let (first, rows) = (band.first, band.rows);
        let mut planes = band.planes.map(bytemuck::cast_slice_mut::<u8, T>);
        match self.format.model {
            ColorModel::Rgb | ColorModel::Gbr => self.write_rgb(source, first, rows, &mut planes, &mut scratch),
            _ if source.is_rgb_codes() => {
                self.exact
                    .write(first, rows, &mut planes, pool, |y, out| source.exact_rgb(y, out));
            }
            _ => self.write_luma(source, first, rows, &mut planes, &mut scratch),
        }
        if self.format.alpha && self.format.model != ColorModel::Rgb {
            let plane = &mut planes[self.format.planes() - 1];
            let alpha = &mut scratch.alpha[..self.width];
            for (row, out) in plane.chunks_exact_mut(self.width).enumerate() {
                source.alpha(first + row, alpha);
                kernels::quantise(alpha, self.full, out);
            }
        }
    }

    fn write_rgb<T: Sample>(
        &self,
        source: &Source<'_>,
        first: usize,
        rows: usize,
        planes: &mut [&mut [T]; 4],
        scratch: &mut Scratch<'_>,
    ) {
        for row in 0..rows {
            let y = first + row;
            let [r, g, b] = rgb_row(source, y, self.width, &mut scratch.source, &mut scratch.rgb);
            if self.format.model == ColorModel::Gbr {
                for (plane, values) in planes.iter_mut().zip([g, b, r]) {
                    kernels::quantise(values, self.full, &mut plane[row * self.width..][..self.width]);
                }
            } else if self.format.alpha {
                let alpha = &mut scratch.alpha[..self.width];
                source.alpha(y, alpha);
                let out = &mut planes[0][row * 4 * self.width..][..4 * self.width];
                kernels::join_rgb4(r, g, b, alpha, self.full, out);
            } else {
                let out = &mut planes[0][row * 3 * self.width..][..3 * self.width];
                kernels::join_rgb3(r, g, b, self.full, out);
            }
        }
    }

    fn write_luma<T: Sample>(
        &self,
        source: &Source<'_>,
        first: usize,
        rows: usize,
        planes: &mut [&mut [T]; 4],
        scratch: &mut Scratch<'_>,
    ) {
        let same_chroma = self.route == Route::Ycc { same_chroma: true };
        let filtered = self.format.is_yuv() && !same_chroma;
        let (shift_x, shift_y) = self.format.chroma_shift();
        // The first chroma row of a band may reach one luma row above it.
        if filtered && shift_y == 1 && self.location == ChromaLocation::TopLeft && first > 0 {
            let sink = &mut planes[0][..self.width];
            self.luma_row(source, first - 1, sink, scratch);
        }
        for row in 0..rows {
            let y = first + row;
            let out = &mut planes[0][row * self.width..][..self.width];
            self.luma_row(source, y, out, scratch);
            if filtered && (shift_y == 0 || y % 2 == 1 || y + 1 == self.height) {
                let at = row >> shift_y;
                let columns = self.width.div_ceil(1 << shift_x);
                for (index, plane) in planes[1..3].iter_mut().enumerate() {
                    let out = &mut plane[at * columns..][..columns];
                    self.chroma_row(y >> shift_y, out, &scratch.ring[index], scratch.mixed);
                }
            }
        }
        if same_chroma {
            let columns = self.width.div_ceil(1 << shift_x);
            let values = &mut scratch.mixed[..columns];
            for (index, plane) in planes[1..3].iter_mut().enumerate() {
                for (row, out) in plane.chunks_exact_mut(columns).enumerate() {
                    source.chroma_plane(index + 1, (first >> shift_y) + row, values);
                    kernels::quantise(values, self.chroma, out);
                }
            }
        }
    }

    /// Luma of row `y`, and its chroma into the ring where the format has any.
    fn luma_row<T: Sample>(&self, source: &Source<'_>, y: usize, out: &mut [T], scratch: &mut Scratch<'_>) {
        let width = self.width;
        let [cb, cr] = &mut scratch.ring;
        let (cb, cr) = (&mut cb[y % 3][..width + PAD], &mut cr[y % 3][..width + PAD]);
        if matches!(self.route, Route::Ycc { .. }) {
            let luma = &mut scratch.rgb[0][..width];
            source.ycc(y, &mut scratch.source, luma, &mut cb[1..=width], &mut cr[1..=width]);
            kernels::quantise(luma, self.luma, out);
        } else {
            let [r, g, b] = rgb_row(source, y, width, &mut scratch.source, &mut scratch.rgb);
            if !self.format.is_yuv() {
                kernels::rgb_to_luma(r, g, b, self.to_ycc, self.luma, out);
                return;
            }
            kernels::rgb_to_ycc(
                r,
                g,
                b,
                self.to_ycc,
                self.luma,
                out,
                &mut cb[1..=width],
                &mut cr[1..=width],
            );
        }
        for row in [cb, cr] {
            row[0] = row[1];
            row[width + 1] = row[width];
            row[width + 2] = row[width];
        }
    }

    /// Chroma row `j` from the ring of full rows.
    fn chroma_row<T: Sample>(&self, j: usize, out: &mut [T], ring: &[&mut [f32]; 3], mixed: &mut [f32]) {
        let (shift_x, shift_y) = self.format.chroma_shift();
        let row = if shift_y == 0 {
            &*ring[j % 3]
        } else {
            let below = (2 * j + 1).min(self.height - 1);
            let (here, below) = (&ring[2 * j % 3], &ring[below % 3]);
            if self.location == ChromaLocation::TopLeft {
                let above = &ring[(2 * j).saturating_sub(1) % 3];
                kernels::tent_rows(above, here, below, mixed);
            } else {
                kernels::mean_rows(here, below, mixed);
            }
            &*mixed
        };
        match (shift_x, self.location) {
            (0, _) => kernels::quantise(&row[1..], self.chroma, out),
            (_, ChromaLocation::Center) => kernels::down_centred(row, self.chroma, out),
            _ => kernels::down_cosited(row, self.chroma, out),
        }
    }
}
