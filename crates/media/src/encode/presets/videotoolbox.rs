use super::{EncoderPreset, PLAIN, Quality};

/// H.264 on Apple's encoder.
pub(super) static H264: EncoderPreset = EncoderPreset {
    name: "h264_videotoolbox",
    encoder: "h264_videotoolbox",
    codec: "h264",
    formats: &["yuv420p", "nv12"],
    quality: Quality::Flag {
        flag: "-q:v",
        least: 1,
        most: 100,
        usual: 70,
    },
    ..PLAIN
};

/// H.265 on Apple's encoder.
pub(super) static HEVC: EncoderPreset = EncoderPreset {
    name: "hevc_videotoolbox",
    aliases: &["h265_videotoolbox"],
    encoder: "hevc_videotoolbox",
    codec: "hevc",
    formats: &["yuv420p", "nv12", "p010le"],
    always: &["-tag:v", "hvc1"],
    ..H264
};
