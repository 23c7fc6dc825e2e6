//! Where each output sample of one axis takes its value from: a window of input samples and their weights.

use super::{Filter, Resample};

/// Windows and weights of one axis. The window of output `i` starts at `start[i]` and its weights are
/// `weights[i * taps..][..length[i]]`.
pub(super) struct Axis {
    pub(super) taps: usize,
    pub(super) start: Vec<u32>,
    pub(super) length: Vec<u32>,
    pub(super) weights: Vec<f64>,
}

/// One axis of a resampling, before its weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Input samples.
    pub(super) input: usize,
    /// Output samples.
    pub(super) output: usize,
    /// Input samples an output sample: `input / output`, but for chroma the ratio of the luma sizes.
    pub(super) scale: f64,
    /// Input samples by which the centres of output samples are moved: chroma that sits on a luma sample.
    pub(super) shift: f64,
}

impl Span {
    pub(super) fn new(input: usize, output: usize) -> Self {
        Self {
            input,
            output,
            scale: input as f64 / output as f64,
            shift: 0.0,
        }
    }
}

/// Pairs of input index (may lie outside) and weight of one output sample.
type Taps = Vec<(isize, f64)>;

impl Axis {
    /// True where every output sample is the input sample of its own number.
    pub(super) fn is_identity(&self, input: usize) -> bool {
        let own = |(index, start): (usize, &u32)| *start as usize == index && self.weights[index * self.taps] == 1.0;
        self.start.len() == input
            && self.length.iter().all(|length| *length == 1)
            && self.start.iter().enumerate().all(own)
    }

    /// `both_shrink` says whether neither axis of the picture grows; OpenCV's area rule asks for it.
    pub(super) fn new(span: Span, method: Resample, both_shrink: bool) -> Self {
        let rows: Vec<Taps> = (0..span.output)
            .map(|index| merged(taps(span, method, both_shrink, index), span.input))
            .collect();
        let most = rows.iter().map(Vec::len).max().unwrap_or(1);
        let mut axis = Self {
            taps: most,
            start: Vec::with_capacity(span.output),
            length: Vec::with_capacity(span.output),
            weights: vec![0.0; most * span.output],
        };
        for (row, weights) in rows.iter().zip(axis.weights.chunks_exact_mut(most)) {
            axis.start.push(row.first().map_or(0, |(index, _)| *index as u32));
            axis.length.push(row.len() as u32);
            for (weight, (_, value)) in weights.iter_mut().zip(row) {
                *weight = *value;
            }
        }
        axis
    }
}

/// Taps outside the picture moved to its border, equal indices added, in order of index.
fn merged(taps: Taps, input: usize) -> Taps {
    let last = input as isize - 1;
    let first = taps.iter().map(|(index, _)| (*index).clamp(0, last)).min().unwrap_or(0);
    let end = taps.iter().map(|(index, _)| (*index).clamp(0, last)).max().unwrap_or(0);
    let mut window: Taps = (first..=end).map(|index| (index, 0.0)).collect();
    for (index, weight) in taps {
        if let Some(slot) = window.get_mut((index.clamp(0, last) - first) as usize) {
            slot.1 += weight;
        }
    }
    // Zeros of the kernels at whole distances: nothing in f64 beside a code, and an axis that keeps its size is then
    // seen to be the identity.
    let counts = |(_, weight): &(isize, f64)| weight.abs() > 1e-15;
    let first = window.iter().position(counts).unwrap_or(0);
    let end = window.iter().rposition(counts).map_or(1, |last| last + 1);
    window.truncate(end);
    window.drain(..first);
    window
}

fn taps(span: Span, method: Resample, both_shrink: bool, index: usize) -> Taps {
    let Span {
        input,
        output,
        scale,
        shift,
    } = span;
    let centre = (index as f64 + 0.5) * scale + shift;
    let whole = |index: usize| vec![(index.min(input - 1) as isize, 1.0)];
    match method {
        Resample::Filter(filter) => antialiased(filter, centre, scale, input),
        // Exact integers where plain floats would fall on either side of a whole number.
        Resample::Nearest if shift == 0.0 && scale == input as f64 / output as f64 => whole(index * input / output),
        Resample::NearestExact if shift == 0.0 && scale == input as f64 / output as f64 => {
            whole((2 * index + 1) * input / (2 * output))
        }
        Resample::OpenCvNearest if shift == 0.0 => {
            // In OpenCV's own steps: a float just below a whole number falls to the sample before.
            let growth = output as f64 / input as f64;
            whole((index as f64 * (1.0 / growth)) as usize)
        }
        Resample::Nearest | Resample::OpenCvNearest => whole((centre - 0.5 * scale).max(0.0) as usize),
        Resample::NearestExact => whole(centre.max(0.0) as usize),
        Resample::Linear => linear(centre - 0.5),
        Resample::LinearCorners => {
            let step = (input - 1) as f64 / (output - 1).max(1) as f64;
            linear(if output > 1 { index as f64 * step } else { 0.0 })
        }
        Resample::Cubic => spread(centre - 0.5, 1, 4, |t| cubic(t, -0.75)),
        Resample::Lanczos4 => {
            let mut taps = spread(centre - 0.5, 3, 8, |t| sinc(t) * sinc(t / 4.0));
            normalise(&mut taps);
            taps
        }
        Resample::Area => {
            let first = index * input / output;
            let end = ((index + 1) * input).div_ceil(output);
            let weight = 1.0 / (end - first) as f64;
            (first..end).map(|at| (at as isize, weight)).collect()
        }
        Resample::OpenCvArea if both_shrink => box_cover(index as f64 * scale, (index + 1) as f64 * scale, input),
        Resample::OpenCvArea => {
            // In OpenCV's own steps: the fraction is taken in f32, so that one just below a whole number is none.
            let growth = output as f64 / input as f64;
            let at = (index as f64 * (1.0 / growth)).floor();
            let fraction = f64::from(((index + 1) as f64 - (at + 1.0) * growth) as f32);
            let fraction = if fraction <= 0.0 {
                0.0
            } else {
                fraction - fraction.floor()
            };
            vec![(at as isize, 1.0 - fraction), (at as isize + 1, fraction)]
        }
    }
}

/// A kernel widened by the scale where the picture shrinks, its weights normalised at the borders.
fn antialiased(filter: Filter, centre: f64, scale: f64, input: usize) -> Taps {
    let widen = scale.max(1.0);
    let reach = filter.support() * widen;
    let first = ((centre - reach + 0.5).max(0.0)) as usize;
    let end = ((centre + reach + 0.5).max(0.0) as usize).min(input);
    let mut taps: Taps = (first..end)
        .map(|at| (at as isize, filter.weight((at as f64 - centre + 0.5) / widen)))
        .collect();
    if taps.iter().all(|(_, weight)| *weight == 0.0) {
        return vec![(centre.floor() as isize, 1.0)];
    }
    normalise(&mut taps);
    taps
}

fn normalise(taps: &mut Taps) {
    let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
    for (_, weight) in taps {
        *weight /= sum;
    }
}

fn linear(place: f64) -> Taps {
    let at = place.floor();
    let fraction = place - at;
    vec![(at as isize, 1.0 - fraction), (at as isize + 1, fraction)]
}

/// `count` taps from `before` samples left of the place; each weight is the kernel at its distance.
fn spread(place: f64, before: isize, count: isize, kernel: impl Fn(f64) -> f64) -> Taps {
    let at = place.floor();
    let fraction = place - at;
    (0..count)
        .map(|k| (at as isize - before + k, kernel(fraction + (before - k) as f64)))
        .collect()
}

/// Exact share of each sample in the interval `from..to`.
fn box_cover(from: f64, to: f64, input: usize) -> Taps {
    let to = to.min(input as f64);
    let first = from.floor() as usize;
    let mut taps = Taps::new();
    for at in first..input.min(to.ceil() as usize) {
        let cover = (to.min(at as f64 + 1.0) - from.max(at as f64)).max(0.0);
        taps.push((at as isize, cover / (to - from)));
    }
    taps
}

pub(super) fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else {
        let x = x * std::f64::consts::PI;
        x.sin() / x
    }
}

/// Keys' cubic with parameter `a`.
pub(super) fn cubic(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * a
    } else {
        0.0
    }
}
