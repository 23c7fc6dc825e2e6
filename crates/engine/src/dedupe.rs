use std::collections::VecDeque;

use kinora_frame::{FrameError, FrameIndex, Image, Layout};
use xxhash_rust::xxh3::Xxh3;

/// Which frames may share one result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DedupeMode {
    /// Every frame is processed.
    Off,
    /// Frames whose decoded planes are equal bit for bit share one result.
    Exact,
}

/// How far back equal frames are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DedupeWindow {
    /// Unique frames that are remembered; at least 1, the frame before.
    pub frames: usize,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes through the stages.
    Process,
    /// It has the same pixels as this earlier frame, which went through the stages.
    SameAs(FrameIndex),
}

struct Seen {
    index: FrameIndex,
    hash: u128,
    image: Image,
}

/// The duplicate test. Decisions are taken in frame order by one owner, so the lowest index is always the
/// reference, whatever the number of workers.
pub struct Dedupe {
    mode: DedupeMode,
    window: usize,
    seen: VecDeque<Seen>,
}

impl Dedupe {
    /// A test that remembers nothing yet.
    #[must_use]
    pub fn new(mode: DedupeMode, window: DedupeWindow) -> Self {
        Self {
            mode,
            window: window.frames.max(1),
            seen: VecDeque::new(),
        }
    }

    /// Decides about the next frame. Equal hashes are confirmed by comparing the planes themselves.
    ///
    /// # Errors
    /// [`FrameError::OnDevice`] for pixels that are not in host memory.
    pub fn decide(&mut self, index: FrameIndex, image: &Image) -> Result<Decision, FrameError> {
        if self.mode == DedupeMode::Off {
            return Ok(Decision::Process);
        }
        let hash = frame_hash(image)?;
        for seen in self.seen.iter().rev().filter(|seen| seen.hash == hash) {
            if seen.image.desc() == image.desc() && seen.image.host_buffer()?.bytes() == image.host_buffer()?.bytes() {
                return Ok(Decision::SameAs(seen.index));
            }
        }
        if self.seen.len() == self.window {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen {
            index,
            hash,
            image: image.clone(),
        });
        Ok(Decision::Process)
    }

    /// The oldest frame that a later one may still be the same as.
    #[must_use]
    pub fn oldest(&self) -> Option<FrameIndex> {
        self.seen.front().map(|seen| seen.index)
    }
}

/// XXH3-128 of the pixels, their size and their layout. Frames of this crate are tightly packed, so there is no
/// padding that could differ.
///
/// # Errors
/// [`FrameError::OnDevice`].
pub fn frame_hash(image: &Image) -> Result<u128, FrameError> {
    let mut hasher = Xxh3::new();
    let desc = image.desc();
    hasher.update(&desc.size.width.to_le_bytes());
    hasher.update(&desc.size.height.to_le_bytes());
    match desc.layout {
        Layout::Pixels(format) => hasher.update(&[format.bits, u8::from(format.alpha), format.model as u8]),
        Layout::Tensor { .. } => hasher.update(desc.layout.to_string().as_bytes()),
    }
    hasher.update(image.host_buffer()?.bytes());
    Ok(hasher.digest128())
}

#[cfg(test)]
mod tests {
    use kinora_frame::{ColorSpec, ImageDesc, PixelFormat, Size};

    use super::*;

    fn image(size: Size, format: PixelFormat, value: u8) -> Image {
        let desc = ImageDesc {
            size,
            layout: Layout::Pixels(format),
            color: ColorSpec::BT709,
        };
        Image::host(desc, vec![value; format.frame_bytes(size).unwrap()].into()).unwrap()
    }

    fn decide_all(window: usize, values: &[u8]) -> Vec<Option<u64>> {
        let mut dedupe = Dedupe::new(DedupeMode::Exact, DedupeWindow { frames: window });
        let frame = |value| image(Size::new(7, 9), PixelFormat::YUV420P, value);
        values
            .iter()
            .enumerate()
            .map(|(at, &value)| match dedupe.decide(at as u64, &frame(value)).unwrap() {
                Decision::Process => None,
                Decision::SameAs(index) => Some(index),
            })
            .collect()
    }

    #[test]
    fn the_lowest_index_is_the_reference_and_cycles_are_found_within_the_window() {
        assert_eq!(
            decide_all(4, &[1, 1, 2, 1, 3, 2]),
            [None, Some(0), None, Some(0), None, Some(2)]
        );
        assert_eq!(decide_all(1, &[1, 2, 1, 1]), [None, None, None, Some(2)]);
    }

    #[test]
    fn one_bit_size_depth_and_alpha_tell_frames_apart() {
        let mut dedupe = Dedupe::new(DedupeMode::Exact, DedupeWindow { frames: 8 });
        let base = image(Size::new(4, 2), PixelFormat::GRAY8, 0);
        assert_eq!(dedupe.decide(0, &base).unwrap(), Decision::Process);
        let mut bytes = base.host_buffer().unwrap().bytes().to_vec();
        bytes[7] = 1;
        let one_bit = Image::host(*base.desc(), bytes.into()).unwrap();
        assert_eq!(dedupe.decide(1, &one_bit).unwrap(), Decision::Process);
        assert_eq!(
            dedupe
                .decide(2, &image(Size::new(2, 4), PixelFormat::GRAY8, 0))
                .unwrap(),
            Decision::Process
        );
        let deep = PixelFormat {
            bits: 10,
            ..PixelFormat::GRAY8
        };
        assert_eq!(
            dedupe.decide(3, &image(Size::new(2, 2), deep, 0)).unwrap(),
            Decision::Process
        );
        assert_eq!(dedupe.decide(4, &base).unwrap(), Decision::SameAs(0));
    }

    #[test]
    fn off_means_off() {
        let mut dedupe = Dedupe::new(DedupeMode::Off, DedupeWindow { frames: 8 });
        let frame = image(Size::new(1, 1), PixelFormat::GRAY8, 5);
        assert_eq!(dedupe.decide(0, &frame).unwrap(), Decision::Process);
        assert_eq!(dedupe.decide(1, &frame).unwrap(), Decision::Process);
    }
}
