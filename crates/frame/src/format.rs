use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use crate::{FrameError, Size};

/// How the samples of a pixel are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ColorModel {
    /// One plane of luma.
    Gray,
    /// Planes Y, U, V with chroma halved both ways, rounded up.
    Yuv420,
    /// Planes Y, U, V with chroma halved across, rounded up.
    Yuv422,
    /// Planes Y, U, V of one size.
    Yuv444,
    /// Planes G, B, R (FFmpeg's `gbrp`).
    Gbr,
    /// One plane of interleaved R, G, B.
    Rgb,
}

/// A pixel format: model, depth and alpha. Samples of more than 8 bits are 16-bit little-endian words
/// with the value in the low bits. Rows are tightly packed; planes follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PixelFormat {
    /// Arrangement of samples.
    pub model: ColorModel,
    /// A last plane (or interleaved last sample) of opacity.
    pub alpha: bool,
    /// Bits of a sample: 8, 10, 12 or 16; interleaved RGB has 8 or 16.
    pub bits: u8,
}

/// Where one plane lies in a tightly packed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaneLayout {
    /// First byte.
    pub offset: usize,
    /// Samples a row (interleaved formats: pixels times channels).
    pub row_samples: usize,
    /// Rows.
    pub rows: usize,
    /// Bytes of the plane.
    pub bytes: usize,
}

impl PixelFormat {
    /// 8-bit 4:2:0, what most video is.
    pub const YUV420P: Self = Self {
        model: ColorModel::Yuv420,
        alpha: false,
        bits: 8,
    };
    /// 10-bit 4:2:0.
    pub const YUV420P10: Self = Self {
        model: ColorModel::Yuv420,
        alpha: false,
        bits: 10,
    };
    /// 8-bit 4:4:4.
    pub const YUV444P: Self = Self {
        model: ColorModel::Yuv444,
        alpha: false,
        bits: 8,
    };
    /// 8-bit luma.
    pub const GRAY8: Self = Self {
        model: ColorModel::Gray,
        alpha: false,
        bits: 8,
    };
    /// 8-bit interleaved RGB.
    pub const RGB24: Self = Self {
        model: ColorModel::Rgb,
        alpha: false,
        bits: 8,
    };
    /// 8-bit interleaved RGB with alpha.
    pub const RGBA: Self = Self {
        model: ColorModel::Rgb,
        alpha: true,
        bits: 8,
    };
    /// 16-bit interleaved RGB.
    pub const RGB48: Self = Self {
        model: ColorModel::Rgb,
        alpha: false,
        bits: 16,
    };
    /// 16-bit interleaved RGB with alpha.
    pub const RGBA64: Self = Self {
        model: ColorModel::Rgb,
        alpha: true,
        bits: 16,
    };

    /// Bytes of one sample.
    #[must_use]
    pub const fn sample_bytes(self) -> usize {
        if self.bits > 8 { 2 } else { 1 }
    }

    /// Largest code value.
    #[must_use]
    pub const fn max_code(self) -> u32 {
        (1 << self.bits) - 1
    }

    /// Colour channels, alpha not counted: 1 or 3.
    #[must_use]
    pub const fn color_channels(self) -> usize {
        match self.model {
            ColorModel::Gray => 1,
            _ => 3,
        }
    }

    /// True for Y, U, V models.
    #[must_use]
    pub const fn is_yuv(self) -> bool {
        matches!(self.model, ColorModel::Yuv420 | ColorModel::Yuv422 | ColorModel::Yuv444)
    }

    /// Horizontal and vertical chroma shift: (1, 1) for 4:2:0.
    #[must_use]
    pub const fn chroma_shift(self) -> (u32, u32) {
        match self.model {
            ColorModel::Yuv420 => (1, 1),
            ColorModel::Yuv422 => (1, 0),
            _ => (0, 0),
        }
    }

    /// Number of planes.
    #[must_use]
    pub const fn planes(self) -> usize {
        match self.model {
            ColorModel::Rgb => 1,
            ColorModel::Gray => 1 + self.alpha as usize,
            _ => 3 + self.alpha as usize,
        }
    }

    /// Place of plane `plane` in a packed frame of `size`; `None` past the last plane or past the address space.
    #[must_use]
    pub fn plane(self, size: Size, plane: usize) -> Option<PlaneLayout> {
        let mut offset = 0usize;
        for index in 0..self.planes() {
            let (shift_x, shift_y) = if index == 1 || index == 2 {
                self.chroma_shift()
            } else {
                (0, 0)
            };
            let interleaved = if self.model == ColorModel::Rgb {
                3 + usize::from(self.alpha)
            } else {
                1
            };
            let row_samples = (size.width.div_ceil(1 << shift_x) as usize).checked_mul(interleaved)?;
            let rows = size.height.div_ceil(1 << shift_y) as usize;
            let bytes = row_samples.checked_mul(rows)?.checked_mul(self.sample_bytes())?;
            if index == plane {
                return Some(PlaneLayout {
                    offset,
                    row_samples,
                    rows,
                    bytes,
                });
            }
            offset = offset.checked_add(bytes)?;
        }
        None
    }

    /// Bytes of a packed frame.
    ///
    /// # Errors
    /// [`FrameError::BadSize`] for a size of zero or one past the address space.
    pub fn frame_bytes(self, size: Size) -> Result<usize, FrameError> {
        size.check()?;
        self.plane(size, self.planes() - 1)
            .and_then(|last| last.offset.checked_add(last.bytes))
            .ok_or(FrameError::BadSize {
                size,
                max: Size::MAX_SIDE,
            })
    }

    /// FFmpeg's name for it: `yuv420p10le`, `gbrap`, `rgba64le`.
    #[must_use]
    pub fn name(self) -> String {
        let depth = match self.bits {
            8 => String::new(),
            bits => format!("{bits}le"),
        };
        let alpha = if self.alpha { "a" } else { "" };
        match self.model {
            ColorModel::Gray if self.alpha => {
                if self.bits == 8 {
                    "ya8".to_owned()
                } else {
                    format!("ya{depth}")
                }
            }
            ColorModel::Gray => {
                if self.bits == 8 {
                    "gray".to_owned()
                } else {
                    format!("gray{depth}")
                }
            }
            ColorModel::Yuv420 => format!("yuv{alpha}420p{depth}"),
            ColorModel::Yuv422 => format!("yuv{alpha}422p{depth}"),
            ColorModel::Yuv444 => format!("yuv{alpha}444p{depth}"),
            ColorModel::Gbr => format!("gbr{alpha}p{depth}"),
            ColorModel::Rgb => match (self.alpha, self.bits) {
                (false, 8) => "rgb24".to_owned(),
                (true, 8) => "rgba".to_owned(),
                (false, _) => "rgb48le".to_owned(),
                (true, _) => "rgba64le".to_owned(),
            },
        }
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().trim_end_matches("le"))
    }
}

impl FromStr for PixelFormat {
    type Err = FrameError;

    /// Reads FFmpeg's names of the formats kinora carries, with or without the `le` suffix.
    fn from_str(name: &str) -> Result<Self, FrameError> {
        let wanted = name.trim_end_matches("le");
        let all = [8u8, 10, 12, 16].into_iter().flat_map(|bits| {
            let models = [
                ColorModel::Gray,
                ColorModel::Yuv420,
                ColorModel::Yuv422,
                ColorModel::Yuv444,
                ColorModel::Gbr,
                ColorModel::Rgb,
            ];
            models
                .into_iter()
                .flat_map(move |model| [false, true].map(|alpha| Self { model, alpha, bits }))
        });
        all.filter(|format| format.model != ColorModel::Rgb || matches!(format.bits, 8 | 16))
            .find(|format| format.name().trim_end_matches("le") == wanted)
            .ok_or_else(|| FrameError::BadParameter {
                name: "pixel format",
                expected: "gray, yuv420p, yuv422p, yuv444p, gbrp (8, 10, 12, 16 bits, with or without alpha), rgb24, rgba, rgb48 or rgba64",
                found: name.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_formats_map_both_ways() {
        for name in [
            "yuv420p",
            "yuv420p10le",
            "yuva444p12le",
            "gray",
            "gray10le",
            "gbrp",
            "gbrap16le",
            "rgb24",
            "rgba64le",
        ] {
            assert_eq!(name.parse::<PixelFormat>().unwrap().name(), name);
        }
        assert!("yuvj420p".parse::<PixelFormat>().is_err());
    }

    #[test]
    fn odd_sizes_round_chroma_up() {
        let size = Size {
            width: 321,
            height: 241,
        };
        assert_eq!(
            PixelFormat::YUV420P.frame_bytes(size).unwrap(),
            321 * 241 + 2 * 161 * 121
        );
        assert!(PixelFormat::RGBA64.frame_bytes(Size { width: 0, height: 1 }).is_err());
    }
}
