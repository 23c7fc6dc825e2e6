//! Containers: what each can hold.

use std::path::Path;

use crate::{MediaError, MediaInfo, StreamKind};

use super::{Audio, Note, Subtitles, presets::EncoderPreset};

/// A container that kinora writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// `.mkv`: holds everything, times to a millisecond.
    Matroska,
    /// `.mp4`, `.m4v`.
    Mp4,
    /// `.mov`.
    Mov,
    /// `.webm`.
    WebM,
    /// `.ts`.
    MpegTs,
    /// `.nut`: exact times, for segments.
    Nut,
    /// `.gif`.
    Gif,
    /// Animated `.webp`.
    WebP,
}

impl Container {
    /// The container that a file's name asks for.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "mkv" => Self::Matroska,
            "mp4" | "m4v" => Self::Mp4,
            "mov" => Self::Mov,
            "webm" => Self::WebM,
            "ts" | "m2ts" | "mts" => Self::MpegTs,
            "nut" => Self::Nut,
            "gif" => Self::Gif,
            "webp" => Self::WebP,
            _ => return None,
        })
    }

    /// FFmpeg's muxer.
    #[must_use]
    pub const fn muxer(self) -> &'static str {
        match self {
            Self::Matroska => "matroska",
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::WebM => "webm",
            Self::MpegTs => "mpegts",
            Self::Nut => "nut",
            Self::Gif => "gif",
            Self::WebP => "webp",
        }
    }

    /// The name that users know.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Matroska => "MKV",
            Self::Mp4 => "MP4",
            Self::Mov => "MOV",
            Self::WebM => "WebM",
            Self::MpegTs => "MPEG-TS",
            Self::Nut => "NUT",
            Self::Gif => "GIF",
            Self::WebP => "animated WebP",
        }
    }

    /// Largest difference that the container's own clock puts on a time, in seconds as a fraction 1/n; 0 is none.
    #[must_use]
    pub const fn rounds_to(self) -> i64 {
        match self {
            Self::Matroska | Self::WebM | Self::WebP => 1000,
            Self::Gif => 100,
            Self::MpegTs => 90_000,
            Self::Mp4 | Self::Mov | Self::Nut => 0,
        }
    }

    /// True where no picture may stand before zero: players of MP4 hide it, the others cannot
    /// say such a time.
    #[must_use]
    pub const fn starts_at_zero(self) -> bool {
        !matches!(self, Self::Gif | Self::WebP)
    }

    fn sound(self) -> Holds {
        match self {
            Self::Matroska | Self::Nut => Holds::All,
            Self::Mp4 => Holds::Only(&[
                "aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "dts", "vorbis", "truehd", "mp1",
            ]),
            Self::Mov => Holds::Only(&[
                "aac",
                "mp3",
                "ac3",
                "eac3",
                "alac",
                "opus",
                "flac",
                "dts",
                "pcm_s16le",
                "pcm_s24le",
                "pcm_s32le",
                "pcm_f32le",
                "pcm_f64le",
                "pcm_s16be",
                "pcm_s24be",
                "pcm_s32be",
                "pcm_u8",
                "pcm_s8",
                "pcm_alaw",
                "pcm_mulaw",
                "adpcm_ima_qt",
                "qdm2",
            ]),
            Self::WebM => Holds::Only(&["opus", "vorbis"]),
            Self::MpegTs => Holds::Only(&["aac", "mp3", "mp2", "ac3", "eac3", "opus", "dts", "truehd"]),
            Self::Gif | Self::WebP => Holds::Nothing,
        }
    }
}

enum Holds {
    All,
    Only(&'static [&'static str]),
    Nothing,
}

/// A stream of the source that goes into the output, and the codec it gets: `copy`, `mov_text`, `srt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) index: usize,
    /// `v`, `a`, `s`, `t`, `d`.
    pub(super) class: char,
    pub(super) codec: &'static str,
}

/// Decides for every other stream of the source what becomes of it, or why the container refuses it.
pub(super) fn kept_streams(
    container: Container,
    source: &MediaInfo,
    main: usize,
    audio: Audio,
    subtitles: Subtitles,
    notes: &mut Vec<Note>,
) -> Result<Vec<Kept>, MediaError> {
    let mut kept = Vec::new();
    let mut refused = Vec::new();
    for stream in source.streams.iter().filter(|stream| stream.index != main) {
        let index = stream.index;
        let mut keep = |class, codec| kept.push(Kept { index, class, codec });
        let mut drop = |what: &str| {
            notes.push(Note::StreamLeftOut {
                index,
                what: what.to_owned(),
                container: container.title(),
            });
        };
        match &stream.kind {
            StreamKind::Audio { .. } if audio == Audio::None => {}
            StreamKind::Audio { .. } => match container.sound() {
                Holds::Nothing => drop("sound"),
                Holds::Only(codecs) if !codecs.contains(&stream.codec.as_str()) => {
                    return Err(MediaError::Container {
                        container: container.title(),
                        what: format!("the {} sound of stream {index}", stream.codec),
                        hint: "write .mkv, or --audio none".to_owned(),
                    });
                }
                _ => keep('a', "copy"),
            },
            StreamKind::Subtitle { .. } if subtitles == Subtitles::None => {}
            StreamKind::Subtitle { bitmap: is_bitmap } => match subtitle(container, &stream.codec, *is_bitmap) {
                Some(codec) => keep('s', codec),
                None if matches!(container.sound(), Holds::Nothing) => drop("subtitles"),
                None if subtitles == Subtitles::Text && *is_bitmap => drop("bitmap subtitles"),
                None if subtitles == Subtitles::Text => drop(&format!("{} subtitles", stream.codec)),
                None => refused.push((index, *is_bitmap, stream.codec.as_str())),
            },
            StreamKind::Attachment if matches!(container, Container::Matroska) => keep('t', "copy"),
            StreamKind::Attachment => drop("an attachment"),
            StreamKind::Video(facts) if facts.attached_picture => {
                if matches!(container, Container::Mp4 | Container::Mov) {
                    keep('v', "copy");
                } else {
                    drop("cover art");
                }
            }
            StreamKind::Video(_) => drop("another picture"),
            StreamKind::Data => drop("data"),
        }
    }
    if refused.is_empty() {
        return Ok(kept);
    }
    let kind = if refused.iter().all(|(_, is_bitmap, _)| *is_bitmap) && container != Container::Matroska {
        "bitmap".to_owned()
    } else {
        let mut codecs: Vec<&str> = refused.iter().map(|(.., codec)| *codec).collect();
        codecs.dedup();
        codecs.join(" and ")
    };
    let word = if refused.len() == 1 { "stream" } else { "streams" };
    let list = refused.iter().map(|(index, ..)| index.to_string()).collect::<Vec<_>>();
    Err(MediaError::Container {
        container: container.title(),
        what: format!("the {kind} subtitles of {word} {}", list.join(", ")),
        hint: if matches!(container, Container::Matroska) {
            "--subtitles text|none leaves them out".to_owned()
        } else {
            "write .mkv, or --subtitles text|none".to_owned()
        },
    })
}

/// Subtitles for which Matroska has an identifier that every FFmpeg writes.
const MATROSKA_SUBTITLES: [&str; 9] = [
    "ass",
    "ssa",
    "subrip",
    "text",
    "webvtt",
    "dvd_subtitle",
    "dvb_subtitle",
    "hdmv_pgs_subtitle",
    "hdmv_text_subtitle",
];

/// Subtitles that hold text and that FFmpeg cannot write as other text: it has no decoder of them.
const UNREADABLE_TEXT: [&str; 5] = ["arib_caption", "hdmv_text_subtitle", "none", "ttml", "unknown"];

/// The codec that a subtitle gets in a container; `None` when there is none.
fn subtitle(container: Container, codec: &str, bitmap: bool) -> Option<&'static str> {
    let is_text = !bitmap && !UNREADABLE_TEXT.contains(&codec);
    match container {
        Container::Matroska if MATROSKA_SUBTITLES.contains(&codec) => Some("copy"),
        Container::Matroska if is_text => Some("srt"),
        Container::Mp4 | Container::Mov if codec == "mov_text" => Some("copy"),
        Container::Mp4 | Container::Mov if is_text => Some("mov_text"),
        Container::WebM if codec == "webvtt" => Some("copy"),
        Container::WebM if is_text => Some("webvtt"),
        Container::MpegTs if codec == "dvb_subtitle" => Some("copy"),
        _ => None,
    }
}

/// The typed error of a codec in a container that cannot hold it.
pub(super) fn check_codec(container: Container, preset: &EncoderPreset) -> Result<(), MediaError> {
    if preset.containers.contains(&container) {
        return Ok(());
    }
    let usual = preset
        .containers
        .iter()
        .map(|container| container.title())
        .collect::<Vec<_>>();
    Err(MediaError::Container {
        container: container.title(),
        what: format!("{} video", preset.name),
        hint: format!("{} goes into {}", preset.name, usual.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use kinora_frame::Rational;

    use super::*;
    use crate::Stream;

    /// What becomes of a source whose second stream is such a subtitle.
    fn with(container: Container, codec: &str, bitmap: bool, wanted: Subtitles) -> Result<Vec<Kept>, MediaError> {
        let source = MediaInfo {
            path: "a.ts".into(),
            container: "mpegts".to_owned(),
            duration: None,
            start: None,
            streams: vec![Stream {
                index: 1,
                codec: codec.to_owned(),
                time_base: Rational::ONE,
                tags: Vec::new(),
                dispositions: Vec::new(),
                kind: StreamKind::Subtitle { bitmap },
            }],
            chapters: Vec::new(),
            metadata: Vec::new(),
        };
        kept_streams(container, &source, 0, Audio::Copy, wanted, &mut Vec::new())
    }

    #[test]
    fn matroska_copies_only_subtitles_that_it_has_a_name_for() {
        let codec = |codec: &str, bitmap| {
            let kept = with(Container::Matroska, codec, bitmap, Subtitles::Copy);
            kept.map(|kept| kept[0].codec)
        };
        for known in ["ass", "subrip", "webvtt"] {
            assert_eq!(codec(known, false).unwrap(), "copy");
        }
        assert_eq!(codec("hdmv_pgs_subtitle", true).unwrap(), "copy");
        for rewritten in ["mov_text", "eia_608", "microdvd"] {
            assert_eq!(codec(rewritten, false).unwrap(), "srt");
        }
        for (refused, bitmap) in [("dvb_teletext", true), ("xsub", true), ("arib_caption", false)] {
            let error = codec(refused, bitmap).unwrap_err();
            assert_eq!(error.code(), "output.container");
            assert!(error.to_string().contains(refused), "{error}");
            assert!(!error.hint().unwrap().contains(".mkv"));
            let text = with(Container::Matroska, refused, bitmap, Subtitles::Text);
            assert_eq!(text.unwrap(), []);
        }
    }

    #[test]
    fn text_that_nothing_reads_is_not_rewritten() {
        for container in [Container::Mp4, Container::WebM] {
            assert!(with(container, "ttml", false, Subtitles::Copy).is_err());
        }
    }
}
