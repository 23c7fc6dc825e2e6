//! Promises of the offline engine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what broke by panicking"
)]

mod drawn;
mod duplicates;
mod durable;
mod fakes;
mod faults;
mod order;
mod steering;
