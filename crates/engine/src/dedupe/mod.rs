//! Which frames share one result.
//!
//! Exact: only frames that are equal bit for bit. Near: frames that are within a stated bound of the frame whose result
//! they get. Hashes of pictures and thumbnails decide nothing here: they call a mouth that moves, a fade and black
//! beside white the same.

mod blocks;
mod exact;
mod mode;
mod near;
mod scene;
mod window;

use kinora_frame::{FrameError, FrameIndex, Image};

pub use exact::frame_hash;
pub use mode::DedupeMode;
pub use near::{NEAR_MAX_RUN, NearLimits};
pub use window::DedupeWindow;

use near::{Likeness, NearTest};
use window::Window;

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes through the stages.
    Process,
    /// It shows the result of this earlier frame, which went through the stages.
    SameAs(FrameIndex),
}

/// The duplicate test. Decisions are taken in frame order by one owner, so the lowest index is always the
/// reference, whatever the number of workers.
pub struct Dedupe {
    is_off: bool,
    window: Window,
    near: Option<NearTest>,
    /// Frames that the last one in the window stands for without being the same.
    run: u32,
}

impl Dedupe {
    /// A test that remembers nothing yet.
    #[must_use]
    pub fn new(mode: DedupeMode, window: DedupeWindow) -> Self {
        Self {
            is_off: mode == DedupeMode::Off,
            window: Window::new(window),
            near: match mode {
                DedupeMode::Near(limits) => Some(NearTest::new(limits)),
                DedupeMode::Off | DedupeMode::Exact => None,
            },
            run: 0,
        }
    }

    /// Decides about the next frame.
    ///
    /// # Errors
    /// [`FrameError::OnDevice`] for pixels that are not in host memory, [`FrameError::WrongLayout`] where near
    /// duplicates are looked for among tensors.
    pub fn decide(&mut self, index: FrameIndex, image: &Image) -> Result<Decision, FrameError> {
        if self.is_off {
            return Ok(Decision::Process);
        }
        let hash = frame_hash(image)?;
        let equal = self.window.find(hash, image)?;
        let reference = self.window.last().map(|reference| reference.index);
        let likeness = match (&mut self.near, self.window.last()) {
            (Some(near), Some(reference)) if equal != Some(reference.index) => near.compare(&reference.image, image)?,
            _ => Likeness::Apart,
        };
        match (likeness, equal, reference) {
            (Likeness::Cut, ..) => self.clear(),
            (_, Some(equal), _) => return Ok(Decision::SameAs(equal)),
            (Likeness::Near, _, Some(reference)) if self.run < NEAR_MAX_RUN => {
                self.run += 1;
                return Ok(Decision::SameAs(reference));
            }
            _ => {}
        }
        self.run = 0;
        self.window.push(index, hash, image);
        Ok(Decision::Process)
    }

    /// Forgets every frame: the next one is processed, and none after it is the same as one before.
    pub fn clear(&mut self) {
        self.window.clear();
        self.run = 0;
    }

    /// The oldest frame that a later one may still be the same as.
    #[must_use]
    pub fn oldest(&self) -> Option<FrameIndex> {
        self.window.oldest()
    }
}

#[cfg(test)]
mod tests {
    use kinora_frame::{ColorSpec, ImageDesc, Layout, PixelFormat, Size};

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
    fn a_cleared_test_remembers_nothing() {
        for mode in [DedupeMode::Exact, DedupeMode::Near(NearLimits::default())] {
            let mut dedupe = Dedupe::new(mode, DedupeWindow { frames: 8 });
            let frame = image(Size::new(3, 3), PixelFormat::GRAY8, 5);
            assert_eq!(dedupe.decide(0, &frame).unwrap(), Decision::Process);
            assert_eq!(
                (dedupe.decide(1, &frame).unwrap(), dedupe.oldest()),
                (Decision::SameAs(0), Some(0))
            );
            dedupe.clear();
            assert_eq!(dedupe.oldest(), None);
            assert_eq!(
                (dedupe.decide(2, &frame).unwrap(), dedupe.oldest()),
                (Decision::Process, Some(2))
            );
        }
    }

    #[test]
    fn off_means_off() {
        let mut dedupe = Dedupe::new(DedupeMode::Off, DedupeWindow { frames: 8 });
        let frame = image(Size::new(1, 1), PixelFormat::GRAY8, 5);
        assert_eq!(dedupe.decide(0, &frame).unwrap(), Decision::Process);
        assert_eq!(dedupe.decide(1, &frame).unwrap(), Decision::Process);
    }
}
