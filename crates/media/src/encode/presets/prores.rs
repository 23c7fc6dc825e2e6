use super::{Container, EncoderPreset, PLAIN, Quality};

/// ProRes 422 HQ, or 4444 where the format asks for it: for editing.
pub(super) static PRORES: EncoderPreset = EncoderPreset {
    name: "prores",
    aliases: &[],
    encoder: "prores_ks",
    codec: "prores",
    formats: &["yuv422p10le", "yuv444p10le", "yuva444p10le"],
    even_sides: false,
    containers: &[Container::Mov, Container::Matroska, Container::Nut],
    quality: Quality::Flag {
        flag: "-q:v",
        least: 0,
        most: 32,
        usual: 0,
    },
    speed: Some(("-profile:v", "auto")),
    always: &["-vendor", "apl0"],
    ..PLAIN
};
