use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use kinora_engine::Stated;
use kinora_frame::{Rational, Timestamp};
use kinora_media::{Ffmpeg, MediaInfo, PacketIndex, Stop, VideoFacts};

use super::range::{frame_at_or_after, frame_of, moved};
use crate::{
    app::App,
    cli::{InOut, Moment},
    failure::Failure,
};

/// The one input of a job, and the output if it was named as a second word. `command` is what the user called.
pub(crate) fn input_and_output(io: &InOut, command: &str) -> Result<(PathBuf, Option<PathBuf>), Failure> {
    let mut words = io.paths.iter().cloned();
    let input = match &io.input {
        Some(input) => input.clone(),
        None => words.next().ok_or_else(|| {
            Failure::new("usage.missing", "no input was named").hint(format!("kinora {command} --help"))
        })?,
    };
    let second = words.next();
    if words.next().is_some() || (second.is_some() && io.output.is_some()) {
        return Err(Failure::usage("this version takes one input and one output")
            .hint("call it once for each input; the shell's for loop does that"));
    }
    check_exists(&input)?;
    Ok((input, io.output.clone().or(second)))
}

fn check_exists(input: &Path) -> Result<(), Failure> {
    if input.exists() {
        return Ok(());
    }
    let failure = Failure::new("input.missing", format!("'{}' does not exist", input.display()));
    let name = input.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = input
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| {
            entries
                .filter_map(Result::ok)
                .map(|e| e.file_name().to_string_lossy().into_owned())
                .collect()
        })
        .unwrap_or_default();
    Err(
        match kinora_pipeline::nearest(&name, names.iter().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean {near}?")),
            None => failure,
        },
    )
}

/// A probed video and the part of it that is wanted.
#[derive(Clone)]
pub(crate) struct Clip {
    pub(crate) ffmpeg: Ffmpeg,
    pub(crate) info: MediaInfo,
    pub(crate) facts: VideoFacts,
    pub(crate) stream: usize,
    pub(crate) time_base: Rational,
    pub(crate) index: Arc<PacketIndex>,
    pub(crate) first: u64,
    pub(crate) end: u64,
}

impl Clip {
    pub(crate) fn open(app: &App, input: &Path, io: &InOut) -> Result<Self, Failure> {
        let ffmpeg = app.ffmpeg()?;
        let stop = Stop::default();
        // Three questions to FFmpeg at once, and the tables of what it can do for later.
        let (info, index) = std::thread::scope(|scope| {
            let index = scope.spawn(|| ffmpeg.main_packet_index(input, &stop));
            scope.spawn(|| ffmpeg.has_encoder("libx264"));
            let info = ffmpeg.probe_with(input, &stop);
            (info, index.join())
        });
        let info = info?;
        let found = info
            .video()
            .map(|(stream, facts)| (stream.index, stream.time_base, facts.clone()));
        let Some((stream, time_base, facts)) = found else {
            let kinds: Vec<&str> = info.streams.iter().map(|stream| stream.codec.as_str()).collect();
            return Err(
                Failure::new("input.no_video", format!("{} holds no video", input.display()))
                    .cause(format!("its streams are: {}", kinds.join(", ")))
                    .hint("kinora doctor FILE shows what is in it"),
            );
        };
        let index = index.unwrap_or_else(|_| ffmpeg.main_packet_index(input, &stop))?;
        let index = Arc::new(index);
        if index.is_empty() && (io.start.is_some() || io.end.is_some() || io.duration.is_some()) {
            return Err(Failure::usage(format!(
                "{} has no times, so no part of it can be named",
                input.display()
            ))
            .hint("put it into a container first: ffmpeg -i IN -c copy out.mkv"));
        }
        let first = io.start.map_or(Ok(0), |moment| frame_of(&index, moment, false))?;
        let end = match (io.end, io.duration) {
            (Some(end), _) => frame_of(&index, end, true)?,
            (None, Some(Moment::Frame(frames))) => first.saturating_add(frames),
            (None, Some(Moment::Micros(micros))) => {
                let from = index.pts_of(first).unwrap_or(Timestamp::new(0, index.base()));
                frame_at_or_after(&index, from, micros)
            }
            (None, None) => index.len(),
        };
        // A stream whose packets have no times (a raw one) has no index: it runs to its end.
        let end = if index.is_empty() {
            u64::MAX
        } else {
            end.min(index.len())
        };
        if first >= end {
            return Err(Failure::usage(format!(
                "the part from frame {first} to frame {end} is empty: {} has {} frames",
                input.display(),
                index.len()
            )));
        }
        Ok(Self {
            ffmpeg,
            info,
            facts,
            stream,
            time_base,
            index,
            first,
            end,
        })
    }

    /// The same video with another part of it.
    pub(crate) fn with_range(&self, first: u64, end: u64) -> Self {
        Self {
            first,
            end,
            ..self.clone()
        }
    }

    /// First time and the time after the last, where only a part is wanted.
    pub(crate) fn part(&self) -> Option<(Timestamp, Timestamp)> {
        if self.index.is_empty() || (self.first == 0 && self.end >= self.index.len()) {
            return None;
        }
        let from = self.index.pts_of(self.first)?;
        let to = match self.index.pts_of(self.end) {
            Some(next) => next,
            // The clip's end: a second behind its last frame is past all that belongs to it.
            None => moved(self.index.last_pts()?, 1_000_000)?,
        };
        Some((from, to))
    }

    pub(crate) fn frames(&self) -> u64 {
        if self.index.is_empty() {
            self.stated().frames
        } else {
            self.end - self.first
        }
    }

    /// What the container says of its length.
    pub(crate) fn stated(&self) -> Stated {
        let length = self.info.duration;
        let estimated = match (length, self.facts.frame_rate) {
            (Some(length), Some(fps)) => (length.seconds() * fps.to_f64()).round().max(0.0) as u64,
            _ => 0,
        };
        Stated {
            frames: self.facts.stated_frames.unwrap_or(estimated),
            length: length.map(|length| length.to_string()),
        }
    }

    pub(crate) fn length(&self) -> Duration {
        let from = self.index.pts_of(self.first);
        let to = self.index.pts_of(self.end.saturating_sub(1));
        match (from, to) {
            (Some(from), Some(to)) => {
                let last = self.facts.frame_rate.map_or(0.0, |fps| 1.0 / fps.to_f64().max(1e-6));
                Duration::try_from_secs_f64((to.seconds() - from.seconds()).max(0.0) + last).unwrap_or_default()
            }
            _ => Duration::ZERO,
        }
    }
}
