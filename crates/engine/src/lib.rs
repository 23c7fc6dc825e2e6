//! The offline engine: lanes, order, duplicates, errors, progress.
//!
//! Decode, duplicate test, stages and encode run at the same time, in one process, frames in memory. Nothing is
//! lost: every input frame leaves exactly once, in order, with its own time. What decides (duplicates, order,
//! progress) is plain data driven by arguments; what runs threads is thin.

mod clip;
mod control;
mod dedupe;
mod durable;
mod error;
mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod lanes;
mod offline;
mod progress;
mod queue;
mod report;
mod results;
mod run;
mod source;
mod stills;

pub use clip::{ClipSink, ClipSource, Stated};
pub use control::{Control, JobState, Observer};
pub use dedupe::{Decision, Dedupe, DedupeMode, DedupeWindow, NEAR_MAX_RUN, NearLimits, frame_hash};
pub use durable::{
    Block, ClipPieces, Cuts, Disk, DoneRecord, DurableJob, ENGINE_VERSION, EndRecord, Final, Found, Identity,
    JobFolder, JobRecord, NoteRecord, OpenRange, Opening, PieceMaker, PieceWriter, PieceWritten, Published, Record,
    Removed, SEGMENT_FRAMES, SavedStates, SegmentRecord, SegmentTimes, Shortfall, Store, Who, content_hash,
    is_published, plan_json, publish,
};
pub use error::EngineError;
pub use event::{Event, Events, LaneReading};
pub use lanes::Clock;
pub use offline::{OfflineJob, OnFrameError};
pub use progress::{Progress, Snapshot};
pub use queue::{Limits, Pop, Queue, QueueReading};
pub use report::{FrameFault, LaneReport, Report, StepReport};
pub use source::{Completeness, FrameSink, FrameSource, Halt, SinkReport};
pub use stills::{StillsSink, StillsSource};
