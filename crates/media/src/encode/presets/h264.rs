use super::{EncoderPreset, PLAIN, Quality};

/// H.264 by x264: plays everywhere.
pub(super) static X264: EncoderPreset = EncoderPreset {
    name: "h264",
    aliases: &["avc", "x264"],
    encoder: "libx264",
    codec: "h264",
    formats: &[
        "yuv420p",
        "yuv422p",
        "yuv444p",
        "yuv420p10le",
        "yuv422p10le",
        "yuv444p10le",
        "gray",
        "gray10le",
    ],
    quality: Quality::Flag {
        flag: "-crf",
        least: 0,
        most: 51,
        usual: 17,
    },
    speed: Some(("-preset", "medium")),
    parameters: Some("-x264-params"),
    ..PLAIN
};
