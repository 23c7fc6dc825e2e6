//! The two passes over one plane of interleaved samples.
//!
//! `unsafe` comes with the kernels' macro: it calls the AVX2 compilation after asking the processor for AVX2.
#![allow(unsafe_code)]

use super::axis::Axis;
use crate::{
    Pool,
    convert::kernels::{Sample, round_code, round_code_f64, row_kernel},
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
pub(super) trait Accumulate: Widen<Self> + Default {
    /// A weight.
    fn weight(value: f64) -> Self;
    /// A sample.
    fn from_f32(value: f32) -> Self;
    /// A sum as a float sample.
    fn to_f32(self) -> f32;
    /// A sum as a code: `floor(v + 0.5)` clamped to `0..=max`.
    fn to_code(self, max: u16) -> i32;
    /// `self + sample * weight`. In f64 it is fused, which is what linear algebra libraries do: values that lie
    /// exactly between two codes then round as theirs do.
    fn plus(self, sample: Self, weight: Self) -> Self;
}

impl Accumulate for f32 {
    #[inline(always)]
    fn weight(value: f64) -> Self {
        value as Self
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn to_code(self, max: u16) -> i32 {
        round_code(self, max)
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
    fn weight(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        f64::from(value)
    }
    #[inline(always)]
    fn to_code(self, max: u16) -> i32 {
        round_code_f64(self, max)
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

/// Fixed point with 22 bits after the point, as Pillow sums 8-bit samples.
impl Accumulate for i32 {
    #[inline(always)]
    fn weight(value: f64) -> Self {
        (value * f64::from(1u32 << FIXED_BITS)).round() as Self
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value as Self
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32 / (1u32 << FIXED_BITS) as f32
    }
    #[inline(always)]
    fn to_code(self, max: u16) -> i32 {
        (self.wrapping_add(1 << (FIXED_BITS - 1)) >> FIXED_BITS).clamp(0, Self::from(max))
    }
    #[inline(always)]
    fn plus(self, sample: Self, weight: Self) -> Self {
        // 255 at full weight takes 30 bits; the lobes of every kernel stay far below the rest.
        self.wrapping_add(sample.wrapping_mul(weight))
    }
}

const FIXED_BITS: u32 = 22;

/// A sample that can be summed in `A`.
pub(super) trait Widen<A>: bytemuck::Pod {
    fn widen(self) -> A;
}

/// A sample as it is stored.
pub(super) trait Element: bytemuck::Pod {
    /// Largest code at this width; floats have none.
    const LARGEST: u16;
    fn narrow<A: Accumulate>(value: A, max: u16) -> Self;
}

macro_rules! code_element {
    ($($code:ty),*) => {
        $(impl Element for $code {
            const LARGEST: u16 = <$code>::MAX as u16;
            #[inline(always)]
            fn narrow<A: Accumulate>(value: A, max: u16) -> Self {
                <$code as Sample>::from_code(value.to_code(max))
            }
        }

        impl<A: Accumulate> Widen<A> for $code {
            #[inline(always)]
            fn widen(self) -> A {
                A::from_f32(f32::from(self))
            }
        })*
    };
}

code_element!(u8, u16);

macro_rules! widen_itself {
    ($($sum:ty),*) => {
        $(impl Widen<$sum> for $sum {
            #[inline(always)]
            fn widen(self) -> $sum {
                self
            }
        })*
    };
}

widen_itself!(f32, f64, i32);

impl Element for f32 {
    const LARGEST: u16 = 0;
    #[inline(always)]
    fn narrow<A: Accumulate>(value: A, _max: u16) -> Self {
        value.to_f32()
    }
}

/// Rows that the pass across handles at once, side by side, so that a column is one vector.
const LANES: usize = 8;
/// Columns whose sums the pass down keeps in registers.
const COLUMNS: usize = 32;

/// Resamples a plane: one pass across, one down, a pass that changes nothing left out.
pub(super) fn resample<T: Element + Widen<A>, A: Accumulate>(
    input: &[T],
    from: Grid,
    output: &mut [T],
    to: Grid,
    [across, down]: &[Axis; 2],
    max: u16,
    pool: &Pool,
) {
    let weights: [Vec<A>; 2] = [across, down].map(|axis| axis.weights.iter().map(|w| A::weight(*w)).collect());
    let mut sums = pool.take(from.row().max(to.row()) * size_of::<A>());
    let sums = sums.samples_mut::<A>();
    let down_first = down_first(from, to);
    let middle = Grid {
        width: if down_first { from.width } else { to.width },
        height: if down_first { to.height } else { from.height },
        channels: from.channels,
    };
    let sum_down = |y: usize| {
        (
            &weights[1][y * down.taps..][..down.length[y] as usize],
            down.start[y] as usize,
        )
    };
    if across.is_identity(from.width) {
        for (y, out) in output.chunks_exact_mut(to.row()).enumerate() {
            let (weights, start) = sum_down(y);
            sum_rows(&input[start * from.row()..], weights, &mut sums[..to.row()]);
            narrow_row(&sums[..to.row()], max, out);
        }
        return;
    }
    let mut narrow_rows = |first: usize, rows: &[A]| {
        let out = output[first * to.row()..].chunks_exact_mut(to.row());
        for (out, sums) in out.zip(rows.chunks_exact(to.row())) {
            narrow_row(sums, max, out);
        }
    };
    if down.is_identity(from.height) {
        all_across(input, from, across, &weights[0], to, pool, narrow_rows);
        return;
    }
    let mut between = pool.take(middle.samples() * size_of::<A>());
    let between = between.samples_mut::<A>();
    if down_first {
        for (y, out) in between.chunks_exact_mut(middle.row()).enumerate() {
            let (weights, start) = sum_down(y);
            sum_rows(&input[start * from.row()..], weights, out);
        }
        all_across(between, middle, across, &weights[0], to, pool, narrow_rows);
    } else {
        all_across(input, from, across, &weights[0], to, pool, |first, rows| {
            between[first * to.row()..][..rows.len()].copy_from_slice(rows);
        });
        for y in 0..to.height {
            let (weights, start) = sum_down(y);
            sum_rows(&between[start * to.row()..], weights, &mut sums[..to.row()]);
            narrow_rows(y, &sums[..to.row()]);
        }
    }
}

/// Whether the pass down comes first: the one that takes away more samples and weights, unless what it leaves between
/// the passes is larger than everything else at hand.
fn down_first(from: Grid, to: Grid) -> bool {
    let wide = |count: usize| count as i128;
    let (input, output) = (wide(from.samples()), wide(to.samples()));
    let (down, across) = (wide(from.height * to.height), wide(from.width * to.width));
    let after_down = wide(to.height * from.row());
    let after_across = wide(from.height * to.row());
    let largest = input.max(output).max(down).max(across);
    match (after_down <= largest, after_across <= largest) {
        (true, false) => true,
        (false, true) => false,
        _ => input + down - after_down > input + across - after_across,
    }
}

/// The pass across over every row; `take` gets the number of the first row of a block and its rows.
fn all_across<T: Widen<A>, A: Accumulate>(
    input: &[T],
    from: Grid,
    axis: &Axis,
    weights: &[A],
    to: Grid,
    pool: &Pool,
    mut take: impl FnMut(usize, &[A]),
) {
    let mut block = pool.take(from.width * LANES * size_of::<A>());
    let block = block.samples_mut::<A>();
    let mut out = pool.take(to.row() * LANES * size_of::<A>());
    let out = out.samples_mut::<A>();
    for first in (0..from.height).step_by(LANES) {
        let rows = LANES.min(from.height - first);
        for channel in 0..from.channels {
            let lanes: [&[T]; LANES] = std::array::from_fn(|lane| {
                // Lanes past the last row repeat it; their results are dropped.
                &input[(first + lane.min(rows - 1)) * from.row() + channel..][..from.row() - channel]
            });
            fill_block(&lanes, from.channels, block);
            pass_across(block, axis, weights, &mut out[..rows * to.row()], to, channel);
        }
        take(first, &out[..rows * to.row()]);
    }
}

row_kernel! {
    /// Lays the samples of one channel of [`LANES`] rows side by side.
    fn fill_block<T: Widen<A>, A: Accumulate>(lanes: &[&[T]; LANES], step: usize, block: &mut [A]) {
        for (x, column) in block.chunks_exact_mut(LANES).enumerate() {
            for (slot, lane) in column.iter_mut().zip(lanes) {
                *slot = lane[x * step].widen();
            }
        }
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
    fn sum_rows<T: Widen<A>, A: Accumulate>(rows: &[T], weights: &[A], sums: &mut [A]) {
        let width = sums.len();
        let (chunks, rest) = sums.as_chunks_mut::<COLUMNS>();
        let done = chunks.len() * COLUMNS;
        for (at, chunk) in chunks.iter_mut().enumerate() {
            // Sums of a few columns stay in registers over all rows.
            let mut sum = [A::default(); COLUMNS];
            for (row, weight) in rows.chunks_exact(width).zip(weights) {
                for (sum, sample) in sum.iter_mut().zip(&row[at * COLUMNS..][..COLUMNS]) {
                    *sum = sum.plus(sample.widen(), *weight);
                }
            }
            *chunk = sum;
        }
        rest.fill(A::default());
        for (row, weight) in rows.chunks_exact(width).zip(weights) {
            for (sum, sample) in rest.iter_mut().zip(&row[done..]) {
                *sum = sum.plus(sample.widen(), *weight);
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
