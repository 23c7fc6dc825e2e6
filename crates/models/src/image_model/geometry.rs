//! How the output of a network lies over its input.

use std::path::Path;

use kinora_nn::{Dim, Net};

use crate::ImageModelSpec;
use crate::error::{ModelError, Result};

/// Most pixels that are added at the bottom and the right to reach a size that suits a network.
const MAX_EXTRA: usize = 64;

/// A side that suits every network that halves its picture a few times.
const WORKING_SIDE: usize = 256;

/// `out = scale * padded - 2 * lost` on both axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Output pixels for each input pixel.
    pub(super) scale: usize,
    /// Mirrored pixels around the picture.
    pub(super) pad: usize,
    /// Output pixels that the network loses at each side.
    pub(super) lost: usize,
    /// The only input size, where there is one.
    pub(super) fixed: Option<(usize, usize)>,
}

/// Sizes of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) out_height: usize,
    pub(super) out_width: usize,
}

impl Fit {
    /// Whether the network takes the picture and gives the result as they are.
    pub(super) fn is_exact(&self, geometry: &Geometry, height: usize, width: usize) -> bool {
        geometry.pad == 0
            && (self.height, self.width) == (height, width)
            && (self.out_height, self.out_width) == (height * geometry.scale, width * geometry.scale)
    }
}

impl Geometry {
    /// Computes output sizes for inputs of two sizes, which give scale and loss, and compares them with the spec.
    pub(super) fn of(net: &Net, channels: usize, path: &Path, spec: &ImageModelSpec) -> Result<Self> {
        let bad = |expected: &str, found: String| ModelError::NotImageToImage {
            path: path.into(),
            expected: expected.into(),
            found,
        };
        let input = net.inputs();
        let sides: Vec<Option<usize>> = input[0].shape[2..].iter().map(Dim::known).collect();
        let fixed = match sides[..] {
            [Some(h), Some(w)] => Some((h, w)),
            [None, None] => None,
            _ => return Err(bad("height and width both fixed or both free", input[0].to_string())),
        };
        let out = |h: usize, w: usize| -> Result<(usize, usize)> {
            let shapes = net.output_shapes(&[&[1, channels, h, w]])?;
            Ok((shapes[0][2], shapes[0][3]))
        };
        let (scale, lost) = match fixed {
            Some((h, w)) => {
                let (oh, ow) = out(h, w)?;
                if oh % h != 0 || ow % w != 0 || oh / h != ow / w {
                    return Err(bad(
                        "an output that is a whole multiple of the input",
                        format!("{w}x{h} to {ow}x{oh}"),
                    ));
                }
                (oh / h, 0)
            }
            None => {
                let ((a, b), (c, d)) = (out(WORKING_SIDE, WORKING_SIDE)?, out(320, 384)?);
                let rise = c.saturating_sub(a);
                if rise == 0 || rise % 64 != 0 || d.saturating_sub(b) != rise * 2 {
                    return Err(bad(
                        "an output that grows by a whole multiple of the input",
                        format!("256 to {a}, 320 to {c}, 384 to {d}"),
                    ));
                }
                let scale = rise / 64;
                let loss = (scale * 256).checked_sub(a).filter(|n| n % 2 == 0);
                let lost =
                    loss.ok_or_else(|| bad("an output that loses as much at both sides", format!("256 to {a}")))? / 2;
                (scale, lost)
            }
        };
        if let Some(want) = spec.scale
            && want as usize != scale
        {
            return Err(bad(
                &format!("scale {want}, as the model's description says"),
                format!("scale {scale}"),
            ));
        }
        let pad = spec.pad as usize;
        if scale * pad < lost {
            return Err(bad(
                &format!("a padding of at least {} pixels", lost.div_ceil(scale)),
                format!("padding {pad}: the network would lose {lost} output pixels at each side"),
            ));
        }
        if fixed.is_some() && pad != 0 {
            return Err(bad("no padding for a network of one size", format!("padding {pad}")));
        }
        Ok(Self {
            scale,
            pad,
            lost,
            fixed,
        })
    }

    /// Rows and columns that are cut off the output at the top and the left.
    pub(super) fn crop(&self) -> usize {
        self.scale * self.pad - self.lost
    }

    /// The smallest input that holds the padded picture and that the network takes.
    pub(super) fn fit(&self, net: &Net, channels: usize, height: usize, width: usize) -> Result<Fit> {
        let out = |h: usize, w: usize| -> Result<(usize, usize)> {
            let shapes = net.output_shapes(&[&[1, channels, h, w]])?;
            Ok((shapes[0][2], shapes[0][3]))
        };
        if self.fixed.is_some() {
            let (out_height, out_width) = out(height, width)?;
            return Ok(Fit {
                height,
                width,
                out_height,
                out_width,
            });
        }
        // Rows and columns do not meet in these networks, so each side is found beside one that works.
        let side = |need: usize, probe: &dyn Fn(usize) -> Result<usize>| -> Result<usize> {
            let mut refusal = None;
            for padded in need..=need + MAX_EXTRA {
                match probe(padded) {
                    Ok(out) if self.scale * padded == out + 2 * self.lost => return Ok(padded),
                    Ok(_) => {}
                    Err(error) => refusal = refusal.or(Some(error)),
                }
            }
            Err(refusal.unwrap_or_else(|| ModelError::BadInput {
                what: "picture",
                expected: "a size the network takes".into(),
                found: format!("{width}x{height}"),
            }))
        };
        let height = side(height + 2 * self.pad, &|h| Ok(out(h, WORKING_SIDE)?.0))?;
        let width = side(width + 2 * self.pad, &|w| Ok(out(WORKING_SIDE, w)?.1))?;
        let (out_height, out_width) = out(height, width)?;
        Ok(Fit {
            height,
            width,
            out_height,
            out_width,
        })
    }
}

/// Index of the mirrored pixel `i` of a row of `n`; the outermost pixels are not repeated. Works for any `i`.
pub(crate) fn reflect(i: isize, n: usize) -> usize {
    if n <= 1 {
        return 0;
    }
    let period = 2 * (n as isize - 1);
    let i = i.rem_euclid(period);
    (if i < n as isize { i } else { period - i }) as usize
}

#[cfg(test)]
mod tests {
    use super::reflect;

    #[test]
    fn mirrored_indices_stay_inside_however_far_they_go() {
        assert_eq!(
            (-2..6).map(|i| reflect(i, 4)).collect::<Vec<_>>(),
            [2, 1, 0, 1, 2, 3, 2, 1]
        );
        assert_eq!(
            (-3..4).map(|i| reflect(i, 2)).collect::<Vec<_>>(),
            [1, 0, 1, 0, 1, 0, 1]
        );
        assert_eq!(reflect(-7, 1), 0);
    }
}
