//! Rows of tensor pictures: any axis order, element and value range, to and from float RGB in 0..1.

use half::f16;

use super::kernels::{self, round_code};
use crate::{ElementType, FrameError, Image, Layout, TensorOrder, ValueRange};

/// How the values of a tensor lie and what they mean.
#[derive(Clone, Copy)]
pub(super) struct TensorLayout {
    width: usize,
    rows: usize,
    channels: usize,
    element: ElementType,
    order: TensorOrder,
    /// `value = unit * span + black`.
    span: f32,
    black: f32,
}

impl TensorLayout {
    /// # Errors
    /// [`FrameError::WrongLayout`] for channel counts and element types that are no picture.
    pub(super) fn new(layout: Layout, width: usize, rows: usize) -> Result<Self, FrameError> {
        let Layout::Tensor {
            channels,
            element,
            order,
            range,
        } = layout
        else {
            return Err(wrong(layout));
        };
        if !matches!(channels, 1 | 3 | 4) || (element == ElementType::U8 && range != ValueRange::Byte) {
            return Err(wrong(layout));
        }
        let (span, black) = match range {
            ValueRange::Unit => (1.0, 0.0),
            ValueRange::SymmetricUnit => (2.0, -1.0),
            ValueRange::Byte => (255.0, 0.0),
        };
        Ok(Self {
            width,
            rows,
            channels: channels as usize,
            element,
            order,
            span,
            black,
        })
    }

    /// Index of the first value of a row of one channel, and the step to the next column.
    fn locate(&self, channel: usize, y: usize) -> (usize, usize) {
        match self.order {
            TensorOrder::Chw => ((channel * self.rows + y) * self.width, 1),
            TensorOrder::Hwc => (y * self.width * self.channels + channel, self.channels),
        }
    }

    /// True where rows are float in 0..1 and contiguous.
    pub(super) fn is_plain(&self) -> bool {
        self.element == ElementType::F32 && self.order == TensorOrder::Chw && self.span == 1.0
    }

    pub(super) const fn channels(&self) -> usize {
        self.channels
    }

    pub(super) const fn width(&self) -> usize {
        self.width
    }

    /// Bytes of a row of one plane: a channel's row, or the row of all channels where they are interleaved.
    pub(super) const fn row_bytes(&self) -> usize {
        let element = match self.element {
            ElementType::F32 => 4,
            ElementType::F16 => 2,
            ElementType::U8 => 1,
        };
        match self.order {
            TensorOrder::Chw => self.width * element,
            TensorOrder::Hwc => self.width * self.channels * element,
        }
    }

    /// The plane that holds a channel.
    pub(super) const fn plane_of(&self, channel: usize) -> usize {
        match self.order {
            TensorOrder::Chw => channel,
            TensorOrder::Hwc => 0,
        }
    }

    /// Stores a row given in 0..1, in the tensor's own interval. `row` is the row of this channel where channels are
    /// planes, and of all channels where they are interleaved.
    pub(super) fn store(&self, values: &[f32], channel: usize, row: &mut [u8]) {
        let (start, step) = match self.order {
            TensorOrder::Chw => (0, 1),
            TensorOrder::Hwc => (channel, self.channels),
        };
        let (span, black) = (self.span, self.black);
        match self.element {
            ElementType::F32 => {
                let out = bytemuck::cast_slice_mut::<u8, f32>(row)[start..]
                    .iter_mut()
                    .step_by(step);
                for (out, value) in out.zip(values) {
                    *out = value * span + black;
                }
            }
            ElementType::F16 => {
                let out = bytemuck::cast_slice_mut::<u8, u16>(row)[start..]
                    .iter_mut()
                    .step_by(step);
                for (out, value) in out.zip(values) {
                    *out = f16::from_f32(value * span + black).to_bits();
                }
            }
            ElementType::U8 => {
                for (out, value) in row[start..].iter_mut().step_by(step).zip(values) {
                    *out = round_code(value * 255.0, 255) as u8;
                }
            }
        }
    }
}

fn wrong(layout: Layout) -> FrameError {
    FrameError::WrongLayout {
        operation: "conversion",
        expected: "a tensor of 1, 3 or 4 channels; bytes in the range 0..255",
        found: layout.to_string(),
    }
}

/// A tensor picture to read.
pub(super) struct TensorSource<'a> {
    layout: TensorLayout,
    bytes: &'a [u8],
}

impl<'a> TensorSource<'a> {
    pub(super) fn new(image: &'a Image) -> Result<Self, FrameError> {
        let size = image.size();
        Ok(Self {
            layout: TensorLayout::new(image.desc().layout, size.width as usize, size.height as usize)?,
            bytes: image.host_buffer()?.bytes(),
        })
    }

    pub(super) fn rgb_in_place(&self, y: usize) -> Option<[&'a [f32]; 3]> {
        if !self.layout.is_plain() {
            return None;
        }
        let values = bytemuck::cast_slice::<u8, f32>(self.bytes);
        let row = |channel: usize| {
            let channel = if self.layout.channels == 1 { 0 } else { channel };
            &values[self.layout.locate(channel, y).0..][..self.layout.width]
        };
        Some([row(0), row(1), row(2)])
    }

    pub(super) fn rgb(&self, y: usize, out: [&mut [f32]; 3]) {
        for (channel, out) in out.into_iter().enumerate() {
            self.channel(if self.layout.channels == 1 { 0 } else { channel }, y, out);
        }
    }

    pub(super) fn alpha(&self, y: usize, out: &mut [f32]) {
        if self.layout.channels == 4 {
            self.channel(3, y, out);
        } else {
            out.fill(1.0);
        }
    }

    fn channel(&self, channel: usize, y: usize, out: &mut [f32]) {
        let (start, step) = self.layout.locate(channel, y);
        match self.layout.element {
            ElementType::F32 => {
                let values = bytemuck::cast_slice::<u8, f32>(self.bytes)[start..]
                    .iter()
                    .step_by(step);
                for (out, value) in out.iter_mut().zip(values) {
                    *out = *value;
                }
            }
            ElementType::F16 => {
                let values = bytemuck::cast_slice::<u8, u16>(self.bytes)[start..]
                    .iter()
                    .step_by(step);
                for (out, value) in out.iter_mut().zip(values) {
                    *out = f16::from_bits(*value).to_f32();
                }
            }
            ElementType::U8 => {
                for (out, value) in out.iter_mut().zip(self.bytes[start..].iter().step_by(step)) {
                    *out = f32::from(*value);
                }
            }
        }
        kernels::to_unit(out, self.layout.span, self.layout.black);
    }
}
