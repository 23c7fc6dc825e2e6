//! `net.ncnn`: pairs of graph text and weights, good and malformed; `net.ncnn.real`: pairs that people use.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use kinora_models::{ImageModel, ImageModelSpec, ModelError, ModelSource, ncnn};
use kinora_nn::{Executable, TensorView, WeightCache};
use serde_json::{Value, json};

use super::{
    Answer, End, Runner,
    runtime::{cache, models_folder, options, run as run_model, runtime},
};
use crate::{
    case::{Case, sha256},
    tensor::Tensor,
};

pub fn find(set: &str, component: &str) -> Option<Runner> {
    match (set, component) {
        // `weights` says how the writer stored them; the reader sees it in the file.
        ("vision", "net.ncnn") => Some(Runner {
            run: pair,
            silent: &["weights"],
        }),
        ("vision", "net.ncnn.real") => Some(Runner {
            run: real,
            // The file says in which version of the package it came; its hash says more.
            silent: &["version"],
        }),
        _ => None,
    }
}

/// Our stable codes, by the names of the recorded error classes.
const CLASSES: [(&str, &str); 7] = [
    ("BadMagic", "model.ncnn.bad-magic"),
    ("LayerCountMismatch", "model.ncnn.layer-count"),
    ("MissingBlob", "model.ncnn.missing-blob"),
    ("UnknownLayer", "model.ncnn.unknown-layer"),
    ("TruncatedBin", "model.ncnn.truncated-bin"),
    ("TrailingBytes", "model.ncnn.trailing-bytes"),
    ("Int8Unsupported", "model.ncnn.int8-unsupported"),
];

fn class_of(error: &ModelError) -> String {
    let code = error.code();
    let class = CLASSES.iter().find(|(_, known)| *known == code);
    class.map_or_else(|| code.to_owned(), |(class, _)| (*class).to_owned())
}

fn pair(case: &Case) -> Result<Answer, End> {
    if case.expected.is_some() {
        return malformed(case);
    }
    let (input, output) = (case.text("blob_in")?, case.text("blob_out")?);
    let files = ["model.param", "model.bin"].map(|name| case.folder.join(name));
    let cache = WeightCache::new(&cache()?.join("weights"));
    let net = ncnn::load(&files[0], &files[1], Some(input), Some(output), &cache)?;
    let picture = case.input(input)?;
    let mut shape = vec![1];
    shape.extend(&picture.shape);
    let mut executable = Executable::load(&runtime()?, &net, &options())?;
    let values = picture.as_f32()?;
    let mut results = executable.run_sized(&[TensorView::f32(&shape, &values)])?;
    let (shape, values) = results.pop().ok_or("the network has no output")?;
    let mut answer = Answer::default();
    answer
        .outputs
        .insert(output.to_owned(), Tensor::f32(&shape[1..], &values));
    Ok(answer)
}

/// Pairs whose stem names what is wrong with them.
fn malformed(case: &Case) -> Result<Answer, End> {
    let wanted = case
        .expected
        .as_ref()
        .and_then(Value::as_object)
        .ok_or("expected is no map")?;
    let cache = WeightCache::new(&cache()?.join("weights"));
    let mut got = serde_json::Map::new();
    for stem in wanted.keys() {
        let file = |extension: &str| case.folder.join(format!("{stem}.{extension}"));
        let result = ncnn::load(&file("param"), &file("bin"), None, None, &cache);
        let class = result.map_or_else(|error| class_of(&error), |_| "ok".to_owned());
        got.insert(stem.clone(), json!(class));
    }
    Ok(Answer {
        expected: Some(Value::Object(got)),
        ..Answer::default()
    })
}

/// A fetched file: by its path in the package, or by its name anywhere in the models folder; checked by hash.
pub fn fetched(case: &Case, key: &str, hash: &str) -> Result<PathBuf, End> {
    let path = Path::new(case.text(key)?);
    let name = path.file_name().ok_or_else(|| format!("params.{key} names no file"))?;
    let skipped = || End::Skipped("make fetch-test-models".to_owned());
    let root = models_folder().ok_or_else(skipped)?;
    let mut found = Vec::new();
    if root.join(path).is_file() {
        found.push(root.join(path));
    }
    collect(&root, name, 3, &mut found);
    if found.is_empty() {
        return Err(skipped());
    }
    for file in &found {
        let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        if sha256(&bytes) == hash {
            return Ok(file.clone());
        }
    }
    Err(format!("{} is not the file that the case was recorded with", found[0].display()).into())
}

fn collect(folder: &Path, name: &std::ffi::OsStr, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && depth > 0 {
            collect(&path, name, depth - 1, found);
        } else if path.file_name() == Some(name) && path.is_file() {
            found.push(path);
        }
    }
}

/// The hashes that `params.sha256` gives.
fn hashes(case: &Case) -> Result<BTreeMap<&str, &str>, End> {
    let object = case
        .param("sha256")
        .and_then(Value::as_object)
        .ok_or("params.sha256 is no map")?;
    Ok(object
        .iter()
        .filter_map(|(key, hash)| Some((key.as_str(), hash.as_str()?)))
        .collect())
}

fn real(case: &Case) -> Result<Answer, End> {
    let hashes = hashes(case)?;
    let file = |key: &str| fetched(case, key, hashes.get(key).copied().unwrap_or_default());
    case.text("package")?;
    let source = ModelSource::Ncnn {
        param: file("param")?,
        bin: file("bin")?,
    };
    let scale = case.whole("scale")?;
    let spec = ImageModelSpec {
        scale: Some(scale as u32),
        pad: case.whole("pad")? as u32,
        ..ImageModelSpec::default()
    };
    let model = ImageModel::open(&source, &spec, &runtime()?, &options(), cache()?)?;
    let mut answer = Answer::default();
    answer
        .outputs
        .insert("y".to_owned(), run_model(&model, case.input("x")?)?);
    Ok(answer)
}
