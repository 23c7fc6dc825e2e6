use super::{EncoderPreset, PLAIN, Quality};

/// H.264 on NVIDIA's encoder.
pub(super) static H264: EncoderPreset = EncoderPreset {
    name: "h264_nvenc",
    encoder: "h264_nvenc",
    codec: "h264",
    formats: &["yuv420p", "yuv444p"],
    quality: Quality::Flag {
        flag: "-cq",
        least: 0,
        most: 51,
        usual: 19,
    },
    speed: Some(("-preset", "p5")),
    always: &["-rc", "vbr"],
    ..PLAIN
};

/// H.265 on NVIDIA's encoder.
pub(super) static HEVC: EncoderPreset = EncoderPreset {
    name: "hevc_nvenc",
    aliases: &["h265_nvenc"],
    encoder: "hevc_nvenc",
    codec: "hevc",
    formats: &["yuv420p", "yuv444p", "p010le"],
    quality: Quality::Flag {
        flag: "-cq",
        least: 0,
        most: 51,
        usual: 21,
    },
    ..H264
};

/// AV1 on NVIDIA's encoder.
pub(super) static AV1: EncoderPreset = EncoderPreset {
    name: "av1_nvenc",
    aliases: &[],
    encoder: "av1_nvenc",
    codec: "av1",
    formats: &["yuv420p", "p010le"],
    containers: super::av1::SVT_AV1.containers,
    quality: Quality::Flag {
        flag: "-cq",
        least: 0,
        most: 51,
        usual: 26,
    },
    ..H264
};
