use std::path::PathBuf;

use kinora_frame::{ColorSpec, PixelFormat, Rational, SideData, Size, Timestamp};

/// What a media file holds, as found by [`crate::Ffmpeg::probe`].
#[derive(Clone, Debug, PartialEq)]
pub struct MediaInfo {
    /// The file.
    pub path: PathBuf,
    /// Demuxer names: `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// Length as the container states it, to a hundredth of a second; `None` when it does not.
    pub duration: Option<Timestamp>,
    /// Earliest start of its streams, in microseconds.
    pub start: Option<Timestamp>,
    /// The streams in the file's order; `streams[i].index == i`.
    pub streams: Vec<Stream>,
    /// Chapters in order.
    pub chapters: Vec<Chapter>,
    /// Global metadata in the file's order, without the muxer's own name (`encoder`).
    pub metadata: Vec<(String, String)>,
}

/// One stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Position in the file.
    pub index: usize,
    /// FFmpeg's codec name: `h264`, `aac`, `subrip`; `none` when unknown.
    pub codec: String,
    /// Seconds a tick.
    pub time_base: Rational,
    /// Language and other tags.
    pub tags: Vec<(String, String)>,
    /// Dispositions that are set: `default`, `forced`, `attached_pic`.
    pub dispositions: Vec<String>,
    /// What kind it is.
    pub kind: StreamKind,
}

/// Kinds of streams.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamKind {
    /// Pictures.
    Video(Box<VideoFacts>),
    /// Sound.
    Audio {
        /// Samples a second; 0 when not stated.
        sample_rate_hz: u32,
        /// FFmpeg's name of the layout: `stereo`, `5.1(side)`.
        layout: String,
    },
    /// Subtitles; bitmap ones cannot become text.
    Subtitle {
        /// True for pictures (PGS, VobSub, DVB).
        bitmap: bool,
    },
    /// Fonts and other files.
    Attachment,
    /// Time codes, telemetry and the rest.
    Data,
}

/// Facts of a video stream.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoFacts {
    /// Picture size as it is shown and decoded: after rotation.
    pub size: Size,
    /// The pixel format in FFmpeg's name as the file has it: `yuvj420p`, `nv12`.
    pub source_format: String,
    /// The pixel format in which kinora carries it: the same, or the nearest that loses nothing.
    pub format: PixelFormat,
    /// Nominal frames a second, for showing and estimating; variable rates have no exact one.
    pub frame_rate: Option<Rational>,
    /// Shape of a pixel after rotation; `None` when not stated.
    pub sample_aspect: Option<Rational>,
    /// How the two fields of a picture are ordered.
    pub field_order: FieldOrder,
    /// What code values mean.
    pub color: ColorSpec,
    /// True when the file states its range; else `color.range` is what the format means without a tag.
    pub range_stated: bool,
    /// Time of the first frame, of the file's first video stream only.
    pub first_pts: Option<Timestamp>,
    /// HDR facts of the first frame.
    pub side_data: SideData,
    /// Clockwise degrees by which the stored picture is turned for showing: 0, 90, 180, 270.
    pub rotation: u32,
    /// Opacity that only another decoder than the usual one reads (VP8 and VP9 in WebM).
    pub alpha_mode: bool,
    /// Frames as the container states them.
    pub stated_frames: Option<u64>,
    /// A still picture that belongs to the file, not to its time: cover art.
    pub attached_picture: bool,
}

/// Order of the fields of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FieldOrder {
    /// Not stated.
    #[default]
    Unknown,
    /// Whole pictures.
    Progressive,
    /// Fields, the upper one first.
    TopFirst,
    /// Fields, the lower one first.
    BottomFirst,
}

impl FieldOrder {
    /// True for pictures that are two moments woven together.
    #[must_use]
    pub const fn is_interlaced(self) -> bool {
        matches!(self, Self::TopFirst | Self::BottomFirst)
    }
}

/// A chapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Chapter {
    /// Its start.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// Its title.
    pub title: Option<String>,
}

impl Stream {
    /// Facts of a video stream that is no cover art.
    #[must_use]
    pub fn video(&self) -> Option<&VideoFacts> {
        match &self.kind {
            StreamKind::Video(facts) if !facts.attached_picture => Some(facts),
            _ => None,
        }
    }

    /// A tag by its name, whatever its case.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

impl MediaInfo {
    /// The first video stream that is no cover art, with its facts.
    #[must_use]
    pub fn video(&self) -> Option<(&Stream, &VideoFacts)> {
        self.streams.iter().find_map(|stream| Some((stream, stream.video()?)))
    }

    /// The video stream of this index, with its facts.
    #[must_use]
    pub fn video_at(&self, index: usize) -> Option<(&Stream, &VideoFacts)> {
        self.streams
            .iter()
            .find(|stream| stream.index == index)
            .and_then(|stream| Some((stream, stream.video()?)))
    }
}

/// The format in which kinora carries FFmpeg's `name`, and whether frames are exactly the same in it.
pub(crate) fn carried_format(name: &str) -> (PixelFormat, bool) {
    // Grey with opacity is interleaved at FFmpeg, and two planes here.
    match name.trim_end_matches("le").trim_end_matches("be") {
        "ya8" => return (PixelFormat::RGBA, false),
        "ya16" => return (PixelFormat::RGBA64, false),
        _ => {}
    }
    if let Ok(format) = name.parse::<PixelFormat>() {
        return (format, true);
    }
    let native = name.trim_end_matches("le").trim_end_matches("be");
    if let Ok(format) = native.parse::<PixelFormat>() {
        return (format, false);
    }
    let deep = |bits: u8, format: PixelFormat| PixelFormat { bits, ..format };
    let format = match native {
        "yuvj420p" | "nv12" | "nv21" => PixelFormat::YUV420P,
        "yuvj422p" | "nv16" | "yuyv422" | "uyvy422" | "yvyu422" => "yuv422p".parse().unwrap_or(PixelFormat::YUV444P),
        "yuvj444p" | "yuvj440p" | "yuv440p" | "nv24" | "nv42" | "yuv411p" | "yuvj411p" | "yuv410p" | "uyyvyy411" => {
            PixelFormat::YUV444P
        }
        "p010" | "yuv420p9" => PixelFormat::YUV420P10,
        "p012" => deep(12, PixelFormat::YUV420P),
        "p016" | "yuv420p14" => deep(16, PixelFormat::YUV420P),
        "yuv444p9" | "yuv440p10" => deep(10, PixelFormat::YUV444P),
        "yuv440p12" => deep(12, PixelFormat::YUV444P),
        "yuv444p14" => deep(16, PixelFormat::YUV444P),
        "yuv422p9" | "p210" | "y210" => "yuv422p10".parse().unwrap_or(PixelFormat::YUV444P),
        "yuv422p14" | "p216" => "yuv422p16".parse().unwrap_or(PixelFormat::YUV444P),
        "gray9" => deep(10, PixelFormat::GRAY8),
        "gray14" => deep(16, PixelFormat::GRAY8),
        "monow" | "monob" => PixelFormat::GRAY8,
        "ayuv64" => PixelFormat::RGBA64,
        "pal8" | "bgra" | "argb" | "abgr" => PixelFormat::RGBA,
        "gbrp9" => "gbrp10".parse().unwrap_or(PixelFormat::RGB48),
        "gbrp14" => "gbrp16".parse().unwrap_or(PixelFormat::RGB48),
        deep if deep.starts_with("rgba64") || deep.starts_with("bgra64") => PixelFormat::RGBA64,
        deep if deep.starts_with("bgr48") || deep.starts_with("x2") || deep.starts_with("gbrpf") => PixelFormat::RGB48,
        deep if deep.starts_with("gbrapf") => PixelFormat::RGBA64,
        _ => PixelFormat::RGB24,
    };
    (format, false)
}
