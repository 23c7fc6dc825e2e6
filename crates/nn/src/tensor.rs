use std::fmt;

use crate::{Dim, dim};

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit float.
    F32,
    /// 8-bit unsigned.
    U8,
    /// 64-bit signed.
    I64,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::U8 => 1,
            Self::I64 => 8,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::U8 => "u8",
            Self::I64 => "i64",
        })
    }
}

/// Name, element type and shape of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name in the network.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Sides, outermost first.
    pub shape: Vec<Dim>,
}

impl fmt::Display for TensorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.dtype, dim::show(&self.shape))
    }
}

/// Borrowed elements of an input.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// Bytes.
    U8(&'a [u8]),
    /// 64-bit integers.
    I64(&'a [i64]),
}

/// Borrowed elements of an output.
#[derive(Debug)]
pub enum ElementsMut<'a> {
    /// 32-bit floats.
    F32(&'a mut [f32]),
    /// Bytes.
    U8(&'a mut [u8]),
    /// 64-bit integers.
    I64(&'a mut [i64]),
}

/// An input: elements in row-major order and their shape.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    /// Sides, outermost first.
    pub shape: &'a [usize],
    /// The elements.
    pub data: Elements<'a>,
}

/// An output that the caller owns: elements in row-major order and the shape they are to have.
#[derive(Debug)]
pub struct TensorViewMut<'a> {
    /// Sides, outermost first.
    pub shape: &'a [usize],
    /// The elements.
    pub data: ElementsMut<'a>,
}

impl<'a> TensorView<'a> {
    /// A view of floats.
    pub fn f32(shape: &'a [usize], data: &'a [f32]) -> Self {
        Self {
            shape,
            data: Elements::F32(data),
        }
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        match self.data {
            Elements::F32(_) => DType::F32,
            Elements::U8(_) => DType::U8,
            Elements::I64(_) => DType::I64,
        }
    }

    /// Number of elements that are there.
    pub fn len(&self) -> usize {
        match self.data {
            Elements::F32(d) => d.len(),
            Elements::U8(d) => d.len(),
            Elements::I64(d) => d.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> TensorViewMut<'a> {
    /// A view of floats.
    pub fn f32(shape: &'a [usize], data: &'a mut [f32]) -> Self {
        Self {
            shape,
            data: ElementsMut::F32(data),
        }
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        match self.data {
            ElementsMut::F32(_) => DType::F32,
            ElementsMut::U8(_) => DType::U8,
            ElementsMut::I64(_) => DType::I64,
        }
    }

    /// Number of elements that are there.
    pub fn len(&self) -> usize {
        match &self.data {
            ElementsMut::F32(d) => d.len(),
            ElementsMut::U8(d) => d.len(),
            ElementsMut::I64(d) => d.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Number of elements of a shape; `None` when it does not fit the address space.
pub fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side))
}
