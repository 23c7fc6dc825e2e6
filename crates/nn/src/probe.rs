//! Proof of the precision a device computes in.
//!
//! OpenVINO accepts an unknown precision and quietly computes in f32, and on a CPU with bf16 instructions it may choose
//! bf16 unasked. So a small picture goes through the loaded network and through the same network on the CPU provider,
//! and their difference must be that of the precision asked for.

use crate::error::{NnError, Result};
use crate::executable::{Executable, Program};
use crate::runtime::Runtime;
use crate::tensor::{DType, TensorView};
use crate::{DeviceChoice, LoadOptions, Precision, WeightsMode};

/// Largest relative difference of two f32 computations of the same network.
const F32_AT_MOST: f64 = 1e-4;
/// Smallest relative difference of a bf16 computation: it rounds to 8 bits.
const BF16_AT_LEAST: f64 = 2e-4;
/// Largest relative difference of a bf16 computation that still is one.
const BF16_AT_MOST: f64 = 0.2;

/// Side of the probe picture where the network leaves it open; enough for the deepest networks that are loaded.
const SIDES: [usize; 3] = [64, 128, 256];

/// Runs the probe. `None` when the inputs cannot be made up, which is an error if another precision than f32 was asked.
pub(crate) fn prove(
    runtime: &Runtime,
    executable: &mut Executable,
    program: Program<'_>,
    precision: Precision,
) -> Result<Option<f64>> {
    let options = LoadOptions {
        device: DeviceChoice::Cpu,
        weights: WeightsMode::Lean,
        threads: 1,
        ..Default::default()
    };
    let mut reference = Executable::load(runtime, program, &options)?;
    let mut difference = None;
    for side in SIDES {
        let Some(inputs) = make_inputs(executable, side) else {
            break;
        };
        let views: Vec<TensorView<'_>> = inputs
            .iter()
            .map(|(shape, data)| TensorView::f32(shape, data))
            .collect();
        // A side that does not fit the network is an error of the run; the next one may do.
        let (Ok(want), Ok(got)) = (reference.run_sized(&views), executable.run_sized(&views)) else {
            continue;
        };
        difference = want
            .first()
            .zip(got.first())
            .and_then(|((_, want), (_, got))| relative_rms(want, got));
        break;
    }
    let proved = match (difference, precision) {
        (Some(d), Precision::Bf16) => (BF16_AT_LEAST..=BF16_AT_MOST).contains(&d),
        (Some(d), _) => d <= F32_AT_MOST,
        (None, Precision::Bf16) => false,
        (None, _) => true,
    };
    if proved {
        return Ok(difference);
    }
    Err(NnError::PrecisionNotProved {
        asked: precision,
        difference: difference.unwrap_or(f64::NAN),
    })
}

/// Noise for every input; `None` where an input is no float tensor.
fn make_inputs(executable: &Executable, side: usize) -> Option<Vec<(Vec<usize>, Vec<f32>)>> {
    let mut state = 0x9e37_79b9_u32;
    executable
        .inputs()
        .iter()
        .map(|info| {
            if info.dtype != DType::F32 {
                return None;
            }
            let shape: Vec<usize> = info
                .shape
                .iter()
                .enumerate()
                .map(|(i, d)| d.known().unwrap_or(if i == 0 { 1 } else { side }))
                .collect();
            let count = crate::tensor::element_count(&shape).filter(|n| *n <= 1 << 24)?;
            let data = (0..count)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 8) as f32 / (1 << 24) as f32
                })
                .collect();
            Some((shape, data))
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
