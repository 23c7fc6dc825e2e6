use super::{EncoderPreset, PLAIN, Quality};

/// H.264 on Intel Quick Sync.
pub(super) static H264: EncoderPreset = EncoderPreset {
    name: "h264_qsv",
    encoder: "h264_qsv",
    codec: "h264",
    formats: &["nv12"],
    quality: Quality::Flag {
        flag: "-global_quality",
        least: 1,
        most: 51,
        usual: 19,
    },
    speed: Some(("-preset", "slow")),
    ..PLAIN
};

/// H.265 on Intel Quick Sync.
pub(super) static HEVC: EncoderPreset = EncoderPreset {
    name: "hevc_qsv",
    aliases: &["h265_qsv"],
    encoder: "hevc_qsv",
    codec: "hevc",
    formats: &["nv12", "p010le"],
    ..H264
};

/// AV1 on Intel Quick Sync.
pub(super) static AV1: EncoderPreset = EncoderPreset {
    name: "av1_qsv",
    encoder: "av1_qsv",
    codec: "av1",
    formats: &["nv12", "p010le"],
    containers: super::av1::SVT_AV1.containers,
    ..H264
};
