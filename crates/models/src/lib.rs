//! Model files: importers, the catalogue, the folders people have.

mod source;
pub mod zoo;

pub use source::{ImageModelSpec, ModelSource};
