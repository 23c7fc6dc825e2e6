//! Adjustments of encoded (gamma) RGB in 0..1, a pixel at a time.
//!
//! The CSS functions are those of Filter Effects Level 1, without linearisation; results are not clamped.

use super::transfer::{srgb_eotf, srgb_oetf};
use crate::FrameError;

/// One adjustment. Amounts are plain factors: 1 leaves the picture as it is where a function has a neutral amount.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Adjust {
    /// CSS `brightness`: `v * a`.
    Brightness(f64),
    /// CSS `contrast`: `(v - 0.5) * a + 0.5`.
    Contrast(f64),
    /// CSS `invert`: 0 leaves, 1 inverts.
    Invert(f64),
    /// CSS `saturate`: 0 is gray, 1 leaves.
    Saturate(f64),
    /// CSS `grayscale`: 0 leaves, 1 is gray.
    Grayscale(f64),
    /// CSS `sepia`: 0 leaves.
    Sepia(f64),
    /// CSS `hue-rotate`, degrees.
    HueRotate(f64),
    /// `v ^ exponent`.
    Gamma(f64),
    /// Stops of light: the sRGB curve undone, times `2 ^ ev`, the curve applied.
    Exposure(f64),
    /// A factor a channel: white balance.
    Gains([f64; 3]),
    /// `clamp((v - low) / (high - low)) ^ (1 / mid)`.
    Levels {
        /// Value that becomes black.
        low: f64,
        /// Value that becomes white.
        high: f64,
        /// Gamma of the middle.
        mid: f64,
    },
    /// Saturation that spares what is saturated already: `Y + (v - Y) (1 + s (1 - sat))` with BT.709 luma of encoded
    /// values and `sat = (max - min) / max`.
    Vibrance(f64),
}

/// BT.709 luma weights.
pub(super) const LUMA_709: [f64; 3] = [0.2126, 0.7152, 0.0722];

impl Adjust {
    /// White balance by temperature and tint, each -1..1: warmer is redder, tint is magenta against green.
    #[must_use]
    pub fn temperature_tint(temperature: f64, tint: f64) -> Self {
        Self::Gains([1.0 + 0.25 * temperature, 1.0 - 0.25 * tint, 1.0 - 0.25 * temperature])
    }

    /// # Errors
    /// [`FrameError::BadParameter`] for an amount that is no number, a negative one where it has no meaning, and
    /// levels that do not rise.
    pub fn check(&self) -> Result<(), FrameError> {
        let bad = |name, expected, found: f64| {
            Err(FrameError::BadParameter {
                name,
                expected,
                found: found.to_string(),
            })
        };
        let at_least_0 = |name, amount: f64| {
            if amount.is_finite() && amount >= 0.0 {
                Ok(())
            } else {
                bad(name, "a number of at least 0", amount)
            }
        };
        let share = |name, amount: f64| {
            if (0.0..=1.0).contains(&amount) {
                Ok(())
            } else {
                bad(name, "between 0 and 1", amount)
            }
        };
        match *self {
            Self::Brightness(amount) => at_least_0("brightness", amount),
            Self::Contrast(amount) => at_least_0("contrast", amount),
            Self::Saturate(amount) => at_least_0("saturation", amount),
            Self::Invert(amount) => share("invert", amount),
            Self::Grayscale(amount) => share("grayscale", amount),
            Self::Sepia(amount) => share("sepia", amount),
            Self::Gamma(amount) if amount > 0.0 && amount.is_finite() => Ok(()),
            Self::Gamma(amount) => bad("gamma", "a number above 0", amount),
            Self::HueRotate(amount) | Self::Exposure(amount) | Self::Vibrance(amount) if amount.is_finite() => Ok(()),
            Self::HueRotate(amount) | Self::Exposure(amount) | Self::Vibrance(amount) => {
                bad("amount", "a finite number", amount)
            }
            Self::Gains(gains) => match gains.into_iter().find(|gain| !gain.is_finite() || *gain < 0.0) {
                Some(gain) => bad("gain", "a number of at least 0", gain),
                None => Ok(()),
            },
            Self::Levels { low, high, mid } => {
                if !(low < high && low.is_finite() && high.is_finite()) {
                    bad("levels", "low below high", low)
                } else if mid > 0.0 && mid.is_finite() {
                    Ok(())
                } else {
                    bad("levels mid", "a number above 0", mid)
                }
            }
        }
    }

    /// The 3x3 matrix of an adjustment that is one, rows times (r, g, b).
    #[must_use]
    pub fn matrix(&self) -> Option<[[f64; 3]; 3]> {
        Some(match *self {
            Self::Saturate(a) => [
                [0.213 + 0.787 * a, 0.715 - 0.715 * a, 0.072 - 0.072 * a],
                [0.213 - 0.213 * a, 0.715 + 0.285 * a, 0.072 - 0.072 * a],
                [0.213 - 0.213 * a, 0.715 - 0.715 * a, 0.072 + 0.928 * a],
            ],
            Self::Grayscale(a) => {
                let b = 1.0 - a;
                [
                    [0.2126 + 0.7874 * b, 0.7152 - 0.7152 * b, 0.0722 - 0.0722 * b],
                    [0.2126 - 0.2126 * b, 0.7152 + 0.2848 * b, 0.0722 - 0.0722 * b],
                    [0.2126 - 0.2126 * b, 0.7152 - 0.7152 * b, 0.0722 + 0.9278 * b],
                ]
            }
            Self::Sepia(a) => {
                let b = 1.0 - a;
                [
                    [0.393 + 0.607 * b, 0.769 - 0.769 * b, 0.189 - 0.189 * b],
                    [0.349 - 0.349 * b, 0.686 + 0.314 * b, 0.168 - 0.168 * b],
                    [0.272 - 0.272 * b, 0.534 - 0.534 * b, 0.131 + 0.869 * b],
                ]
            }
            Self::HueRotate(degrees) => {
                let (s, c) = degrees.to_radians().sin_cos();
                [
                    [
                        0.213 + 0.787 * c - 0.213 * s,
                        0.715 - 0.715 * c - 0.715 * s,
                        0.072 - 0.072 * c + 0.928 * s,
                    ],
                    [
                        0.213 - 0.213 * c + 0.143 * s,
                        0.715 + 0.285 * c + 0.140 * s,
                        0.072 - 0.072 * c - 0.283 * s,
                    ],
                    [
                        0.213 - 0.213 * c - 0.787 * s,
                        0.715 - 0.715 * c + 0.715 * s,
                        0.072 + 0.928 * c + 0.072 * s,
                    ],
                ]
            }
            _ => return None,
        })
    }

    /// The adjustment as a function of a pixel, with everything that does not depend on the pixel done once.
    pub fn function(&self) -> Box<dyn Fn([f64; 3]) -> [f64; 3] + Send + Sync> {
        if let Some(matrix) = self.matrix() {
            return Box::new(move |rgb| matrix.map(|row| row[0] * rgb[0] + row[1] * rgb[1] + row[2] * rgb[2]));
        }
        match *self {
            Self::Brightness(a) => Box::new(move |rgb| rgb.map(|v| v * a)),
            Self::Contrast(a) => Box::new(move |rgb| rgb.map(|v| (v - 0.5) * a + 0.5)),
            Self::Invert(a) => Box::new(move |rgb| rgb.map(|v| v * (1.0 - a) + (1.0 - v) * a)),
            Self::Gamma(exponent) => Box::new(move |rgb| rgb.map(|v| v.max(0.0).powf(exponent))),
            Self::Exposure(ev) => {
                let factor = ev.exp2();
                Box::new(move |rgb| rgb.map(|v| srgb_oetf(srgb_eotf(v) * factor)))
            }
            Self::Gains(gains) => Box::new(move |rgb| [0, 1, 2].map(|channel| rgb[channel] * gains[channel])),
            Self::Levels { low, high, mid } => {
                Box::new(move |rgb| rgb.map(|v| ((v - low) / (high - low)).clamp(0.0, 1.0).powf(1.0 / mid)))
            }
            Self::Vibrance(strength) => Box::new(move |rgb| vibrance(rgb, strength)),
            Self::Saturate(_) | Self::Grayscale(_) | Self::Sepia(_) | Self::HueRotate(_) => Box::new(|rgb| rgb),
        }
    }
}

fn vibrance(rgb: [f64; 3], strength: f64) -> [f64; 3] {
    let max = rgb[0].max(rgb[1]).max(rgb[2]);
    let min = rgb[0].min(rgb[1]).min(rgb[2]);
    let saturation = if max > 0.0 { (max - min) / max } else { 0.0 };
    let luma = rgb[0] * LUMA_709[0] + rgb[1] * LUMA_709[1] + rgb[2] * LUMA_709[2];
    rgb.map(|v| luma + (v - luma) * (1.0 + strength * (1.0 - saturation)))
}

/// White balance after which the channels have the same mean: `gain = mean(all) / mean(channel)`. A channel that is
/// black throughout keeps its gain of 1.
#[must_use]
pub fn gray_world(channels: [&[f64]; 3]) -> Adjust {
    let means = channels.map(|values| values.iter().sum::<f64>() / values.len().max(1) as f64);
    let all = means.iter().sum::<f64>() / 3.0;
    Adjust::Gains(means.map(|mean| if mean > 0.0 { all / mean } else { 1.0 }))
}

/// White balance after which `percentile` (0..100) of each channel is white: `gain = 1 / value`. Percentiles between
/// two samples are interpolated; a channel whose percentile is black keeps its gain of 1.
#[must_use]
pub fn white_patch(channels: [&[f64]; 3], percentile: f64) -> Adjust {
    Adjust::Gains(channels.map(|values| {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let place = percentile.clamp(0.0, 100.0) / 100.0 * sorted.len().saturating_sub(1) as f64;
        let at = |index: usize| {
            sorted
                .get(index.min(sorted.len().saturating_sub(1)))
                .copied()
                .unwrap_or(0.0)
        };
        let (low, high) = (at(place.floor() as usize), at(place.ceil() as usize));
        let value = low + (high - low) * place.fract();
        if value > 0.0 { 1.0 / value } else { 1.0 }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neutral_amounts_leave_a_pixel_as_it_is() {
        let pixel = [0.2, 0.5, 0.9];
        for adjust in [
            Adjust::Brightness(1.0),
            Adjust::Contrast(1.0),
            Adjust::Invert(0.0),
            Adjust::Saturate(1.0),
            Adjust::Grayscale(0.0),
            Adjust::Sepia(0.0),
            Adjust::HueRotate(0.0),
            Adjust::Gamma(1.0),
            Adjust::Exposure(0.0),
            Adjust::temperature_tint(0.0, 0.0),
            Adjust::Levels {
                low: 0.0,
                high: 1.0,
                mid: 1.0,
            },
            Adjust::Vibrance(0.0),
        ] {
            let got = adjust.function()(pixel);
            for (got, want) in got.iter().zip(pixel) {
                assert!((got - want).abs() < 1e-9, "{adjust:?} gave {got} for {want}");
            }
        }
    }

    #[test]
    fn amounts_without_meaning_are_refused() {
        for adjust in [
            Adjust::Brightness(-1.0),
            Adjust::Contrast(f64::NAN),
            Adjust::Invert(1.5),
            Adjust::Gamma(0.0),
            Adjust::Exposure(f64::INFINITY),
            Adjust::Gains([1.0, -1.0, 1.0]),
            Adjust::Levels {
                low: 0.5,
                high: 0.5,
                mid: 1.0,
            },
        ] {
            assert!(adjust.check().is_err(), "{adjust:?}");
        }
        assert!(Adjust::Saturate(3.0).check().is_ok());
    }

    #[test]
    fn a_black_channel_does_not_divide_by_zero() {
        let black = [0.0; 4];
        let gray = [0.5; 4];
        assert_eq!(gray_world([&black, &black, &black]), Adjust::Gains([1.0; 3]));
        assert_eq!(
            white_patch([&gray, &black, &gray], 99.0),
            Adjust::Gains([2.0, 1.0, 2.0])
        );
        assert_eq!(white_patch([&[], &[], &[]], 99.0), Adjust::Gains([1.0; 3]));
    }
}
