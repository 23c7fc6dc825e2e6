//! ncnn layers as operations of a network. Blobs `[C, H, W]` become values `[N, C, H, W]`.

use std::path::Path;

use kinora_nn::{
    Activation, BinaryOp, Conv, ConvTranspose, Interpolation, Linear, NetBuilder, Op, Operand, PadMode, PoolKind,
    ReshapeDim, ResizeTo, Scale, ShuffleOrder, Sides, Value, Weight,
};

use super::param::Layer;
use super::plan::FROM_INPUT;
use crate::error::Result;

/// Padding that keeps the size, with the odd pixel at the end.
const SAME_UPPER: i64 = -233;
/// Padding that keeps the size, with the odd pixel at the start.
const SAME_LOWER: i64 = -234;

/// Every layer type that is understood.
pub(super) const KINDS: &[&str] = &[
    "Input",
    "Convolution",
    "ConvolutionDepthWise",
    "Deconvolution",
    "InnerProduct",
    "PReLU",
    "MemoryData",
    "Scale",
    "PixelShuffle",
    "Interp",
    "BinaryOp",
    "Eltwise",
    "Concat",
    "Pooling",
    "Crop",
    "Swish",
    "Sigmoid",
    "Split",
    "ReLU",
    "Clip",
    "TanH",
    "Mish",
    "HardSwish",
];

/// One layer being lowered.
pub(super) struct Lowering<'a> {
    pub(super) path: &'a Path,
    pub(super) layer: &'a Layer,
    pub(super) inputs: &'a [Value],
    pub(super) weights: &'a [Weight],
    pub(super) builder: &'a mut NetBuilder,
}

impl Lowering<'_> {
    /// The layer's result. `Input` and `Split` are the importer's own affair.
    pub(super) fn lower(&mut self) -> Result<Value> {
        self.builder.label(&self.layer.name);
        match self.layer.kind.as_str() {
            "Convolution" | "ConvolutionDepthWise" => self.convolution(),
            "Deconvolution" => self.deconvolution(),
            "InnerProduct" => self.inner_product(),
            "PReLU" => {
                self.only(&[0])?;
                Ok(self.builder.prelu(self.input(0)?, self.weight(0)?)?)
            }
            "MemoryData" => {
                self.only(&[0, 1, 2])?;
                Ok(self.builder.constant(self.weight(0)?)?)
            }
            "Scale" => self.scale(),
            "PixelShuffle" => {
                self.only(&[0, 1])?;
                let factor = self.layer.size(self.path, 0, 1)?;
                let order = match self.layer.int(self.path, 1, 0)? {
                    0 => ShuffleOrder::ChannelsOutermost,
                    _ => ShuffleOrder::ChannelsInnermost,
                };
                Ok(self
                    .builder
                    .push(Op::PixelShuffle { factor, order }, &[self.input(0)?])?)
            }
            "Interp" => self.interp(),
            "BinaryOp" => self.binary(),
            "Eltwise" => self.eltwise(),
            "Concat" => {
                self.only(&[0])?;
                let axis = self.layer.int(self.path, 0, 0)?;
                let axis = self.axis(axis)?;
                Ok(self.builder.concat(self.inputs, axis)?)
            }
            "Pooling" => self.pooling(),
            "Crop" => self.crop(),
            "Swish" => self.simple(Activation::Silu),
            "Sigmoid" => self.simple(Activation::Sigmoid),
            "TanH" => self.simple(Activation::Tanh),
            "Mish" => self.simple(Activation::Mish),
            "ReLU" => {
                self.only(&[0])?;
                let slope = self.layer.float(self.path, 0, 0.0)?;
                let relu = if slope == 0.0 {
                    Activation::Relu
                } else {
                    Activation::LeakyRelu(slope)
                };
                Ok(self.builder.activation(self.input(0)?, relu)?)
            }
            "Clip" => {
                self.only(&[0, 1])?;
                let low = self.layer.float(self.path, 0, f32::MIN)?;
                let high = self.layer.float(self.path, 1, f32::MAX)?;
                Ok(self.builder.activation(self.input(0)?, Activation::Clip(low, high))?)
            }
            "HardSwish" => {
                self.only(&[0, 1])?;
                let alpha = self.layer.float(self.path, 0, 0.2)?;
                let beta = self.layer.float(self.path, 1, 0.5)?;
                Ok(self
                    .builder
                    .activation(self.input(0)?, Activation::HardSwish { alpha, beta })?)
            }
            other => Err(self.layer.bad(self.path, "a layer with a result of its own", other)),
        }
    }

    fn only(&self, keys: &[u32]) -> Result<()> {
        self.layer.only(self.path, keys)
    }

    fn input(&self, i: usize) -> Result<Value> {
        self.inputs.get(i).copied().ok_or_else(|| {
            self.layer.bad(
                self.path,
                format!("at least {} inputs", i + 1),
                self.inputs.len().to_string(),
            )
        })
    }

    fn weight(&self, i: usize) -> Result<Weight> {
        self.weights
            .get(i)
            .cloned()
            .ok_or_else(|| self.layer.bad(self.path, "its weights", "none"))
    }

    fn simple(&mut self, activation: Activation) -> Result<Value> {
        self.only(&[])?;
        Ok(self.builder.activation(self.input(0)?, activation)?)
    }

    /// Axis of `[N, C, H, W]` for an axis of `[C, H, W]`; negative ones count from the end.
    fn axis(&self, axis: i64) -> Result<usize> {
        match axis {
            0..=2 => Ok(axis as usize + 1),
            -3..=-1 => Ok((axis + 4) as usize),
            _ => Err(self.layer.bad(self.path, "an axis of -3 to 2", axis.to_string())),
        }
    }

    /// Parameters 9 and 10.
    fn fused_activation(&self) -> Result<Activation> {
        let arguments = self.layer.array(self.path, 10)?;
        let argument = |i: usize| {
            arguments.get(i).copied().ok_or_else(|| {
                self.layer
                    .bad(self.path, "the activation's arguments", format!("{arguments:?}"))
            })
        };
        Ok(match self.layer.int(self.path, 9, 0)? {
            0 => Activation::None,
            1 => Activation::Relu,
            2 => Activation::LeakyRelu(argument(0)?),
            3 => Activation::Clip(argument(0)?, argument(1)?),
            4 => Activation::Sigmoid,
            5 => Activation::Mish,
            6 => Activation::HardSwish {
                alpha: argument(0)?,
                beta: argument(1)?,
            },
            other => return Err(self.layer.bad(self.path, "an activation of 0 to 6", other.to_string())),
        })
    }

    /// Padding of parameters 4, 14, 15, 16; `kernel`, `dilation`, `stride` are y, x.
    fn pads(&self, kernel: [usize; 2], dilation: [usize; 2], stride: [usize; 2]) -> Result<Sides> {
        let left = self.layer.int(self.path, 4, 0)?;
        if left == SAME_UPPER || left == SAME_LOWER {
            if stride != [1, 1] {
                return Err(self
                    .layer
                    .bad(self.path, "SAME padding with stride 1", format!("stride {stride:?}")));
            }
            let total = |i: usize| (kernel[i].max(1) - 1) * dilation[i];
            let split = |n: usize| {
                if left == SAME_UPPER {
                    (n / 2, n - n / 2)
                } else {
                    (n - n / 2, n / 2)
                }
            };
            let ((top, bottom), (left, right)) = (split(total(0)), split(total(1)));
            return Ok(Sides {
                top,
                left,
                bottom,
                right,
            });
        }
        let left = self.layer.size(self.path, 4, 0)?;
        let top = self.layer.size(self.path, 14, left)?;
        Ok(Sides {
            top,
            left,
            bottom: self.layer.size(self.path, 16, top)?,
            right: self.layer.size(self.path, 15, left)?,
        })
    }

    /// A pair y, x of which x has a default and y is x where it is not given.
    fn pair(&self, x_key: u32, y_key: u32, default: usize) -> Result<[usize; 2]> {
        let x = self.layer.size(self.path, x_key, default)?;
        Ok([self.layer.size(self.path, y_key, x)?, x])
    }

    fn convolution(&mut self) -> Result<Value> {
        let mut keys = vec![0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 18];
        let depthwise = self.layer.kind == "ConvolutionDepthWise";
        if depthwise {
            keys.push(7);
        }
        self.only(&keys)?;
        let weight = self.weight(0)?;
        let (dilation, stride) = (self.pair(2, 12, 1)?, self.pair(3, 13, 1)?);
        let kernel = [
            weight.shape().get(2).copied().unwrap_or(1),
            weight.shape().get(3).copied().unwrap_or(1),
        ];
        let groups = if depthwise {
            self.layer.size(self.path, 7, 1)?
        } else {
            1
        };
        let mut x = self.input(0)?;
        let mut pads = self.pads(kernel, dilation, stride)?;
        let pad_value = self.layer.float(self.path, 18, 0.0)?;
        if pad_value != 0.0 {
            x = self
                .builder
                .pad(x, PadMode::Constant(pad_value), std::mem::take(&mut pads))?;
            self.builder.label(&self.layer.name);
        }
        let conv = Conv {
            weight,
            bias: self.weights.get(1).cloned(),
            stride,
            dilation,
            pads,
            groups,
            activation: self.fused_activation()?,
        };
        Ok(self.builder.conv(x, conv)?)
    }

    fn deconvolution(&mut self) -> Result<Value> {
        self.only(&[0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19])?;
        let (dilation, stride) = (self.pair(2, 12, 1)?, self.pair(3, 13, 1)?);
        let conv = ConvTranspose {
            weight: self.weight(0)?,
            bias: self.weights.get(1).cloned(),
            stride,
            dilation,
            // A size-keeping cut would need the output size, which these files do not give.
            pads: if self.layer.int(self.path, 4, 0)? < 0 {
                return Err(self.layer.bad(self.path, "padding of 0 or more", "SAME padding"));
            } else {
                self.pads([1, 1], dilation, stride)?
            },
            output_padding: self.pair(18, 19, 0)?,
            groups: 1,
            activation: self.fused_activation()?,
        };
        Ok(self.builder.conv_transpose(self.input(0)?, conv)?)
    }

    /// Over one pixel a product is a 1x1 convolution, and the result stays `[N, out, 1, 1]`; otherwise all of the
    /// input is one vector.
    fn inner_product(&mut self) -> Result<Value> {
        self.only(&[0, 1, 2, 9, 10])?;
        let (x, weight, activation) = (self.input(0)?, self.weight(0)?, self.fused_activation()?);
        let bias = self.weights.get(1).cloned();
        let &[out, into] = weight.shape() else {
            return Err(self.layer.bad(self.path, "a matrix", "other weights"));
        };
        let spatial = self.builder.type_of(x).shape.get(2..).unwrap_or_default().to_vec();
        if spatial.iter().all(|d| d.known() == Some(1)) {
            let conv = Conv {
                activation,
                ..Conv::new(weight.reshaped(&[out, into, 1, 1])?, bias)
            };
            return Ok(self.builder.conv(x, conv)?);
        }
        let flat = self.builder.reshape(x, &[ReshapeDim::Keep, ReshapeDim::Known(into)])?;
        let y = self.builder.linear(
            flat,
            Linear {
                weight,
                bias,
                activation,
            },
        )?;
        Ok(self.builder.reshape(
            y,
            &[
                ReshapeDim::Keep,
                ReshapeDim::Known(out),
                ReshapeDim::Known(1),
                ReshapeDim::Known(1),
            ],
        )?)
    }

    fn scale(&mut self) -> Result<Value> {
        self.only(&[0, 1])?;
        let x = self.input(0)?;
        if self.layer.int(self.path, 0, 0)? == FROM_INPUT {
            if self.layer.int(self.path, 1, 0)? != 0 {
                return Err(self
                    .layer
                    .bad(self.path, "no bias beside a scale from the second input", "a bias"));
            }
            return Ok(self.builder.mul(x, self.input(1)?)?);
        }
        let scale = self.builder.constant(self.weight(0)?)?;
        let mut y = self.builder.mul(x, scale)?;
        if let Some(bias) = self.weights.get(1).cloned() {
            let bias = self.builder.constant(bias)?;
            y = self.builder.add(y, bias)?;
        }
        Ok(y)
    }

    fn interp(&mut self) -> Result<Value> {
        self.only(&[0, 1, 2, 3, 4, 6])?;
        let mode = match self.layer.int(self.path, 0, 0)? {
            1 => Interpolation::Nearest,
            2 => Interpolation::Bilinear,
            3 => Interpolation::Bicubic,
            other => {
                return Err(self
                    .layer
                    .bad(self.path, "an interpolation of 1 to 3", other.to_string()));
            }
        };
        let side = |scale_key: u32, size_key: u32| -> Result<ResizeTo> {
            match self.layer.size(self.path, size_key, 0)? {
                0 => {
                    let scale = self.layer.float(self.path, scale_key, 1.0)?;
                    exact_ratio(scale).map(ResizeTo::Scale).ok_or_else(|| {
                        self.layer
                            .bad(self.path, "a scale that is a ratio of small numbers", scale.to_string())
                    })
                }
                size => Ok(ResizeTo::Size(size)),
            }
        };
        let to = [side(1, 3)?, side(2, 4)?];
        let align_corners = self.layer.int(self.path, 6, 0)? != 0 && mode != Interpolation::Nearest;
        Ok(self.builder.push(
            Op::Resize {
                mode,
                to,
                align_corners,
            },
            &[self.input(0)?],
        )?)
    }

    fn binary(&mut self) -> Result<Value> {
        self.only(&[0, 1, 2])?;
        let code = self.layer.int(self.path, 0, 0)?;
        let (op, reversed) = match code {
            0 => (BinaryOp::Add, false),
            1 => (BinaryOp::Sub, false),
            2 => (BinaryOp::Mul, false),
            3 => (BinaryOp::Div, false),
            4 => (BinaryOp::Max, false),
            5 => (BinaryOp::Min, false),
            6 => (BinaryOp::Pow, false),
            7 => (BinaryOp::Sub, true),
            8 => (BinaryOp::Div, true),
            other => return Err(self.layer.bad(self.path, "an operation of 0 to 8", other.to_string())),
        };
        let a = self.input(0)?;
        if self.layer.int(self.path, 1, 0)? != 0 {
            let b = self.layer.float(self.path, 2, 0.0)?;
            if !reversed {
                return Ok(self.builder.binary(op, a, Operand::Scalar(b))?);
            }
            let name = format!("{}.scalar", self.layer.name);
            let b = self.builder.constant(Weight::inline(&name, &[1, 1, 1, 1], vec![b])?)?;
            return Ok(self.builder.binary(op, b, Operand::Value(a))?);
        }
        let b = self.input(1)?;
        let (a, b) = if reversed { (b, a) } else { (a, b) };
        Ok(self.builder.binary(op, a, Operand::Value(b))?)
    }

    fn eltwise(&mut self) -> Result<Value> {
        self.only(&[0, 1])?;
        let op = match self.layer.int(self.path, 0, 0)? {
            0 => BinaryOp::Mul,
            1 => BinaryOp::Add,
            2 => BinaryOp::Max,
            other => return Err(self.layer.bad(self.path, "an operation of 0 to 2", other.to_string())),
        };
        let coefficients = self.layer.array(self.path, 1)?;
        if !coefficients.is_empty() && (op != BinaryOp::Add || coefficients.len() != self.inputs.len()) {
            return Err(self
                .layer
                .bad(self.path, "a coefficient for each summand", format!("{coefficients:?}")));
        }
        let mut sum = None;
        for (i, value) in self.inputs.iter().enumerate() {
            let factor = coefficients.get(i).copied().unwrap_or(1.0);
            let term = if factor == 1.0 {
                *value
            } else {
                self.builder.binary(BinaryOp::Mul, *value, Operand::Scalar(factor))?
            };
            sum = Some(match sum {
                None => term,
                Some(sum) => self.builder.binary(op, sum, Operand::Value(term))?,
            });
        }
        sum.ok_or_else(|| self.layer.bad(self.path, "at least one input", "none"))
    }

    fn pooling(&mut self) -> Result<Value> {
        self.only(&[0, 1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15])?;
        let kind = match self.layer.int(self.path, 0, 0)? {
            0 => PoolKind::Max,
            1 => PoolKind::Average,
            other => return Err(self.layer.bad(self.path, "a pooling of 0 or 1", other.to_string())),
        };
        let x = self.input(0)?;
        if self.layer.int(self.path, 4, 0)? != 0 {
            return Ok(self.builder.global_pool(x, kind)?);
        }
        let ceil = match self.layer.int(self.path, 5, 0)? {
            0 => true,
            1 => false,
            other => {
                return Err(self
                    .layer
                    .bad(self.path, "a padding mode of 0 (full) or 1 (valid)", other.to_string()));
            }
        };
        let left = self.layer.size(self.path, 3, 0)?;
        let top = self.layer.size(self.path, 13, left)?;
        let pads = Sides {
            top,
            left,
            bottom: self.layer.size(self.path, 15, top)?,
            right: self.layer.size(self.path, 14, left)?,
        };
        let (kernel, stride) = (self.pair(1, 11, 0)?, self.pair(2, 12, 1)?);
        let include_pad = self.layer.int(self.path, 6, 0)? != 0;
        Ok(self.builder.push(
            Op::Pool {
                kind,
                kernel,
                stride,
                pads,
                ceil,
                include_pad,
            },
            &[x],
        )?)
    }

    fn crop(&mut self) -> Result<Value> {
        self.only(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])?;
        let x = self.input(0)?;
        let starts = self.layer.array(self.path, 9)?;
        if !starts.is_empty() {
            return self.crop_ranges(x);
        }
        let offsets = [
            self.layer.size(self.path, 2, 0)?,
            self.layer.size(self.path, 1, 0)?,
            self.layer.size(self.path, 0, 0)?,
        ];
        if self.inputs.len() > 1 {
            let like = self.input(1)?;
            let channels = |v: Value, b: &NetBuilder| b.type_of(v).shape.get(1).and_then(kinora_nn::Dim::known);
            let (have, want) = (channels(x, self.builder), channels(like, self.builder));
            let mut x = x;
            if let (Some(have), Some(want)) = (have, want)
                && (have != want || offsets[0] > 0)
            {
                let end = i64::try_from(offsets[0].saturating_add(want)).unwrap_or(i64::MAX);
                x = self.builder.slice(x, 1, offsets[0] as i64, end)?;
            }
            return Ok(self.builder.crop_like(x, like, [offsets[1], offsets[2]])?);
        }
        // Sizes of parameters 3 to 5 (-233: all that is left), or the cuts at the far ends of 6 to 8.
        let mut y = x;
        for (axis, (offset, (size_key, far_key))) in offsets.iter().zip([(5, 8), (4, 7), (3, 6)]).enumerate() {
            let size = self.layer.int(self.path, size_key, 0)?;
            let far = self.layer.size(self.path, far_key, 0)? as i64;
            let start = *offset as i64;
            let end = match size {
                0 | FROM_INPUT => -far,
                1.. => start.saturating_add(size),
                other => return Err(self.layer.bad(self.path, "a size", other.to_string())),
            };
            if start != 0 || end != 0 {
                y = self.builder.slice(y, axis + 1, start, end)?;
            }
        }
        Ok(y)
    }

    /// Parameters 9 to 11: starts, ends and axes.
    fn crop_ranges(&mut self, x: Value) -> Result<Value> {
        let (starts, ends) = (
            self.layer.array(self.path, 9)?.to_vec(),
            self.layer.array(self.path, 10)?.to_vec(),
        );
        let mut axes = self.layer.array(self.path, 11)?.to_vec();
        if axes.is_empty() {
            axes = (0..starts.len()).map(|i| i as f32).collect();
        }
        if starts.len() != ends.len() || starts.len() != axes.len() {
            return Err(self.layer.bad(
                self.path,
                "a start, an end and an axis each",
                format!("{starts:?} {ends:?} {axes:?}"),
            ));
        }
        let mut y = x;
        for ((start, end), axis) in starts.iter().zip(&ends).zip(&axes) {
            let axis = self.axis(*axis as i64)?;
            // -233 stands for "to the end".
            let end = if *end as i64 == FROM_INPUT { 0 } else { *end as i64 };
            y = self.builder.slice(y, axis, *start as i64, end)?;
        }
        Ok(y)
    }
}

/// The ratio of two numbers up to 64 that a float stands for.
fn exact_ratio(x: f32) -> Option<Scale> {
    if !(x > 0.0 && x <= 64.0) {
        return None;
    }
    (1..=64usize).find_map(|den| {
        let num = (x * den as f32).round();
        let near = (num / den as f32 - x).abs() <= x * 1e-6;
        (near && (1.0..=4096.0).contains(&num)).then_some(Scale { num: num as usize, den })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_become_exact_ratios() {
        assert_eq!(exact_ratio(4.0), Some(Scale { num: 4, den: 1 }));
        assert_eq!(exact_ratio(0.75), Some(Scale { num: 3, den: 4 }));
        assert_eq!(exact_ratio(1.0 / 3.0), Some(Scale { num: 1, den: 3 }));
        assert_eq!(exact_ratio(0.0), None);
        assert_eq!(exact_ratio(std::f32::consts::PI), None);
    }
}
