//! Integration tests of the model readers, a module for each promise.

mod hostile_files;
mod image_models;
mod ncnn_networks;
mod onnx_files;
mod support;
mod tiles;
