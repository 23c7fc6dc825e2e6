use super::{EncoderPreset, HdrParameters, PLAIN, Quality};

/// H.265 by x265: 10 bits and HDR10.
pub(super) static X265: EncoderPreset = EncoderPreset {
    name: "h265",
    aliases: &["hevc", "x265"],
    encoder: "libx265",
    codec: "hevc",
    formats: &[
        "yuv420p",
        "yuv422p",
        "yuv444p",
        "yuv420p10le",
        "yuv422p10le",
        "yuv444p10le",
        "yuv420p12le",
        "yuv422p12le",
        "yuv444p12le",
        "gray",
        "gray10le",
        "gray12le",
        "gbrp",
        "gbrp10le",
        "gbrp12le",
    ],
    quality: Quality::Flag {
        flag: "-crf",
        least: 0,
        most: 51,
        usual: 18,
    },
    speed: Some(("-preset", "medium")),
    parameters: Some("-x265-params"),
    hdr: HdrParameters::X265,
    ..PLAIN
};
