//! Tensors of the cases: any of the dtypes of the format, values wide enough to be exact.

use std::{collections::BTreeMap, path::Path};

use safetensors::{Dtype, SafeTensors};

/// Values: floats widened to f64, integers and bools to i64; both are exact.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Float(Vec<f64>),
    Integer(Vec<i64>),
}

/// A tensor under its name in numpy's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub dtype: &'static str,
    pub shape: Vec<usize>,
    pub values: Values,
}

pub type Tensors = BTreeMap<String, Tensor>;

pub const DTYPES: [&str; 9] = [
    "bool", "uint8", "int8", "int16", "uint16", "int32", "int64", "float32", "float64",
];

impl Tensor {
    pub fn u8(shape: &[usize], values: &[u8]) -> Self {
        Self::integers("uint8", shape, values.iter().map(|v| i64::from(*v)).collect())
    }

    pub fn u16(shape: &[usize], values: &[u16]) -> Self {
        Self::integers("uint16", shape, values.iter().map(|v| i64::from(*v)).collect())
    }

    pub fn i32(shape: &[usize], values: &[i32]) -> Self {
        Self::integers("int32", shape, values.iter().map(|v| i64::from(*v)).collect())
    }

    pub fn f32(shape: &[usize], values: &[f32]) -> Self {
        Self {
            dtype: "float32",
            shape: shape.to_vec(),
            values: Values::Float(values.iter().map(|v| f64::from(*v)).collect()),
        }
    }

    pub fn f64(shape: &[usize], values: &[f64]) -> Self {
        Self {
            dtype: "float64",
            shape: shape.to_vec(),
            values: Values::Float(values.to_vec()),
        }
    }

    fn integers(dtype: &'static str, shape: &[usize], values: Vec<i64>) -> Self {
        Self {
            dtype,
            shape: shape.to_vec(),
            values: Values::Integer(values),
        }
    }

    pub fn len(&self) -> usize {
        match &self.values {
            Values::Float(values) => values.len(),
            Values::Integer(values) => values.len(),
        }
    }

    fn wrong(&self, wanted: &str) -> String {
        format!("a {} tensor, expected {wanted}", self.dtype)
    }

    pub fn as_u8(&self) -> Result<Vec<u8>, String> {
        match &self.values {
            Values::Integer(values) if self.dtype == "uint8" => Ok(values.iter().map(|v| *v as u8).collect()),
            _ => Err(self.wrong("uint8")),
        }
    }

    pub fn as_u16(&self) -> Result<Vec<u16>, String> {
        match &self.values {
            Values::Integer(values) if self.dtype == "uint16" => Ok(values.iter().map(|v| *v as u16).collect()),
            _ => Err(self.wrong("uint16")),
        }
    }

    pub fn as_f32(&self) -> Result<Vec<f32>, String> {
        match &self.values {
            Values::Float(values) if self.dtype == "float32" => Ok(values.iter().map(|v| *v as f32).collect()),
            _ => Err(self.wrong("float32")),
        }
    }

    pub fn as_f64(&self) -> Result<Vec<f64>, String> {
        match &self.values {
            Values::Float(values) => Ok(values.clone()),
            Values::Integer(_) => Err(self.wrong("a float")),
        }
    }
}

/// Reads every tensor of a safetensors file.
pub fn read(path: &Path) -> Result<Tensors, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut tensors = Tensors::new();
    for (name, view) in file.tensors() {
        let (dtype, values) = values(view.dtype(), view.data())
            .ok_or_else(|| format!("{}: {name} has the dtype {:?}", path.display(), view.dtype()))?;
        tensors.insert(
            name,
            Tensor {
                dtype,
                shape: view.shape().to_vec(),
                values,
            },
        );
    }
    Ok(tensors)
}

fn values(dtype: Dtype, data: &[u8]) -> Option<(&'static str, Values)> {
    fn each<const N: usize, T>(data: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
        data.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
    }
    Some(match dtype {
        Dtype::BOOL => ("bool", Values::Integer(each(data, |[v]| i64::from(v != 0)))),
        Dtype::U8 => ("uint8", Values::Integer(each(data, |[v]| i64::from(v)))),
        Dtype::I8 => ("int8", Values::Integer(each(data, |v| i64::from(i8::from_le_bytes(v))))),
        Dtype::I16 => (
            "int16",
            Values::Integer(each(data, |v| i64::from(i16::from_le_bytes(v)))),
        ),
        Dtype::U16 => (
            "uint16",
            Values::Integer(each(data, |v| i64::from(u16::from_le_bytes(v)))),
        ),
        Dtype::I32 => (
            "int32",
            Values::Integer(each(data, |v| i64::from(i32::from_le_bytes(v)))),
        ),
        Dtype::I64 => ("int64", Values::Integer(each(data, i64::from_le_bytes))),
        Dtype::F32 => (
            "float32",
            Values::Float(each(data, |v| f64::from(f32::from_le_bytes(v)))),
        ),
        Dtype::F64 => ("float64", Values::Float(each(data, f64::from_le_bytes))),
        _ => return None,
    })
}
