//! How the output of a network lies over its input.

use std::path::Path;

use crate::ImageModelSpec;
use crate::error::{ModelError, Result};

/// Most pixels that are added at the bottom and the right to reach a size that suits a network.
const MAX_EXTRA: usize = 64;

/// A side that suits every network that halves its picture a few times.
pub(super) const WORKING_SIDE: usize = 256;

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

/// Output height and width for an input height and width.
pub(super) type Sizes<'a> = &'a mut dyn FnMut(usize, usize) -> Result<(usize, usize)>;

impl Geometry {
    /// Finds scale and loss from the output sizes of a few inputs, of `base` pixels and more a side, and compares them
    /// with the spec.
    pub(super) fn of(
        fixed: Option<(usize, usize)>,
        base: usize,
        sizes: Sizes<'_>,
        path: &Path,
        spec: &ImageModelSpec,
    ) -> Result<Self> {
        let bad = |expected: &str, found: String| ModelError::NotImageToImage {
            path: path.into(),
            expected: expected.into(),
            found,
        };
        let (scale, lost) = match fixed {
            Some((h, w)) => {
                let (oh, ow) = sizes(h, w)?;
                if oh % h != 0 || ow % w != 0 || oh / h != ow / w {
                    let found = format!("{w}x{h} to {ow}x{oh}");
                    return Err(bad("an output that is a whole multiple of the input", found));
                }
                (oh / h, 0)
            }
            None => {
                let ((a, b), (c, d)) = (sizes(base, base)?, sizes(base + 64, base + 128)?);
                let rise = c.saturating_sub(a);
                if rise == 0 || rise % 64 != 0 || d.saturating_sub(b) != rise * 2 {
                    let found = format!("{base} to {a}, {} to {c}, {} to {d}", base + 64, base + 128);
                    return Err(bad("an output that grows by a whole multiple of the input", found));
                }
                let scale = rise / 64;
                match (scale * base).checked_sub(a).filter(|n| n % 2 == 0) {
                    Some(loss) => (scale, loss / 2),
                    None => {
                        return Err(bad(
                            "an output that loses as much at both sides",
                            format!("{base} to {a}"),
                        ));
                    }
                }
            }
        };
        if let Some(want) = spec.scale
            && want as usize != scale
        {
            let expected = format!("scale {want}, as the model's description says");
            return Err(bad(&expected, format!("scale {scale}")));
        }
        let pad = spec.pad as usize;
        if scale * pad < lost {
            let expected = format!("a padding of at least {} pixels", lost.div_ceil(scale));
            let found = format!("padding {pad}: the network would lose {lost} output pixels at each side");
            return Err(bad(&expected, found));
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

    fn is_regular(&self, side: usize, out: usize) -> bool {
        self.scale * side == out + 2 * self.lost
    }

    fn out(&self, side: usize) -> usize {
        (self.scale * side).saturating_sub(2 * self.lost)
    }

    /// The number that sides must be a multiple of, found by trying; 64 suits everything [`Geometry::of`] accepted.
    pub(super) fn multiple(&self, base: usize, sizes: Sizes<'_>) -> usize {
        let mut suits = |n: usize| {
            // An odd multiple: one that is no multiple of 2n.
            let side = ((base / n + 1) | 1) * n;
            sizes(side, side).is_ok_and(|(h, w)| self.is_regular(side, h) && self.is_regular(side, w))
        };
        [1, 2, 4, 8, 16, 32].into_iter().find(|n| suits(*n)).unwrap_or(64)
    }

    /// The padded picture, made up to multiples of `multiple`.
    pub(super) fn fit_multiple(&self, multiple: usize, height: usize, width: usize) -> Fit {
        if self.fixed.is_some() {
            return Fit {
                height,
                width,
                out_height: height * self.scale,
                out_width: width * self.scale,
            };
        }
        let side = |n: usize| (n + 2 * self.pad).next_multiple_of(multiple);
        let (height, width) = (side(height), side(width));
        Fit {
            height,
            width,
            out_height: self.out(height),
            out_width: self.out(width),
        }
    }

    /// The smallest input that holds the padded picture and that the network takes.
    pub(super) fn fit(&self, sizes: Sizes<'_>, height: usize, width: usize) -> Result<Fit> {
        if self.fixed.is_some() {
            return Ok(self.fit_multiple(1, height, width));
        }
        // Rows and columns do not meet in these networks, so each side is found beside one that works.
        let side = |need: usize, sizes: &mut dyn FnMut(usize) -> Result<usize>| -> Result<usize> {
            let mut refusal = None;
            for padded in need..=need + MAX_EXTRA {
                match sizes(padded) {
                    Ok(out) if self.is_regular(padded, out) => return Ok(padded),
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
        let height = side(height + 2 * self.pad, &mut |h| Ok(sizes(h, WORKING_SIDE)?.0))?;
        let width = side(width + 2 * self.pad, &mut |w| Ok(sizes(WORKING_SIDE, w)?.1))?;
        Ok(Fit {
            height,
            width,
            out_height: self.out(height),
            out_width: self.out(width),
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
