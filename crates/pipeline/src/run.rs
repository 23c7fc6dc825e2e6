use std::{any::Any, collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use kinora_frame::{DeviceId, Filter as ResizeFilter, FrameError, Image, ImageDesc, Layout, Pool, Storage};

use crate::{
    Context, Item, Meter, Node, Order, Outputs, Pipeline, PipelineError, Plan, ProcessorError, Reset, Stateless, Step,
    StepKind, StreamId, StreamInfo, StreamState, Verdict,
};

/// How pixels get to a device; implemented by whoever owns one.
pub trait DeviceAccess: Send + Sync {
    /// Copies host pixels to a device.
    ///
    /// # Errors
    /// When the device is not there or has no room.
    fn upload(&self, image: &Image, device: &DeviceId) -> Result<Image, ProcessorError>;
}

/// No device but the host.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostOnly;

impl DeviceAccess for HostOnly {
    fn upload(&self, _image: &Image, device: &DeviceId) -> Result<Image, ProcessorError> {
        Err(ProcessorError::new(
            "device.unavailable",
            format!("device {device} is not there"),
        ))
    }
}

/// Runs a plan, or a run of its steps, for one stream on the thread that calls it.
///
/// It holds the states of its nodes and a meter a step; the caller brings threads, batches and the clock. An
/// engine that overlaps steps gives each of its lanes a runner over its own range.
pub struct Runner {
    pipeline: Arc<Pipeline>,
    plan: Arc<Plan>,
    range: Range<usize>,
    stream: StreamId,
    states: BTreeMap<usize, Box<dyn StreamState>>,
    devices: Arc<dyn DeviceAccess>,
    pool: Pool,
    meters: Vec<Meter>,
    taken: Vec<u64>,
    given: Vec<u64>,
}

impl Runner {
    /// Opens the nodes among the steps `range` for a stream of pictures as the plan expects them.
    ///
    /// # Errors
    /// What a node says of such a stream.
    pub fn open(
        pipeline: Arc<Pipeline>,
        plan: Arc<Plan>,
        range: Range<usize>,
        info: &StreamInfo,
        devices: Arc<dyn DeviceAccess>,
        pool: Pool,
    ) -> Result<Self, PipelineError> {
        let range = range.start.min(plan.steps.len())..range.end.min(plan.steps.len());
        let mut states = BTreeMap::new();
        for step in &plan.steps[range.clone()] {
            if let StepKind::Node(index) = step.kind
                && let Some(node) = pipeline.nodes().get(index)
            {
                let info = StreamInfo {
                    image: step.input,
                    ..info.clone()
                };
                let state = node.processor.open(&info, &node.params).map_err(failed(node))?;
                let about = node.processor.descriptor();
                let any: &dyn Any = state.as_ref();
                // Frames of one call cannot share one state, so a node that takes several must keep none.
                if about.order == Order::Any && about.batch.max > 1 && !any.is::<Stateless>() {
                    return Err(PipelineError::StateInBatches { node: node.id.clone() });
                }
                states.insert(index, state);
            }
        }
        let (steps, nodes) = (plan.steps.len(), pipeline.nodes().len());
        Ok(Self {
            pipeline,
            range,
            stream: info.id,
            states,
            devices,
            pool,
            meters: vec![Meter::default(); steps],
            taken: vec![0; nodes],
            given: vec![0; nodes],
            plan,
        })
    }

    /// The plan it runs.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Meters, one a step of the plan.
    #[must_use]
    pub fn meters(&self) -> &[Meter] {
        &self.meters
    }

    /// Sends frames through every step. `now` is any steady clock.
    ///
    /// # Errors
    /// The first node or conversion that fails, named.
    pub fn run(&mut self, frames: Vec<Context>, now: &dyn Fn() -> Duration) -> Result<Vec<Context>, PipelineError> {
        self.run_from(self.range.start, frames, now)
    }

    /// End of the stream: flushes node after node, each node's last frames going through those behind it.
    ///
    /// # Errors
    /// As [`Runner::run`], and [`PipelineError::RatioBroken`] for a node that kept or invented frames.
    pub fn finish(&mut self, now: &dyn Fn() -> Duration) -> Result<Vec<Context>, PipelineError> {
        let mut finished = Vec::new();
        for position in self.range.clone() {
            let Some(index) = self.plan.steps.get(position).and_then(node_of) else {
                continue;
            };
            let Some(node) = self.pipeline.nodes().get(index).cloned() else {
                continue;
            };
            let mut out = Outputs::default();
            if let Some(state) = self.states.get_mut(&index) {
                node.processor
                    .finish(self.stream, state.as_mut(), &mut out)
                    .map_err(failed(&node))?;
            }
            let held: Vec<Context> = out.drain().map(|(_, context)| context).collect();
            self.given[index] += held.len() as u64;
            if node.processor.descriptor().ratio == crate::Ratio::Exact(kinora_frame::Rational::ONE)
                && self.given[index] != self.taken[index]
            {
                return Err(PipelineError::RatioBroken {
                    node: node.id,
                    promised: "one frame for each".to_owned(),
                    taken: self.taken[index],
                    given: self.given[index],
                });
            }
            finished.extend(self.run_from(position + 1, held, now)?);
        }
        Ok(finished)
    }

    /// The states of its nodes as bytes, for [`Runner::load`]; `None` when none of them keeps anything.
    ///
    /// # Errors
    /// What a node says that cannot read its state back.
    pub fn save(&self) -> Result<Option<Vec<u8>>, PipelineError> {
        let mut saved = Vec::new();
        for (index, state) in &self.states {
            let Some(node) = self.pipeline.nodes().get(*index) else {
                continue;
            };
            if let Some(bytes) = state.save().map_err(failed(node))? {
                saved.extend((*index as u64).to_le_bytes());
                saved.extend((bytes.len() as u64).to_le_bytes());
                saved.extend(bytes);
            }
        }
        Ok((!saved.is_empty()).then_some(saved))
    }

    /// Puts saved states into its nodes.
    ///
    /// # Errors
    /// [`PipelineError::BadState`] for bytes that [`Runner::save`] of this pipeline did not make, and what a node says.
    pub fn load(&mut self, mut bytes: &[u8]) -> Result<(), PipelineError> {
        let number = |bytes: &mut &[u8]| {
            let (head, rest) = bytes.split_first_chunk::<8>()?;
            *bytes = rest;
            usize::try_from(u64::from_le_bytes(*head)).ok()
        };
        while !bytes.is_empty() {
            let bad = || PipelineError::BadState {
                bytes: bytes.len() as u64,
            };
            let mut rest = bytes;
            let index = number(&mut rest).ok_or_else(bad)?;
            let length = number(&mut rest).ok_or_else(bad)?;
            let (own, rest) = rest.split_at_checked(length).ok_or_else(bad)?;
            let (Some(state), Some(node)) = (self.states.get_mut(&index), self.pipeline.nodes().get(index)) else {
                return Err(bad());
            };
            state.load(own).map_err(failed(node))?;
            bytes = rest;
        }
        Ok(())
    }

    /// Forgets the past in every node.
    pub fn reset(&mut self, why: Reset) {
        for state in self.states.values_mut() {
            state.reset(why);
        }
    }

    fn run_from(
        &mut self,
        first: usize,
        frames: Vec<Context>,
        now: &dyn Fn() -> Duration,
    ) -> Result<Vec<Context>, PipelineError> {
        let mut frames = frames;
        for position in first..self.range.end {
            if frames.is_empty() {
                break;
            }
            let began = now();
            let count = frames.len() as u64;
            frames = self.step(position, frames)?;
            let bytes = frames
                .iter()
                .filter_map(|c| c.frame.image.desc().layout.bytes(c.frame.image.size()).ok());
            let bytes = bytes.map(|bytes| bytes as u64).sum();
            self.meters[position].add(count, now().saturating_sub(began), bytes);
        }
        Ok(frames)
    }

    fn step(&mut self, position: usize, frames: Vec<Context>) -> Result<Vec<Context>, PipelineError> {
        let step = &self.plan.steps[position];
        let StepKind::Node(index) = step.kind else {
            let later = &self.plan.steps[position + 1..];
            let wants_alpha = has_alpha(step.output.layout) || later.iter().any(|step| has_alpha(step.output.layout));
            return frames
                .into_iter()
                .map(|context| self.bring(step, context, wants_alpha))
                .collect();
        };
        let node = &self.pipeline.nodes()[index];
        let mut passed = Vec::with_capacity(frames.len());
        let mut waiting = Vec::new();
        for context in frames {
            // A rejected frame keeps its place in the order and goes through no further node.
            if matches!(context.verdict, Verdict::Reject(_)) {
                passed.push(context);
            } else {
                waiting.push(context);
            }
        }
        // Counted once they are through: a frame that failed is the caller's to stand in for.
        let count = waiting.len() as u64;
        let mut out = Outputs::default();
        let about = node.processor.descriptor();
        let Some(state) = self.states.get_mut(&index) else {
            return Err(PipelineError::NotOpened { node: node.id.clone() });
        };
        let indices: Vec<u64> = waiting.iter().map(|context| context.frame.index).collect();
        // Frames of one stream share one state, so only nodes that keep none take several at once.
        let most = if about.order == Order::Any {
            about.batch.max.max(1)
        } else {
            1
        };
        let mut waiting = waiting.into_iter().peekable();
        while waiting.peek().is_some() {
            let batch: Vec<Context> = waiting.by_ref().take(most).collect();
            if most == 1 || batch.len() == 1 {
                for context in batch {
                    let params = context.params.get(index).unwrap_or(&node.params).clone();
                    let mut items = [Item {
                        stream: self.stream,
                        state: state.as_mut(),
                        params,
                        context: Some(context),
                    }];
                    node.processor.process(&mut items, &mut out).map_err(failed(node))?;
                }
            } else {
                let mut tokens = vec![Stateless; batch.len()];
                let mut items: Vec<Item<'_>> = batch
                    .into_iter()
                    .zip(&mut tokens)
                    .map(|(context, state)| Item {
                        stream: self.stream,
                        state,
                        params: context.params.get(index).unwrap_or(&node.params).clone(),
                        context: Some(context),
                    })
                    .collect();
                node.processor.process(&mut items, &mut out).map_err(failed(node))?;
            }
        }
        self.taken[index] += count;
        self.given[index] += out.len() as u64;
        let mut given: Vec<Context> = out.drain().map(|(_, context)| context).collect();
        if about.ratio == crate::Ratio::Exact(kinora_frame::Rational::ONE) {
            let (taken, gave) = (self.taken[index], self.given[index]);
            // Said at once: whoever waits for a frame that never comes would wait for ever.
            let same_frames = || {
                let mut left: Vec<u64> = given.iter().map(|context| context.frame.index).collect();
                left.sort_unstable();
                left == indices
            };
            if gave > taken || taken - gave > u64::from(about.lookahead) || (about.lookahead == 0 && !same_frames()) {
                return Err(PipelineError::RatioBroken {
                    node: node.id.clone(),
                    promised: "one frame for each, under its own number".to_owned(),
                    taken,
                    given: gave,
                });
            }
        }
        for context in &mut given {
            if context.must_pass {
                context.verdict = Verdict::Keep;
            }
        }
        passed.extend(given);
        passed.sort_by_key(|context| context.frame.index);
        Ok(passed)
    }

    /// A conversion, upload or download of one frame.
    fn bring(&self, step: &Step, mut context: Context, wants_alpha: bool) -> Result<Context, PipelineError> {
        if matches!(context.verdict, Verdict::Reject(_)) {
            return Ok(context);
        }
        let convert_failed = |error: FrameError| PipelineError::Convert {
            node: step.node.clone(),
            error,
        };
        let image = match &step.kind {
            StepKind::Convert => convert(&mut context, step.output, wants_alpha, &self.pool).map_err(convert_failed)?,
            StepKind::Download => download(&context.frame.image, &self.pool).map_err(convert_failed)?,
            StepKind::Upload(device) => {
                self.devices
                    .upload(&context.frame.image, device)
                    .map_err(|error| PipelineError::Processor {
                        node: step.node.clone(),
                        error,
                    })?
            }
            StepKind::Node(_) => return Ok(context),
        };
        context.frame.image = image;
        Ok(context)
    }
}

fn node_of(step: &Step) -> Option<usize> {
    match step.kind {
        StepKind::Node(index) => Some(index),
        _ => None,
    }
}

fn failed(node: &Node) -> impl Fn(ProcessorError) -> PipelineError + '_ {
    move |error| PipelineError::Processor {
        node: node.id.clone(),
        error,
    }
}

/// Changes the layout. Opacity that the new layout has no place for is set aside in the context, and put back,
/// enlarged if need be, where a later layout has one; where none has (`wants_alpha`), it is dropped.
fn convert(context: &mut Context, wanted: ImageDesc, wants_alpha: bool, pool: &Pool) -> Result<Image, FrameError> {
    let image = &context.frame.image;
    let target = ImageDesc {
        size: image.size(),
        color: image.color(),
        ..wanted
    };
    if wants_alpha && has_alpha(image.desc().layout) && !has_alpha(target.layout) {
        context.alpha = kinora_frame::alpha_plane(image, pool)?.map(Arc::new);
    }
    let mut converted = kinora_frame::convert(image, &target, pool)?;
    if has_alpha(target.layout)
        && let Some(alpha) = context.alpha.take()
    {
        let alpha = if alpha.size() == converted.size() {
            alpha
        } else {
            Arc::new(kinora_frame::resize(
                &alpha,
                converted.size(),
                ResizeFilter::Lanczos3,
                pool,
            )?)
        };
        converted = kinora_frame::with_alpha(&converted, &alpha, pool)?;
    }
    Ok(converted)
}

fn has_alpha(layout: Layout) -> bool {
    matches!(layout, Layout::Pixels(format) if format.alpha)
}

fn download(image: &Image, pool: &Pool) -> Result<Image, FrameError> {
    match image.storage() {
        Storage::Host(_) => Ok(image.clone()),
        Storage::Device(buffer) => {
            let mut host = pool.take(buffer.len());
            buffer.download(host.bytes_mut())?;
            Image::host(*image.desc(), host.freeze())
        }
    }
}
