//! Which rule holds for an output, and what its fields are.

use serde_json::{Map, Value};

use crate::tensor::{Tensor, Values};

/// The fields of a rule; all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    pub abs: Option<f64>,
    pub rel: Option<f64>,
    pub exact_fraction: Option<f64>,
    pub max_abs: Option<f64>,
    pub psnr: Option<f64>,
    /// In place of `abs` and `rel` on devices that compute in half precision; these runs are f32 on the CPU.
    pub f16_psnr: Option<f64>,
    pub hamming: Option<f64>,
    pub hamming_from_gray: Option<f64>,
    pub scores_abs: Option<f64>,
}

impl Rule {
    /// Equality.
    pub fn exact() -> Self {
        Self {
            exact_fraction: Some(1.0),
            max_abs: Some(0.0),
            ..Self::default()
        }
    }

    pub fn near(abs: f64, rel: f64) -> Self {
        Self {
            abs: Some(abs),
            rel: Some(rel),
            ..Self::default()
        }
    }

    /// The numbers of an object; entries that are objects are overrides and left out where `nested` allows them.
    pub fn parse(object: &Map<String, Value>, nested: bool) -> Result<Self, String> {
        let mut rule = Self::default();
        for (key, value) in object {
            let slot = match key.as_str() {
                "abs" => &mut rule.abs,
                "rel" => &mut rule.rel,
                "exact_fraction" => &mut rule.exact_fraction,
                "max_abs" => &mut rule.max_abs,
                "psnr" => &mut rule.psnr,
                "f16_psnr" => &mut rule.f16_psnr,
                "hamming" => &mut rule.hamming,
                "hamming_from_gray" => &mut rule.hamming_from_gray,
                "scores_abs" => &mut rule.scores_abs,
                _ if nested && value.is_object() => continue,
                _ => return Err(format!("tolerance has the unknown field {key:?}")),
            };
            let number = value
                .as_f64()
                .ok_or_else(|| format!("tolerance field {key} is {value}, expected a number"))?;
            *slot = Some(number);
        }
        Ok(rule)
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The tolerances of a case.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    set: String,
    default: Option<Rule>,
    overrides: Vec<(String, Rule)>,
    table: Option<Vec<(String, Rule)>>,
}

impl Rules {
    pub fn parse(set: &str, tolerance: Option<&Value>, tolerances: Option<&Value>) -> Result<Self, String> {
        let mut rules = Self {
            set: set.to_owned(),
            ..Self::default()
        };
        if let Some(tolerance) = tolerance {
            let object = tolerance.as_object().ok_or("tolerance is no object")?;
            let default = Rule::parse(object, true)?;
            rules.default = (!default.is_empty()).then_some(default);
            rules.overrides = named(object.iter().filter(|(_, value)| value.is_object()))?;
        }
        if let Some(tolerances) = tolerances {
            rules.table = Some(named(tolerances.as_object().ok_or("tolerances is no object")?.iter())?);
        }
        Ok(rules)
    }

    /// The default rule, for values that are no tensors.
    pub fn of_values(&self) -> Rule {
        self.default.clone().unwrap_or_default()
    }

    /// The rule of the output (or `mid.NAME`) `name`.
    pub fn of(&self, name: &str, want: &Tensor) -> Result<Rule, String> {
        if self.set == "vsr" && want.dtype == "uint8" && !name.starts_with("mid.") {
            return Ok(if name == "images" {
                Rule {
                    exact_fraction: Some(0.999),
                    max_abs: Some(1.0),
                    ..Rule::default()
                }
            } else {
                Rule::exact()
            });
        }
        let find = |rules: &[(String, Rule)]| rules.iter().find(|(key, _)| key == name).map(|(_, rule)| rule.clone());
        if let Some(rule) = self.table.as_deref().and_then(find) {
            return Ok(rule);
        }
        if let Some(rule) = find(&self.overrides) {
            return Ok(rule);
        }
        let state = self.set == "vsr" && name.starts_with("mid.");
        if let Some(rule) = self.default.as_ref().filter(|_| self.table.is_none() || state) {
            return Ok(rule.clone());
        }
        match (&want.values, &self.table) {
            (Values::Integer(_), _) => Ok(Rule::exact()),
            (Values::Float(_), Some(_)) => Ok(Rule::near(2e-6, 1e-5)),
            (Values::Float(_), None) => Err(format!("the case gives no tolerance for the floats of {name}")),
        }
    }
}

fn named<'a>(entries: impl Iterator<Item = (&'a String, &'a Value)>) -> Result<Vec<(String, Rule)>, String> {
    entries
        .map(|(key, value)| {
            let object = value
                .as_object()
                .ok_or_else(|| format!("the tolerance of {key} is no object"))?;
            Ok((key.clone(), Rule::parse(object, false)?))
        })
        .collect()
}
