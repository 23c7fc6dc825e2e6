//! HDR10 facts in the words of the encoders that carry them.

use kinora_frame::{MasteringDisplay, Rational, SideData};

/// x265: whole units of 1/50000 and 1/10000 cd/m².
pub(super) fn x265(side_data: &SideData) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(display) = &side_data.mastering {
        let [red, green, blue, white] = display.chromaticities;
        let pair = |pair: (Rational, Rational)| format!("({},{})", units(pair.0, 50_000), units(pair.1, 50_000));
        found.push(format!(
            "master-display=G{}B{}R{}WP{}L({},{})",
            pair(green),
            pair(blue),
            pair(red),
            pair(white),
            units(display.max_luminance, 10_000),
            units(display.min_luminance, 10_000),
        ));
    }
    if let Some(light) = side_data.content_light {
        found.push(format!("max-cll={},{}", light.max_content, light.max_average));
    }
    if !found.is_empty() {
        found.push("hdr10=1".to_owned());
        found.push("repeat-headers=1".to_owned());
    }
    found
}

/// SVT-AV1: decimals.
pub(super) fn svt_av1(side_data: &SideData) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(display) = &side_data.mastering {
        found.push(svt_display(display));
    }
    if let Some(light) = side_data.content_light {
        found.push(format!("content-light={},{}", light.max_content, light.max_average));
    }
    found
}

fn svt_display(display: &MasteringDisplay) -> String {
    let [red, green, blue, white] = display.chromaticities;
    let pair = |pair: (Rational, Rational)| format!("({:.5},{:.5})", pair.0.to_f64(), pair.1.to_f64());
    format!(
        "mastering-display=G{}B{}R{}WP{}L({:.4},{:.4})",
        pair(green),
        pair(blue),
        pair(red),
        pair(white),
        display.max_luminance.to_f64(),
        display.min_luminance.to_f64(),
    )
}

fn units(value: Rational, per_one: i64) -> i128 {
    let den = i128::from(value.den());
    (i128::from(value.num()) * i128::from(per_one) + den / 2).div_euclid(den)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinora_frame::ContentLight;

    #[test]
    fn both_encoders_are_told_the_same_display() {
        let unit = |num, den| Rational::new(num, den).unwrap();
        let side_data = SideData {
            mastering: Some(MasteringDisplay {
                chromaticities: [
                    (unit(34000, 50000), unit(16000, 50000)),
                    (unit(13250, 50000), unit(34500, 50000)),
                    (unit(7500, 50000), unit(3000, 50000)),
                    (unit(15635, 50000), unit(16450, 50000)),
                ],
                min_luminance: unit(50, 10000),
                max_luminance: unit(1000, 1),
            }),
            content_light: Some(ContentLight {
                max_content: 1000,
                max_average: 400,
            }),
        };
        assert_eq!(
            x265(&side_data).join(":"),
            "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400:hdr10=1:repeat-headers=1"
        );
        assert_eq!(
            svt_av1(&side_data).join(":"),
            "mastering-display=G(0.26500,0.69000)B(0.15000,0.06000)R(0.68000,0.32000)WP(0.31270,0.32900)L(1000.0000,0.0050):content-light=1000,400"
        );
        assert!(x265(&SideData::default()).is_empty());
    }
}
