//! Importer of ncnn networks: a `.param` graph text and its `.bin` weights become a [`Net`].
//!
//! The weights are widened to f32 once, into a cache file named by the content of both files; from then on they are
//! mapped. All layer types that published super-resolution networks use are understood; anything else is an error that
//! names the layer.

mod bin;
mod lower;
mod param;
mod plan;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use bin::BinReader;
use kinora_nn::{DType, Dim, Net, NetBuilder, Value, Weight, WeightCache, WeightFile, WeightWriter};
use lower::{KINDS, Lowering};
use param::Layer;
use plan::Planned;

use crate::error::{ModelError, Result};

/// Version of the conversion; part of the cache key.
const CONVERSION: &str = "ncnn-f32-1";
/// Largest graph text that is read.
const MAX_PARAM: u64 = 16 << 20;

/// Reads a pair of files into a network with one input and one output, both `[batch, C, height, width]` f32.
///
/// `input` and `output` name blobs; without them they are the first input layer's blob and the one blob that nothing
/// reads. Every blob that has a name can be tapped under it.
pub fn load(param: &Path, bin: &Path, input: Option<&str>, output: Option<&str>, cache: &WeightCache) -> Result<Net> {
    let text = read_text(param)?;
    let layers = read_layers(param, &text)?;
    let size = std::fs::metadata(bin).map_err(ModelError::unreadable(bin))?.len();
    // An empty file cannot be mapped, and may be right for a graph without weights.
    let file = if size == 0 { None } else { Some(WeightFile::open(bin)?) };
    let bytes = file.as_ref().map_or(&[][..], |f| f.bytes());
    let planned = plan_weights(param, bin, &layers, bytes)?;
    let weights = store_weights(&text, bytes, &planned, cache)?;
    build(param, &layers, &weights, input, output)
}

/// The layers of a graph text, each of a known type.
pub(crate) fn read_layers(path: &Path, text: &[u8]) -> Result<Vec<Layer>> {
    let layers = param::parse(path, text)?;
    check_structure(path, &layers)?;
    Ok(layers)
}

/// Where the weights of the layers lie in a weights file.
fn plan_weights(param: &Path, bin: &Path, layers: &[Layer], bytes: &[u8]) -> Result<Vec<Planned>> {
    let mut reader = BinReader::new(bin, bytes);
    let mut planned = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        // The text decides what is read; what the weights file lacks is an error of that file.
        planned.extend(plan::plan(param, i, layer, &mut reader)?);
    }
    reader.finish()?;
    Ok(planned)
}

/// As [`load`], from memory and into memory.
#[cfg(any(test, fuzzing))]
pub(crate) fn from_memory(text: &[u8], bytes: &[u8]) -> Result<Net> {
    let path = Path::new("x");
    let layers = read_layers(path, text)?;
    let planned = plan_weights(path, path, &layers, bytes)?;
    let weights = planned
        .iter()
        .map(|p| {
            let weight = Weight::inline(&p.name, &p.shape, p.values(bytes).into_owned())?;
            Ok((p.name.clone(), weight))
        })
        .collect::<Result<_>>()?;
    build(path, &layers, &weights, None, None)
}

fn read_text(path: &Path) -> Result<Vec<u8>> {
    let found = std::fs::metadata(path).map_err(ModelError::unreadable(path))?.len();
    if found > MAX_PARAM {
        return Err(ModelError::TooLarge {
            path: path.into(),
            found,
            limit: MAX_PARAM,
        });
    }
    std::fs::read(path).map_err(ModelError::unreadable(path))
}

/// Known types, and every blob made before it is read and made once.
fn check_structure(path: &Path, layers: &[Layer]) -> Result<()> {
    let mut made: HashMap<&str, &Layer> = HashMap::new();
    for layer in layers {
        if !KINDS.contains(&layer.kind.as_str()) {
            return Err(ModelError::UnknownLayer {
                path: path.into(),
                layer: layer.name.clone(),
                kind: layer.kind.clone(),
            });
        }
        if let Some(blob) = layer.inputs.iter().find(|b| !made.contains_key(b.as_str())) {
            return Err(ModelError::MissingBlob {
                path: path.into(),
                layer: layer.name.clone(),
                blob: blob.clone(),
            });
        }
        for blob in &layer.outputs {
            if made.insert(blob, layer).is_some() {
                return Err(layer.bad(path, "a blob name of its own", blob.clone()));
            }
        }
    }
    Ok(())
}

fn store_weights(text: &[u8], bytes: &[u8], all: &[Planned], cache: &WeightCache) -> Result<HashMap<String, Weight>> {
    if all.is_empty() {
        return Ok(HashMap::new());
    }
    let mut hash = blake3::Hasher::new();
    hash.update(CONVERSION.as_bytes())
        .update(&(text.len() as u64).to_le_bytes())
        .update(text)
        .update(bytes);
    let key = format!("{CONVERSION}-{}", hash.finalize().to_hex());
    let writer = WeightWriter::new(all.iter().map(|p| (p.name.clone(), p.shape.clone())).collect());
    let store = cache.get_or_write(&key, &writer, |i| {
        Ok(all.get(i).map_or_else(Default::default, |p| p.values(bytes)))
    })?;
    Ok(store
        .weights()
        .iter()
        .map(|w| (w.name().to_owned(), w.clone()))
        .collect())
}

/// Channels of an input blob: as its layer says, or as its first reader needs; three otherwise.
fn input_channels(path: &Path, layers: &[Layer], planned: &HashMap<String, Weight>, input: &Layer) -> Result<usize> {
    let stated = input.size(path, 2, 0)?;
    if stated > 0 {
        return Ok(stated);
    }
    let mut same: HashSet<&str> = input.outputs.iter().map(String::as_str).collect();
    for (i, layer) in layers.iter().enumerate() {
        if !layer.inputs.iter().any(|b| same.contains(b.as_str())) {
            continue;
        }
        match layer.kind.as_str() {
            "Convolution" => {
                let weight = planned.get(&format!("{i}.{}.weight", layer.name));
                return Ok(weight.and_then(|w| w.shape().get(1).copied()).unwrap_or(3));
            }
            "Split" | "BinaryOp" | "Scale" | "PReLU" | "Swish" | "Sigmoid" => {
                same.extend(layer.outputs.iter().map(String::as_str));
            }
            _ => {}
        }
    }
    Ok(3)
}

fn build(
    path: &Path,
    layers: &[Layer],
    weights: &HashMap<String, Weight>,
    input: Option<&str>,
    output: Option<&str>,
) -> Result<Net> {
    let name = path
        .file_stem()
        .map_or_else(|| "ncnn".into(), |n| n.to_string_lossy().into_owned());
    let mut builder = NetBuilder::new(&name);
    let mut values: HashMap<&str, Value> = HashMap::new();
    let mut read: HashMap<&str, bool> = HashMap::new();
    let wanted = |blob: &str| input.is_none_or(|name| name == blob);
    // Before the first is made: the channels of each are looked for in all layers.
    let inputs = layers.iter().filter(|layer| layer.kind == "Input");
    let inputs = inputs
        .flat_map(|layer| &layer.outputs)
        .filter(|blob| wanted(blob))
        .count();
    if inputs != 1 {
        return Err(ModelError::NotImageToImage {
            path: path.into(),
            expected: input.map_or_else(|| "one input".to_owned(), |name| format!("an input blob `{name}`")),
            found: format!("{inputs} inputs"),
        });
    }
    for (i, layer) in layers.iter().enumerate() {
        // Blobs were checked to be made before they are read: what is missing belongs to an input that was not chosen.
        let mut operands = Vec::with_capacity(layer.inputs.len());
        for blob in &layer.inputs {
            read.insert(blob, true);
            match (values.get(blob.as_str()), input) {
                (Some(value), _) => operands.push(*value),
                (None, Some(input)) => {
                    return Err(layer.bad(
                        path,
                        format!("what comes from the input `{input}` alone"),
                        format!("`{blob}`"),
                    ));
                }
                (None, None) => {
                    return Err(ModelError::MissingBlob {
                        path: path.into(),
                        layer: layer.name.clone(),
                        blob: blob.clone(),
                    });
                }
            }
        }
        match layer.kind.as_str() {
            "Input" => {
                for blob in layer.outputs.iter().filter(|blob| wanted(blob)) {
                    let channels = input_channels(path, layers, weights, layer)?;
                    let shape = [
                        Dim::symbol("batch"),
                        channels.into(),
                        Dim::symbol("height"),
                        Dim::symbol("width"),
                    ];
                    values.insert(blob, builder.input(blob, DType::F32, &shape)?);
                }
            }
            "Split" => {
                let Some(source) = operands.first() else {
                    return Err(layer.bad(path, "one input", "none"));
                };
                for blob in &layer.outputs {
                    values.insert(blob, *source);
                }
            }
            _ => {
                let [blob] = layer.outputs.as_slice() else {
                    return Err(layer.bad(path, "one output", layer.outputs.len().to_string()));
                };
                let own: Vec<Weight> = ["weight", "slope", "data", "scale", "bias"]
                    .iter()
                    .filter_map(|what| weights.get(&format!("{i}.{}.{what}", layer.name)).cloned())
                    .collect();
                let mut lowering = Lowering {
                    path,
                    layer,
                    inputs: &operands,
                    weights: &own,
                    builder: &mut builder,
                };
                values.insert(blob, lowering.lower()?);
            }
        }
    }
    let ends: Vec<&str> = layers
        .iter()
        .flat_map(|l| &l.outputs)
        .map(String::as_str)
        .filter(|b| !read.contains_key(b))
        .collect();
    let output = match (output, ends.as_slice()) {
        (Some(name), _) => name,
        (None, [one]) => one,
        (None, several) => {
            return Err(ModelError::NotImageToImage {
                path: path.into(),
                expected: "one output, or its blob named".into(),
                found: format!("{} outputs: {}", several.len(), several.join(", ")),
            });
        }
    };
    let value = values.get(output).ok_or_else(|| ModelError::NotImageToImage {
        path: path.into(),
        expected: format!("an output blob `{output}`"),
        found: format!("outputs {}", ends.join(", ")),
    })?;
    builder.output(output, *value)?;
    Ok(builder.build()?)
}
