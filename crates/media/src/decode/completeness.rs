//! What came out of a stream, and whether that is all of it.

use kinora_frame::Timestamp;

use crate::{MediaError, PacketIndex};

/// What came out of a stream, to be compared with what should have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
    /// Number of the first frame that was asked for, from 0.
    pub first: u64,
    /// Frames given so far.
    pub frames: u64,
    /// Time of the last one.
    pub last_pts: Option<Timestamp>,
    /// True when the decoder met the end of the stream.
    pub ended: bool,
    /// Times the picture's size changed and was scaled back.
    pub size_changes: u64,
    /// Times that went back, or stood, and were moved behind the frame before them.
    pub time_repairs: u64,
    /// Lines in which the demuxer or decoder spoke of an error; known at the end.
    pub errors: u64,
    /// The decoder's complaints, last lines.
    pub complaints: String,
    /// How the decoder ended, in words, where it failed. Too many broken pictures are the file's fault, not a failure.
    pub failed: Option<String>,
}

/// FFmpeg's exit status where more pictures are broken than its limit allows (`-max_error_rate`), which it says at the end.
pub(super) const MANY_BROKEN: i32 = 69;

/// Whether all of a stream came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that was asked for, to its end.
    Whole,
    /// It is cut off: it ends before its own tables, or its packets, do.
    Cut {
        /// Frames that came out.
        frames: u64,
        /// Frames that its packets promise, from the first one asked for.
        expected: u64,
        /// Time of the last frame that came out; `None` when there was none.
        last: Option<Timestamp>,
        /// Time of the last frame that its packets promise, where that is later.
        stated: Option<Timestamp>,
        /// What the demuxer said of the cut, where it met it; else the last complaint.
        cause: Option<String>,
    },
}

impl Completeness {
    /// The time at which the stream is cut off, when it ends before the index does. Decoders leave out broken packets,
    /// so the last time decides, not the number of frames.
    #[must_use]
    pub fn cut_before(&self, index: &PacketIndex) -> Option<Timestamp> {
        let stated = index.last_pts()?;
        match self.last_pts {
            Some(last) if last >= stated => None,
            _ => Some(stated),
        }
    }

    /// Whether what decoded is all of the stream: neither its packets ([`PacketIndex::cut`]) nor its frames
    /// ([`Completeness::cut_before`]) end too early. `ends_by_range` is true when the caller itself ended the work before
    /// the end of the stream, and then nothing is missing.
    #[must_use]
    pub fn verdict(&self, index: &PacketIndex, ends_by_range: bool) -> Verdict {
        if ends_by_range {
            return Verdict::Whole;
        }
        let stated = self.cut_before(index);
        if stated.is_none() && index.cut().is_none() {
            return Verdict::Whole;
        }
        Verdict::Cut {
            frames: self.frames,
            expected: index.len().saturating_sub(self.first),
            last: self.last_pts,
            stated,
            cause: index.cut().or(self.complaints.lines().last()).map(str::to_owned),
        }
    }

    /// Tells a decoder that failed from a stream that is cut off: both end before their packets do.
    ///
    /// # Errors
    /// [`MediaError::ToolFailed`] where it failed and frames are missing that `index` promises.
    pub fn check_decoder(&self, index: &PacketIndex) -> Result<(), MediaError> {
        match &self.failed {
            Some(status) if self.cut_before(index).is_some() => Err(MediaError::ToolFailed {
                task: "decode",
                status: status.clone(),
                last_lines: self.complaints.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Frames before the last one that have a packet and did not come out, in a stream with errors. Codecs that keep
    /// pictures that are never shown, or two fields in two packets, have more packets than frames without an error.
    #[must_use]
    pub fn lost(&self, index: &PacketIndex) -> u64 {
        let Some(last) = self.last_pts.filter(|_| self.errors > 0) else {
            return 0;
        };
        let end = if index.seekable() {
            index.frame_at(last).map_or(0, |at| at + 1)
        } else if self.ended {
            index.len()
        } else {
            return 0;
        };
        end.saturating_sub(self.first).saturating_sub(self.frames)
    }

    /// What the user should know about the input and that is no error, as stable code and sentence:
    /// `input.frames_lost`, `input.size_changed`, `input.times_repaired`.
    #[must_use]
    pub fn notes(&self, index: &PacketIndex) -> Vec<(&'static str, String)> {
        let mut notes = Vec::new();
        let lost = self.lost(index);
        if lost > 0 {
            let stand = if lost == 1 {
                "1 frame is damaged and is left out: the frame before it stands longer".to_owned()
            } else {
                format!("{lost} frames are damaged and are left out: the frames before them stand longer")
            };
            notes.push(("input.frames_lost", stand));
        }
        if self.size_changes > 0 {
            let times = times(self.size_changes);
            notes.push((
                "input.size_changed",
                format!("the picture changes its size {times}: every frame is scaled to the first size"),
            ));
        }
        if self.time_repairs > 0 {
            let times = times(self.time_repairs);
            notes.push((
                "input.times_repaired",
                format!("the clock goes back or stands still {times}: the frames after it follow the one before it"),
            ));
        }
        notes
    }
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}
