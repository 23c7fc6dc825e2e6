//! Pieces of one stream, each encoded by itself, joined without encoding again.

use std::path::{Path, PathBuf};

use kinora_frame::Timestamp;

use super::{
    Audio, EncodeSettings, Note, Subtitles, VideoFormat, Written,
    arguments::{Input, Plan},
    part::{PartFile, same_file},
};
use crate::{
    Ffmpeg, MediaError, MediaInfo, Stop,
    child::Start,
    clock::{Lead, micros_up},
    ffmpeg::STALL,
};

/// One piece: a NUT file that an [`super::Encoder`] wrote, and the time of its first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The file.
    pub path: PathBuf,
    /// Time of its first frame, in the stream's time base; not before zero.
    pub start: Timestamp,
}

impl Ffmpeg {
    /// Everything about an output that can be refused is refused here, and nothing is written: what is left out or
    /// rewritten comes back as notes.
    ///
    /// # Errors
    /// [`MediaError::OutputExists`], [`MediaError::OutputIsInput`], [`MediaError::Container`],
    /// [`MediaError::EncoderMissing`], [`MediaError::Setting`].
    pub fn check_output(
        &self,
        output: &Path,
        video: &VideoFormat,
        source: Option<&MediaInfo>,
        settings: &EncodeSettings,
    ) -> Result<Vec<Note>, MediaError> {
        let path = output.to_path_buf();
        if source.is_some_and(|source| same_file(&source.path, output)) {
            return Err(MediaError::OutputIsInput { path });
        }
        if !settings.overwrite && output.symlink_metadata().is_ok() {
            return Err(MediaError::OutputExists { path });
        }
        Ok(Plan::new(self, output, video, with_streams(source), settings)?.notes)
    }

    /// How the pieces of an output are encoded: every choice made, nothing but pictures.
    ///
    /// # Errors
    /// As [`Ffmpeg::check_output`].
    pub fn piece_settings(
        &self,
        output: &Path,
        video: &VideoFormat,
        source: Option<&MediaInfo>,
        settings: &EncodeSettings,
    ) -> Result<EncodeSettings, MediaError> {
        let plan = Plan::new(self, output, video, with_streams(source), settings)?;
        Ok(EncodeSettings {
            codec: Some(plan.preset_name().to_owned()),
            pixel_format: Some(plan.pixel_format().to_owned()),
            audio: Audio::None,
            subtitles: Subtitles::None,
            part: None,
            metadata: Vec::new(),
            overwrite: true,
            ..settings.clone()
        })
    }

    /// Joins pieces in order into `output`, with sound and the rest from `source`. `video` and `settings` are those of the
    /// pieces. The file gets its name only when every frame of every piece is in it at its own time.
    ///
    /// # Errors
    /// As [`Ffmpeg::check_output`]; [`MediaError::Setting`] for no pieces, pieces that do not rise, a first one before
    /// zero, or one that does not begin where it is said to; [`MediaError::Verify`]; those of the child.
    pub fn join(
        &self,
        pieces: &[Piece],
        output: &Path,
        video: &VideoFormat,
        source: Option<&MediaInfo>,
        settings: &EncodeSettings,
        stop: &Stop,
    ) -> Result<Written, MediaError> {
        self.check_output(output, video, source, settings)?;
        let plan = Plan::new(self, output, video, with_streams(source), settings)?;
        let text = list(pieces)?;
        let times = self.times_of(pieces, stop)?;
        let part = PartFile::create(output, settings.overwrite)?;
        // Only ever a part: it is removed when the join ends.
        let list = PartFile::create(&output.with_extension("join.txt"), true)?;
        std::fs::write(list.path(), text).map_err(|source| MediaError::io("writing", list.path(), source))?;
        let offset = pieces
            .first()
            .and_then(|piece| micros_up(piece.start))
            .map(decimal)
            .unwrap_or_default();
        let input = Input::Pieces {
            list: list.path(),
            offset: &offset,
        };
        let mut start = Start::new(self.program(), "join", stop, settings.stall.unwrap_or(STALL));
        // Copying a whole film gives no sign of life on its pipes until its end.
        start.patient = true;
        start.args = plan.arguments(&input, part.path(), Lead::new(video.time_base))?;
        let captured = start.capture(0)?;
        if !captured.status.success() {
            let last_lines = crate::child::last_lines(&captured.log);
            if last_lines.contains("No space left on device") {
                return Err(MediaError::DiskFull {
                    path: output.to_path_buf(),
                });
            }
            return Err(MediaError::ToolFailed {
                task: "join",
                status: captured.status.to_string(),
                last_lines,
            });
        }
        let verified = self.verify(part.path(), &times, Some(video.output_color), stop)?;
        let path = part.target().to_path_buf();
        Ok(Written {
            frames: times.len() as u64,
            bytes: part.commit()?,
            path,
            color_differences: verified.color_differences,
        })
    }

    /// The times of all frames of all pieces, in order.
    fn times_of(&self, pieces: &[Piece], stop: &Stop) -> Result<Vec<Timestamp>, MediaError> {
        let mut times = Vec::new();
        for piece in pieces {
            if stop.is_stopped() {
                return Err(MediaError::Stopped);
            }
            let own = crate::nut::times(&piece.path)?;
            let first = own.first().copied();
            if first != Some(piece.start) || times.last().is_some_and(|last| *last >= piece.start) {
                return Err(MediaError::Setting {
                    name: "pieces",
                    expected: format!("in order, and {} to begin at {}", piece.path.display(), piece.start),
                    found: first.map_or_else(|| "nothing in it".to_owned(), |first| format!("beginning at {first}")),
                });
            }
            times.extend(own);
        }
        Ok(times)
    }
}

/// The source, where it may hold more than pictures. An animated WebP does not, and FFmpeg could not open it.
pub(super) fn with_streams(source: Option<&MediaInfo>) -> Option<&MediaInfo> {
    source.filter(|source| source.container != crate::animation::WEBP)
}

/// FFmpeg's list of pieces. With `inpoint` and `duration` from the same rounded times the errors cancel and no
/// time moves; rounded up, since FFmpeg cannot seek to a time before the first frame.
fn list(pieces: &[Piece]) -> Result<Vec<u8>, MediaError> {
    let bad = |found: String| MediaError::Setting {
        name: "pieces",
        expected: "one or more, in order, from zero on".to_owned(),
        found,
    };
    let mut text = b"ffconcat version 1.0\n".to_vec();
    let micros: Vec<i64> = pieces
        .iter()
        .map(|piece| micros_up(piece.start).ok_or_else(|| bad(piece.start.to_string())))
        .collect::<Result<_, _>>()?;
    if micros.is_empty() || micros[0] < 0 || micros.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(bad(format!("{} that do not rise", pieces.len())));
    }
    for (at, piece) in pieces.iter().enumerate() {
        let path = std::path::absolute(&piece.path).map_err(|source| MediaError::io("finding", &piece.path, source))?;
        text.extend(b"file 'file:");
        for &byte in path.as_os_str().as_encoded_bytes() {
            match byte {
                b'\'' => text.extend(b"'\\''"),
                b'\n' | b'\r' => return Err(bad("a piece whose name holds a line end".to_owned())),
                byte => text.push(byte),
            }
        }
        text.extend(b"'\n");
        // The first begins where it begins: FFmpeg fails to seek to the front of a NUT file whose times are near zero.
        if at > 0 {
            text.extend(format!("inpoint {}\n", decimal(micros[at])).bytes());
        }
        if let Some(next) = micros.get(at + 1) {
            text.extend(format!("duration {}\n", decimal(next - micros[at])).bytes());
        }
    }
    Ok(text)
}

fn decimal(micros: i64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinora_frame::Rational;

    #[test]
    fn rounded_lengths_add_up_to_rounded_starts() {
        let base = Rational::new(1, 90000).unwrap();
        let piece = |path: &str, ticks| Piece {
            path: path.into(),
            start: Timestamp::new(ticks, base),
        };
        let text = list(&[piece("/a'b.nut", 1), piece("/c.nut", 100_001)]).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "ffconcat version 1.0\nfile 'file:/a'\\''b.nut'\nduration 1.111111\nfile 'file:/c.nut'\ninpoint 1.111123\n"
        );
        assert!(list(&[]).is_err());
        assert!(list(&[piece("/a", 5), piece("/b", 5)]).is_err());
        assert!(list(&[piece("/a", -5)]).is_err());
        assert!(list(&[piece("/a\nfile /etc/passwd", 0)]).is_err());
    }
}
