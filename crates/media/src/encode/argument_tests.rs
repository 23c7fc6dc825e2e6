//! Command lines of encoders that this machine need not have.

use std::path::Path;

use kinora_frame::{ColorRange, ColorSpec, Matrix, PixelFormat, Primaries, Rational, SideData, Size, Transfer};

use super::{
    EncodeSettings, VideoFormat,
    arguments::{Input, Plan},
    container::Container,
    presets::{self, ALL},
};
use crate::clock::Lead;

fn video(format: PixelFormat) -> VideoFormat {
    let color = ColorSpec {
        matrix: Matrix::Bt2020Ncl,
        primaries: Primaries(9),
        transfer: Transfer(16),
        ..ColorSpec::BT709
    };
    VideoFormat {
        size: Size::new(1920, 1080),
        format,
        color,
        output_color: color,
        time_base: Rational::new(1001, 24000).unwrap(),
        sample_aspect: None,
        side_data: SideData::default(),
    }
}

/// The command line of a codec, its words joined by blanks.
fn line(codec: &str, video: &VideoFormat, settings: &EncodeSettings) -> String {
    let preset = presets::find(codec).unwrap();
    let output = format!("out.{}", extension(preset.containers[0]));
    let plan = Plan::with_preset(preset, Path::new(&output), video, None, settings).unwrap();
    let words = plan
        .arguments(&Input::Pipe, Path::new("/tmp/out.part"), Lead::new(video.time_base))
        .unwrap();
    words
        .iter()
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn extension(container: Container) -> &'static str {
    match container {
        Container::Matroska => "mkv",
        Container::MpegTs => "ts",
        other => other.muxer(),
    }
}

fn has(line: &str, words: &str) {
    assert!(
        format!(" {line} ").contains(&format!(" {words} ")),
        "'{words}' is not in: {line}"
    );
}

#[test]
fn every_encoder_carries_exact_times_and_colour_twice() {
    for preset in ALL {
        let line = line(preset.name, &video(PixelFormat::YUV420P10), &EncodeSettings::default());
        has(&line, &format!("-c:v:0 {}", preset.encoder));
        has(&line, "-fps_mode:v:0 passthrough");
        has(&line, "-enc_time_base:v:0 1001/24000");
        has(&line, "-protocol_whitelist pipe -format_whitelist nut -f nut -i pipe:0");
        has(&line, "-avoid_negative_ts disabled");
        assert!(line.ends_with("file:/tmp/out.part"), "{line}");
        if !["gif"].contains(&preset.name) {
            assert!(
                line.contains("setparams=range=limited:color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"),
                "{line}"
            );
            has(&line, "-color_range:v:0 tv");
            has(&line, "-color_trc:v:0 smpte2084");
        }
    }
}

#[test]
fn each_hardware_takes_quality_in_its_own_words() {
    let settings = EncodeSettings {
        crf: Some(20),
        ..EncodeSettings::default()
    };
    for (codec, words) in [
        ("h264_nvenc", "-rc vbr -cq 20 -b:v:0 0 -preset p5"),
        ("hevc_nvenc", "-rc vbr -cq 20 -b:v:0 0 -preset p5"),
        ("h264_qsv", "-global_quality 20 -preset slow"),
        ("hevc_vaapi", "-qp 20"),
        ("av1_vaapi", "-global_quality 20"),
        ("h264_videotoolbox", "-q:v 20"),
        ("hevc_videotoolbox", "-tag:v hvc1 -q:v 20"),
        ("h264_amf", "-rc cqp -qp_i 20 -quality quality"),
        ("vp9", "-row-mt 1 -crf 20 -b:v:0 0 -cpu-used 2"),
        ("h265", "-crf 20 -preset medium -x265-params log-level=error"),
    ] {
        has(&line(codec, &video(PixelFormat::YUV420P), &settings), words);
    }
    let rate = EncodeSettings {
        bitrate: Some(5_000_000),
        ..EncodeSettings::default()
    };
    let line = line("hevc_nvenc", &video(PixelFormat::YUV420P), &rate);
    has(&line, "-b:v:0 5000000");
    assert!(!line.contains("-cq"), "{line}");
}

#[test]
fn hardware_keeps_ten_bits_and_uploads_where_it_must() {
    let deep = video(PixelFormat::YUV420P10);
    let vaapi = line("hevc_vaapi", &deep, &EncodeSettings::default());
    has(&vaapi, "-vaapi_device /dev/dri/renderD128");
    assert!(
        vaapi.contains("format=p010le,") && vaapi.contains(",hwupload"),
        "{vaapi}"
    );
    assert!(!vaapi.contains("-pix_fmt"), "{vaapi}");
    has(
        &line("hevc_nvenc", &deep, &EncodeSettings::default()),
        "-pix_fmt:v:0 p010le",
    );
    has(
        &line("hevc_qsv", &deep, &EncodeSettings::default()),
        "-pix_fmt:v:0 p010le",
    );
}

#[test]
fn rgb_frames_are_stored_as_video_range_in_the_wanted_matrix() {
    let mut rgb = video(PixelFormat::RGB24);
    rgb.color = ColorSpec::SRGB;
    rgb.output_color = ColorSpec::BT709;
    let line = line("h264", &rgb, &EncodeSettings::default());
    assert!(
        line.contains("scale=in_range=full:out_range=limited:out_color_matrix=bt709:"),
        "{line}"
    );
    has(&line, "-pix_fmt:v:0 yuv420p");
    has(&line, "-colorspace:v:0 bt709");
    has(&line, "-color_range:v:0 tv");
    let mut same = rgb;
    same.output_color = ColorSpec::SRGB;
    assert_eq!(same.color.range, ColorRange::Full);
    let line = super::argument_tests::line("h264", &same, &EncodeSettings::default());
    has(&line, "-color_range:v:0 tv");
    has(&line, "-colorspace:v:0 bt709");
}

#[test]
fn mp4_counts_in_the_streams_own_ticks() {
    let preset = presets::find("h264").unwrap();
    let video = video(PixelFormat::YUV420P);
    let settings = EncodeSettings::default();
    let plan = Plan::with_preset(preset, Path::new("a.mp4"), &video, None, &settings).unwrap();
    let words = plan
        .arguments(&Input::Pipe, Path::new("/a.part.mp4"), Lead::new(video.time_base))
        .unwrap();
    let line = words
        .iter()
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    has(&line, "-video_track_timescale 24000");
}
