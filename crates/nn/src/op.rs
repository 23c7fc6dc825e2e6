use std::fmt;

use crate::{DType, Dim, Weight};

/// A value of a network: what a node makes, or an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub(crate) usize);

/// A function of one element.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// The element itself.
    #[default]
    None,
    /// `max(x, 0)`
    Relu,
    /// `x` where positive, else `slope * x`.
    LeakyRelu(f32),
    /// `min(max(x, low), high)`
    Clip(f32, f32),
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `x * sigmoid(x)`, also called Swish.
    Silu,
    /// `x * tanh(ln(1 + exp(x)))`
    Mish,
    /// `x * clip(alpha * x + beta, 0, 1)`; the usual hard swish has 1/6 and 1/2.
    HardSwish {
        /// Slope of the gate.
        alpha: f32,
        /// Offset of the gate.
        beta: f32,
    },
    /// Hyperbolic tangent.
    Tanh,
}

/// Pixels added at the four sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// Rows above.
    pub top: usize,
    /// Columns at the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns at the right.
    pub right: usize,
}

impl Sides {
    /// The same at every side.
    pub fn all(n: usize) -> Self {
        Self {
            top: n,
            left: n,
            bottom: n,
            right: n,
        }
    }
}

/// A two-dimensional convolution of `[N, C, H, W]`.
#[derive(Clone, Debug)]
pub struct Conv {
    /// `[out, in / groups, kernel height, kernel width]`
    pub weight: Weight,
    /// `[out]`
    pub bias: Option<Weight>,
    /// Steps in y and x.
    pub stride: [usize; 2],
    /// Distance of the taps in y and x.
    pub dilation: [usize; 2],
    /// Zeros around the input.
    pub pads: Sides,
    /// Channel groups.
    pub groups: usize,
    /// Applied to the result.
    pub activation: Activation,
}

impl Conv {
    /// A convolution with stride 1, no padding, one group and no activation.
    pub fn new(weight: Weight, bias: Option<Weight>) -> Self {
        Self {
            weight,
            bias,
            stride: [1, 1],
            dilation: [1, 1],
            pads: Sides::default(),
            groups: 1,
            activation: Activation::None,
        }
    }
}

/// A two-dimensional transposed convolution of `[N, C, H, W]`.
#[derive(Clone, Debug)]
pub struct ConvTranspose {
    /// `[in, out / groups, kernel height, kernel width]`
    pub weight: Weight,
    /// `[out]`
    pub bias: Option<Weight>,
    /// Steps in y and x.
    pub stride: [usize; 2],
    /// Distance of the taps in y and x.
    pub dilation: [usize; 2],
    /// Pixels cut from the result.
    pub pads: Sides,
    /// Rows and columns added below and at the right of the result.
    pub output_padding: [usize; 2],
    /// Channel groups.
    pub groups: usize,
    /// Applied to the result.
    pub activation: Activation,
}

/// A matrix product over the last axis.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[out, in]`
    pub weight: Weight,
    /// `[out]`
    pub bias: Option<Weight>,
    /// Applied to the result.
    pub activation: Activation,
}

/// A function of two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// The larger.
    Max,
    /// The smaller.
    Min,
    /// `a` to the power `b`.
    Pow,
}

/// Right-hand side of a binary operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operand {
    /// Another value, broadcast as in numpy.
    Value(Value),
    /// A number.
    Scalar(f32),
}

/// How a picture is enlarged or shrunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// The pixel at `floor(x / scale)`.
    Nearest,
    /// Two taps a side, pixel centres at half pixels.
    Bilinear,
    /// Four taps a side with a = -0.75, pixel centres at half pixels, edges repeated, no antialiasing.
    Bicubic,
}

/// An exact scale `num / den`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scale {
    /// Numerator.
    pub num: usize,
    /// Denominator.
    pub den: usize,
}

/// Target side of a resize.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResizeTo {
    /// `floor(side * scale)`
    Scale(Scale),
    /// A number of pixels.
    Size(usize),
}

/// Order of the channels of a pixel shuffle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ShuffleOrder {
    /// Channel `c*r*r + i*r + j`: PyTorch's.
    #[default]
    ChannelsOutermost,
    /// Channel `(i*r + j)*C + c`.
    ChannelsInnermost,
}

/// What a pool keeps of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// The largest element.
    Max,
    /// The mean.
    Average,
}

/// What stands outside the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode {
    /// A number.
    Constant(f32),
    /// The picture mirrored at its outermost pixels, which are not repeated.
    Reflect,
    /// The outermost pixels repeated.
    Edge,
}

/// An operation of a network. New ones are added here, in `infer` and in `lower`.
#[derive(Clone, Debug)]
pub enum Op {
    /// Constant values.
    Constant(Weight),
    /// See [`Conv`].
    Conv(Conv),
    /// See [`ConvTranspose`].
    ConvTranspose(ConvTranspose),
    /// See [`Linear`].
    Linear(Linear),
    /// A function of one element.
    Activation(Activation),
    /// `x` where positive, else `slope[c] * x`; slopes `[C]` or `[1]`.
    PRelu(Weight),
    /// A function of two elements; the second operand is the second input or the scalar.
    Binary(BinaryOp, Option<f32>),
    /// Joins along an axis.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// `[N, C*r*r, H, W]` to `[N, C, H*r, W*r]`.
    PixelShuffle {
        /// `r`
        factor: usize,
        /// Order of the channels that become pixels.
        order: ShuffleOrder,
    },
    /// The inverse of [`Op::PixelShuffle`] with channels outermost.
    PixelUnshuffle(usize),
    /// Scales height and width.
    Resize {
        /// The kernel.
        mode: Interpolation,
        /// Target height and width.
        to: [ResizeTo; 2],
        /// Outermost pixel centres fall on each other, instead of the pictures' edges. Not for `Nearest`.
        align_corners: bool,
    },
    /// A window that moves over the picture.
    Pool {
        /// What is kept.
        kind: PoolKind,
        /// Window height and width.
        kernel: [usize; 2],
        /// Steps in y and x.
        stride: [usize; 2],
        /// Padding.
        pads: Sides,
        /// A last window that only partly covers the picture counts.
        ceil: bool,
        /// Padding counts in the mean.
        include_pad: bool,
    },
    /// One number for each channel: `[N, C, 1, 1]`.
    GlobalPool(PoolKind),
    /// `start..end` of an axis; negative numbers count from its end, `end` 0 is the end itself.
    Slice {
        /// The axis.
        axis: usize,
        /// First element.
        start: i64,
        /// Element after the last; 0 is the end of the axis.
        end: i64,
    },
    /// As many rows and columns as the second input has, from an offset on.
    CropLike {
        /// Rows and columns left out at the top and the left.
        offset: [usize; 2],
    },
    /// Adds pixels.
    Pad {
        /// What they hold.
        mode: PadMode,
        /// How many.
        sides: Sides,
    },
    /// Axes in another order.
    Transpose(Vec<usize>),
    /// Other sides, as many elements; one side may be left to be computed.
    Reshape(Vec<ReshapeDim>),
    /// Another element type. To u8: rounded to nearest and clamped by the caller's own operations.
    Cast(DType),
}

/// One side of a reshape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReshapeDim {
    /// The input's side at the same place.
    Keep,
    /// A number.
    Known(usize),
    /// What is left over; once at most.
    Rest,
}

impl Op {
    /// Name of the operation in texts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Constant(_) => "constant",
            Self::Conv(_) => "conv",
            Self::ConvTranspose(_) => "conv_transpose",
            Self::Linear(_) => "linear",
            Self::Activation(a) => match a {
                Activation::None => "identity",
                Activation::Relu => "relu",
                Activation::LeakyRelu(_) => "leaky_relu",
                Activation::Clip(..) => "clip",
                Activation::Sigmoid => "sigmoid",
                Activation::Silu => "silu",
                Activation::Mish => "mish",
                Activation::HardSwish { .. } => "hard_swish",
                Activation::Tanh => "tanh",
            },
            Self::PRelu(_) => "prelu",
            Self::Binary(op, _) => match op {
                BinaryOp::Add => "add",
                BinaryOp::Sub => "sub",
                BinaryOp::Mul => "mul",
                BinaryOp::Div => "div",
                BinaryOp::Max => "max",
                BinaryOp::Min => "min",
                BinaryOp::Pow => "pow",
            },
            Self::Concat { .. } => "concat",
            Self::PixelShuffle { .. } => "pixel_shuffle",
            Self::PixelUnshuffle(_) => "pixel_unshuffle",
            Self::Resize { .. } => "resize",
            Self::Pool { .. } => "pool",
            Self::GlobalPool(_) => "global_pool",
            Self::Slice { .. } => "slice",
            Self::CropLike { .. } => "crop_like",
            Self::Pad { .. } => "pad",
            Self::Transpose(_) => "transpose",
            Self::Reshape(_) => "reshape",
            Self::Cast(_) => "cast",
        }
    }

    /// The weights the operation holds.
    pub fn weights(&self) -> Vec<&Weight> {
        match self {
            Self::Constant(w) | Self::PRelu(w) => vec![w],
            Self::Conv(Conv { weight, bias, .. })
            | Self::ConvTranspose(ConvTranspose { weight, bias, .. })
            | Self::Linear(Linear { weight, bias, .. }) => std::iter::once(weight).chain(bias).collect(),
            _ => Vec::new(),
        }
    }

    /// Arguments beside inputs and weights, for the text of a network.
    pub(crate) fn arguments(&self) -> String {
        let activation = |a: &Activation| {
            if *a == Activation::None {
                String::new()
            } else {
                format!(" then={a:?}")
            }
        };
        let pads = |p: &Sides| format!("pads={},{},{},{}", p.top, p.left, p.bottom, p.right);
        match self {
            Self::Conv(c) => format!(
                "stride={}x{} dilation={}x{} {} groups={}{}",
                c.stride[0],
                c.stride[1],
                c.dilation[0],
                c.dilation[1],
                pads(&c.pads),
                c.groups,
                activation(&c.activation)
            ),
            Self::ConvTranspose(c) => format!(
                "stride={}x{} dilation={}x{} cut={} extra={}x{} groups={}{}",
                c.stride[0],
                c.stride[1],
                c.dilation[0],
                c.dilation[1],
                pads(&c.pads),
                c.output_padding[0],
                c.output_padding[1],
                c.groups,
                activation(&c.activation)
            ),
            Self::Linear(l) => activation(&l.activation).trim_start().to_owned(),
            Self::Activation(a @ (Activation::LeakyRelu(_) | Activation::Clip(..) | Activation::HardSwish { .. })) => {
                format!("{a:?}")
            }
            Self::Binary(_, Some(s)) => format!("by={s}"),
            Self::Concat { axis } => format!("axis={axis}"),
            Self::PixelShuffle { factor, order } => format!("factor={factor} {order:?}"),
            Self::PixelUnshuffle(r) => format!("factor={r}"),
            Self::Resize {
                mode,
                to,
                align_corners,
            } => {
                let side = |t: &ResizeTo| match t {
                    ResizeTo::Scale(s) => format!("*{}/{}", s.num, s.den),
                    ResizeTo::Size(n) => n.to_string(),
                };
                let corners = if *align_corners { " corners" } else { "" };
                format!("{mode:?} to={},{}{corners}", side(&to[0]), side(&to[1]))
            }
            Self::Pool {
                kind,
                kernel,
                stride,
                pads: p,
                ceil,
                include_pad,
            } => format!(
                "{kind:?} kernel={}x{} stride={}x{} {} ceil={ceil} include_pad={include_pad}",
                kernel[0],
                kernel[1],
                stride[0],
                stride[1],
                pads(p)
            ),
            Self::GlobalPool(kind) => format!("{kind:?}"),
            Self::Slice { axis, start, end } => format!("axis={axis} {start}..{end}"),
            Self::CropLike { offset } => format!("offset={}x{}", offset[0], offset[1]),
            Self::Pad { mode, sides } => format!("{mode:?} {}", pads(sides)),
            Self::Transpose(perm) => format!("{perm:?}"),
            Self::Reshape(dims) => format!("{dims:?}"),
            Self::Cast(dtype) => dtype.to_string(),
            _ => String::new(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// Element type and shape of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Sides, outermost first.
    pub shape: Vec<Dim>,
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.dtype, crate::dim::show(&self.shape))
    }
}
