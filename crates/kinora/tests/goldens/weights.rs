//! Where the weights of a case's networks come from, and the rule that makes them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{
    discover::json,
    tensor::{Tensor, Tensors, Values},
};

/// The source of one network's weights.
#[derive(Debug)]
pub enum Source {
    /// Made in memory by the splitmix64 rule.
    Rule(Value),
    /// A file.
    File(PathBuf),
}

/// The source of `networks.X`: its own rule, else its file, else the rule that lies in that file's folder.
pub fn source(folder: &Path, network: &Value) -> Result<Source, String> {
    if let Some(rule) = network.get("weights_rule") {
        return Ok(Source::Rule(rule.clone()));
    }
    let path = network
        .get("weights")
        .and_then(Value::as_str)
        .ok_or("neither weights nor weights_rule")?;
    let path = folder.join(path);
    if path.is_file() {
        return Ok(Source::File(path));
    }
    let rule = path.with_file_name("weights_rule.json");
    if rule.is_file() {
        return Ok(Source::Rule(json(&rule)?));
    }
    Err(format!(
        "there is neither {} nor a weights_rule.json beside it",
        path.display()
    ))
}

/// Checks `networks`: known fields, a config that exists, weights that exist or can be made.
pub fn check_networks(folder: &Path, networks: Option<&Value>) -> Result<(), String> {
    let Some(networks) = networks else { return Ok(()) };
    for (name, network) in networks.as_object().ok_or("networks is no object")? {
        let fields = network
            .as_object()
            .ok_or_else(|| format!("networks.{name} is no object"))?;
        let known = ["class", "config", "weights", "weights_rule"];
        if let Some(key) = fields.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(format!("networks.{name} has the unknown field {key:?}"));
        }
        if let Some(path) = network.get("config").and_then(Value::as_str) {
            json(&folder.join(path)).map_err(|error| format!("networks.{name}: {error}"))?;
        }
        let failed = |error: String| format!("networks.{name}: {error}");
        match source(folder, network).map_err(failed)? {
            // Made once, so that a rule that cannot be followed fails here and not in a far runner.
            Source::Rule(rule) => drop(by_rule(&rule).map_err(failed)?),
            Source::File(path) if path.extension().is_some_and(|extension| extension == "safetensors") => {}
            Source::File(path) => return Err(failed(format!("{} is no safetensors file", path.display()))),
        }
    }
    Ok(())
}

/// The tensors of a `splitmix64-v1` rule.
pub fn by_rule(rule: &Value) -> Result<Tensors, String> {
    if rule.get("name").and_then(Value::as_str) != Some("splitmix64-v1") {
        return Err("the weights rule is not splitmix64-v1".to_owned());
    }
    let seed = rule
        .get("seed")
        .and_then(Value::as_u64)
        .ok_or("the weights rule has no seed")?;
    let table = rule
        .get("tensors")
        .and_then(Value::as_object)
        .ok_or("the weights rule has no tensors")?;
    let mut tensors = Tensors::new();
    for (key, entry) in table {
        let shape: Option<Vec<usize>> = entry
            .get(0)
            .and_then(Value::as_array)
            .and_then(|shape| shape.iter().map(|side| Some(side.as_u64()? as usize)).collect());
        let numbers = (
            entry.get(1).and_then(Value::as_f64),
            entry.get(2).and_then(Value::as_f64),
        );
        let (Some(shape), (Some(centre), Some(halfwidth))) = (shape, numbers) else {
            return Err(format!(
                "the weights rule of {key} is {entry}, expected a shape and two numbers"
            ));
        };
        tensors.insert(key.clone(), rule_tensor(seed, key, shape, centre, halfwidth));
    }
    Ok(tensors)
}

fn rule_tensor(seed: u64, key: &str, shape: Vec<usize>, centre: f64, halfwidth: f64) -> Tensor {
    let count: usize = shape.iter().product();
    if key.ends_with("num_batches_tracked") {
        return Tensor {
            dtype: "int64",
            shape,
            values: Values::Integer(vec![0; count]),
        };
    }
    let start = seed ^ fnv1a(key.as_bytes());
    let values = (1..=count as u64).map(|index| {
        let mut z = start.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let unit = (z >> 11) as f64 * 2.0f64.powi(-53);
        f64::from((centre + (2.0 * unit - 1.0) * halfwidth) as f32)
    });
    Tensor {
        dtype: "float32",
        shape,
        values: Values::Float(values.collect()),
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
