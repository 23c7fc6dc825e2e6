use kinora_frame::{ColorModel, FrameError, Image, PixelFormat};

use super::{
    blocks::{BlockLimits, Blocks, Code, Grid, Tally},
    scene::{self, Luma},
};

/// Frames in a row that an earlier one may stand for without being the same; the next one is processed anyway.
pub const NEAR_MAX_RUN: u32 = 48;

/// How far a frame may be from the one that stands for it. Sums are of absolute differences over a block of 8x8
/// samples at 8 bits; deeper samples scale them by 2^(bits - 8), partial blocks at the edges by their share of 64
/// samples. Each plane is held against them by itself, opacity included.
///
/// Named as mpdecimate's options. `frac` is a share of all blocks tested; mpdecimate's, of a quarter of a quarter of
/// them: its 0.33 is a share of 0.02 here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearLimits {
    hi: u32,
    lo: u32,
    frac: f64,
}

impl NearLimits {
    /// The largest sum of a block: black against white.
    pub const MAX_SUM: u32 = 64 * 255;

    /// Limits where no block of a plane is above `hi` and at most the share `frac` of them above `lo`; `None` unless
    /// `lo <= hi <= MAX_SUM` and `frac` is within 0 to 1.
    #[must_use]
    pub fn new(hi: u32, lo: u32, frac: f64) -> Option<Self> {
        (lo <= hi && hi <= Self::MAX_SUM && (0.0..=1.0).contains(&frac)).then_some(Self { hi, lo, frac })
    }

    /// Sum that no block may be above.
    #[must_use]
    pub const fn hi(self) -> u32 {
        self.hi
    }

    /// Sum that few blocks may be above.
    #[must_use]
    pub const fn lo(self) -> u32 {
        self.lo
    }

    /// How few, 0..1.
    #[must_use]
    pub const fn frac(self) -> f64 {
        self.frac
    }
}

impl Default for NearLimits {
    /// The worst block 3 levels apart, 98 of 100 blocks at most 1.
    fn default() -> Self {
        Self {
            hi: 192,
            lo: 64,
            frac: 0.02,
        }
    }
}

/// How a frame relates to the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Another scene.
    Cut,
    /// The same scene, beyond the limits.
    Apart,
    /// Within the limits.
    Near,
}

/// The test of near duplicates. The reference is always a frame that went through the stages, never the one before:
/// so the error cannot add up.
pub(super) struct NearTest {
    limits: NearLimits,
    bytes: Blocks<u8>,
    words: Blocks<u16>,
}

impl NearTest {
    pub(super) fn new(limits: NearLimits) -> Self {
        Self {
            limits,
            bytes: Blocks::default(),
            words: Blocks::default(),
        }
    }

    /// Compares a frame with the reference.
    pub(super) fn compare(&mut self, reference: &Image, image: &Image) -> Result<Likeness, FrameError> {
        let format = image.pixel_format("looking for near duplicates")?;
        if reference.desc() != image.desc() {
            return Ok(Likeness::Apart);
        }
        let (a, b) = (reference.host_buffer()?, image.host_buffer()?);
        Ok(if format.sample_bytes() == 1 {
            compare(&mut self.bytes, self.limits, image, format, a.samples(), b.samples())
        } else {
            compare(&mut self.words, self.limits, image, format, a.samples(), b.samples())
        })
    }
}

/// Luma stands first and decides about the scene; what has none has green.
fn compare<T: Code>(
    blocks: &mut Blocks<T>,
    limits: NearLimits,
    image: &Image,
    format: PixelFormat,
    a: &[T],
    b: &[T],
) -> Likeness {
    let depth = u32::from(format.bits.saturating_sub(8));
    let (channels, green) = match format.model {
        ColorModel::Rgb => (3 + usize::from(format.alpha), 1),
        _ => (1, 0),
    };
    let block_limits = BlockLimits {
        hi: limits.hi << depth,
        lo: limits.lo << depth,
    };
    for plane in 0..format.planes() {
        let Some(layout) = format.plane(image.size(), plane) else {
            return Likeness::Apart;
        };
        let first = layout.offset / format.sample_bytes();
        let samples = first..first + layout.row_samples * layout.rows;
        let (a, b) = (&a[samples.clone()], &b[samples]);
        let grid = Grid {
            width: layout.row_samples / channels,
            rows: layout.rows,
            channels,
        };
        let tally = blocks.tally(a, b, grid, block_limits);
        if plane == 0 {
            let luma = Luma {
                every: channels,
                first: green,
                depth,
            };
            if scene::is_cut(a, b, luma, tally.apart[green]) {
                return Likeness::Cut;
            }
        }
        if !within(limits, &tally) {
            return Likeness::Apart;
        }
    }
    Likeness::Near
}

fn within(limits: NearLimits, tally: &Tally) -> bool {
    let few = (limits.frac * tally.blocks as f64) as u64;
    tally.above_hi == 0 && tally.above_lo.iter().all(|&above| above <= few)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_contradict_themselves_cannot_be_made() {
        assert_eq!(NearLimits::new(192, 64, 0.02), Some(NearLimits::default()));
        assert!(
            NearLimits::new(64, 65, 0.02).is_none(),
            "few above more than none above"
        );
        assert!(NearLimits::new(NearLimits::MAX_SUM + 1, 64, 0.02).is_none());
        for frac in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(NearLimits::new(192, 64, frac).is_none(), "{frac}");
        }
    }
}
