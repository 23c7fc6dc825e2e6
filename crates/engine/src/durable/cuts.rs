use std::ops::Range;

use kinora_frame::{FrameIndex, Timestamp};
use kinora_media::PacketIndex;

/// Output frames of a segment.
pub const SEGMENT_FRAMES: u64 = 240;

/// Where a job is cut: every `length` frames, counted from the first one wanted. The same for every run, worker and
/// machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cuts {
    length: u64,
    first: u64,
    /// The frame after the last; `None` where nobody knows before the end.
    end: Option<u64>,
    /// Time of the first frame of each segment: frames that do not decode then move no cut. Empty where times cannot be
    /// searched; frames are counted then.
    starts: Vec<Timestamp>,
}

impl Cuts {
    /// Cuts by count alone.
    #[must_use]
    pub fn counted(length: u64, first: u64, end: Option<u64>) -> Self {
        Self {
            length: length.max(1),
            first,
            end,
            starts: Vec::new(),
        }
    }

    /// Cuts of frames `first..end` of a clip.
    #[must_use]
    pub fn of_clip(length: u64, first: u64, end: u64, index: &PacketIndex) -> Self {
        let mut cuts = Self::counted(length, first, (!index.is_empty()).then_some(end));
        if index.seekable()
            && let Some(segments) = cuts.segments()
        {
            let starts = (0..segments).map(|segment| index.pts_of(first + segment * cuts.length));
            cuts.starts = starts.collect::<Option<_>>().unwrap_or_default();
        }
        cuts
    }

    /// Frames of a whole segment.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Number of segments, where the number of frames is known.
    #[must_use]
    pub fn segments(&self) -> Option<u64> {
        let end = self.end?;
        Some(end.saturating_sub(self.first).div_ceil(self.length))
    }

    /// The segment that a frame belongs to.
    #[must_use]
    pub fn of(&self, frame: FrameIndex, pts: Timestamp) -> u64 {
        if self.starts.is_empty() {
            return frame.saturating_sub(self.first) / self.length;
        }
        (self.starts.partition_point(|start| *start <= pts) as u64).saturating_sub(1)
    }

    /// The source frames of a segment; the last one of a clip of unknown length has no end.
    #[must_use]
    pub fn frames(&self, segment: u64) -> Range<u64> {
        let from = self.first.saturating_add(segment.saturating_mul(self.length));
        let to = from.saturating_add(self.length);
        from..self.end.map_or(to, |end| to.min(end))
    }

    /// The first frame of the job.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The frame after the last one.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        self.end
    }
}

/// The part of the cut list that one worker of several makes: block `k` of `n`, both from the same list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// Number of the block, from 0.
    pub k: u64,
    /// Number of blocks.
    pub n: u64,
}

impl Block {
    /// Its segments: `floor(k * S / n)` to `floor((k + 1) * S / n) - 1`.
    #[must_use]
    pub fn segments(self, all: u64) -> Range<u64> {
        let at = |k: u64| {
            let wide = u128::from(k) * u128::from(all) / u128::from(self.n.max(1));
            u64::try_from(wide).unwrap_or(u64::MAX)
        };
        at(self.k)..at(self.k + 1)
    }
}

impl std::fmt::Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.k, self.n)
    }
}

impl std::str::FromStr for Block {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("expected k/n with k from 0 to n-1, as 0/4, found '{text}'");
        let (k, n) = text.split_once('/').ok_or_else(bad)?;
        let (k, n) = (k.parse().map_err(|_| bad())?, n.parse().map_err(|_| bad())?);
        if k >= n || n > 9999 {
            return Err(bad());
        }
        Ok(Self { k, n })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinora_frame::Rational;
    use proptest::prelude::*;

    #[test]
    fn a_frame_that_does_not_decode_moves_no_cut() {
        let base = Rational::new(1, 25).unwrap();
        let at = |ticks| Timestamp::new(ticks, base);
        let cuts = Cuts {
            starts: vec![at(0), at(10), at(20)],
            ..Cuts::counted(10, 0, Some(25))
        };
        // Frame 4 is missing: the one at time 10 comes as number 9, and is the next segment's all the same.
        assert_eq!(cuts.of(9, at(10)), 1);
        assert_eq!(cuts.of(8, at(9)), 0);
        assert_eq!(cuts.of(23, at(24)), 2);
        assert_eq!(cuts.segments(), Some(3));
        assert_eq!(cuts.frames(2), 20..25);
    }

    #[test]
    fn without_times_frames_are_counted() {
        let cuts = Cuts::counted(240, 100, None);
        let pts = Timestamp::new(0, Rational::ONE);
        assert_eq!((cuts.of(100, pts), cuts.of(339, pts), cuts.of(340, pts)), (0, 0, 1));
        assert_eq!(cuts.segments(), None);
        assert_eq!(cuts.frames(1), 340..580);
    }

    #[test]
    fn a_block_is_written_as_k_of_n() {
        assert_eq!("3/4".parse::<Block>().unwrap(), Block { k: 3, n: 4 });
        for text in ["4/4", "0/0", "-1/4", "1", "a/b", "0/10000", "1/2/3"] {
            assert!(text.parse::<Block>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn blocks_share_out_every_segment_once(all in 0u64..5000, n in 1u64..40) {
            let mut next = 0;
            for k in 0..n {
                let block = Block { k, n }.segments(all);
                prop_assert_eq!(block.start, next);
                prop_assert!(block.end - block.start <= all.div_ceil(n));
                next = block.end;
            }
            prop_assert_eq!(next, all);
        }
    }
}
