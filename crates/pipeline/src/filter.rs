use std::marker::PhantomData;

use kinora_frame::{Image, ImageDesc, Pool};

use crate::{
    Context, Descriptor, Item, Outputs, Parameters, Params, Processor, ProcessorError, Stateless, StreamInfo,
    StreamState,
};

/// A plain filter: one picture in, one picture out, nothing remembered. All that a new filter has to write.
pub trait Filter: Send + Sync + 'static {
    /// Its parameters.
    type Params: Parameters;

    /// Name, stage and accepted layouts; start from [`Descriptor::plain`].
    fn descriptor() -> Descriptor;

    /// Description of what leaves; the input's unless the filter changes the size.
    ///
    /// # Errors
    /// When such a picture cannot be processed.
    fn output(input: &ImageDesc, params: &Self::Params) -> Result<ImageDesc, ProcessorError> {
        let _ = params;
        Ok(*input)
    }

    /// The work.
    ///
    /// # Errors
    /// The filter's own.
    fn apply(params: &Self::Params, image: &Image, pool: &Pool) -> Result<Image, ProcessorError>;
}

/// The adapter that makes a [`Processor`] of a [`Filter`].
pub struct FilterProcessor<F> {
    descriptor: Descriptor,
    pool: Pool,
    filter: PhantomData<F>,
}

impl<F: Filter> FilterProcessor<F> {
    /// The processor of filter `F`, taking buffers from `pool`.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        Self {
            descriptor: F::descriptor(),
            pool,
            filter: PhantomData,
        }
    }
}

fn typed<T: Parameters>(params: &Params) -> Result<&T, ProcessorError> {
    params.typed().ok_or_else(|| {
        ProcessorError::new(
            "pipeline.bad_value",
            format!("these parameters belong to another processor: {params:?}"),
        )
    })
}

impl<F: Filter> Processor for FilterProcessor<F> {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn output(&self, input: &ImageDesc, params: &Params) -> Result<ImageDesc, ProcessorError> {
        F::output(input, typed(params)?)
    }

    fn open(&self, _stream: &StreamInfo, _params: &Params) -> Result<Box<dyn StreamState>, ProcessorError> {
        Ok(Box::new(Stateless))
    }

    fn process(&self, items: &mut [Item<'_>], out: &mut Outputs) -> Result<(), ProcessorError> {
        for item in items {
            if let Some(context) = item.context.take() {
                let image = F::apply(typed(&item.params)?, &context.frame.image, &self.pool)?;
                let frame = context.frame.with_image(image);
                out.push(item.stream, Context { frame, ..context });
            }
        }
        Ok(())
    }
}
