use std::{
    io,
    path::{Path, PathBuf},
};

use kinora_frame::{FrameError, Size};
use kinora_media::MediaError;
use kinora_pipeline::PipelineError;

use crate::{Shortfall, Who};

/// What can end a job.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Files and encoders.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// Processors and conversions, with the frame they failed on.
    #[error("{}{error}", at(*.frame, timecode))]
    Pipeline {
        /// The error below.
        #[source]
        error: Box<PipelineError>,
        /// Frame it happened on.
        frame: Option<u64>,
        /// That frame's time.
        timecode: Option<String>,
    },
    /// Pixels.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A thread that panicked: a fault of ours, never a hang.
    #[error("the {lane} lane failed unexpectedly: {message}")]
    Panic {
        /// The lane.
        lane: &'static str,
        /// The panic's words.
        message: String,
    },
    /// A thread that the system would not start.
    #[error("the {lane} lane could not be started: {cause}")]
    Thread {
        /// The lane.
        lane: &'static str,
        /// The system's words.
        cause: String,
    },
    /// The user stopped the job.
    #[error("{}", stopped(*frames, *kept, *segments))]
    Stopped {
        /// Frames that had been encoded.
        frames: u64,
        /// True where each of them stands in a file of its own.
        kept: bool,
        /// Segments that are safe, and all where their number is known.
        segments: Option<(u64, Option<u64>)>,
    },
    /// Somebody works on this job.
    #[error("this job runs already{}", holder(by.as_ref()))]
    Locked {
        /// The job folder.
        folder: PathBuf,
        /// Who, where it is known.
        by: Option<Who>,
    },
    /// A job folder of other settings, input, model or encoder.
    #[error("the job in {} was started with other settings", folder.display())]
    OtherSettings {
        /// The job folder.
        folder: PathBuf,
        /// Segments that are done.
        segments: u64,
        /// Keys that differ: name, value of the job folder, value now.
        differences: Vec<(String, String, String)>,
    },
    /// A manifest with a bad line that is not its last.
    #[error("line {line} of {} is damaged", path.display())]
    ManifestDamaged {
        /// The manifest.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Manifests of several workers that contradict each other.
    #[error("{} contradicts the other manifests: {what}", path.display())]
    ManifestsDiffer {
        /// The manifest.
        path: PathBuf,
        /// How.
        what: String,
    },
    /// A segment whose file is not what was recorded.
    #[error("{} is damaged: {why}", path.display())]
    SegmentDamaged {
        /// The file.
        path: PathBuf,
        /// How.
        why: String,
    },
    /// A folder that holds somebody else's files.
    #[error("{} holds '{holds}' and no job", folder.display())]
    NotAJob {
        /// The folder.
        folder: PathBuf,
        /// The first file that is not the job's.
        holds: String,
    },
    /// A source that changed while it was being read.
    #[error("{} changed while it was being read", path.display())]
    InputChanged {
        /// The source.
        path: PathBuf,
    },
    /// A folder without a job.
    #[error("{} holds no job", folder.display())]
    NoJob {
        /// The folder.
        folder: PathBuf,
    },
    /// A job whose segments are not all there.
    #[error("{} has {done} of {} segments, the first that is missing is {gap}", folder.display(), all.map_or_else(|| "an unknown number of".to_owned(), |all| all.to_string()))]
    Incomplete {
        /// The job folder.
        folder: PathBuf,
        /// Segments that are done.
        done: u64,
        /// All segments, where known.
        all: Option<u64>,
        /// The first one missing.
        gap: u64,
    },
    /// A pipeline that cannot begin in the middle exactly.
    #[error(
        "this pipeline remembers earlier frames, and beginning again at segment {segment} would not give exactly the same"
    )]
    Warmup {
        /// The segment.
        segment: u64,
    },
    /// A saved state that is needed and is not there.
    #[error("the state after segment {segment} is not there yet")]
    NoState {
        /// The segment.
        segment: u64,
    },
    /// A disk on which the reserve would be touched.
    #[error("disk full at segment {segment}: {free} bytes are free where {} lies, and {keep} are kept", folder.display())]
    DiskReserve {
        /// The job folder.
        folder: PathBuf,
        /// The segment that is not begun.
        segment: u64,
        /// Bytes that are free.
        free: u64,
        /// Bytes that stay free.
        keep: u64,
    },
    /// A disk that will not hold the whole job.
    #[error("the disk will not hold this job: about {needed} bytes are needed where {} lies, {free} are free", folder.display())]
    DiskShort {
        /// The job folder.
        folder: PathBuf,
        /// Bytes estimated.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// A file of the job folder.
    #[error("{doing} {} failed: {source}", path.display())]
    JobIo {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The count of frames does not come out.
    #[error("{given} frames were written for {taken} that came in, {planned} were planned")]
    Count {
        /// Frames decoded.
        taken: u64,
        /// Frames encoded.
        given: u64,
        /// Frames the plan says.
        planned: u64,
    },
    /// An input that ends before its index says.
    #[error("{} ends at {at} of {total}; no file was written under the final name", path.display())]
    Truncated {
        /// The input.
        path: PathBuf,
        /// Last time that decoded.
        at: String,
        /// Time the index promises.
        total: String,
        /// Frames that decoded.
        frames: u64,
        /// Frames the index promises.
        expected: u64,
    },
    /// Nothing decodes.
    #[error("{} has no frame that decodes", path.display())]
    NoFrames {
        /// The input.
        path: PathBuf,
    },
    /// Pictures of which one alone does not fit the memory.
    #[error("a picture of {size} takes {bytes} bytes where {limit} are allowed")]
    Memory {
        /// The size.
        size: Size,
        /// Bytes of one picture.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A pipeline that gives another number of frames than it takes.
    #[error("'{node}' gives another number of frames than it takes, which the offline engine cannot run yet")]
    Ratio {
        /// The node.
        node: String,
    },
    /// A mode of the duplicate test that there is not.
    #[error(
        "'{found}' is no way to find duplicates: write off, exact, near or near=HI,LO,FRAC, sums of blocks with LO <= HI <= {max}, FRAC from 0 to 1",
        max = crate::NearLimits::MAX_SUM
    )]
    Dedupe {
        /// What was written.
        found: String,
    },
    /// A frame that came to nothing before there was any output that could stand in for it.
    #[error("the first frame came to nothing, and there is none before it that could stand in: {reason}")]
    Rejected {
        /// The filter's reason.
        reason: String,
    },
}

fn at(frame: Option<u64>, timecode: &Option<String>) -> String {
    match (frame, timecode) {
        (Some(frame), Some(time)) => format!("frame {frame} at {time}: "),
        (Some(frame), None) => format!("frame {frame}: "),
        _ => String::new(),
    }
}

fn stopped(frames: u64, kept: bool, segments: Option<(u64, Option<u64>)>) -> String {
    match segments {
        Some((done, Some(all))) => format!("stopped: {done} of {all} segments are safe"),
        Some((done, None)) => format!("stopped: {done} segments are safe"),
        None if kept => format!("stopped after {frames} frames; what is finished stays"),
        None => format!("stopped after {frames} frames; no file was written under the final name"),
    }
}

fn holder(by: Option<&Who>) -> String {
    by.map_or_else(String::new, |by| {
        format!(", as process {} on {} since {}", by.pid, by.host, by.since)
    })
}

impl EngineError {
    pub(crate) fn job_io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::JobIo {
            doing,
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn truncated(path: PathBuf, shortfall: &Shortfall) -> Self {
        let Shortfall {
            frames,
            expected,
            at,
            total,
        } = shortfall.clone();
        Self::Truncated {
            path,
            at,
            total,
            frames,
            expected,
        }
    }

    /// Stable dotted code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Media(error) => error.code(),
            Self::Pipeline { error, .. } => error.code(),
            Self::Frame(_) => "frame.invalid",
            Self::Panic { .. } => "engine.panic",
            Self::Thread { .. } => "engine.thread",
            Self::Stopped { .. } => "job.stopped",
            Self::Locked { .. } => "job.locked",
            Self::OtherSettings { .. } => "job.identity",
            Self::ManifestDamaged { .. } | Self::ManifestsDiffer { .. } => "job.manifest",
            Self::SegmentDamaged { .. } => "job.damaged",
            Self::NoJob { .. } => "job.missing",
            Self::NotAJob { .. } => "job.foreign",
            Self::InputChanged { .. } => "input.changed",
            Self::Incomplete { .. } => "job.incomplete",
            Self::Warmup { .. } => "job.warmup",
            Self::NoState { .. } => "job.state",
            Self::DiskReserve { .. } | Self::DiskShort { .. } => "disk.full",
            Self::JobIo { source, .. }
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                "disk.full"
            }
            Self::JobIo { .. } => "job.io",
            Self::Count { .. } => "engine.count",
            Self::Truncated { .. } => "input.truncated",
            Self::NoFrames { .. } => "input.empty",
            Self::Memory { .. } => "usage.memory",
            Self::Ratio { .. } => "pipeline.ratio",
            Self::Dedupe { .. } => "usage.value",
            Self::Rejected { .. } => "frame.rejected",
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Media(error) => error.hint(),
            Self::Pipeline { error, .. } => error.hint(),
            Self::Truncated { .. } => Some("--salvage writes what decodes, marked truncated".to_owned()),
            Self::Stopped { segments: Some(_), .. } => Some("the same command continues".to_owned()),
            Self::OtherSettings { segments, .. } => Some(format!(
                "--restart discards {segments} finished segment{}; --resume-settings goes on with the old ones",
                if *segments == 1 { "" } else { "s" }
            )),
            Self::ManifestDamaged { .. } => Some("--restart begins the job again".to_owned()),
            Self::NotAJob { .. } => Some(
                "--work-dir DIR takes a new or empty folder; --restart throws segments without a manifest away"
                    .to_owned(),
            ),
            Self::InputChanged { .. } => {
                Some("what was committed before is safe: repeat the command when the file is whole".to_owned())
            }
            Self::SegmentDamaged { .. } => Some("the same command with --verify makes it again".to_owned()),
            Self::Incomplete { .. } => {
                Some("run what is missing, or join --partial takes what is there up to the gap".to_owned())
            }
            Self::Warmup { .. } => Some("--approximate goes on all the same and records it".to_owned()),
            Self::NoState { .. } => Some("run the segments before it first".to_owned()),
            Self::DiskReserve { .. } | Self::DiskShort { .. } => {
                Some("free space and repeat the command: what is finished is kept".to_owned())
            }
            Self::JobIo { .. } if self.code() == "disk.full" => {
                Some("free space and repeat the command: what is finished is kept".to_owned())
            }
            Self::Panic { .. } => {
                Some("this is a fault of kinora: repeat with -v and report what it prints".to_owned())
            }
            Self::Memory { .. } => Some("make the output smaller, or raise --memory".to_owned()),
            Self::NoFrames { .. } => Some("kinora doctor FILE shows what is in it".to_owned()),
            _ => None,
        }
    }

    /// What lies below, for the line `cause`.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::OtherSettings { differences, .. } => Some(
                differences
                    .iter()
                    .map(|(key, old, new)| format!("{key}   {old} -> {new}"))
                    .collect::<Vec<_>>()
                    .join("\n"),
            ),
            Self::Truncated { frames, expected, .. } => Some(format!("{frames} of about {expected} frames decoded")),
            _ => None,
        }
    }
}
