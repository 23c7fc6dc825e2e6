use std::path::Path;

use half::f16;

use super::param::Layer;
use crate::error::{ModelError, Result};

const TAG_F16: u32 = 0x0130_6B47;
const TAG_F32: u32 = 0x0002_C056;
const TAG_INT8: u32 = 0x000D_4B38;
/// Entries of a value table.
const TABLE: usize = 256;

/// How the values of an array lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    F32,
    F16,
    /// A table of 256 floats, then a byte for each value.
    Table,
}

/// An array of the weights file: where it is, not its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    encoding: Encoding,
    offset: usize,
    count: usize,
}

/// Walks a weights file in layer order.
pub(super) struct BinReader<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BinReader<'a> {
    pub(super) fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self { path, bytes, at: 0 }
    }

    /// An array that begins with a tag.
    pub(super) fn tagged(&mut self, layer: &Layer, count: usize) -> Result<Span> {
        let tag_at = self.take(layer, 4)?;
        let tag = self
            .bytes
            .get(tag_at..tag_at + 4)
            .and_then(|b| b.try_into().ok())
            .map_or(0, u32::from_le_bytes);
        let (encoding, length) = match tag {
            TAG_F16 => (Encoding::F16, padded(count, 2)),
            0 | TAG_F32 => (Encoding::F32, count.checked_mul(4)),
            TAG_INT8 => {
                return Err(ModelError::Int8Unsupported {
                    path: self.path.into(),
                    layer: layer.name.clone(),
                });
            }
            _ => (Encoding::Table, padded(count, 1).and_then(|n| n.checked_add(TABLE * 4))),
        };
        let offset = self.take(layer, length.unwrap_or(usize::MAX))?;
        Ok(Span {
            encoding,
            offset,
            count,
        })
    }

    /// An array of plain floats without a tag.
    pub(super) fn raw(&mut self, layer: &Layer, count: usize) -> Result<Span> {
        let offset = self.take(layer, count.saturating_mul(4))?;
        Ok(Span {
            encoding: Encoding::F32,
            offset,
            count,
        })
    }

    fn take(&mut self, layer: &Layer, length: usize) -> Result<usize> {
        let end = self.at.saturating_add(length);
        if end > self.bytes.len() {
            return Err(ModelError::TruncatedBin {
                path: self.path.into(),
                layer: layer.name.clone(),
                expected: end as u64,
                found: self.bytes.len() as u64,
            });
        }
        Ok(std::mem::replace(&mut self.at, end))
    }

    /// Every byte must have been used.
    pub(super) fn finish(self) -> Result<()> {
        if self.at == self.bytes.len() {
            return Ok(());
        }
        Err(ModelError::TrailingBytes {
            path: self.path.into(),
            expected: self.at as u64,
            found: self.bytes.len() as u64,
        })
    }
}

/// Bytes of `count` values of `size` bytes, padded to 4.
fn padded(count: usize, size: usize) -> Option<usize> {
    count.checked_mul(size)?.checked_next_multiple_of(4)
}

impl Span {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The values as floats. The span was checked against these bytes when it was read.
    pub(super) fn decode(&self, bytes: &[u8]) -> Vec<f32> {
        let from = bytes.get(self.offset..).unwrap_or_default();
        let floats = |b: &[u8]| -> Vec<f32> {
            b.chunks_exact(4)
                .map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]]))
                .collect()
        };
        match self.encoding {
            Encoding::F32 => floats(from.get(..self.count * 4).unwrap_or_default()),
            Encoding::F16 => {
                let halves = from.get(..self.count * 2).unwrap_or_default();
                halves
                    .chunks_exact(2)
                    .map(|c| f16::from_le_bytes([c[0], c[1]]).to_f32())
                    .collect()
            }
            Encoding::Table => {
                let table = floats(from.get(..TABLE * 4).unwrap_or_default());
                let indices = from
                    .get(TABLE * 4..)
                    .and_then(|b| b.get(..self.count))
                    .unwrap_or_default();
                indices
                    .iter()
                    .map(|i| table.get(usize::from(*i)).copied().unwrap_or(0.0))
                    .collect()
            }
        }
    }
}
