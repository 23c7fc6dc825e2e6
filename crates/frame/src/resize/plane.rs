//! The two passes over one plane of interleaved samples.
//!
//! `unsafe` comes with the kernels' macro: it calls the AVX2 compilation after asking the processor for AVX2.
#![allow(unsafe_code)]

use super::axis::Axis;
use crate::{
    Pool,
    convert::kernels::{Sample, round_code, row_kernel},
};

/// Samples of one plane: rows of `width * channels`.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) channels: usize,
}

impl Grid {
    pub(super) fn new(width: u32, height: u32, channels: usize) -> Self {
        Self {
            width: width as usize,
            height: height as usize,
            channels,
        }
    }

    pub(super) const fn row(self) -> usize {
        self.width * self.channels
    }

    pub(super) const fn samples(self) -> usize {
        self.row() * self.height
    }
}

/// A number that sums are made in.
pub(super) trait Accumulate: bytemuck::Pod + Default {
    fn from_f64(value: f64) -> Self;
    fn from_f32(value: f32) -> Self;
    fn to_f64(self) -> f64;
    fn to_f32(self) -> f32;
    /// `self + sample * weight`. In f64 it is fused, which is what linear algebra libraries do: values that lie
    /// exactly between two codes then round as theirs do.
    fn plus(self, sample: Self, weight: Self) -> Self;
}

impl Accumulate for f32 {
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as Self
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn plus(self, sample: Self, weight: Self) -> Self {
        self + sample * weight
    }
}

impl Accumulate for f64 {
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        f64::from(value)
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }
    #[inline(always)]
    fn plus(self, sample: Self, weight: Self) -> Self {
        sample.mul_add(weight, self)
    }
}

/// A sample as it is stored.
pub(super) trait Element: bytemuck::Pod {
    /// Largest code at this width; floats have none.
    const UNIT_MAX: u16;
    fn widen<A: Accumulate>(self) -> A;
    fn narrow<A: Accumulate>(value: A, max: u16) -> Self;
}

macro_rules! code_element {
    ($($code:ty),*) => {
        $(impl Element for $code {
            const UNIT_MAX: u16 = <$code>::MAX as u16;
            #[inline(always)]
            fn widen<A: Accumulate>(self) -> A {
                A::from_f32(f32::from(self))
            }
            #[inline(always)]
            fn narrow<A: Accumulate>(value: A, max: u16) -> Self {
                if size_of::<A>() == 8 {
                    (value.to_f64() + 0.5).floor().clamp(0.0, f64::from(max)) as $code
                } else {
                    <$code as Sample>::from_code(round_code(value.to_f32(), max))
                }
            }
        })*
    };
}

code_element!(u8, u16);

impl Element for f32 {
    const UNIT_MAX: u16 = 0;
    #[inline(always)]
    fn widen<A: Accumulate>(self) -> A {
        A::from_f32(self)
    }
    #[inline(always)]
    fn narrow<A: Accumulate>(value: A, _max: u16) -> Self {
        value.to_f32()
    }
}

/// Rows that the pass across handles at once, side by side, so that a column is one vector.
const LANES: usize = 8;

/// Resamples a plane, first across, then down.
pub(super) fn resample<T: Element, A: Accumulate>(
    input: &[T],
    from: Grid,
    output: &mut [T],
    to: Grid,
    [across, down]: &[Axis; 2],
    max: u16,
    pool: &Pool,
) {
    let weights: [Vec<A>; 2] = [across, down].map(|axis| axis.weights.iter().map(|w| A::from_f64(*w)).collect());
    let mut middle = pool.take(to.row() * from.height * size_of::<A>());
    let middle = middle.samples_mut::<A>();
    let mut block = pool.take(from.width * LANES * size_of::<A>());
    let block = block.samples_mut::<A>();
    for first in (0..from.height).step_by(LANES) {
        let rows = LANES.min(from.height - first);
        for channel in 0..from.channels {
            for lane in 0..rows {
                let row = &input[(first + lane) * from.row()..][..from.row()];
                let samples = row[channel..].iter().step_by(from.channels);
                for (slot, sample) in block.chunks_exact_mut(LANES).zip(samples) {
                    slot[lane] = sample.widen();
                }
            }
            let out = &mut middle[first * to.row()..][..rows * to.row()];
            pass_across(block, across, &weights[0], out, to, channel);
        }
    }
    let mut sums = pool.take(to.row() * size_of::<A>());
    let sums = sums.samples_mut::<A>();
    for (y, out) in output.chunks_exact_mut(to.row()).enumerate() {
        let start = down.start[y] as usize;
        let weights = &weights[1][y * down.taps..][..down.length[y] as usize];
        sum_rows(&middle[start * to.row()..], weights, sums);
        narrow_row(sums, max, out);
    }
}

row_kernel! {
    /// Every output column of up to [`LANES`] rows at once.
    fn pass_across<A: Accumulate>(block: &[A], axis: &Axis, weights: &[A], out: &mut [A], to: Grid, channel: usize) {
        let row = to.row();
        for x in 0..to.width {
            let start = axis.start[x] as usize * LANES;
            let length = axis.length[x] as usize;
            let mut sum = [A::default(); LANES];
            let columns = block[start..start + length * LANES].chunks_exact(LANES);
            for (column, weight) in columns.zip(&weights[x * axis.taps..][..length]) {
                for (sum, sample) in sum.iter_mut().zip(column) {
                    *sum = sum.plus(*sample, *weight);
                }
            }
            let at = x * to.channels + channel;
            for (out, sum) in out[at..].iter_mut().step_by(row).zip(sum) {
                *out = sum;
            }
        }
    }
}

row_kernel! {
    /// Weighted sum of rows that follow one another.
    fn sum_rows<A: Accumulate>(rows: &[A], weights: &[A], sums: &mut [A]) {
        let width = sums.len();
        sums.fill(A::default());
        for (row, weight) in rows.chunks_exact(width).zip(weights) {
            for (sum, sample) in sums.iter_mut().zip(row) {
                *sum = sum.plus(*sample, *weight);
            }
        }
    }
}

row_kernel! {
    /// Rounds a row of sums to samples.
    fn narrow_row<T: Element, A: Accumulate>(sums: &[A], max: u16, out: &mut [T]) {
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = T::narrow(*sum, max);
        }
    }
}
