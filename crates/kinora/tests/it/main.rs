//! Promises of the whole: the command as its users meet it, and the rules of the house.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test says what broke by panicking, and what it skipped aloud"
)]

mod command;
mod errors;
mod house;
mod jobs;
mod models_and_devices;
mod progress_lines;
mod recipe;
mod resuming;
mod steering;
mod transcripts;
mod upscaling;
