use kinora_frame::{Image, ImageDesc, Pool, Size};
use kinora_pipeline::{
    Accepts, Change, Descriptor, Filter, ParamKind, ParamSpec, Parameters, ProcessorError, Residency, Stage,
};
use serde::{Deserialize, Serialize};

/// Resampling by a classical kernel.
pub(crate) struct Resize;

/// Parameters of `resize`: a size where both sides are given, else a factor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ResizeParams {
    scale: f64,
    width: i64,
    height: i64,
    filter: String,
}

impl Default for ResizeParams {
    fn default() -> Self {
        Self {
            scale: 1.0,
            width: 0,
            height: 0,
            filter: "lanczos3".to_owned(),
        }
    }
}

const SIDE: ParamKind = ParamKind::Integer {
    min: 0,
    max: Size::MAX_SIDE as i64,
};

impl Parameters for ResizeParams {
    const SPECS: &'static [ParamSpec] = &[
        ParamSpec {
            name: "scale",
            kind: ParamKind::Number { min: 0.01, max: 16.0 },
            change: Change::Load,
            about: "output pixels a side for each input pixel, where width and height are 0",
            unit: None,
            advanced: false,
        },
        ParamSpec {
            name: "width",
            kind: SIDE,
            change: Change::Load,
            about: "columns of the output; 0 keeps the proportion",
            unit: Some("pixels"),
            advanced: false,
        },
        ParamSpec {
            name: "height",
            kind: SIDE,
            change: Change::Load,
            about: "rows of the output; 0 keeps the proportion",
            unit: Some("pixels"),
            advanced: false,
        },
        ParamSpec {
            name: "filter",
            kind: ParamKind::Choice(&["lanczos3", "bicubic", "bilinear", "box"]),
            change: Change::Load,
            about: "resampling kernel, widened when shrinking",
            unit: None,
            advanced: true,
        },
    ];
}

impl ResizeParams {
    fn target(&self, from: Size) -> Size {
        let side = |v: f64| v.round().clamp(1.0, f64::from(Size::MAX_SIDE)) as u32;
        let (width, height) = (f64::from(from.width), f64::from(from.height));
        match (self.width, self.height) {
            (0, 0) => Size::new(side(width * self.scale), side(height * self.scale)),
            (w, 0) => Size::new(side(w as f64), side(height * w as f64 / width)),
            (0, h) => Size::new(side(width * h as f64 / height), side(h as f64)),
            (w, h) => Size::new(side(w as f64), side(h as f64)),
        }
    }
}

impl Filter for Resize {
    type Params = ResizeParams;

    fn descriptor() -> Descriptor {
        let accepts = Accepts {
            layouts: Vec::new(),
            residency: Residency::Host,
        };
        Descriptor::plain(
            "resize",
            "resampling by a classical kernel",
            Stage::Preprocessing,
            accepts,
        )
    }

    fn output(input: &ImageDesc, params: &ResizeParams) -> Result<ImageDesc, ProcessorError> {
        Ok(ImageDesc {
            size: params.target(input.size),
            ..*input
        })
    }

    fn apply(params: &ResizeParams, image: &Image, pool: &Pool) -> Result<Image, ProcessorError> {
        let filter = match params.filter.as_str() {
            "bicubic" => kinora_frame::Filter::Bicubic,
            "bilinear" => kinora_frame::Filter::Bilinear,
            "box" => kinora_frame::Filter::Box,
            _ => kinora_frame::Filter::Lanczos3,
        };
        Ok(kinora_frame::resize(image, params.target(image.size()), filter, pool)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_side_keeps_the_proportion() {
        let from = Size::new(640, 360);
        let with = |scale, width, height| {
            ResizeParams {
                scale,
                width,
                height,
                ..ResizeParams::default()
            }
            .target(from)
        };
        assert_eq!(with(2.0, 0, 0), Size::new(1280, 720));
        assert_eq!(with(1.0, 0, 1080), Size::new(1920, 1080));
        assert_eq!(with(1.0, 320, 0), Size::new(320, 180));
        assert_eq!(with(0.01, 0, 0), Size::new(6, 4));
    }
}
