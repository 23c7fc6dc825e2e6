use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::{Image, Rational, Timestamp};

/// Position of a frame in its stream, from 0, in presentation order.
pub type FrameIndex = u64;

/// Mastering display colour volume (SMPTE ST 2086), in the units FFmpeg prints: chromaticities and cd/m².
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasteringDisplay {
    /// x and y of red, green, blue, then the white point.
    pub chromaticities: [(Rational, Rational); 4],
    /// Darkest luminance, cd/m².
    pub min_luminance: Rational,
    /// Brightest luminance, cd/m².
    pub max_luminance: Rational,
}

/// Content light level (CTA-861.3), cd/m².
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentLight {
    /// Brightest pixel, cd/m².
    pub max_content: u32,
    /// Brightest frame average, cd/m².
    pub max_average: u32,
}

/// What travels beside the pixels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideData {
    /// HDR mastering display.
    pub mastering: Option<MasteringDisplay>,
    /// HDR content light.
    pub content_light: Option<ContentLight>,
}

/// One picture at one moment.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The picture.
    pub image: Image,
    /// Presentation time, in the stream's own time base.
    pub pts: Timestamp,
    /// How long it stands, where the source says so.
    pub duration: Option<Timestamp>,
    /// Position in the stream.
    pub index: FrameIndex,
    /// True for a frame that decodes alone.
    pub key: bool,
    /// What travels beside the pixels; shared, since it is mostly the same for a whole stream.
    pub side_data: Arc<SideData>,
}

impl Frame {
    /// The same moment with another picture.
    #[must_use]
    pub fn with_image(&self, image: Image) -> Self {
        Self { image, ..self.clone() }
    }
}
