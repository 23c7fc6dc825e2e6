//! Promises of the model files, each in a module named for it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "helpers of tests"
)]

mod found_in_place;
mod hostile_files;
mod image_models;
mod made_up;
mod ncnn_networks;
mod onnx_files;
mod pulling;
mod pulling_at_once;
mod real_pull;
mod shared_executables;
mod support;
mod tile_choice;
mod tiles;
