use super::{Container, EncoderPreset, PLAIN, Quality};

/// VP9 by libvpx: the one video codec with opacity that browsers play.
pub(super) static VP9: EncoderPreset = EncoderPreset {
    name: "vp9",
    aliases: &[],
    encoder: "libvpx-vp9",
    codec: "vp9",
    formats: &[
        "yuv420p",
        "yuva420p",
        "yuv422p",
        "yuv444p",
        "yuv420p10le",
        "yuv422p10le",
        "yuv444p10le",
        "yuv420p12le",
        "yuv422p12le",
        "yuv444p12le",
        "gbrp",
        "gbrp10le",
        "gbrp12le",
    ],
    even_sides: false,
    containers: &[Container::WebM, Container::Matroska, Container::Mp4, Container::Nut],
    quality: Quality::Flag {
        flag: "-crf",
        least: 0,
        most: 63,
        usual: 20,
    },
    speed: Some(("-cpu-used", "2")),
    always: &["-row-mt", "1"],
    ..PLAIN
};
