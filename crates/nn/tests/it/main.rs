//! Integration tests of networks and their runtime, a module for each promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

mod executables;
mod layering;
mod openvino;
mod operators;
mod packed_cache;
mod runtime_library;
mod support;
