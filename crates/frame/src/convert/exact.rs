//! RGB codes to luma and chroma in f64.
//!
//! A picture that comes as codes gets exactly the codes of the definition. Values that lie between two codes are common
//! there (chroma of equal green and blue), and f32 would fall on either side of them. Float tensors take the f32 path.
//!
//! `unsafe` comes with the kernels' macro: it calls the AVX2 compilation after asking the processor for AVX2.
#![allow(unsafe_code)]

use super::{
    coefficients::CodeScale,
    kernels::{Sample, round_code_f64, row_kernel},
};
use crate::{ChromaLocation, Pool};

/// What to make of RGB rows.
#[derive(Clone, Copy)]
pub(super) struct ExactLuma {
    weights: (f64, f64),
    scale: CodeScale,
    location: ChromaLocation,
    /// Chroma shift of the target; `None` for gray.
    shift: Option<(u32, u32)>,
    width: usize,
    height: usize,
}

/// Scale, offset and largest code.
#[derive(Clone, Copy)]
pub(super) struct Code {
    scale: f64,
    offset: f64,
    max: u16,
}

impl Code {
    #[inline(always)]
    fn of<T: Sample>(self, value: f64) -> T {
        T::from_code(round_code_f64(value * self.scale + self.offset, self.max))
    }
}

impl ExactLuma {
    pub(super) const fn new(
        weights: (f64, f64),
        scale: CodeScale,
        location: ChromaLocation,
        shift: Option<(u32, u32)>,
        (width, height): (usize, usize),
    ) -> Self {
        Self {
            weights,
            scale,
            location,
            shift,
            width,
            height,
        }
    }

    /// Writes the rows `first..first + rows` into the band's planes. `rgb` reads a row as values in 0..1.
    pub(super) fn write<T: Sample>(
        &self,
        first: usize,
        rows: usize,
        planes: &mut [&mut [T]; 4],
        pool: &Pool,
        mut rgb: impl FnMut(usize, [&mut [f64]; 3]),
    ) {
        let width = self.width;
        let padded = width + 3;
        let mut scratch = pool.take(10 * padded * size_of::<f64>());
        let (color, rest) = scratch.samples_mut::<f64>().split_at_mut(3 * width);
        let (ring, rest) = rest.split_at_mut(6 * padded);
        let mixed = &mut rest[..padded];
        let [luma, chroma] = self.codes();
        let mut row = |y: usize, out: &mut [T], ring: &mut [f64]| {
            let (r, rest) = color.split_at_mut(width);
            let (g, b) = rest.split_at_mut(width);
            rgb(y, [&mut *r, &mut *g, &mut *b]);
            let (cb, cr) = ring.split_at_mut(3 * padded);
            let (cb, cr) = (&mut cb[y % 3 * padded..][..padded], &mut cr[y % 3 * padded..][..padded]);
            exact_row(r, g, b, self.weights, luma, out, &mut cb[1..=width], &mut cr[1..=width]);
            for row in [cb, cr] {
                row[0] = row[1];
                row[width + 1] = row[width];
                row[width + 2] = row[width];
            }
        };
        let (shift_x, shift_y) = self.shift.unwrap_or((0, 0));
        // The first chroma row of a band may reach one luma row above it.
        if shift_y == 1 && self.location == ChromaLocation::TopLeft && first > 0 {
            row(first - 1, &mut planes[0][..width], ring);
        }
        for at in 0..rows {
            let y = first + at;
            row(y, &mut planes[0][at * width..][..width], ring);
            if self.shift.is_none() || (shift_y == 1 && y.is_multiple_of(2) && y + 1 != self.height) {
                continue;
            }
            let columns = width.div_ceil(1 << shift_x);
            for (plane, ring) in planes[1..3].iter_mut().zip(ring.chunks_exact(3 * padded)) {
                let out = &mut plane[(at >> shift_y) * columns..][..columns];
                self.mix(y, shift_y, ring, mixed);
                exact_chroma(
                    mixed,
                    shift_x == 0,
                    self.location == ChromaLocation::Center,
                    chroma,
                    out,
                );
            }
        }
    }

    fn codes(&self) -> [Code; 2] {
        let max = self.scale.max;
        [
            Code {
                scale: self.scale.y_scale,
                offset: self.scale.y_offset,
                max,
            },
            Code {
                scale: self.scale.c_scale,
                offset: self.scale.c_offset,
                max,
            },
        ]
    }

    /// The rows that a chroma row is made of, weighted, once row `y` is there.
    fn mix(&self, y: usize, shift_y: u32, ring: &[f64], mixed: &mut [f64]) {
        let padded = mixed.len();
        let at = |y: usize| &ring[y % 3 * padded..][..padded];
        if shift_y == 0 {
            mixed.copy_from_slice(at(y));
            return;
        }
        let here = y / 2 * 2;
        let below = at((here + 1).min(self.height - 1));
        if self.location == ChromaLocation::TopLeft {
            exact_tent(at(here.saturating_sub(1)), at(here), below, mixed);
        } else {
            for ((out, here), below) in mixed.iter_mut().zip(at(here)).zip(below) {
                *out = 0.5 * (here + below);
            }
        }
    }
}

row_kernel! {
    /// Luma codes and normalised chroma of a row of RGB in 0..1.
    fn exact_row<T: Sample>(
        r: &[f64], g: &[f64], b: &[f64], weights: (f64, f64), luma: Code, y: &mut [T], cb: &mut [f64], cr: &mut [f64],
    ) {
        let (kr, kb) = weights;
        let kg = 1.0 - kr - kb;
        let (blue, red) = (2.0 * (1.0 - kb), 2.0 * (1.0 - kr));
        let n = y.len();
        let (r, g, b) = (&r[..n], &g[..n], &b[..n]);
        let (cb, cr) = (&mut cb[..n], &mut cr[..n]);
        for i in 0..n {
            let value = kr * r[i] + kg * g[i] + kb * b[i];
            y[i] = luma.of(value);
            cb[i] = (b[i] - value) / blue;
            cr[i] = (r[i] - value) / red;
        }
    }
}

row_kernel! {
    /// Three rows weighted 1, 2, 1.
    fn exact_tent(a: &[f64], b: &[f64], c: &[f64], out: &mut [f64]) {
        for (((out, a), b), c) in out.iter_mut().zip(a).zip(b).zip(c) {
            *out = 0.25 * *a + 0.5 * *b + 0.25 * *c;
        }
    }
}

row_kernel! {
    /// A padded row (one sample before, two behind) to chroma codes: as it is, halved between or on the even columns.
    fn exact_chroma<T: Sample>(padded: &[f64], whole: bool, centred: bool, code: Code, out: &mut [T]) {
        if whole {
            for (out, value) in out.iter_mut().zip(&padded[1..]) {
                *out = code.of(*value);
            }
        } else if centred {
            for (out, pair) in out.iter_mut().zip(padded[1..].chunks_exact(2)) {
                *out = code.of(0.5 * (pair[0] + pair[1]));
            }
        } else {
            let pairs = padded.chunks_exact(2).zip(padded[2..].chunks_exact(2));
            for (out, (pair, next)) in out.iter_mut().zip(pairs) {
                *out = code.of(0.25 * pair[0] + 0.5 * pair[1] + 0.25 * next[0]);
            }
        }
    }
}
