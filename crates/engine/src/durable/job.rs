use std::{ops::Range, sync::Arc};

use kinora_media::Stop;
use kinora_pipeline::Restart;
use serde_json::{Value as Json, json};

use super::{
    Cuts, EndRecord, Final, JobFolder, PieceMaker, Published, SavedStates, publish,
    sink::{SegmentSink, Segments, Stamp},
};
use crate::{
    Control, EngineError, Event, Events, FrameSource, Halt, OfflineJob, Report, control::Hooks, lanes::Clock,
    offline::Part,
};

/// Opens the source at a range of its frames; what it gives is numbered as in the whole source.
pub type OpenRange<'a> = dyn Fn(Range<u64>) -> Result<Box<dyn FrameSource>, EngineError> + Sync + 'a;

/// A job in segments: computes what its folder does not have yet.
pub struct DurableJob {
    /// The engine's part.
    pub offline: OfflineJob,
    /// The folder, taken.
    pub folder: Arc<JobFolder>,
    /// Where it is cut.
    pub cuts: Arc<Cuts>,
    /// Who encodes.
    pub maker: Arc<dyn PieceMaker>,
    /// How the pipeline begins in the middle: [`kinora_pipeline::Plan::restart`].
    pub restart: Restart,
    /// Go on where an inexact warm-up makes a difference.
    pub approximate: bool,
    /// Bytes that stay free on the disk.
    pub min_free: u64,
    /// End the job where the disk will not hold all of it, instead of a warning.
    pub strict_space: bool,
    /// Device and batch, for the records.
    pub made: Json,
}

impl DurableJob {
    /// The segments that are this worker's, as far as their number is known.
    #[must_use]
    pub fn wanted(&self) -> Range<u64> {
        let all = self.folder.end().map(|end| end.segments).or(self.cuts.segments());
        match (all, self.folder.block()) {
            (Some(all), Some(block)) => {
                // Shared out by the plan; a source that ends earlier has fewer.
                let block = block.segments(self.cuts.segments().unwrap_or(all));
                block.start.min(all)..block.end.min(all)
            }
            (Some(all), None) => 0..all,
            (None, _) => 0..u64::MAX,
        }
    }

    /// Number of segments that are done, and of all that are this worker's where that is known.
    #[must_use]
    pub fn done(&self) -> (u64, Option<u64>) {
        let wanted = self.wanted();
        let done = self.folder.segments().range(wanted.clone()).count() as u64;
        (done, (wanted.end < u64::MAX).then(|| wanted.end - wanted.start))
    }

    /// Frames that are done.
    #[must_use]
    pub fn frames_done(&self) -> u64 {
        let segments = self.folder.segments();
        segments.range(self.wanted()).map(|(_, record)| record.frames).sum()
    }

    /// Computes every segment that is missing. Nothing to do is no error: the report is empty then.
    ///
    /// # Errors
    /// As [`OfflineJob::run`]; what was committed before stays. [`EngineError::Truncated`] for a source that ends early,
    /// unless the job salvages it; all that decoded is committed then. [`EngineError::Warmup`] for a pipeline that cannot
    /// go on exactly.
    pub fn run(
        &self,
        open: &OpenRange<'_>,
        control: &Control,
        clock: &Clock,
        events: &Events,
    ) -> Result<Report, EngineError> {
        let mut whole = Report::default();
        for run in self.missing() {
            let report = self
                .run_segments(run, open, control, clock, events)
                .map_err(|error| self.told(error))?;
            whole.add(report);
        }
        self.check_end(open)?;
        whole.shortfall = self.folder.end().and_then(|end| end.shortfall);
        whole.truncated = whole.shortfall.is_some();
        Ok(whole)
    }

    /// Runs of missing segments; the last one is open where the number of segments is not known.
    fn missing(&self) -> Vec<Range<u64>> {
        let wanted = self.wanted();
        if wanted.end < u64::MAX {
            return self.folder.missing(wanted);
        }
        let known = self.folder.segments();
        let beyond = known.keys().next_back().map_or(0, |last| last + 1);
        let mut runs = self.folder.missing(0..beyond);
        match runs.last_mut() {
            Some(run) if run.end == beyond => run.end = u64::MAX,
            _ => runs.push(beyond..u64::MAX),
        }
        runs
    }

    /// A source that was found cut off by an earlier run is one for this run too.
    fn check_end(&self, open: &OpenRange<'_>) -> Result<(), EngineError> {
        let Some(EndRecord {
            shortfall: Some(shortfall),
            ..
        }) = self.folder.end()
        else {
            return Ok(());
        };
        if self.offline.salvage {
            return Ok(());
        }
        // Only for its name.
        let path = open(self.cuts.first()..self.cuts.first() + 1)?.path();
        Err(self.told(EngineError::truncated(path, &shortfall)))
    }

    fn run_segments(
        &self,
        run: Range<u64>,
        open: &OpenRange<'_>,
        control: &Control,
        clock: &Clock,
        events: &Events,
    ) -> Result<Report, EngineError> {
        let first = self.cuts.frames(run.start).start;
        let (mut from, mut state, mut states) = (first, None, None);
        match self.restart {
            Restart::Stateless => {}
            Restart::Warmup { frames, exact } => {
                if !exact && run.start > 0 && !self.approximate {
                    return Err(EngineError::Warmup { segment: run.start });
                }
                from = first.saturating_sub(u64::from(frames)).max(self.cuts.first());
            }
            Restart::Saved => {
                states = Some(Arc::new(SavedStates::default()));
                if run.start > 0 {
                    state = self.folder.state_after(run.start - 1)?;
                    if state.is_none() {
                        return Err(EngineError::NoState { segment: run.start - 1 });
                    }
                }
            }
        }
        let to = match run.end {
            u64::MAX => u64::MAX,
            end => self.cuts.frames(end - 1).end,
        };
        let source = open(from..to)?;
        let path = source.path();
        let sink = SegmentSink::new(
            Arc::new(Segments {
                folder: Arc::clone(&self.folder),
                cuts: Arc::clone(&self.cuts),
                maker: Arc::clone(&self.maker),
                states: states.clone(),
                min_free: self.min_free,
                strict_space: self.strict_space,
                events: Arc::clone(events),
                source: Stamp::of(&path).map(|stamp| (path.clone(), stamp)),
                made: self.made.clone(),
            }),
            run.clone(),
        );
        let part = Part {
            cuts: Arc::clone(&self.cuts),
            done_before: self.frames_done(),
            warm_up: first - from,
            total: self.cuts.end().map(|_| {
                let wanted = self.wanted();
                let frames = self.cuts.frames(wanted.end.saturating_sub(1)).end;
                frames.saturating_sub(self.cuts.frames(wanted.start).start)
            }),
            states,
            state,
        };
        let report = self
            .offline
            .run_part(source, Box::new(sink), control, clock, events, part)?;
        // Only the run that reaches the end sees whether the source is whole.
        let is_last = run.end == u64::MAX || self.cuts.segments() == Some(run.end);
        if is_last || report.shortfall.is_some() {
            let segments = self.folder.segments();
            self.folder.record_end(EndRecord {
                segments: segments.keys().next_back().map_or(0, |last| last + 1),
                shortfall: report.shortfall.clone(),
            })?;
        }
        match &report.shortfall {
            Some(shortfall) if !self.offline.salvage => Err(EngineError::truncated(path, shortfall)),
            _ => Ok(report),
        }
    }

    /// The same error with what is safe.
    fn told(&self, error: EngineError) -> EngineError {
        let (done, all) = self.done();
        match error {
            EngineError::Stopped { frames, .. } => EngineError::Stopped {
                frames,
                kept: true,
                segments: Some((done, all)),
            },
            other => other,
        }
    }

    /// Joins the segments into the final file; see [`publish`].
    ///
    /// # Errors
    /// As [`publish`]; a stop is [`EngineError::Stopped`], and nothing is lost by it.
    pub fn publish(&self, about: &Final<'_>, partial: bool, control: &Control) -> Result<Published, EngineError> {
        let stop = Stop::default();
        let halt: Halt = {
            let stop = stop.clone();
            Arc::new(move || stop.stop())
        };
        control.install(Hooks {
            stop: Some(Arc::clone(&halt)),
            abort: Some(halt),
        });
        let published = publish(&self.folder, about, partial, &stop);
        control.install(Hooks::default());
        match published {
            Err(_) if stop.is_stopped() => Err(self.told(EngineError::Stopped {
                frames: self.frames_done(),
                kept: true,
                segments: None,
            })),
            published => published,
        }
    }

    /// Tells what was found in the folder.
    pub fn tell_resume(&self, removed_bytes: u64, events: &Events) {
        let (segments_done, segments) = self.done();
        events(Event::Resumed {
            segments_done,
            segments,
            frames_done: self.frames_done(),
            removed_bytes,
        });
    }
}

/// The plan of a job as its folder and other programs read it.
#[must_use]
pub fn plan_json(cuts: &Cuts) -> Json {
    json!({
        "first": cuts.first(),
        "end": cuts.end(),
        "segment_frames": cuts.length(),
        "segments": cuts.segments(),
    })
}
