//! The packet index: where every frame of a stream is, found without decoding.

use std::{
    io::{BufRead, BufReader},
    path::Path,
};

use kinora_frame::{Rational, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Ffmpeg, MediaError, Stop,
    child::Start,
    ffmpeg::{STALL, check_input, common, input_file},
};

/// Packet flags in `framecrc`: a key packet, and one that is decoded and not shown (edit lists).
const FLAG_KEY: u32 = 1;
const FLAG_DISCARD: u32 = 4;

/// Presentation times of all shown packets of one stream, sorted: frame `i` of the stream is `pts[i]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketIndex {
    base_num: i64,
    base_den: i64,
    /// Ticks, rising.
    pts: Vec<i64>,
    /// Ticks that each packet states, 0 where none.
    durations: Vec<i64>,
    /// Ticks of key packets, rising; also of ones that are not shown.
    keys: Vec<i64>,
    /// False where times repeat, go back or are missing: such a stream is decoded from its beginning. A missing time is
    /// that of decoding, which makes the number right and the grid.
    seekable: bool,
    /// What the demuxer said of a file that ends before its own tables do.
    #[serde(default)]
    cut: Option<String>,
}

/// Demuxers that meet the end too early say so in these words; the exit status does not.
const CUT_WORDS: [&str; 3] = ["partial file", "ended prematurely", "Truncat"];

impl PacketIndex {
    /// What the demuxer said of a file that is cut off; `None` where it saw its end.
    #[must_use]
    pub fn cut(&self) -> Option<&str> {
        self.cut.as_deref()
    }

    /// Number of frames that should decode.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.pts.len() as u64
    }

    /// True for a stream without a packet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pts.is_empty()
    }

    /// Seconds a tick.
    #[must_use]
    pub fn base(&self) -> Rational {
        Rational::new(self.base_num, self.base_den).unwrap_or(Rational::ONE)
    }

    /// Time of frame `frame`, from 0.
    #[must_use]
    pub fn pts_of(&self, frame: u64) -> Option<Timestamp> {
        let ticks = self.pts.get(usize::try_from(frame).ok()?)?;
        Some(Timestamp::new(*ticks, self.base()))
    }

    /// The last frame that starts at or before `time`; `None` before the first.
    #[must_use]
    pub fn frame_at(&self, time: Timestamp) -> Option<u64> {
        let ticks = time.rescale_floor(self.base()).ok()?.ticks;
        self.pts
            .partition_point(|pts| *pts <= ticks)
            .checked_sub(1)
            .map(|at| at as u64)
    }

    /// Time of the last frame.
    #[must_use]
    pub fn last_pts(&self) -> Option<Timestamp> {
        self.pts.last().map(|ticks| Timestamp::new(*ticks, self.base()))
    }

    /// True when the frame at exactly this time decodes alone.
    #[must_use]
    pub fn is_key(&self, pts: Timestamp) -> bool {
        pts.rescale_exact(self.base())
            .is_ok_and(|pts| self.keys.binary_search(&pts.ticks).is_ok())
    }

    /// How long the frame at exactly this time stands: until the next one, and the last as long as its packet states. The
    /// lengths that other packets state are not asked: in MP4 they are steps in decoding order.
    #[must_use]
    pub fn duration_of(&self, pts: Timestamp) -> Option<Timestamp> {
        let pts = pts.rescale_exact(self.base()).ok()?;
        let at = self.pts.binary_search(&pts.ticks).ok()?;
        let ticks = match self.pts.get(at + 1) {
            Some(next) => next.checked_sub(pts.ticks)?,
            None => *self.durations.get(at)?,
        };
        (ticks > 0).then(|| Timestamp::new(ticks, self.base()))
    }

    /// All times, rising.
    pub fn times(&self) -> impl ExactSizeIterator<Item = Timestamp> + '_ {
        let base = self.base();
        self.pts.iter().map(move |ticks| Timestamp::new(*ticks, base))
    }

    /// False for a stream whose times repeat, go back or are missing: its frames are counted from the beginning, and the
    /// decoder's times are not these.
    #[must_use]
    pub fn seekable(&self) -> bool {
        self.seekable
    }

    /// The index of pictures that all decode alone.
    #[must_use]
    pub fn of_times(times: &[Timestamp]) -> Self {
        let base = times.first().map_or(Rational::ONE, |time| time.base);
        let pts: Vec<i64> = times.iter().map(|time| time.ticks).collect();
        Self {
            base_num: base.num(),
            base_den: base.den(),
            durations: vec![0; pts.len()],
            keys: pts.clone(),
            pts,
            seekable: true,
            cut: None,
        }
    }

    /// The key packet `back` before the last one that is not later than `pts`; `None` before the first.
    pub(crate) fn key_before(&self, pts: Timestamp, back: usize) -> Option<Timestamp> {
        let pts = pts.rescale_floor(self.base()).ok()?;
        let reached = self.keys.partition_point(|key| *key <= pts.ticks);
        let at = reached.checked_sub(1 + back)?;
        self.keys.get(at).map(|ticks| Timestamp::new(*ticks, self.base()))
    }
}

impl Ffmpeg {
    /// Reads all packets of one stream without decoding them.
    ///
    /// # Errors
    /// [`MediaError::InputMissing`], [`MediaError::InputUnreadable`], [`MediaError::Stopped`] and those of the child.
    pub fn packet_index(&self, path: &Path, stream: usize, stop: &Stop) -> Result<PacketIndex, MediaError> {
        self.index_of(path, &format!("0:{stream}"), stop)
    }

    /// [`Ffmpeg::packet_index`] of the first video stream that is no cover art, which is the one that
    /// [`MediaInfo::video`](crate::MediaInfo::video) names: for reading while the file is still being probed.
    ///
    /// # Errors
    /// As [`Ffmpeg::packet_index`].
    pub fn main_packet_index(&self, path: &Path, stop: &Stop) -> Result<PacketIndex, MediaError> {
        self.index_of(path, "0:V:0", stop)
    }

    fn index_of(&self, path: &Path, map: &str, stop: &Stop) -> Result<PacketIndex, MediaError> {
        check_input(path)?;
        if crate::animation::is_webp(path) {
            return Ok(PacketIndex::of_times(&crate::animation::times(path)?));
        }
        let mut start = Start::new(self.program(), "index", stop, STALL);
        start.args = common("error");
        start.args.push("-copyts".into());
        start.args.extend(input_file(path)?);
        start
            .args
            .extend(["-map", map, "-c", "copy", "-f", "framecrc", "pipe:1"].map(Into::into));
        let mut child = start.spawn()?;
        let mut packets = Packets::default();
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::with_capacity(64 << 10, stdout);
            let mut line = String::new();
            loop {
                line.clear();
                match lines.read_line(&mut line) {
                    Ok(0) => break,
                    Ok(_) => packets.line(&line),
                    Err(error) => return Err(child.failure(&error)),
                }
            }
        }
        child.finish()?;
        let log = child.last_lines();
        let cut = log
            .lines()
            .find(|line| CUT_WORDS.iter().any(|words| line.contains(words)));
        match packets.index() {
            Some(index) => Ok(PacketIndex {
                cut: cut.map(str::to_owned),
                ..index
            }),
            None => Err(MediaError::InputUnreadable {
                path: path.to_path_buf(),
                cause: child
                    .last_lines()
                    .lines()
                    .last()
                    .unwrap_or("it holds no packets")
                    .to_owned(),
            }),
        }
    }
}

/// Packets as they come, in decoding order.
#[derive(Debug, Default)]
pub(crate) struct Packets {
    base: Option<Rational>,
    /// pts, duration; shown ones only.
    shown: Vec<(i64, i64)>,
    keys: Vec<i64>,
    without_time: u64,
    last_dts: Option<i64>,
    /// A decoding time went back: the file was put together from several.
    restarts: bool,
}

impl Packets {
    /// One line of `framecrc`: `0, dts, pts, duration, size, checksum[, F=0x0][, S=...]`.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(base) = line.strip_prefix("#tb 0: ") {
            self.base = base.trim().parse().ok().filter(|base: &Rational| base.num() > 0);
            return;
        }
        if line.starts_with('#') {
            return;
        }
        let mut fields = line.split(',').map(str::trim);
        let (Some(dts), Some(pts), Some(duration)) = (fields.nth(1), fields.next(), fields.next()) else {
            return;
        };
        // FFmpeg prints i64::MIN for a time it does not know.
        let ticks = |field: &str| field.parse::<i64>().ok().filter(|ticks| *ticks != i64::MIN);
        let (dts, pts) = (ticks(dts), ticks(pts));
        if let Some(dts) = dts {
            self.restarts |= self.last_dts.is_some_and(|last| dts < last);
            self.last_dts = Some(dts);
        }
        let flags = fields
            .find_map(|field| field.strip_prefix("F=0x"))
            .map_or(FLAG_KEY, |flags| u32::from_str_radix(flags, 16).unwrap_or(0));
        self.without_time += u64::from(pts.is_none());
        // AVI states the order of decoding alone: its times are those of the frames too, only dealt out otherwise.
        let Some(pts) = pts.or(dts) else {
            return;
        };
        if flags & FLAG_KEY != 0 {
            self.keys.push(pts);
        }
        if flags & FLAG_DISCARD == 0 {
            self.shown.push((pts, duration.parse().unwrap_or(0)));
        }
    }

    pub(crate) fn index(mut self) -> Option<PacketIndex> {
        let base = self.base?;
        if self.shown.is_empty() && self.without_time == 0 {
            return None;
        }
        self.shown.sort_unstable();
        self.keys.sort_unstable();
        self.keys.dedup();
        let repeats = self.shown.windows(2).any(|pair| pair[0].0 == pair[1].0);
        Some(PacketIndex {
            base_num: base.num(),
            base_den: base.den(),
            durations: self.shown.iter().map(|(_, duration)| *duration).collect(),
            pts: self.shown.into_iter().map(|(pts, _)| pts).collect(),
            keys: self.keys,
            seekable: !repeats && !self.restarts && self.without_time == 0,
            cut: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(lines: &[&str]) -> PacketIndex {
        let mut packets = Packets::default();
        for line in lines {
            packets.line(line);
        }
        packets.index().unwrap()
    }

    #[test]
    fn frames_are_sorted_and_packets_that_are_not_shown_are_left_out() {
        let index = index(&[
            "#tb 0: 1/1000",
            "0, -80, -40, 40, 100, 0x1, F=0x5",
            "0, -40, 0, 40, 100, 0x1",
            "0, 0, 80, 30, 100, 0x1, F=0x0",
            "0, 40, 40, 20, 100, 0x1, F=0x0, S=1, 8, 0x2",
        ]);
        assert_eq!(index.times().map(|time| time.ticks).collect::<Vec<_>>(), [0, 40, 80]);
        let base = index.base();
        assert!(index.is_key(Timestamp::new(0, base)) && !index.is_key(Timestamp::new(40, base)));
        assert_eq!(index.duration_of(Timestamp::new(40, base)).unwrap().ticks, 40);
        assert_eq!(index.duration_of(Timestamp::new(80, base)).unwrap().ticks, 30);
        assert_eq!(index.duration_of(Timestamp::new(41, base)), None);
        assert_eq!(index.frame_at(Timestamp::new(79, base)), Some(1));
        assert_eq!(index.frame_at(Timestamp::new(-1, base)), None);
        assert_eq!(index.key_before(Timestamp::new(80, base), 1).unwrap().ticks, -40);
        assert_eq!(index.key_before(Timestamp::new(80, base), 2), None);
        assert!(index.seekable());
    }

    #[test]
    fn a_packet_without_a_time_counts_at_its_decoding_time() {
        let index = index(&[
            "#tb 0: 1/25",
            "0, 0, -9223372036854775808, 1, 9, 0x1",
            "0, 1, -9223372036854775808, 1, 9, 0x1, F=0x0",
            "0, 2, 2, 1, 9, 0x1, F=0x0",
        ]);
        assert_eq!(index.times().map(|time| time.ticks).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(!index.seekable());
    }

    #[test]
    fn repeated_times_are_never_searched() {
        assert!(!index(&["#tb 0: 1/25", "0, 0, 1, 1, 9, 0x1", "0, 1, 1, 1, 9, 0x1"]).seekable());
        assert!(!index(&["#tb 0: 1/25", "0, 9, 9, 1, 9, 0x1", "0, 0, 0, 1, 9, 0x1"]).seekable());
        assert!(!index(&["#tb 0: 1/25", "0, 0, 1, 1, 9, 0x1", "0, 1, NOPTS, 1, 9, 0x1"]).seekable());
    }
}
