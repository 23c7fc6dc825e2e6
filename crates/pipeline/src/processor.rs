use kinora_frame::{ImageDesc, Rational};

use crate::{Context, Descriptor, Params, ProcessorError};

/// A live user or a job's clip: frames of one stream keep their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// What a processor is told about a stream when it is opened.
#[derive(Clone, Debug)]
pub struct StreamInfo {
    /// The stream.
    pub id: StreamId,
    /// Pictures that will come.
    pub image: ImageDesc,
    /// Nominal frame rate, where there is one.
    pub frame_rate: Option<Rational>,
}

/// Why a state starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// A scene cut.
    Cut,
    /// A jump in time.
    Seek,
    /// Another picture size.
    Size,
    /// The user asked.
    Request,
}

/// What a processor remembers of one stream.
pub trait StreamState: Send + std::any::Any {
    /// Forgets the past.
    fn reset(&mut self, why: Reset);

    /// The state as bytes; `None` when there is nothing to save.
    ///
    /// # Errors
    /// When the state cannot be read back from its device.
    fn save(&self) -> Result<Option<Vec<u8>>, ProcessorError>;

    /// Takes a saved state.
    ///
    /// # Errors
    /// When the bytes are not such a state.
    fn load(&mut self, bytes: &[u8]) -> Result<(), ProcessorError>;
}

/// The state of a processor that remembers nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stateless;

impl StreamState for Stateless {
    fn reset(&mut self, _why: Reset) {}

    fn save(&self) -> Result<Option<Vec<u8>>, ProcessorError> {
        Ok(None)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), ProcessorError> {
        if bytes.is_empty() {
            return Ok(());
        }
        Err(ProcessorError::new(
            "state.unexpected",
            format!(
                "a saved state of {} bytes was given to a processor that keeps none",
                bytes.len()
            ),
        ))
    }
}

/// One frame of one stream in a call.
pub struct Item<'a> {
    /// The stream.
    pub stream: StreamId,
    /// What the processor remembers of it.
    pub state: &'a mut dyn StreamState,
    /// This frame's parameter snapshot.
    pub params: Params,
    /// The frame; take it out to pass it on.
    pub context: Option<Context>,
}

/// Where a processor puts what it makes.
#[derive(Debug, Default)]
pub struct Outputs {
    given: Vec<(StreamId, Context)>,
}

impl Outputs {
    /// Gives a frame of a stream. Any number of times, now or in a later call.
    pub fn push(&mut self, stream: StreamId, context: Context) {
        self.given.push((stream, context));
    }

    /// Takes what was given so far, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, (StreamId, Context)> {
        self.given.drain(..)
    }

    /// Frames given and not taken yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.given.len()
    }

    /// True when nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }
}

/// One transformation. Loaded once and shared by every stream; what differs between streams lives in its state.
pub trait Processor: Send + Sync {
    /// What the engine may know of it.
    fn descriptor(&self) -> &Descriptor;

    /// What was chosen when it was loaded (model, device, provider, precision), for header, report and metadata.
    fn chosen(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// What decides its pixels besides its parameters: hashes of weights, precision, kind of device. Jobs whose parts are
    /// made at different times or places compare it.
    fn identity(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Ends calls that are running, from another thread; what they and later ones return then is an error, until
    /// [`Processor::resume`].
    fn cancel(&self) {}

    /// A new run begins: an earlier cancel is over.
    fn resume(&self) {}

    /// Description of what leaves for what comes in: size and colour; the layout is the descriptor's.
    ///
    /// # Errors
    /// When such a picture cannot be processed.
    fn output(&self, input: &ImageDesc, params: &Params) -> Result<ImageDesc, ProcessorError> {
        let _ = params;
        Ok(*input)
    }

    /// Begins a stream.
    ///
    /// # Errors
    /// When such a stream cannot be processed.
    fn open(&self, stream: &StreamInfo, params: &Params) -> Result<Box<dyn StreamState>, ProcessorError>;

    /// Processes frames: one call, one batch.
    ///
    /// # Errors
    /// The processor's own; the engine's policy decides what becomes of the frames.
    fn process(&self, items: &mut [Item<'_>], out: &mut Outputs) -> Result<(), ProcessorError>;

    /// End of a stream: gives what is held back.
    ///
    /// # Errors
    /// The processor's own.
    fn finish(&self, stream: StreamId, state: &mut dyn StreamState, out: &mut Outputs) -> Result<(), ProcessorError> {
        let _ = (stream, state, out);
        Ok(())
    }
}
