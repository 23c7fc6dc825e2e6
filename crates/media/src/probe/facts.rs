use std::path::PathBuf;

use kinora_frame::{ColorModel, ColorSpec, PixelFormat, Rational, SideData, Size, Timestamp};

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

/// Packed RGB of 8 bits and fewer: what is not listed may be deeper and is carried so.
const SHALLOW: [&str; 19] = [
    "bgr24",
    "bgr8",
    "bgr4",
    "bgr4_byte",
    "rgb8",
    "rgb4",
    "rgb4_byte",
    "rgb565",
    "rgb555",
    "rgb444",
    "bgr565",
    "bgr555",
    "bgr444",
    "rgb0",
    "bgr0",
    "0rgb",
    "0bgr",
    // A stream that does not decode.
    "unknown",
    "none",
];

/// The format in which kinora carries FFmpeg's `name`. One that is unknown is carried as 16 bits: nothing of it is lost.
pub(crate) fn carried_format(name: &str) -> PixelFormat {
    let native = name.trim_end_matches("le").trim_end_matches("be");
    // Grey with opacity is interleaved at FFmpeg, and two planes here.
    match native {
        "ya8" => return PixelFormat::RGBA,
        "ya16" => return PixelFormat::RGBA64,
        _ => {}
    }
    if let Ok(format) = native.parse::<PixelFormat>() {
        return format;
    }
    // Nine bits in ten, fourteen in sixteen.
    let wider = (native.strip_suffix("p9").map(|model| format!("{model}p10")))
        .or_else(|| native.strip_suffix("p14").map(|model| format!("{model}p16")));
    if let Some(format) = wider.and_then(|name| name.parse().ok()) {
        return format;
    }
    let deep = |bits: u8, format: PixelFormat| PixelFormat { bits, ..format };
    let yuv422p = PixelFormat {
        model: ColorModel::Yuv422,
        ..PixelFormat::YUV420P
    };
    match native {
        "yuvj420p" | "nv12" | "nv21" => PixelFormat::YUV420P,
        "yuvj422p" | "nv16" | "yuyv422" | "uyvy422" | "yvyu422" => yuv422p,
        "yuvj444p" | "yuvj440p" | "yuv440p" | "nv24" | "nv42" | "yuv411p" | "yuvj411p" | "yuv410p" | "uyyvyy411" => {
            PixelFormat::YUV444P
        }
        "p010" => PixelFormat::YUV420P10,
        "p012" => deep(12, PixelFormat::YUV420P),
        "p016" => deep(16, PixelFormat::YUV420P),
        "p210" | "y210" | "nv20" => deep(10, yuv422p),
        "p212" | "y212" => deep(12, yuv422p),
        "p216" | "y216" => deep(16, yuv422p),
        "yuv440p10" | "p410" => deep(10, PixelFormat::YUV444P),
        "yuv440p12" | "p412" => deep(12, PixelFormat::YUV444P),
        "p416" => deep(16, PixelFormat::YUV444P),
        "gray9" => deep(10, PixelFormat::GRAY8),
        "gray14" | "grayf32" => deep(16, PixelFormat::GRAY8),
        "monow" | "monob" => PixelFormat::GRAY8,
        "pal8" | "bgra" | "argb" | "abgr" => PixelFormat::RGBA,
        shallow if SHALLOW.contains(&shallow) => PixelFormat::RGB24,
        mosaic if mosaic.starts_with("bayer_") && mosaic.ends_with('8') => PixelFormat::RGB24,
        alpha
            if ["rgba", "bgra", "ayuv", "gbrap", "ya"]
                .iter()
                .any(|start| alpha.starts_with(start)) =>
        {
            PixelFormat::RGBA64
        }
        _ => PixelFormat::RGB48,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_format_is_carried_in_fewer_bits_or_without_its_opacity() {
        // What `ffmpeg -pix_fmts` lists beyond the formats that are carried as they are.
        for (name, bits, alpha) in [
            ("xyz12le", 12, false),
            ("bayer_rggb16le", 16, false),
            ("grayf32be", 16, false),
            ("gbrpf32le", 16, false),
            ("gbrapf32le", 16, true),
            ("nv20be", 10, false),
            ("p410le", 10, false),
            ("p416be", 16, false),
            ("y212le", 12, false),
            ("yuva422p9be", 9, true),
            ("yuva444p9le", 9, true),
            ("yuv422p14le", 14, false),
            ("gbrp9be", 9, false),
            ("gray14le", 14, false),
            ("x2rgb10le", 10, false),
            ("ayuv64le", 16, true),
            ("rgbaf16le", 16, true),
            ("ya16be", 16, true),
            ("bgra64le", 16, true),
            ("made_up_tomorrow", 16, false),
        ] {
            let format = carried_format(name);
            assert!(format.bits >= bits, "{name}: {format}");
            assert_eq!(format.alpha, alpha, "{name}: {format}");
        }
        for name in ["bgr24", "rgb565le", "bgr4_byte", "0rgb", "bayer_bggr8"] {
            assert_eq!(carried_format(name), PixelFormat::RGB24, "{name}");
        }
        assert_eq!(carried_format("yuv422p9le"), "yuv422p10".parse().unwrap());
        assert_eq!(carried_format("yuv420p14be"), "yuv420p16".parse().unwrap());
        assert_eq!(carried_format("nv16"), "yuv422p".parse().unwrap());
    }
}
