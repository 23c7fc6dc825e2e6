//! What colours mean, and the operations that change them.

pub mod adjust;
mod apply;
pub mod fix;
pub mod lut;
pub mod tone_map;
pub mod transfer;

use std::fmt;

pub use apply::map_rgb;
use serde::{Deserialize, Serialize};

/// Colour matrix that turns RGB into luma and chroma (ITU-T H.273, MatrixCoefficients).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Matrix {
    /// Not stated by the source; see [`ColorSpec::resolved_matrix`].
    #[default]
    Unspecified,
    /// Planes are G, B, R themselves.
    Identity,
    /// BT.601 / SMPTE 170M.
    Bt601,
    /// BT.709.
    Bt709,
    /// BT.2020 non-constant luminance.
    Bt2020Ncl,
    /// Any other, by its H.273 number, which its tag keeps. Those with luma weights of their own are converted too:
    /// FCC (4), BT.470 BG (5, the weights of BT.601) and SMPTE 240M (7). YCgCo and the rest are only carried.
    Other(u8),
}

/// Colour primaries, by H.273 number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Primaries(pub u8);

/// Transfer characteristics, by H.273 number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Transfer(pub u8);

/// Code values that mean black and white.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum ColorRange {
    /// 16..235 at 8 bits ("tv", "mpeg"); what video without a tag means.
    #[default]
    Limited,
    /// 0..255 at 8 bits ("pc", "jpeg").
    Full,
}

/// Where chroma samples of 4:2:0 and 4:2:2 sit (H.273 Chroma420SampleLocType 0, 1, 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum ChromaLocation {
    /// Beside the left luma column, between two rows: MPEG-2, H.264, HEVC by default.
    #[default]
    Left,
    /// In the middle of four luma samples: JPEG, MPEG-1.
    Center,
    /// On the top left luma sample: BT.2020, UHD.
    TopLeft,
}

/// All that says what code values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct ColorSpec {
    /// Matrix, [`Matrix::Unspecified`] when the source does not say.
    pub matrix: Matrix,
    /// Primaries, 2 (or 0) when the source does not say.
    pub primaries: Primaries,
    /// Transfer characteristics, 2 (or 0) when the source does not say.
    pub transfer: Transfer,
    /// Range of code values.
    pub range: ColorRange,
    /// Chroma siting.
    pub chroma: ChromaLocation,
}

impl ColorSpec {
    /// sRGB pictures: full range RGB with BT.709 primaries and the sRGB curve.
    pub const SRGB: Self = Self {
        matrix: Matrix::Identity,
        primaries: Primaries(1),
        transfer: Transfer(13),
        range: ColorRange::Full,
        chroma: ChromaLocation::Center,
    };

    /// HD video: BT.709, limited range, left siting.
    pub const BT709: Self = Self {
        matrix: Matrix::Bt709,
        primaries: Primaries(1),
        transfer: Transfer(1),
        range: ColorRange::Limited,
        chroma: ChromaLocation::Left,
    };

    /// The matrix to convert with: as declared, else BT.709 from 720 rows on and BT.601 below.
    #[must_use]
    pub fn resolved_matrix(self, height: u32) -> Matrix {
        match self.matrix {
            Matrix::Unspecified if height >= 720 => Matrix::Bt709,
            Matrix::Unspecified => Matrix::Bt601,
            declared => declared,
        }
    }
}

impl Matrix {
    /// Luma weights (Kr, Kb), where this matrix is defined by them.
    #[must_use]
    pub fn luma_weights(self) -> Option<(f64, f64)> {
        match self {
            Self::Bt601 | Self::Other(5) => Some((0.299, 0.114)),
            Self::Bt709 => Some((0.2126, 0.0722)),
            Self::Bt2020Ncl => Some((0.2627, 0.0593)),
            Self::Other(4) => Some((0.30, 0.11)),
            Self::Other(7) => Some((0.212, 0.087)),
            Self::Unspecified | Self::Identity | Self::Other(_) => None,
        }
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unspecified => f.write_str("unspecified"),
            Self::Identity => f.write_str("rgb"),
            Self::Bt601 => f.write_str("bt601"),
            Self::Bt709 => f.write_str("bt709"),
            Self::Bt2020Ncl => f.write_str("bt2020nc"),
            Self::Other(4) => f.write_str("fcc"),
            Self::Other(5) => f.write_str("bt470bg"),
            Self::Other(7) => f.write_str("smpte240m"),
            Self::Other(number) => write!(f, "matrix {number}"),
        }
    }
}

impl fmt::Display for ColorRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Limited => "limited",
            Self::Full => "full",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_without_a_name_of_their_own_have_the_weights_of_their_standard() {
        assert_eq!(Matrix::Other(4).luma_weights(), Some((0.30, 0.11)));
        assert_eq!(Matrix::Other(5).luma_weights(), Matrix::Bt601.luma_weights());
        assert_eq!(Matrix::Other(7).luma_weights(), Some((0.212, 0.087)));
        assert_eq!(Matrix::Other(8).luma_weights(), None);
    }
}
