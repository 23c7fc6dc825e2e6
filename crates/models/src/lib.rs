//! Model files: importers, the catalogue, the folders people have.

mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod image_model;
pub mod ncnn;
pub mod onnx_file;
mod source;
pub mod tiling;
pub mod zoo;

pub use error::{ModelError, Result};
pub use image_model::ImageModel;
pub use source::{ImageModelSpec, ModelSource};
