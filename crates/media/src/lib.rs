//! Video, image and audio files in and out, through FFmpeg child processes and NUT.
#![warn(missing_docs)]

mod activity;
mod animation;
mod child;
mod clock;
mod decode;
mod encode;
mod error;
pub mod ffmpeg;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod images;
mod index;
pub mod nut;
mod probe;
mod sequence;
mod verify;
mod webp;

pub use animation::is_animation;
pub use child::Stop;
pub use decode::{Completeness, DecodeOptions, Decoder, Deinterlace, MAX_PIXELS, SizeChange, StartAt, Verdict};
pub use encode::{
    Audio, Container, ENCODER_PRESETS, EncodeSettings, Encoder, EncoderPreset, HdrParameters, Note, OddSize, PartFile,
    Piece, Quality, Subtitles, VideoFormat, Written, encoder_preset, rename_new,
};
pub use error::MediaError;
pub use ffmpeg::{Ffmpeg, FfmpegSearch, FfmpegVersion};
pub use images::{JPEG_QUALITY, Still, StillFormat, read_still, write_still};
pub use index::PacketIndex;
pub use probe::facts::{Chapter, FieldOrder, MediaInfo, Stream, StreamKind, VideoFacts};
pub use sequence::{ImageSequence, list_stills};
pub use verify::Verified;
