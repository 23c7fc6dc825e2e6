use std::sync::Arc;

use kinora_frame::FrameError;

use crate::PortKind;

/// What a processor says when it cannot do its work. Made from the processor's own typed error, so that an
/// engine can show it without knowing the processor.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ProcessorError {
    /// Stable dotted code: `device.out_of_memory`, `model.checksum`.
    pub code: &'static str,
    /// What was expected and what was found.
    pub message: String,
    /// What the user can do.
    pub hint: Option<String>,
    /// The error below, if there is one.
    #[source]
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl ProcessorError {
    /// An error with a code and a sentence.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            source: None,
        }
    }

    /// The same error with advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<FrameError> for ProcessorError {
    fn from(error: FrameError) -> Self {
        Self {
            code: "frame.invalid",
            message: error.to_string(),
            hint: None,
            source: Some(Arc::new(error)),
        }
    }
}

/// What can be wrong with a pipeline, its parameters or a run of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PipelineError {
    /// A name that is registered already.
    #[error("a processor named '{name}' is registered already")]
    DoubleRegistration {
        /// The name.
        name: String,
    },
    /// A processor nobody registered.
    #[error("there is no processor '{name}'")]
    UnknownProcessor {
        /// Name asked for.
        name: String,
        /// Nearest registered name.
        nearest: Option<String>,
    },
    /// A parameter the processor does not have.
    #[error("'{processor}' has no parameter '{name}'")]
    UnknownParameter {
        /// The processor.
        processor: String,
        /// Name asked for.
        name: String,
        /// Nearest parameter name.
        nearest: Option<String>,
    },
    /// A parameter value of the wrong type or outside its range.
    #[error("parameter '{name}' of '{processor}' must be {expected}, found {found}")]
    BadParameter {
        /// The processor.
        processor: String,
        /// The parameter.
        name: String,
        /// Type and range that are allowed.
        expected: String,
        /// Value found.
        found: String,
    },
    /// Stages in an order that makes no sense.
    #[error("'{later}' of stage {later_stage} stands before '{earlier}' of stage {earlier_stage}")]
    StageOrder {
        /// Node that stands first but belongs later.
        later: String,
        /// Its stage.
        later_stage: &'static str,
        /// Node that stands second.
        earlier: String,
        /// Its stage.
        earlier_stage: &'static str,
    },
    /// A node whose input nothing can be converted to.
    #[error("'{node}' takes {accepts}, and {found} cannot be converted to it")]
    NoConversion {
        /// The node.
        node: String,
        /// What it takes.
        accepts: String,
        /// What reaches it.
        found: String,
    },
    /// A node that needs an artifact nobody before it gives.
    #[error("'{node}' needs '{artifact}', and no node before it gives that")]
    MissingArtifact {
        /// The node.
        node: String,
        /// The artifact.
        artifact: String,
    },
    /// An artifact of another kind than a node needs.
    #[error("'{node}' needs '{artifact}' as {expected:?}, and '{giver}' gives it as {found:?}")]
    ArtifactKind {
        /// The node.
        node: String,
        /// The artifact.
        artifact: String,
        /// Kind that it needs.
        expected: PortKind,
        /// Who gives it.
        giver: String,
        /// Kind that there is.
        found: PortKind,
    },
    /// Two nodes that give an artifact of one name.
    #[error("both '{first}' and '{second}' give '{artifact}'")]
    ArtifactTwice {
        /// The artifact.
        artifact: String,
        /// The node that stands first.
        first: String,
        /// The node that stands second.
        second: String,
    },
    /// A node that takes several frames at once and keeps a state.
    #[error("'{node}' takes several frames of a stream at once and keeps a state of it, which cannot both be")]
    StateInBatches {
        /// The node.
        node: String,
    },
    /// A node that was never opened for this stream.
    #[error("'{node}' was not opened for this stream")]
    NotOpened {
        /// The node.
        node: String,
    },
    /// A processor gave another number of frames than its ratio promises.
    #[error("'{node}' promised {promised} and gave {given} frames for {taken}")]
    RatioBroken {
        /// The node.
        node: String,
        /// Its ratio in words.
        promised: String,
        /// Frames in.
        taken: u64,
        /// Frames out.
        given: u64,
    },
    /// A saved state that is not this pipeline's.
    #[error("a saved state of {bytes} bytes is not one of this pipeline")]
    BadState {
        /// Its bytes.
        bytes: u64,
    },
    /// A processor failed.
    #[error("{node}: {error}")]
    Processor {
        /// The node.
        node: String,
        /// The processor's own error.
        #[source]
        error: ProcessorError,
    },
    /// A conversion between two nodes failed.
    #[error("converting for '{node}' failed: {error}")]
    Convert {
        /// The node whose input was being made, or `output`.
        node: String,
        /// The error below.
        #[source]
        error: FrameError,
    },
}

impl PipelineError {
    /// Stable dotted code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::DoubleRegistration { .. } => "pipeline.double_registration",
            Self::UnknownProcessor { .. } => "pipeline.unknown_processor",
            Self::UnknownParameter { .. } => "pipeline.unknown_key",
            Self::BadParameter { .. } => "pipeline.bad_value",
            Self::StageOrder { .. } => "pipeline.stage_order",
            Self::NoConversion { .. } => "pipeline.no_conversion",
            Self::MissingArtifact { .. } => "pipeline.missing_artifact",
            Self::ArtifactKind { .. } | Self::ArtifactTwice { .. } => "pipeline.artifact",
            Self::StateInBatches { .. } | Self::NotOpened { .. } | Self::BadState { .. } => "pipeline.state",
            Self::RatioBroken { .. } => "pipeline.ratio",
            Self::Processor { error, .. } => error.code,
            Self::Convert { .. } => "frame.invalid",
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownProcessor {
                nearest: Some(nearest), ..
            } => Some(format!("did you mean '{nearest}'?")),
            Self::UnknownProcessor { .. } => Some("kinora list processors names them all".to_owned()),
            Self::UnknownParameter {
                nearest: Some(nearest), ..
            } => Some(format!("did you mean '{nearest}'?")),
            Self::UnknownParameter { processor, .. } | Self::BadParameter { processor, .. } => {
                Some(format!("kinora describe {processor} lists its parameters"))
            }
            Self::Processor { error, .. } => error.hint.clone(),
            _ => None,
        }
    }
}
