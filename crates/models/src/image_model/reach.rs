//! How far a pixel of the result looks: the receptive radius, read from the graph.

use std::collections::HashMap;

use kinora_nn::{Interpolation, Net, Op, ResizeTo, Value};

use super::geometry::Geometry;

/// First and last index along one axis.
type Range = (i64, i64);

/// Largest distance in input pixels, on either axis, between an output pixel's place in the input and a pixel it
/// depends on. `None` where all pixels reach it (global pooling) or an operation's reach is not known.
///
/// The picture is taken to be so large that its borders are out of reach, and the walk goes backwards through the graph
/// for some neighbouring output pixels, since the phases of a pixel shuffle or a transposed convolution differ.
pub(super) fn receptive_radius(net: &Net, geometry: &Geometry, channels: usize) -> Option<usize> {
    let side = match geometry.fixed {
        Some((h, w)) => [h, w],
        None => [SIDE, SIDE],
    };
    let net = net.with_input_shapes(&[&[1, channels, side[0], side[1]]]).ok()?;
    let mut radius = 0;
    for axis in 0..2 {
        let out = net.outputs().first()?.shape.get(2 + axis)?.known()?;
        let middle = (out / 2) as i64;
        for at in middle..middle + PHASES {
            let (first, last) = input_range(&net, axis, at)?;
            // The input pixel under the output pixel, in the padded picture the network sees.
            let under = (at + geometry.lost as i64).div_euclid(geometry.scale as i64);
            radius = radius.max(under - first).max(last - under);
        }
    }
    usize::try_from(radius).ok()
}

const SIDE: usize = 1024;
/// Neighbouring output pixels that are followed; a multiple of every usual scale and stride.
const PHASES: i64 = 48;

/// Pixels by which a picture must be moved so that the result is the same, moved: 1 unless the network halves its
/// picture on the way. Tiles are exact only where they start at multiples of it.
pub(super) fn alignment(net: &Net) -> usize {
    let mut spacing: HashMap<Value, [(usize, usize); 2]> = net.input_values().map(|v| (v, [(1, 1); 2])).collect();
    let mut alignment = 1;
    for node in net.nodes() {
        let Some(&from) = node.inputs.iter().find_map(|v| spacing.get(v)) else {
            continue;
        };
        let mut to = from;
        for (axis, (num, den)) in to.iter_mut().enumerate() {
            let (wider, closer) = match &node.op {
                Op::Conv(c) => (c.stride[axis], 1),
                Op::Pool { stride, .. } => (stride[axis], 1),
                Op::PixelUnshuffle(r) => (*r, 1),
                Op::PixelShuffle { factor, .. } => (1, *factor),
                Op::ConvTranspose(c) => (1, c.stride[axis]),
                Op::Resize { to, .. } => match to[axis] {
                    ResizeTo::Scale(s) => (s.den, s.num),
                    ResizeTo::Size(_) => (1, 1),
                },
                _ => (1, 1),
            };
            (*num, *den) = reduced(*num * wider, *den * closer);
            alignment = lcm(alignment, *num);
        }
        for out in &node.outputs {
            spacing.insert(*out, to);
        }
    }
    alignment
}

fn gcd(mut a: usize, mut b: usize) -> usize {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

fn lcm(a: usize, b: usize) -> usize {
    a / gcd(a, b) * b
}

/// The fraction in lowest terms.
fn reduced(num: usize, den: usize) -> (usize, usize) {
    let common = gcd(num, den);
    (num / common, den / common)
}

fn input_range(net: &Net, axis: usize, at: i64) -> Option<Range> {
    let mut wanted: HashMap<Value, Range> = HashMap::from([(net.output_values().next()?, (at, at))]);
    for node in net.nodes().iter().rev() {
        let Some(&range) = node.outputs.first().and_then(|v| wanted.get(v)) else {
            continue;
        };
        let sources = match &node.op {
            Op::CropLike { .. } => node.inputs.get(..1)?,
            _ => node.inputs.as_slice(),
        };
        for source in sources {
            let shape = &net.type_of(*source).shape;
            // Values of one pixel are spread over all of the picture: what made them decides.
            let side = shape.get(2 + axis).and_then(kinora_nn::Dim::known).unwrap_or(1) as i64;
            let (first, last) = if side == 1 && shape.len() <= 4 {
                (0, 0)
            } else {
                before(&node.op, axis, range, side)?
            };
            let need = (first.max(0), last.min(side - 1));
            let known = wanted.entry(*source).or_insert(need);
            *known = (known.0.min(need.0), known.1.max(need.1));
        }
    }
    wanted.get(&net.input_values().next()?).copied()
}

/// The input range that a range of an operation's result needs along an axis of `side` pixels.
fn before(op: &Op, axis: usize, (first, last): Range, side: i64) -> Option<Range> {
    let kernel = |shape: &[usize]| shape.get(2 + axis).map(|n| *n as i64);
    Some(match op {
        Op::Conv(c) => {
            let (stride, dilation) = (c.stride[axis] as i64, c.dilation[axis] as i64);
            let pad = if axis == 0 { c.pads.top } else { c.pads.left } as i64;
            (
                first * stride - pad,
                last * stride - pad + (kernel(c.weight.shape())? - 1) * dilation,
            )
        }
        Op::ConvTranspose(c) => {
            let (stride, dilation) = (c.stride[axis] as i64, c.dilation[axis] as i64);
            let cut = if axis == 0 { c.pads.top } else { c.pads.left } as i64;
            let reach = (kernel(c.weight.shape())? - 1) * dilation;
            // o = i * stride - cut + k, k from 0 to reach.
            (
                -((reach - first - cut).div_euclid(stride)),
                (last + cut).div_euclid(stride),
            )
        }
        Op::Pool {
            kernel, stride, pads, ..
        } => {
            let pad = if axis == 0 { pads.top } else { pads.left } as i64;
            let (kernel, stride) = (kernel[axis] as i64, stride[axis] as i64);
            (first * stride - pad, last * stride - pad + kernel - 1)
        }
        Op::Activation(_) | Op::PRelu(_) | Op::Binary(..) | Op::Cast(_) => (first, last),
        Op::Concat { axis: joined } if *joined != 2 + axis => (first, last),
        Op::PixelShuffle { factor, .. } => (first.div_euclid(*factor as i64), last.div_euclid(*factor as i64)),
        Op::PixelUnshuffle(r) => (first * *r as i64, last * *r as i64 + *r as i64 - 1),
        Op::Resize {
            mode,
            to,
            align_corners: false,
        } => {
            let ResizeTo::Scale(s) = to[axis] else { return None };
            let (num, den) = (s.num as i64, s.den as i64);
            // Twice the centre, less one, over twice the scale: floor((i + 0.5) / scale - 0.5).
            let centre = |i: i64| ((2 * i + 1) * den - num).div_euclid(2 * num);
            match mode {
                Interpolation::Nearest => ((first * den).div_euclid(num), (last * den).div_euclid(num)),
                Interpolation::Bilinear => (centre(first), centre(last) + 1),
                Interpolation::Bicubic => (centre(first) - 1, centre(last) + 2),
            }
        }
        Op::Slice { axis: cut, start, .. } => {
            let start = if *start < 0 { side + start } else { *start };
            if *cut == 2 + axis {
                (first + start, last + start)
            } else {
                (first, last)
            }
        }
        Op::CropLike { offset } => (first + offset[axis] as i64, last + offset[axis] as i64),
        Op::Pad { sides, .. } => {
            let pad = if axis == 0 { sides.top } else { sides.left } as i64;
            (first - pad, last - pad)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use kinora_nn::{Conv, ConvTranspose, DType, Dim, NetBuilder, Sides, Weight};

    use super::*;
    use crate::ImageModelSpec;

    fn radius(build: impl Fn(&mut NetBuilder, Value) -> Value, pad: u32) -> Option<usize> {
        let mut b = NetBuilder::new("test");
        let shape = [
            Dim::symbol("batch"),
            3.into(),
            Dim::symbol("height"),
            Dim::symbol("width"),
        ];
        let x = b.input("x", DType::F32, &shape).unwrap();
        let y = build(&mut b, x);
        b.output("y", y).unwrap();
        let net = b.build().unwrap();
        let spec = ImageModelSpec {
            pad,
            ..Default::default()
        };
        let geometry = Geometry::of(
            None,
            256,
            &mut |h, w| {
                let shape = net.output_shapes(&[&[1, 3, h, w]])?.remove(0);
                Ok((shape[2], shape[3]))
            },
            Path::new("test"),
            &spec,
        )
        .unwrap();
        receptive_radius(&net, &geometry, 3)
    }

    fn conv(b: &mut NetBuilder, x: Value, name: &str, out: usize, pad: usize) -> Value {
        let weight = Weight::inline(name, &[out, 3, 3, 3], vec![0.0; out * 27]).unwrap();
        b.conv(
            x,
            Conv {
                pads: Sides::all(pad),
                ..Conv::new(weight, None)
            },
        )
        .unwrap()
    }

    #[test]
    fn each_3x3_convolution_adds_one_pixel() {
        let three = |b: &mut NetBuilder, x: Value| {
            let x = conv(b, x, "a", 3, 1);
            let x = conv(b, x, "b", 3, 1);
            let x = conv(b, x, "c", 12, 1);
            b.pixel_shuffle(x, 2).unwrap()
        };
        assert_eq!(radius(three, 0), Some(3));
    }

    #[test]
    fn valid_convolutions_and_a_transposed_one_are_followed() {
        let up = |b: &mut NetBuilder, x: Value| {
            let x = conv(b, x, "a", 3, 0);
            let weight = Weight::inline("up", &[3, 3, 4, 4], vec![0.0; 144]).unwrap();
            let pads = Sides::all(3);
            let up = ConvTranspose {
                weight,
                bias: None,
                stride: [2, 2],
                dilation: [1, 1],
                pads,
                output_padding: [0, 0],
                groups: 1,
                activation: Default::default(),
            };
            b.conv_transpose(x, up).unwrap()
        };
        // Two pixels of the convolution's result for each output pixel, three of the input for each of those.
        assert_eq!(radius(up, 2), Some(2));
    }

    #[test]
    fn a_global_pool_has_no_radius() {
        let pool = |b: &mut NetBuilder, x: Value| {
            let mean = b.global_pool(x, kinora_nn::PoolKind::Average).unwrap();
            b.mul(x, mean).unwrap()
        };
        assert_eq!(radius(pool, 0), None);
    }
}
