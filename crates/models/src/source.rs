use std::path::PathBuf;

use crate::error::{ModelError, Result};

/// The file or files that hold a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// An ncnn pair: graph text and weights.
    Ncnn {
        /// The `.param` file.
        param: PathBuf,
        /// The `.bin` file.
        bin: PathBuf,
    },
    /// An ONNX file; external data only inside its folder.
    Onnx(PathBuf),
}

impl ModelSource {
    /// BLAKE3 over all that is read of the network: graph and weights, external ones too.
    ///
    /// # Errors
    /// Files that cannot be read, and external weights outside the model's folder.
    pub fn content_hash(&self) -> Result<String> {
        let mut hash = blake3::Hasher::new();
        let mut add = |path: &PathBuf| -> Result<()> {
            let file = std::fs::File::open(path).map_err(ModelError::unreadable(path))?;
            let bytes = file.metadata().map_err(ModelError::unreadable(path))?.len();
            hash.update(&bytes.to_le_bytes());
            hash.update_reader(file).map_err(ModelError::unreadable(path))?;
            Ok(())
        };
        match self {
            Self::Ncnn { param, bin } => {
                add(param)?;
                add(bin)?;
            }
            Self::Onnx(path) => {
                add(path)?;
                let external = crate::onnx_file::open(path)?.file.weights_hash;
                hash.update(&external.to_le_bytes());
            }
        }
        Ok(hash.finalize().to_hex().to_string())
    }
}

/// What a caller must know of an image-to-image network beside its graph. `None` means: read it from the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageModelSpec {
    /// Output pixels a side for each input pixel.
    pub scale: Option<u32>,
    /// Pixels of reflect padding that the caller adds on every side; the output is cropped centrally.
    pub pad: u32,
    /// Name of the input blob.
    pub input: Option<String>,
    /// Name of the output blob.
    pub output: Option<String>,
    /// The network gives a residual to the nearest-neighbour enlargement of its input (Real-CUGAN 4x).
    pub add_nearest: bool,
}
