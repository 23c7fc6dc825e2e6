//! Promises of the pipeline's types.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what broke by panicking"
)]

mod device;
mod nodes;
mod plans;
mod registry;
