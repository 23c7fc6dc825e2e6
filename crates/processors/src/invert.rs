use kinora_frame::{Image, Layout, Pool};
use kinora_pipeline::{Accepts, Change, Descriptor, Filter, ParamKind, ParamSpec, Parameters, ProcessorError, Stage};
use serde::{Deserialize, Serialize};

/// The photographic negative, mixed with the picture.
pub(crate) struct Invert;

/// Parameters of `invert`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InvertParams {
    amount: f64,
}

impl Default for InvertParams {
    fn default() -> Self {
        Self { amount: 1.0 }
    }
}

impl Parameters for InvertParams {
    const SPECS: &'static [ParamSpec] = &[ParamSpec {
        name: "amount",
        kind: ParamKind::Number { min: 0.0, max: 1.0 },
        change: Change::Live,
        about: "0 leaves the picture, 1 is the full negative, 0.5 is grey",
        unit: None,
        advanced: false,
    }];
}

impl Filter for Invert {
    type Params = InvertParams;

    fn descriptor() -> Descriptor {
        Descriptor::plain(
            "invert",
            "the photographic negative",
            Stage::Preprocessing,
            Accepts::host(Layout::RGB_F32),
        )
    }

    fn apply(params: &InvertParams, image: &Image, pool: &Pool) -> Result<Image, ProcessorError> {
        let source = image.host_buffer()?;
        let mut target = pool.take(source.bytes().len());
        let amount = params.amount as f32;
        // CSS Filter Effects: v (1 - a) + (1 - v) a.
        for (out, &v) in target.samples_mut::<f32>().iter_mut().zip(source.samples::<f32>()) {
            *out = v * (1.0 - amount) + (1.0 - v) * amount;
        }
        Ok(Image::host(*image.desc(), target.freeze())?)
    }
}

#[cfg(test)]
mod tests {
    use kinora_frame::{ColorSpec, HostBufferMut, ImageDesc, Size};

    use super::*;

    #[test]
    fn the_negative_of_the_negative_is_the_picture() {
        let desc = ImageDesc {
            size: Size::new(2, 1),
            layout: Layout::RGB_F32,
            color: ColorSpec::SRGB,
        };
        let mut buffer = HostBufferMut::unpooled(24);
        buffer
            .samples_mut::<f32>()
            .copy_from_slice(&[0.0, 0.25, 0.5, 0.75, 1.0, 0.125]);
        let image = Image::host(desc, buffer.freeze()).unwrap();
        let pool = Pool::default();
        let once = Invert::apply(&InvertParams::default(), &image, &pool).unwrap();
        assert_eq!(
            once.host_buffer().unwrap().samples::<f32>(),
            [1.0, 0.75, 0.5, 0.25, 0.0, 0.875]
        );
        let twice = Invert::apply(&InvertParams::default(), &once, &pool).unwrap();
        assert_eq!(
            twice.host_buffer().unwrap().bytes(),
            image.host_buffer().unwrap().bytes()
        );
    }
}
