//! Every operation computes its definition, in both forms, with free and with fixed sizes.

use kinora_nn::{
    Activation, BinaryOp, Conv, ConvTranspose, DType, Dim, Executable, Form, Interpolation, LoadOptions, Net,
    NetBuilder, Op, Operand, PadMode, PoolKind, ReshapeDim, ResizeTo, Result, Runtime, Scale, ShuffleOrder, Sides,
    Value, Weight, lower,
};

use crate::support::{distance, net, noise, on_cpu, picture_shape, run, runtime};

const SHAPE: [usize; 4] = [2, 4, 8, 12];

/// Runs a network in both forms and for fixed sizes; all must agree. The result and its shape.
fn all_forms(runtime: &Runtime, label: &str, network: &Net, shape: &[usize], x: &[f32]) -> (Vec<usize>, Vec<f32>) {
    let out = network.output_shapes(&[shape]).unwrap().remove(0);
    let load = |network: &Net, form: Form| {
        let options = LoadOptions {
            form: Some(form),
            ..on_cpu()
        };
        Executable::load(runtime, network, &options).unwrap_or_else(|e| panic!("{label}: {e}"))
    };
    let plain = run(&mut load(network, Form::Plain), shape, x);
    let fixed = network.with_input_shapes(&[shape]).unwrap();
    for (what, network, form) in [
        ("cpu", network, Form::Cpu),
        ("fixed", &fixed, Form::Plain),
        ("fixed cpu", &fixed, Form::Cpu),
    ] {
        let other = run(&mut load(network, form), shape, x);
        let worst = distance(&plain, &other);
        assert!(worst < 3e-6, "{label}: the {what} form is {worst} off");
    }
    (out, plain)
}

fn check(
    runtime: &Runtime,
    label: &str,
    want: &dyn Fn(&[f32]) -> Vec<f32>,
    build: &dyn Fn(&mut NetBuilder, Value) -> Result<Value>,
) {
    let network = net(SHAPE[1], |b, x| build(b, x));
    let x = noise(SHAPE.iter().product(), 2.0);
    let (_, got) = all_forms(runtime, label, &network, &SHAPE, &x);
    let worst = distance(&got, &want(&x));
    assert!(worst < 5e-6, "{label}: {worst} off its definition");
}

/// Applies a function to each element, which is told its channel.
fn each(f: impl Fn(usize, f32) -> f32) -> impl Fn(&[f32]) -> Vec<f32> {
    let plane = SHAPE[2] * SHAPE[3];
    move |x| x.iter().enumerate().map(|(i, v)| f(i / plane % SHAPE[1], *v)).collect()
}

fn at(x: &[f32], n: usize, c: usize, y: usize, column: usize) -> f32 {
    x[((n * SHAPE[1] + c) * SHAPE[2] + y) * SHAPE[3] + column]
}

#[test]
fn activations() {
    let Some(runtime) = runtime() else { return };
    let sigmoid = |v: f32| 1.0 / (1.0 + (-v).exp());
    type Function = Box<dyn Fn(f32) -> f32>;
    let cases: Vec<(Activation, Function)> = vec![
        (Activation::Relu, Box::new(|v| v.max(0.0))),
        (
            Activation::LeakyRelu(0.1),
            Box::new(|v| if v < 0.0 { v * 0.1 } else { v }),
        ),
        (Activation::Clip(-0.5, 1.5), Box::new(|v| v.clamp(-0.5, 1.5))),
        (Activation::Sigmoid, Box::new(sigmoid)),
        (Activation::Silu, Box::new(move |v| v * sigmoid(v))),
        (Activation::Mish, Box::new(|v| v * v.exp().ln_1p().tanh())),
        (
            Activation::HardSwish { alpha: 0.2, beta: 0.5 },
            Box::new(|v| v * (0.2 * v + 0.5).clamp(0.0, 1.0)),
        ),
        (Activation::Tanh, Box::new(f32::tanh)),
    ];
    for (activation, f) in cases {
        check(&runtime, &format!("{activation:?}"), &each(|_, v| f(v)), &|b, x| {
            b.activation(x, activation)
        });
        // Fused into a convolution that copies its input.
        let copy: Vec<f32> = (0..16).map(|i| if i % 5 == 0 { 1.0 } else { 0.0 }).collect();
        check(
            &runtime,
            &format!("conv then {activation:?}"),
            &each(|_, v| f(v)),
            &|b, x| {
                b.conv(
                    x,
                    Conv {
                        activation,
                        ..Conv::new(Weight::inline("copy", &[4, 4, 1, 1], copy.clone())?, None)
                    },
                )
            },
        );
    }
}

#[test]
fn per_channel_slopes_of_any_sign_and_size() {
    let Some(runtime) = runtime() else { return };
    for slopes in [[0.25f32, -0.3, 0.0, 1.0], [1.7, -1.2, 0.5, 3.0], [0.2; 4], [1.5; 4]] {
        let leaky = each(|c, v| if v < 0.0 { v * slopes[c] } else { v });
        check(&runtime, &format!("prelu {slopes:?}"), &leaky, &|b, x| {
            b.prelu(x, Weight::inline("slopes", &[4], slopes.to_vec())?)
        });
    }
    let one = each(|_, v| if v < 0.0 { v * 1.25 } else { v });
    check(&runtime, "prelu with one slope", &one, &|b, x| {
        b.prelu(x, Weight::inline("slope", &[1], vec![1.25])?)
    });
}

#[test]
fn arithmetic_with_scalars_and_broadcasting() {
    let Some(runtime) = runtime() else { return };
    type Function = fn(f32, f32) -> f32;
    let cases: [(BinaryOp, Function); 6] = [
        (BinaryOp::Add, |a, b| a + b),
        (BinaryOp::Sub, |a, b| a - b),
        (BinaryOp::Mul, |a, b| a * b),
        (BinaryOp::Div, |a, b| a / b),
        (BinaryOp::Max, f32::max),
        (BinaryOp::Min, f32::min),
    ];
    for (op, f) in cases {
        check(
            &runtime,
            &format!("{op:?} scalar"),
            &each(|_, v| f(v, 0.75)),
            &|b, x| b.binary(op, x, Operand::Scalar(0.75)),
        );
        let row = [0.5, -1.5, 2.0, 0.25];
        check(
            &runtime,
            &format!("{op:?} per channel"),
            &each(|c, v| f(v, row[c])),
            &|b, x| {
                let row = b.constant(Weight::inline("row", &[1, 4, 1, 1], row.to_vec())?)?;
                b.binary(op, x, Operand::Value(row))
            },
        );
    }
    check(&runtime, "pow", &each(|_, v| v * v), &|b, x| {
        b.binary(BinaryOp::Pow, x, Operand::Scalar(2.0))
    });
}

#[test]
fn pixels_and_channels_change_places() {
    let Some(runtime) = runtime() else { return };
    for order in [ShuffleOrder::ChannelsOutermost, ShuffleOrder::ChannelsInnermost] {
        // Eight channels, the picture and its double, become two.
        let wide = |x: &[f32], n: usize, c: usize, y: usize, column: usize| {
            at(x, n, c % 4, y, column) * if c < 4 { 1.0 } else { 2.0 }
        };
        let reference = |x: &[f32]| {
            let mut out = Vec::new();
            for n in 0..2 {
                for c in 0..2 {
                    for i in 0..16 * 24 {
                        let (y, column) = (i / 24, i % 24);
                        let phase = y % 2 * 2 + column % 2;
                        let from = match order {
                            ShuffleOrder::ChannelsOutermost => c * 4 + phase,
                            ShuffleOrder::ChannelsInnermost => phase * 2 + c,
                        };
                        out.push(wide(x, n, from, y / 2, column / 2));
                    }
                }
            }
            out
        };
        check(&runtime, &format!("shuffle {order:?}"), &reference, &|b, x| {
            let double = b.binary(BinaryOp::Mul, x, Operand::Scalar(2.0))?;
            let both = b.concat(&[x, double], 1)?;
            b.push(Op::PixelShuffle { factor: 2, order }, &[both])
        });
    }
    check(
        &runtime,
        "unshuffle after shuffle is the picture",
        &|x| x.to_vec(),
        &|b, x| {
            let wide = b.pixel_unshuffle(x, 2)?;
            b.pixel_shuffle(wide, 2)
        },
    );
    check(
        &runtime,
        "unshuffle",
        &|x| {
            let mut out = Vec::new();
            for n in 0..2 {
                for c in 0..16 {
                    for i in 0..4 * 6 {
                        out.push(at(x, n, c / 4, i / 6 * 2 + c % 4 / 2, i % 6 * 2 + c % 2));
                    }
                }
            }
            out
        },
        &|b, x| b.pixel_unshuffle(x, 2),
    );
}

#[test]
fn an_enlarged_picture_is_added_before_the_shuffle() {
    let Some(runtime) = runtime() else { return };
    let twice = [ResizeTo::Scale(Scale { num: 2, den: 1 }); 2];
    for order in [ShuffleOrder::ChannelsOutermost, ShuffleOrder::ChannelsInnermost] {
        let reference = |x: &[f32]| {
            let mut out = Vec::new();
            for n in 0..2 {
                for c in 0..4 {
                    for i in 0..16 * 24 {
                        let (y, column) = (i / 24, i % 24);
                        let phase = y % 2 * 2 + column % 2;
                        // Sixteen channels of the shuffle: the picture by 1, 2, 3 and 4.
                        let from = match order {
                            ShuffleOrder::ChannelsOutermost => c * 4 + phase,
                            ShuffleOrder::ChannelsInnermost => phase * 4 + c,
                        };
                        let packed = at(x, n, from % 4, y / 2, column / 2) * (from / 4 + 1) as f32;
                        out.push(packed + at(x, n, c, y / 2, column / 2));
                    }
                }
            }
            out
        };
        for swapped in [false, true] {
            let build = |b: &mut NetBuilder, x: Value| -> Result<[Value; 3]> {
                let mut parts = vec![x];
                for by in [2.0, 3.0, 4.0] {
                    parts.push(b.binary(BinaryOp::Mul, x, Operand::Scalar(by))?);
                }
                let packed = b.concat(&parts, 1)?;
                let shuffled = b.push(Op::PixelShuffle { factor: 2, order }, &[packed])?;
                let enlarged = b.resize(x, Interpolation::Nearest, twice)?;
                let (left, right) = if swapped {
                    (enlarged, shuffled)
                } else {
                    (shuffled, enlarged)
                };
                Ok([
                    b.binary(BinaryOp::Add, left, Operand::Value(right))?,
                    shuffled,
                    enlarged,
                ])
            };
            let label = format!("sum before a shuffle {order:?}, swapped {swapped}");
            check(&runtime, &label, &reference, &|b, x| Ok(build(b, x)?[0]));
            let sum = lower(&net(SHAPE[1], |b, x| Ok(build(b, x)?[0])), Form::Plain).unwrap();
            assert!(
                !contains(&sum.bytes, "Resize"),
                "{label}: the picture is still enlarged"
            );
            // What somebody else needs too is still made.
            for other in [1, 2] {
                check(
                    &runtime,
                    &format!("{label}, with part {other} used twice"),
                    &|x| {
                        let sum = reference(x);
                        let part = sum.iter().enumerate().map(|(i, s)| {
                            let enlarged = at(x, i / 1536, i / 384 % 4, i % 384 / 24 / 2, i % 24 / 2);
                            if other == 1 { s - enlarged } else { enlarged }
                        });
                        sum.iter().zip(part).map(|(s, p)| s.max(p)).collect()
                    },
                    &|b, x| {
                        let made = build(b, x)?;
                        b.binary(BinaryOp::Max, made[0], Operand::Value(made[other]))
                    },
                );
            }
        }
    }
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|w| w == word.as_bytes())
}

/// The bicubic kernel with a = -0.75.
fn cubic(t: f64) -> f64 {
    let (a, t) = (-0.75, t.abs());
    match t {
        t if t <= 1.0 => ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0,
        t if t < 2.0 => ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a,
        _ => 0.0,
    }
}

/// Resizes by definition; `kernel` gives the weight of a tap at a distance, `reach` taps a side.
fn resized(scale: f64, reach: i64, kernel: impl Fn(f64) -> f64) -> impl Fn(&[f32]) -> Vec<f32> {
    move |x| {
        let side = |n: usize| (n as f64 * scale).floor() as usize;
        let taps = |o: usize| {
            let centre = (o as f64 + 0.5) / scale - 0.5;
            let first = centre.floor() as i64;
            (first - reach + 1..=first + reach)
                .map(|i| (i, kernel(centre - i as f64)))
                .collect::<Vec<_>>()
        };
        let mut out = Vec::new();
        for n in 0..2 {
            for c in 0..4 {
                for y in 0..side(8) {
                    for column in 0..side(12) {
                        let mut sum = 0.0;
                        for (i, wy) in taps(y) {
                            for (j, wx) in taps(column) {
                                let pixel = at(x, n, c, i.clamp(0, 7) as usize, j.clamp(0, 11) as usize);
                                sum += wy * wx * f64::from(pixel);
                            }
                        }
                        out.push(sum as f32);
                    }
                }
            }
        }
        out
    }
}

#[test]
fn resizing_by_exact_ratios() {
    let Some(runtime) = runtime() else { return };
    for (num, den) in [(2, 1), (3, 1), (4, 1), (1, 2), (3, 4), (3, 2)] {
        let scale = num as f64 / den as f64;
        let to = [ResizeTo::Scale(Scale { num, den }); 2];
        check(
            &runtime,
            &format!("bicubic {num}/{den}"),
            &resized(scale, 2, cubic),
            &|b, x| b.resize(x, Interpolation::Bicubic, to),
        );
        let triangle = |t: f64| (1.0 - t.abs()).max(0.0);
        check(
            &runtime,
            &format!("bilinear {num}/{den}"),
            &resized(scale, 1, triangle),
            &|b, x| b.resize(x, Interpolation::Bilinear, to),
        );
        let nearest = |x: &[f32]| {
            let side = |n: usize| n * num / den;
            let mut out = Vec::new();
            for plane in 0..8 {
                for i in 0..side(8) * side(12) {
                    let (y, column) = (i / side(12) * den / num, i % side(12) * den / num);
                    out.push(at(x, plane / 4, plane % 4, y, column));
                }
            }
            out
        };
        check(&runtime, &format!("nearest {num}/{den}"), &nearest, &|b, x| {
            b.resize(x, Interpolation::Nearest, to)
        });
    }
    let network = net(4, |b, x| {
        b.resize(x, Interpolation::Bilinear, [ResizeTo::Size(5), ResizeTo::Size(24)])
    });
    let (shape, _) = all_forms(&runtime, "to a size", &network, &SHAPE, &noise(768, 1.0));
    assert_eq!(shape, [2, 4, 5, 24]);
}

#[test]
fn convolutions_with_strides_dilations_groups_and_uneven_padding() {
    let Some(runtime) = runtime() else { return };
    let (kernel, bias) = (noise(8 * 2 * 3 * 2, 0.5), noise(8, 0.5));
    let pads = Sides {
        top: 1,
        left: 0,
        bottom: 2,
        right: 3,
    };
    let reference = |x: &[f32]| {
        let mut out = Vec::new();
        for n in 0..2 {
            for o in 0..8 {
                // height (8 + 3 - 4 - 1) / 2 + 1 = 4, width (12 + 3 - 1 - 1) / 1 + 1 = 14
                for y in 0..4i64 {
                    for column in 0..14i64 {
                        let mut sum = f64::from(bias[o]);
                        for c in 0..2 {
                            for i in 0..3i64 {
                                for j in 0..2i64 {
                                    let (py, px) = (y * 2 - 1 + i * 2, column + j);
                                    if (0..8).contains(&py) && (0..12).contains(&px) {
                                        let w = kernel[((o * 2 + c) * 3 + i as usize) * 2 + j as usize];
                                        sum += f64::from(w * at(x, n, o / 4 * 2 + c, py as usize, px as usize));
                                    }
                                }
                            }
                        }
                        out.push(sum as f32);
                    }
                }
            }
        }
        out
    };
    check(&runtime, "conv", &reference, &|b, x| {
        let conv = Conv {
            stride: [2, 1],
            dilation: [2, 1],
            pads,
            groups: 2,
            ..Conv::new(
                Weight::inline("w", &[8, 2, 3, 2], kernel.clone())?,
                Some(Weight::inline("b", &[8], bias.clone())?),
            )
        };
        b.conv(x, conv)
    });
    let kernel = noise(4 * 3 * 16, 0.5);
    let transposed = |x: &[f32]| {
        let mut out = vec![0.0f32; 2 * 3 * 16 * 24];
        for n in 0..2 {
            for c in 0..4 {
                for i in 0..96 {
                    for tap in 0..48 {
                        let (o, ky, kx) = (tap / 16, tap % 16 / 4, tap % 4);
                        let (y, column) = (i / 12 * 2 + ky, i % 12 * 2 + kx);
                        if (1..17).contains(&y) && (1..25).contains(&column) {
                            let to = ((n * 3 + o) * 16 + y - 1) * 24 + column - 1;
                            out[to] += kernel[c * 48 + tap] * at(x, n, c, i / 12, i % 12);
                        }
                    }
                }
            }
        }
        out
    };
    check(&runtime, "conv_transpose", &transposed, &|b, x| {
        b.conv_transpose(
            x,
            ConvTranspose {
                weight: Weight::inline("up", &[4, 3, 4, 4], kernel.clone())?,
                bias: None,
                stride: [2, 2],
                dilation: [1, 1],
                pads: Sides::all(1),
                output_padding: [0, 0],
                groups: 1,
                activation: Activation::None,
            },
        )
    });
}

#[test]
fn pools_crops_pads_and_shapes() {
    let Some(runtime) = runtime() else { return };
    let planes = |f: &dyn Fn(usize, usize) -> Vec<f32>| -> Vec<f32> { (0..8).flat_map(|p| f(p / 4, p % 4)).collect() };
    check(
        &runtime,
        "average of the plane",
        &|x| {
            let mean = planes(&|n, c| vec![(0..96).map(|i| at(x, n, c, i / 12, i % 12)).sum::<f32>() / 96.0]);
            x.iter().enumerate().map(|(i, v)| v * mean[i / 96]).collect()
        },
        &|b, x| {
            let mean = b.global_pool(x, PoolKind::Average)?;
            b.mul(x, mean)
        },
    );
    check(
        &runtime,
        "max pool with partial windows",
        &|x| {
            let window = |n, c, y: usize, column: usize| {
                let rows = (y * 3..(y * 3 + 3).min(8)).collect::<Vec<_>>();
                let columns = column * 5..(column * 5 + 5).min(12);
                columns
                    .flat_map(|j| rows.iter().map(move |i| at(x, n, c, *i, j)))
                    .fold(f32::MIN, f32::max)
            };
            planes(&|n, c| (0..9).map(|i| window(n, c, i / 3, i % 3)).collect())
        },
        &|b, x| {
            let op = Op::Pool {
                kind: PoolKind::Max,
                kernel: [3, 5],
                stride: [3, 5],
                pads: Sides::default(),
                ceil: true,
                include_pad: false,
            };
            b.push(op, &[x])
        },
    );
    check(
        &runtime,
        "slice with ends counted from the back",
        &|x| planes(&|n, c| (0..5 * 9).map(|i| at(x, n, c, i / 9 + 2, i % 9 + 3)).collect()),
        &|b, x| {
            let y = b.slice(x, 2, 2, -1)?;
            b.slice(y, 3, -9, 0)
        },
    );
    check(
        &runtime,
        "crop to the size of another",
        &|x| planes(&|n, c| (0..6 * 10).map(|i| at(x, n, c, i / 10 + 2, i % 10 + 1)).collect()),
        &|b, x| {
            let small = b.pool(x, PoolKind::Max, [3, 3], [1, 1], Sides::default())?;
            b.crop_like(x, small, [2, 1])
        },
    );
    type Index = fn(i64, i64) -> Option<i64>;
    let modes: [(PadMode, Index); 3] = [
        (PadMode::Reflect, |i, n| {
            Some(if i < 0 {
                -i
            } else if i >= n {
                2 * n - 2 - i
            } else {
                i
            })
        }),
        (PadMode::Edge, |i, n| Some(i.clamp(0, n - 1))),
        (PadMode::Constant(0.5), |i, n| (0..n).contains(&i).then_some(i)),
    ];
    for (mode, index) in modes {
        check(
            &runtime,
            &format!("pad {mode:?}"),
            &|x| {
                planes(&|n, c| {
                    (0..11 * 17)
                        .map(|i: i64| match (index(i / 17 - 1, 8), index(i % 17 - 3, 12)) {
                            (Some(y), Some(column)) => at(x, n, c, y as usize, column as usize),
                            _ => 0.5,
                        })
                        .collect()
                })
            },
            &|b, x| {
                b.pad(
                    x,
                    mode,
                    Sides {
                        top: 1,
                        left: 3,
                        bottom: 2,
                        right: 2,
                    },
                )
            },
        );
    }
    check(&runtime, "reshape and transpose and back", &|x| x.to_vec(), &|b, x| {
        let turned = b.transpose(x, &[0, 2, 3, 1])?;
        let turned = b.transpose(turned, &[0, 3, 1, 2])?;
        b.reshape(
            turned,
            &[
                ReshapeDim::Keep,
                ReshapeDim::Known(4),
                ReshapeDim::Keep,
                ReshapeDim::Keep,
            ],
        )
    });
    check(
        &runtime,
        "concat",
        &|x| x.chunks_exact(384).flat_map(|n| [n, n].concat()).collect(),
        &|b, x| b.concat(&[x, x], 1),
    );
    check(&runtime, "cast", &each(|_, v| v.trunc()), &|b, x| {
        let whole = b.cast(x, DType::I64)?;
        b.cast(whole, DType::F32)
    });
}

#[test]
fn a_network_that_does_not_fit_names_operation_and_shapes() {
    let weight = |name: &str, shape: &[usize]| Weight::inline(name, shape, vec![0.0; shape.iter().product()]).unwrap();
    let mut b = NetBuilder::new("bad");
    let x = b.input("x", DType::F32, &picture_shape(3)).unwrap();
    let text = |r: Result<Value>| r.unwrap_err().to_string();
    b.label("body.0");
    assert_eq!(
        text(b.conv(x, Conv::new(weight("body.0.weight", &[8, 4, 3, 3]), None))),
        "conv `body.0`: expected 4 input channels (weight `body.0.weight` [8, 4, 3, 3], 1 groups), got f32 [batch, 3, height, width]"
    );
    assert_eq!(
        text(b.conv(x, Conv::new(weight("w", &[8, 3, 3, 3]), Some(weight("b", &[9]))))),
        "conv `conv_0`: expected a bias [8], got `b` [9]"
    );
    assert_eq!(
        text(b.pixel_shuffle(x, 2)),
        "pixel_shuffle `pixel_shuffle_0`: expected channels in multiples of 4, got f32 [batch, 3, height, width]"
    );
    let y = b.conv(x, Conv::new(weight("w2", &[3, 3, 3, 3]), None)).unwrap();
    assert_eq!(
        text(b.add(x, y)),
        "add `add_1`: expected a second operand that broadcasts to f32 [batch, 3, height, width], got f32 [batch, 3, height-2, width-2]"
    );
    assert_eq!(
        text(b.prelu(x, weight("s", &[4]))),
        "prelu `prelu_1`: expected slopes [1] or [3], got `s` [4]"
    );
    assert_eq!(
        text(b.conv(x, Conv::new(weight("w2", &[3, 3, 1, 1]), None))),
        "two different weights are named `w2`"
    );
    let mut other = NetBuilder::new("other");
    assert_eq!(
        text(other.add(y, y)),
        "network `other`: expected one of its 0 values, got %1, of another network"
    );
    b.output("y", y).unwrap();
    let network = b.build().unwrap();
    assert_eq!(
        network.output_shapes(&[&[1, 3, 2, 9]]).unwrap_err().to_string(),
        "conv `conv_0`: expected a height large enough for it, got 2"
    );
    assert_eq!(
        network.to_string(),
        "net bad\n  %0 = input x: f32 [batch, 3, height, width]\n  %1 = conv(%0) w2[3, 3, 3, 3] stride=1x1 dilation=1x1 \
         pads=0,0,0,0 groups=1 -> f32 [batch, 3, height-2, width-2]  # conv_0\n  output y = %1\n"
    );
}

#[test]
fn a_slice_of_extreme_ends_is_refused() {
    let mut b = NetBuilder::new("slice");
    let x = b
        .input(
            "x",
            DType::F32,
            &[Dim::symbol("n"), 3.into(), Dim::symbol("h"), 4.into()],
        )
        .unwrap();
    for axis in 1..4 {
        for (start, end) in [(1, i64::MIN), (i64::MAX, i64::MIN)] {
            assert!(
                b.slice(x, axis, start, end).is_err(),
                "side {axis} from {start} to {end}"
            );
        }
    }
}
