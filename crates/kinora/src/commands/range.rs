//! From what a user writes of a part to frames.

use kinora_frame::{Rational, Timestamp};
use kinora_media::PacketIndex;

use crate::{cli::Moment, failure::Failure};

/// The frame shown at a moment, or for an end the first frame that is not shown any more.
pub(crate) fn frame_of(index: &PacketIndex, moment: Moment, is_end: bool) -> Result<u64, Failure> {
    match moment {
        Moment::Frame(frame) if frame < index.len() || is_end => Ok(frame),
        Moment::Frame(frame) => Err(Failure::usage(format!(
            "there is no frame {frame}: the clip has {} frames",
            index.len()
        ))),
        Moment::Micros(micros) => {
            let zero = index.pts_of(0).unwrap_or(Timestamp::new(0, index.base()));
            if is_end {
                return Ok(frame_at_or_after(index, zero, micros));
            }
            let wanted = moved(zero, micros);
            let frame = wanted.and_then(|wanted| index.frame_at(wanted)).unwrap_or(0);
            let past = wanted.zip(index.last_pts()).is_some_and(|(wanted, last)| wanted > last);
            if past && frame + 1 >= index.len() {
                let last = index
                    .last_pts()
                    .map_or_else(String::new, |last| format!(": its last frame is at {last}"));
                return Err(Failure::usage(format!(
                    "the clip ends before the start that was asked for{last}"
                )));
            }
            Ok(frame)
        }
    }
}

pub(crate) fn moved(from: Timestamp, micros: i64) -> Option<Timestamp> {
    let base = Rational::new(1, 1_000_000).ok()?;
    let start = from.rescale_floor(base).ok()?;
    Some(Timestamp::new(start.ticks.checked_add(micros)?, base))
}

pub(crate) fn frame_at_or_after(index: &PacketIndex, from: Timestamp, micros: i64) -> u64 {
    let Some(wanted) = moved(from, micros) else {
        return index.len();
    };
    match index.frame_at(wanted) {
        None => 0,
        Some(frame) if index.pts_of(frame).is_some_and(|pts| pts >= wanted) => frame,
        Some(frame) => frame + 1,
    }
}
