#![no_main]

#[allow(dead_code)]
#[path = "../../crates/kinora/src/cli/flags.rs"]
mod flags;

use flags::{AutoNumber, BitRate, Bytes, KeyValue, Moment, PictureSize, ScaleFactor};

/// What a flag takes lies within the bounds that its error names.
fn values(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse() {
        Ok(Moment::Micros(micros)) => assert!(micros >= 0, "{text}"),
        Ok(Moment::Frame(frame)) => assert_eq!(format!("{frame}f").parse(), Ok(Moment::Frame(frame))),
        Err(_) => {}
    }
    if let Ok(ScaleFactor(factor)) = text.parse() {
        assert!((0.05..=16.0).contains(&factor));
    }
    if let Ok(PictureSize(size)) = text.parse() {
        assert!(size.check().is_ok());
        assert_eq!(size.to_string().parse(), Ok(PictureSize(size)));
    }
    if let Ok(AutoNumber::Number(number)) = text.parse() {
        assert!((1..=64).contains(&number));
    }
    if let Ok(Bytes(count)) = text.parse() {
        assert!(count < 1 << 60);
    }
    if let Ok(BitRate(bits)) = text.parse() {
        assert!((1000..1 << 60).contains(&bits));
    }
    if let Ok(KeyValue(key, value)) = text.parse() {
        assert_eq!(format!("{key}={value}"), text);
    }
}

kinora_fuzz::target!(values);
