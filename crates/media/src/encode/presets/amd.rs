use super::{EncoderPreset, PLAIN, Quality};

/// H.264 on AMD's encoder.
pub(super) static H264: EncoderPreset = EncoderPreset {
    name: "h264_amf",
    encoder: "h264_amf",
    codec: "h264",
    formats: &["nv12", "yuv420p"],
    quality: Quality::Flag {
        flag: "-qp_i",
        least: 0,
        most: 51,
        usual: 19,
    },
    always: &["-rc", "cqp"],
    speed: Some(("-quality", "quality")),
    ..PLAIN
};

/// H.265 on AMD's encoder.
pub(super) static HEVC: EncoderPreset = EncoderPreset {
    name: "hevc_amf",
    aliases: &["h265_amf"],
    encoder: "hevc_amf",
    codec: "hevc",
    ..H264
};

/// AV1 on AMD's encoder.
pub(super) static AV1: EncoderPreset = EncoderPreset {
    name: "av1_amf",
    encoder: "av1_amf",
    codec: "av1",
    containers: super::av1::SVT_AV1.containers,
    ..H264
};
