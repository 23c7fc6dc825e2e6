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
        let scaled = self.scaled(to)?;
        if scaled.over != 0 || scaled.rest != 0 {
            return Err(FrameError::InexactTime {
                ticks: self.ticks,
                from: self.base,
                to,
            });
        }
        self.fit(scaled.floor, to)
    }

    /// The nearest tick of another base, halves away from zero.
    ///
    /// # Errors
    /// [`FrameError::TimeOverflow`] when it does not fit.
    pub fn rescale_nearest(self, to: Rational) -> Result<Self, FrameError> {
        let scaled = self.scaled(to)?;
        // Twice what is above the floor against one tick; `rest` is less than a unit of `over`.
        let above = match i128::from(to.num()) - 2 * scaled.over {
            0 if scaled.rest == 0 => Ordering::Equal,
            ..=0 => Ordering::Greater,
            1 => (2 * scaled.rest).cmp(&i128::from(self.base.den())),
            _ => Ordering::Less,
        };
        let up = above == Ordering::Greater || above == Ordering::Equal && self.ticks >= 0;
        self.fit(scaled.floor + i128::from(up), to)
    }

    /// The last tick of another base that is not later.
    ///
    /// # Errors
    /// [`FrameError::TimeOverflow`] when it does not fit.
    pub fn rescale_floor(self, to: Rational) -> Result<Self, FrameError> {
        let scaled = self.scaled(to)?;
        self.fit(scaled.floor, to)
    }

    /// Seconds as the nearest float, for showing only.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.ticks as f64 * self.base.num() as f64 / self.base.den() as f64
    }

    /// Seconds as a decimal with six digits, rounded down, by integer arithmetic: what a command line takes.
    #[must_use]
    pub fn decimal_micros(self) -> String {
        let (sign, seconds, micros) = self.split(1_000_000);
        format!("{sign}{seconds}.{micros:06}")
    }

    /// `ticks * (bn/bd) / (tn/td)` without a product of three 63-bit factors, which would pass 127 bits.
    fn scaled(self, to: Rational) -> Result<Scaled, FrameError> {
        // No base is zero; one that is all the same must not end the program.
        if to.num() < 1 {
            return Err(self.overflow());
        }
        let (whole, part) = self.in_seconds();
        let (bd, td) = (i128::from(self.base.den()), i128::from(to.den()));
        // Where the product does not fit, the quotient does not fit into 63 bits either.
        let units = whole
            .checked_mul(td)
            .and_then(|units| units.checked_add(part * td / bd));
        let units = units.ok_or_else(|| self.overflow())?;
        Ok(Scaled {
            floor: units.div_euclid(i128::from(to.num())),
            over: units.rem_euclid(i128::from(to.num())),
            rest: part * td % bd,
        })
    }

    /// Whole seconds, rounded down, and the rest in parts of the base's denominator.
    fn in_seconds(self) -> (i128, i128) {
        let num = i128::from(self.ticks) * i128::from(self.base.num());
        let den = i128::from(self.base.den());
        (num.div_euclid(den), num.rem_euclid(den))
    }

    /// `units` a second, rounded down: sign, whole seconds and units of the magnitude.
    fn split(self, units: i128) -> (&'static str, u128, u128) {
        let (whole, part) = self.in_seconds();
        let (seconds, part) = (whole.unsigned_abs(), part * units / i128::from(self.base.den()));
        match (whole < 0, part) {
            (false, _) => ("", seconds, part.unsigned_abs()),
            (true, 0) => ("-", seconds, 0),
            (true, _) => ("-", seconds - 1, (units - part).unsigned_abs()),
        }
    }

    fn overflow(self) -> FrameError {
        FrameError::TimeOverflow {
            ticks: self.ticks,
            base: self.base,
        }
    }

    fn fit(self, ticks: i128, base: Rational) -> Result<Self, FrameError> {
        i64::try_from(ticks)
            .map(|ticks| Self { ticks, base })
            .map_err(|_| self.overflow())
    }
}

/// A time in ticks of another base: `floor + (over + rest / den) / num`, where `num` is of the other base, `den` of the
/// time's own, `over < num` and `rest < den`.
struct Scaled {
    floor: i128,
    over: i128,
    rest: i128,
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
        let ((whole, part), (other_whole, other_part)) = (self.in_seconds(), other.in_seconds());
        let parts = || {
            let (den, other_den) = (i128::from(self.base.den()), i128::from(other.base.den()));
            (part * other_den).cmp(&(other_part * den))
        };
        whole.cmp(&other_whole).then_with(parts)
    }
}

impl fmt::Display for Timestamp {
    /// A time code: `1:12:03.250`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, seconds, millis) = self.split(1000);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{sign}{hours}:{minutes:02}:{seconds:02}.{millis:03}")
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
    fn times_whose_bases_have_no_common_ratio_are_ordered_rescaled_and_shown() {
        let (long, short) = (base(i64::MAX, 2), base(1, i64::MAX));
        let (past, soon) = (Timestamp::new(-3, long), Timestamp::new(1, short));
        assert!(past < soon && Timestamp::new(3, long) > soon);
        assert_eq!(soon.cmp(&past), Ordering::Greater);
        assert_eq!(Timestamp::new(0, long), Timestamp::new(0, short));
        assert_eq!(Timestamp::new(0, long).rescale_exact(short).unwrap().ticks, 0);
        assert_eq!(soon.rescale_floor(long).unwrap().ticks, 0);
        assert_eq!(Timestamp::new(-1, short).rescale_floor(long).unwrap().ticks, -1);
        assert!(past.rescale_floor(short).is_err() && past.rescale_floor(base(0, 1)).is_err());
        let last = Timestamp::new(i64::MIN, base(i64::MAX, 1));
        assert_eq!(last.decimal_micros(), "-85070591730234615856620279821087277056.000000");
        assert_eq!(last.to_string(), "-23630719925065171071283411061413132:30:56.000");
    }

    #[test]
    fn halves_go_away_from_zero_and_nothing_else_does() {
        for (ticks, den, nearest) in [(3, 2, 2), (-3, 2, -2), (4, 3, 1), (-4, 3, -1), (5, 3, 2), (-5, 3, -2)] {
            let time = Timestamp::new(ticks, base(1, den));
            assert_eq!(time.rescale_nearest(base(1, 1)).unwrap().ticks, nearest, "{time:?}");
        }
        // A half of an even and of an odd tick length, and a shade to either side of it.
        for (ticks, num, nearest) in [
            (5, 10, 1),
            (-5, 10, -1),
            (49, 100, 0),
            (3, 7, 0),
            (4, 7, 1),
            (-3, 7, 0),
            (-4, 7, -1),
        ] {
            let time = Timestamp::new(ticks, base(1, 1));
            assert_eq!(time.rescale_nearest(base(num, 1)).unwrap().ticks, nearest, "{time:?}");
        }
        let time = Timestamp::new(7, base(1, 2));
        assert_eq!(time.rescale_nearest(base(7, 1)).unwrap().ticks, 1);
        assert_eq!(
            Timestamp::new(-7, base(1, 2))
                .rescale_nearest(base(7, 1))
                .unwrap()
                .ticks,
            -1
        );
        assert_eq!(
            Timestamp::new(69, base(1, 20))
                .rescale_nearest(base(7, 1))
                .unwrap()
                .ticks,
            0
        );
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
