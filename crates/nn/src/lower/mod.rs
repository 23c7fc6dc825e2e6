//! A network as ONNX model bytes whose weights stay in their files.
//!
//! Which operators an operation becomes is decided by a [`Form`]: one table row for each operation, one column for each
//! form. A test runs both forms of every operation and compares them.

mod activation;
mod graph;
mod ops;
mod proto;
mod resize;
mod shortcut;

use std::path::PathBuf;

use graph::Graph;
use proto::{ElemType, Side};
use shortcut::Shortcuts;

use crate::dim::Dim;
use crate::error::{NnError, Result};
use crate::net::Net;
use crate::{DType, TensorInfo};

/// Operator set of every model written.
pub(crate) const OPSET: i64 = 20;

/// A set of ONNX forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Standard operators only, one for each operation where there is one.
    Plain,
    /// What the CPU provider runs fastest.
    Cpu,
}

impl Form {
    /// Name in reports and cache keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Cpu => "cpu",
        }
    }
}

/// An ONNX model in memory, with its weights in files.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// Name of the network.
    pub name: String,
    /// The ModelProto.
    pub bytes: Vec<u8>,
    /// Folder below which all weights files lie; `None` when the model refers to no file.
    pub folder: Option<PathBuf>,
    /// Hash over the contents of the weights files.
    pub weights_hash: u128,
    /// The form it was lowered to.
    pub form: Form,
    /// Inputs in order.
    pub inputs: Vec<TensorInfo>,
    /// Outputs in order.
    pub outputs: Vec<TensorInfo>,
    /// Bytes of weights in files.
    pub weights_bytes: u64,
}

/// Lowers a network.
pub fn lower(net: &Net, form: Form) -> Result<Lowered> {
    let mut graph = Graph::new(net, form)?;
    for (name, v) in &net.inputs {
        graph.declare_input(name, *v);
    }
    let shortcuts = Shortcuts::find(net);
    for node in &net.nodes {
        if !shortcuts.lower(&mut graph, node)? {
            ops::lower_node(&mut graph, node)?;
        }
    }
    graph.finish(net)
}

fn elem_type(dtype: DType) -> ElemType {
    match dtype {
        DType::F32 => ElemType::F32,
        DType::U8 => ElemType::U8,
        DType::I64 => ElemType::I64,
    }
}

/// Sides of an input: numbers, and symbols that are symbols and nothing more.
fn input_sides(info: &str, shape: &[Dim]) -> Result<Vec<Side>> {
    shape
        .iter()
        .map(|d| match d {
            Dim::Known(n) => Ok(Side::Number(*n)),
            Dim::Expr(_) => Ok(Side::Symbol(d.to_string())),
            Dim::Unknown => Err(NnError::shape(
                format!("input `{info}`"),
                "sides that are numbers or symbols",
                "?",
            )),
        })
        .collect()
}

/// Sides of an output: what is not a number is left to the runtime under a name of its own.
fn output_sides(name: &str, shape: &[Dim]) -> Vec<Side> {
    shape
        .iter()
        .enumerate()
        .map(|(i, d)| match d {
            Dim::Known(n) => Side::Number(*n),
            _ => Side::Symbol(format!("{name}_{i}")),
        })
        .collect()
}
