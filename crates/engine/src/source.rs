use std::{path::PathBuf, sync::Arc};

use kinora_frame::{Frame, ImageDesc, Rational};

use crate::EngineError;

/// Ends a blocked read or write from another thread; calling it twice is harmless.
pub type Halt = Arc<dyn Fn() + Send + Sync>;

/// Whether a source gave all that it promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It did, or promised nothing.
    Whole,
    /// It ended early.
    Truncated {
        /// Frames promised.
        expected: u64,
        /// Time of the last frame that came.
        at: String,
        /// Time of the last frame promised.
        total: String,
    },
}

/// Where frames come from.
pub trait FrameSource: Send {
    /// For messages.
    fn path(&self) -> PathBuf;

    /// What its pictures are.
    fn image(&self) -> ImageDesc;

    /// Nominal frame rate.
    fn frame_rate(&self) -> Option<Rational>;

    /// Frames it will give, and whether that is a count.
    fn planned(&self) -> (u64, bool);

    /// The next frame, waiting for it; `None` at the end.
    ///
    /// # Errors
    /// The source's own.
    fn next_frame(&mut self) -> Result<Option<Frame>, EngineError>;

    /// A way to end a blocked [`FrameSource::next_frame`].
    fn halt(&self) -> Halt;

    /// Asked once, after the end: what the user should know of what came, as code and sentence.
    fn notes(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Asked once, after the end.
    fn completeness(&self) -> Completeness {
        Completeness::Whole
    }
}

/// What a sink has made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkReport {
    /// The file or folder.
    pub path: PathBuf,
    /// Frames in it.
    pub frames: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

/// Where frames go. Dropping a sink that was not finished leaves nothing behind, unless it says that it keeps pieces.
pub trait FrameSink: Send {
    /// Takes the next frame; `repeats` says that it shows an earlier one's result.
    ///
    /// # Errors
    /// The sink's own.
    fn write(&mut self, frame: &Frame, repeats: bool) -> Result<(), EngineError>;

    /// Ends the output, checks it and gives it its final name.
    ///
    /// # Errors
    /// The sink's own; nothing stands under the final name then.
    fn finish(self: Box<Self>) -> Result<SinkReport, EngineError>;

    /// True for a sink whose finished pieces stay when the job ends early: a folder of pictures, each whole.
    fn keeps_pieces(&self) -> bool {
        false
    }

    /// A way to end a blocked [`FrameSink::write`] or [`FrameSink::finish`].
    fn halt(&self) -> Halt;
}
