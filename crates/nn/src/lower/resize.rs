//! Enlarging and shrinking. Bicubic by an exact ratio is one grouped convolution with a kernel for each phase: the
//! runtime's own cubic kernel runs on one thread and takes about 25 times as long.

use super::graph::Graph;
use super::proto::Attribute::{Float, Int, Ints, Text};
use crate::Dim;
use crate::error::Result;
use crate::op::{Interpolation, Scale};

/// Coefficient of the bicubic kernel: PyTorch's, OpenCV's and ncnn's.
const A: f64 = -0.75;

pub(super) fn resize(
    g: &mut Graph<'_>,
    mode: Interpolation,
    scale: &[Scale; 2],
    shape: &[Dim],
    x: String,
    out: &str,
) -> Result<()> {
    if mode == Interpolation::Bicubic && scale[0] == scale[1] {
        let Scale { num, den } = reduced(scale[0]);
        let exact = shape.get(2..4).is_some_and(|s| s.iter().all(|d| d.divisible_by(den)));
        let channels = shape.get(1).and_then(Dim::known);
        if let (true, Some(channels), 1..=8, 1..=8) = (exact, channels, num, den) {
            return phases(g, channels, num, den, x, out);
        }
    }
    let name = format!("scales_{}_{}_{}_{}", scale[0].num, scale[0].den, scale[1].num, scale[1].den);
    let ratio = |s: &Scale| s.num as f32 / s.den as f32;
    let scales = g.floats(&name, &[1.0, 1.0, ratio(&scale[0]), ratio(&scale[1])])?;
    let args = [x, String::new(), scales];
    match mode {
        Interpolation::Nearest => g.node_to(
            "Resize",
            &args,
            out,
            &[
                ("mode", Text("nearest")),
                ("coordinate_transformation_mode", Text("asymmetric")),
                ("nearest_mode", Text("floor")),
            ],
        ),
        Interpolation::Bilinear => g.node_to(
            "Resize",
            &args,
            out,
            &[("mode", Text("linear")), ("coordinate_transformation_mode", Text("half_pixel"))],
        ),
        Interpolation::Bicubic => g.node_to(
            "Resize",
            &args,
            out,
            &[
                ("mode", Text("cubic")),
                ("coordinate_transformation_mode", Text("half_pixel")),
                ("cubic_coeff_a", Float(A as f32)),
            ],
        ),
    }
    Ok(())
}

fn reduced(s: Scale) -> Scale {
    let (mut a, mut b) = (s.num, s.den);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let a = a.max(1);
    Scale { num: s.num / a, den: s.den / a }
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
    let weight = g.derived(&format!("cubic_{channels}_{num}_{den}"), &[channels * num * num, 1, kernel, kernel], &weight)?;
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
        g.node_to("DepthToSpace", &[convolved], out, &[("blocksize", Int(num as i64)), ("mode", Text("CRD"))]);
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
