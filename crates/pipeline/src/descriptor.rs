use std::fmt;

use kinora_frame::{DeviceId, Layout, PixelFormat, Rational};
use serde::{Deserialize, Serialize};

/// Part of a pipeline that a processor belongs to, in running order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Filters and checks of what comes in.
    InputProcessing,
    /// Control maps, masks, normalisation.
    Preprocessing,
    /// Diffusion and super-resolution.
    Generation,
    /// Enlarging, grading, blending, repair.
    Postprocessing,
    /// Format, metadata, checks, delivery.
    Finalization,
}

impl Stage {
    /// Name as in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InputProcessing => "input_processing",
            Self::Preprocessing => "preprocessing",
            Self::Generation => "generation",
            Self::Postprocessing => "postprocessing",
            Self::Finalization => "finalization",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where pixels must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Residency {
    /// In host memory.
    Host,
    /// On this device.
    Device(DeviceId),
    /// Anywhere.
    Any,
}

impl Residency {
    /// True when an image that lies at `device` (`None` = host) may stay there.
    #[must_use]
    pub fn allows(&self, device: Option<&DeviceId>) -> bool {
        match self {
            Self::Any => true,
            Self::Host => device.is_none(),
            Self::Device(wanted) => device == Some(wanted),
        }
    }
}

/// What a node takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepts {
    /// Layouts, best first; empty means any.
    pub layouts: Vec<Layout>,
    /// Where the pixels must be.
    pub residency: Residency,
}

impl Accepts {
    /// Any picture, wherever it lies.
    #[must_use]
    pub const fn anything() -> Self {
        Self {
            layouts: Vec::new(),
            residency: Residency::Any,
        }
    }

    /// One layout in host memory.
    #[must_use]
    pub fn host(layout: Layout) -> Self {
        Self {
            layouts: vec![layout],
            residency: Residency::Host,
        }
    }

    /// Any of these pixel formats in host memory, best first.
    #[must_use]
    pub fn pixels(formats: impl IntoIterator<Item = PixelFormat>) -> Self {
        Self {
            layouts: formats.into_iter().map(Layout::Pixels).collect(),
            residency: Residency::Host,
        }
    }
}

/// What a node gives, as far as layout and place go; its size comes from [`crate::Processor::output`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Produces {
    /// The layout and place it was given.
    Same,
    /// This layout, at this place (`None` = host).
    Fixed {
        /// Layout.
        layout: Layout,
        /// Device, or `None` for the host.
        device: Option<DeviceId>,
    },
}

/// Kind of thing that travels on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PortKind {
    /// A picture.
    Image,
    /// One channel of 0..1.
    Mask,
    /// Numbers of any shape.
    Tensor,
    /// Motion, two channels of pixels.
    Flow,
    /// Points with scores.
    Keypoints,
    /// Boxes with scores.
    Boxes,
    /// Class numbers.
    Labels,
    /// A vector.
    Embedding,
    /// One number.
    Scalar,
    /// Text.
    Text,
    /// Sound.
    Audio,
    /// Another node's state.
    State,
}

/// A named input or output beside the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Name, as in files.
    pub name: &'static str,
    /// What travels on it.
    pub kind: PortKind,
    /// An input that may be left open.
    pub optional: bool,
}

/// How many frames a processor takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Most items of one call.
    pub max: usize,
    /// True when items of several streams may share a call.
    pub mixes_streams: bool,
}

/// Whether frames of a stream must come in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Any order gives the same frames.
    Any,
    /// Presentation order.
    InOrder,
}

/// Frames out for frames in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ratio {
    /// This many out for each in, in the long run.
    Exact(Rational),
    /// At most one for each: a filter.
    Drops,
    /// Not known before.
    Dynamic,
}

/// What the output depends on: decides whether equal inputs may share one result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DependsOn {
    /// The pixels of this frame and the parameters.
    Pixels,
    /// Also the frame's time or index.
    Time,
    /// Also frames before it.
    History,
}

/// How work may begin in the middle of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// At any frame.
    Stateless,
    /// After so many frames that are computed and thrown away.
    Warmup {
        /// Frames before the first one that counts.
        frames: u32,
        /// True when the result then equals an uninterrupted run bit for bit.
        exact: bool,
    },
    /// From a saved state only.
    Saved,
}

/// What happens at a scene cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCut {
    /// Nothing.
    Ignore,
    /// The state is reset.
    Reset,
}

/// All that an engine may know of a processor.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// Name, as in files.
    pub name: &'static str,
    /// One sentence for a person.
    pub about: &'static str,
    /// Where it belongs.
    pub stage: Stage,
    /// What it takes.
    pub accepts: Accepts,
    /// What it gives.
    pub produces: Produces,
    /// Artifacts it reads.
    pub requires: Vec<Port>,
    /// Artifacts it gives beside the picture.
    pub gives: Vec<Port>,
    /// Frames a call.
    pub batch: Batch,
    /// Order of frames.
    pub order: Order,
    /// Frames it must see ahead before it gives one.
    pub lookahead: u32,
    /// Frames out for frames in.
    pub ratio: Ratio,
    /// What the output depends on.
    pub depends_on: DependsOn,
    /// How work may begin in the middle.
    pub restart: Restart,
    /// What happens at a scene cut.
    pub on_cut: OnCut,
    /// Devices it runs on, as users name them; empty means the host only.
    pub devices: Vec<DeviceId>,
    /// Rough cost of a frame relative to copying it, for planning; 0 for no work at all.
    pub cost_hint: f32,
}

impl Descriptor {
    /// A plain, stateless, one-to-one processor in host memory; change what differs.
    #[must_use]
    pub fn plain(name: &'static str, about: &'static str, stage: Stage, accepts: Accepts) -> Self {
        Self {
            name,
            about,
            stage,
            accepts,
            produces: Produces::Same,
            requires: Vec::new(),
            gives: Vec::new(),
            batch: Batch {
                max: 1,
                mixes_streams: true,
            },
            order: Order::Any,
            lookahead: 0,
            ratio: Ratio::Exact(Rational::ONE),
            depends_on: DependsOn::Pixels,
            restart: Restart::Stateless,
            on_cut: OnCut::Ignore,
            devices: Vec::new(),
            cost_hint: 1.0,
        }
    }
}
