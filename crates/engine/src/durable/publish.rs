use std::{
    io,
    path::{Path, PathBuf},
};

use kinora_frame::{Rational, Timestamp};
use kinora_media::{EncodeSettings, Ffmpeg, MediaError, MediaInfo, PartFile, Piece, Stop, VideoFormat};

use super::{DoneRecord, JobFolder, SegmentRecord, folder::hash_file, names::name_of};
use crate::EngineError;

/// A job's final file under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The file.
    pub path: PathBuf,
    /// Frames in it.
    pub frames: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Colour facts that the container did not keep.
    pub color_differences: Vec<String>,
    /// Segments in it.
    pub segments: u64,
}

/// What the final file is made of besides segments.
pub struct Final<'a> {
    /// The FFmpeg.
    pub ffmpeg: &'a Ffmpeg,
    /// The name it gets.
    pub output: &'a Path,
    /// The pictures.
    pub video: &'a VideoFormat,
    /// Where sound and the rest come from.
    pub source: Option<&'a MediaInfo>,
    /// As for an encoder that writes the whole file.
    pub settings: &'a EncodeSettings,
}

/// Joins the segments of a job, verifies every frame's time, and gives the file its name. With `partial` those up to the
/// first gap, and sound to match.
///
/// # Errors
/// [`EngineError::Incomplete`] for a job with gaps, [`EngineError::SegmentDamaged`], those of joining; the final name is
/// untouched then.
pub fn publish(folder: &JobFolder, about: &Final<'_>, partial: bool, stop: &Stop) -> Result<Published, EngineError> {
    let place = |path: &Path| path.canonicalize().ok();
    let output = place(about.output).or_else(|| Some(place(parent_of(about.output))?.join(about.output.file_name()?)));
    let is_input = output.is_some() && about.source.is_some_and(|source| place(&source.path) == output);
    let is_inside =
        matches!((&output, place(folder.path())), (Some(output), Some(folder)) if output.starts_with(&folder));
    if is_input || is_inside {
        return Err(MediaError::OutputIsInput {
            path: about.output.to_path_buf(),
        }
        .into());
    }
    let segments = folder.segments();
    let mut there: Vec<&SegmentRecord> = Vec::new();
    for (expected, (index, record)) in segments.iter().enumerate() {
        if *index != expected as u64 {
            break;
        }
        there.push(record);
    }
    let all = folder.end().map(|end| end.segments);
    if there.is_empty() || (!partial && all != Some(there.len() as u64)) {
        return Err(EngineError::Incomplete {
            folder: folder.path().to_path_buf(),
            done: segments.len() as u64,
            all,
            gap: there.len() as u64,
        });
    }
    let is_short = partial && all != Some(there.len() as u64);
    let mut pieces = Vec::new();
    for record in &there {
        // A changed byte shows neither in a size nor, for sure, in the joined file.
        if let Some(file) = &record.file {
            let path = folder.path().join(file);
            if hash_file(&path)?.1 != record.blake3 {
                return Err(EngineError::SegmentDamaged {
                    path,
                    why: "its hash is not the recorded one".to_owned(),
                });
            }
        }
        if let (Some(file), Some(times)) = (&record.file, record.times) {
            let base = Rational::new(times.base[0], times.base[1])?;
            pieces.push((
                Piece {
                    path: folder.path().join(file),
                    start: Timestamp::new(times.first, base),
                },
                Timestamp::new(times.last, base),
            ));
        }
    }
    let mut settings = EncodeSettings {
        overwrite: true,
        ..about.settings.clone()
    };
    if let (true, Some((first, _)), Some((_, last))) = (is_short, pieces.first(), pieces.last()) {
        let from = settings.part.map_or(first.start, |(from, _)| from);
        // Sound up to the end of the last frame, whose length nobody states: a tick behind its start will do.
        settings.part = Some((from, Timestamp::new(last.ticks.saturating_add(1), last.base)));
    }
    let pieces: Vec<Piece> = pieces.into_iter().map(|(piece, _)| piece).collect();
    let extension = about
        .output
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let unnamed = folder.tmp().join(format!("final.{extension}"));
    let joined = about
        .ffmpeg
        .join(&pieces, &unnamed, about.video, about.source, &settings, stop)?;
    let (bytes, blake3) = hash_file(&unnamed)?;
    let done = DoneRecord {
        name: name_of(about.output),
        bytes,
        blake3,
        frames: joined.frames,
    };
    if !is_short {
        folder.record_done(done)?;
    }
    give_name(folder, &unnamed, about.output, about.settings.overwrite)?;
    Ok(Published {
        path: about.output.to_path_buf(),
        frames: joined.frames,
        bytes,
        color_differences: joined.color_differences,
        segments: there.len() as u64,
    })
}

/// True when `output` is the file that a folder says it is: the work ended between its name and the last cleaning up.
#[must_use]
pub fn is_published(done: &DoneRecord, output: &Path) -> bool {
    done.name == name_of(output)
        && hash_file(output).is_ok_and(|(bytes, blake3)| bytes == done.bytes && blake3 == done.blake3)
}

fn parent_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Puts a synced file under its final name, over another file system too.
fn give_name(folder: &JobFolder, unnamed: &Path, output: &Path, overwrite: bool) -> Result<(), EngineError> {
    let store = folder.store();
    let named = if overwrite {
        store.rename(unnamed, output)
    } else {
        store.rename_new(unnamed, output)
    };
    match named {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(MediaError::OutputExists {
                path: output.to_path_buf(),
            }
            .into());
        }
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let part = PartFile::create(output, overwrite)?;
            std::fs::copy(unnamed, part.path())
                .map_err(|source| EngineError::job_io("copying to", part.path(), source))?;
            part.commit()?;
            return Ok(());
        }
        Err(source) => return Err(EngineError::job_io("renaming to", output, source)),
    }
    let parent = parent_of(output);
    store
        .sync_folder(parent)
        .map_err(|source| EngineError::job_io("syncing", parent, source))
}
