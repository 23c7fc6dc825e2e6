//! Where a picture lands in a frame of another shape.

use crate::{FrameError, Size};

/// A picture made to fit inside a frame: its size there, and the bars around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Size of the picture inside the frame.
    pub size: Size,
    /// Columns left of it.
    pub x: u32,
    /// Rows above it.
    pub y: u32,
}

/// A picture made to fill a frame: its size before cropping, and where the frame starts in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cover {
    /// Size of the picture before cropping.
    pub size: Size,
    /// First column that is kept.
    pub crop_x: u32,
    /// First row that is kept.
    pub crop_y: u32,
}

/// The largest size of the picture's shape inside the frame, centred; sides are rounded by `floor(v + 0.5)`.
///
/// # Errors
/// [`FrameError::BadSize`] for a size of zero.
pub fn contain(picture: Size, frame: Size) -> Result<Placement, FrameError> {
    let scale = ratios(picture, frame)?;
    let factor = scale.0.min(scale.1);
    let side = |side: u32, limit: u32| (rounded(side, factor) as u32).clamp(1, limit);
    let size = Size::new(side(picture.width, frame.width), side(picture.height, frame.height));
    Ok(Placement {
        size,
        x: (frame.width - size.width) / 2,
        y: (frame.height - size.height) / 2,
    })
}

/// The smallest size of the picture's shape that fills the frame, cropped around its centre.
///
/// # Errors
/// [`FrameError::BadSize`] for a size of zero, and where the picture before cropping would pass the largest side.
pub fn cover(picture: Size, frame: Size) -> Result<Cover, FrameError> {
    let scale = ratios(picture, frame)?;
    let factor = scale.0.max(scale.1);
    let side = |side: u32, least: u32| (rounded(side, factor) as u32).max(least);
    let size = Size::new(side(picture.width, frame.width), side(picture.height, frame.height));
    size.check()?;
    Ok(Cover {
        size,
        crop_x: (size.width - frame.width) / 2,
        crop_y: (size.height - frame.height) / 2,
    })
}

fn ratios(picture: Size, frame: Size) -> Result<(f64, f64), FrameError> {
    picture.check()?;
    frame.check()?;
    Ok((
        f64::from(frame.width) / f64::from(picture.width),
        f64::from(frame.height) / f64::from(picture.height),
    ))
}

fn rounded(side: u32, factor: f64) -> f64 {
    (f64::from(side) * factor + 0.5).floor()
}
