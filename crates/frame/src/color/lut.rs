//! Lookup tables of colours, one-dimensional and three-dimensional, read from `.cube` files.

mod cube;

/// How a point between the entries of a three-dimensional table is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Interpolation {
    /// Eight corners of the cell.
    Trilinear,
    /// Four corners, along the order of the fractions: what grading systems do.
    #[default]
    Tetrahedral,
}

/// The entries of a table.
#[derive(Clone, Debug, PartialEq)]
enum Entries {
    /// One curve a channel.
    Curves(Vec<[f64; 3]>),
    /// A cube with `side` entries an edge, red fastest.
    Cube { side: usize, values: Vec<[f64; 3]> },
}

/// A lookup table. Inputs outside its domain are clamped to it; outputs are not clamped.
#[derive(Clone, Debug, PartialEq)]
pub struct Lut {
    title: String,
    domain_min: [f64; 3],
    domain_max: [f64; 3],
    entries: Entries,
}

impl Lut {
    /// The title the file gives, or nothing.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Entries an axis.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.entries {
            Entries::Curves(curves) => curves.len(),
            Entries::Cube { side, .. } => *side,
        }
    }

    /// True for a table of three dimensions.
    #[must_use]
    pub const fn is_cube(&self) -> bool {
        matches!(self.entries, Entries::Cube { .. })
    }

    /// The colour that the table gives for `rgb`. `interpolation` matters in three dimensions only.
    #[must_use]
    pub fn apply(&self, rgb: [f64; 3], interpolation: Interpolation) -> [f64; 3] {
        let last = (self.size() - 1) as f64;
        let mut cell = [0usize; 3];
        let mut fraction = [0.0; 3];
        for channel in 0..3 {
            let (min, max) = (self.domain_min[channel], self.domain_max[channel]);
            // `max` before `clamp`: a NaN becomes the bottom of the domain.
            let place = ((rgb[channel] - min) / (max - min)).max(0.0).clamp(0.0, 1.0) * last;
            cell[channel] = (place as usize).min(self.size() - 2);
            fraction[channel] = place - cell[channel] as f64;
        }
        match &self.entries {
            Entries::Curves(curves) => [0, 1, 2].map(|channel| {
                let (low, high) = (curves[cell[channel]][channel], curves[cell[channel] + 1][channel]);
                low + (high - low) * fraction[channel]
            }),
            Entries::Cube { side, values } => {
                let at = |step: [usize; 3]| {
                    let [r, g, b] = [0, 1, 2].map(|axis| cell[axis] + step[axis]);
                    values[(b * side + g) * side + r]
                };
                match interpolation {
                    Interpolation::Trilinear => trilinear(at, fraction),
                    Interpolation::Tetrahedral => tetrahedral(at, fraction),
                }
            }
        }
    }
}

fn trilinear(at: impl Fn([usize; 3]) -> [f64; 3], fraction: [f64; 3]) -> [f64; 3] {
    let mut sum = [0.0; 3];
    for corner in 0..8usize {
        let step = [corner & 1, corner >> 1 & 1, corner >> 2];
        let weight: f64 = [0, 1, 2]
            .map(|axis| {
                if step[axis] == 1 {
                    fraction[axis]
                } else {
                    1.0 - fraction[axis]
                }
            })
            .iter()
            .product();
        for (sum, value) in sum.iter_mut().zip(at(step)) {
            *sum += value * weight;
        }
    }
    sum
}

fn tetrahedral(at: impl Fn([usize; 3]) -> [f64; 3], fraction: [f64; 3]) -> [f64; 3] {
    let mut order = [0usize, 1, 2];
    // Stable: equal fractions go in the order r, g, b.
    order.sort_by(|a, b| fraction[*b].total_cmp(&fraction[*a]));
    let mut step = [0; 3];
    let mut before = at(step);
    let mut sum = before;
    for axis in order {
        step[axis] = 1;
        let next = at(step);
        for channel in 0..3 {
            sum[channel] += (next[channel] - before[channel]) * fraction[axis];
        }
        before = next;
    }
    sum
}
