use std::collections::HashMap;

use crate::dim::Dim;
use crate::error::{NnError, Result};
use crate::infer::infer;
use crate::net::{Net, Node};
use crate::op::{
    Activation, BinaryOp, Conv, ConvTranspose, Interpolation, Linear, Op, Operand, PadMode, PoolKind, ReshapeDim,
    ResizeTo, ShuffleOrder, Sides, TensorType, Value,
};
use crate::{DType, Weight};

/// Builds a [`Net`]; each call checks its operands and names the operation, what it takes and what it got.
///
/// ```
/// use kinora_nn::{Conv, DType, Dim, NetBuilder, Sides, Weight};
/// # fn main() -> kinora_nn::Result<()> {
/// let mut b = NetBuilder::new("tiny");
/// let x = b.input("x", DType::F32, &[Dim::symbol("batch"), 3.into(), Dim::symbol("height"), Dim::symbol("width")])?;
/// let weight = Weight::inline("up.weight", &[12, 3, 3, 3], vec![0.0; 12 * 27])?;
/// let y = b.conv(x, Conv { pads: Sides::all(1), ..Conv::new(weight, None) })?;
/// let y = b.pixel_shuffle(y, 2)?;
/// b.output("y", y)?;
/// let net = b.build()?;
/// assert_eq!(net.output_shapes(&[&[1, 3, 5, 7]])?, [[1, 3, 10, 14]]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct NetBuilder {
    net: Net,
    label: Option<String>,
    weights: HashMap<String, Weight>,
}

impl NetBuilder {
    /// An empty network.
    pub fn new(name: &str) -> Self {
        let net = Net {
            name: name.into(),
            types: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            taps: Vec::new(),
        };
        Self {
            net,
            label: None,
            weights: HashMap::new(),
        }
    }

    /// Name of the next operation, for errors and dumps; without it operations are numbered.
    pub fn label(&mut self, name: &str) -> &mut Self {
        self.label = Some(name.into());
        self
    }

    /// Declares an input.
    pub fn input(&mut self, name: &str, dtype: DType, shape: &[Dim]) -> Result<Value> {
        if self.net.inputs.iter().any(|(n, _)| n == name) {
            return Err(NnError::DuplicateName {
                kind: "input",
                name: name.into(),
            });
        }
        let value = self.value(TensorType {
            dtype,
            shape: shape.to_vec(),
        });
        self.net.inputs.push((name.into(), value));
        Ok(value)
    }

    /// Declares an output.
    pub fn output(&mut self, name: &str, value: Value) -> Result<()> {
        if self.net.outputs.iter().any(|(n, _)| n == name) {
            return Err(NnError::DuplicateName {
                kind: "output",
                name: name.into(),
            });
        }
        self.known(value)?;
        self.net.outputs.push((name.into(), value));
        Ok(())
    }

    /// Names a value, so that it can be read as an additional output of the same network.
    pub fn tap(&mut self, name: &str, value: Value) -> Result<Value> {
        if self.net.taps.iter().any(|(n, _)| n == name) {
            return Err(NnError::DuplicateName {
                kind: "tap",
                name: name.into(),
            });
        }
        self.known(value)?;
        self.net.taps.push((name.into(), value));
        Ok(value)
    }

    /// Type of a value of this network.
    ///
    /// # Panics
    /// With a value that another network made.
    pub fn type_of(&self, value: Value) -> &TensorType {
        &self.net.types[value.0]
    }

    /// Type of a value, which must be of this network.
    fn known(&self, value: Value) -> Result<&TensorType> {
        self.net.types.get(value.0).ok_or_else(|| {
            NnError::shape(
                format!("network `{}`", self.net.name),
                format!("one of its {} values", self.net.types.len()),
                format!("{value}, of another network"),
            )
        })
    }

    fn value(&mut self, ty: TensorType) -> Value {
        self.net.types.push(ty);
        Value(self.net.types.len() - 1)
    }

    /// Adds any operation with one result.
    pub fn push(&mut self, op: Op, inputs: &[Value]) -> Result<Value> {
        let name = self
            .label
            .take()
            .unwrap_or_else(|| format!("{}_{}", op.name(), self.net.nodes.len()));
        for weight in op.weights() {
            match self.weights.get(weight.name()) {
                Some(known) if !known.same_data(weight) => {
                    return Err(NnError::DuplicateName {
                        kind: "weight",
                        name: weight.name().into(),
                    });
                }
                Some(_) => {}
                None => {
                    self.weights.insert(weight.name().into(), weight.clone());
                }
            }
        }
        let types = inputs
            .iter()
            .map(|v| self.known(*v))
            .collect::<Result<Vec<&TensorType>>>()?;
        let result = infer(&op, &name, &types)?;
        let out = self.value(result);
        self.net.nodes.push(Node {
            op,
            inputs: inputs.to_vec(),
            outputs: vec![out],
            name,
        });
        Ok(out)
    }

    /// Constant values.
    pub fn constant(&mut self, weight: Weight) -> Result<Value> {
        self.push(Op::Constant(weight), &[])
    }

    /// See [`Conv`].
    pub fn conv(&mut self, x: Value, conv: Conv) -> Result<Value> {
        self.push(Op::Conv(conv), &[x])
    }

    /// See [`ConvTranspose`].
    pub fn conv_transpose(&mut self, x: Value, conv: ConvTranspose) -> Result<Value> {
        self.push(Op::ConvTranspose(conv), &[x])
    }

    /// See [`Linear`].
    pub fn linear(&mut self, x: Value, linear: Linear) -> Result<Value> {
        self.push(Op::Linear(linear), &[x])
    }

    /// A function of one element; `Activation::None` adds nothing.
    pub fn activation(&mut self, x: Value, activation: Activation) -> Result<Value> {
        if activation == Activation::None {
            self.label = None;
            return Ok(x);
        }
        self.push(Op::Activation(activation), &[x])
    }

    /// Leaky ReLU with a slope for each channel; slopes `[C]` or `[1]`.
    pub fn prelu(&mut self, x: Value, slopes: Weight) -> Result<Value> {
        self.push(Op::PRelu(slopes), &[x])
    }

    /// A function of two elements, broadcast as in numpy.
    pub fn binary(&mut self, op: BinaryOp, a: Value, b: Operand) -> Result<Value> {
        match b {
            Operand::Value(b) => self.push(Op::Binary(op, None), &[a, b]),
            Operand::Scalar(s) => self.push(Op::Binary(op, Some(s)), &[a]),
        }
    }

    /// `a + b`
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary(BinaryOp::Add, a, Operand::Value(b))
    }

    /// `a * b`
    pub fn mul(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary(BinaryOp::Mul, a, Operand::Value(b))
    }

    /// Joins values along an axis.
    pub fn concat(&mut self, values: &[Value], axis: usize) -> Result<Value> {
        self.push(Op::Concat { axis }, values)
    }

    /// `[N, C*r*r, H, W]` to `[N, C, H*r, W*r]`.
    pub fn pixel_shuffle(&mut self, x: Value, factor: usize) -> Result<Value> {
        self.push(
            Op::PixelShuffle {
                factor,
                order: ShuffleOrder::default(),
            },
            &[x],
        )
    }

    /// `[N, C, H*r, W*r]` to `[N, C*r*r, H, W]`.
    pub fn pixel_unshuffle(&mut self, x: Value, factor: usize) -> Result<Value> {
        self.push(Op::PixelUnshuffle(factor), &[x])
    }

    /// Changes height and width; pixel centres stand at half pixels.
    pub fn resize(&mut self, x: Value, mode: Interpolation, to: [ResizeTo; 2]) -> Result<Value> {
        self.push(
            Op::Resize {
                mode,
                to,
                align_corners: false,
            },
            &[x],
        )
    }

    /// A pooling window that moves over the picture; windows lie wholly inside, padding does not count in a mean.
    pub fn pool(
        &mut self,
        x: Value,
        kind: PoolKind,
        kernel: [usize; 2],
        stride: [usize; 2],
        pads: Sides,
    ) -> Result<Value> {
        self.push(
            Op::Pool {
                kind,
                kernel,
                stride,
                pads,
                ceil: false,
                include_pad: false,
            },
            &[x],
        )
    }

    /// One number for each channel.
    pub fn global_pool(&mut self, x: Value, kind: PoolKind) -> Result<Value> {
        self.push(Op::GlobalPool(kind), &[x])
    }

    /// `start..end` of an axis; negative numbers count from its end, `end` 0 is the end itself.
    pub fn slice(&mut self, x: Value, axis: usize, start: i64, end: i64) -> Result<Value> {
        self.push(Op::Slice { axis, start, end }, &[x])
    }

    /// As many rows and columns as `like` has, from an offset on.
    pub fn crop_like(&mut self, x: Value, like: Value, offset: [usize; 2]) -> Result<Value> {
        self.push(Op::CropLike { offset }, &[x, like])
    }

    /// Adds pixels around the picture.
    pub fn pad(&mut self, x: Value, mode: PadMode, sides: Sides) -> Result<Value> {
        self.push(Op::Pad { mode, sides }, &[x])
    }

    /// Axes in another order.
    pub fn transpose(&mut self, x: Value, perm: &[usize]) -> Result<Value> {
        self.push(Op::Transpose(perm.to_vec()), &[x])
    }

    /// Other sides, as many elements.
    pub fn reshape(&mut self, x: Value, dims: &[ReshapeDim]) -> Result<Value> {
        self.push(Op::Reshape(dims.to_vec()), &[x])
    }

    /// Another element type.
    pub fn cast(&mut self, x: Value, dtype: DType) -> Result<Value> {
        self.push(Op::Cast(dtype), &[x])
    }

    /// The finished network. Operations that no output or tap needs are left out.
    pub fn build(self) -> Result<Net> {
        let mut net = self.net;
        if net.outputs.is_empty() {
            return Err(NnError::shape(
                format!("network `{}`", net.name),
                "at least one output",
                "none",
            ));
        }
        let mut needed = vec![false; net.types.len()];
        for (_, v) in net.outputs.iter().chain(&net.taps) {
            needed[v.0] = true;
        }
        let mut keep = vec![false; net.nodes.len()];
        for (i, node) in net.nodes.iter().enumerate().rev() {
            if node.outputs.iter().any(|v| needed[v.0]) {
                keep[i] = true;
                for v in &node.inputs {
                    needed[v.0] = true;
                }
            }
        }
        let mut kept = keep.iter();
        net.nodes.retain(|_| kept.next().copied().unwrap_or(true));
        Ok(net)
    }
}
