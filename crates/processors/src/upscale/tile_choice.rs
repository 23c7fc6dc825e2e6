use kinora_models::{ImageModel, image_model::PictureSize, tiling::Tiling};
use kinora_pipeline::ProcessorError;

use crate::services::model_error;

/// What the user wants of tiles; overlaps in input pixels, `None` where the network decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TileChoice {
    /// As large as the memory allows; untiled where it fits.
    Auto { overlap: Option<usize> },
    /// Never.
    Off,
    /// Of this size.
    Size {
        width: usize,
        height: usize,
        overlap: Option<usize>,
    },
}

fn usage(message: impl Into<String>, hint: &str) -> ProcessorError {
    ProcessorError::new("usage.value", message).with_hint(hint)
}

impl TileChoice {
    /// Reads `--tile` and `--tile-overlap`.
    pub(super) fn parse(text: &str, overlap: Option<u32>) -> Result<Self, ProcessorError> {
        let overlap = overlap.map(|overlap| overlap as usize);
        match text {
            "auto" | "" => Ok(Self::Auto { overlap }),
            "off" if overlap.is_some() => Err(usage(
                "--tile-overlap has no meaning with --tile off",
                "leave one of the two out",
            )),
            "off" => Ok(Self::Off),
            size => {
                let (width, height) = size.split_once('x').unwrap_or((size, size));
                let side = |text: &str| text.parse::<usize>().ok().filter(|side| (32..=8192).contains(side));
                let (width, height) = side(width).zip(side(height)).ok_or_else(|| {
                    usage(
                        format!("'{text}' is no tile"),
                        "--tile takes auto, off, a size in pixels, or WxH, each side 32 to 8192",
                    )
                })?;
                if overlap.is_some_and(|overlap| overlap >= width.min(height)) {
                    return Err(usage(
                        format!("--tile-overlap must be smaller than the tile of {width}x{height}"),
                        "leave --tile-overlap out: the network decides",
                    ));
                }
                Ok(Self::Size { width, height, overlap })
            }
        }
    }

    /// The tiles of pictures of a size; `None` means whole pictures. `bytes` may go to the values of one call.
    pub(super) fn tiling(
        self,
        model: &ImageModel,
        size: PictureSize,
        bytes: u64,
    ) -> Result<Option<Tiling>, ProcessorError> {
        if let Some((rows, columns)) = model.fixed_size() {
            let suits = match self {
                Self::Auto { .. } => true,
                Self::Off => (rows, columns) == (size.height, size.width),
                Self::Size { width, height, .. } => (rows, columns) == (height, width),
            };
            if !suits {
                return Err(usage(
                    format!("this network takes pictures of {columns}x{rows} only, so it needs tiles of that size"),
                    "use --tile auto",
                ));
            }
        }
        match self {
            Self::Auto { overlap } => Tiling::for_memory(model, size, bytes, overlap).map_err(model_error),
            Self::Off => Ok(None),
            Self::Size { width, height, overlap } => Ok(Tiling::for_model(model, size, (height, width), overlap)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn tiles_are_auto_off_a_side_or_two() {
        let size = |width, height, overlap| TileChoice::Size { width, height, overlap };
        assert_eq!(TileChoice::parse("", None).unwrap(), TileChoice::Auto { overlap: None });
        assert_eq!(
            TileChoice::parse("auto", Some(48)).unwrap(),
            TileChoice::Auto { overlap: Some(48) }
        );
        assert_eq!(TileChoice::parse("off", None).unwrap(), TileChoice::Off);
        assert_eq!(TileChoice::parse("256", None).unwrap(), size(256, 256, None));
        assert_eq!(
            TileChoice::parse("256x192", Some(16)).unwrap(),
            size(256, 192, Some(16))
        );
    }

    #[test]
    fn what_is_no_tile_is_said_with_what_would_be() {
        for (text, overlap) in [
            ("31", None),
            ("8193", None),
            ("64x", None),
            ("big", None),
            ("-64", None),
            ("64x48", Some(48)),
            ("off", Some(16)),
        ] {
            let error = TileChoice::parse(text, overlap).unwrap_err();
            assert_eq!(error.code, "usage.value", "{text}");
            assert!(error.hint.is_some(), "{text}");
        }
    }
}
