//! Frames into a file: raw pictures over a NUT pipe, sound and the rest copied from the source.

#[cfg(test)]
mod argument_tests;
mod arguments;
mod choice;
mod container;
mod fourcc;
mod hdr;
mod join;
mod pad;
pub(crate) mod part;
mod presets;
mod stored;

use serde::{Deserialize, Serialize};
use std::{io, path::Path, path::PathBuf, process::ChildStdin, time::Duration};

use kinora_frame::{ColorSpec, Frame, PixelFormat, Rational, SideData, Size, Timestamp};

use crate::{
    Ffmpeg, MediaError, MediaInfo, Stop,
    child::{ChildProcess, Pipe, Start},
    clock::Lead,
    ffmpeg::STALL,
    nut::NutWriter,
};
pub use container::Container;
pub use join::Piece;
pub use part::{PartFile, rename_new};
pub use presets::{ALL as ENCODER_PRESETS, EncoderPreset, HdrParameters, Quality, find as encoder_preset};

/// What becomes of the source's sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Audio {
    /// Copied, bit for bit, all tracks.
    #[default]
    Copy,
    /// Left out.
    None,
}

/// What becomes of the source's subtitles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Subtitles {
    /// All of them; text is rewritten where the container has its own form. What cannot be is an error before the start.
    #[default]
    Copy,
    /// Those that are text; bitmap ones are left out where the container cannot hold them.
    Text,
    /// None.
    None,
}

/// What becomes of a picture with an odd side where the encoder takes even ones only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OddSize {
    /// The last column or row is doubled.
    #[default]
    Pad,
    /// The last column or row is cut off.
    Crop,
    /// Chroma is kept at full resolution, which has no such need.
    FullChroma,
}

/// How to encode.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EncodeSettings {
    /// `h264`, `h265`, `av1`, `vp9`, `prores`, `ffv1`, `gif`, `webp`, or a hardware encoder; `None` is by container.
    pub codec: Option<String>,
    /// Constant quality in the encoder's own numbers; `None` is the preset's usual one.
    pub crf: Option<u32>,
    /// Bit rate in bits a second, instead of constant quality.
    pub bitrate: Option<u64>,
    /// The encoder's speed setting: `medium`, `6`, `p5`.
    pub encoder_preset: Option<String>,
    /// Pixel format of the file in FFmpeg's name; `None` is the one of the encoder's that keeps most.
    pub pixel_format: Option<String>,
    /// More options for the encoder, as FFmpeg names them without the dash.
    pub options: Vec<(String, String)>,
    /// Threads of the encoder; `None` is its own choice.
    pub threads: Option<u32>,
    /// Sound.
    pub audio: Audio,
    /// Subtitles.
    pub subtitles: Subtitles,
    /// Odd sides.
    pub odd_size: OddSize,
    /// First time, and the time after the last, of the part of the source whose sound and subtitles are copied; `None`
    /// is all of it.
    pub part: Option<(Timestamp, Timestamp)>,
    /// Metadata added to the source's: what made this file.
    pub metadata: Vec<(String, String)>,
    /// Leave to replace an existing file.
    pub overwrite: bool,
    /// Longest time that the encoder may neither take a byte, nor end, nor be at work (use the processor, read or write);
    /// `None` is 30 s. A slow encoder that works is waited for, also after the last frame.
    pub stall: Option<Duration>,
}

/// The pictures that will be written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VideoFormat {
    /// Size of every frame.
    pub size: Size,
    /// Pixel format of every frame.
    pub format: PixelFormat,
    /// What the frames' code values mean.
    pub color: ColorSpec,
    /// What the file's code values are to mean; for RGB frames the matrix of the file is taken from here.
    pub output_color: ColorSpec,
    /// Time base of all times: the source stream's.
    pub time_base: Rational,
    /// Shape of a pixel.
    pub sample_aspect: Option<Rational>,
    /// HDR facts.
    pub side_data: SideData,
}

/// Something that the user should know about the output and that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A stream of the source that the container cannot hold.
    StreamLeftOut {
        /// Its index in the source.
        index: usize,
        /// What it is.
        what: String,
        /// The container's name.
        container: &'static str,
    },
    /// A stream that is rewritten in another form.
    StreamConverted {
        /// Its index in the source.
        index: usize,
        /// Its codec.
        from: String,
        /// The new one.
        to: &'static str,
    },
    /// A picture whose size had to change.
    SizeAdjusted {
        /// Size of the frames.
        from: Size,
        /// Size in the file.
        to: Size,
    },
    /// A pixel format that the encoder does not take.
    FormatConverted {
        /// Format of the frames.
        from: String,
        /// Format in the file.
        to: String,
        /// True when something is lost: depth, chroma, opacity.
        lossy: bool,
    },
    /// Times before zero, which the container does not have: all streams were moved by the same time.
    TimesMoved {
        /// Seconds, as a decimal.
        seconds: String,
        /// The container's name.
        container: &'static str,
    },
    /// HDR10 facts that this encoder cannot carry.
    HdrLost {
        /// The encoder.
        encoder: &'static str,
    },
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::StreamLeftOut { index, what, container } => {
                write!(f, "stream {index} ({what}) is left out: {container} cannot hold it")
            }
            Self::StreamConverted { index, from, to } => write!(f, "stream {index} is rewritten: {from} -> {to}"),
            Self::SizeAdjusted { from, to } => write!(f, "the encoder takes even sides only: {from} -> {to}"),
            Self::FormatConverted { from, to, lossy: true } => write!(f, "{from} is stored as {to}, which keeps less"),
            Self::FormatConverted { from, to, lossy: false } => write!(f, "{from} is stored as {to}"),
            Self::TimesMoved { seconds, container } => {
                write!(
                    f,
                    "{container} has no times before zero: everything starts {seconds} s later"
                )
            }
            Self::HdrLost { encoder } => write!(f, "{encoder} cannot carry HDR10 mastering data: it is lost"),
        }
    }
}

/// A finished file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Frames.
    pub frames: u64,
    /// Bytes.
    pub bytes: u64,
    /// Its name.
    pub path: PathBuf,
    /// Colour facts that the container or encoder did not keep: `transfer: smpte2084 -> unspecified`.
    pub color_differences: Vec<String>,
}

/// Free bytes below which a file that is not whole is the disk's fault: less than a muxer's buffer.
const LEAST_FREE: u64 = 256 << 10;

/// Encodes one video stream. Dropped before [`Encoder::finish`] it ends its child and leaves no file.
pub struct Encoder {
    ffmpeg: Ffmpeg,
    child: ChildProcess,
    nut: Option<NutWriter<Pipe<ChildStdin>>>,
    part: Option<PartFile>,
    video: VideoFormat,
    lead: Lead,
    frames: u64,
    /// Times of all frames, to be compared with the file's.
    times: Vec<i64>,
    last_pts: Option<u64>,
    /// The container has no times before zero, and nothing moves them.
    from_zero: bool,
    piped: Size,
    /// A padded frame, where the encoder needs one.
    padded: Vec<u8>,
    notes: Vec<Note>,
    stop: Stop,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("part", &self.part)
            .field("video", &self.video)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl Encoder {
    /// Checks everything that can be checked, then starts the encoder. Sound, subtitles, chapters and metadata come
    /// from `source`; the video stream that the frames replace is [`MediaInfo::video`] of it.
    ///
    /// # Errors
    /// [`MediaError::OutputExists`], [`MediaError::OutputIsInput`], [`MediaError::Container`],
    /// [`MediaError::EncoderMissing`], [`MediaError::Setting`], and those of the child.
    pub fn start(
        ffmpeg: &Ffmpeg,
        output: &Path,
        video: &VideoFormat,
        source: Option<&MediaInfo>,
        settings: &EncodeSettings,
        stop: &Stop,
    ) -> Result<Self, MediaError> {
        if source.is_some_and(|source| part::same_file(&source.path, output)) {
            return Err(MediaError::OutputIsInput {
                path: output.to_path_buf(),
            });
        }
        let source = join::with_streams(source);
        video.format.frame_bytes(video.size)?;
        let mut plan = arguments::Plan::new(ffmpeg, output, video, source, settings)?;
        let part = PartFile::create(output, settings.overwrite)?;
        let lead = Lead::new(video.time_base);
        let piped = plan.piped_size();
        let mut padded = Vec::new();
        if piped != video.size {
            padded.resize(video.format.frame_bytes(piped)?, 0);
        }
        let mut start = Start::new(ffmpeg.program(), "encode", stop, settings.stall.unwrap_or(STALL));
        start.stdin = true;
        start.patient = true;
        // Waiting for us is not worth a word.
        start.lines = Some(Box::new(|line| !line.contains("Thread message queue blocking")));
        start.args = plan.arguments(&arguments::Input::Pipe, part.path(), lead)?;
        let mut child = start.spawn()?;
        let Some(stdin) = child.stdin.take() else {
            return Err(child.failed("no input".to_owned()));
        };
        let aspect = video
            .sample_aspect
            .and_then(|aspect| Some((u32::try_from(aspect.num()).ok()?, u32::try_from(aspect.den()).ok()?)))
            .unwrap_or((0, 0));
        let nut = NutWriter::new(stdin, arguments::fourcc(video.format)?, piped, aspect, video.time_base);
        let nut = nut.map_err(|source| child.failure(&source))?;
        Ok(Self {
            ffmpeg: ffmpeg.clone(),
            child,
            nut: Some(nut),
            part: Some(part),
            video: video.clone(),
            lead,
            frames: 0,
            times: Vec::new(),
            last_pts: None,
            from_zero: plan.refuses_times_before_zero(),
            piped,
            padded,
            notes: std::mem::take(&mut plan.notes),
            stop: stop.clone(),
        })
    }

    /// What the user should know about this output; complete from the start.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Frames written so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// A handle that ends encoding from another thread.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    /// Writes one frame; blocks while the encoder is busy. Times must rise.
    ///
    /// # Errors
    /// [`MediaError::FrameMismatch`] for a frame of another size or format, [`MediaError::ToolFailed`] with the
    /// encoder's last lines, [`MediaError::DiskFull`], [`MediaError::ToolStalled`], [`MediaError::Stopped`].
    pub fn write(&mut self, frame: &Frame) -> Result<(), MediaError> {
        let found = frame.image.pixel_format("encoding")?;
        if frame.image.size() != self.video.size || found != self.video.format {
            return Err(MediaError::FrameMismatch {
                frame: self.frames,
                expected: format!("{} {}", self.video.size, self.video.format),
                found: format!("{} {found}", frame.image.size()),
            });
        }
        let pts = self.lead.onto_pipe(frame.pts)?;
        if self.from_zero && frame.pts.ticks < 0 {
            return Err(MediaError::FrameMismatch {
                frame: self.frames,
                expected: "times from zero on: no source says by how much to move them".to_owned(),
                found: format!("at {}", frame.pts),
            });
        }
        if self.last_pts.is_some_and(|last| pts <= last) {
            return Err(MediaError::FrameMismatch {
                frame: self.frames,
                expected: "times that rise".to_owned(),
                found: format!("at {}", frame.pts),
            });
        }
        let mut bytes = frame.image.host_buffer()?.bytes();
        if !self.padded.is_empty() {
            pad::pad(self.video.format, self.video.size, self.piped, bytes, &mut self.padded);
            bytes = &self.padded;
        }
        let Some(nut) = self.nut.as_mut() else {
            return Err(self.child.failed("its input closed".to_owned()));
        };
        match nut.frame(pts, bytes) {
            Ok(()) => {
                self.frames += 1;
                self.times.push(frame.pts.rescale_exact(self.video.time_base)?.ticks);
                self.last_pts = Some(pts);
                Ok(())
            }
            Err(source) => {
                self.nut = None;
                Err(self.broken(&source))
            }
        }
    }

    /// Ends the stream, waits for the encoder and gives the file its final name.
    ///
    /// # Errors
    /// As [`Encoder::write`]; the final name exists only after `Ok`.
    pub fn finish(mut self) -> Result<Written, MediaError> {
        // Closing the pipe is the end of the stream.
        drop(self.nut.take());
        let status = self.child.finish()?;
        if !status.success() {
            return Err(self.told(self.child.failed(status.to_string())));
        }
        // Exit codes are not evidence: the file itself is counted, time by time, before it gets its name.
        let base = self.video.time_base;
        let times: Vec<Timestamp> = self.times.iter().map(|ticks| Timestamp::new(*ticks, base)).collect();
        let moved = self.notes.iter().any(|note| matches!(note, Note::TimesMoved { .. }));
        let Some(part) = self.part.as_ref() else {
            return Err(self.child.failed("no output".to_owned()));
        };
        let color = Some(self.video.output_color);
        let verified = match self.ffmpeg.verify_times(part.path(), &times, color, moved, &self.stop) {
            Ok(verified) => verified,
            Err(error) => return Err(self.told(error)),
        };
        let Some(part) = self.part.take() else {
            return Err(self.child.failed("no output".to_owned()));
        };
        let path = part.target().to_path_buf();
        Ok(Written {
            frames: self.frames,
            bytes: part.commit()?,
            path,
            color_differences: verified.color_differences,
        })
    }

    fn broken(&mut self, source: &io::Error) -> MediaError {
        let error = self.child.failure(source);
        self.told(error)
    }

    /// A full disk has its own error, whoever met it.
    fn told(&self, error: MediaError) -> MediaError {
        let Some(part) = &self.part else { return error };
        let says_so = matches!(&error, MediaError::ToolFailed { last_lines, .. } if last_lines.contains("No space left on device"));
        // FFmpeg may end well without having written everything, and then the file is not what it should be.
        let folder = part.path().parent().unwrap_or(Path::new("/"));
        let is_full =
            rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < LEAST_FREE);
        let about_the_file = matches!(
            error,
            MediaError::ToolFailed { .. } | MediaError::Verify { .. } | MediaError::InputUnreadable { .. }
        );
        if says_so || (is_full && about_the_file) {
            return MediaError::DiskFull {
                path: part.target().to_path_buf(),
            };
        }
        error
    }
}
