use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::NearLimits;
use crate::EngineError;

/// Which frames may share one result.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum DedupeMode {
    /// Every frame is processed.
    Off,
    /// Frames whose decoded planes are equal bit for bit share one result.
    #[default]
    Exact,
    /// So do frames that are within these limits of the last one that went through the stages.
    Near(NearLimits),
}

impl fmt::Display for DedupeMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Exact => f.write_str("exact"),
            Self::Near(limits) => write!(f, "near={},{},{}", limits.hi(), limits.lo(), limits.frac()),
        }
    }
}

impl FromStr for DedupeMode {
    type Err = EngineError;

    /// Reads `off`, `exact`, `near` and `near=HI,LO,FRAC`.
    fn from_str(text: &str) -> Result<Self, EngineError> {
        let limits = |text: &str| {
            let mut parts = text.split(',').map(str::trim);
            let (hi, lo, frac) = (parts.next()?, parts.next()?, parts.next()?);
            let limits = NearLimits::new(hi.parse().ok()?, lo.parse().ok()?, frac.parse().ok()?)?;
            parts.next().is_none().then_some(limits)
        };
        let mode = match (text, text.strip_prefix("near=")) {
            ("off", _) => Some(Self::Off),
            ("exact", _) => Some(Self::Exact),
            ("near", _) => Some(Self::Near(NearLimits::default())),
            (_, Some(text)) => limits(text).map(Self::Near),
            _ => None,
        };
        mode.ok_or_else(|| EngineError::Dedupe { found: text.to_owned() })
    }
}

impl Serialize for DedupeMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DedupeMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_written_as_it_is_read() {
        for text in ["off", "exact", "near=192,64,0.02", "near=300,100,0.5", "near=0,0,0"] {
            let mode: DedupeMode = text.parse().unwrap();
            assert_eq!(mode.to_string(), text);
            let json = serde_json::to_value(mode).unwrap();
            assert_eq!(json, text);
            assert_eq!(serde_json::from_value::<DedupeMode>(json).unwrap(), mode);
        }
        assert_eq!("near".parse::<DedupeMode>().unwrap().to_string(), "near=192,64,0.02");
        assert_eq!(
            "near=192, 64, 0.02".parse::<DedupeMode>().unwrap(),
            "near".parse().unwrap()
        );
    }

    #[test]
    fn what_is_no_mode_is_refused_with_what_it_should_be() {
        for text in [
            "",
            "on",
            "Exact",
            "near=",
            "near=192",
            "near=192,64",
            "near=192,64,0.02,1",
            "near=64,192,0.02",
            "near=192,64,2",
            "near=192,64,NaN",
            "near=-1,-2,0",
            "near=99999,64,0.02",
            "exact=1,1,1",
            "near 192,64,0.02",
        ] {
            let error = text.parse::<DedupeMode>().unwrap_err();
            assert_eq!(error.code(), "usage.value", "{text}");
            assert!(error.to_string().contains("near=HI,LO,FRAC"), "{error}");
        }
    }
}
