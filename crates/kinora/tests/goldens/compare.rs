//! Tensors against tensors, in f64. The result is the error over the tolerance: at most 1 passes.

use crate::{
    rule::Rule,
    tensor::{Tensor, Values},
};

/// Compares an output with its golden.
///
/// # Errors
/// What differs, in words.
pub fn compare(want: &Tensor, got: &Tensor, rule: &Rule) -> Result<f64, String> {
    if want.shape != got.shape {
        return Err(format!("shape {:?}, expected {:?}", got.shape, want.shape));
    }
    if want.dtype != got.dtype {
        return Err(format!("dtype {}, expected {}", got.dtype, want.dtype));
    }
    let error = match (&want.values, &got.values) {
        (Values::Integer(want_values), Values::Integer(got_values)) => {
            if want.dtype == "bool" {
                equal(want_values, got_values)
            } else {
                integers(want_values, got_values, rule, peak(want.dtype))
            }
        }
        (Values::Float(want), Values::Float(got)) => {
            check_not_numbers(want, got)?;
            floats(want, got, rule)
        }
        _ => return Err("floats against integers".to_owned()),
    };
    if error <= 1.0 {
        Ok(error)
    } else {
        Err(format!("error over tolerance {error:.4} ({})", worst(want, got)))
    }
}

fn peak(dtype: &str) -> f64 {
    match dtype {
        "uint8" => 255.0,
        "uint16" => 65535.0,
        _ => 1.0,
    }
}

fn equal(want: &[i64], got: &[i64]) -> f64 {
    if want == got { 0.0 } else { f64::INFINITY }
}

fn integers(want: &[i64], got: &[i64], rule: &Rule, peak: f64) -> f64 {
    let differences: Vec<f64> = want
        .iter()
        .zip(got)
        .map(|(want, got)| got.abs_diff(*want) as f64)
        .collect();
    // `rel` never applies to integers, and `abs` below 1 means equal.
    let abs = rule.abs.filter(|abs| *abs >= 1.0);
    let bounds: Vec<f64> = vec![abs.unwrap_or(0.0); want.len()];
    let mut error = elements(&differences, &bounds, rule, abs.is_some());
    let only_quality =
        rule.psnr.is_some() && rule.abs.is_none() && rule.exact_fraction.is_none() && rule.max_abs.is_none();
    if only_quality {
        error = 0.0;
    }
    error.max(quality(&differences, rule, peak))
}

fn floats(want: &[f64], got: &[f64], rule: &Rule) -> f64 {
    let differences: Vec<f64> = want
        .iter()
        .zip(got)
        // Equal infinities and two NaN are no difference.
        .map(|(want, got)| {
            if want == got || want.is_nan() {
                0.0
            } else {
                (got - want).abs()
            }
        })
        .collect();
    let (abs, rel) = (rule.abs.unwrap_or(0.0), rule.rel.unwrap_or(0.0));
    let bounds: Vec<f64> = want
        .iter()
        .map(|want| if want.is_finite() { abs + rel * want.abs() } else { abs })
        .collect();
    let given = rule.abs.is_some() || rule.rel.is_some();
    let only_quality = rule.psnr.is_some() && !given && rule.exact_fraction.is_none() && rule.max_abs.is_none();
    let error = if only_quality {
        0.0
    } else {
        elements(&differences, &bounds, rule, given)
    };
    error.max(quality(&differences, rule, 1.0))
}

/// The element-wise parts of a rule.
fn elements(differences: &[f64], bounds: &[f64], rule: &Rule, bounded: bool) -> f64 {
    let over = |difference: f64, bound: f64| {
        if difference == 0.0 {
            0.0
        } else if bound > 0.0 {
            difference / bound
        } else {
            f64::INFINITY
        }
    };
    let mut error = match rule.exact_fraction {
        Some(fraction) => {
            let outside = if bounded {
                differences
                    .iter()
                    .zip(bounds)
                    .filter(|(difference, bound)| difference > bound)
                    .count()
            } else {
                differences.iter().filter(|difference| **difference != 0.0).count()
            };
            let share = outside as f64 / differences.len().max(1) as f64;
            // A share such as 0.995 is no exact float: half an element of slack is none.
            let allowed = (1.0 - fraction).max(0.0) + 1e-12;
            if outside == 0 { 0.0 } else { share / allowed }
        }
        None if rule.max_abs.is_some() && !bounded => 0.0,
        None => differences
            .iter()
            .zip(bounds)
            .map(|(difference, bound)| over(*difference, *bound))
            .fold(0.0, f64::max),
    };
    if let Some(max_abs) = rule.max_abs {
        let furthest = differences.iter().copied().fold(0.0, f64::max);
        // Within the bound is within; how near to it says nothing beside the share.
        if furthest > max_abs {
            error = error.max(over(furthest, max_abs));
        }
    }
    error
}

fn quality(differences: &[f64], rule: &Rule, peak: f64) -> f64 {
    let Some(bar) = rule.psnr else { return 0.0 };
    let mean = differences
        .iter()
        .map(|difference| difference * difference)
        .sum::<f64>()
        / differences.len().max(1) as f64;
    if mean == 0.0 {
        return 0.0;
    }
    let psnr = 10.0 * (peak * peak / mean).log10();
    if psnr > 0.0 { bar / psnr } else { f64::INFINITY }
}

fn check_not_numbers(want: &[f64], got: &[f64]) -> Result<(), String> {
    for (at, (want, got)) in want.iter().zip(got).enumerate() {
        if want.is_nan() != got.is_nan() {
            return Err(format!("element {at} is {got}, expected {want}"));
        }
        if (want.is_infinite() || got.is_infinite()) && want != got {
            return Err(format!("element {at} is {got}, expected {want}"));
        }
    }
    Ok(())
}

/// The element that is furthest off, for the message.
fn worst(want: &Tensor, got: &Tensor) -> String {
    let wide = |tensor: &Tensor| -> Vec<f64> {
        match &tensor.values {
            Values::Float(values) => values.clone(),
            Values::Integer(values) => values.iter().map(|v| *v as f64).collect(),
        }
    };
    let (want, got) = (wide(want), wide(got));
    let off = |at: &usize| (got[*at] - want[*at]).abs();
    let differing = (0..want.len()).filter(|at| off(at) > 0.0).count();
    let furthest = (0..want.len()).max_by(|a, b| off(a).total_cmp(&off(b)));
    furthest.map_or_else(String::new, |at| {
        format!(
            "{differing} of {} differ, furthest element {at}: {}, expected {}",
            want.len(),
            got[at],
            want[at]
        )
    })
}
