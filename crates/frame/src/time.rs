use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt};

use crate::{FrameError, Rational};

/// A moment or a length of media time, exact: `ticks * base` seconds.
///
/// Frame times are never floats: 1/24000 and 1/90000 have no common float step, and a rounding of a
/// microsecond a frame is a visible drift after an hour.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Timestamp {
    /// Count of ticks; negative before the stream's zero.
    pub ticks: i64,
    /// Seconds a tick, always positive.
    pub base: Rational,
}

impl Timestamp {
    /// `ticks` of `base` seconds each.
    #[must_use]
    pub const fn new(ticks: i64, base: Rational) -> Self {
        Self { ticks, base }
    }

    /// The same time in another base.
    ///
    /// # Errors
    /// [`FrameError::InexactTime`] when it falls between two ticks, [`FrameError::TimeOverflow`] when it does not fit.
    pub fn rescale_exact(self, to: Rational) -> Result<Self, FrameError> {
        let (num, den) = self.scaled(to);
        if num % den != 0 {
            return Err(FrameError::InexactTime {
                ticks: self.ticks,
                from: self.base,
                to,
            });
        }
        self.fit(num / den, to)
    }

    /// The nearest tick of another base, halves away from zero.
    ///
    /// # Errors
    /// [`FrameError::TimeOverflow`] when it does not fit.
    pub fn rescale_nearest(self, to: Rational) -> Result<Self, FrameError> {
        let (num, den) = self.scaled(to);
        let half = if num < 0 { -(den / 2) } else { den / 2 };
        self.fit((num + half) / den, to)
    }

    /// The last tick of another base that is not later.
    ///
    /// # Errors
    /// [`FrameError::TimeOverflow`] when it does not fit.
    pub fn rescale_floor(self, to: Rational) -> Result<Self, FrameError> {
        let (num, den) = self.scaled(to);
        self.fit(num.div_euclid(den), to)
    }

    /// Seconds as the nearest float, for showing only.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.ticks as f64 * self.base.num() as f64 / self.base.den() as f64
    }

    /// Seconds as a decimal with six digits, rounded down, by integer arithmetic: what a command line takes.
    #[must_use]
    pub fn decimal_micros(self) -> String {
        let micros =
            (i128::from(self.ticks) * i128::from(self.base.num()) * 1_000_000).div_euclid(i128::from(self.base.den()));
        let sign = if micros < 0 { "-" } else { "" };
        let magnitude = micros.unsigned_abs();
        format!("{sign}{}.{:06}", magnitude / 1_000_000, magnitude % 1_000_000)
    }

    fn scaled(self, to: Rational) -> (i128, i128) {
        // ticks * (bn/bd) / (tn/td); both bases are positive, and three 63-bit factors can pass 127 bits,
        // so common factors of the bases are cancelled first.
        let ratio = Rational::from_wide(
            i128::from(self.base.num()) * i128::from(to.den()),
            i128::from(self.base.den()) * i128::from(to.num()),
        );
        match ratio {
            Some(ratio) => (
                i128::from(self.ticks) * i128::from(ratio.num()),
                i128::from(ratio.den()),
            ),
            None => (i128::MAX, 1),
        }
    }

    fn fit(self, ticks: i128, base: Rational) -> Result<Self, FrameError> {
        i64::try_from(ticks)
            .map(|ticks| Self { ticks, base })
            .map_err(|_| FrameError::TimeOverflow {
                ticks: self.ticks,
                base: self.base,
            })
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.base == other.base {
            return self.ticks.cmp(&other.ticks);
        }
        let (num, den) = self.scaled(other.base);
        num.cmp(&(i128::from(other.ticks) * den))
    }
}

impl fmt::Display for Timestamp {
    /// A time code: `1:12:03.250`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis =
            (i128::from(self.ticks) * i128::from(self.base.num()) * 1000).div_euclid(i128::from(self.base.den()));
        let sign = if millis < 0 { "-" } else { "" };
        let millis = millis.unsigned_abs();
        let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
        write!(f, "{sign}{hours}:{minutes:02}:{seconds:02}.{:03}", millis % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(num: i64, den: i64) -> Rational {
        Rational::new(num, den).unwrap()
    }

    #[test]
    fn rescaling_is_exact_or_refused() {
        let t = Timestamp::new(1001, base(1, 24000));
        assert_eq!(t.rescale_exact(base(1, 48000)).unwrap().ticks, 2002);
        assert!(matches!(
            t.rescale_exact(base(1, 1000)),
            Err(FrameError::InexactTime { .. })
        ));
        assert_eq!(t.rescale_nearest(base(1, 1000)).unwrap().ticks, 42);
        assert_eq!(
            Timestamp::new(-1, base(1, 3)).rescale_floor(base(1, 1)).unwrap().ticks,
            -1
        );
        assert_eq!(
            Timestamp::new(-1, base(1, 2))
                .rescale_nearest(base(1, 1))
                .unwrap()
                .ticks,
            -1
        );
    }

    #[test]
    fn times_of_different_bases_compare_exactly() {
        assert_eq!(Timestamp::new(1, base(1, 2)), Timestamp::new(45000, base(1, 90000)));
        assert!(Timestamp::new(333, base(1, 1000)) < Timestamp::new(1, base(1, 3)));
    }

    #[test]
    fn time_codes_and_decimals_are_integer_arithmetic() {
        assert_eq!(Timestamp::new(-1024, base(1, 48000)).decimal_micros(), "-0.021334");
        assert_eq!(Timestamp::new(4323250, base(1, 1000)).to_string(), "1:12:03.250");
    }

    #[test]
    fn a_time_that_does_not_fit_is_an_error() {
        let t = Timestamp::new(i64::MAX, base(1, 1));
        assert!(matches!(
            t.rescale_exact(base(1, 90000)),
            Err(FrameError::TimeOverflow { .. })
        ));
    }
}
