use super::{Container, EncoderPreset, HdrParameters, PLAIN, Quality};

/// AV1 by SVT-AV1: the smallest files.
pub(super) static SVT_AV1: EncoderPreset = EncoderPreset {
    name: "av1",
    aliases: &["svtav1"],
    encoder: "libsvtav1",
    codec: "av1",
    formats: &["yuv420p", "yuv420p10le"],
    containers: &[Container::Matroska, Container::Mp4, Container::WebM, Container::Nut],
    quality: Quality::Flag {
        flag: "-crf",
        least: 0,
        most: 63,
        usual: 24,
    },
    speed: Some(("-preset", "6")),
    parameters: Some("-svtav1-params"),
    hdr: HdrParameters::SvtAv1,
    ..PLAIN
};
