//! A case with everything it says checked: fields, tensors, files, sources of weights.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    discover::{Found, json},
    rule::Rules,
    tensor::{DTYPES, Tensor, Tensors, read},
    weights,
};

/// Fields of a case, and the sets that may have them.
const FIELDS: [(&str, &[&str]); 18] = [
    ("group", ALL),
    ("name", ALL),
    ("component", ALL),
    ("description", ALL),
    ("params", ALL),
    ("config", &["diffusion", "vsr"]),
    ("networks", &["diffusion", "vsr"]),
    ("inputs", ALL),
    ("outputs", ALL),
    ("intermediates", &["diffusion", "vsr"]),
    ("tolerance", ALL),
    ("tolerances", &["diffusion"]),
    ("expected", &["vision"]),
    ("weights", &["vision"]),
    ("files", &["vision", "vsr"]),
    ("extra_files", &["diffusion"]),
    ("measured", &["diffusion", "vsr"]),
    ("conventions", ALL),
];
const ALL: &[&str] = &["diffusion", "vision", "vsr"];

/// A case ready to run.
pub struct Case {
    pub folder: PathBuf,
    pub params: Map<String, Value>,
    pub inputs: Tensors,
    pub outputs: Tensors,
    pub taps: Tensors,
    pub rules: Rules,
    pub expected: Option<Value>,
    pub data: Option<Value>,
    used: RefCell<BTreeSet<String>>,
}

impl Case {
    /// # Errors
    /// The first thing that is not as the format says.
    pub fn load(found: &Found) -> Result<Self, String> {
        if let Some(broken) = &found.broken {
            return Err(broken.clone());
        }
        let json_case = json(&found.path.join("case.json"))?;
        let fields = json_case.as_object().ok_or("case.json is no object")?;
        check_fields(fields, &found.set)?;
        let declared = |key: &str| declared(fields.get(key), key);
        let (inputs, outputs, taps) = (declared("inputs")?, declared("outputs")?, declared("intermediates")?);
        let file = found.path.join("io.safetensors");
        let mut tensors = if file.is_file() { read(&file)? } else { Tensors::new() };
        let mut take = |prefix: &str, declared: Vec<(String, String, Vec<usize>)>| -> Result<Tensors, String> {
            declared
                .into_iter()
                .map(|(name, dtype, shape)| {
                    let key = format!("{prefix}.{name}");
                    let tensor = tensors
                        .remove(&key)
                        .ok_or_else(|| format!("io.safetensors has no {key}"))?;
                    if tensor.dtype != dtype || tensor.shape != shape {
                        let (found, at) = (tensor.dtype, &tensor.shape);
                        return Err(format!("{key} is {found} {at:?}, case.json says {dtype} {shape:?}"));
                    }
                    Ok((name, tensor))
                })
                .collect()
        };
        let (inputs, outputs, taps) = (take("in", inputs)?, take("out", outputs)?, take("mid", taps)?);
        if let Some(name) = tensors.keys().next() {
            return Err(format!("io.safetensors has {name}, which case.json does not name"));
        }
        let table = found.path.join("data.json");
        let case = Self {
            folder: found.path.clone(),
            params: fields
                .get("params")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            inputs,
            outputs,
            taps,
            rules: Rules::parse(&found.set, fields.get("tolerance"), fields.get("tolerances"))?,
            expected: fields.get("expected").cloned(),
            data: if table.is_file() { Some(json(&table)?) } else { None },
            used: RefCell::default(),
        };
        check_files(&found.path, fields.get("files"))?;
        check_extra_files(&found.path, fields.get("extra_files"))?;
        check_weights(&found.path, fields.get("weights"))?;
        weights::check_networks(&found.path, fields.get("networks"))?;
        Ok(case)
    }

    /// A parameter, marked as used.
    pub fn param(&self, key: &str) -> Option<&Value> {
        self.used.borrow_mut().insert(key.to_owned());
        self.params.get(key)
    }

    pub fn number(&self, key: &str) -> Result<f64, String> {
        let value = self.param(key).and_then(Value::as_f64);
        value.ok_or_else(|| format!("params.{key} is no number"))
    }

    pub fn whole(&self, key: &str) -> Result<usize, String> {
        let value = self.param(key).and_then(Value::as_u64);
        value
            .map(|value| value as usize)
            .ok_or_else(|| format!("params.{key} is no whole number"))
    }

    pub fn text(&self, key: &str) -> Result<&str, String> {
        self.param(key)
            .and_then(Value::as_str)
            .ok_or_else(|| format!("params.{key} is no text"))
    }

    /// A parameter that is a list of numbers.
    pub fn numbers(&self, key: &str) -> Result<Vec<f64>, String> {
        let list = self.param(key).and_then(Value::as_array);
        list.and_then(|list| list.iter().map(Value::as_f64).collect())
            .ok_or_else(|| format!("params.{key} is no list of numbers"))
    }

    /// A parameter that is a list of lists of numbers.
    pub fn rows(&self, key: &str) -> Result<Vec<Vec<f64>>, String> {
        let row = |row: &Value| row.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>();
        let list = self.param(key).and_then(Value::as_array);
        list.and_then(|list| list.iter().map(row).collect())
            .ok_or_else(|| format!("params.{key} is no list of rows of numbers"))
    }

    pub fn input(&self, name: &str) -> Result<&Tensor, String> {
        self.inputs
            .get(name)
            .ok_or_else(|| format!("the case has no input {name}"))
    }

    /// # Errors
    /// Names a parameter that nobody read and that does not stand in `silent`.
    pub fn check_used(&self, silent: &[&str]) -> Result<(), String> {
        let used = self.used.borrow();
        match self
            .params
            .keys()
            .find(|key| !used.contains(*key) && !silent.contains(&key.as_str()))
        {
            Some(key) => Err(format!("params.{key} is not used by the component's runner")),
            None => Ok(()),
        }
    }
}

fn check_fields(fields: &Map<String, Value>, set: &str) -> Result<(), String> {
    for key in fields.keys() {
        if !FIELDS.iter().any(|(name, sets)| name == key && sets.contains(&set)) {
            return Err(format!("case.json has the unknown field {key:?}"));
        }
    }
    let text = |value: &Value| value.is_string();
    match fields.get("conventions") {
        None => {}
        Some(value) if text(value) || value.as_array().is_some_and(|list| list.iter().all(text)) => {}
        Some(_) => return Err("conventions is neither text nor a list of headings".to_owned()),
    }
    match fields.get("params") {
        None | Some(Value::Object(_)) => Ok(()),
        Some(_) => Err("params is no object".to_owned()),
    }
}

/// Name, dtype and shape of the declared tensors.
fn declared(value: Option<&Value>, key: &str) -> Result<Vec<(String, String, Vec<usize>)>, String> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let object = value.as_object().ok_or_else(|| format!("{key} is no object"))?;
    object
        .iter()
        .map(|(name, entry)| {
            let dtype = entry.get("dtype").and_then(Value::as_str).unwrap_or_default();
            let shape = entry.get("shape").and_then(Value::as_array);
            let shape: Option<Vec<usize>> =
                shape.and_then(|shape| shape.iter().map(|side| Some(side.as_u64()? as usize)).collect());
            let fields = entry.as_object().map_or(0, Map::len);
            match shape {
                Some(shape) if DTYPES.contains(&dtype) && fields == 2 => Ok((name.clone(), dtype.to_owned(), shape)),
                _ => Err(format!("{key}.{name} is {entry}, expected a dtype and a shape")),
            }
        })
        .collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `files`: bytes and hash of a file beside the case, or the path of one in a role.
fn check_files(folder: &Path, files: Option<&Value>) -> Result<(), String> {
    let Some(files) = files else { return Ok(()) };
    for (name, entry) in files.as_object().ok_or("files is no object")? {
        if let Some(path) = entry.as_str() {
            if !folder.join(path).exists() {
                return Err(format!("files.{name}: there is no {path}"));
            }
            continue;
        }
        let bytes = std::fs::read(folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
        let size = entry.get("bytes").and_then(Value::as_u64);
        let hash = entry.get("sha256").and_then(Value::as_str);
        if size != Some(bytes.len() as u64) || hash != Some(sha256(&bytes).as_str()) {
            return Err(format!("{name} is not the file that case.json names"));
        }
    }
    Ok(())
}

fn check_extra_files(folder: &Path, files: Option<&Value>) -> Result<(), String> {
    for name in files.and_then(Value::as_array).into_iter().flatten() {
        let name = name.as_str().ok_or("extra_files holds something else than names")?;
        if !folder.join(name).is_file() {
            return Err(format!("extra_files: there is no {name}"));
        }
    }
    Ok(())
}

/// `weights`: counts of `weights.safetensors`.
fn check_weights(folder: &Path, counts: Option<&Value>) -> Result<(), String> {
    let Some(counts) = counts else { return Ok(()) };
    let tensors = read(&folder.join("weights.safetensors"))?;
    let parameters: usize = tensors.values().map(Tensor::len).sum();
    let count = |key: &str| counts.get(key).and_then(Value::as_u64).unwrap_or_default() as usize;
    if (count("tensors"), count("parameters")) == (tensors.len(), parameters) {
        Ok(())
    } else {
        Err(format!(
            "weights.safetensors has {} tensors and {parameters} parameters, case.json says {counts}",
            tensors.len()
        ))
    }
}
