//! Scene cuts, from luma alone.

use super::blocks::Code;

/// Mean absolute difference above which two frames are of two scenes, in levels of 8 bits.
const MEAN_LEVELS: f64 = 18.0;
/// Distance of histograms above which they are, 0 for equal ones to 1 for ones that share nothing.
const DISTANCE: f64 = 0.5;
/// Levels of a bin of the histogram.
const BIN: usize = 16;
/// Below this mean difference the histograms cannot be that far apart: a sample that moves by one level carries at
/// most 1/16 of its weight to another bin. One level is for what deeper samples lose by rounding.
const HISTOGRAM_LEVELS: f64 = DISTANCE * BIN as f64 - 1.0;

/// Samples of a histogram, more or less; enough to tell half of a picture.
const HISTOGRAM_SAMPLES: usize = 1 << 17;

/// Where luma lies among a plane's samples.
#[derive(Clone, Copy)]
pub(super) struct Luma {
    /// Samples from one to the next.
    pub(super) every: usize,
    /// The first one.
    pub(super) first: usize,
    /// Bits above 8.
    pub(super) depth: u32,
}

/// Whether `b` is of another scene than `a`; `apart` is the sum of absolute differences of their luma.
pub(super) fn is_cut<T: Code>(a: &[T], b: &[T], luma: Luma, apart: u64) -> bool {
    let samples = (a.len() / luma.every).max(1) as f64;
    let mean = apart as f64 / samples / f64::from(1u32 << luma.depth);
    mean > MEAN_LEVELS || (mean > HISTOGRAM_LEVELS && distance(a, b, luma) > DISTANCE)
}

/// The share of samples that lie at other levels. A sample between the centres of two bins counts for both, so that a
/// flat picture that crosses from one bin to the next is no other scene.
fn distance<T: Code>(a: &[T], b: &[T], luma: Luma) -> f64 {
    let (mut of_a, mut of_b, mut looked_at) = ([0u64; 256], [0u64; 256], 0u64);
    // An odd step, so that no column is looked at in every row.
    let step = luma.every * ((a.len() / luma.every / HISTOGRAM_SAMPLES) | 1);
    let level = |sample: T| (sample.code() >> luma.depth).min(255) as usize;
    for (&a, &b) in a.iter().zip(b).skip(luma.first).step_by(step) {
        of_a[level(a)] += 1;
        of_b[level(b)] += 1;
        looked_at += 1;
    }
    let mut bins = [0.0; 256 / BIN + 1];
    for (at, (a, b)) in of_a.into_iter().zip(of_b).enumerate() {
        let more = a as f64 - b as f64;
        let upper = (at % BIN) as f64 / BIN as f64;
        bins[at / BIN] += more * (1.0 - upper);
        bins[at / BIN + 1] += more * upper;
    }
    let apart: f64 = bins.into_iter().map(f64::abs).sum();
    apart / 2.0 / looked_at.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANE: Luma = Luma {
        every: 1,
        first: 0,
        depth: 0,
    };

    fn cut(a: &[u8], b: &[u8]) -> bool {
        let apart = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        is_cut(a, b, PLANE, apart)
    }

    #[test]
    fn a_mean_difference_of_more_than_18_levels_is_a_cut() {
        let split = |up: u8| [[100 - up; 50], [100 + up; 50]].concat();
        let grey = |value: u8| vec![value; 100];
        assert!(!cut(&grey(100), &grey(108)), "half of a bin");
        assert!(cut(&grey(100), &grey(119)));
        assert!(cut(&split(0), &split(19)));
        assert!(cut(&[0], &[255]) && !cut(&[0], &[0]), "a picture of one pixel");
    }

    #[test]
    fn other_levels_are_a_cut_and_moved_ones_are_not() {
        let ramp: Vec<u8> = (0..=255).collect();
        let mut moved = ramp.clone();
        moved.rotate_left(8);
        assert!(!cut(&ramp, &moved), "the same levels elsewhere");
        // 17 levels everywhere: the mean alone would let it pass.
        assert!(cut(&[100; 64], &[117; 64]));
    }

    #[test]
    fn a_flat_picture_that_crosses_a_bin_is_no_cut() {
        for level in 0..255u8 {
            assert!(!cut(&[level; 64], &[level + 1; 64]), "{level}");
        }
    }

    #[test]
    fn deep_and_interleaved_samples_are_read_at_their_level() {
        let deep = |level: u16| vec![level << 2; 64];
        let luma = Luma { depth: 2, ..PLANE };
        let apart = |levels: u64| 64 * 4 * levels;
        assert!(is_cut(&deep(100), &deep(117), luma, apart(17)));
        assert!(!is_cut(&deep(100), &deep(106), luma, apart(6)));
        let rgb = |green: u8| [9, green, 200].repeat(64);
        let green = Luma {
            every: 3,
            first: 1,
            depth: 0,
        };
        assert!(is_cut(&rgb(100), &rgb(117), green, 64 * 17));
    }
}
