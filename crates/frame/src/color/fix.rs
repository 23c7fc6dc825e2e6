//! Colour transfer: a picture gets the colours of a reference of the same size and keeps its own detail.
//! What super-resolution and diffusion pipelines call colour fix. Planes are planar RGB in 0..1.

use crate::{FrameError, Size};

/// Gives each channel the mean and standard deviation of the reference (adaptive instance normalisation, unbiased
/// variance plus 1e-5). Both are three planes in a row, of any size.
///
/// # Errors
/// [`FrameError::BadParameter`] where a slice is not three planes of at least two pixels.
pub fn adain(content: &mut [f32], reference: &[f32]) -> Result<(), FrameError> {
    for (name, planes) in [("content", content.len()), ("reference", reference.len())] {
        if planes < 6 || planes % 3 != 0 {
            return Err(FrameError::BadParameter {
                name,
                expected: "three planes of at least two pixels",
                found: format!("{planes} values"),
            });
        }
    }
    let (plane, other) = (content.len() / 3, reference.len() / 3);
    for (content, reference) in content.chunks_exact_mut(plane).zip(reference.chunks_exact(other)) {
        let (mean, deviation) = statistics(content);
        let (to_mean, to_deviation) = statistics(reference);
        for value in content {
            *value = ((f64::from(*value) - mean) / deviation * to_deviation + to_mean) as f32;
        }
    }
    Ok(())
}

fn statistics(values: &[f32]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance + 1e-5).sqrt())
}

/// Keeps the detail of the content and takes the low frequencies of the reference: `levels` à-trous steps with the
/// kernel 1-2-1, dilation `2^i`, borders repeated. The result is not clamped.
///
/// # Errors
/// [`FrameError::BadParameter`] where a slice is not three planes of `size`, or for more than 16 levels.
pub fn wavelet(content: &mut [f32], reference: &[f32], size: Size, levels: u32) -> Result<(), FrameError> {
    size.check()?;
    let plane = size.width as usize * size.height as usize;
    for (name, found) in [("content", content.len()), ("reference", reference.len())] {
        if found != 3 * plane {
            return Err(FrameError::BadParameter {
                name,
                expected: "three planes of the given size",
                found: format!("{found} values for {size}"),
            });
        }
    }
    if levels > 16 {
        return Err(FrameError::BadParameter {
            name: "levels",
            expected: "at most 16",
            found: levels.to_string(),
        });
    }
    let mut own = vec![0.0; plane];
    let mut theirs = vec![0.0; plane];
    let mut across = vec![0.0; plane];
    for (content, reference) in content.chunks_exact_mut(plane).zip(reference.chunks_exact(plane)) {
        own.copy_from_slice(content);
        theirs.copy_from_slice(reference);
        for level in 0..levels {
            blur(&mut own, &mut across, size, 1 << level);
            blur(&mut theirs, &mut across, size, 1 << level);
        }
        // The high bands telescope: their sum is the picture minus its last low band.
        for ((value, own), theirs) in content.iter_mut().zip(&own).zip(&theirs) {
            *value += theirs - own;
        }
    }
    Ok(())
}

/// 1-2-1 both ways with a distance of `reach`, borders repeated.
fn blur(plane: &mut [f32], across: &mut [f32], size: Size, reach: usize) {
    let (width, height) = (size.width as usize, size.height as usize);
    for (row, out) in plane.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
        for (x, out) in out.iter_mut().enumerate() {
            let (left, right) = (x.saturating_sub(reach), (x + reach).min(width - 1));
            *out = 0.25 * row[left] + 0.5 * row[x] + 0.25 * row[right];
        }
    }
    for (y, out) in plane.chunks_exact_mut(width).enumerate() {
        let row = |y: usize| &across[y * width..][..width];
        let (above, here, below) = (row(y.saturating_sub(reach)), row(y), row((y + reach).min(height - 1)));
        for (((out, above), here), below) in out.iter_mut().zip(above).zip(here).zip(below) {
            *out = 0.25 * above + 0.5 * here + 0.25 * below;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_of_one_colour_sets_the_mean_and_leaves_the_detail() {
        let size = Size::new(6, 5);
        let content: Vec<f32> = (0..90).map(|i| (i * 37 % 101) as f32 / 101.0).collect();
        let mut same = content.clone();
        wavelet(&mut same, &content, size, 5).unwrap();
        for (got, want) in same.iter().zip(&content) {
            assert!((got - want).abs() < 1e-6);
        }
        let mut shifted = content.clone();
        adain(&mut shifted, &content.iter().map(|v| v * 0.5 + 0.2).collect::<Vec<_>>()).unwrap();
        for (got, want) in shifted.iter().zip(&content) {
            assert!((got - (want * 0.5 + 0.2)).abs() < 1e-4);
        }
    }

    #[test]
    fn slices_of_another_size_are_refused() {
        assert!(adain(&mut [0.0; 5], &[0.0; 6]).is_err());
        assert!(wavelet(&mut [0.0; 12], &[0.0; 12], Size::new(2, 3), 2).is_err());
        assert!(wavelet(&mut [0.0; 12], &[0.0; 12], Size::new(2, 2), 40).is_err());
    }
}
