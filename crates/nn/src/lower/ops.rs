use super::activation::{activate, prelu};
use super::elem_type;
use super::graph::Graph;
use super::proto::Attribute::{self, Int, Ints, Text};
use super::resize::resize;
use crate::Weight;
use crate::error::{NnError, Result};
use crate::net::Node;
use crate::op::{
    Activation, BinaryOp, Conv, ConvTranspose, Linear, Op, PadMode, PoolKind, ReshapeDim, ShuffleOrder, Sides,
};

/// Lowers one operation; its result gets the name of its value.
pub(super) fn lower_node(g: &mut Graph<'_>, node: &Node) -> Result<()> {
    let Some(result) = node.outputs.first() else {
        return Ok(());
    };
    let out = g.name(*result);
    let inputs: Vec<String> = node.inputs.iter().map(|v| g.name(*v)).collect();
    let missing = || NnError::shape(format!("{} `{}`", node.op.name(), node.name), "its inputs", "fewer");
    let x = || inputs.first().cloned().ok_or_else(missing);
    let input_type = |g: &Graph<'_>| {
        node.inputs
            .first()
            .map(|v| g.type_of(*v).shape.clone())
            .ok_or_else(missing)
    };
    match &node.op {
        Op::Constant(w) => {
            let name = g.weight(w, w.shape())?;
            g.node_to("Identity", &[name], &out, &[]);
        }
        Op::Conv(c) => conv(g, c, x()?, &out)?,
        Op::ConvTranspose(c) => conv_transpose(g, c, x()?, &out)?,
        Op::Linear(l) => linear(g, l, x()?, &out)?,
        Op::Activation(a) => {
            activate(g, *a, x()?, Some(&out));
        }
        Op::PRelu(slopes) => {
            let shape = input_type(g)?;
            prelu(g, slopes, x()?, &shape, &out)?;
        }
        Op::Binary(op, scalar) => {
            let right = match scalar {
                Some(s) => g.scalar(*s),
                None => inputs.get(1).cloned().ok_or_else(missing)?,
            };
            let name = match op {
                BinaryOp::Add => "Add",
                BinaryOp::Sub => "Sub",
                BinaryOp::Mul => "Mul",
                BinaryOp::Div => "Div",
                BinaryOp::Max => "Max",
                BinaryOp::Min => "Min",
                BinaryOp::Pow => "Pow",
            };
            g.node_to(name, &[x()?, right], &out, &[]);
        }
        Op::Concat { axis } => g.node_to("Concat", &inputs, &out, &[("axis", Int(*axis as i64))]),
        Op::PixelShuffle { factor, order } => {
            let mode = match order {
                ShuffleOrder::ChannelsOutermost => "CRD",
                ShuffleOrder::ChannelsInnermost => "DCR",
            };
            g.node_to(
                "DepthToSpace",
                &[x()?],
                &out,
                &[("blocksize", Int(*factor as i64)), ("mode", Text(mode))],
            );
        }
        Op::PixelUnshuffle(r) => unshuffle(g, *r, node, x()?, &out)?,
        Op::Resize {
            mode,
            to,
            align_corners,
        } => {
            let shape = input_type(g)?;
            resize(g, *mode, to, *align_corners, &shape, x()?, &out)?;
        }
        Op::Pool {
            kind,
            kernel,
            stride,
            pads,
            ceil,
            include_pad,
        } => {
            let mut attributes = vec![
                ("kernel_shape", Ints(pair(kernel))),
                ("strides", Ints(pair(stride))),
                ("pads", Ints(sides(pads))),
                ("ceil_mode", Int(i64::from(*ceil))),
            ];
            let name = match kind {
                PoolKind::Max => "MaxPool",
                PoolKind::Average => {
                    attributes.push(("count_include_pad", Int(i64::from(*include_pad))));
                    "AveragePool"
                }
            };
            g.node_to(name, &[x()?], &out, &attributes);
        }
        Op::GlobalPool(kind) => {
            let name = match kind {
                PoolKind::Max => "GlobalMaxPool",
                PoolKind::Average => "GlobalAveragePool",
            };
            g.node_to(name, &[x()?], &out, &[]);
        }
        Op::Slice { axis, start, end } => {
            let end = if *end == 0 { i64::MAX } else { *end };
            let args = [
                x()?,
                g.integers(&[*start]),
                g.integers(&[end]),
                g.integers(&[*axis as i64]),
            ];
            g.node_to("Slice", &args, &out, &[]);
        }
        Op::CropLike { offset } => crop_like(g, offset, node, x()?, &out)?,
        Op::Pad { mode, sides: s } => {
            let pads = g.integers(&[0, 0, s.top as i64, s.left as i64, 0, 0, s.bottom as i64, s.right as i64]);
            let (mode, value) = match mode {
                PadMode::Constant(v) => ("constant", Some(g.scalar(*v))),
                PadMode::Reflect => ("reflect", None),
                PadMode::Edge => ("edge", None),
            };
            let args: Vec<String> = [x()?, pads].into_iter().chain(value).collect();
            g.node_to("Pad", &args, &out, &[("mode", Text(mode))]);
        }
        Op::Transpose(perm) => {
            g.node_to(
                "Transpose",
                &[x()?],
                &out,
                &[("perm", Ints(perm.iter().map(|p| *p as i64).collect()))],
            );
        }
        Op::Reshape(dims) => {
            let dims: Vec<i64> = dims
                .iter()
                .map(|d| match d {
                    ReshapeDim::Keep => 0,
                    ReshapeDim::Known(n) => *n as i64,
                    ReshapeDim::Rest => -1,
                })
                .collect();
            let dims = g.integers(&dims);
            g.node_to("Reshape", &[x()?, dims], &out, &[]);
        }
        Op::Cast(dtype) => g.node_to("Cast", &[x()?], &out, &[("to", Int(elem_type(*dtype) as i64))]),
    }
    Ok(())
}

fn pair(p: &[usize; 2]) -> Vec<i64> {
    p.iter().map(|n| *n as i64).collect()
}

fn sides(s: &Sides) -> Vec<i64> {
    [s.top, s.left, s.bottom, s.right].iter().map(|n| *n as i64).collect()
}

/// Name of the value before an activation: the result itself when there is none.
fn before(g: &mut Graph<'_>, activation: Activation, out: &str) -> String {
    if activation == Activation::None {
        out.to_owned()
    } else {
        g.fresh("linear")
    }
}

/// A convolution of either direction: weight and bias, what both have in common and what one adds, the activation.
struct Windowed<'a> {
    operator: &'static str,
    weight: &'a Weight,
    bias: Option<&'a Weight>,
    stride: &'a [usize; 2],
    dilation: &'a [usize; 2],
    pads: &'a Sides,
    groups: usize,
    own: Option<(&'static str, Attribute)>,
    activation: Activation,
}

fn conv(g: &mut Graph<'_>, c: &Conv, x: String, out: &str) -> Result<()> {
    let plain = Windowed {
        operator: "Conv",
        weight: &c.weight,
        bias: c.bias.as_ref(),
        stride: &c.stride,
        dilation: &c.dilation,
        pads: &c.pads,
        groups: c.groups,
        own: None,
        activation: c.activation,
    };
    windowed(g, plain, x, out)
}

fn conv_transpose(g: &mut Graph<'_>, c: &ConvTranspose, x: String, out: &str) -> Result<()> {
    let transposed = Windowed {
        operator: "ConvTranspose",
        weight: &c.weight,
        bias: c.bias.as_ref(),
        stride: &c.stride,
        dilation: &c.dilation,
        pads: &c.pads,
        groups: c.groups,
        own: Some(("output_padding", Ints(pair(&c.output_padding)))),
        activation: c.activation,
    };
    windowed(g, transposed, x, out)
}

fn windowed(g: &mut Graph<'_>, w: Windowed<'_>, x: String, out: &str) -> Result<()> {
    let mut args = vec![x, g.weight(w.weight, w.weight.shape())?];
    if let Some(bias) = w.bias {
        args.push(g.weight(bias, bias.shape())?);
    }
    let kernel = w.weight.shape().get(2..).unwrap_or_default();
    let attributes = [
        ("kernel_shape", Ints(kernel.iter().map(|n| *n as i64).collect())),
        ("strides", Ints(pair(w.stride))),
        ("dilations", Ints(pair(w.dilation))),
        ("pads", Ints(sides(w.pads))),
    ];
    let attributes: Vec<_> = attributes
        .into_iter()
        .chain(w.own)
        .chain([("group", Int(w.groups as i64))])
        .collect();
    let result = before(g, w.activation, out);
    g.node_to(w.operator, &args, &result, &attributes);
    if w.activation != Activation::None {
        activate(g, w.activation, result, Some(out));
    }
    Ok(())
}

/// `x W^T + b`: the transpose is folded when the model is loaded, and product and sum become one kernel.
fn linear(g: &mut Graph<'_>, l: &Linear, x: String, out: &str) -> Result<()> {
    let weight = g.weight(&l.weight, l.weight.shape())?;
    let turned = g.node("Transpose", &[weight], &[("perm", Ints(vec![1, 0]))]);
    let result = before(g, l.activation, out);
    match &l.bias {
        Some(b) => {
            let product = g.node("MatMul", &[x, turned], &[]);
            let bias = g.weight(b, b.shape())?;
            g.node_to("Add", &[product, bias], &result, &[]);
        }
        None => g.node_to("MatMul", &[x, turned], &result, &[]),
    }
    if l.activation != Activation::None {
        activate(g, l.activation, result, Some(out));
    }
    Ok(())
}

/// SpaceToDepth orders channels otherwise than PyTorch: `[N, C, H/r, r, W/r, r]` turned to `[N, C, r, r, H/r, W/r]`.
fn unshuffle(g: &mut Graph<'_>, r: usize, node: &Node, x: String, out: &str) -> Result<()> {
    let channels = node
        .inputs
        .first()
        .and_then(|v| g.type_of(*v).shape.get(1))
        .and_then(crate::Dim::known)
        .unwrap_or(0);
    // SpaceToDepth gives [N, r, r, C] as its channel axis.
    let deep = g.node("SpaceToDepth", &[x], &[("blocksize", Int(r as i64))]);
    if channels == 1 {
        g.node_to("Identity", &[deep], out, &[]);
        return Ok(());
    }
    // Channel (i, j, c) becomes (c, i, j).
    let order: Vec<i64> = (0..channels)
        .flat_map(|c| (0..r * r).map(move |phase| (phase * channels + c) as i64))
        .collect();
    let order = g.integers(&order);
    g.node_to("Gather", &[deep, order], out, &[("axis", Int(1))]);
    Ok(())
}

fn crop_like(g: &mut Graph<'_>, offset: &[usize; 2], node: &Node, x: String, out: &str) -> Result<()> {
    let like = *node
        .inputs
        .get(1)
        .ok_or_else(|| NnError::shape("crop_like", "2 inputs", "fewer"))?;
    let shape = &g.type_of(like).shape;
    let starts = [offset[0] as i64, offset[1] as i64];
    let known = [2, 3].map(|i| shape.get(i).and_then(crate::Dim::known));
    let ends = if let [Some(h), Some(w)] = known {
        g.integers(&[starts[0] + h as i64, starts[1] + w as i64])
    } else {
        // The reference's own size, read when it is there.
        let like = g.name(like);
        let size = g.node("Shape", &[like], &[("start", Int(2)), ("end", Int(4))]);
        let from = g.integers(&starts);
        g.node("Add", &[size, from], &[])
    };
    let args = [x, g.integers(&starts), ends, g.integers(&[2, 3])];
    g.node_to("Slice", &args, out, &[]);
    Ok(())
}
