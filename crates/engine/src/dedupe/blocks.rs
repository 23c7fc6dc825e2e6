//! Sums of absolute differences over blocks of 8x8 samples that begin at every 4th column and row.
//!
//! A plane is cut into cells of 4x4, the last ones smaller where the size asks for it; a block is two by two cells, so
//! every sample is in at least one block, those at the right and bottom edges too. mpdecimate leaves out up to seven
//! columns and rows there and the first eight columns.

/// Side of a cell.
const CELL: usize = 4;
/// Most interleaved channels.
const CHANNELS: usize = 4;

/// A code value, and the type that a column of four differences fits.
pub(super) trait Code: Copy {
    type Column: Copy + Default + std::ops::AddAssign + Into<u32>;

    fn apart(self, other: Self) -> Self::Column;

    fn code(self) -> u32;
}

impl Code for u8 {
    type Column = u16;

    fn apart(self, other: Self) -> u16 {
        u16::from(self.abs_diff(other))
    }

    fn code(self) -> u32 {
        self.into()
    }
}

impl Code for u16 {
    type Column = u32;

    fn apart(self, other: Self) -> u32 {
        u32::from(self.abs_diff(other))
    }

    fn code(self) -> u32 {
        self.into()
    }
}

/// How the samples of a plane lie.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    /// Pixels a row.
    pub(super) width: usize,
    /// Rows.
    pub(super) rows: usize,
    /// Samples a pixel, interleaved.
    pub(super) channels: usize,
}

/// What blocks are held against: sums of absolute differences of a full block, in the plane's own code values.
/// A partial block has the part of them that is its share of 64 samples.
#[derive(Clone, Copy)]
pub(super) struct BlockLimits {
    pub(super) hi: u32,
    pub(super) lo: u32,
}

/// What was found, by channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Absolute differences, summed over all samples.
    pub(super) apart: [u64; CHANNELS],
    /// Blocks above the lower limit.
    pub(super) above_lo: [u64; CHANNELS],
    /// Blocks above the upper limit.
    pub(super) above_hi: u64,
    /// Blocks of one channel.
    pub(super) blocks: u64,
}

/// The scratch memory of a comparison; kept, so that a clip allocates it once.
pub(super) struct Blocks<T: Code> {
    columns: Vec<T::Column>,
    /// Sums of the row of cells above, one channel after the other.
    above: Vec<i32>,
    /// Sums of this row of cells.
    here: Vec<i32>,
}

impl<T: Code> Default for Blocks<T> {
    fn default() -> Self {
        Self {
            columns: Vec::new(),
            above: Vec::new(),
            here: Vec::new(),
        }
    }
}

impl<T: Code> Blocks<T> {
    /// Compares two planes of `grid.rows` tightly packed rows.
    pub(super) fn tally(&mut self, a: &[T], b: &[T], grid: Grid, limits: BlockLimits) -> Tally {
        let row = grid.width * grid.channels;
        // A picture of one cell across has a second one of nothing, so that it has a block.
        let across = grid.width.div_ceil(CELL).max(2);
        let down = grid.rows.div_ceil(CELL);
        for cells in [&mut self.above, &mut self.here] {
            cells.clear();
            cells.resize(across * grid.channels, 0);
        }
        let mut tally = Tally::default();
        for (at, (a, b)) in a.chunks(CELL * row).zip(b.chunks(CELL * row)).enumerate() {
            std::mem::swap(&mut self.above, &mut self.here);
            self.sum_columns(a, b, row);
            self.sum_cells(grid.channels, across, &mut tally);
            if at > 0 || down == 1 {
                let first = at.saturating_sub(1) * CELL;
                let height = (grid.rows - first).min(2 * CELL);
                self.judge(grid, across, height, limits, &mut tally);
            }
        }
        tally
    }

    fn sum_columns(&mut self, a: &[T], b: &[T], row: usize) {
        self.columns.clear();
        self.columns.resize(row, T::Column::default());
        for (a, b) in a.chunks_exact(row).zip(b.chunks_exact(row)) {
            for ((column, &a), &b) in self.columns.iter_mut().zip(a).zip(b) {
                *column += a.apart(b);
            }
        }
    }

    fn sum_cells(&mut self, channels: usize, across: usize, tally: &mut Tally) {
        let pixels = self.columns.chunks(CELL * channels);
        if channels == 1 {
            for (cell, four) in self.here.iter_mut().zip(pixels) {
                *cell = four.iter().map(|&column| column.into()).sum::<u32>() as i32;
            }
        } else {
            self.sum_interleaved_cells(channels, across);
        }
        for (apart, cells) in tally.apart.iter_mut().zip(self.here.chunks_exact(across)) {
            *apart += cells.iter().map(|&cell| cell as u64).sum::<u64>();
        }
    }

    fn sum_interleaved_cells(&mut self, channels: usize, across: usize) {
        for (at, four) in self.columns.chunks(CELL * channels).enumerate() {
            let mut sums = [0u32; CHANNELS];
            for pixel in four.chunks_exact(channels) {
                for (sum, &column) in sums.iter_mut().zip(pixel) {
                    *sum += column.into();
                }
            }
            for (channel, &sum) in sums.iter().enumerate().take(channels) {
                self.here[channel * across + at] = sum as i32;
            }
        }
    }

    /// Counts the blocks of two rows of cells.
    fn judge(&self, grid: Grid, across: usize, height: usize, limits: BlockLimits, tally: &mut Tally) {
        let limits_of = |width: usize| {
            let of = |limit: u32| (u64::from(limit) * (width * height) as u64 / 64) as i32;
            (of(limits.lo), of(limits.hi))
        };
        let last_width = grid.width - CELL * (across - 2);
        let (full, last) = (limits_of(2 * CELL), limits_of(last_width.min(2 * CELL)));
        let rows = self.above.chunks_exact(across).zip(self.here.chunks_exact(across));
        for ((above, here), above_lo) in rows.zip(&mut tally.above_lo) {
            let (mut low, mut high) = (0u32, 0u32);
            let mut pairs = above.iter().zip(&above[1..]).zip(here.iter().zip(&here[1..]));
            for ((a, b), (c, d)) in pairs.clone().take(across - 2) {
                let sum = a + b + c + d;
                low += u32::from(sum > full.0);
                high += u32::from(sum > full.1);
            }
            if let Some(((a, b), (c, d))) = pairs.next_back() {
                let sum = a + b + c + d;
                low += u32::from(sum > last.0);
                high += u32::from(sum > last.1);
            }
            *above_lo += u64::from(low);
            tally.above_hi += u64::from(high);
        }
        tally.blocks += across as u64 - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BlockLimits = BlockLimits { hi: 192, lo: 64 };

    /// The same, block by block as the definition says.
    fn plain(a: &[u8], b: &[u8], grid: Grid) -> Tally {
        let mut tally = Tally::default();
        let starts = |side: usize| (0..side.div_ceil(4).max(2) - 1).map(|at| at * 4);
        for channel in 0..grid.channels {
            let apart = |x: usize, y: usize| {
                let at = (y * grid.width + x) * grid.channels + channel;
                u64::from(a[at].abs_diff(b[at]))
            };
            for y in starts(grid.rows) {
                for x in starts(grid.width) {
                    let (right, bottom) = ((x + 8).min(grid.width), (y + 8).min(grid.rows));
                    let sum: u64 = (y..bottom).flat_map(|y| (x..right).map(move |x| apart(x, y))).sum();
                    let area = ((right - x) * (bottom - y)) as u64;
                    tally.above_lo[channel] += u64::from(sum * 64 > 64 * area);
                    tally.above_hi += u64::from(sum * 64 > 192 * area);
                    tally.blocks += u64::from(channel == 0);
                }
            }
            tally.apart[channel] = (0..grid.rows)
                .flat_map(|y| (0..grid.width).map(move |x| apart(x, y)))
                .sum();
        }
        tally
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(300))]

        #[test]
        fn every_size_is_compared_as_the_definition_says(
            width in 1usize..40, rows in 1usize..40, channels in 1usize..5, most in 1u8..9, seed: u64,
        ) {
            let grid = Grid { width, rows, channels };
            let mut state = seed | 1;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as u8
            };
            let a: Vec<u8> = (0..width * rows * channels).map(|_| next()).collect();
            let b: Vec<u8> = a.iter().map(|&v| v.saturating_add(next() % most)).collect();
            let mut blocks = Blocks::default();
            // Twice: what the first comparison left behind must not matter.
            blocks.tally(&b, &vec![0; b.len()], grid, LIMITS);
            proptest::prop_assert_eq!(blocks.tally(&a, &b, grid, LIMITS), plain(&a, &b, grid));
            let wide = |v: &[u8]| v.iter().map(|&v| u16::from(v) * 257).collect::<Vec<u16>>();
            let limits = BlockLimits { hi: 192 * 257, lo: 64 * 257 };
            let found = Blocks::default().tally(&wide(&a), &wide(&b), grid, limits);
            proptest::prop_assert_eq!(found.above_lo, plain(&a, &b, grid).above_lo);
            proptest::prop_assert_eq!(found.above_hi, plain(&a, &b, grid).above_hi);
        }
    }
}
