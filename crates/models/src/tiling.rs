//! Running a network over a picture in tiles, so that memory does not grow with the picture.
//!
//! All tiles of a picture have one size, so the runtime sees one shape. For networks that halve their picture, tile and
//! overlap are made a little larger so that every tile starts at a multiple of the network's alignment. In crop mode every tile gives what lies more than
//! half the overlap from its inner edges; the result equals the untiled one as soon as half the overlap is at least the
//! network's receptive radius. Feather mode blends the overlaps instead: it is not exact, and hides the seams of
//! networks that look at all of their input (global pooling), which no overlap makes exact.

use kinora_nn::element_count;

use crate::error::{ModelError, Result};
use crate::image_model::{CHANNELS, ImageModel, PictureSize, reflect};

/// What happens where tiles overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Blend {
    /// Half of the overlap is dropped at inner edges.
    #[default]
    Crop,
    /// Both tiles are blended with a linear ramp.
    Feather,
}

/// How a picture is cut, in input pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tiling {
    /// Rows of a tile.
    pub height: usize,
    /// Columns of a tile.
    pub width: usize,
    /// Pixels that neighbours share; less than both sides.
    pub overlap: usize,
    /// What happens with them.
    pub blend: Blend,
}

/// Buffers of a tile, kept from run to run.
#[derive(Debug, Default)]
pub struct TileScratch {
    input: Vec<f32>,
    output: Vec<f32>,
}

/// First pixels of the tiles along one axis: 0, `tile - overlap`, …, and last `size - tile`. A tile as large as the
/// picture is the only one. The overlap must be smaller than the tile.
pub fn starts(size: usize, tile: usize, overlap: usize) -> Vec<usize> {
    if tile >= size || tile <= overlap {
        return vec![0];
    }
    let mut list: Vec<usize> = (0..size - tile).step_by(tile - overlap).collect();
    list.push(size - tile);
    list
}

/// The smallest tile and overlap, not smaller than those given, with which all tiles of an axis start at multiples of
/// `align`.
fn aligned(size: usize, tile: usize, overlap: usize, align: usize) -> (usize, usize) {
    if align <= 1 || tile >= size {
        return (tile, overlap);
    }
    let tile = tile + (size - tile) % align;
    // A step of zero would never arrive.
    let step = (tile - overlap) / align * align;
    if step == 0 {
        (tile, overlap)
    } else {
        (tile, tile - step)
    }
}

impl Tiling {
    /// Square tiles.
    pub fn square(tile: usize, overlap: usize) -> Self {
        Self {
            height: tile,
            width: tile,
            overlap,
            blend: Blend::Crop,
        }
    }

    /// The largest tiles whose run stays within `bytes` of activations, with the overlap that makes them exact. `None`
    /// when the whole picture fits. Networks without a receptive radius get an overlap of 32 pixels and feathering.
    pub fn for_memory(model: &ImageModel, size: PictureSize, bytes: u64) -> Result<Option<Self>> {
        if let Some((height, width)) = model.fixed_size() {
            let overlap = model
                .receptive_radius()
                .map_or(32, |r| 2 * r)
                .min(height.min(width) / 2);
            return Ok(Some(Self {
                height,
                width,
                overlap,
                blend: blend_of(model),
            }));
        }
        let fits = |height: usize, width: usize| -> Result<bool> {
            Ok(model.activation_bytes(PictureSize {
                batch: size.batch,
                height,
                width,
            })? <= bytes)
        };
        if fits(size.height, size.width)? {
            return Ok(None);
        }
        let overlap = model.receptive_radius().map_or(32, |r| 2 * r);
        // Tiles below twice the overlap would be mostly overlap.
        let mut side = (2 * overlap).max(64);
        while fits(side + 32, side + 32)? && side + 32 <= size.height.max(size.width) {
            side += 32;
        }
        let tiling = Self {
            height: side.min(size.height),
            width: side.min(size.width),
            overlap,
            blend: blend_of(model),
        };
        Ok(Some(Self {
            overlap: overlap.min(tiling.height.min(tiling.width) - 1),
            ..tiling
        }))
    }
}

fn blend_of(model: &ImageModel) -> Blend {
    if model.receptive_radius().is_some() {
        Blend::Crop
    } else {
        Blend::Feather
    }
}

/// Runs `model` over a picture in tiles. `input` is `[N, 3, H, W]`, `output` becomes `[N, 3, H*scale, W*scale]`.
///
/// A picture smaller than the tile is one tile of its own size; a network with one fixed size gets it mirrored up to
/// that size.
pub fn run_tiled(
    model: &ImageModel,
    input: &[f32],
    size: PictureSize,
    tiling: &Tiling,
    scratch: &mut TileScratch,
    output: &mut [f32],
) -> Result<()> {
    let (height, width) = match model.fixed_size() {
        Some(fixed) => fixed,
        None => (tiling.height.min(size.height), tiling.width.min(size.width)),
    };
    check(model, input, size, tiling, (height, width), output)?;
    let align = if model.fixed_size().is_some() {
        1
    } else {
        model.alignment()
    };
    let ((height, overlap_y), (width, overlap_x)) = (
        aligned(size.height, height, tiling.overlap, align),
        aligned(size.width, width, tiling.overlap, align),
    );
    let scale = model.scale() as usize;
    let planes = size.batch * CHANNELS;
    let tile = PictureSize {
        batch: size.batch,
        height,
        width,
    };
    let too_large = || ModelError::BadInput {
        what: "tile",
        expected: "a tile that fits".into(),
        found: format!("{width}x{height}"),
    };
    scratch
        .input
        .resize(element_count(&[planes, height, width]).ok_or_else(too_large)?, 0.0);
    scratch
        .output
        .resize(model.output_len(tile).ok_or_else(too_large)?, 0.0);
    let rows = Axis::new(size.height, height, overlap_y, tiling.blend, scale);
    let columns = Axis::new(size.width, width, overlap_x, tiling.blend, scale);
    if tiling.blend == Blend::Feather {
        output.fill(0.0);
    }
    for (iy, y) in rows.starts.iter().enumerate() {
        for (ix, x) in columns.starts.iter().enumerate() {
            cut(input, size, (*y, *x), tile, &mut scratch.input);
            model.run(&scratch.input, tile, &mut scratch.output)?;
            for plane in 0..planes {
                let from = &scratch.output[plane * height * width * scale * scale..][..height * width * scale * scale];
                let out_len = size.height * size.width * scale * scale;
                let to = &mut output[plane * out_len..][..out_len];
                match tiling.blend {
                    Blend::Crop => paste(from, to, &rows, iy, &columns, ix),
                    Blend::Feather => add(from, to, &rows, iy, &columns, ix),
                }
            }
        }
    }
    Ok(())
}

/// Tiles along one axis.
struct Axis {
    starts: Vec<usize>,
    /// Output pixels of the picture.
    out: usize,
    /// Output pixels of a tile.
    tile: usize,
    /// Output pixels of the overlap.
    overlap: usize,
    /// Output pixels dropped at inner edges.
    margin: usize,
    scale: usize,
    /// Sum of the weights of all tiles at each output pixel.
    total: Vec<f32>,
}

impl Axis {
    fn new(size: usize, tile: usize, overlap: usize, blend: Blend, scale: usize) -> Self {
        let mut axis = Self {
            starts: starts(size, tile, overlap),
            out: size * scale,
            tile: tile * scale,
            overlap: overlap * scale,
            margin: overlap / 2 * scale,
            scale,
            total: Vec::new(),
        };
        if blend == Blend::Feather {
            axis.total = vec![0.0; axis.out];
            for i in 0..axis.starts.len() {
                let from = axis.starts[i] * scale;
                for at in 0..axis.tile.min(axis.out - from) {
                    let weight = axis.weight(i, at);
                    axis.total[from + at] += weight;
                }
            }
        }
        axis
    }

    /// Kept output pixels of tile `i`, counted in the tile.
    fn kept(&self, i: usize) -> std::ops::Range<usize> {
        let first = if i == 0 { 0 } else { self.margin };
        let inner = i + 1 < self.starts.len();
        let last = if inner {
            self.tile - self.margin
        } else {
            self.tile.min(self.out - self.starts[i] * self.scale)
        };
        first..last
    }

    /// Weight of output pixel `at` of tile `i`: a ramp over the overlap at inner edges.
    fn weight(&self, i: usize, at: usize) -> f32 {
        let ramp = |n: f32| {
            if self.overlap == 0 {
                1.0
            } else {
                (n / self.overlap as f32).min(1.0)
            }
        };
        let left = if i == 0 { 1.0 } else { ramp(at as f32 + 0.5) };
        let right = if i + 1 == self.starts.len() {
            1.0
        } else {
            ramp(self.tile as f32 - at as f32 - 0.5)
        };
        left.min(right)
    }
}

fn paste(from: &[f32], to: &mut [f32], rows: &Axis, iy: usize, columns: &Axis, ix: usize) {
    let (y0, x0) = (rows.starts[iy] * rows.scale, columns.starts[ix] * columns.scale);
    let across = columns.kept(ix);
    for y in rows.kept(iy) {
        let target = &mut to[(y0 + y) * columns.out + x0..];
        target[across.clone()].copy_from_slice(&from[y * columns.tile..][across.clone()]);
    }
}

fn add(from: &[f32], to: &mut [f32], rows: &Axis, iy: usize, columns: &Axis, ix: usize) {
    let (y0, x0) = (rows.starts[iy] * rows.scale, columns.starts[ix] * columns.scale);
    for y in 0..rows.tile.min(rows.out - y0) {
        let down = rows.weight(iy, y) / rows.total[y0 + y];
        for x in 0..columns.tile.min(columns.out - x0) {
            let weight = down * columns.weight(ix, x) / columns.total[x0 + x];
            to[(y0 + y) * columns.out + x0 + x] += from[y * columns.tile + x] * weight;
        }
    }
}

/// Copies a tile; beyond the picture it is mirrored.
fn cut(input: &[f32], size: PictureSize, (y0, x0): (usize, usize), tile: PictureSize, to: &mut [f32]) {
    let inside = tile.width.min(size.width - x0);
    for (row, target) in to.chunks_exact_mut(tile.width).enumerate() {
        let (plane, y) = (row / tile.height, row % tile.height);
        let y = reflect((y0 + y) as isize, size.height);
        let source = &input[(plane * size.height + y) * size.width..][..size.width];
        target[..inside].copy_from_slice(&source[x0..x0 + inside]);
        for (x, value) in target.iter_mut().enumerate().skip(inside) {
            *value = source[reflect((x0 + x) as isize, size.width)];
        }
    }
}

fn check(
    model: &ImageModel,
    input: &[f32],
    size: PictureSize,
    tiling: &Tiling,
    (height, width): (usize, usize),
    output: &[f32],
) -> Result<()> {
    let bad = |what, expected: String, found: String| Err(ModelError::BadInput { what, expected, found });
    let PictureSize {
        batch,
        height: h,
        width: w,
    } = size;
    if batch == 0 || h == 0 || w == 0 || height == 0 || width == 0 {
        return bad(
            "picture and tile",
            "at least one pixel".into(),
            format!("{w}x{h} in tiles of {width}x{height}"),
        );
    }
    if (height < h && tiling.overlap >= height) || (width < w && tiling.overlap >= width) {
        return bad(
            "overlap",
            format!("less than the tile of {width}x{height}"),
            tiling.overlap.to_string(),
        );
    }
    if element_count(&[batch, CHANNELS, h, w]) != Some(input.len()) {
        return bad(
            "input",
            format!("{batch} x 3 x {h} x {w} values"),
            input.len().to_string(),
        );
    }
    match model.output_len(size) {
        Some(n) if n == output.len() => Ok(()),
        n => bad(
            "output",
            format!("{} values", n.unwrap_or(usize::MAX)),
            output.len().to_string(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_tile_ends_with_the_picture() {
        assert_eq!(starts(34, 28, 12), [0, 6]);
        assert_eq!(starts(45, 28, 12), [0, 16, 17]);
        assert_eq!(starts(28, 28, 12), [0]);
        assert_eq!(starts(10, 28, 12), [0]);
        assert_eq!(
            starts(44, 28, 12),
            [0, 16],
            "a tile that already ends with the picture is not repeated"
        );
    }

    #[test]
    fn tiles_of_networks_that_halve_their_picture_start_at_even_pixels() {
        for size in 40..80 {
            for align in [1, 2, 4, 8] {
                let (tile, overlap) = aligned(size, 30, 9, align);
                assert!((30..30 + align).contains(&tile) && overlap >= 9, "{size} {align}");
                assert!(
                    starts(size, tile, overlap).iter().all(|s| s % align == 0),
                    "{size} {align}"
                );
            }
        }
    }
}
