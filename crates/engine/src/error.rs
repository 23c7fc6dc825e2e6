use std::path::PathBuf;

use kinora_frame::{FrameError, Size};
use kinora_media::MediaError;
use kinora_pipeline::PipelineError;

/// What can end a job.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Files and encoders.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// Processors and conversions, with the frame they failed on.
    #[error("{}{error}", at(*.frame, timecode))]
    Pipeline {
        /// The error below.
        #[source]
        error: Box<PipelineError>,
        /// Frame it happened on.
        frame: Option<u64>,
        /// That frame's time.
        timecode: Option<String>,
    },
    /// Pixels.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A thread that panicked: a fault of ours, never a hang.
    #[error("the {lane} lane failed unexpectedly: {message}")]
    Panic {
        /// The lane.
        lane: &'static str,
        /// The panic's words.
        message: String,
    },
    /// A thread that the system would not start.
    #[error("the {lane} lane could not be started: {cause}")]
    Thread {
        /// The lane.
        lane: &'static str,
        /// The system's words.
        cause: String,
    },
    /// The user stopped the job.
    #[error("stopped after {frames} frames; {}", if *kept { "what is finished stays" } else { "no file was written under the final name" })]
    Stopped {
        /// Frames that had been encoded.
        frames: u64,
        /// True where each of them stands in a file of its own.
        kept: bool,
    },
    /// The count of frames does not come out.
    #[error("{given} frames were written for {taken} that came in, {planned} were planned")]
    Count {
        /// Frames decoded.
        taken: u64,
        /// Frames encoded.
        given: u64,
        /// Frames the plan says.
        planned: u64,
    },
    /// An input that ends before its index says.
    #[error("{} ends at {at} of {total}; no file was written under the final name", path.display())]
    Truncated {
        /// The input.
        path: PathBuf,
        /// Last time that decoded.
        at: String,
        /// Time the index promises.
        total: String,
        /// Frames that decoded.
        frames: u64,
        /// Frames the index promises.
        expected: u64,
    },
    /// Nothing decodes.
    #[error("{} has no frame that decodes", path.display())]
    NoFrames {
        /// The input.
        path: PathBuf,
    },
    /// Pictures of which one alone does not fit the memory.
    #[error("a picture of {size} takes {bytes} bytes where {limit} are allowed")]
    Memory {
        /// The size.
        size: Size,
        /// Bytes of one picture.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A pipeline that gives another number of frames than it takes.
    #[error("'{node}' gives another number of frames than it takes, which the offline engine cannot run yet")]
    Ratio {
        /// The node.
        node: String,
    },
    /// A frame that came to nothing before there was any output that could stand in for it.
    #[error("the first frame came to nothing, and there is none before it that could stand in: {reason}")]
    Rejected {
        /// The filter's reason.
        reason: String,
    },
}

fn at(frame: Option<u64>, timecode: &Option<String>) -> String {
    match (frame, timecode) {
        (Some(frame), Some(time)) => format!("frame {frame} at {time}: "),
        (Some(frame), None) => format!("frame {frame}: "),
        _ => String::new(),
    }
}

impl EngineError {
    /// Stable dotted code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Media(error) => error.code(),
            Self::Pipeline { error, .. } => error.code(),
            Self::Frame(_) => "frame.invalid",
            Self::Panic { .. } => "engine.panic",
            Self::Thread { .. } => "engine.thread",
            Self::Stopped { .. } => "job.stopped",
            Self::Count { .. } => "engine.count",
            Self::Truncated { .. } => "input.truncated",
            Self::NoFrames { .. } => "input.empty",
            Self::Memory { .. } => "usage.memory",
            Self::Ratio { .. } => "pipeline.ratio",
            Self::Rejected { .. } => "frame.rejected",
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Media(error) => error.hint(),
            Self::Pipeline { error, .. } => error.hint(),
            Self::Truncated { .. } => Some("--salvage writes what decodes, marked truncated".to_owned()),
            Self::Panic { .. } => {
                Some("this is a fault of kinora: repeat with -v and report what it prints".to_owned())
            }
            Self::Memory { .. } => Some("make the output smaller, or raise --memory".to_owned()),
            Self::NoFrames { .. } => Some("kinora doctor FILE shows what is in it".to_owned()),
            _ => None,
        }
    }

    /// What lies below, for the line `cause`.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Truncated { frames, expected, .. } => Some(format!("{frames} of about {expected} frames decoded")),
            _ => None,
        }
    }
}
