use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt, str::FromStr};

use crate::FrameError;

/// An exact fraction in lowest terms with a positive denominator: a time base, a frame rate, an aspect ratio.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "(i64, i64)", into = "(i64, i64)")]
pub struct Rational {
    num: i64,
    den: i64,
}

impl Rational {
    /// 1/1.
    pub const ONE: Self = Self { num: 1, den: 1 };

    /// `num/den` in lowest terms.
    ///
    /// # Errors
    /// [`FrameError::BadRational`] when `den` is zero or a sign change overflows.
    pub fn new(num: i64, den: i64) -> Result<Self, FrameError> {
        Self::from_wide(i128::from(num), i128::from(den)).ok_or(FrameError::BadRational { num, den })
    }

    /// `num/den` from wider arithmetic, if it fits after reduction.
    #[must_use]
    pub fn from_wide(num: i128, den: i128) -> Option<Self> {
        if den == 0 {
            return None;
        }
        let divisor = gcd(num.unsigned_abs(), den.unsigned_abs()).max(1);
        let divisor = i128::try_from(divisor).ok()?;
        let sign = if den < 0 { -1 } else { 1 };
        Some(Self {
            num: i64::try_from(sign * num / divisor).ok()?,
            den: i64::try_from(sign * den / divisor).ok()?,
        })
    }

    /// Numerator.
    #[must_use]
    pub const fn num(self) -> i64 {
        self.num
    }

    /// Denominator, always positive.
    #[must_use]
    pub const fn den(self) -> i64 {
        self.den
    }

    /// `den/num`, if that is a number.
    #[must_use]
    pub fn inverse(self) -> Option<Self> {
        Self::from_wide(i128::from(self.den), i128::from(self.num))
    }

    /// Nearest float, for showing and estimating only: never for time arithmetic.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.num as f64 / self.den as f64
    }
}

impl TryFrom<(i64, i64)> for Rational {
    type Error = FrameError;

    fn try_from((num, den): (i64, i64)) -> Result<Self, FrameError> {
        Self::new(num, den)
    }
}

impl From<Rational> for (i64, i64) {
    fn from(fraction: Rational) -> Self {
        (fraction.num, fraction.den)
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl PartialOrd for Rational {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rational {
    fn cmp(&self, other: &Self) -> Ordering {
        (i128::from(self.num) * i128::from(other.den)).cmp(&(i128::from(other.num) * i128::from(self.den)))
    }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == 1 {
            write!(f, "{}", self.num)
        } else {
            write!(f, "{}/{}", self.num, self.den)
        }
    }
}

impl fmt::Debug for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

impl FromStr for Rational {
    type Err = FrameError;

    /// Reads `24000/1001`, `24000:1001` or `25`.
    fn from_str(text: &str) -> Result<Self, FrameError> {
        let bad = FrameError::BadParameter {
            name: "rational",
            expected: "N or N/D",
            found: text.to_owned(),
        };
        let (num, den) = text.split_once(['/', ':']).unwrap_or((text, "1"));
        match (num.trim().parse(), den.trim().parse()) {
            (Ok(num), Ok(den)) => Self::new(num, den),
            _ => Err(bad),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rational_is_kept_in_lowest_terms_with_a_positive_denominator() {
        let ntsc = Rational::new(-60000, -2002).unwrap();
        assert_eq!((ntsc.num(), ntsc.den()), (30000, 1001));
        assert!(Rational::new(1, 0).is_err());
        assert_eq!(
            "24000/1001".parse::<Rational>().unwrap(),
            Rational::new(24000, 1001).unwrap()
        );
        assert!("24p".parse::<Rational>().is_err());
    }

    #[test]
    fn rationals_compare_without_rounding() {
        let a = Rational::new(i64::MAX, 3).unwrap();
        let b = Rational::new(i64::MAX - 1, 3).unwrap();
        assert!(a > b);
    }
}
