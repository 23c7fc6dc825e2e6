use std::{sync::Arc, time::Duration};

use kinora_frame::{PixelFormat, Pool};

use crate::{PacketIndex, Stop, ffmpeg::STALL};

/// Pixels of a picture that are decoded unless the caller allows more: 8192 x 8192.
pub const MAX_PIXELS: u64 = 8192 * 8192;

/// What to do with pictures of two moments woven together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Deinterlace {
    /// Where the stream says it is interlaced: bwdif, one picture a frame, times kept.
    #[default]
    Auto,
    /// Every picture, whatever it says.
    On,
    /// Never.
    Off,
}

/// What to do when the picture's size changes in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SizeChange {
    /// Scale to the first size; [`crate::Decoder::completeness`] counts the changes.
    #[default]
    Rescale,
    /// End with [`crate::MediaError::SizeChanged`].
    Fail,
}

/// Where to begin, for a start that is not the first frame.
#[derive(Clone, Debug)]
pub struct StartAt {
    /// The packet index of the stream.
    pub index: Arc<PacketIndex>,
    /// Frame to begin with, from 0 in presentation order.
    pub frame: u64,
}

/// How to decode.
#[derive(Clone, Debug)]
pub struct DecodeOptions {
    /// Index of the stream in the file; `None` is the first video stream.
    pub stream: Option<usize>,
    /// Pixel format of the frames; `None` is [`crate::VideoFacts::format`], which loses nothing.
    pub pixel_format: Option<PixelFormat>,
    /// First frame; `None` is the beginning.
    pub start: Option<StartAt>,
    /// The packet index of the stream: frames then know whether they decode alone and how long they stand. `None` is the one
    /// of `start`; without either, [`kinora_frame::Frame::key`] is false and `duration` is `None`.
    pub index: Option<Arc<PacketIndex>>,
    /// Interlaced pictures.
    pub deinterlace: Deinterlace,
    /// Sizes that change.
    pub size_change: SizeChange,
    /// Where frame buffers come from.
    pub pool: Pool,
    /// Largest picture.
    pub max_pixels: u64,
    /// Longest wait for a frame before the child is ended.
    pub stall: Duration,
    /// Ends the work from another thread.
    pub stop: Stop,
    /// Most bytes of address space for the child, where the system can hold it to that.
    pub memory: Option<u64>,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            stream: None,
            pixel_format: None,
            start: None,
            index: None,
            deinterlace: Deinterlace::Auto,
            size_change: SizeChange::Rescale,
            pool: Pool::default(),
            max_pixels: MAX_PIXELS,
            stall: STALL,
            stop: Stop::default(),
            memory: None,
        }
    }
}
