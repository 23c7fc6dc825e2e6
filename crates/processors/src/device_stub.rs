use std::{sync::Arc, time::Duration};

use kinora_frame::{Image, ImageDesc, Layout, Pool};
use kinora_pipeline::{
    Accepts, Change, Context, Descriptor, Item, Outputs, ParamKind, ParamSpec, Parameters, Params, PipelineError,
    Processor, ProcessorError, Registry, Stage, Stateless, StreamInfo, StreamState,
};
use serde::{Deserialize, Serialize};

use crate::params::typed;

/// Stands where a network on a device would: waits, using no processor time, and enlarges by repetition.
struct DeviceStub {
    descriptor: Descriptor,
    pool: Pool,
    ms: f64,
    scale: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StubParams {
    ms: f64,
    scale: i64,
}

impl Default for StubParams {
    fn default() -> Self {
        Self { ms: 20.0, scale: 2 }
    }
}

impl Parameters for StubParams {
    const SPECS: &'static [ParamSpec] = &[
        ParamSpec {
            name: "ms",
            kind: ParamKind::Number {
                min: 0.0,
                max: 60_000.0,
            },
            change: Change::Load,
            about: "time of a call",
            unit: Some("ms"),
            advanced: false,
        },
        ParamSpec {
            name: "scale",
            kind: ParamKind::Integer { min: 1, max: 8 },
            change: Change::Load,
            about: "output pixels a side for each input pixel",
            unit: None,
            advanced: false,
        },
    ];
}

fn about() -> Descriptor {
    let accepts = Accepts::host(Layout::RGB_F32);
    let mut about = Descriptor::plain(
        "device_stub",
        "waits as long as a device would and enlarges by repetition; for measuring the engine",
        Stage::Generation,
        accepts,
    );
    about.batch.max = 16;
    about
}

pub(crate) fn register(registry: &mut Registry) -> Result<(), PipelineError> {
    registry.register::<StubParams>(
        about(),
        Arc::new(|params, resources| {
            let stub = typed::<StubParams>(params)?;
            let scale = u32::try_from(stub.scale).unwrap_or(1);
            Ok(Arc::new(DeviceStub {
                descriptor: about(),
                pool: resources.pool.clone(),
                ms: stub.ms,
                scale,
            }))
        }),
    )
}

impl DeviceStub {
    #[allow(
        clippy::disallowed_methods,
        reason = "the wait is the work that this processor stands for"
    )]
    fn wait(&self) {
        std::thread::sleep(Duration::from_secs_f64(self.ms / 1000.0));
    }

    fn enlarge(&self, image: &Image) -> Result<Image, ProcessorError> {
        let desc = self.output_desc(image.desc())?;
        let source = image.host_buffer()?;
        let scale = self.scale as usize;
        let mut target = self.pool.take(desc.layout.bytes(desc.size)?);
        let (from, to) = (image.size().width as usize, desc.size.width as usize);
        let rows = source.samples::<f32>().chunks_exact(from);
        for (row, block) in rows.zip(target.samples_mut::<f32>().chunks_exact_mut(to * scale)) {
            let (first, others) = block.split_at_mut(to);
            for (value, run) in row.iter().zip(first.chunks_exact_mut(scale)) {
                run.fill(*value);
            }
            for other in others.chunks_exact_mut(to) {
                other.copy_from_slice(first);
            }
        }
        Ok(Image::host(desc, target.freeze())?)
    }

    fn output_desc(&self, input: &ImageDesc) -> Result<ImageDesc, ProcessorError> {
        let size = input.size.scaled(self.scale).ok_or_else(|| {
            ProcessorError::new(
                "pipeline.bad_value",
                format!("{} times {} is too large", input.size, self.scale),
            )
        })?;
        Ok(ImageDesc { size, ..*input })
    }
}

impl Processor for DeviceStub {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn output(&self, input: &ImageDesc, _params: &Params) -> Result<ImageDesc, ProcessorError> {
        self.output_desc(input)
    }

    fn open(&self, _stream: &StreamInfo, _params: &Params) -> Result<Box<dyn StreamState>, ProcessorError> {
        Ok(Box::new(Stateless))
    }

    fn process(&self, items: &mut [Item<'_>], out: &mut Outputs) -> Result<(), ProcessorError> {
        self.wait();
        for item in items {
            if let Some(context) = item.context.take() {
                let image = self.enlarge(&context.frame.image)?;
                let frame = context.frame.with_image(image);
                out.push(item.stream, Context { frame, ..context });
            }
        }
        Ok(())
    }
}
