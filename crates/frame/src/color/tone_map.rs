//! Tone mapping: linear light that goes past 1 brought into 0..1, a pixel at a time.

use super::adjust::LUMA_709;

/// A tone curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ToneMap {
    /// `v / (1 + v)` a channel (Reinhard et al. 2002).
    Reinhard,
    /// Reinhard's extended curve on luminance, clamped: light of `white` and above becomes 1.
    ReinhardExtended {
        /// Luminance that becomes white.
        white: f64,
    },
    /// Hable's filmic curve, white point 11.2, clamped.
    Hable {
        /// Factor before the curve.
        exposure_bias: f64,
    },
    /// Narkowicz's fit of the ACES curve, clamped.
    Aces,
}

fn hable(v: f64) -> f64 {
    const A: f64 = 0.15;
    const B: f64 = 0.50;
    const C: f64 = 0.10;
    const D: f64 = 0.20;
    const E: f64 = 0.02;
    const F: f64 = 0.30;
    (v * (A * v + C * B) + D * E) / (v * (A * v + B) + D * F) - E / F
}

impl ToneMap {
    /// The pixel in 0..1 linear light; negative light counts as none.
    #[must_use]
    pub fn apply(self, rgb: [f64; 3]) -> [f64; 3] {
        let rgb = rgb.map(|v| v.max(0.0));
        match self {
            Self::Reinhard => rgb.map(|v| v / (1.0 + v)),
            Self::ReinhardExtended { white } => {
                let luminance = rgb[0] * LUMA_709[0] + rgb[1] * LUMA_709[1] + rgb[2] * LUMA_709[2];
                let gain = (1.0 + luminance / (white * white)) / (1.0 + luminance);
                rgb.map(|v| (v * gain).clamp(0.0, 1.0))
            }
            Self::Hable { exposure_bias } => {
                let white = hable(11.2);
                rgb.map(|v| (hable(exposure_bias * v) / white).clamp(0.0, 1.0))
            }
            Self::Aces => rgb.map(|v| ((v * (2.51 * v + 0.03)) / (v * (2.43 * v + 0.59) + 0.14)).clamp(0.0, 1.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_rises_and_stays_between_black_and_white() {
        let curves = [
            ToneMap::Reinhard,
            ToneMap::ReinhardExtended { white: 6.0 },
            ToneMap::Hable { exposure_bias: 2.0 },
            ToneMap::Aces,
        ];
        for curve in curves {
            assert!(curve.apply([0.0; 3])[0].abs() < 1e-12, "{curve:?}");
            let mut last = 0.0;
            for step in 0..2000 {
                let value = curve.apply([f64::from(step) * 0.01; 3])[1];
                assert!(
                    (last..=1.0).contains(&value),
                    "{curve:?} at {step}: {value} after {last}"
                );
                last = value;
            }
        }
    }
}
