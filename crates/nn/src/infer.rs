//! Type of each operation's result. The same rules serve symbolic shapes (when a network is built) and plain numbers
//! (when its inputs' sizes are known).

use crate::dim::{self, Dim, Same};
use crate::error::{NnError, Result};
use crate::op::{Conv, ConvTranspose, Linear, Op, ReshapeDim, ResizeTo, Sides, TensorType};
use crate::{DType, Weight};

/// Result type of `op`, named `label` in errors.
pub(crate) fn infer(op: &Op, label: &str, inputs: &[&TensorType]) -> Result<TensorType> {
    let rule = Rule { op, label, inputs };
    match op {
        Op::Constant(w) => Ok(TensorType {
            dtype: DType::F32,
            shape: w.shape().iter().map(|n| Dim::Known(*n)).collect(),
        }),
        Op::Conv(c) => rule.conv(c),
        Op::ConvTranspose(c) => rule.conv_transpose(c),
        Op::Linear(l) => rule.linear(l),
        Op::Activation(_) => rule.float(0).cloned(),
        Op::PRelu(w) => rule.prelu(w),
        Op::Binary(..) => rule.binary(),
        Op::Concat { axis } => rule.concat(*axis),
        Op::PixelShuffle { factor, .. } => rule.shuffle(*factor),
        Op::PixelUnshuffle(r) => rule.unshuffle(*r),
        Op::Resize { to, .. } => rule.resize(to),
        Op::Pool {
            kernel,
            stride,
            pads,
            ceil,
            ..
        } => rule.pool(kernel, stride, pads, *ceil),
        Op::GlobalPool(_) => {
            let [n, c, _, _] = rule.picture(0)?;
            Ok(rule.like(0, vec![n.clone(), c.clone(), Dim::Known(1), Dim::Known(1)]))
        }
        Op::Slice { axis, start, end } => rule.slice(*axis, *start, *end),
        Op::CropLike { offset } => rule.crop_like(offset),
        Op::Pad { sides, .. } => rule.pad(sides),
        Op::Transpose(perm) => rule.transpose(perm),
        Op::Reshape(dims) => rule.reshape(dims),
        Op::Cast(dtype) => Ok(TensorType {
            dtype: *dtype,
            shape: rule.input(0)?.shape.clone(),
        }),
    }
}

struct Rule<'a> {
    op: &'a Op,
    label: &'a str,
    inputs: &'a [&'a TensorType],
}

impl Rule<'_> {
    fn error(&self, expected: impl Into<String>, got: impl Into<String>) -> NnError {
        NnError::shape(format!("{} `{}`", self.op.name(), self.label), expected, got)
    }

    fn input(&self, i: usize) -> Result<&TensorType> {
        self.inputs
            .get(i)
            .copied()
            .ok_or_else(|| self.error(format!("{} inputs", i + 1), format!("{}", self.inputs.len())))
    }

    fn float(&self, i: usize) -> Result<&TensorType> {
        let input = self.input(i)?;
        if input.dtype == DType::F32 {
            Ok(input)
        } else {
            Err(self.error("an f32 tensor", input.to_string()))
        }
    }

    fn picture(&self, i: usize) -> Result<&[Dim; 4]> {
        let input = self.input(i)?;
        input
            .shape
            .as_slice()
            .try_into()
            .map_err(|_| self.error("a tensor [N, C, H, W]", input.to_string()))
    }

    fn like(&self, i: usize, shape: Vec<Dim>) -> TensorType {
        TensorType {
            dtype: self.inputs.get(i).map_or(DType::F32, |t| t.dtype),
            shape,
        }
    }

    fn side(&self, dim: Option<Dim>, what: &str, from: &Dim) -> Result<Dim> {
        dim.ok_or_else(|| self.error(format!("a {what} large enough for it"), from.to_string()))
    }

    /// The channel count, which must be a number.
    fn channels(&self, dim: &Dim) -> Result<usize> {
        dim.known()
            .ok_or_else(|| self.error("a known number of channels", dim.to_string()))
    }

    fn weight_dims(&self, weight: &Weight, layout: &str) -> Result<[usize; 4]> {
        match weight.shape().try_into() {
            Ok(dims) if !weight.shape().contains(&0) => Ok(dims),
            _ => Err(self.error(
                format!("a weight {layout}"),
                format!("`{}` {:?}", weight.name(), weight.shape()),
            )),
        }
    }

    fn bias(&self, bias: Option<&Weight>, out: usize) -> Result<()> {
        match bias {
            Some(b) if b.shape() != [out] => {
                Err(self.error(format!("a bias [{out}]"), format!("`{}` {:?}", b.name(), b.shape())))
            }
            _ => Ok(()),
        }
    }

    fn positive(&self, what: &str, values: &[usize]) -> Result<()> {
        if values.contains(&0) {
            Err(self.error(format!("{what} of at least 1"), format!("{values:?}")))
        } else {
            Ok(())
        }
    }

    /// `floor((n + before + after - dilation * (kernel - 1) - 1) / stride) + 1`
    fn window(&self, what: &str, n: &Dim, around: usize, kernel: usize, dilation: usize, stride: usize) -> Result<Dim> {
        let shrink = around as i64 - (dilation * (kernel - 1)) as i64;
        let positions = self.side(n.affine(1, shrink), what, n)?;
        if stride == 1 {
            return Ok(positions);
        }
        // floor((p - 1) / s) + 1 = floor((p + s - 1) / s)
        let last = self.side(positions.affine(1, stride as i64 - 1), what, n)?;
        self.side(last.floor_div(stride), what, n)
    }

    fn conv(&self, c: &Conv) -> Result<TensorType> {
        self.float(0)?;
        let [n, channels, h, w] = self.picture(0)?;
        let [out, per_group, kh, kw] = self.weight_dims(&c.weight, "[out, in / groups, kernel h, kernel w]")?;
        self.positive(
            "stride, dilation and groups",
            &[c.stride[0], c.stride[1], c.dilation[0], c.dilation[1], c.groups],
        )?;
        let found = self.channels(channels)?;
        if found != per_group * c.groups || out % c.groups != 0 {
            return Err(self.error(
                format!(
                    "{} input channels (weight `{}` {:?}, {} groups)",
                    per_group * c.groups,
                    c.weight.name(),
                    c.weight.shape(),
                    c.groups
                ),
                self.inputs[0].to_string(),
            ));
        }
        self.bias(c.bias.as_ref(), out)?;
        let rows = self.window("height", h, c.pads.top + c.pads.bottom, kh, c.dilation[0], c.stride[0])?;
        let columns = self.window("width", w, c.pads.left + c.pads.right, kw, c.dilation[1], c.stride[1])?;
        Ok(self.like(0, vec![n.clone(), Dim::Known(out), rows, columns]))
    }

    fn conv_transpose(&self, c: &ConvTranspose) -> Result<TensorType> {
        self.float(0)?;
        let [n, channels, h, w] = self.picture(0)?;
        let [into, per_group, kh, kw] = self.weight_dims(&c.weight, "[in, out / groups, kernel h, kernel w]")?;
        self.positive(
            "stride, dilation and groups",
            &[c.stride[0], c.stride[1], c.dilation[0], c.dilation[1], c.groups],
        )?;
        if self.channels(channels)? != into || into % c.groups != 0 {
            return Err(self.error(
                format!(
                    "{into} input channels (weight `{}` {:?})",
                    c.weight.name(),
                    c.weight.shape()
                ),
                self.inputs[0].to_string(),
            ));
        }
        let out = per_group * c.groups;
        self.bias(c.bias.as_ref(), out)?;
        // (n - 1) * stride + dilation * (kernel - 1) + 1 + extra - cut
        let grow = |what, n: &Dim, stride: usize, kernel: usize, dilation: usize, extra: usize, cut: usize| {
            let add = (dilation * (kernel - 1) + 1 + extra) as i64 - stride as i64 - cut as i64;
            self.side(n.affine(stride as i64, add), what, n)
        };
        let rows = grow(
            "height",
            h,
            c.stride[0],
            kh,
            c.dilation[0],
            c.output_padding[0],
            c.pads.top + c.pads.bottom,
        )?;
        let columns = grow(
            "width",
            w,
            c.stride[1],
            kw,
            c.dilation[1],
            c.output_padding[1],
            c.pads.left + c.pads.right,
        )?;
        Ok(self.like(0, vec![n.clone(), Dim::Known(out), rows, columns]))
    }

    fn linear(&self, l: &Linear) -> Result<TensorType> {
        let input = self.float(0)?;
        let [out, into] = match *l.weight.shape() {
            [out, into] if out > 0 => [out, into],
            _ => {
                return Err(self.error(
                    "a weight [out, in]",
                    format!("`{}` {:?}", l.weight.name(), l.weight.shape()),
                ));
            }
        };
        self.bias(l.bias.as_ref(), out)?;
        let mut shape = input.shape.clone();
        match shape.last_mut() {
            Some(last) if last.same(&Dim::Known(into)) != Same::No => *last = Dim::Known(out),
            _ => return Err(self.error(format!("a last side of {into}"), input.to_string())),
        }
        Ok(self.like(0, shape))
    }

    fn prelu(&self, slopes: &Weight) -> Result<TensorType> {
        let input = self.float(0)?;
        let channels = input.shape.get(1).and_then(Dim::known);
        match *slopes.shape() {
            [1] => Ok(input.clone()),
            [n] if channels == Some(n) => Ok(input.clone()),
            _ => Err(self.error(
                format!("slopes [1] or [{}]", channels.unwrap_or_default()),
                format!("`{}` {:?}", slopes.name(), slopes.shape()),
            )),
        }
    }

    fn binary(&self) -> Result<TensorType> {
        let a = self.float(0)?;
        if self.inputs.len() < 2 {
            return Ok(a.clone());
        }
        let b = self.float(1)?;
        let rank = a.shape.len().max(b.shape.len());
        let side = |t: &TensorType, i: usize| {
            let missing = rank - t.shape.len();
            if i < missing {
                Dim::Known(1)
            } else {
                t.shape[i - missing].clone()
            }
        };
        let mut shape = Vec::with_capacity(rank);
        for i in 0..rank {
            let (x, y) = (side(a, i), side(b, i));
            shape.push(match x.same(&y) {
                _ if y == Dim::Known(1) => x,
                _ if x == Dim::Known(1) => y,
                Same::Yes => x,
                // Equal where the run succeeds at all.
                Same::Perhaps => {
                    if x.known().is_some() {
                        x
                    } else {
                        y
                    }
                }
                Same::No => return Err(self.error(format!("a second operand that broadcasts to {a}"), b.to_string())),
            });
        }
        Ok(self.like(0, shape))
    }

    fn concat(&self, axis: usize) -> Result<TensorType> {
        let first = self.input(0)?;
        let mut shape = first.shape.clone();
        if axis >= shape.len() {
            return Err(self.error(format!("at least {} sides", axis + 1), first.to_string()));
        }
        for other in &self.inputs[1..] {
            let fits = other.dtype == first.dtype
                && other.shape.len() == shape.len()
                && other
                    .shape
                    .iter()
                    .zip(&first.shape)
                    .enumerate()
                    .all(|(i, (x, y))| i == axis || x.same(y) != Same::No);
            if !fits {
                return Err(self.error(format!("sides as in {first} except side {axis}"), other.to_string()));
            }
            shape[axis] = self.side(shape[axis].sum(&other.shape[axis]), "side", &shape[axis])?;
        }
        Ok(self.like(0, shape))
    }

    fn shuffle(&self, r: usize) -> Result<TensorType> {
        let [n, c, h, w] = self.picture(0)?;
        let channels = self.channels(c)?;
        if r == 0 || channels % (r * r) != 0 {
            return Err(self.error(
                format!("channels in multiples of {}", r * r),
                self.inputs[0].to_string(),
            ));
        }
        let times = |d: &Dim| self.side(d.affine(r as i64, 0), "side", d);
        Ok(self.like(0, vec![n.clone(), Dim::Known(channels / (r * r)), times(h)?, times(w)?]))
    }

    fn unshuffle(&self, r: usize) -> Result<TensorType> {
        let [n, c, h, w] = self.picture(0)?;
        let channels = self.channels(c)?;
        let over = |d: &Dim| match d.known() {
            Some(side) if r == 0 || side % r != 0 => Err(self.error(
                format!("height and width in multiples of {r}"),
                self.inputs[0].to_string(),
            )),
            _ => self.side(d.floor_div(r), "side", d),
        };
        Ok(self.like(0, vec![n.clone(), Dim::Known(channels * r * r), over(h)?, over(w)?]))
    }

    fn resize(&self, to: &[ResizeTo; 2]) -> Result<TensorType> {
        self.float(0)?;
        let [n, c, h, w] = self.picture(0)?;
        let target = |d: &Dim, to: ResizeTo| match to {
            ResizeTo::Size(size) => {
                self.positive("a size", &[size])?;
                Ok(Dim::Known(size))
            }
            ResizeTo::Scale(s) => {
                self.positive("a scale", &[s.num, s.den])?;
                self.side(d.affine(s.num as i64, 0).and_then(|d| d.floor_div(s.den)), "side", d)
            }
        };
        Ok(self.like(0, vec![n.clone(), c.clone(), target(h, to[0])?, target(w, to[1])?]))
    }

    fn pool(&self, kernel: &[usize; 2], stride: &[usize; 2], pads: &Sides, ceil: bool) -> Result<TensorType> {
        self.float(0)?;
        let [n, c, h, w] = self.picture(0)?;
        self.positive("kernel and stride", &[kernel[0], kernel[1], stride[0], stride[1]])?;
        // A partial last window is one that up to stride - 1 more rows would complete.
        let extra = |s: usize| if ceil { s - 1 } else { 0 };
        let rows = self.window(
            "height",
            h,
            pads.top + pads.bottom + extra(stride[0]),
            kernel[0],
            1,
            stride[0],
        )?;
        let columns = self.window(
            "width",
            w,
            pads.left + pads.right + extra(stride[1]),
            kernel[1],
            1,
            stride[1],
        )?;
        Ok(self.like(0, vec![n.clone(), c.clone(), rows, columns]))
    }

    fn slice(&self, axis: usize, start: i64, end: i64) -> Result<TensorType> {
        let input = self.input(0)?;
        let mut shape = input.shape.clone();
        let Some(side) = shape.get_mut(axis) else {
            return Err(self.error(format!("at least {} sides", axis + 1), input.to_string()));
        };
        let bad = || {
            self.error(
                format!("a range inside side {axis}"),
                format!("{start}..{end} of {input}"),
            )
        };
        let length = match (start >= 0, end > 0) {
            // From the front to the back: what is left depends on the side.
            (true, false) => end
                .checked_sub(start)
                .and_then(|less| side.affine(1, less))
                .ok_or_else(bad)?,
            (true, true) | (false, false) if end > start => match side.known() {
                Some(n) if end.unsigned_abs().max(start.unsigned_abs()) > n as u64 => return Err(bad()),
                _ => Dim::Known((end - start) as usize),
            },
            (false, false) if end == 0 => Dim::Known(start.unsigned_abs() as usize),
            _ => match side.known() {
                Some(n) => {
                    let at = |i: i64| if i < 0 { i + n as i64 } else { i };
                    let (from, to) = (at(start), at(end));
                    if from < 0 || to > n as i64 || to <= from {
                        return Err(bad());
                    }
                    Dim::Known((to - from) as usize)
                }
                None => Dim::Unknown,
            },
        };
        *side = length;
        Ok(self.like(0, shape))
    }

    fn crop_like(&self, offset: &[usize; 2]) -> Result<TensorType> {
        let [n, c, h, w] = self.picture(0)?;
        let [_, _, rows, columns] = self.picture(1)?;
        for (have, want, offset) in [(h, rows, offset[0]), (w, columns, offset[1])] {
            if let (Some(have), Some(want)) = (have.known(), want.known())
                && offset + want > have
            {
                return Err(self.error(
                    format!("at least {} rows and columns", offset + want),
                    self.inputs[0].to_string(),
                ));
            }
        }
        Ok(self.like(0, vec![n.clone(), c.clone(), rows.clone(), columns.clone()]))
    }

    fn pad(&self, sides: &Sides) -> Result<TensorType> {
        let [n, c, h, w] = self.picture(0)?;
        let rows = self.side(h.affine(1, (sides.top + sides.bottom) as i64), "height", h)?;
        let columns = self.side(w.affine(1, (sides.left + sides.right) as i64), "width", w)?;
        if let Op::Pad {
            mode: crate::op::PadMode::Reflect,
            ..
        } = self.op
        {
            for (have, a, b) in [(h, sides.top, sides.bottom), (w, sides.left, sides.right)] {
                if have.known().is_some_and(|n| a.max(b) >= n) {
                    return Err(self.error(
                        format!("more than {} rows and columns to mirror", a.max(b)),
                        self.inputs[0].to_string(),
                    ));
                }
            }
        }
        Ok(self.like(0, vec![n.clone(), c.clone(), rows, columns]))
    }

    fn transpose(&self, perm: &[usize]) -> Result<TensorType> {
        let input = self.input(0)?;
        let mut seen = vec![false; input.shape.len()];
        let fits = perm.len() == seen.len()
            && perm
                .iter()
                .all(|p| seen.get_mut(*p).is_some_and(|s| !std::mem::replace(s, true)));
        if !fits {
            return Err(self.error(format!("an order of {} sides", input.shape.len()), format!("{perm:?}")));
        }
        Ok(self.like(0, perm.iter().map(|p| input.shape[*p].clone()).collect()))
    }

    fn reshape(&self, dims: &[ReshapeDim]) -> Result<TensorType> {
        let input = self.input(0)?;
        let mut shape = Vec::with_capacity(dims.len());
        let mut rest = None;
        for (i, dim) in dims.iter().enumerate() {
            shape.push(match dim {
                ReshapeDim::Keep => input
                    .shape
                    .get(i)
                    .cloned()
                    .ok_or_else(|| self.error(format!("at least {} sides", i + 1), input.to_string()))?,
                ReshapeDim::Known(n) => Dim::Known(*n),
                ReshapeDim::Rest if rest.replace(i).is_some() => {
                    return Err(self.error("one side left to compute", format!("{dims:?}")));
                }
                ReshapeDim::Rest => Dim::Known(1),
            });
        }
        // Sides that are kept cancel out; the others must be numbers to be checked.
        let kept = |i: usize| dims.get(i) == Some(&ReshapeDim::Keep);
        let product = |shape: &[Dim]| {
            shape
                .iter()
                .enumerate()
                .filter(|(i, _)| !kept(*i))
                .try_fold(1usize, |n, (_, d)| n.checked_mul(d.known()?))
        };
        let (have, want) = (product(&input.shape), product(&shape));
        match (have, want, rest) {
            (Some(have), Some(want), Some(i)) if want > 0 && have % want == 0 => shape[i] = Dim::Known(have / want),
            (Some(have), Some(want), None) if have == want => {}
            (None, _, Some(i)) => shape[i] = Dim::Unknown,
            (None, _, None) => {}
            _ => {
                return Err(self.error(
                    format!("as many elements as {}", dim::show(&input.shape)),
                    format!("{dims:?}"),
                ));
            }
        }
        Ok(self.like(0, shape))
    }
}
