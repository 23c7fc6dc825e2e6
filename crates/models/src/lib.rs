//! Model files: importers, the catalogue, the folders people have.

mod source;

pub use source::{ImageModelSpec, ModelSource};
