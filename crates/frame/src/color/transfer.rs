//! Transfer curves between encoded values and light, both in 0..1.
//!
//! OETF: light to code. EOTF: code to light. For PQ, 1.0 of light is 10000 cd/m²; for HLG, light is scene light.

/// sRGB code to light (IEC 61966-2-1).
#[must_use]
pub fn srgb_eotf(code: f64) -> f64 {
    if code <= 0.04045 {
        code / 12.92
    } else {
        ((code + 0.055) / 1.055).powf(2.4)
    }
}

/// Light to sRGB code; negative light is black.
#[must_use]
pub fn srgb_oetf(light: f64) -> f64 {
    let light = light.max(0.0);
    if light <= 0.003_130_8 {
        12.92 * light
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    }
}

/// Light to code of BT.709 cameras; negative light is black.
#[must_use]
pub fn bt709_oetf(light: f64) -> f64 {
    let light = light.max(0.0);
    if light < 0.018 {
        4.5 * light
    } else {
        1.099 * light.powf(0.45) - 0.099
    }
}

/// Code of BT.709 cameras to light.
#[must_use]
pub fn bt709_inverse_oetf(code: f64) -> f64 {
    if code < 0.081 {
        code / 4.5
    } else {
        ((code + 0.099) / 1.099).powf(1.0 / 0.45)
    }
}

const PQ_M1: f64 = 2610.0 / 16384.0;
const PQ_M2: f64 = 2523.0 / 4096.0 * 128.0;
const PQ_C1: f64 = 3424.0 / 4096.0;
const PQ_C2: f64 = 2413.0 / 4096.0 * 32.0;
const PQ_C3: f64 = 2392.0 / 4096.0 * 32.0;

/// Light to PQ code (SMPTE ST 2084).
#[must_use]
pub fn pq_inverse_eotf(light: f64) -> f64 {
    let power = light.max(0.0).powf(PQ_M1);
    ((PQ_C1 + PQ_C2 * power) / (1.0 + PQ_C3 * power)).powf(PQ_M2)
}

/// PQ code to light (SMPTE ST 2084).
#[must_use]
pub fn pq_eotf(code: f64) -> f64 {
    let power = code.max(0.0).powf(1.0 / PQ_M2);
    ((power - PQ_C1).max(0.0) / (PQ_C2 - PQ_C3 * power)).powf(1.0 / PQ_M1)
}

const HLG_A: f64 = 0.178_832_77;
const HLG_B: f64 = 1.0 - 4.0 * HLG_A;

fn hlg_c() -> f64 {
    0.5 - HLG_A * (4.0 * HLG_A).ln()
}

/// Scene light to HLG code (BT.2100).
#[must_use]
pub fn hlg_oetf(light: f64) -> f64 {
    let light = light.max(0.0);
    if light <= 1.0 / 12.0 {
        (3.0 * light).sqrt()
    } else {
        HLG_A * (12.0 * light - HLG_B).ln() + hlg_c()
    }
}

/// HLG code to scene light (BT.2100).
#[must_use]
pub fn hlg_inverse_oetf(code: f64) -> f64 {
    let code = code.max(0.0);
    if code <= 0.5 {
        code * code / 3.0
    } else {
        (((code - hlg_c()) / HLG_A).exp() + HLG_B) / 12.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_and_its_inverse_meet() {
        for step in 0..=1000 {
            let value = f64::from(step) / 1000.0;
            for (name, there, back) in [
                ("srgb", srgb_eotf as fn(f64) -> f64, srgb_oetf as fn(f64) -> f64),
                ("bt709", bt709_inverse_oetf, bt709_oetf),
                ("pq", pq_eotf, pq_inverse_eotf),
                ("hlg", hlg_inverse_oetf, hlg_oetf),
            ] {
                let got = back(there(value));
                assert!((got - value).abs() < 3e-4, "{name} of {value} came back as {got}");
            }
        }
    }

    #[test]
    fn no_curve_gives_a_number_that_is_none() {
        for value in [-1.0, -1e-9, 0.0, 1.0, 2.0] {
            for curve in [
                srgb_eotf,
                srgb_oetf,
                bt709_oetf,
                bt709_inverse_oetf,
                pq_inverse_eotf,
                hlg_oetf,
                hlg_inverse_oetf,
            ] {
                assert!(!curve(value).is_nan(), "{value}");
            }
        }
        assert!(!pq_eotf(-1.0).is_nan());
    }
}
