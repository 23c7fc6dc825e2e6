use std::time::Duration;

use serde::Serialize;

use crate::{DedupeMode, Shortfall, SinkReport};

/// A frame that a processor failed on and a policy stood in for.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct FrameFault {
    /// Frame.
    pub frame: u64,
    /// Its time.
    pub timecode: String,
    /// What went wrong.
    pub error: String,
    /// What was put in its place: `source` or `repeat`.
    pub stood_in: &'static str,
}

/// A step of the plan, measured.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct StepReport {
    /// What it did.
    pub name: String,
    /// Frames.
    pub frames: u64,
    /// Seconds of work.
    pub seconds: f64,
    /// Median of a frame, milliseconds.
    pub p50_ms: f64,
    /// 95th percentile of a frame, milliseconds.
    pub p95_ms: f64,
    /// Bytes given.
    pub bytes: u64,
}

/// A lane, measured.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct LaneReport {
    /// `decode`, `prepare`, `network`, `finish`, `encode`.
    pub name: &'static str,
    /// Threads.
    pub threads: usize,
    /// Seconds of work, summed over threads.
    pub seconds: f64,
    /// Share of the job's time that it worked, 0..1.
    pub utilisation: f64,
    /// Most frames that ever waited before it.
    pub queue_high_water: usize,
}

/// What a finished job was.
#[derive(Clone, Debug, Default, Serialize, PartialEq)]
pub struct Report {
    /// Frames decoded.
    pub frames_in: u64,
    /// Frames encoded.
    pub frames_out: u64,
    /// Frames that shared another's result.
    pub duplicates: u64,
    /// Which frames may have: the mode that held, `off`, `exact` or `near=HI,LO,FRAC`.
    pub dedupe: DedupeMode,
    /// Frames a filter rejected.
    pub rejected: u64,
    /// Frames that failed and were stood in for.
    pub faults: Vec<FrameFault>,
    /// Seconds from start to final name, pauses included.
    pub seconds: f64,
    /// Slowest lane.
    pub bottleneck: &'static str,
    /// Wall time that the slowest lane alone predicts, seconds.
    pub predicted_seconds: f64,
    /// Lanes.
    pub lanes: Vec<LaneReport>,
    /// Steps of the plan.
    pub steps: Vec<StepReport>,
    /// Set when the input ended early and was salvaged.
    pub truncated: bool,
    /// How early.
    #[serde(skip)]
    pub shortfall: Option<Shortfall>,
    /// The output.
    #[serde(skip)]
    pub sink: SinkReport,
}

impl Report {
    /// Adds a later part of the same job.
    pub(crate) fn add(&mut self, part: Self) {
        if self.lanes.is_empty() {
            *self = part;
            return;
        }
        self.frames_in += part.frames_in;
        self.frames_out += part.frames_out;
        self.duplicates += part.duplicates;
        self.rejected += part.rejected;
        self.faults.extend(part.faults);
        self.predicted_seconds += part.predicted_seconds;
        for (lane, more) in self.lanes.iter_mut().zip(part.lanes) {
            lane.seconds += more.seconds;
            let (before, after) = (self.seconds, part.seconds);
            let busy = lane.utilisation * before + more.utilisation * after;
            lane.utilisation = busy / (before + after).max(1e-9);
            lane.queue_high_water = lane.queue_high_water.max(more.queue_high_water);
        }
        for (step, more) in self.steps.iter_mut().zip(part.steps) {
            step.frames += more.frames;
            step.seconds += more.seconds;
            step.bytes += more.bytes;
            step.p50_ms = step.p50_ms.max(more.p50_ms);
            step.p95_ms = step.p95_ms.max(more.p95_ms);
        }
        self.seconds += part.seconds;
        self.truncated |= part.truncated;
        self.shortfall = part.shortfall.or(self.shortfall.take());
        self.sink.frames += part.sink.frames;
        self.sink.bytes += part.sink.bytes;
        self.sink.notes.extend(part.sink.notes);
    }
}

pub(crate) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}
