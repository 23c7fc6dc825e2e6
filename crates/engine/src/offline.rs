use std::sync::Arc;

use kinora_frame::Pool;
use kinora_pipeline::{Accepts, DependsOn, DeviceAccess, HostOnly, Pipeline, Plan};

use crate::{
    Control, Cuts, DedupeMode, EngineError, Events, FrameSink, FrameSource, Report, SavedStates, lanes::Clock, run::Run,
};

/// Bytes that one picture may take however small the limit: a frame of 4K video in floats.
const LEAST_MEMORY: u64 = 128 << 20;

/// What is done about a frame that a processor fails on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnFrameError {
    /// The job ends.
    #[default]
    Fail,
    /// The source frame, scaled to the output size, stands in.
    Source,
    /// The last output stands in.
    Repeat,
}

/// One clip through one pipeline into one output.
#[derive(Clone)]
pub struct OfflineJob {
    /// The loaded pipeline.
    pub pipeline: Arc<Pipeline>,
    /// What the sink takes.
    pub sink_accepts: Accepts,
    /// Devices, for plans that use them.
    pub devices: Arc<dyn DeviceAccess>,
    /// Buffers of the frame path.
    pub pool: Pool,
    /// Which frames may share a result, where the pipeline allows it.
    pub dedupe: DedupeMode,
    /// Frames in one call of the network.
    pub batch: usize,
    /// Threads of the network lane.
    pub workers: usize,
    /// Threads that convert finished frames.
    pub finishers: usize,
    /// Bytes that frames in flight may take.
    pub memory_bytes: u64,
    /// Policy for failing frames.
    pub on_frame_error: OnFrameError,
    /// Accept an input that ends early.
    pub salvage: bool,
}

/// A part of a job that is cut into segments.
pub(crate) struct Part {
    /// Where it is cut.
    pub(crate) cuts: Arc<Cuts>,
    /// Frames that are done already.
    pub(crate) done_before: u64,
    /// Frames that only warm up.
    pub(crate) warm_up: u64,
    /// Frames of the whole job, where known.
    pub(crate) total: Option<u64>,
    /// Where states at the ends of segments go.
    pub(crate) states: Option<Arc<SavedStates>>,
    /// The state to begin with.
    pub(crate) state: Option<Vec<u8>>,
}

impl OfflineJob {
    /// A job with the defaults of the command.
    #[must_use]
    pub fn new(pipeline: Arc<Pipeline>, sink_accepts: Accepts, pool: Pool) -> Self {
        Self {
            pipeline,
            sink_accepts,
            devices: Arc::new(HostOnly),
            pool,
            dedupe: DedupeMode::Exact,
            batch: 1,
            workers: 1,
            finishers: 1,
            memory_bytes: 1 << 30,
            on_frame_error: OnFrameError::Fail,
            salvage: false,
        }
    }

    /// The plan for a source's pictures.
    ///
    /// # Errors
    /// What [`Plan::new`] says, and [`EngineError::Ratio`] for a pipeline that is not one to one.
    pub fn plan(&self, source: &dyn FrameSource) -> Result<Plan, EngineError> {
        let plan =
            Plan::new(&self.pipeline, source.image(), &self.sink_accepts).map_err(|error| EngineError::Pipeline {
                error: Box::new(error),
                frame: None,
                timecode: None,
            })?;
        if !plan.one_to_one {
            let node = self.pipeline.nodes().iter().find(|node| {
                node.processor.descriptor().ratio != kinora_pipeline::Ratio::Exact(kinora_frame::Rational::ONE)
            });
            return Err(EngineError::Ratio {
                node: node.map(|node| node.id.clone()).unwrap_or_default(),
            });
        }
        for desc in plan
            .steps
            .iter()
            .map(|step| step.output)
            .chain([plan.input, plan.output])
        {
            let bytes = desc.layout.bytes(desc.size)? as u64;
            if bytes > self.memory_bytes.max(LEAST_MEMORY) {
                return Err(EngineError::Memory {
                    size: desc.size,
                    bytes,
                    limit: self.memory_bytes,
                });
            }
        }
        Ok(plan)
    }

    /// The duplicate mode that really holds: off where an output depends on more than its pixels, and where no node
    /// does any work, so that looking for duplicates would cost more than it could spare.
    #[must_use]
    pub fn effective_dedupe(&self, plan: &Plan) -> DedupeMode {
        if plan.depends_on == DependsOn::Pixels && plan.worth_sharing {
            self.dedupe
        } else {
            DedupeMode::Off
        }
    }

    /// Runs the clip to its end. Blocks; [`Control`] steers it from elsewhere.
    ///
    /// # Errors
    /// The first error of any lane. The sink is dropped unfinished then, which leaves nothing behind.
    pub fn run(
        &self,
        source: Box<dyn FrameSource>,
        sink: Box<dyn FrameSink>,
        control: &Control,
        clock: &Clock,
        events: &Events,
    ) -> Result<Report, EngineError> {
        let plan = Arc::new(self.plan(source.as_ref())?);
        Run::new(self, plan, source.as_ref(), clock, events, None)?.execute(source, sink, control)
    }

    /// Runs a part of a job that is cut into segments.
    pub(crate) fn run_part(
        &self,
        source: Box<dyn FrameSource>,
        sink: Box<dyn FrameSink>,
        control: &Control,
        clock: &Clock,
        events: &Events,
        part: Part,
    ) -> Result<Report, EngineError> {
        let plan = Arc::new(self.plan(source.as_ref())?);
        Run::new(self, plan, source.as_ref(), clock, events, Some(part))?.execute(source, sink, control)
    }
}
