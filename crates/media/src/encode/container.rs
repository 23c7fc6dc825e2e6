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
    let mut bitmap = Vec::new();
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
                None if subtitles == Subtitles::Text => drop("bitmap subtitles"),
                None => bitmap.push(index),
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
    if bitmap.is_empty() {
        return Ok(kept);
    }
    let (word, list) = (
        if bitmap.len() == 1 { "stream" } else { "streams" },
        bitmap.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    );
    Err(MediaError::Container {
        container: container.title(),
        what: format!("the bitmap subtitles of {word} {list}"),
        hint: "write .mkv, or --subtitles text|none".to_owned(),
    })
}

/// The codec that a subtitle gets in a container; `None` when there is none.
fn subtitle(container: Container, codec: &str, bitmap: bool) -> Option<&'static str> {
    match container {
        Container::Matroska if codec == "mov_text" => Some("srt"),
        Container::Matroska => Some("copy"),
        Container::Mp4 | Container::Mov if codec == "mov_text" => Some("copy"),
        Container::Mp4 | Container::Mov if !bitmap => Some("mov_text"),
        Container::WebM if codec == "webvtt" => Some("copy"),
        Container::WebM if !bitmap => Some("webvtt"),
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
