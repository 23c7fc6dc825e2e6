use std::collections::HashMap;
use std::path::Path;

use crate::error::{ModelError, Result};

/// First line of an ncnn graph text.
const MAGIC: &str = "7767517";
/// Most layers of one graph.
const MAX_LAYERS: usize = 100_000;
/// Keys below this announce an array: parameter `-23300 - key`.
const ARRAY_BASE: i64 = -23300;

/// A parameter as it stands in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Param {
    Int(i64),
    Float(f32),
    Array(Vec<f32>),
}

/// One line of the text.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    params: HashMap<u32, Param>,
}

impl Layer {
    /// An error about this layer.
    pub(super) fn bad(&self, path: &Path, expected: impl Into<String>, found: impl Into<String>) -> ModelError {
        ModelError::BadLayer {
            path: path.into(),
            layer: self.name.clone(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// An integer parameter.
    pub(super) fn int(&self, path: &Path, key: u32, default: i64) -> Result<i64> {
        match self.params.get(&key) {
            None => Ok(default),
            Some(Param::Int(n)) => Ok(*n),
            Some(other) => Err(self.bad(path, format!("an integer for parameter {key}"), format!("{other:?}"))),
        }
    }

    /// A count or size: an integer of 0 to 2^28.
    pub(super) fn size(&self, path: &Path, key: u32, default: usize) -> Result<usize> {
        let n = self.int(path, key, default as i64)?;
        usize::try_from(n)
            .ok()
            .filter(|n| *n <= 1 << 28)
            .ok_or_else(|| self.bad(path, format!("a size for parameter {key}"), n.to_string()))
    }

    /// A number parameter.
    pub(super) fn float(&self, path: &Path, key: u32, default: f32) -> Result<f32> {
        match self.params.get(&key) {
            None => Ok(default),
            Some(Param::Int(n)) => Ok(*n as f32),
            Some(Param::Float(x)) => Ok(*x),
            Some(other) => Err(self.bad(path, format!("a number for parameter {key}"), format!("{other:?}"))),
        }
    }

    /// An array parameter; empty when it is not there.
    pub(super) fn array(&self, path: &Path, key: u32) -> Result<&[f32]> {
        match self.params.get(&key) {
            None => Ok(&[]),
            Some(Param::Array(v)) => Ok(v),
            Some(other) => Err(self.bad(path, format!("an array for parameter {key}"), format!("{other:?}"))),
        }
    }

    /// Refuses parameters that this reader does not know, unless they are zero: they would change the result.
    pub(super) fn only(&self, path: &Path, keys: &[u32]) -> Result<()> {
        let odd = |p: &Param| *p != Param::Int(0) && *p != Param::Float(0.0);
        match self.params.iter().find(|(k, p)| !keys.contains(k) && odd(p)) {
            Some((k, p)) => Err(self.bad(
                path,
                format!("parameters {keys:?} of {}", self.kind),
                format!("{k}={p:?}"),
            )),
            None => Ok(()),
        }
    }
}

/// Parses a graph text.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Layer>> {
    let bad_magic = |found: &[u8]| ModelError::BadMagic {
        path: path.into(),
        found: String::from_utf8_lossy(&found[..found.len().min(16)])
            .trim_end()
            .escape_debug()
            .to_string(),
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(bad_magic(bytes));
    };
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    match lines.next() {
        Some(MAGIC) => {}
        other => return Err(bad_magic(other.unwrap_or_default().as_bytes())),
    }
    let counts: Vec<usize> = lines
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let &[announced, _blobs] = counts.as_slice() else {
        return Err(ModelError::BadLayer {
            path: path.into(),
            layer: "second line".into(),
            expected: "layer count and blob count".into(),
            found: format!("{} numbers", counts.len()),
        });
    };
    let mut layers = Vec::new();
    for line in lines {
        if layers.len() > announced || layers.len() > MAX_LAYERS {
            break;
        }
        layers.push(parse_layer(path, line)?);
    }
    if layers.len() != announced || announced > MAX_LAYERS {
        return Err(ModelError::LayerCountMismatch {
            path: path.into(),
            expected: announced,
            found: layers.len(),
        });
    }
    Ok(layers)
}

fn parse_layer(path: &Path, line: &str) -> Result<Layer> {
    let bad = |name: &str, expected: &str, found: &str| ModelError::BadLayer {
        path: path.into(),
        layer: name.into(),
        expected: expected.into(),
        found: found.chars().take(80).collect(),
    };
    let mut words = line.split_whitespace();
    let (Some(kind), Some(name)) = (words.next(), words.next()) else {
        return Err(bad(line, "type, name and blob counts", line));
    };
    let mut count = || {
        words
            .next()
            .and_then(|w| w.parse::<usize>().ok())
            .filter(|n| *n <= MAX_LAYERS)
    };
    let (Some(n_in), Some(n_out)) = (count(), count()) else {
        return Err(bad(name, "numbers of inputs and outputs", line));
    };
    let mut blobs = |n: usize| -> Option<Vec<String>> { (0..n).map(|_| words.next().map(str::to_owned)).collect() };
    let (Some(inputs), Some(outputs)) = (blobs(n_in), blobs(n_out)) else {
        return Err(bad(name, "as many blob names as announced", line));
    };
    let mut params = HashMap::new();
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            return Err(bad(name, "key=value", word));
        };
        let Ok(key) = key.parse::<i64>() else {
            return Err(bad(name, "an integer key", word));
        };
        let (key, param) = if key <= ARRAY_BASE {
            (ARRAY_BASE - key, parse_array(value))
        } else {
            (key, parse_number(value))
        };
        match (u32::try_from(key), param) {
            (Ok(key), Some(param)) => params.insert(key, param),
            _ => return Err(bad(name, "key=value with a number or an array", word)),
        };
    }
    Ok(Layer {
        kind: kind.into(),
        name: name.into(),
        inputs,
        outputs,
        params,
    })
}

fn parse_number(text: &str) -> Option<Param> {
    if text.contains(['.', 'e', 'E']) {
        text.parse().ok().filter(|x: &f32| x.is_finite()).map(Param::Float)
    } else {
        text.parse().ok().map(Param::Int)
    }
}

fn parse_array(text: &str) -> Option<Param> {
    let mut parts = text.split(',');
    let count: usize = parts.next()?.parse().ok()?;
    let values: Vec<f32> = parts
        .map(|p| p.parse::<f32>().ok().filter(|x| x.is_finite()))
        .collect::<Option<_>>()?;
    (values.len() == count).then_some(Param::Array(values))
}
