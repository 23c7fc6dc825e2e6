//! Models of the group `real`: found in the models folder, checked by hash, skipped where they were not fetched.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use kinora_models::{ImageModel, ImageModelSpec, ModelSource, onnx_file};
use kinora_nn::{Executable, TensorView};
use serde_json::Value;

use super::{
    Answer, End, Runner,
    runtime::{cache, models_folder, options, run as run_model, runtime},
};
use crate::{
    case::{Case, sha256},
    tensor::Tensor,
};

pub fn find(set: &str, component: &str) -> Option<Runner> {
    let run = match (set, component) {
        ("vision", "net.ncnn.real") => ncnn,
        ("vision", "net.onnx.real") => onnx,
        _ => return None,
    };
    Some(Runner {
        run,
        // Package and version say where a file comes from; its hash says which it is.
        silent: &["package", "version"],
    })
}

/// A fetched file: by its path in the package, or by its name anywhere in the models folder; checked by hash.
fn file(case: &Case, key: &str, hash: &str) -> Result<PathBuf, End> {
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

fn collect(folder: &Path, name: &OsStr, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && depth > 0 {
            collect(&path, name, depth - 1, found);
        } else if path.file_name() == Some(name) && path.is_file() {
            found.push(path);
        }
    }
}

/// A pair of graph text and weights, as the command runs it.
fn ncnn(case: &Case) -> Result<Answer, End> {
    let hashes = case
        .param("sha256")
        .and_then(Value::as_object)
        .ok_or("params.sha256 is no map")?;
    let hashes: BTreeMap<&str, &str> = hashes
        .iter()
        .filter_map(|(key, hash)| Some((key.as_str(), hash.as_str()?)))
        .collect();
    let file = |key: &str| file(case, key, hashes.get(key).copied().unwrap_or_default());
    let source = ModelSource::Ncnn {
        param: file("param")?,
        bin: file("bin")?,
    };
    let spec = ImageModelSpec {
        scale: Some(case.whole("scale")? as u32),
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

/// An ONNX file as it is: the case's inputs by the file's names.
fn onnx(case: &Case) -> Result<Answer, End> {
    let model = onnx_file::open(&file(case, "file", case.text("sha256")?)?)?;
    let mut executable = Executable::load(&runtime()?, &model.file, &options())?;
    let mut inputs = Vec::new();
    for info in &model.inputs {
        let tensor = case.input(&info.name)?;
        inputs.push((&tensor.shape, tensor.as_f32()?));
    }
    let views: Vec<TensorView<'_>> = inputs
        .iter()
        .map(|(shape, values)| TensorView::f32(shape, values))
        .collect();
    let results = executable.run_sized(&views)?;
    let mut answer = Answer::default();
    for (info, (shape, values)) in model.outputs.iter().zip(results) {
        answer.outputs.insert(info.name.clone(), Tensor::f32(&shape, &values));
    }
    Ok(answer)
}
