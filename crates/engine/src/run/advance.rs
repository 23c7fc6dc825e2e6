//! Frames through the steps of a lane, and what becomes of one that fails.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};

use kinora_frame::{FrameIndex, Image, Timestamp};
use kinora_pipeline::{PipelineError, Runner};

use super::{Flight, Run, Work};
use crate::{EngineError, Event, FrameFault, OnFrameError, Queue, results::Outcome};

impl Run<'_> {
    /// Sends flights through a runner. A batch that fails is tried frame by frame, so that error and policy meet only
    /// the frame that is to blame.
    pub(super) fn advance(&self, runner: &mut Runner, flights: Vec<Flight>) -> Result<Vec<Flight>, EngineError> {
        let clock = Arc::clone(&self.clock);
        let now = move || clock();
        let (mut passed, mut working) = (Vec::new(), Vec::new());
        for flight in flights {
            match flight {
                Flight::Work(work) => working.push(work),
                done => passed.push(done),
            }
        }
        let mut sources: BTreeMap<FrameIndex, Image> = BTreeMap::new();
        let mut contexts = Vec::with_capacity(working.len());
        for work in working {
            if let Some(source) = work.source {
                sources.insert(work.context.frame.index, source);
            }
            contexts.push(work.context);
        }
        let mut out = Vec::new();
        if let [_, _, ..] = contexts.as_slice() {
            match runner.run(contexts.clone(), &now) {
                Ok(done) => {
                    out = done;
                    contexts.clear();
                }
                Err(_) if self.cancelled() => return Ok(Vec::new()),
                // One of them is to blame: the others go on, and that one is named.
                Err(_) => {}
            }
        }
        for context in contexts {
            let (index, pts) = (context.frame.index, context.frame.pts);
            match runner.run(vec![context], &now) {
                Ok(done) => out.extend(done),
                Err(_) if self.cancelled() => return Ok(Vec::new()),
                Err(error) if self.job.on_frame_error == OnFrameError::Fail => {
                    return Err(self.at_frame(error, Some((index, pts))));
                }
                Err(error) => {
                    let stood = self.stand_in(&error, index, pts, sources.remove(&index))?;
                    passed.push(Flight::Done(index, stood));
                }
            }
        }
        passed.extend(out.into_iter().map(|context| {
            let source = sources.remove(&context.frame.index);
            Flight::Work(Box::new(Work { context, source }))
        }));
        Ok(passed)
    }

    pub(super) fn cancelled(&self) -> bool {
        self.results.is_cancelled()
    }

    fn stand_in(
        &self,
        error: &PipelineError,
        index: FrameIndex,
        pts: Timestamp,
        source: Option<Image>,
    ) -> Result<Outcome, EngineError> {
        let (outcome, stood_in) = match source {
            Some(source) => {
                let pool = &self.job.pool;
                let target = kinora_frame::ImageDesc {
                    size: source.size(),
                    ..self.plan.output
                };
                let converted = kinora_frame::convert(&source, &target, pool)?;
                let size = self.plan.output.size;
                let filter = kinora_frame::Filter::Lanczos3;
                (
                    Outcome::Image(kinora_frame::resize(&converted, size, filter, pool)?),
                    "source",
                )
            }
            None => (Outcome::Repeat(error.to_string()), "repeat"),
        };
        let fault = FrameFault {
            frame: index,
            timecode: pts.to_string(),
            error: error.to_string(),
            stood_in,
        };
        (self.events)(Event::Warning {
            code: "frame.failed",
            message: format!("frame {index} at {pts} failed, {stood_in} stands in: {error}"),
        });
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
        Ok(outcome)
    }

    pub(super) fn send(&self, queue: &Queue<Flight>, flight: Flight) -> bool {
        let bytes = match &flight {
            Flight::Work(work) => {
                let desc = work.context.frame.image.desc();
                desc.layout.bytes(desc.size).unwrap_or(0)
            }
            Flight::Done(..) => 0,
        };
        queue.push(flight, bytes)
    }

    pub(super) fn runner(&self, lane: usize) -> Result<Runner, EngineError> {
        let range = self.ranges[lane].clone();
        let (pipeline, plan) = (Arc::clone(&self.job.pipeline), Arc::clone(&self.plan));
        Runner::open(
            pipeline,
            plan,
            range,
            &self.info,
            Arc::clone(&self.job.devices),
            self.job.pool.clone(),
        )
        .map_err(|error| self.at_frame(error, None))
    }

    pub(super) fn at_frame(&self, error: PipelineError, frame: Option<(FrameIndex, Timestamp)>) -> EngineError {
        EngineError::Pipeline {
            error: Box::new(error),
            frame: frame.map(|(index, _)| index),
            timecode: frame.map(|(_, pts)| pts.to_string()),
        }
    }

    pub(super) fn keep_meters(&self, runner: &Runner) {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        for (all, more) in meters.iter_mut().zip(runner.meters()) {
            all.merge(more);
        }
    }
}
