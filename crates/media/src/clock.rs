//! Times on the pipes. NUT counts from zero and media time may be negative, so both pipes carry times moved by a
//! whole number of seconds that is also a whole number of ticks: nothing is rounded on the way.

use kinora_frame::{Rational, Timestamp};

use crate::MediaError;

/// Seconds before zero that times may reach.
const LEAD_SECONDS: i64 = 3600;

/// The distance by which one stream's times are moved on a pipe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lead {
    base: Rational,
    /// Whole seconds.
    pub(crate) seconds: i64,
    ticks: i64,
}

impl Lead {
    /// The lead for a stream of this time base: `num * n` seconds are exactly `den * n` ticks.
    pub(crate) fn new(base: Rational) -> Self {
        let times = (LEAD_SECONDS + base.num() - 1) / base.num().max(1);
        let times = times.max(1);
        match (base.num().checked_mul(times), base.den().checked_mul(times)) {
            (Some(seconds), Some(ticks)) => Self { base, seconds, ticks },
            _ => Self {
                base,
                seconds: 0,
                ticks: 0,
            },
        }
    }

    pub(crate) fn base(self) -> Rational {
        self.base
    }

    /// A time as the pipe carries it, in the stream's base.
    pub(crate) fn onto_pipe(self, pts: Timestamp) -> Result<u64, MediaError> {
        let ticks = pts.rescale_exact(self.base)?.ticks;
        let moved = ticks
            .checked_add(self.ticks)
            .and_then(|ticks| u64::try_from(ticks).ok());
        moved.ok_or(MediaError::Frame(kinora_frame::FrameError::TimeOverflow {
            ticks,
            base: self.base,
        }))
    }

    /// A time read from a pipe, in whatever base the pipe chose, back in the stream's base and place.
    pub(crate) fn off_pipe(self, pts: Timestamp) -> Result<Timestamp, MediaError> {
        let mut pts = pts.rescale_exact(self.base)?;
        pts.ticks = pts.ticks.saturating_sub(self.ticks);
        Ok(pts)
    }
}

/// Whole microseconds, rounded up.
pub(crate) fn micros_up(time: Timestamp) -> Option<i64> {
    let num = i128::from(time.ticks) * i128::from(time.base.num()) * 1_000_000;
    let den = i128::from(time.base.den());
    i64::try_from(num.div_euclid(den) + i128::from(num.rem_euclid(den) > 0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_times_is_exact_for_every_base_and_for_times_before_zero() {
        for (num, den) in [(1, 90000), (1001, 30000), (1, 1), (7, 3), (1, 1_000_000_000)] {
            let base = Rational::new(num, den).unwrap();
            let lead = Lead::new(base);
            assert!(lead.seconds >= LEAD_SECONDS);
            for ticks in [-3, 0, 12345] {
                let pts = Timestamp::new(ticks, base);
                let there = lead.onto_pipe(pts).unwrap();
                let back = lead
                    .off_pipe(Timestamp::new(i64::try_from(there).unwrap(), base))
                    .unwrap();
                assert_eq!(back.ticks, ticks);
            }
        }
        assert!(
            Lead::new(Rational::new(1, 1000).unwrap())
                .onto_pipe(Timestamp::new(-3_600_001, Rational::new(1, 1000).unwrap()))
                .is_err()
        );
    }
}
