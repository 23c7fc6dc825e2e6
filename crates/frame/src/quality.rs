//! How near two pictures are: PSNR and SSIM.

use crate::{FrameError, Size};

/// Peak signal-to-noise ratio in dB of samples whose white is `peak`; infinite for equal pictures, NaN for none.
///
/// # Errors
/// [`FrameError::BadParameter`] for slices of different length.
pub fn psnr<T: Copy + Into<f64>>(a: &[T], b: &[T], peak: f64) -> Result<f64, FrameError> {
    Ok(10.0 * (peak * peak / mean_squared_error(a, b)?).log10())
}

/// Mean of squared differences, in f64.
///
/// # Errors
/// [`FrameError::BadParameter`] for slices of different length.
pub fn mean_squared_error<T: Copy + Into<f64>>(a: &[T], b: &[T]) -> Result<f64, FrameError> {
    same_length(a.len(), b.len())?;
    let sum: f64 = a.iter().zip(b).map(|(a, b)| ((*a).into() - (*b).into()).powi(2)).sum();
    Ok(sum / a.len() as f64)
}

fn same_length(a: usize, b: usize) -> Result<(), FrameError> {
    if a == b {
        return Ok(());
    }
    Err(FrameError::BadParameter {
        name: "second picture",
        expected: "of the size of the first",
        found: format!("{b} samples for {a}"),
    })
}

/// The window that SSIM is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SsimWindow {
    /// 7x7 mean, sample covariance: scikit-image's default.
    Uniform,
    /// Gaussian of sigma 1.5 cut at 3.5 sigma (11x11), population covariance: Wang et al. 2004.
    #[default]
    Gaussian,
}

impl SsimWindow {
    fn weights(self) -> Vec<f64> {
        match self {
            Self::Uniform => vec![1.0 / 7.0; 7],
            Self::Gaussian => {
                let weights: Vec<f64> = (-5i32..=5).map(|x| (-0.5 * f64::from(x * x) / 2.25).exp()).collect();
                let sum: f64 = weights.iter().sum();
                weights.into_iter().map(|weight| weight / sum).collect()
            }
        }
    }
}

/// Structural similarity of two pictures of interleaved samples, the mean over channels and over the pixels whose
/// window lies inside the picture. `peak` is the value of white.
///
/// # Errors
/// [`FrameError::BadParameter`] for slices of another length, or a picture smaller than the window (7 or 11 pixels).
pub fn ssim<T: Copy + Into<f64>>(
    a: &[T],
    b: &[T],
    size: Size,
    channels: usize,
    peak: f64,
    window: SsimWindow,
) -> Result<f64, FrameError> {
    same_length(a.len(), b.len())?;
    let (width, height) = (size.width as usize, size.height as usize);
    if channels == 0
        || width
            .checked_mul(height)
            .and_then(|pixels| pixels.checked_mul(channels))
            != Some(a.len())
    {
        return Err(FrameError::BadParameter {
            name: "picture",
            expected: "width x height x channels samples",
            found: format!("{} samples for {size} x {channels}", a.len()),
        });
    }
    let weights = window.weights();
    if width < weights.len() || height < weights.len() {
        return Err(FrameError::BadParameter {
            name: "picture for SSIM",
            expected: "at least as large as the window (7 or 11 pixels a side)",
            found: size.to_string(),
        });
    }
    let plane = |samples: &[T], channel: usize| -> Vec<f64> {
        samples[channel..]
            .iter()
            .step_by(channels)
            .map(|sample| (*sample).into())
            .collect()
    };
    let total: f64 = (0..channels)
        .map(|channel| plane_ssim(&plane(a, channel), &plane(b, channel), size, peak, window, &weights))
        .sum();
    Ok(total / channels as f64)
}

fn plane_ssim(a: &[f64], b: &[f64], size: Size, peak: f64, window: SsimWindow, weights: &[f64]) -> f64 {
    let product = |x: &[f64], y: &[f64]| -> Vec<f64> { x.iter().zip(y).map(|(x, y)| x * y).collect() };
    let mean = |plane: &[f64]| inner_means(plane, size.width as usize, weights);
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mean_aa, mean_bb, mean_ab) = (mean(&product(a, a)), mean(&product(b, b)), mean(&product(a, b)));
    let unbias = match window {
        SsimWindow::Uniform => 49.0 / 48.0,
        SsimWindow::Gaussian => 1.0,
    };
    let (c1, c2) = ((0.01 * peak).powi(2), (0.03 * peak).powi(2));
    let sum: f64 = (0..mean_a.len())
        .map(|at| {
            let (ma, mb) = (mean_a[at], mean_b[at]);
            let (va, vb) = (unbias * (mean_aa[at] - ma * ma), unbias * (mean_bb[at] - mb * mb));
            let cov = unbias * (mean_ab[at] - ma * mb);
            ((2.0 * ma * mb + c1) * (2.0 * cov + c2)) / ((ma * ma + mb * mb + c1) * (va + vb + c2))
        })
        .sum();
    sum / mean_a.len() as f64
}

/// Weighted means of the windows that lie inside.
fn inner_means(plane: &[f64], width: usize, weights: &[f64]) -> Vec<f64> {
    let reach = weights.len() - 1;
    let inner = width - reach;
    let across: Vec<f64> = plane
        .chunks_exact(width)
        .flat_map(|row| {
            row.windows(weights.len())
                .map(|w| w.iter().zip(weights).map(|(v, w)| v * w).sum())
        })
        .collect();
    let rows = plane.len() / width - reach;
    let mut out = vec![0.0; inner * rows];
    for (y, out) in out.chunks_exact_mut(inner).enumerate() {
        for (k, weight) in weights.iter().enumerate() {
            for (out, value) in out.iter_mut().zip(&across[(y + k) * inner..]) {
                *out += weight * value;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(offset: usize) -> Vec<u8> {
        (0..20 * 16 * 3).map(|i| ((i + offset) * 7 % 251) as u8).collect()
    }

    #[test]
    fn equal_pictures_are_infinitely_near_and_others_are_not() {
        let size = Size::new(20, 16);
        let (a, b) = (ramp(0), ramp(5));
        assert_eq!(psnr(&a, &a, 255.0).unwrap(), f64::INFINITY);
        for window in [SsimWindow::Uniform, SsimWindow::Gaussian] {
            assert!((ssim(&a, &a, size, 3, 255.0, window).unwrap() - 1.0).abs() < 1e-12);
            assert!(ssim(&a, &b, size, 3, 255.0, window).unwrap() < 0.9);
        }
    }

    #[test]
    fn a_difference_of_one_level_everywhere_is_48_db() {
        let a = vec![10u8; 100];
        let b = vec![11u8; 100];
        assert!((psnr(&a, &b, 255.0).unwrap() - 48.130_803_6).abs() < 1e-6);
    }

    #[test]
    fn pictures_that_do_not_match_are_refused() {
        assert!(psnr(&[0u8; 3], &[0u8; 4], 255.0).is_err());
        assert!(ssim(&[0u8; 36], &[0u8; 36], Size::new(6, 6), 1, 255.0, SsimWindow::Uniform).is_err());
        assert!(ssim(&[0u8; 36], &[0u8; 36], Size::new(6, 7), 1, 255.0, SsimWindow::Uniform).is_err());
    }
}
