//! What must hold for any input: the bodies of the fuzz targets of `fuzz/`, built for them and for tests only.
// A panic is how a target tells of a fault.
#![allow(clippy::unwrap_used)]

use serde::{Deserialize, Serialize};

use crate::{Change, ParamKind, ParamSpec, Parameters, Params};

/// One parameter of each kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Every {
    number: f64,
    integer: i64,
    switch: bool,
    choice: Option<String>,
    text: Option<String>,
    model: Option<String>,
}

const fn spec(name: &'static str, kind: ParamKind) -> ParamSpec {
    ParamSpec {
        name,
        kind,
        change: Change::Live,
        about: "",
        unit: None,
        advanced: false,
    }
}

impl Parameters for Every {
    const SPECS: &'static [ParamSpec] = &[
        spec("number", ParamKind::Number { min: -1.0, max: 1.5 }),
        spec("integer", ParamKind::Integer { min: -3, max: i64::MAX }),
        spec("switch", ParamKind::Switch),
        spec("choice", ParamKind::Choice(&["one", "two"])),
        spec("text", ParamKind::Text),
        spec("model", ParamKind::Model("upscale")),
    ];
}

/// Parameters that were taken are within their bounds, and are taken again from what they say of themselves.
pub fn params(bytes: &[u8]) {
    let Ok(given) = serde_json::from_slice(bytes) else {
        return;
    };
    let Ok(params) = Params::parse::<Every>("every", &given) else {
        return;
    };
    let typed: &Every = params.typed().unwrap();
    assert!((-1.0..=1.5).contains(&typed.number) && typed.integer >= -3);
    assert!(matches!(typed.choice.as_deref(), None | Some("one" | "two")));
    let mut said = params.json().clone();
    said.retain(|_, value| !value.is_null());
    assert_eq!(Params::parse::<Every>("every", &said).unwrap().json(), params.json());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bodies_hold_for_what_is_usual() {
        for text in [
            r#"{"number": 1, "integer": 5, "choice": "two", "model": null}"#,
            r#"{"numbre": 1}"#,
            "{}",
            "[",
        ] {
            params(text.as_bytes());
        }
    }
}
