//! Facts of a model file that need no network to be run.

use super::digest::{Hasher, read_pieces};
use super::{Catalogue, ZooError, names};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Graph texts are a few hundred kilobytes at most; a larger one is not read.
const MAX_PARAM_BYTES: u64 = 16 << 20;

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// Graph text of an ncnn pair.
    NcnnParam,
    /// Weights of an ncnn pair.
    NcnnBin,
    /// An ONNX graph.
    Onnx,
    /// PyTorch's zip or pickle.
    PyTorch,
    /// A safetensors file.
    Safetensors,
    /// A TensorFlow Lite flatbuffer.
    TfLite,
    /// A GGUF file.
    Gguf,
    /// Something else.
    Other,
}

impl FileKind {
    /// By extension alone; `None` for files that hold no model.
    #[must_use]
    pub fn of_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "param" => Self::NcnnParam,
            "bin" => Self::NcnnBin,
            "onnx" => Self::Onnx,
            "pth" | "pt" | "ckpt" => Self::PyTorch,
            "safetensors" => Self::Safetensors,
            "tflite" => Self::TfLite,
            "gguf" => Self::Gguf,
            _ => return None,
        })
    }

    /// Name of the format in a sentence.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NcnnParam | Self::NcnnBin => "ncnn",
            Self::Onnx => "ONNX",
            Self::PyTorch => "PyTorch",
            Self::Safetensors => "safetensors",
            Self::TfLite => "TensorFlow Lite",
            Self::Gguf => "GGUF",
            Self::Other => "unknown",
        }
    }

    /// Why files of this format cannot be used, if they cannot.
    #[must_use]
    pub fn unsupported(self) -> Option<String> {
        match self {
            Self::NcnnParam | Self::Onnx => None,
            Self::NcnnBin => Some("weights without their graph: the .param of the same name is missing".into()),
            Self::Other => Some("this is not a model file that kinora knows".into()),
            other => Some(format!(
                "a {} file needs a reader that is not built yet",
                other.as_str()
            )),
        }
    }
}

/// One file, measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileFacts {
    /// The file.
    pub path: PathBuf,
    /// Format.
    pub kind: FileKind,
    /// Length.
    pub bytes: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// BLAKE3, lower-case hex.
    pub blake3: String,
}

/// What an ncnn graph text says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NcnnFacts {
    /// Layers.
    pub layers: usize,
    /// Blobs.
    pub blobs: usize,
    /// Layers by type.
    pub types: BTreeMap<String, usize>,
    /// Numbers that the weights file holds: weights, biases, slopes, constants.
    pub parameters: u64,
    /// Blobs of the `Input` layers.
    pub inputs: Vec<String>,
    /// Blobs that no layer reads.
    pub outputs: Vec<String>,
}

/// Everything that can be said of a model without running it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The files, the graph first.
    pub files: Vec<FileFacts>,
    /// The model of the catalogue that these files are, known by the hash of the weights.
    pub id: Option<String>,
    /// Output pixels a side for each input pixel: of the catalogue, else as the name says; `None` where neither does.
    pub scale: Option<u32>,
    /// Only for ncnn pairs.
    pub ncnn: Option<NcnnFacts>,
    /// A sentence, where the files cannot be used.
    pub unsupported: Option<String>,
}

/// Measures a model: `path` is a `.param` (its `.bin` beside it), a `.bin`, or any other model file.
///
/// # Errors
/// [`ZooError::NoFile`], [`ZooError::HalfPair`], [`ZooError::Unsupported`] for a graph text that is none, and the
/// system's refusals.
pub fn inspect(path: &Path) -> Result<Facts, ZooError> {
    if !path.is_file() {
        return Err(ZooError::NoFile { path: path.to_owned() });
    }
    let kind = FileKind::of_name(path).unwrap_or(FileKind::Other);
    let pair = match kind {
        FileKind::NcnnParam => Some((path.to_owned(), path.with_extension("bin"))),
        FileKind::NcnnBin if path.with_extension("param").is_file() => {
            Some((path.with_extension("param"), path.to_owned()))
        }
        _ => None,
    };
    let (files, ncnn, unsupported) = match pair {
        Some((param, bin)) => {
            if !bin.is_file() {
                return Err(ZooError::HalfPair {
                    have: param,
                    missing: bin,
                });
            }
            let ncnn = ncnn_facts(&param)?;
            (
                vec![measure(&param, FileKind::NcnnParam)?, measure(&bin, FileKind::NcnnBin)?],
                Some(ncnn),
                None,
            )
        }
        None => (vec![measure(path, kind)?], None, kind.unsupported()),
    };
    let record = known_as(&files);
    let id = record.as_ref().map(|(id, _)| id.clone());
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let scale = record.map(|(_, scale)| scale).or_else(|| names::scale_of(&stem));
    Ok(Facts {
        files,
        id,
        scale,
        ncnn,
        unsupported,
    })
}

/// Identifier and scale of the model in the catalogue that holds these very weights.
fn known_as(files: &[FileFacts]) -> Option<(String, u32)> {
    let catalogue = Catalogue::embedded().ok()?;
    let weights = files.last()?;
    let graph = files.first()?;
    let record = super::resolve::recognise(catalogue, &graph.path, &weights.sha256)?;
    Some((record.id.clone(), record.scale))
}

fn measure(path: &Path, kind: FileKind) -> Result<FileFacts, ZooError> {
    let (mut sha256, mut blake3) = (Hasher::default(), blake3::Hasher::new());
    let bytes = read_pieces(path, |piece| {
        sha256.update(piece);
        blake3.update(piece);
    })?;
    let blake3 = blake3.finalize().to_hex().to_string();
    Ok(FileFacts {
        path: path.to_owned(),
        kind,
        bytes,
        sha256: sha256.finish(),
        blake3,
    })
}

/// Reads a text of limited length.
pub(crate) fn read_param(path: &Path) -> Result<String, ZooError> {
    let file = std::fs::File::open(path).map_err(ZooError::io("read", path))?;
    let mut bytes = Vec::new();
    file.take(MAX_PARAM_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(ZooError::io("read", path))?;
    let unsupported = |why: &str| ZooError::Unsupported {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    if bytes.len() as u64 > MAX_PARAM_BYTES {
        return Err(unsupported("an ncnn graph text of more than 16 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| unsupported("not an ncnn graph text (binary .param files are not read)"))
}

fn ncnn_facts(path: &Path) -> Result<NcnnFacts, ZooError> {
    facts_of(path, &read_param(path)?)
}

/// Reads the head and the layer lines of a `.param`; weights are counted, not read.
pub(crate) fn facts_of(path: &Path, text: &str) -> Result<NcnnFacts, ZooError> {
    let unsupported = |why: String| ZooError::Unsupported {
        path: path.to_owned(),
        why,
    };
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines.next() != Some("7767517") {
        return Err(unsupported(
            "not an ncnn graph text: it does not begin with 7767517".into(),
        ));
    }
    let counts: Vec<usize> = lines
        .next()
        .unwrap_or("")
        .split_whitespace()
        .filter_map(|n| n.parse().ok())
        .collect();
    let &[layers, blobs] = counts.as_slice() else {
        return Err(unsupported("its second line is not a count of layers and blobs".into()));
    };
    let mut facts = NcnnFacts {
        layers,
        blobs,
        ..NcnnFacts::default()
    };
    let (mut made, mut read) = (Vec::new(), std::collections::BTreeSet::new());
    let mut seen = 0;
    for line in lines {
        seen += 1;
        let mut words = line.split_whitespace();
        let kind = words.next().unwrap_or("");
        let numbers: Vec<usize> = words.clone().skip(1).take(2).filter_map(|n| n.parse().ok()).collect();
        let &[ins, outs] = numbers.as_slice() else {
            return Err(unsupported(format!(
                "layer {seen} does not say how many blobs it reads and makes"
            )));
        };
        let blobs: Vec<&str> = words.by_ref().skip(3).take(ins.saturating_add(outs)).collect();
        *facts.types.entry(kind.to_owned()).or_default() += 1;
        read.extend(blobs.iter().take(ins).copied());
        made.extend(blobs.iter().skip(ins).copied());
        if kind == "Input" {
            facts.inputs.extend(blobs.iter().skip(ins).map(|&blob| blob.to_owned()));
        }
        facts.parameters = facts.parameters.saturating_add(parameters(kind, words));
    }
    if seen != layers {
        return Err(unsupported(format!(
            "{layers} layers are announced and {seen} are there"
        )));
    }
    facts.outputs = made
        .into_iter()
        .filter(|blob| !read.contains(blob))
        .map(str::to_owned)
        .collect();
    Ok(facts)
}

/// Numbers that a layer has in the weights file.
fn parameters<'a>(kind: &str, words: impl Iterator<Item = &'a str>) -> u64 {
    let values: BTreeMap<i64, u64> = words
        .filter_map(|word| word.split_once('='))
        .filter_map(|(key, value)| Some((key.parse().ok()?, value.parse().ok()?)))
        .collect();
    let value = |key: i64| values.get(&key).copied().unwrap_or(0);
    let bias = |key: i64| if value(key) == 1 { value(0) } else { 0 };
    match kind {
        "Convolution" | "ConvolutionDepthWise" | "Deconvolution" | "DeconvolutionDepthWise" => {
            value(6).saturating_add(bias(5))
        }
        "InnerProduct" => value(2).saturating_add(bias(1)),
        "PReLU" => value(0),
        "Scale" => value(0).saturating_add(bias(1)),
        "MemoryData" => value(0)
            .max(1)
            .saturating_mul(value(1).max(1))
            .saturating_mul(value(2).max(1)),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAM: &str = "7767517\r\n4 4\r\nInput in 0 1 data\r\nConvolution c 1 1 data a 0=3 1=3 4=1 5=1 6=81\r\n\
                         PReLU p 1 1 a b 0=3\r\nPixelShuffle s 1 1 b output 0=1\r\n";

    #[test]
    fn an_ncnn_pair_is_counted_without_reading_its_weights() {
        let folder = tempfile::tempdir().unwrap();
        let param = folder.path().join("tiny_x2.param");
        std::fs::write(&param, PARAM).unwrap();
        assert_eq!(inspect(&param).unwrap_err().code(), "model.missing");
        std::fs::write(param.with_extension("bin"), [0; 12]).unwrap();
        let facts = inspect(&param).unwrap();
        let ncnn = facts.ncnn.unwrap();
        assert_eq!((ncnn.layers, ncnn.blobs, ncnn.parameters), (4, 4, 81 + 3 + 3));
        assert_eq!(
            (ncnn.inputs, ncnn.outputs),
            (vec!["data".to_owned()], vec!["output".to_owned()])
        );
        assert_eq!((facts.scale, facts.id), (Some(2), None));
        assert_eq!(facts.files[1].bytes, 12);
        assert_eq!(
            inspect(&param.with_extension("bin")).unwrap().files,
            inspect(&param).unwrap().files
        );
    }

    #[test]
    fn a_text_that_is_no_graph_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let param = folder.path().join("a.param");
        std::fs::write(param.with_extension("bin"), []).unwrap();
        for (text, reason) in [
            ("", "does not begin"),
            ("7767517\n", "count of layers"),
            ("7767517\n99999999999999999999 1\n", "count of layers"),
            ("7767517\n2 1\nInput in 0 1 data\n", "2 layers are announced and 1"),
            ("7767517\n1 1\nInput in 0 18446744073709551615 data\n", ""),
            ("7767517\n1 1\nInput in x\n", "layer 1"),
        ] {
            std::fs::write(&param, text).unwrap();
            match inspect(&param) {
                Err(error) => assert!(error.to_string().contains(reason), "{error}"),
                Ok(_) => assert!(reason.is_empty(), "{text}"),
            }
        }
        std::fs::write(&param, [0xff, 0xfe, 0]).unwrap();
        assert_eq!(inspect(&param).unwrap_err().code(), "model.unsupported");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_counted_or_refused(body in "[0-9 =,.a-zA-Z\n-]{0,200}") {
            let folder = tempfile::tempdir().unwrap();
            let param = folder.path().join("a.param");
            for text in [body.clone(), format!("7767517\n{body}"), format!("7767517\n1 1\n{body}")] {
                std::fs::write(&param, text).unwrap();
                let _ = ncnn_facts(&param);
            }
        }
    }

    #[test]
    fn files_without_a_reader_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("4x-UltraSharp.pth");
        std::fs::write(&path, b"x").unwrap();
        let facts = inspect(&path).unwrap();
        assert_eq!(facts.scale, Some(4));
        assert_eq!(
            facts.unsupported.as_deref(),
            Some("a PyTorch file needs a reader that is not built yet")
        );
        assert_eq!(
            inspect(&folder.path().join("none.onnx")).unwrap_err().code(),
            "model.missing"
        );
    }
}
