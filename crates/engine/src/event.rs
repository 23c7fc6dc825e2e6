use std::sync::Arc;

use crate::{QueueReading, SegmentRecord, Snapshot};

/// A lane in a progress line.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneReading {
    /// `decode`, `prepare`, `network`, `finish`, `encode`.
    pub name: &'static str,
    /// Share of the time since the last reading that it worked, 0..1, averaged over its threads.
    pub utilisation: f64,
    /// The queue before it.
    pub queue: QueueReading,
}

/// What a job tells while it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// How far it is.
    Progress {
        /// Counts and rates.
        snapshot: Snapshot,
        /// Every lane.
        lanes: Vec<LaneReading>,
    },
    /// Work of an earlier run is gone on with.
    Resumed {
        /// Segments that are done.
        segments_done: u64,
        /// All segments, where their number is known.
        segments: Option<u64>,
        /// Frames that are done.
        frames_done: u64,
        /// Bytes of unfinished files that were removed.
        removed_bytes: u64,
    },
    /// A segment is done and safe.
    Segment(SegmentRecord),
    /// Something the user should know; the job goes on.
    Warning {
        /// Stable dotted code.
        code: &'static str,
        /// The sentence.
        message: String,
    },
}

/// Who is told. Called from engine threads: must not block.
pub type Events = Arc<dyn Fn(Event) + Send + Sync>;
