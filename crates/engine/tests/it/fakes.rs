//! Sources, sinks and processors that a test can read and steer.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use kinora_engine::{
    Completeness, Control, EngineError, Event, Events, FrameSink, FrameSource, Halt, OfflineJob, Report, SinkReport,
};
use kinora_frame::{ColorSpec, Frame, Image, ImageDesc, Layout, PixelFormat, Pool, Rational, Size, Timestamp};
use kinora_pipeline::{
    Accepts, Descriptor, Item, NoParams, Node, Outputs, Params, Pipeline, Processor, ProcessorError, Stage, Stateless,
    StreamInfo, StreamState, Verdict,
};

pub(crate) const SIZE: Size = Size::new(7, 9);

pub(crate) fn desc() -> ImageDesc {
    ImageDesc {
        size: SIZE,
        layout: Layout::Pixels(PixelFormat::GRAY8),
        color: ColorSpec::BT709,
    }
}

pub(crate) fn picture(value: u8) -> Image {
    Image::host(desc(), vec![value; 63].into()).unwrap()
}

pub(crate) fn value(image: &Image) -> u8 {
    image.host_buffer().unwrap().bytes()[0]
}

/// Gives frames of one grey value each, at irregular times.
pub(crate) struct Values {
    pub(crate) values: Vec<u8>,
    pub(crate) at: usize,
    pub(crate) fail_at: Option<usize>,
    pub(crate) completeness: Completeness,
    pub(crate) path: PathBuf,
    pub(crate) halted: Arc<AtomicBool>,
}

pub(crate) fn source(values: impl IntoIterator<Item = u8>) -> Values {
    Values {
        values: values.into_iter().collect(),
        at: 0,
        fail_at: None,
        completeness: Completeness::Whole,
        path: "values".into(),
        halted: Arc::default(),
    }
}

/// Irregular on purpose: the engine must carry times, not make them.
pub(crate) fn pts(index: usize) -> i64 {
    let index = index as i64;
    index * 1001 + index * index % 7 - 500
}

impl FrameSource for Values {
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    fn image(&self) -> ImageDesc {
        desc()
    }

    fn frame_rate(&self) -> Option<Rational> {
        None
    }

    fn planned(&self) -> (u64, bool) {
        (self.values.len() as u64, true)
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, EngineError> {
        if self.halted.load(Ordering::SeqCst) || self.fail_at == Some(self.at) {
            let error = kinora_frame::FrameError::OnDevice {
                device: "source".to_owned(),
            };
            return Err(EngineError::Frame(error));
        }
        let Some(&value) = self.values.get(self.at) else {
            return Ok(None);
        };
        let index = self.at;
        self.at += 1;
        Ok(Some(Frame {
            image: picture(value),
            pts: Timestamp::new(pts(index), Rational::new(1, 24000).unwrap()),
            duration: None,
            index: index as u64,
            key: index == 0,
            side_data: Arc::default(),
        }))
    }

    fn halt(&self) -> Halt {
        let halted = Arc::clone(&self.halted);
        Arc::new(move || halted.store(true, Ordering::SeqCst))
    }

    fn completeness(&self) -> Completeness {
        self.completeness.clone()
    }
}

/// What a sink saw: (index, pts, value), and whether it was finished.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) frames: Arc<Mutex<Vec<(u64, i64, u8)>>>,
    pub(crate) images: Arc<Mutex<Vec<Image>>>,
    pub(crate) finished: Arc<AtomicBool>,
    pub(crate) forgets: bool,
}

impl Seen {
    /// Remembers no pictures: for counting memory.
    pub(crate) fn without_pictures() -> Self {
        Self {
            forgets: true,
            ..Self::default()
        }
    }

    pub(crate) fn values(&self) -> Vec<u8> {
        self.frames.lock().unwrap().iter().map(|(.., value)| *value).collect()
    }
}

pub(crate) struct Collect {
    pub(crate) seen: Seen,
    pub(crate) fail_at: Option<usize>,
    pub(crate) on_write: Option<Box<dyn FnMut(usize) + Send>>,
}

impl FrameSink for Collect {
    fn write(&mut self, frame: &Frame, _repeats: bool) -> Result<(), EngineError> {
        let mut frames = self.seen.frames.lock().unwrap();
        if self.fail_at == Some(frames.len()) {
            return Err(EngineError::Frame(kinora_frame::FrameError::OnDevice {
                device: "sink".to_owned(),
            }));
        }
        frames.push((frame.index, frame.pts.ticks, value(&frame.image)));
        let count = frames.len();
        drop(frames);
        if !self.seen.forgets {
            self.seen.images.lock().unwrap().push(frame.image.clone());
        }
        if let Some(on_write) = &mut self.on_write {
            on_write(count);
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<SinkReport, EngineError> {
        self.seen.finished.store(true, Ordering::SeqCst);
        Ok(SinkReport {
            frames: self.seen.frames.lock().unwrap().len() as u64,
            ..SinkReport::default()
        })
    }

    fn halt(&self) -> Halt {
        Arc::new(|| {})
    }
}

pub(crate) type Work = dyn Fn(u64, u8) -> Result<Option<u8>, ProcessorError> + Send + Sync;

/// A grey-to-grey processor made of a closure: (index, value) to value, or a rejection.
pub(crate) struct Closure {
    pub(crate) descriptor: Descriptor,
    pub(crate) work: Box<Work>,
    pub(crate) calls: Arc<AtomicU64>,
    pub(crate) largest_batch: Arc<AtomicU64>,
    /// A frame that it takes and never gives.
    pub(crate) swallows: Option<u64>,
}

impl Closure {
    pub(crate) fn new(work: impl Fn(u64, u8) -> Result<Option<u8>, ProcessorError> + Send + Sync + 'static) -> Self {
        let accepts = Accepts::pixels([PixelFormat::GRAY8]);
        Self {
            descriptor: Descriptor::plain("closure", "a test's own work", Stage::Generation, accepts),
            work: Box::new(work),
            calls: Arc::default(),
            largest_batch: Arc::default(),
            swallows: None,
        }
    }
}

impl Processor for Closure {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn open(&self, _stream: &StreamInfo, _params: &Params) -> Result<Box<dyn StreamState>, ProcessorError> {
        Ok(Box::new(Stateless))
    }

    fn process(&self, items: &mut [Item<'_>], out: &mut Outputs) -> Result<(), ProcessorError> {
        self.largest_batch.fetch_max(items.len() as u64, Ordering::SeqCst);
        for item in items {
            let mut context = item.context.take().unwrap();
            self.calls.fetch_add(1, Ordering::SeqCst);
            match (self.work)(context.frame.index, value(&context.frame.image))? {
                Some(value) => context.frame.image = picture(value),
                None => context.verdict = Verdict::Reject("test".to_owned()),
            }
            if self.swallows != Some(context.frame.index) {
                out.push(item.stream, context);
            }
        }
        Ok(())
    }
}

pub(crate) fn pipeline(processor: Closure) -> Arc<Pipeline> {
    let params = Params::parse::<NoParams>("closure", &serde_json::Map::new()).unwrap();
    let node = Node {
        id: "closure".to_owned(),
        processor: Arc::new(processor),
        params,
    };
    Arc::new(Pipeline::new(vec![node]).unwrap())
}

pub(crate) fn job(processor: Closure) -> OfflineJob {
    OfflineJob::new(
        pipeline(processor),
        Accepts::pixels([PixelFormat::GRAY8]),
        Pool::default(),
    )
}

#[allow(clippy::disallowed_methods, reason = "a test is an outermost loop")]
pub(crate) fn clock() -> Arc<dyn Fn() -> Duration + Send + Sync> {
    let began = Instant::now();
    Arc::new(move || began.elapsed())
}

#[allow(clippy::disallowed_methods, reason = "stands for work that takes time")]
pub(crate) fn work_for(micros: u64) {
    std::thread::sleep(Duration::from_micros(micros));
}

pub(crate) fn run(job: &OfflineJob, source: Values, seen: &Seen, control: &Control) -> Result<Report, EngineError> {
    run_into(
        job,
        source,
        Collect {
            seen: seen.clone(),
            fail_at: None,
            on_write: None,
        },
        control,
        &quiet(),
    )
}

pub(crate) fn quiet() -> Events {
    Arc::new(|_event: Event| {})
}

pub(crate) fn run_into(
    job: &OfflineJob,
    source: Values,
    sink: Collect,
    control: &Control,
    events: &Events,
) -> Result<Report, EngineError> {
    job.run(Box::new(source), Box::new(sink), control, &clock(), events)
}
