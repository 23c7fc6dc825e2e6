use std::path::PathBuf;

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
