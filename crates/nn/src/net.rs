use std::collections::HashMap;
use std::fmt;

use crate::dim::Dim;
use crate::error::{NnError, Result};
use crate::infer::infer;
use crate::op::{Op, TensorType, Value};
use crate::tensor::TensorInfo;

/// One operation with its operands and results.
#[derive(Clone, Debug)]
pub struct Node {
    /// The operation.
    pub op: Op,
    /// Operands in order.
    pub inputs: Vec<Value>,
    /// Results in order.
    pub outputs: Vec<Value>,
    /// Name in the model it was built from.
    pub name: String,
}

/// A typed network: checked when it was built, without a word about how it is run.
///
/// Shapes may hold symbols (`batch`, `height`, `width`); [`Net::output_shapes`] checks and computes the rest for given
/// sizes. `Display` prints one line for each operation.
#[derive(Clone, Debug)]
pub struct Net {
    pub(crate) name: String,
    pub(crate) types: Vec<TensorType>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<(String, Value)>,
    pub(crate) outputs: Vec<(String, Value)>,
    pub(crate) taps: Vec<(String, Value)>,
}

impl Net {
    /// Name of the network, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Operations in an order in which they can be run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Type of a value of this network.
    ///
    /// # Panics
    /// With a value that another network made.
    pub fn type_of(&self, value: Value) -> &TensorType {
        &self.types[value.0]
    }

    /// Values of the inputs, in the order in which they were declared.
    pub fn input_values(&self) -> impl Iterator<Item = Value> + '_ {
        self.inputs.iter().map(|(_, v)| *v)
    }

    /// Values of the outputs, in the order in which they were declared.
    pub fn output_values(&self) -> impl Iterator<Item = Value> + '_ {
        self.outputs.iter().map(|(_, v)| *v)
    }

    /// Inputs in the order in which they were declared.
    pub fn inputs(&self) -> Vec<TensorInfo> {
        self.infos(&self.inputs)
    }

    /// Outputs in the order in which they were declared.
    pub fn outputs(&self) -> Vec<TensorInfo> {
        self.infos(&self.outputs)
    }

    /// Values that can be read as additional outputs, by name.
    pub fn taps(&self) -> Vec<TensorInfo> {
        self.infos(&self.taps)
    }

    fn infos(&self, named: &[(String, Value)]) -> Vec<TensorInfo> {
        named
            .iter()
            .map(|(name, v)| TensorInfo {
                name: name.clone(),
                dtype: self.types[v.0].dtype,
                shape: self.types[v.0].shape.clone(),
            })
            .collect()
    }

    /// The same network with the named taps as further outputs.
    pub fn with_taps(&self, names: &[&str]) -> Result<Self> {
        let mut net = self.clone();
        for name in names {
            let tap = self
                .taps
                .iter()
                .find(|(n, _)| n == name)
                .ok_or_else(|| NnError::UnknownName {
                    kind: "tap",
                    name: (*name).into(),
                    known: self.taps.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>().join(", "),
                })?;
            net.outputs.push(tap.clone());
        }
        Ok(net)
    }

    /// The same network for fixed input shapes, one for each input, all sides known and checked.
    pub fn with_input_shapes(&self, shapes: &[&[usize]]) -> Result<Self> {
        let mut net = self.clone();
        net.types = self.types_for(shapes)?;
        Ok(net)
    }

    /// Output shapes for input shapes, one for each input in order.
    pub fn output_shapes(&self, shapes: &[&[usize]]) -> Result<Vec<Vec<usize>>> {
        let types = self.types_for(shapes)?;
        self.outputs
            .iter()
            .map(|(name, v)| {
                types[v.0]
                    .shape
                    .iter()
                    .map(Dim::known)
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| {
                        NnError::shape(
                            format!("output `{name}`"),
                            "a shape that follows from the inputs",
                            types[v.0].to_string(),
                        )
                    })
            })
            .collect()
    }

    /// Bytes of the largest set of values that are alive at once when operations run in order, for given input shapes.
    /// The runtime may need less (results written over operands) or somewhat more (reordered copies).
    pub fn peak_activation_bytes(&self, shapes: &[&[usize]]) -> Result<u64> {
        let types = self.types_for(shapes)?;
        let bytes = |v: &Value| -> u64 {
            let ty = &types[v.0];
            ty.shape.iter().map(|d| d.known().unwrap_or(1) as u64).product::<u64>() * ty.dtype.size() as u64
        };
        let mut last_use: HashMap<Value, usize> = HashMap::new();
        for (i, node) in self.nodes.iter().enumerate() {
            for v in &node.inputs {
                last_use.insert(*v, i);
            }
        }
        for (_, v) in &self.outputs {
            last_use.insert(*v, usize::MAX);
        }
        let mut alive: u64 = self.inputs.iter().map(|(_, v)| bytes(v)).sum();
        let mut peak = alive;
        for (i, node) in self.nodes.iter().enumerate() {
            alive += node.outputs.iter().map(bytes).sum::<u64>();
            peak = peak.max(alive);
            let mut ended: Vec<&Value> = node.inputs.iter().filter(|v| last_use.get(v) == Some(&i)).collect();
            ended.sort_unstable();
            ended.dedup();
            alive -= ended.into_iter().map(bytes).sum::<u64>();
        }
        Ok(peak)
    }

    fn types_for(&self, shapes: &[&[usize]]) -> Result<Vec<TensorType>> {
        if shapes.len() != self.inputs.len() {
            return Err(NnError::shape(
                format!("network `{}`", self.name),
                format!("{} inputs", self.inputs.len()),
                format!("{}", shapes.len()),
            ));
        }
        let mut types = self.types.clone();
        let mut symbols: HashMap<&Dim, usize> = HashMap::new();
        for ((name, v), shape) in self.inputs.iter().zip(shapes) {
            let declared = &self.types[v.0];
            let mut fits = declared.shape.len() == shape.len() && !shape.contains(&0);
            for (dim, size) in declared.shape.iter().zip(*shape) {
                fits &= match dim.known() {
                    Some(n) => n == *size,
                    // A symbol stands for one number in all inputs.
                    None => *symbols.entry(dim).or_insert(*size) == *size,
                };
            }
            if !fits {
                return Err(NnError::shape(
                    format!("input `{name}`"),
                    declared.to_string(),
                    format!("{shape:?}"),
                ));
            }
            types[v.0].shape = shape.iter().map(|n| Dim::Known(*n)).collect();
        }
        for node in &self.nodes {
            let inputs: Vec<&TensorType> = node.inputs.iter().map(|v| &types[v.0]).collect();
            let result = infer(&node.op, &node.name, &inputs)?;
            for out in &node.outputs {
                types[out.0] = result.clone();
            }
        }
        Ok(types)
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "net {}", self.name)?;
        for (name, v) in &self.inputs {
            writeln!(f, "  {v} = input {name}: {}", self.types[v.0])?;
        }
        for node in &self.nodes {
            let list = |values: &[Value]| values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
            write!(
                f,
                "  {} = {}({})",
                list(&node.outputs),
                node.op.name(),
                list(&node.inputs)
            )?;
            for w in node.op.weights() {
                write!(f, " {}{:?}", w.name(), w.shape())?;
            }
            let arguments = node.op.arguments();
            if !arguments.is_empty() {
                write!(f, " {arguments}")?;
            }
            let types: Vec<String> = node.outputs.iter().map(|v| self.types[v.0].to_string()).collect();
            writeln!(f, " -> {}  # {}", types.join(", "), node.name)?;
        }
        for (name, v) in &self.outputs {
            writeln!(f, "  output {name} = {v}")?;
        }
        for (name, v) in &self.taps {
            writeln!(f, "  tap {name} = {v}")?;
        }
        Ok(())
    }
}
