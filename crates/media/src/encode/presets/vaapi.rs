use super::{EncoderPreset, PLAIN, Quality};

/// H.264 through VA-API.
pub(super) static H264: EncoderPreset = EncoderPreset {
    name: "h264_vaapi",
    encoder: "h264_vaapi",
    codec: "h264",
    formats: &["nv12"],
    quality: Quality::Flag {
        flag: "-qp",
        least: 1,
        most: 52,
        usual: 19,
    },
    filters: &["hwupload"],
    device: &["-vaapi_device", "/dev/dri/renderD128"],
    ..PLAIN
};

/// H.265 through VA-API.
pub(super) static HEVC: EncoderPreset = EncoderPreset {
    name: "hevc_vaapi",
    aliases: &["h265_vaapi"],
    encoder: "hevc_vaapi",
    codec: "hevc",
    formats: &["nv12", "p010le"],
    ..H264
};

/// AV1 through VA-API.
pub(super) static AV1: EncoderPreset = EncoderPreset {
    name: "av1_vaapi",
    encoder: "av1_vaapi",
    codec: "av1",
    formats: &["nv12", "p010le"],
    containers: super::av1::SVT_AV1.containers,
    quality: Quality::Flag {
        flag: "-global_quality",
        least: 1,
        most: 255,
        usual: 90,
    },
    ..H264
};
