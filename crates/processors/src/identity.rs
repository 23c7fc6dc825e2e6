use kinora_frame::{Image, Pool};
use kinora_pipeline::{Accepts, Descriptor, Filter, NoParams, ProcessorError, Stage};

/// Gives every picture unchanged: for re-encoding, and to measure what everything else costs.
pub(crate) struct Identity;

impl Filter for Identity {
    type Params = NoParams;

    fn descriptor() -> Descriptor {
        Descriptor::plain(
            "identity",
            "gives every picture unchanged; for re-encoding and for measuring the framework",
            Stage::InputProcessing,
            Accepts::anything(),
        )
    }

    fn apply(_params: &NoParams, image: &Image, _pool: &Pool) -> Result<Image, ProcessorError> {
        Ok(image.clone())
    }
}
