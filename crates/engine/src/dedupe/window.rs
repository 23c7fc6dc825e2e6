use std::collections::VecDeque;

use kinora_frame::{FrameError, FrameIndex, Image};

use super::exact::equal;

/// How far back equal frames are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DedupeWindow {
    /// Unique frames that are remembered; at least 1, the last one that went through the stages.
    pub frames: usize,
}

/// A frame that went through the stages.
pub(super) struct Seen {
    pub(super) index: FrameIndex,
    pub(super) image: Image,
    hash: u128,
}

/// The last frames that went through the stages, oldest first.
pub(super) struct Window {
    most: usize,
    seen: VecDeque<Seen>,
}

impl Window {
    pub(super) fn new(window: DedupeWindow) -> Self {
        Self {
            most: window.frames.max(1),
            seen: VecDeque::new(),
        }
    }

    /// The frame with these very pixels, the newest first. Equal hashes are confirmed by the planes themselves.
    pub(super) fn find(&self, hash: u128, image: &Image) -> Result<Option<FrameIndex>, FrameError> {
        for seen in self.seen.iter().rev().filter(|seen| seen.hash == hash) {
            if equal(&seen.image, image)? {
                return Ok(Some(seen.index));
            }
        }
        Ok(None)
    }

    /// Remembers a frame, at the cost of the oldest one where the window is full.
    pub(super) fn push(&mut self, index: FrameIndex, hash: u128, image: &Image) {
        if self.seen.len() == self.most {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen {
            index,
            hash,
            image: image.clone(),
        });
    }

    /// The last frame that went through the stages.
    pub(super) fn last(&self) -> Option<&Seen> {
        self.seen.back()
    }

    pub(super) fn oldest(&self) -> Option<FrameIndex> {
        self.seen.front().map(|seen| seen.index)
    }

    pub(super) fn clear(&mut self) {
        self.seen.clear();
    }
}
