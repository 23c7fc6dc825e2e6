use std::{any::Any, fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value as Json, json};

use crate::{PipelineError, nearest};

/// When a change of a parameter takes hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// A plain value: the next frame has it.
    Live,
    /// Something is built in the background, then swapped between frames.
    Prepare,
    /// A new instance of the processor.
    Load,
}

/// Type and bounds of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParamKind {
    /// A finite float within bounds, both included.
    Number {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// A whole number within bounds, both included.
    Integer {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// True or false.
    Switch,
    /// One of a list of words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
    /// A model of this use (`upscale`), by name or path.
    Model(&'static str),
}

impl fmt::Display for ParamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { min, max } => write!(f, "number {min}..{max}"),
            Self::Integer { min, max } if *max == i64::MAX => write!(f, "integer >= {min}"),
            Self::Integer { min, max } => write!(f, "integer {min}..{max}"),
            Self::Switch => f.write_str("true or false"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::Text => f.write_str("text"),
            Self::Model(kind) => write!(f, "model of kind {kind}"),
        }
    }
}

/// The one definition of a parameter, from which file, schema, page, help and host fields are derived.
#[derive(Clone, Copy, Debug)]
pub struct ParamSpec {
    /// Name, as in files.
    pub name: &'static str,
    /// Type and bounds.
    pub kind: ParamKind,
    /// When a change takes hold.
    pub change: Change,
    /// One sentence for a person.
    pub about: &'static str,
    /// Unit of a number, if it has one: `pixels`, `ms`.
    pub unit: Option<&'static str>,
    /// Out of the way on a page.
    pub advanced: bool,
}

/// A processor's parameters: a plain struct with defaults, plus the specification of each field.
pub trait Parameters: Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// One entry a field, in the order people should see them.
    const SPECS: &'static [ParamSpec];
}

/// No parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct NoParams {}

impl Parameters for NoParams {
    const SPECS: &'static [ParamSpec] = &[];
}

/// A checked, immutable set of one processor's parameters: what a frame carries while it is in flight.
#[derive(Clone)]
pub struct Params {
    typed: Arc<dyn Any + Send + Sync>,
    json: Arc<Map<String, Json>>,
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.json.fmt(f)
    }
}

impl Params {
    /// Checks `given` against the specification and fills the rest with defaults. All of it or nothing.
    ///
    /// # Errors
    /// [`PipelineError::UnknownParameter`] and [`PipelineError::BadParameter`].
    pub fn parse<T: Parameters>(processor: &str, given: &Map<String, Json>) -> Result<Self, PipelineError> {
        let mut merged = match serde_json::to_value(T::default()) {
            Ok(Json::Object(defaults)) => defaults,
            other => {
                return Err(PipelineError::BadParameter {
                    processor: processor.to_owned(),
                    name: "defaults".to_owned(),
                    expected: "a struct of named fields".to_owned(),
                    found: format!("{other:?}"),
                });
            }
        };
        for (name, value) in given {
            let Some(spec) = T::SPECS.iter().find(|spec| spec.name == name) else {
                return Err(PipelineError::UnknownParameter {
                    processor: processor.to_owned(),
                    name: name.clone(),
                    nearest: nearest(name, T::SPECS.iter().map(|spec| spec.name)),
                });
            };
            check(spec, value).ok_or_else(|| PipelineError::BadParameter {
                processor: processor.to_owned(),
                name: name.clone(),
                expected: spec.kind.to_string(),
                found: value.to_string(),
            })?;
            merged.insert(name.clone(), value.clone());
        }
        let typed: T =
            serde_json::from_value(Json::Object(merged.clone())).map_err(|error| PipelineError::BadParameter {
                processor: processor.to_owned(),
                name: "parameters".to_owned(),
                expected: "values of the types described".to_owned(),
                found: error.to_string(),
            })?;
        Ok(Self {
            typed: Arc::new(typed),
            json: Arc::new(merged),
        })
    }

    /// The struct behind it; `None` when `T` is not the processor's own.
    #[must_use]
    pub fn typed<T: Parameters>(&self) -> Option<&T> {
        self.typed.downcast_ref()
    }

    /// All values, defaults included, as they would stand in a file.
    #[must_use]
    pub fn json(&self) -> &Map<String, Json> {
        &self.json
    }
}

fn check(spec: &ParamSpec, value: &Json) -> Option<()> {
    let good = match spec.kind {
        ParamKind::Number { min, max } => value
            .as_f64()
            .is_some_and(|v| v.is_finite() && (min..=max).contains(&v)),
        ParamKind::Integer { min, max } => value.as_i64().is_some_and(|v| (min..=max).contains(&v)),
        ParamKind::Switch => value.is_boolean(),
        ParamKind::Choice(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        ParamKind::Text | ParamKind::Model(_) => value.is_string() || value.is_null(),
    };
    good.then_some(())
}

/// JSON Schema (2020-12) of a parameter list, with `x-kinora` hints for pages and hosts.
#[must_use]
pub fn schema(title: &str, specs: &[ParamSpec], defaults: &Map<String, Json>) -> Json {
    let mut properties = Map::new();
    for (order, spec) in specs.iter().enumerate() {
        let mut property = match spec.kind {
            ParamKind::Number { min, max } => json!({"type": "number", "minimum": min, "maximum": max}),
            ParamKind::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
            ParamKind::Switch => json!({"type": "boolean"}),
            ParamKind::Choice(words) => json!({"type": "string", "enum": words}),
            ParamKind::Text => json!({"type": ["string", "null"]}),
            ParamKind::Model(kind) => json!({"type": ["string", "null"], "x-kinora-model": kind}),
        };
        if let Some(object) = property.as_object_mut() {
            object.insert("description".to_owned(), spec.about.into());
            if let Some(default) = defaults.get(spec.name) {
                object.insert("default".to_owned(), default.clone());
            }
            let mut hints = json!({"order": order, "change": spec.change, "advanced": spec.advanced});
            if let (Some(unit), Some(hints)) = (spec.unit, hints.as_object_mut()) {
                hints.insert("unit".to_owned(), unit.into());
            }
            object.insert("x-kinora".to_owned(), hints);
        }
        properties.insert(spec.name.to_owned(), property);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Blend {
        strength: f64,
        mode: String,
    }

    impl Default for Blend {
        fn default() -> Self {
            Self {
                strength: 1.0,
                mode: "linear".to_owned(),
            }
        }
    }

    impl Parameters for Blend {
        const SPECS: &'static [ParamSpec] = &[
            ParamSpec {
                name: "strength",
                kind: ParamKind::Number { min: 0.0, max: 1.0 },
                change: Change::Live,
                about: "how much",
                unit: None,
                advanced: false,
            },
            ParamSpec {
                name: "mode",
                kind: ParamKind::Choice(&["linear", "gamma"]),
                change: Change::Prepare,
                about: "in which light",
                unit: None,
                advanced: true,
            },
        ];
    }

    fn parse(text: &str) -> Result<Params, PipelineError> {
        Params::parse::<Blend>(
            "blend",
            serde_json::from_str::<Json>(text).unwrap().as_object().unwrap(),
        )
    }

    #[test]
    fn given_values_are_checked_and_the_rest_is_default() {
        let params = parse(r#"{"strength": 0.5}"#).unwrap();
        assert_eq!(
            params.typed::<Blend>(),
            Some(&Blend {
                strength: 0.5,
                mode: "linear".to_owned()
            })
        );
        assert_eq!(params.json().len(), 2);
        assert!(params.typed::<NoParams>().is_none());
    }

    #[test]
    fn a_bad_value_names_what_is_allowed() {
        for (text, code) in [
            (r#"{"strength": 1.5}"#, "pipeline.bad_value"),
            (r#"{"strength": "1"}"#, "pipeline.bad_value"),
            (r#"{"mode": "cubic"}"#, "pipeline.bad_value"),
            (r#"{"strenght": 1}"#, "pipeline.unknown_key"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.code(), code, "{text}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn the_schema_says_all_that_a_page_needs() {
        let params = parse("{}").unwrap();
        let schema = schema("blend", Blend::SPECS, params.json());
        assert_eq!(schema["properties"]["strength"]["maximum"], 1.0);
        assert_eq!(schema["properties"]["mode"]["x-kinora"]["change"], "prepare");
        assert_eq!(schema["properties"]["mode"]["default"], "linear");
    }
}
