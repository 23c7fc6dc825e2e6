//! Enlarging and shrinking. Bicubic by an exact ratio is one grouped convolution with a kernel for each phase: the
//! runtime's own cubic kernel runs on one thread and takes about 25 times as long.

use super::graph::Graph;
use super::proto::Attribute::{Float, Int, Ints, Text};
use crate::Dim;
use crate::error::{NnError, Result};
use crate::op::{Interpolation, ResizeTo, Scale};

/// Coefficient of the bicubic kernel: PyTorch's, OpenCV's and ncnn's.
const A: f64 = -0.75;

pub(super) fn resize(
    g: &mut Graph<'_>,
    mode: Interpolation,
    to: &[ResizeTo; 2],
    align_corners: bool,
    shape: &[Dim],
    x: String,
    out: &str,
) -> Result<()> {
    if let ([ResizeTo::Scale(y), ResizeTo::Scale(x_scale)], Interpolation::Bicubic, false) = (*to, mode, align_corners)
        && reduced(y) == reduced(x_scale)
    {
        let Scale { num, den } = reduced(y);
        let exact = shape.get(2..4).is_some_and(|s| s.iter().all(|d| d.divisible_by(den)));
        let channels = shape.get(1).and_then(Dim::known);
        if let (true, Some(channels), 1..=8, 1..=8) = (exact, channels, num, den) {
            return phases(g, channels, num, den, x, out);
        }
    }
    let mut args = vec![x, String::new()];
    match *to {
        [ResizeTo::Scale(y), ResizeTo::Scale(x)] => {
            let ratio = |s: Scale| s.num as f32 / s.den as f32;
            let name = format!("scales_{}_{}_{}_{}", y.num, y.den, x.num, x.den);
            args.push(g.floats(&name, &[ratio(y), ratio(x)])?);
        }
        _ => {
            let side = |i: usize| match to[i] {
                ResizeTo::Size(n) => Ok(n as i64),
                // One side by number and one by scale: the scaled one must be known.
                ResizeTo::Scale(s) => match shape.get(2 + i).and_then(Dim::known) {
                    Some(n) => Ok((n * s.num / s.den) as i64),
                    None => Err(NnError::Unsupported {
                        op: "resize".into(),
                        why: "one side is given as a number and the other as a scale of an unknown side".into(),
                    }),
                },
            };
            args.push(String::new());
            args.push(g.integers(&[side(0)?, side(1)?]));
        }
    }
    let centres = if align_corners { "align_corners" } else { "half_pixel" };
    let mut attributes = vec![("axes", Ints(vec![2, 3]))];
    match mode {
        Interpolation::Nearest => attributes.extend([
            ("mode", Text("nearest")),
            ("coordinate_transformation_mode", Text("asymmetric")),
            ("nearest_mode", Text("floor")),
        ]),
        Interpolation::Bilinear => {
            attributes.extend([
                ("mode", Text("linear")),
                ("coordinate_transformation_mode", Text(centres)),
            ]);
        }
        Interpolation::Bicubic => attributes.extend([
            ("mode", Text("cubic")),
            ("coordinate_transformation_mode", Text(centres)),
            ("cubic_coeff_a", Float(A as f32)),
        ]),
    }
    g.node_to("Resize", &args, out, &attributes);
    Ok(())
}

fn reduced(s: Scale) -> Scale {
    let (mut a, mut b) = (s.num, s.den);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let a = a.max(1);
    Scale {
        num: s.num / a,
        den: s.den / a,
    }
}

/// Taps of output phase `phase` of a scale `num / den`: first input offset from the block's first pixel, four weights.
fn taps(phase: usize, num: usize, den: usize) -> (i64, [f64; 4]) {
    let centre = (phase as f64 + 0.5) * den as f64 / num as f64 - 0.5;
    let first = centre.floor();
    let t = centre - first;
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    (first as i64 - 1, [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)])
}

/// `den` input pixels make `num` output pixels: a convolution with stride `den` and `num * num` phases a channel.
fn phases(g: &mut Graph<'_>, channels: usize, num: usize, den: usize, x: String, out: &str) -> Result<()> {
    let rows: Vec<(i64, [f64; 4])> = (0..num).map(|p| taps(p, num, den)).collect();
    let low = rows.iter().map(|(first, _)| *first).min().unwrap_or(0);
    let high = rows.iter().map(|(first, _)| first + 3).max().unwrap_or(0);
    let kernel = (high - low + 1) as usize;
    let mut weight = vec![0f32; channels * num * num * kernel * kernel];
    for c in 0..channels {
        for (i, (y0, wy)) in rows.iter().enumerate() {
            for (j, (x0, wx)) in rows.iter().enumerate() {
                let base = ((c * num + i) * num + j) * kernel * kernel;
                for (a, fy) in wy.iter().enumerate() {
                    for (b, fx) in wx.iter().enumerate() {
                        let at = ((y0 - low) as usize + a) * kernel + (x0 - low) as usize + b;
                        weight[base + at] = (fy * fx) as f32;
                    }
                }
            }
        }
    }
    let weight = g.derived(
        &format!("cubic_{channels}_{num}_{den}"),
        &[channels * num * num, 1, kernel, kernel],
        &weight,
    )?;
    let before = -low;
    let after = (high - (den as i64 - 1)).max(0);
    let pads = g.integers(&[0, 0, before, before, 0, 0, after, after]);
    let padded = g.node("Pad", &[x, pads], &[("mode", Text("edge"))]);
    let convolved = g.node(
        "Conv",
        &[padded, weight],
        &[
            ("kernel_shape", Ints(vec![kernel as i64; 2])),
            ("strides", Ints(vec![den as i64; 2])),
            ("group", Int(channels as i64)),
        ],
    );
    if num == 1 {
        g.node_to("Identity", &[convolved], out, &[]);
    } else {
        g.node_to(
            "DepthToSpace",
            &[convolved],
            out,
            &[("blocksize", Int(num as i64)), ("mode", Text("CRD"))],
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_taps_of_every_phase_sum_to_one() {
        for (num, den) in [(2, 1), (3, 1), (4, 1), (1, 2), (3, 4), (2, 3)] {
            for phase in 0..num {
                let (_, w) = taps(phase, num, den);
                assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{num}/{den} phase {phase}");
            }
        }
        assert_eq!(taps(0, 1, 2), (-1, [-0.09375, 0.59375, 0.59375, -0.09375]));
    }
}
