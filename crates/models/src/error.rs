use std::path::{Path, PathBuf};

use kinora_nn::NnError;

/// What can be wrong with a model file, or with what a model is asked to do.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file that cannot be read.
    #[error("model file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file that is larger than is read.
    #[error("model file {path} has {found} bytes; at most {limit} are read")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// An ncnn text that does not begin with its magic number.
    #[error("{path} is no ncnn graph text: expected the first line `7767517`, got `{found}`")]
    BadMagic {
        /// The file.
        path: PathBuf,
        /// What stands there.
        found: String,
    },
    /// An ncnn text with other than the announced number of layers.
    #[error("{path} announces {expected} layers and has {found}")]
    LayerCountMismatch {
        /// The file.
        path: PathBuf,
        /// Layers announced.
        expected: usize,
        /// Layers there.
        found: usize,
    },
    /// A layer that reads a blob which no layer above it makes.
    #[error("{path}: layer `{layer}` reads the blob `{blob}`, which no layer above it makes")]
    MissingBlob {
        /// The file.
        path: PathBuf,
        /// The layer.
        layer: String,
        /// The blob.
        blob: String,
    },
    /// A layer type that is not known.
    #[error("{path}: layer `{layer}` is of the unknown type `{kind}`")]
    UnknownLayer {
        /// The file.
        path: PathBuf,
        /// The layer.
        layer: String,
        /// Its type.
        kind: String,
    },
    /// A line or parameter of an ncnn text that means nothing, or that this reader does not take.
    #[error("{path}: layer `{layer}`: expected {expected}, got {found}")]
    BadLayer {
        /// The file.
        path: PathBuf,
        /// The layer.
        layer: String,
        /// What is taken.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A weights file that ends too early.
    #[error("{path} ends at byte {found}, but layer `{layer}` needs {expected} bytes")]
    TruncatedBin {
        /// The file.
        path: PathBuf,
        /// The layer whose weights are missing.
        layer: String,
        /// Bytes the file should have at least.
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
    /// A weights file with more than its graph uses.
    #[error("{path} has {found} bytes, but the graph uses {expected}: the two files do not belong together")]
    TrailingBytes {
        /// The file.
        path: PathBuf,
        /// Bytes used.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// Weights in int8.
    #[error("{path}: layer `{layer}` has int8 weights, which are not supported")]
    Int8Unsupported {
        /// The file.
        path: PathBuf,
        /// The layer.
        layer: String,
    },
    /// An ONNX file that cannot be parsed, or that passes a limit.
    #[error("{path} is no usable ONNX model: {why}")]
    BadOnnx {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// An ONNX file whose external data lies where it may not.
    #[error("{path}: external data `{location}` is refused: {why}")]
    ExternalData {
        /// The model file.
        path: PathBuf,
        /// The location it names.
        location: String,
        /// Why it is refused.
        why: String,
    },
    /// An ONNX file that needs operators of somebody's own.
    #[error("{path} needs operators of the domain `{domain}` (first: {op}), which are not loaded")]
    CustomDomain {
        /// The file.
        path: PathBuf,
        /// The domain.
        domain: String,
        /// First operator of it.
        op: String,
    },
    /// A network that does not turn a picture into a picture.
    #[error("{path} is no image-to-image network: expected {expected}, got {found}")]
    NotImageToImage {
        /// The model file.
        path: PathBuf,
        /// What is taken.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// A picture that does not suit a model or its buffers.
    #[error("{what}: expected {expected}, got {found}")]
    BadInput {
        /// What is wrong.
        what: &'static str,
        /// What is taken.
        expected: String,
        /// What was given.
        found: String,
    },
    /// Memory that does not hold the smallest tile of a model.
    #[error(
        "a tile of {width}x{height} needs {} MiB for the network's values; {} MiB are left for them",
        needed.div_ceil(1 << 20),
        available >> 20
    )]
    NoRoom {
        /// Columns of the smallest tile.
        width: usize,
        /// Its rows.
        height: usize,
        /// Bytes of its values.
        needed: u64,
        /// Bytes there are.
        available: u64,
    },
    /// The network underneath.
    #[error(transparent)]
    Nn(#[from] NnError),
}

impl ModelError {
    /// Stable dotted code for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "model.unreadable",
            Self::TooLarge { .. } => "model.too-large",
            Self::BadMagic { .. } => "model.ncnn.bad-magic",
            Self::LayerCountMismatch { .. } => "model.ncnn.layer-count",
            Self::MissingBlob { .. } => "model.ncnn.missing-blob",
            Self::UnknownLayer { .. } => "model.ncnn.unknown-layer",
            Self::BadLayer { .. } => "model.ncnn.bad-layer",
            Self::TruncatedBin { .. } => "model.ncnn.truncated-bin",
            Self::TrailingBytes { .. } => "model.ncnn.trailing-bytes",
            Self::Int8Unsupported { .. } => "model.ncnn.int8-unsupported",
            Self::BadOnnx { .. } => "model.onnx.invalid",
            Self::ExternalData { .. } => "model.onnx.external-data",
            Self::CustomDomain { .. } => "model.onnx.custom-domain",
            Self::NotImageToImage { .. } => "model.not-image-to-image",
            Self::BadInput { .. } => "model.bad-input",
            Self::NoRoom { .. } => "device.out_of_memory",
            Self::Nn(inner) => inner.code(),
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::BadMagic { .. } => {
                "give the `.param` text; binary `.param.bin` files must be exported as text again".into()
            }
            Self::TruncatedBin { .. } | Self::TrailingBytes { .. } => {
                "check that the `.param` and `.bin` files are of one download, and fetch them again".into()
            }
            Self::Int8Unsupported { .. } => "use the f16 or f32 version of this model".into(),
            Self::ExternalData { .. } => "keep the weights beside the model, as plain files in the same folder".into(),
            Self::CustomDomain { .. } => "export the model with standard operators only".into(),
            Self::NoRoom { .. } => "give more with --memory, or use fewer workers or a smaller network".into(),
            Self::Nn(inner) => return inner.hint(),
            _ => return None,
        })
    }

    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Unreadable { path, source }
    }
}

/// Result of this crate's model readers.
pub type Result<T, E = ModelError> = std::result::Result<T, E>;
