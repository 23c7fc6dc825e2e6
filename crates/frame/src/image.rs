use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

use crate::{ColorSpec, DeviceBuffer, DeviceId, FrameError, HostBuffer, PixelFormat, PlaneLayout};

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// Longest side of any picture.
    pub const MAX_SIDE: u32 = 1 << 20;

    /// `width` x `height`.
    #[must_use]
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Number of pixels.
    #[must_use]
    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// Both sides times a whole factor, if that is still a size.
    #[must_use]
    pub fn scaled(self, factor: u32) -> Option<Self> {
        let size = Self {
            width: self.width.checked_mul(factor)?,
            height: self.height.checked_mul(factor)?,
        };
        size.check().is_ok().then_some(size)
    }

    /// # Errors
    /// [`FrameError::BadSize`] for a side of zero or above [`Size::MAX_SIDE`].
    pub fn check(self) -> Result<(), FrameError> {
        let sides = 1..=Self::MAX_SIDE;
        if sides.contains(&self.width) && sides.contains(&self.height) {
            Ok(())
        } else {
            Err(FrameError::BadSize {
                size: self,
                max: Self::MAX_SIDE,
            })
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Number type of a tensor image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// 32-bit float.
    F32,
    /// 16-bit float, as its bits.
    F16,
    /// Bytes.
    U8,
}

/// Order of a tensor image's axes, slowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TensorOrder {
    /// Channels, rows, columns.
    Chw,
    /// Rows, columns, channels.
    Hwc,
}

/// Which interval black and white are mapped to. Part of the type: never guessed from the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueRange {
    /// 0 to 1.
    Unit,
    /// -1 to 1.
    SymmetricUnit,
    /// 0 to 255.
    Byte,
}

/// How the bytes of an image are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Code values of a pixel format.
    Pixels(PixelFormat),
    /// A tensor of RGB (or other) channels.
    Tensor {
        /// Channels.
        channels: u32,
        /// Number type.
        element: ElementType,
        /// Axis order.
        order: TensorOrder,
        /// Interval of black and white.
        range: ValueRange,
    },
}

impl Layout {
    /// Planar float RGB in 0..1: what networks for pictures take.
    pub const RGB_F32: Self = Self::Tensor {
        channels: 3,
        element: ElementType::F32,
        order: TensorOrder::Chw,
        range: ValueRange::Unit,
    };

    /// Bytes of an image of `size`.
    ///
    /// # Errors
    /// [`FrameError::BadSize`] for a size that cannot be held.
    pub fn bytes(self, size: Size) -> Result<usize, FrameError> {
        match self {
            Self::Pixels(format) => format.frame_bytes(size),
            Self::Tensor { channels, element, .. } => {
                size.check()?;
                let element = match element {
                    ElementType::F32 => 4,
                    ElementType::F16 => 2,
                    ElementType::U8 => 1,
                };
                usize::try_from(size.pixels())
                    .ok()
                    .and_then(|pixels| pixels.checked_mul(channels as usize)?.checked_mul(element))
                    .ok_or(FrameError::BadSize {
                        size,
                        max: Size::MAX_SIDE,
                    })
            }
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pixels(format) => format.fmt(f),
            Self::Tensor {
                channels,
                element,
                order,
                range,
            } => {
                write!(f, "{channels}-channel {element:?} tensor {order:?} {range:?}")
            }
        }
    }
}

/// What an image is, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageDesc {
    /// Picture size.
    pub size: Size,
    /// How bytes are read.
    pub layout: Layout,
    /// What values mean.
    pub color: ColorSpec,
}

/// Where the bytes are.
#[derive(Clone, Debug)]
pub enum Storage {
    /// In host memory.
    Host(HostBuffer),
    /// On a device.
    Device(Arc<dyn DeviceBuffer>),
}

/// A picture: description and bytes, which always agree. A clone shares the bytes.
#[derive(Clone, Debug)]
pub struct Image {
    desc: ImageDesc,
    storage: Storage,
}

impl Image {
    /// An image over bytes that must have exactly the length of its description.
    ///
    /// # Errors
    /// [`FrameError::BufferSize`] when they do not, [`FrameError::BadSize`] for an impossible size.
    pub fn new(desc: ImageDesc, storage: Storage) -> Result<Self, FrameError> {
        let expected = desc.layout.bytes(desc.size)?;
        let found = match &storage {
            Storage::Host(buffer) => buffer.bytes().len(),
            Storage::Device(buffer) => buffer.len(),
        };
        if expected != found {
            return Err(FrameError::BufferSize {
                size: desc.size,
                what: desc.layout.to_string(),
                expected,
                found,
            });
        }
        Ok(Self { desc, storage })
    }

    /// An image in host memory.
    ///
    /// # Errors
    /// As [`Image::new`].
    pub fn host(desc: ImageDesc, buffer: HostBuffer) -> Result<Self, FrameError> {
        Self::new(desc, Storage::Host(buffer))
    }

    /// What the image is.
    #[must_use]
    pub const fn desc(&self) -> &ImageDesc {
        &self.desc
    }

    /// Picture size.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.desc.size
    }

    /// What values mean.
    #[must_use]
    pub const fn color(&self) -> ColorSpec {
        self.desc.color
    }

    /// The same pixels, said to mean something else: for sources that do not say, not for converting.
    #[must_use]
    pub fn with_color(mut self, color: ColorSpec) -> Self {
        self.desc.color = color;
        self
    }

    /// Where the bytes are.
    #[must_use]
    pub const fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The device that holds the bytes; `None` for host memory.
    #[must_use]
    pub fn device(&self) -> Option<DeviceId> {
        match &self.storage {
            Storage::Host(_) => None,
            Storage::Device(buffer) => Some(buffer.device()),
        }
    }

    /// The host bytes.
    ///
    /// # Errors
    /// [`FrameError::OnDevice`] when they are elsewhere.
    pub fn host_buffer(&self) -> Result<&HostBuffer, FrameError> {
        match &self.storage {
            Storage::Host(buffer) => Ok(buffer),
            Storage::Device(buffer) => Err(FrameError::OnDevice {
                device: buffer.device().to_string(),
            }),
        }
    }

    /// The pixel format.
    ///
    /// # Errors
    /// [`FrameError::WrongLayout`] for a tensor.
    pub fn pixel_format(&self, operation: &'static str) -> Result<PixelFormat, FrameError> {
        match self.desc.layout {
            Layout::Pixels(format) => Ok(format),
            Layout::Tensor { .. } => Err(FrameError::WrongLayout {
                operation,
                expected: "pixels",
                found: self.desc.layout.to_string(),
            }),
        }
    }

    /// Bytes and layout of one plane of a pixel image in host memory.
    ///
    /// # Errors
    /// [`FrameError::OnDevice`], [`FrameError::WrongLayout`], [`FrameError::BadParameter`] past the last plane.
    pub fn plane(&self, plane: usize) -> Result<(&[u8], PlaneLayout), FrameError> {
        let format = self.pixel_format("reading a plane")?;
        let layout = format
            .plane(self.desc.size, plane)
            .ok_or_else(|| FrameError::BadParameter {
                name: "plane",
                expected: "below the format's number of planes",
                found: plane.to_string(),
            })?;
        Ok((
            &self.host_buffer()?.bytes()[layout.offset..layout.offset + layout.bytes],
            layout,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_and_its_bytes_always_agree() {
        let desc = ImageDesc {
            size: Size::new(3, 2),
            layout: Layout::Pixels(PixelFormat::RGB24),
            color: ColorSpec::SRGB,
        };
        assert!(Image::host(desc, vec![0; 18].into()).is_ok());
        assert!(matches!(
            Image::host(desc, vec![0; 17].into()),
            Err(FrameError::BufferSize { expected: 18, .. })
        ));
        let absurd = ImageDesc {
            size: Size::new(u32::MAX, 2),
            ..desc
        };
        assert!(matches!(
            Image::host(absurd, Vec::new().into()),
            Err(FrameError::BadSize { .. })
        ));
    }
}
