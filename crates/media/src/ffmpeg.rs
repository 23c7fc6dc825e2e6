//! Finds FFmpeg and asks it what it can do: a capability table, not guesses from its version.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::{
    MediaError,
    child::{Start, Stop},
};

/// The oldest FFmpeg that has every option kinora relies on (`-fps_mode`).
pub const OLDEST: FfmpegVersion = FfmpegVersion { major: 5, minor: 1 };

/// Longest silence of a child process before it is ended, unless the caller says otherwise.
pub const STALL: Duration = Duration::from_secs(30);

/// Demuxers that may open a user's file: none of them follows a reference to another file or address.
const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,nut,gif,apng,mpeg,mpegvideo,m4v,flv,asf,ogg,\
                       mxf,dv,yuv4mpegpipe,ivf,h264,hevc,obu";

/// Largest single allocation of a child, bytes.
const MAX_ALLOC: &str = "2147483647";

/// A version of FFmpeg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FfmpegVersion {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
}

impl fmt::Display for FfmpegVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Where to look for FFmpeg, in order. All of it comes from the caller.
#[derive(Clone, Debug, Default)]
pub struct FfmpegSearch {
    /// A program that the user named: it alone is used, or the search fails.
    pub explicit: Option<PathBuf>,
    /// The value of `KINORA_FFMPEG`: as `explicit`, after it.
    pub environment: Option<PathBuf>,
    /// The value of `PATH`.
    pub path: Option<OsString>,
    /// Folders that may hold an `ffmpeg`, or the unpacked `imageio_ffmpeg` package.
    pub folders: Vec<PathBuf>,
}

/// An FFmpeg that was found and answers. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Ffmpeg(Arc<Tool>);

#[derive(Clone, Debug)]
struct Tool {
    program: PathBuf,
    ffprobe: Option<PathBuf>,
    version: FfmpegVersion,
    version_text: String,
    encoders: Table,
    decoders: Table,
}

/// Names of one of FFmpeg's tables, asked for at first need. A program that does not answer has none of them.
#[derive(Clone, Debug, Default)]
struct Table(OnceLock<BTreeSet<String>>);

impl Table {
    fn has(&self, program: &Path, question: &str, name: &str) -> bool {
        self.0
            .get_or_init(|| {
                ask(program, question)
                    .map(|answer| names(&answer.table))
                    .unwrap_or_default()
            })
            .contains(name)
    }
}

impl Ffmpeg {
    /// Searches the places in order and takes the first FFmpeg that is new enough.
    ///
    /// # Errors
    /// [`MediaError::ToolMissing`], [`MediaError::ToolTooOld`], [`MediaError::ToolBroken`].
    pub fn find(search: &FfmpegSearch) -> Result<Self, MediaError> {
        if let Some(named) = search.explicit.as_ref().or(search.environment.as_ref()) {
            if !named.exists() {
                return Err(MediaError::ToolMissing {
                    looked: vec![named.display().to_string()],
                });
            }
            return Self::at(named);
        }
        let mut looked = Vec::new();
        let mut refusal = None;
        for candidate in candidates(search, &mut looked) {
            match Self::at(&candidate) {
                Ok(found) => return Ok(found),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        Err(refusal.unwrap_or(MediaError::ToolMissing { looked }))
    }

    /// The FFmpeg at `program`, asked for its version and its encoders in one run; its other tables are read at first
    /// need.
    /// An `ffprobe` beside it is used where there is one.
    ///
    /// # Errors
    /// [`MediaError::ToolTooOld`], [`MediaError::ToolBroken`].
    pub fn at(program: &Path) -> Result<Self, MediaError> {
        let program = std::path::absolute(program).unwrap_or_else(|_| program.to_path_buf());
        let Answer { banner, table } = ask(&program, "-encoders")?;
        let Some(version) = parse_version(&banner) else {
            return Err(MediaError::ToolBroken {
                cause: format!("its version reads '{}'", banner.lines().next().unwrap_or_default()),
                path: program,
            });
        };
        let version_text = banner.split_whitespace().nth(2).unwrap_or_default().to_owned();
        if version < OLDEST {
            return Err(MediaError::ToolTooOld {
                path: program,
                found: version_text,
            });
        }
        let ffprobe = program
            .parent()
            .map(|folder| folder.join("ffprobe"))
            .filter(|probe| probe.is_file());
        Ok(Self(Arc::new(Tool {
            ffprobe,
            version,
            version_text,
            encoders: Table(OnceLock::from(names(&table))),
            decoders: Table::default(),
            program,
        })))
    }

    /// The same FFmpeg with its `ffprobe` left aside.
    #[must_use]
    pub fn without_ffprobe(&self) -> Self {
        Self(Arc::new(Tool {
            ffprobe: None,
            ..Tool::clone(&self.0)
        }))
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.0.program
    }

    /// The `ffprobe` beside it.
    #[must_use]
    pub fn ffprobe(&self) -> Option<&Path> {
        self.0.ffprobe.as_deref()
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> FfmpegVersion {
        self.0.version
    }

    /// Its version in its own words: `5.1.9-0+deb12u1`.
    #[must_use]
    pub fn version_text(&self) -> &str {
        &self.0.version_text
    }

    /// True when it was built with this encoder.
    #[must_use]
    pub fn has_encoder(&self, name: &str) -> bool {
        self.0.encoders.has(&self.0.program, "-encoders", name)
    }

    /// True when it was built with this decoder.
    #[must_use]
    pub fn has_decoder(&self, name: &str) -> bool {
        self.0.decoders.has(&self.0.program, "-decoders", name)
    }
}

fn candidates(search: &FfmpegSearch, looked: &mut Vec<String>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Some(path) = &search.path {
        looked.push("PATH".to_owned());
        found.extend(
            std::env::split_paths(path)
                .map(|folder| folder.join("ffmpeg"))
                .filter(|file| file.is_file()),
        );
    }
    for folder in &search.folders {
        looked.push(folder.display().to_string());
        let direct = folder.join("ffmpeg");
        if direct.is_file() {
            found.push(direct);
        }
        for folder in [
            folder.clone(),
            folder.join("binaries"),
            folder.join("imageio_ffmpeg/binaries"),
        ] {
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            let mut unpacked: Vec<PathBuf> = entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| {
                    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
                    name.starts_with("ffmpeg-") && name.contains("-v") && path.is_file()
                })
                .collect();
            unpacked.sort();
            found.extend(unpacked.into_iter().rev());
        }
    }
    found
}

/// What an FFmpeg says to a question: who it is, on stderr, and the table asked for.
struct Answer {
    banner: String,
    table: String,
}

fn ask(program: &Path, question: &str) -> Result<Answer, MediaError> {
    let stop = Stop::default();
    let mut start = Start::new(program, "version", &stop, STALL);
    start.args = vec![question.into()];
    let captured = start.capture(4 << 20)?;
    if !captured.status.success() {
        return Err(MediaError::ToolBroken {
            path: program.to_path_buf(),
            cause: format!("{question} ended with {}", captured.status),
        });
    }
    Ok(Answer {
        banner: captured.log,
        table: String::from_utf8_lossy(&captured.stdout).into_owned(),
    })
}

/// Reads the version of a release, or of a build from the repository by its libavutil.
fn parse_version(text: &str) -> Option<FfmpegVersion> {
    let word = text
        .lines()
        .next()?
        .strip_prefix("ffmpeg version ")?
        .split_whitespace()
        .next()?;
    let mut numbers = word.trim_start_matches('n').split(|c: char| !c.is_ascii_digit());
    if let Some(major) = numbers.next().and_then(|number| number.parse().ok()) {
        let minor = numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0);
        if major < 1000 {
            return Some(FfmpegVersion { major, minor });
        }
    }
    let line = text.lines().find(|line| line.starts_with("libavutil"))?;
    let mut numbers = line
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse::<u32>().ok());
    let (major, minor) = (numbers.next()?, numbers.next()?);
    // libavutil 57.28 is FFmpeg 5.1, and each major raised both by one.
    Some(FfmpegVersion {
        major: major.checked_sub(52)?,
        minor: u32::from(major > 57 || minor >= 28),
    })
}

/// The second column of FFmpeg's tables: `V....D libx264 ...`.
fn names(table: &str) -> BTreeSet<String> {
    table
        .lines()
        .filter(|line| line.starts_with(' ') && !line.contains(" = "))
        .filter_map(|line| line.split_whitespace().nth(1))
        .map(str::to_owned)
        .collect()
}

/// The options that stand before every `-i` of a user's file, and the `-i` itself.
pub(crate) fn input_file(path: &Path) -> Result<Vec<OsString>, MediaError> {
    let mut args: Vec<OsString> = ["-protocol_whitelist", "file", "-format_whitelist", FORMATS, "-i"]
        .map(OsString::from)
        .to_vec();
    args.push(file_url(path)?);
    Ok(args)
}

/// `file:` and the absolute path: a name is then never an option, a protocol or a pattern.
pub(crate) fn file_url(path: &Path) -> Result<OsString, MediaError> {
    let absolute = std::path::absolute(path).map_err(|source| MediaError::io("finding", path, source))?;
    let mut url = OsString::from("file:");
    url.push(absolute);
    Ok(url)
}

/// The options that every FFmpeg child starts with.
pub(crate) fn common(log_level: &str) -> Vec<OsString> {
    [
        "-nostdin",
        "-hide_banner",
        "-nostats",
        "-v",
        log_level,
        "-max_alloc",
        MAX_ALLOC,
    ]
    .map(OsString::from)
    .to_vec()
}

/// The typed error of a path that is no readable file.
pub(crate) fn check_input(path: &Path) -> Result<(), MediaError> {
    let about = std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => MediaError::InputMissing {
            path: path.to_path_buf(),
        },
        _ => MediaError::io("opening", path, source),
    })?;
    let cause = if about.is_dir() {
        "it is a folder"
    } else if about.is_file() && about.len() == 0 {
        "it is empty"
    } else {
        return Ok(());
    };
    Err(MediaError::InputUnreadable {
        path: path.to_path_buf(),
        cause: cause.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_releases_and_of_repository_builds_are_read() {
        let read = |text| parse_version(text).map(|version| (version.major, version.minor));
        assert_eq!(read("ffmpeg version 5.1.9-0+deb12u1 Copyright (c)"), Some((5, 1)));
        assert_eq!(
            read("ffmpeg version n9.0.2-17-g2a571b6068-20260930 Copyright"),
            Some((9, 0))
        );
        assert_eq!(read("ffmpeg version 4.4.2 Copyright"), Some((4, 4)));
        assert_eq!(
            read("ffmpeg version N-109-gabc Copyright\nlibavutil      58. 10.100 / 58. 10.100"),
            Some((6, 1))
        );
        assert_eq!(
            read("ffmpeg version N-10-gabc Copyright\nlibavutil      57.  2.100 / 57.  2.100"),
            Some((5, 0))
        );
        assert_eq!(read("bash: not found"), None);
    }

    #[test]
    fn the_columns_of_a_capability_table_become_names() {
        let table =
            "Encoders:\n V..... = Video\n ------\n V....D libx264              H.264 (codec h264)\n A....D aac   AAC\n";
        assert!(names(table).contains("libx264") && names(table).contains("aac"));
        assert!(!names(table).contains("="));
    }
}
