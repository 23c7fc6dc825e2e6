//! What people and programs see: lines, bars, JSON. Human text goes to stderr, results to stdout.

mod bar;
mod console;
mod numbers;

pub(crate) use bar::{ProgressView, utc_now};
pub(crate) use console::{Console, unwritable};
pub(crate) use kinora_models::zoo::human_bytes as bytes;
pub(crate) use numbers::{clock_time, count, rate};
