//! Scalars, decisions and tables against `expected` and `data.json`.

use serde_json::Value;

use crate::rule::Rule;

/// Compares two JSON values: strings, booleans and integers equal, floats within the rule; a map or list must have
/// exactly the wanted entries. The result is the worst error over tolerance of the floats.
///
/// # Errors
/// The path of the first difference, and both values.
pub fn compare(want: &Value, got: &Value, rule: &Rule) -> Result<f64, String> {
    at("", want, got, &|difference, want| {
        let bound = rule.abs.unwrap_or(0.0) + rule.rel.unwrap_or(0.0).max(1e-6) * want.abs();
        difference / bound.max(rule.scores_abs.unwrap_or(0.0))
    })
}

fn at(path: &str, want: &Value, got: &Value, over: &dyn Fn(f64, f64) -> f64) -> Result<f64, String> {
    let differs = || Err(format!("{path} is {got}, expected {want}"));
    match (want, got) {
        (Value::Object(wanted), Value::Object(found)) => {
            if let Some(extra) = found.keys().find(|key| !wanted.contains_key(*key)) {
                return Err(format!("{path}.{extra} was not asked for"));
            }
            let mut worst = 0.0f64;
            for (key, want) in wanted {
                let got = found.get(key).ok_or_else(|| format!("{path}.{key} is missing"))?;
                worst = worst.max(at(&format!("{path}.{key}"), want, got, over)?);
            }
            Ok(worst)
        }
        (Value::Array(wanted), Value::Array(found)) => {
            if wanted.len() != found.len() {
                return Err(format!("{path} has {} entries, expected {}", found.len(), wanted.len()));
            }
            let mut worst = 0.0f64;
            for (index, (want, got)) in wanted.iter().zip(found).enumerate() {
                worst = worst.max(at(&format!("{path}[{index}]"), want, got, over)?);
            }
            Ok(worst)
        }
        _ => match (number(want), number(got)) {
            (Some(wanted), Some(found)) if want.is_f64() || got.is_f64() || want.is_string() => {
                if wanted == found {
                    return Ok(0.0);
                }
                let error = over((found - wanted).abs(), wanted);
                if error <= 1.0 { Ok(error) } else { differs() }
            }
            _ if want == got => Ok(0.0),
            _ => differs(),
        },
    }
}

/// A number, or the word for infinity.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) if text == "inf" => Some(f64::INFINITY),
        Value::String(text) if text == "-inf" => Some(f64::NEG_INFINITY),
        Value::Number(number) => number.as_f64(),
        _ => None,
    }
}
