use std::{io, path::PathBuf};

use kinora_frame::{FrameError, Size};

/// What can go wrong between a file and a frame. Every variant says what was expected and what was found;
/// [`MediaError::hint`] says what the user can do.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// No FFmpeg in any of the places that were searched.
    #[error("FFmpeg was not found: looked in {}", looked.join(", "))]
    ToolMissing {
        /// Places in the order they were searched.
        looked: Vec<String>,
    },
    /// An FFmpeg older than the oldest that has the options kinora relies on.
    #[error("{} is FFmpeg {found}, kinora needs {} or newer", path.display(), crate::ffmpeg::OLDEST)]
    ToolTooOld {
        /// The program.
        path: PathBuf,
        /// Its version in its own words.
        found: String,
    },
    /// A program that is there and does not answer as FFmpeg does.
    #[error("{} does not work as FFmpeg: {cause}", path.display())]
    ToolBroken {
        /// The program.
        path: PathBuf,
        /// What happened.
        cause: String,
    },
    /// A child process gave nothing for longer than the stall limit and was ended.
    #[error("FFmpeg ({task}) gave nothing for {seconds} s and was ended{}", said(last_lines))]
    ToolStalled {
        /// What it was doing: `decode`, `encode`, `probe`.
        task: &'static str,
        /// The limit.
        seconds: u64,
        /// Its last lines on stderr.
        last_lines: String,
    },
    /// A child process ended badly or before its time.
    #[error("FFmpeg ({task}) ended with {status}{}", said(last_lines))]
    ToolFailed {
        /// What it was doing.
        task: &'static str,
        /// Exit status in words.
        status: String,
        /// Its last lines on stderr.
        last_lines: String,
    },
    /// A thread that panicked: a fault of ours, never a stop.
    #[error("{task} failed unexpectedly: {message}")]
    Panic {
        /// What it was doing.
        task: &'static str,
        /// The panic's words.
        message: String,
    },
    /// The caller stopped the work.
    #[error("stopped")]
    Stopped,
    /// A path that does not exist.
    #[error("'{}' does not exist", path.display())]
    InputMissing {
        /// The path.
        path: PathBuf,
    },
    /// A file in which FFmpeg, or an image decoder, finds no media.
    #[error("{} cannot be read: {cause}", path.display())]
    InputUnreadable {
        /// The file.
        path: PathBuf,
        /// The reader's own words.
        cause: String,
    },
    /// Media without a picture.
    #[error("{} holds no video stream{}", path.display(), found_streams(found))]
    NoVideo {
        /// The file.
        path: PathBuf,
        /// What it holds instead.
        found: String,
    },
    /// A picture above the limit, refused before memory is taken.
    #[error("{} is {size}: more than the limit of {limit} pixels", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: Size,
        /// Pixels allowed.
        limit: u64,
    },
    /// A picture size that changed where the caller asked for that to be an error.
    #[error("{} changes its picture at frame {frame}: expected {expected} bytes of {size}, found {found}", path.display())]
    SizeChanged {
        /// The file.
        path: PathBuf,
        /// First frame of another size.
        frame: u64,
        /// Size before.
        size: Size,
        /// Bytes of a frame before.
        expected: usize,
        /// Bytes of this frame.
        found: usize,
    },
    /// A picture of a folder that has another size than the first one.
    #[error("{} is {found}: the pictures before it are {expected}", path.display())]
    MixedSizes {
        /// The file.
        path: PathBuf,
        /// Size of the first picture.
        expected: Size,
        /// Its own size.
        found: Size,
    },
    /// A picture of a kind that would come out with wrong colours.
    #[error("{} is {found}, which kinora does not read: it reads {expected}", path.display())]
    UnsupportedImage {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What works.
        expected: &'static str,
    },
    /// A place that cannot be written to.
    #[error("{} cannot be written: {source}", path.display())]
    OutputUnwritable {
        /// The output.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A frame index past the end.
    #[error("{} has {frames} frames: there is no frame {frame}", path.display())]
    NoSuchFrame {
        /// The file.
        path: PathBuf,
        /// Asked for, from 0.
        frame: u64,
        /// Frames there are.
        frames: u64,
    },
    /// A NUT stream that breaks its own rules.
    #[error("the stream from FFmpeg is not valid NUT at byte {at}: expected {expected}, found {found}")]
    BadNut {
        /// Bytes read so far.
        at: u64,
        /// The rule.
        expected: &'static str,
        /// What was there.
        found: String,
    },
    /// An output that exists, without leave to replace it.
    #[error("{} exists already", path.display())]
    OutputExists {
        /// The output.
        path: PathBuf,
    },
    /// An output that is the input.
    #[error("{} is the input itself: it is never overwritten", path.display())]
    OutputIsInput {
        /// The file.
        path: PathBuf,
    },
    /// Something the container cannot hold.
    #[error("{container} cannot hold {what}")]
    Container {
        /// The container's name as users know it.
        container: &'static str,
        /// What does not fit.
        what: String,
        /// What does.
        hint: String,
    },
    /// An encoder that this FFmpeg was built without.
    #[error("this FFmpeg has no encoder '{encoder}'")]
    EncoderMissing {
        /// FFmpeg's name.
        encoder: String,
        /// Encoders of the same codec that it has.
        alternatives: Vec<String>,
    },
    /// A setting that has no meaning.
    #[error("{name} is {found}: it must be {expected}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What is allowed.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A frame that does not fit the stream it is written to.
    #[error("frame {frame} is {found}, the output takes {expected}")]
    FrameMismatch {
        /// Frames written so far.
        frame: u64,
        /// What the output was started with.
        expected: String,
        /// What came.
        found: String,
    },
    /// An output that differs from what was written into it.
    #[error("{} differs from what was written: {what}", path.display())]
    Verify {
        /// The output.
        path: PathBuf,
        /// The first difference.
        what: String,
    },
    /// No space left.
    #[error("the disk of {} is full", path.display())]
    DiskFull {
        /// The output.
        path: PathBuf,
    },
    /// Any other refusal of the operating system.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// Pixels, sizes and times.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

fn said(last_lines: &str) -> String {
    if last_lines.is_empty() {
        String::new()
    } else {
        format!(": {last_lines}")
    }
}

fn found_streams(found: &str) -> String {
    if found.is_empty() {
        String::new()
    } else {
        format!(", only {found}")
    }
}

impl MediaError {
    /// Wraps a refusal of the operating system; a full disk has its own variant.
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { what, path, source },
        }
    }

    /// A thread's result, for `join`: a panic in it becomes this error.
    pub(crate) fn joined<T>(task: &'static str, joined: std::thread::Result<Result<T, Self>>) -> Result<T, Self> {
        joined.unwrap_or_else(|panic| {
            let message = (panic.downcast_ref::<String>().cloned())
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_else(|| "no message".to_owned());
            Err(Self::Panic { task, message })
        })
    }

    /// The stable dotted code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ToolMissing { .. } => "tool.missing",
            Self::ToolTooOld { .. } => "tool.too_old",
            Self::ToolBroken { .. } => "tool.broken",
            Self::ToolStalled { .. } => "tool.stalled",
            Self::ToolFailed { .. } => "tool.failed",
            Self::Panic { .. } => "media.panic",
            Self::Stopped => "job.stopped",
            Self::InputMissing { .. } => "input.missing",
            Self::InputUnreadable { .. } => "input.unreadable",
            Self::NoVideo { .. } => "input.no_video",
            Self::TooLarge { .. } => "input.too_large",
            Self::SizeChanged { .. } => "input.size_changed",
            Self::MixedSizes { .. } => "input.mixed_sizes",
            Self::UnsupportedImage { .. } => "input.unsupported",
            Self::NoSuchFrame { .. } => "input.no_such_frame",
            Self::BadNut { .. } => "tool.bad_stream",
            Self::OutputExists { .. } => "output.exists",
            Self::OutputIsInput { .. } => "output.is_input",
            Self::OutputUnwritable { .. } => "output.unwritable",
            Self::Container { .. } => "output.container",
            Self::EncoderMissing { .. } => "output.encoder",
            Self::Setting { .. } => "usage.value",
            Self::FrameMismatch { .. } => "output.frame",
            Self::Verify { .. } => "output.verify",
            Self::DiskFull { .. } => "disk.full",
            Self::Io { .. } => "file.io",
            Self::Frame(_) => "frame.invalid",
        }
    }

    /// What the user can do about it, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::ToolMissing { .. } => "apt install ffmpeg, brew install ffmpeg, or KINORA_FFMPEG=/path".to_owned(),
            Self::ToolTooOld { .. } | Self::ToolBroken { .. } => {
                format!(
                    "install FFmpeg {} or newer, or name one with KINORA_FFMPEG=/path",
                    crate::ffmpeg::OLDEST
                )
            }
            Self::ToolStalled { .. } => {
                "the file or its disk may be damaged; try to play it with another program".to_owned()
            }
            Self::InputUnreadable { cause, .. } if cause.contains("moov atom") => {
                "copy it again; nothing can be read without the index".to_owned()
            }
            Self::InputUnreadable { .. } => {
                "check that it is a video or picture and that it was copied whole".to_owned()
            }
            Self::NoVideo { .. } => "name a file with a picture".to_owned(),
            Self::TooLarge { .. } => "raise the limit of pixels if this size is meant".to_owned(),
            Self::SizeChanged { .. } => "--on-size-change rescale brings every frame to the first size".to_owned(),
            Self::MixedSizes { .. } => "put one size per folder".to_owned(),
            Self::UnsupportedImage { expected, .. } => format!("convert it to {expected}"),
            Self::OutputExists { .. } => "--overwrite replaces it, --output NAME writes elsewhere".to_owned(),
            Self::OutputIsInput { .. } => "--output NAME writes elsewhere".to_owned(),
            Self::OutputUnwritable { .. } => {
                "check the folder and its rights, or --output NAME writes elsewhere".to_owned()
            }
            Self::Container { hint, .. } => hint.clone(),
            Self::EncoderMissing { alternatives, .. } if alternatives.is_empty() => {
                "choose another --codec, or an FFmpeg that has it".to_owned()
            }
            Self::EncoderMissing { alternatives, .. } => format!("it has {}", alternatives.join(", ")),
            Self::DiskFull { .. } => "free space and repeat the command".to_owned(),
            Self::Panic { .. } => "this is a fault of kinora: repeat with -v and report what it prints".to_owned(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_is_a_fault_and_no_stop() {
        let run = |text: &'static str| std::thread::spawn(move || -> Result<(), MediaError> { panic!("{text}") });
        let error = MediaError::joined("reading", run("no such row").join()).unwrap_err();
        assert_eq!(error.code(), "media.panic");
        assert_eq!(error.to_string(), "reading failed unexpectedly: no such row");
        let stopped = std::thread::spawn(|| -> Result<(), MediaError> { Err(MediaError::Stopped) });
        let error = MediaError::joined("reading", stopped.join()).unwrap_err();
        assert_eq!(error.code(), "job.stopped");
    }

    #[test]
    fn a_full_disk_is_told_apart_from_other_refusals() {
        let full = MediaError::io("writing", "/films/a.mkv", io::ErrorKind::StorageFull.into());
        assert_eq!(full.code(), "disk.full");
        let other = MediaError::io("writing", "/films/a.mkv", io::ErrorKind::PermissionDenied.into());
        assert_eq!(other.code(), "file.io");
    }
}
