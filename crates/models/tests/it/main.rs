//! Integration tests of the model readers, a module for each promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

mod hostile_files;
mod image_models;
mod ncnn_networks;
mod onnx_files;
mod support;
mod tiles;
