//! Nodes that tests put together.

use std::sync::Arc;

use kinora_frame::{ImageDesc, Rational};
use kinora_pipeline::{
    Context, Descriptor, Item, NoParams, Node, Outputs, Params, Processor, ProcessorError, Reset, StreamId, StreamInfo,
    StreamState,
};

/// Passes frames through, `hold` of them later, and doubles the size if asked.
pub(crate) struct Pass {
    pub(crate) descriptor: Descriptor,
    pub(crate) hold: usize,
    pub(crate) scale: u32,
    pub(crate) loses: bool,
}

impl Pass {
    pub(crate) fn new(descriptor: Descriptor) -> Self {
        Self {
            descriptor,
            hold: 0,
            scale: 1,
            loses: false,
        }
    }

    pub(crate) fn node(self) -> Node {
        let params = Params::parse::<NoParams>(self.descriptor.name, &serde_json::Map::new()).unwrap();
        Node {
            id: self.descriptor.name.to_owned(),
            processor: Arc::new(self),
            params,
        }
    }
}

#[derive(Default)]
struct Held(Vec<Context>);

impl StreamState for Held {
    fn reset(&mut self, _why: Reset) {
        self.0.clear();
    }

    fn save(&self) -> Result<Option<Vec<u8>>, ProcessorError> {
        Ok(None)
    }

    fn load(&mut self, _bytes: &[u8]) -> Result<(), ProcessorError> {
        Ok(())
    }
}

fn held(state: &mut dyn StreamState) -> &mut Held {
    let state: &mut dyn std::any::Any = state;
    state.downcast_mut().unwrap()
}

impl Processor for Pass {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn output(&self, input: &ImageDesc, _params: &Params) -> Result<ImageDesc, ProcessorError> {
        Ok(ImageDesc {
            size: input.size.scaled(self.scale).unwrap(),
            ..*input
        })
    }

    fn open(&self, stream: &StreamInfo, _params: &Params) -> Result<Box<dyn StreamState>, ProcessorError> {
        assert_eq!(stream.frame_rate, Some(Rational::ONE));
        Ok(Box::new(Held::default()))
    }

    fn process(&self, items: &mut [Item<'_>], out: &mut Outputs) -> Result<(), ProcessorError> {
        for item in items {
            let context = item.context.take().unwrap();
            if self.hold == 0 {
                out.push(item.stream, context);
                continue;
            }
            let held = held(item.state);
            held.0.push(context);
            if held.0.len() > self.hold {
                out.push(item.stream, held.0.remove(0));
            }
        }
        Ok(())
    }

    fn finish(&self, stream: StreamId, state: &mut dyn StreamState, out: &mut Outputs) -> Result<(), ProcessorError> {
        let mut left = std::mem::take(&mut held(state).0);
        if self.loses {
            left.pop();
        }
        for context in left {
            out.push(stream, context);
        }
        Ok(())
    }
}
