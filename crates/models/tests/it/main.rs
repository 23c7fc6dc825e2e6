//! Integration tests of the model readers, a module for each promise.

mod ncnn_networks;
mod support;
mod tiles;
