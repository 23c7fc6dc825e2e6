//! One more column or row, a copy of the last: done here because FFmpeg's `pad` overwrites the last odd column.

use kinora_frame::{ColorModel, PixelFormat, Size};

/// Copies a packed picture of `from` into one of `to`, which is not smaller; what is new repeats the edge.
pub(super) fn pad(format: PixelFormat, from: Size, to: Size, source: &[u8], target: &mut [u8]) {
    let pixel = match format.model {
        ColorModel::Rgb => 3 + usize::from(format.alpha),
        _ => 1,
    } * format.sample_bytes();
    for plane in 0..format.planes() {
        let (Some(old), Some(new)) = (format.plane(from, plane), format.plane(to, plane)) else {
            return;
        };
        let (Some(source), Some(target)) = (
            source.get(old.offset..old.offset + old.bytes),
            target.get_mut(new.offset..new.offset + new.bytes),
        ) else {
            return;
        };
        let (old_row, new_row) = (old.bytes / old.rows, new.bytes / new.rows);
        for (row, target) in target.chunks_exact_mut(new_row).enumerate() {
            let row = row.min(old.rows - 1) * old_row;
            let source = &source[row..row + old_row];
            let (kept, added) = target.split_at_mut(old_row);
            kept.copy_from_slice(source);
            for place in added.chunks_exact_mut(pixel) {
                place.copy_from_slice(&source[old_row - pixel..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plane_repeats_its_own_edge() {
        // 3x1 4:2:0: luma 1 2 3, chroma two samples each.
        let source = [1, 2, 3, 10, 11, 20, 21];
        let mut target = [0; 12];
        pad(
            PixelFormat::YUV420P,
            Size::new(3, 1),
            Size::new(4, 2),
            &source,
            &mut target,
        );
        assert_eq!(target, [1, 2, 3, 3, 1, 2, 3, 3, 10, 11, 20, 21]);
        let mut wide = [0; 6];
        pad(
            PixelFormat::RGB24,
            Size::new(1, 1),
            Size::new(2, 1),
            &[7, 8, 9],
            &mut wide,
        );
        assert_eq!(wide, [7, 8, 9, 7, 8, 9]);
    }
}
