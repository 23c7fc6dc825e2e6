//! Running a network over a picture in tiles, so that memory does not grow with the picture.
//!
//! All tiles of a picture have one size, so the runtime sees one shape. For networks that halve their picture, tile and
//! overlap are made a little larger so that every tile starts at a multiple of the network's alignment. In crop mode
//! every tile gives what lies more than half the overlap from its inner edges; the result equals the untiled one as soon
//! as half the overlap is at least the network's receptive radius. Feather mode blends the overlaps instead: it is not
//! exact, and hides the seams of networks that look at all of their input (global pooling), which no overlap makes exact.
//! [`Tiling::for_model`] and [`Tiling::for_memory`] take the crop where it is exact and the feather everywhere else.

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
    /// Rows that a tile shares with the one below; less than `height` where the picture is cut that way.
    pub overlap_y: usize,
    /// Columns that a tile shares with the one at its right; less than `width` where the picture is cut that way.
    pub overlap_x: usize,
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

/// Overlap of networks whose reach is not known; it is blended.
const BLENDED_OVERLAP: usize = 32;
/// Smallest side of tiles that are chosen by memory.
const SMALLEST: usize = 64;
/// Steps in which tiles grow into the memory.
const GROWTH: usize = 32;

/// Overlap with which a model's tiles are exact; for networks without a receptive radius the one that is blended.
fn wanted_overlap(model: &ImageModel) -> usize {
    model.receptive_radius().map_or(BLENDED_OVERLAP, |radius| 2 * radius)
}

impl Tiling {
    /// Square tiles, cropped.
    pub fn square(tile: usize, overlap: usize) -> Self {
        Self {
            height: tile,
            width: tile,
            overlap_y: overlap,
            overlap_x: overlap,
            blend: Blend::Crop,
        }
    }

    /// Tiles of `height` rows and `width` columns, or of the only size the model takes. `None` when one tile holds the
    /// whole picture.
    ///
    /// The overlap is `overlap`, or else what makes the tiles exact, but at most half a tile; an axis along which the
    /// picture is not cut has none. Tiles that are not exact are blended; [`Tiling::is_exact`] tells.
    pub fn for_model(
        model: &ImageModel,
        size: PictureSize,
        (height, width): (usize, usize),
        overlap: Option<usize>,
    ) -> Option<Self> {
        let (height, width) = match model.fixed_size() {
            Some(fixed) if fixed == (size.height, size.width) => return None,
            Some(fixed) => fixed,
            None if height >= size.height && width >= size.width => return None,
            None => (height.min(size.height), width.min(size.width)),
        };
        let along = |side: usize, tile: usize| match overlap {
            _ if tile >= side => 0,
            Some(overlap) => overlap.min(tile.saturating_sub(1)),
            None => wanted_overlap(model).min(tile / 2),
        };
        let cropped = Self {
            height,
            width,
            overlap_y: along(size.height, height),
            overlap_x: along(size.width, width),
            blend: Blend::Crop,
        };
        let blend = if cropped.is_exact(model, size) {
            Blend::Crop
        } else {
            Blend::Feather
        };
        Some(Self { blend, ..cropped })
    }

    /// The largest tiles whose run stays within `bytes` of activations. `None` when the whole picture fits. Tiles are
    /// exact if the memory allows it and blended otherwise, as [`Tiling::for_model`] does it.
    ///
    /// # Errors
    /// [`ModelError::NoRoom`] when not even tiles of 64 x 64 pixels fit, or those that `overlap` needs, or the only size
    /// that the model takes.
    pub fn for_memory(
        model: &ImageModel,
        size: PictureSize,
        bytes: u64,
        overlap: Option<usize>,
    ) -> Result<Option<Self>> {
        let needed = |height: usize, width: usize| {
            model.activation_bytes(PictureSize {
                batch: size.batch,
                height,
                width,
            })
        };
        let no_room = |height, width, needed| ModelError::NoRoom {
            width,
            height,
            needed,
            available: bytes,
        };
        if let Some((height, width)) = model.fixed_size() {
            let needed = needed(height, width)?;
            if needed > bytes {
                return Err(no_room(height, width, needed));
            }
            return Ok(Self::for_model(model, size, (height, width), overlap));
        }
        if needed(size.height, size.width)? <= bytes {
            return Ok(None);
        }
        // Tiles grow by less than the alignment when they are laid out.
        let sides = |side: usize| {
            let side = side + model.alignment() - 1;
            (side.min(size.height), side.min(size.width))
        };
        let fits = |side: usize| {
            let (height, width) = sides(side);
            Ok::<_, ModelError>(needed(height, width)? <= bytes)
        };
        // Tiles below twice the overlap would be mostly overlap.
        let first = (2 * overlap.unwrap_or_else(|| wanted_overlap(model))).max(SMALLEST);
        let mut side = if fits(first)? {
            first
        } else if overlap.is_none() && fits(SMALLEST)? {
            SMALLEST
        } else {
            let (height, width) = sides(if overlap.is_some() { first } else { SMALLEST });
            return Err(no_room(height, width, needed(height, width)?));
        };
        while side + GROWTH <= size.height.max(size.width) && fits(side + GROWTH)? {
            side += GROWTH;
        }
        Ok(Self::for_model(model, size, (side, side), overlap))
    }

    /// Whether the result for a picture equals the untiled one.
    pub fn is_exact(&self, model: &ImageModel, size: PictureSize) -> bool {
        let lines = self.lines(model, size);
        let cut = lines.iter().filter(|line| line.starts.len() > 1);
        let mut cut = cut.peekable();
        if cut.peek().is_none() {
            return true;
        }
        model.receptive_radius().is_some_and(|radius| {
            self.blend == Blend::Crop
                && cut.all(|line| {
                    line.overlap / 2 >= radius && line.starts.iter().all(|start| start % model.alignment().max(1) == 0)
                })
        })
    }

    /// What a person is told of the tiles of a picture: `256x256 overlap 36, exact`.
    pub fn describe(&self, model: &ImageModel, size: PictureSize) -> String {
        let [rows, columns] = self.lines(model, size);
        let overlap = match (rows.starts.len() > 1, columns.starts.len() > 1) {
            (false, false) => return "whole picture".to_owned(),
            (true, false) => rows.overlap.to_string(),
            (false, true) => columns.overlap.to_string(),
            _ if rows.overlap == columns.overlap => rows.overlap.to_string(),
            _ => format!("{}x{}", columns.overlap, rows.overlap),
        };
        let quality = if self.is_exact(model, size) {
            "exact"
        } else if self.blend == Blend::Feather {
            "blended: seams are hidden, not exact"
        } else {
            "cropped: seams may show, not exact"
        };
        format!("{}x{} overlap {overlap}, {quality}", columns.tile, rows.tile)
    }

    /// How the tiles lie along rows and columns.
    fn lines(&self, model: &ImageModel, size: PictureSize) -> [Line; 2] {
        let (height, width, align) = match model.fixed_size() {
            Some((height, width)) => (height, width, 1),
            None => (
                self.height.min(size.height),
                self.width.min(size.width),
                model.alignment(),
            ),
        };
        [
            Line::new(size.height, height, self.overlap_y, align),
            Line::new(size.width, width, self.overlap_x, align),
        ]
    }
}

/// Tiles along one axis, in input pixels.
struct Line {
    tile: usize,
    overlap: usize,
    starts: Vec<usize>,
}

impl Line {
    fn new(side: usize, tile: usize, overlap: usize, align: usize) -> Self {
        let (tile, overlap) = aligned(side, tile, overlap, align);
        Self {
            tile,
            overlap,
            starts: starts(side, tile, overlap),
        }
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
    check(model, input, size, tiling, output)?;
    let [rows, columns] = tiling.lines(model, size);
    let (height, width) = (rows.tile, columns.tile);
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
    let rows = Axis::new(size.height, rows, tiling.blend, scale);
    let columns = Axis::new(size.width, columns, tiling.blend, scale);
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
    fn new(size: usize, line: Line, blend: Blend, scale: usize) -> Self {
        let Line { tile, overlap, starts } = line;
        let mut axis = Self {
            starts,
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

fn check(model: &ImageModel, input: &[f32], size: PictureSize, tiling: &Tiling, output: &[f32]) -> Result<()> {
    let (height, width) = model.fixed_size().unwrap_or((tiling.height, tiling.width));
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
    for (side, tile, overlap) in [(h, height, tiling.overlap_y), (w, width, tiling.overlap_x)] {
        if tile < side && overlap >= tile {
            return bad(
                "overlap",
                format!("less than the tile of {width}x{height}"),
                overlap.to_string(),
            );
        }
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
