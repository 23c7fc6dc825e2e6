use super::{Container, EncoderPreset, PLAIN, Quality};

/// Animated WebP.
pub(super) static WEBP: EncoderPreset = EncoderPreset {
    name: "webp",
    aliases: &[],
    encoder: "libwebp_anim",
    codec: "webp",
    formats: &["yuv420p", "yuva420p"],
    even_sides: false,
    containers: &[Container::WebP],
    quality: Quality::Flag {
        flag: "-quality",
        least: 0,
        most: 100,
        usual: 85,
    },
    bitrate: false,
    always: &["-loop", "0"],
    ..PLAIN
};
