//! `net.ncnn`: pairs of graph text and weights, good and malformed.

use kinora_models::{ModelError, ncnn};
use kinora_nn::{Executable, TensorView, WeightCache};
use serde_json::{Value, json};

use super::{
    Answer, End, Runner,
    runtime::{cache, options, runtime},
};
use crate::{case::Case, tensor::Tensor};

pub fn find(set: &str, component: &str) -> Option<Runner> {
    // `weights` says how the writer stored them; the reader sees it in the file.
    (set == "vision" && component == "net.ncnn").then_some(Runner {
        run: pair,
        silent: &["weights"],
    })
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
