//! One run of a job: five lanes, the queues between them, and how they end.

mod advance;
mod encode;
mod readings;

use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use kinora_frame::{Frame, FrameIndex, Image, SideData, Timestamp};
use kinora_pipeline::{Context, Meter, Order, Plan, Runner, StepKind, StreamId, StreamInfo, Verdict};

use crate::{
    Completeness, Control, Decision, Dedupe, DedupeMode, DedupeWindow, EngineError, Event, Events, FrameFault,
    FrameSink, FrameSource, Halt, JobState, Limits, OfflineJob, OnFrameError, Pop, Queue, Report, SavedStates,
    Shortfall, SinkReport,
    control::Hooks,
    lanes::{Busy, Clock, Credits, Failure, spawn},
    offline::Part,
    results::{Outcome, Results},
};

/// Bytes of results that are kept for frames that may turn out to be duplicates.
const DEDUPE_BYTES: usize = 32 << 20;
/// Shortest time between two progress events.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// A frame without its pixels, in the order of the output.
struct Slot {
    index: FrameIndex,
    pts: Timestamp,
    duration: Option<Timestamp>,
    key: bool,
    side_data: Arc<SideData>,
    /// The frame whose result this one shows.
    shows: FrameIndex,
    /// The oldest frame that a later one may still show.
    oldest: FrameIndex,
}

struct Work {
    context: Context,
    /// Kept only where a policy may need it.
    source: Option<Image>,
}

/// A frame on its way, or what already became of it.
enum Flight {
    Work(Box<Work>),
    Done(FrameIndex, Outcome),
}

pub(crate) struct Run<'a> {
    job: &'a OfflineJob,
    plan: Arc<Plan>,
    ranges: [Range<usize>; 3],
    info: StreamInfo,
    clock: Clock,
    events: Events,
    decoded: Arc<Queue<Frame>>,
    slots: Arc<Queue<Slot>>,
    prepared: Arc<Queue<Flight>>,
    computed: Arc<Queue<Flight>>,
    results: Arc<Results>,
    credits: Arc<Credits>,
    busy: [Busy; 5],
    meters: Mutex<Vec<Meter>>,
    faults: Mutex<Vec<FrameFault>>,
    frames_in: AtomicU64,
    encoded: AtomicU64,
    rejected: AtomicU64,
    /// Nanoseconds that the job has been paused.
    paused: AtomicU64,
    workers: usize,
    finish_left: AtomicU64,
    dedupe: DedupeMode,
    window: usize,
    planned: (u64, bool),
    part: Option<Part>,
    /// Set when a stop ended the decoding between two segments.
    at_cut: AtomicBool,
}

const LANES: [&str; 5] = ["decode", "prepare", "network", "finish", "encode"];

/// Steps before the first node, the nodes, steps after the last one. A lane each, so that conversions of one frame
/// overlap with the network of another.
fn split(plan: &Plan) -> [Range<usize>; 3] {
    let is_node = |step: &kinora_pipeline::Step| matches!(step.kind, StepKind::Node(_));
    let end = plan.steps.len();
    let first = plan.steps.iter().position(is_node).unwrap_or(end);
    let last = plan.steps.iter().rposition(is_node).map_or(end, |at| at + 1);
    [0..first, first..last, last..end]
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        job: &'a OfflineJob,
        plan: Arc<Plan>,
        source: &dyn FrameSource,
        clock: &Clock,
        events: &Events,
        part: Option<Part>,
    ) -> Result<Self, EngineError> {
        let workers = if plan.order == Order::InOrder {
            1
        } else {
            job.workers.max(1)
        };
        let finishers = job.finishers.max(1);
        let batch = job.batch.clamp(1, plan.batch_max.max(1));
        let input_bytes = plan.input.layout.bytes(plan.input.size)?;
        let output_bytes = plan.output.layout.bytes(plan.output.size)?;
        let memory = usize::try_from(job.memory_bytes).unwrap_or(usize::MAX);
        // A quarter of the memory each for: decoded frames, frames ready for the network, its results, finished frames.
        let share = (memory / 4).max(1);
        let limits = |frames: usize| Limits { frames, bytes: share };
        let held = job
            .pipeline
            .nodes()
            .iter()
            .map(|node| node.processor.descriptor().lookahead as usize)
            .sum::<usize>();
        let least = workers * batch + finishers + 1 + held;
        let credits = (share / output_bytes.max(1)).clamp(least, 2 * workers * batch + finishers + 8 + held);
        let dedupe = job.effective_dedupe(&plan);
        let by_bytes = DEDUPE_BYTES / output_bytes.max(input_bytes).max(1);
        Ok(Self {
            ranges: split(&plan),
            info: StreamInfo {
                id: StreamId(0),
                image: plan.input,
                frame_rate: source.frame_rate(),
            },
            clock: Arc::clone(clock),
            events: Arc::clone(events),
            decoded: Arc::new(Queue::new(limits(8), 1)),
            slots: Arc::new(Queue::new(
                Limits {
                    frames: 4096,
                    bytes: usize::MAX,
                },
                1,
            )),
            prepared: Arc::new(Queue::new(limits((2 * workers * batch).max(2)), 1)),
            computed: Arc::new(Queue::new(limits(finishers + 1), workers)),
            results: Arc::default(),
            credits: Arc::new(Credits::new(credits)),
            busy: Default::default(),
            meters: Mutex::new(vec![Meter::default(); plan.steps.len()]),
            faults: Mutex::default(),
            frames_in: AtomicU64::new(0),
            encoded: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            paused: AtomicU64::new(0),
            workers,
            finish_left: AtomicU64::new(finishers as u64),
            dedupe,
            window: by_bytes.clamp(1, 32),
            planned: match part.as_ref().and_then(|part| part.total) {
                Some(total) => (total, true),
                None => source.planned(),
            },
            part,
            at_cut: AtomicBool::new(false),
            plan,
            job,
        })
    }

    pub(crate) fn execute(
        &self,
        source: Box<dyn FrameSource>,
        sink: Box<dyn FrameSink>,
        control: &Control,
    ) -> Result<Report, EngineError> {
        let began = (self.clock)();
        for node in self.job.pipeline.nodes() {
            node.processor.resume();
        }
        let halts = [source.halt(), sink.halt()];
        let cancel = self.canceller(&halts);
        let failure = Failure::new(Arc::clone(&cancel));
        control.install(Hooks {
            // A job in segments goes on to the end of the one it is in.
            stop: halts.first().filter(|_| self.part.is_none()).cloned(),
            abort: Some(cancel),
        });
        let workers = self.workers;
        let finishers = self.finish_left.load(Ordering::Relaxed);
        let path = source.path();
        let keeps = sink.keeps_pieces();
        let mut ended = None;
        let mut encoded = None;
        {
            let (failure, ended, encoded) = (&failure, &mut ended, &mut encoded);
            thread::scope(|scope| {
                spawn(scope, "decode", failure, move || {
                    let end = self.decode(source, control)?;
                    // What is in flight is only worth finishing for a sink that keeps it.
                    if end.is_none() && !keeps && control.state() == JobState::Stopping {
                        return Err(EngineError::Stopped {
                            frames: 0,
                            kept: false,
                            segments: None,
                        });
                    }
                    *ended = Some(end);
                    Ok(())
                });
                spawn(scope, "prepare", failure, || self.prepare());
                for _ in 0..workers {
                    spawn(scope, "network", failure, || self.network(control));
                }
                for _ in 0..finishers {
                    spawn(scope, "finish", failure, || self.finish_frames());
                }
                spawn(scope, "encode", failure, move || {
                    *encoded = Some(self.encode(sink)?);
                    Ok(())
                });
            });
        }
        let taken = self.frames_in.load(Ordering::Relaxed);
        let done = self.encoded.load(Ordering::Relaxed);
        let stopped = || EngineError::Stopped {
            frames: done,
            kept: keeps && done > 0,
            segments: None,
        };
        if let Some(error) = failure.take() {
            // What an abort itself causes is no news; everything else is, whatever the user asked for meanwhile.
            return Err(match (control.state(), error) {
                (JobState::Aborting, _) | (_, EngineError::Stopped { .. }) => stopped(),
                (_, error) => error,
            });
        }
        let (Some(ended), Some((sink, mut progress))) = (ended, encoded) else {
            return Err(stopped());
        };
        // A stop that came after the last frame loses nothing by finishing.
        let Some(completeness) = ended.filter(|_| control.state() != JobState::Aborting) else {
            if self.at_cut.load(Ordering::Relaxed) && control.state() != JobState::Aborting {
                self.finish_sink(sink, control)?;
            }
            return Err(stopped());
        };
        if taken == 0 {
            return Err(EngineError::NoFrames { path });
        }
        let shortfall = match completeness {
            Completeness::Whole => None,
            Completeness::Truncated { expected, at, total } => Some(Shortfall {
                frames: self.before() + taken,
                expected,
                at,
                total,
            }),
        };
        // A job in segments commits all that decoded first; who runs it says the rest.
        if let Some(shortfall) = &shortfall
            && !self.job.salvage
            && self.part.is_none()
        {
            return Err(EngineError::truncated(path, shortfall));
        }
        if progress.done() != taken {
            return Err(EngineError::Count {
                taken,
                given: progress.done(),
                planned: self.planned.0,
            });
        }
        let sink = match self.finish_sink(sink, control) {
            Err(_) if control.state() == JobState::Aborting => return Err(stopped()),
            finished => finished?,
        };
        progress.complete();
        let snapshot = progress.snapshot((self.clock)());
        (self.events)(Event::Progress {
            snapshot,
            lanes: Vec::new(),
        });
        let wall = (self.clock)().saturating_sub(began);
        Ok(self.report(&snapshot, sink, shortfall, wall))
    }

    /// The encoder may take minutes to its end: only an abort cuts it short.
    fn finish_sink(&self, sink: Box<dyn FrameSink>, control: &Control) -> Result<SinkReport, EngineError> {
        let halt = sink.halt();
        control.install(Hooks {
            stop: None,
            abort: Some(halt),
        });
        let finished = self.busy[4].during(&self.clock, || sink.finish());
        control.install(Hooks::default());
        finished
    }

    /// Frames that earlier runs have done, without those that are computed again to warm up.
    fn before(&self) -> u64 {
        let part = self.part.as_ref();
        part.map_or(0, |part| part.done_before.saturating_sub(part.warm_up))
    }

    /// The segment of a frame, in a job that has them.
    fn segment(&self, index: FrameIndex, pts: Timestamp) -> Option<u64> {
        Some(self.part.as_ref()?.cuts.of(index, pts))
    }

    fn canceller(&self, halts: &[Halt; 2]) -> Halt {
        let decoded = Arc::clone(&self.decoded);
        let slots = Arc::clone(&self.slots);
        let prepared = Arc::clone(&self.prepared);
        let computed = Arc::clone(&self.computed);
        let results = Arc::clone(&self.results);
        let credits = Arc::clone(&self.credits);
        let halts = halts.clone();
        let pipeline = Arc::clone(&self.job.pipeline);
        Arc::new(move || {
            decoded.cancel();
            slots.cancel();
            prepared.cancel();
            computed.cancel();
            results.cancel();
            credits.cancel();
            for node in pipeline.nodes() {
                node.processor.cancel();
            }
            for halt in &halts {
                halt();
            }
        })
    }

    /// Waits while the job is paused. Threads wait side by side, so the one that waited longest in all says how long the
    /// pauses were.
    fn gate(&self, control: &Control, waited: &mut Duration) -> JobState {
        let from = (self.clock)();
        let state = control.gate();
        let wait = (self.clock)().saturating_sub(from);
        if wait > Duration::from_millis(1) {
            *waited += wait;
            let nanos = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
            self.paused.fetch_max(nanos, Ordering::Relaxed);
        }
        state
    }

    /// Lane 1: reads frames. `None` when the job was stopped before the source's own end.
    fn decode(&self, mut source: Box<dyn FrameSource>, control: &Control) -> Result<Option<Completeness>, EngineError> {
        let bytes = self.plan.input.layout.bytes(self.plan.input.size)?;
        let mut segment = None;
        let mut waited = Duration::ZERO;
        loop {
            let state = self.gate(control, &mut waited);
            let goes_on = state == JobState::Stopping && segment.is_some();
            if state != JobState::Running && !goes_on {
                self.decoded.close();
                return Ok(None);
            }
            let next = self.busy[0].during(&self.clock, || source.next_frame());
            match next {
                Ok(Some(frame)) => {
                    let before = segment;
                    segment = self.segment(frame.index, frame.pts);
                    if segment != before && before.is_some() && control.state() == JobState::Stopping {
                        self.at_cut.store(true, Ordering::Relaxed);
                        self.decoded.close();
                        return Ok(None);
                    }
                    self.frames_in.fetch_add(1, Ordering::Relaxed);
                    if !self.decoded.push(frame, bytes) {
                        return Ok(None);
                    }
                }
                Ok(None) => {
                    self.decoded.close();
                    for (code, message) in source.notes() {
                        (self.events)(Event::Warning { code, message });
                    }
                    return Ok(Some(source.completeness()));
                }
                // A source that was halted to stop the job says so by an error.
                Err(_) if control.state() == JobState::Stopping => {
                    self.decoded.close();
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Lane 2: duplicate test, then the steps before the network. The one owner of order.
    fn prepare(&self) -> Result<(), EngineError> {
        let mut runner = self.runner(0)?;
        let mut dedupe = Dedupe::new(self.dedupe, DedupeWindow { frames: self.window });
        let snapshot = self.job.pipeline.snapshot();
        let mut is_first = true;
        let mut segment = None;
        loop {
            let frame = match self.decoded.pop() {
                Pop::Item(frame) => frame,
                Pop::End => break,
                Pop::Cancelled => return Ok(()),
            };
            // What a segment holds depends on nothing before it, so that it may be made alone.
            let before = segment;
            segment = self.segment(frame.index, frame.pts);
            if before.is_some() && segment != before {
                dedupe.clear();
                is_first = true;
            }
            let decision = self.busy[1].during(&self.clock, || dedupe.decide(frame.index, &frame.image))?;
            let shows = match decision {
                Decision::Process => frame.index,
                Decision::SameAs(earlier) => earlier,
            };
            let slot = Slot {
                index: frame.index,
                pts: frame.pts,
                duration: frame.duration,
                key: frame.key,
                side_data: Arc::clone(&frame.side_data),
                shows,
                oldest: dedupe.oldest().unwrap_or(frame.index).min(shows),
            };
            let is_new = decision == Decision::Process;
            if (is_new && !self.credits.take()) || !self.slots.push(slot, 0) {
                return Ok(());
            }
            if is_new {
                // The first frame has no output before it that could be repeated.
                let keep = match self.job.on_frame_error {
                    OnFrameError::Fail => false,
                    OnFrameError::Source => true,
                    OnFrameError::Repeat => is_first,
                };
                let source = keep.then(|| frame.image.clone());
                let mut context = Context::new(frame, Arc::clone(&snapshot));
                context.must_pass = is_first;
                is_first = false;
                let work = Work { context, source };
                let flights = self.busy[1].during(&self.clock, || {
                    self.advance(&mut runner, vec![Flight::Work(Box::new(work))])
                })?;
                for flight in flights {
                    if !self.send(&self.prepared, flight) {
                        return Ok(());
                    }
                }
            }
        }
        self.keep_meters(&runner);
        self.slots.close();
        self.prepared.close();
        Ok(())
    }

    /// Lane 3: the nodes, in batches.
    fn network(&self, control: &Control) -> Result<(), EngineError> {
        let mut runner = self.runner(1)?;
        let states = self.part.as_ref().and_then(|part| part.states.as_ref());
        if let Some(state) = self.part.as_ref().and_then(|part| part.state.as_ref()) {
            runner.load(state).map_err(|error| self.at_frame(error, None))?;
        }
        let most = match states {
            // States are saved between two frames.
            Some(_) => 1,
            None => self.job.batch.clamp(1, self.plan.batch_max.max(1)),
        };
        let mut segment = None;
        let mut waited = Duration::ZERO;
        loop {
            let first = match self.prepared.pop() {
                Pop::Item(first) => first,
                Pop::End => break,
                Pop::Cancelled => return Ok(()),
            };
            let mut batch = vec![first];
            while batch.len() < most
                && let Some(more) = self.prepared.try_pop()
            {
                batch.push(more);
            }
            if let (Some(states), [Flight::Work(work)]) = (states, batch.as_slice()) {
                let before = segment;
                segment = self.segment(work.context.frame.index, work.context.frame.pts);
                if let Some(before) = before.filter(|_| segment != before) {
                    self.save_state(&runner, states, before)?;
                }
            }
            if self.gate(control, &mut waited) == JobState::Aborting {
                return Ok(());
            }
            let flights = self.busy[2].during(&self.clock, || self.advance(&mut runner, batch))?;
            for flight in flights {
                if !self.send(&self.computed, flight) {
                    return Ok(());
                }
            }
        }
        if let (Some(states), Some(segment)) = (states, segment) {
            self.save_state(&runner, states, segment)?;
        }
        let clock = Arc::clone(&self.clock);
        let held = runner
            .finish(&move || clock())
            .map_err(|error| self.at_frame(error, None))?;
        for context in held {
            if !self.send(&self.computed, Flight::Work(Box::new(Work { context, source: None }))) {
                return Ok(());
            }
        }
        self.keep_meters(&runner);
        self.computed.close();
        Ok(())
    }

    fn save_state(&self, runner: &Runner, states: &SavedStates, segment: u64) -> Result<(), EngineError> {
        let state = runner.save().map_err(|error| self.at_frame(error, None))?;
        states.put(segment, state.unwrap_or_default());
        Ok(())
    }

    /// Lane 4: the steps after the network.
    fn finish_frames(&self) -> Result<(), EngineError> {
        let mut runner = self.runner(2)?;
        loop {
            let flight = match self.computed.pop() {
                Pop::Item(flight) => flight,
                Pop::End => break,
                Pop::Cancelled => return Ok(()),
            };
            let flights = self.busy[3].during(&self.clock, || self.advance(&mut runner, vec![flight]))?;
            for flight in flights {
                match flight {
                    Flight::Done(index, outcome) => self.results.put(index, outcome),
                    Flight::Work(work) => {
                        let index = work.context.frame.index;
                        let outcome = match work.context.verdict {
                            Verdict::Keep => Outcome::Image(work.context.frame.image),
                            Verdict::Reject(reason) => {
                                self.rejected.fetch_add(1, Ordering::Relaxed);
                                Outcome::Repeat(reason)
                            }
                        };
                        self.results.put(index, outcome);
                    }
                }
            }
        }
        self.keep_meters(&runner);
        if self.finish_left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.results.finish();
        }
        Ok(())
    }
}
