//! Promises of kinora-media, kept against real FFmpeg builds: those of `KINORA_TEST_FFMPEG` (a path list), else PATH's.
#![allow(unreachable_pub, missing_docs)]
// The helpers of tests fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod clips;
mod completeness;
mod joining;
mod nut;
mod patience;
mod pictures;
mod probing;
mod round_trip;
mod stills;
mod streams;
mod threats;
mod times;
