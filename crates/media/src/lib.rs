//! Video, image and audio files in and out, through FFmpeg child processes and NUT.
#![warn(missing_docs)]

mod child;
mod clock;
mod decode;
mod encode;
mod error;
pub mod ffmpeg;
mod index;
pub mod nut;
mod probe;

pub use child::Stop;
pub use decode::{Completeness, DecodeOptions, Decoder, Deinterlace, MAX_PIXELS, SizeChange, StartAt};
pub use encode::{
    Audio, Container, ENCODER_PRESETS, EncodeSettings, Encoder, EncoderPreset, HdrParameters, Note, OddSize, Quality,
    Subtitles, VideoFormat, Written, encoder_preset,
};
pub use error::MediaError;
pub use ffmpeg::{Ffmpeg, FfmpegSearch, FfmpegVersion};
pub use index::PacketIndex;
pub use probe::facts::{Chapter, FieldOrder, MediaInfo, Stream, StreamKind, VideoFacts};
