//! The last lane: results in the order of their frames, into the sink.

use std::{sync::atomic::Ordering, time::Duration};

use kinora_frame::{Frame, Image};

use super::{PROGRESS_EVERY, Run};
use crate::{DedupeMode, EngineError, Event, FrameSink, Pop, Progress, results::Outcome};

impl Run<'_> {
    /// Lane 5: writes frames in order, each with its own time.
    pub(super) fn encode(&self, mut sink: Box<dyn FrameSink>) -> Result<(Box<dyn FrameSink>, Progress), EngineError> {
        let mut progress = Progress::new(self.planned.0, self.planned.1, (self.clock)()).after(self.before());
        let mut last: Option<Image> = None;
        let mut shown_at = (self.clock)();
        let mut busy_before = self.busy_now();
        while let Pop::Item(slot) = self.slots.pop() {
            let Some(outcome) = self.results.wait(slot.shows) else {
                break;
            };
            let image = match (outcome, last.take()) {
                (Outcome::Image(image), _) | (Outcome::Repeat(_), Some(image)) => image,
                (Outcome::Repeat(reason), None) => return Err(EngineError::Rejected { reason }),
            };
            let frame = Frame {
                image,
                pts: slot.pts,
                duration: slot.duration,
                index: slot.index,
                key: slot.key,
                side_data: slot.side_data,
            };
            let repeats = slot.shows != slot.index;
            self.busy[4].during(&self.clock, || sink.write(&frame, repeats))?;
            last = Some(frame.image);
            self.results.forget_before(if self.dedupe == DedupeMode::Off {
                slot.index + 1
            } else {
                slot.oldest
            });
            if slot.shows == slot.index {
                self.credits.give();
            }
            let now = (self.clock)();
            self.encoded.fetch_add(1, Ordering::Relaxed);
            progress.paused(Duration::from_nanos(self.paused.load(Ordering::Relaxed)));
            progress.encoded(slot.shows != slot.index, now);
            if now.saturating_sub(shown_at) >= PROGRESS_EVERY {
                let lanes = self.readings(now.saturating_sub(shown_at), &busy_before);
                busy_before = self.busy_now();
                shown_at = now;
                (self.events)(Event::Progress {
                    snapshot: progress.snapshot(now),
                    lanes,
                });
            }
        }
        Ok((sink, progress))
    }
}
