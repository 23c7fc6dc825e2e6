use std::{collections::BTreeMap, sync::Arc};

use kinora_frame::{AudioChunk, Frame, Image, TextEvent};

use crate::{Params, PortKind};

/// A filter's judgement of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Keep,
    /// Stand aside, for this reason.
    Reject(String),
}

/// A thing on a port. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Value {
    /// A picture, a mask, a flow field: told apart by the kind.
    Image(PortKind, Arc<Image>),
    /// Numbers with a shape: tensors, keypoints, boxes, labels, embeddings.
    Numbers(PortKind, Arc<[usize]>, Arc<[f32]>),
    /// One number.
    Scalar(f64),
    /// Text.
    Text(Arc<str>),
    /// Sound.
    Audio(Arc<AudioChunk>),
    /// A node's state.
    State(Arc<[u8]>),
}

impl Value {
    /// The kind of port it fits.
    #[must_use]
    pub const fn kind(&self) -> PortKind {
        match self {
            Self::Image(kind, _) | Self::Numbers(kind, ..) => *kind,
            Self::Scalar(_) => PortKind::Scalar,
            Self::Text(_) => PortKind::Text,
            Self::Audio(_) => PortKind::Audio,
            Self::State(_) => PortKind::State,
        }
    }
}

/// A frame on its way, with what was found out about it.
#[derive(Clone, Debug)]
pub struct Context {
    /// The frame.
    pub frame: Frame,
    /// Opacity that a conversion set aside, at the size it came with; put back before the output.
    pub alpha: Option<Arc<Image>>,
    /// Artifacts by name.
    pub artifacts: BTreeMap<Arc<str>, Value>,
    /// Text that nodes have pushed.
    pub texts: Vec<TextEvent>,
    /// The last filter's judgement.
    pub verdict: Verdict,
    /// A stream's first frame passes every filter: there is no kept one to stand in for it.
    pub must_pass: bool,
    /// Parameter snapshots, one a node, taken when the frame was dispatched.
    pub params: Arc<[Params]>,
}

impl Context {
    /// A frame that has just come in.
    #[must_use]
    pub fn new(frame: Frame, params: Arc<[Params]>) -> Self {
        Self {
            frame,
            alpha: None,
            artifacts: BTreeMap::new(),
            texts: Vec::new(),
            verdict: Verdict::Keep,
            must_pass: false,
            params,
        }
    }
}
