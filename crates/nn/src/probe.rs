//! Proof of the precision a device computes in.
//!
//! OpenVINO accepts an unknown precision and quietly computes in f32, and on a CPU with bf16 instructions it may choose
//! bf16 unasked. So a picture goes through the loaded network and through the same network on the CPU provider. Networks
//! differ in how much they enlarge a small difference; the measure is the network's own: how far its f32 result moves
//! when nothing but the input is rounded to bf16. A device that computes in f32 stays far below that, one that computes
//! in bf16 does not.

use crate::error::{NnError, Result};
use crate::executable::{Executable, Program};
use crate::report::Proof;
use crate::runtime::Runtime;
use crate::tensor::{DType, Elements, TensorView};
use crate::{DeviceChoice, LoadOptions, Precision, WeightsMode};

/// Share of the rounded input's effect that an f32 computation may differ by. Measured on ten published networks: f32
/// differs by at most 0.0013 of it, bf16 by at least 0.66.
const F32_SHARE: f64 = 0.05;
/// What two f32 computations may always differ by: rounding in another order.
const F32_FLOOR: f64 = 2e-6;
/// Largest relative difference to f32 at which a result is still the same picture (20 dB below the signal).
const TOO_COARSE: f64 = 0.1;

/// Side of the probe picture where the network leaves it open; enough for the deepest networks that are loaded.
const SIDES: [usize; 3] = [64, 128, 256];

/// Runs the probe. What cannot be probed is an error if another precision than f32 was asked.
pub(crate) fn prove(
    runtime: &Runtime,
    executable: &mut Executable,
    program: Program<'_>,
    precision: Precision,
) -> Result<Proof> {
    let options = LoadOptions {
        device: DeviceChoice::Cpu,
        weights: WeightsMode::Lean,
        threads: 1,
        ..Default::default()
    };
    let mut reference = Executable::load(runtime, program, &options)?;
    let bytes = executable.outputs().first().is_some_and(|o| o.dtype == DType::U8);
    let difference = if bytes { relative_mean } else { relative_rms };
    let mut found = None;
    for side in SIDES {
        let Some(inputs) = make_inputs(executable, side) else {
            break;
        };
        let moved: Vec<_> = inputs.iter().map(Picture::moved).collect();
        let run = |executable: &mut Executable, inputs: &[Picture]| {
            let views: Vec<TensorView<'_>> = inputs.iter().map(Picture::view).collect();
            executable
                .run_sized(&views)
                .ok()
                .and_then(|mut results| (!results.is_empty()).then(|| results.remove(0).1))
        };
        // A side that does not fit the network is an error of the run; the next one may do.
        let Some(want) = run(&mut reference, &inputs) else {
            continue;
        };
        let (Some(moved), Some(got)) = (run(&mut reference, &moved), run(executable, &inputs)) else {
            continue;
        };
        found = difference(&want, &moved).zip(difference(&want, &got));
        break;
    }
    let Some((scale, difference)) = found else {
        return match precision {
            Precision::Bf16 => Err(NnError::NotProbed { asked: precision }),
            Precision::F32 | Precision::Auto => Ok(Proof::Impossible),
        };
    };
    let is_f32 = difference <= (F32_SHARE * scale).max(F32_FLOOR);
    match (precision, is_f32) {
        (Precision::Bf16, false) if difference > TOO_COARSE => Err(NnError::TooCoarse {
            asked: precision,
            difference,
        }),
        (Precision::Bf16, false) | (Precision::F32 | Precision::Auto, true) => Ok(Proof::Probed(difference)),
        _ => Err(NnError::PrecisionNotProved {
            asked: precision,
            difference,
        }),
    }
}

/// A made-up input.
struct Picture {
    shape: Vec<usize>,
    values: Values,
}

enum Values {
    F32(Vec<f32>),
    U8(Vec<u8>),
}

impl Picture {
    fn view(&self) -> TensorView<'_> {
        let data = match &self.values {
            Values::F32(values) => Elements::F32(values),
            Values::U8(values) => Elements::U8(values),
        };
        TensorView {
            shape: &self.shape,
            data,
        }
    }

    /// The same with the mantissa of bf16. Bytes have no more than that: one of 31 moves by a level instead, which moves
    /// the picture by as much.
    fn moved(&self) -> Self {
        let values = match &self.values {
            Values::F32(values) => Values::F32(values.iter().map(|v| half::bf16::from_f32(*v).to_f32()).collect()),
            Values::U8(values) => {
                let moved = values.iter().enumerate();
                Values::U8(moved.map(|(i, v)| if i % 31 == 0 { v ^ 1 } else { *v }).collect())
            }
        };
        Self {
            shape: self.shape.clone(),
            values,
        }
    }
}

/// A picture for every input: soft waves, an edge and a little noise, in 0..1 or in levels. `None` where an input is
/// neither of floats nor of bytes.
fn make_inputs(executable: &Executable, side: usize) -> Option<Vec<Picture>> {
    let mut state = 0x9e37_79b9_u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    executable
        .inputs()
        .iter()
        .map(|info| {
            let sides = info.shape.iter().enumerate();
            let shape: Vec<usize> = sides
                .map(|(i, d)| d.known().unwrap_or(if i == 0 { 1 } else { side }))
                .collect();
            let count = crate::tensor::element_count(&shape).filter(|n| *n <= 1 << 24)?;
            let width = shape.last().copied().unwrap_or(1).max(1);
            let height = shape.iter().rev().nth(1).copied().unwrap_or(1).max(1);
            let pixel = |i: usize| {
                let (x, y, plane) = (
                    (i % width) as f32,
                    (i / width % height) as f32,
                    (i / width / height) as f32,
                );
                let waves = (0.21 * x + 0.13 * y + plane).sin() + (0.07 * x - 0.17 * y).sin();
                let edge = if x + 2.0 * y > 1.4 * width as f32 { 0.15 } else { -0.15 };
                0.5 + 0.12 * waves + edge
            };
            let mut data = (0..count).map(|i| pixel(i) + 0.02 * noise());
            let values = match info.dtype {
                DType::F32 => Values::F32(data.collect()),
                DType::U8 => Values::U8(data.by_ref().map(|v| (v * 255.0) as u8).collect()),
                DType::I64 => return None,
            };
            Some(Picture { shape, values })
        })
        .collect()
}

fn relative_rms(want: &[f32], got: &[f32]) -> Option<f64> {
    if want.len() != got.len() || want.is_empty() {
        return None;
    }
    let square = |x: f64| x * x;
    let signal: f64 = want.iter().map(|x| square(f64::from(*x))).sum();
    let error: f64 = want
        .iter()
        .zip(got)
        .map(|(a, b)| square(f64::from(*a) - f64::from(*b)))
        .sum();
    (signal > 0.0 && error.is_finite()).then(|| (error / signal).sqrt())
}

/// As [`relative_rms`], for bytes: rounding makes rare steps of what are small differences, and only their mean is in
/// proportion to them.
fn relative_mean(want: &[f32], got: &[f32]) -> Option<f64> {
    if want.len() != got.len() || want.is_empty() {
        return None;
    }
    let signal: f64 = want.iter().map(|x| f64::from(x.abs())).sum();
    let error: f64 = want.iter().zip(got).map(|(a, b)| f64::from((a - b).abs())).sum();
    (signal > 0.0 && error.is_finite()).then(|| error / signal)
}
