use kinora_frame::{Image, Pool};
use kinora_pipeline::{Accepts, Descriptor, Filter, NoParams, ProcessorError, Stage};

/// Gives every picture unchanged: for re-encoding, and to measure what everything else costs.
pub(crate) struct Identity;

impl Filter for Identity {
    type Params = NoParams;

    fn descriptor() -> Descriptor {
        let about = "gives every picture unchanged; for re-encoding and for measuring the framework";
        let plain = Descriptor::plain("identity", about, Stage::InputProcessing, Accepts::anything());
        Descriptor {
            cost_hint: 0.0,
            ..plain
        }
    }

    fn apply(_params: &NoParams, image: &Image, _pool: &Pool) -> Result<Image, ProcessorError> {
        Ok(image.clone())
    }
}
