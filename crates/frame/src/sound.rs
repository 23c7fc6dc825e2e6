use crate::{HostBuffer, Timestamp};

/// A piece of sound: interleaved 32-bit float samples in -1..1.
#[derive(Clone, Debug)]
pub struct AudioChunk {
    /// Time of the first sample.
    pub pts: Timestamp,
    /// Samples a second and channel.
    pub sample_rate_hz: u32,
    /// Interleaved channels.
    pub channels: u16,
    /// `frames * channels` floats.
    pub samples: HostBuffer,
}

/// Text that a node found or made: a caption, a label, a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextEvent {
    /// When it holds.
    pub pts: Timestamp,
    /// What kind of text it is: `caption`, `label`.
    pub kind: String,
    /// The text.
    pub text: String,
}
