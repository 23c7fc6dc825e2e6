//! What must hold for any input: the bodies of the fuzz targets of `fuzz/`, built for them and for tests only.

use crate::color::lut::{Interpolation, Lut};
use crate::{PixelFormat, Rational, Timestamp};

/// A fraction that was read is in lowest terms, is written as it is read, and turns over and back.
pub fn rational(bytes: &[u8]) {
    let Ok(Ok(value)) = std::str::from_utf8(bytes).map(str::parse::<Rational>) else {
        return;
    };
    assert!(value.den() > 0);
    assert_eq!(value.to_string().parse(), Ok(value));
    if let Some(inverse) = value.inverse() {
        assert_eq!(inverse.inverse(), Some(value));
    }
}

/// Times of any bases are in one order, and what rescaling says agrees with it.
pub fn times(bytes: &[u8]) {
    let mut numbers = bytes
        .chunks_exact(8)
        .map(|word| i64::from_le_bytes(word.try_into().unwrap_or_default()));
    let mut time = || {
        let (ticks, num, den) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let base = Rational::new(num, den).ok().filter(|base| base.num() > 0)?;
        Some(Timestamp::new(ticks, base))
    };
    let (Some(a), Some(b), Some(c)) = (time(), time(), time()) else {
        return;
    };
    for (x, y) in [(a, b), (b, c), (a, c)] {
        assert_eq!(x.cmp(&y), y.cmp(&x).reverse(), "{x:?} {y:?}");
        rescaled(x, y.base);
    }
    assert!(!(a <= b && b <= c) || a <= c, "{a:?} {b:?} {c:?}");
    // A decimal is cut off, never rounded up.
    let micros = Rational::from_wide(1, 1_000_000).unwrap_or(Rational::ONE);
    if let Ok(floor) = a.rescale_floor(micros) {
        let digits: String = a.decimal_micros().chars().filter(|c| *c != '.').collect();
        assert_eq!(digits.parse(), Ok(floor.ticks), "{a:?}");
    }
    assert!(!a.decimal_micros().is_empty() && !a.to_string().is_empty());
}

fn rescaled(time: Timestamp, to: Rational) {
    let Ok(floor) = time.rescale_floor(to) else {
        assert!(time.rescale_exact(to).is_err(), "{time:?} {to}");
        return;
    };
    assert!(floor <= time, "{time:?} {to}");
    if let Some(next) = floor.ticks.checked_add(1) {
        assert!(Timestamp::new(next, to) > time, "{time:?} {to}");
    }
    assert_eq!(time.rescale_exact(to).is_ok(), floor == time, "{time:?} {to}");
    if let Ok(nearest) = time.rescale_nearest(to) {
        let step = i128::from(nearest.ticks) - i128::from(floor.ticks);
        assert!((0..=1).contains(&step), "{time:?} {to}");
    }
}

/// A table that was read gives numbers for any colour.
pub fn cube(bytes: &[u8]) {
    let Ok(Ok(lut)) = std::str::from_utf8(bytes).map(str::parse::<Lut>) else {
        return;
    };
    assert!((2..=65536).contains(&lut.size()));
    for value in [f64::NEG_INFINITY, -1.0, 0.0, 0.3, 1.0, f64::MAX, f64::NAN] {
        for interpolation in [Interpolation::Trilinear, Interpolation::Tetrahedral] {
            let got = lut.apply([value, 0.5, 1.0], interpolation);
            assert!(got.iter().all(|v| v.is_finite()), "{got:?}");
        }
    }
}

/// A pixel format that was read has the name it was read from.
pub fn pixel_format(bytes: &[u8]) {
    let Ok(name) = std::str::from_utf8(bytes) else { return };
    if let Ok(format) = name.parse::<PixelFormat>() {
        assert_eq!(format.name().parse(), Ok(format));
        assert_eq!(format.to_string().parse(), Ok(format));
        assert_eq!(format.to_string(), name.trim_end_matches("le"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bodies_hold_for_what_is_usual() {
        for text in ["24000/1001", "-3:4", "0/5", "9223372036854775807", "x"] {
            rational(text.as_bytes());
        }
        let words: Vec<u8> = [7, 1, 24000, -5, 1001, 90000, i64::MAX, 1, 3]
            .into_iter()
            .flat_map(i64::to_le_bytes)
            .collect();
        times(&words);
        cube(b"LUT_1D_SIZE 2\n0 0 0\n1 1 1\n");
        pixel_format(b"yuva420p10le");
    }
}
