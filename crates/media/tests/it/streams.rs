//! What is not the picture: sound, subtitles, attachments, chapters, metadata, and what a container cannot hold.

use std::path::Path;

use kinora_media::{Audio, EncodeSettings, Encoder, Ffmpeg, MediaError, Note, Stop, StreamKind, Subtitles};

use crate::clips::{clip, copy_through, make, rich, same_format, tools, with_each};

/// Kinds and codecs, one word each.
fn kinds(tool: &Ffmpeg, path: &Path) -> Vec<String> {
    let info = tool.probe(path).unwrap();
    info.streams
        .iter()
        .map(|stream| match &stream.kind {
            StreamKind::Video(_) => format!("video:{}", stream.codec),
            StreamKind::Audio { .. } => format!("audio:{}", stream.codec),
            StreamKind::Subtitle { .. } => format!("subtitle:{}", stream.codec),
            StreamKind::Attachment => "attachment".to_owned(),
            StreamKind::Data => "data".to_owned(),
        })
        .collect()
}

#[test]
fn mkv_keeps_all_tracks_subtitles_attachments_chapters_and_titles() {
    let folder = tempfile::tempdir().unwrap();
    let file = rich(folder.path());
    with_each(|tool| {
        let output = folder.path().join(format!("out-{}.mkv", tool.version()));
        let settings = EncodeSettings {
            metadata: vec![("KINORA".to_owned(), "model=none; scale=1".to_owned())],
            ..EncodeSettings::default()
        };
        let (before, ..) = copy_through(tool, &file, &output, &settings).unwrap();
        assert_eq!(
            kinds(tool, &output),
            ["video:h264", "audio:aac", "audio:aac", "subtitle:subrip", "attachment"]
        );
        let after = tool.probe(&output).unwrap();
        assert_eq!(after.chapters, before.chapters);
        let value = |key: &str| {
            after
                .metadata
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(key))
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(value("title"), Some("T=1"));
        assert_eq!(value("kinora"), Some("model=none; scale=1"));
        assert_eq!(after.streams[2].tag("language"), Some("deu"));
        assert_eq!(after.streams[3].tag("language"), Some("fra"));
        assert_eq!(after.streams[3].dispositions, ["forced"]);
        assert_eq!(after.streams[4].tag("filename"), Some("chapters.txt"));
    });
}

#[test]
fn mp4_gets_its_own_subtitles_and_says_what_it_leaves_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = rich(folder.path());
    with_each(|tool| {
        let output = folder.path().join(format!("out-{}.mp4", tool.version()));
        let info = tool.probe(&file).unwrap();
        let settings = EncodeSettings {
            metadata: vec![("kinora".to_owned(), "scale=1".to_owned())],
            ..EncodeSettings::default()
        };
        copy_through(tool, &file, &output, &settings).unwrap();
        let found = kinds(tool, &output);
        assert_eq!(
            found[..4],
            ["video:h264", "audio:aac", "audio:aac", "subtitle:mov_text"]
        );
        let after = tool.probe(&output).unwrap();
        let chapters = |info: &kinora_media::MediaInfo| {
            info.chapters
                .iter()
                .map(|c| (c.start, c.title.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(chapters(&after), chapters(&info));
        assert!(
            after
                .metadata
                .iter()
                .any(|(key, value)| key == "comment" && value.contains("kinora=scale=1")),
            "{:?}",
            after.metadata
        );
        let again = folder.path().join("again.mp4");
        let encoder = Encoder::start(
            tool,
            &again,
            &same_format(&info),
            Some(&info),
            &settings,
            &Stop::default(),
        )
        .unwrap();
        let notes = encoder.notes();
        assert!(
            notes
                .iter()
                .any(|note| matches!(note, Note::StreamLeftOut { index: 4, .. })),
            "{notes:?}"
        );
        assert!(
            notes.iter().any(|note| matches!(
                note,
                Note::StreamConverted {
                    index: 3,
                    to: "mov_text",
                    ..
                }
            )),
            "{notes:?}"
        );
        drop(encoder);
        assert!(!again.exists());
        // And back: MKV takes no mov_text.
        let back = folder.path().join(format!("back-{}.mkv", tool.version()));
        copy_through(tool, &output, &back, &EncodeSettings::default()).unwrap();
        assert!(kinds(tool, &back).contains(&"subtitle:subrip".to_owned()));
    });
}

#[test]
fn sound_is_copied_bit_for_bit_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "audio.mp4");
    with_each(|tool| {
        let sound = |path: &Path| {
            let out = std::process::Command::new(tool.program())
                .args(["-v", "error", "-copyts", "-i"])
                .arg(path)
                .args(["-map", "0:a", "-c", "copy", "-f", "md5", "-"])
                .output()
                .unwrap();
            String::from_utf8(out.stdout).unwrap()
        };
        let output = folder.path().join(format!("copy-{}.mp4", tool.version()));
        copy_through(tool, &file, &output, &EncodeSettings::default()).unwrap();
        assert_eq!(sound(&output), sound(&file));
        let silent = folder.path().join(format!("silent-{}.mp4", tool.version()));
        let settings = EncodeSettings {
            audio: Audio::None,
            ..EncodeSettings::default()
        };
        copy_through(tool, &file, &silent, &settings).unwrap();
        assert_eq!(kinds(tool, &silent), ["video:h264"]);
    });
}

#[test]
fn bitmap_subtitles_in_mp4_are_refused_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let video = clip(folder.path(), "plain.mp4");
    let text = folder.path().join("s.srt");
    std::fs::write(&text, "1\n00:00:00,000 --> 00:00:00,300\nhi\n\n").unwrap();
    let tool = &tools()[0];
    // A text subtitle cannot be turned into pictures by FFmpeg alone, so the probe's answer is changed instead.
    let file = make(
        tool,
        &format!("-i {} -i {} -map 0 -map 1 -c copy", video.display(), text.display()),
        &folder.path().join("s.mkv"),
    );
    let mut info = tool.probe(&file).unwrap();
    info.streams[1].codec = "hdmv_pgs_subtitle".to_owned();
    info.streams[1].kind = StreamKind::Subtitle { bitmap: true };
    let start = |subtitles, name: &str| {
        let settings = EncodeSettings {
            subtitles,
            ..EncodeSettings::default()
        };
        Encoder::start(
            tool,
            &folder.path().join(name),
            &same_format(&info),
            Some(&info),
            &settings,
            &Stop::default(),
        )
    };
    let error = start(Subtitles::Copy, "o.mp4").unwrap_err();
    assert_eq!(error.to_string(), "MP4 cannot hold the bitmap subtitles of stream 1");
    assert_eq!(
        (error.code(), error.hint().as_deref()),
        ("output.container", Some("write .mkv, or --subtitles text|none"))
    );
    assert!(
        start(Subtitles::Text, "o.mp4")
            .unwrap()
            .notes()
            .iter()
            .any(|note| matches!(note, Note::StreamLeftOut { index: 1, .. }))
    );
    assert!(start(Subtitles::None, "o.mp4").is_ok());
    assert!(start(Subtitles::Copy, "o.mkv").is_ok());
}

#[test]
fn sound_that_a_container_cannot_hold_is_refused_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let tool = &tools()[0];
    let file = make(
        tool,
        "-f lavfi -i testsrc2=s=64x48:d=0.2 -f lavfi -i sine=d=0.2 -c:v libx264 -pix_fmt yuv420p -c:a pcm_s16le",
        &folder.path().join("pcm.mkv"),
    );
    let info = tool.probe(&file).unwrap();
    let start = |name: &str| {
        Encoder::start(
            tool,
            &folder.path().join(name),
            &same_format(&info),
            Some(&info),
            &EncodeSettings::default(),
            &Stop::default(),
        )
    };
    for name in ["o.mp4", "o.webm"] {
        let error = start(name).unwrap_err();
        assert!(matches!(error, MediaError::Container { .. }), "{error}");
        assert!(error.hint().unwrap().contains("--audio none"));
    }
    assert!(start("o.mkv").is_ok() && start("o.mov").is_ok());
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "part files are left"
    );
}

#[test]
fn cover_art_stays_cover_art_in_mp4_and_is_never_taken_for_the_film() {
    let folder = tempfile::tempdir().unwrap();
    let tool = &tools()[0];
    let video = clip(folder.path(), "plain.mp4");
    let cover = make(
        tool,
        "-f lavfi -i color=red:s=32x32 -frames:v 1 -update 1",
        &folder.path().join("cover.png"),
    );
    let file = make(
        tool,
        &format!(
            "-i {} -i {} -map 1 -map 0 -c copy -disposition:v:0 attached_pic",
            video.display(),
            cover.display()
        ),
        &folder.path().join("cover.mp4"),
    );
    with_each(|tool| {
        let output = folder.path().join(format!("cover-{}.mp4", tool.version()));
        let (info, frames, _) = copy_through(tool, &file, &output, &EncodeSettings::default()).unwrap();
        assert_eq!((info.video().unwrap().0.codec.as_str(), frames.len()), ("h264", 10));
        let after = tool.probe(&output).unwrap();
        let covers = |info: &kinora_media::MediaInfo| {
            info.streams
                .iter()
                .filter(|s| matches!(&s.kind, StreamKind::Video(facts) if facts.attached_picture))
                .count()
        };
        assert_eq!((covers(&info), covers(&after)), (1, 1));
    });
}

#[test]
fn settings_without_meaning_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let tool = &tools()[0];
    let info = tool.probe(&clip(folder.path(), "plain.mp4")).unwrap();
    let refuse = |name: &str, settings: EncodeSettings| {
        Encoder::start(
            tool,
            &folder.path().join(name),
            &same_format(&info),
            None,
            &settings,
            &Stop::default(),
        )
        .unwrap_err()
    };
    let plain = EncodeSettings::default;
    let codec = |codec: &str| EncodeSettings {
        codec: Some(codec.to_owned()),
        ..plain()
    };
    assert!(
        refuse("o.mkv", codec("h263"))
            .to_string()
            .starts_with("codec is h263: it must be h264")
    );
    assert_eq!(refuse("o.mp4", codec("ffv1")).code(), "output.container");
    assert_eq!(refuse("o.mp3", plain()).code(), "usage.value");
    assert_eq!(
        refuse(
            "o.mkv",
            EncodeSettings {
                crf: Some(99),
                ..plain()
            }
        )
        .code(),
        "usage.value"
    );
    assert_eq!(
        refuse(
            "o.mkv",
            EncodeSettings {
                crf: Some(9),
                bitrate: Some(9),
                ..plain()
            }
        )
        .code(),
        "usage.value"
    );
    assert_eq!(
        refuse(
            "o.mkv",
            EncodeSettings {
                pixel_format: Some("pal8".to_owned()),
                ..plain()
            }
        )
        .code(),
        "usage.value"
    );
    for option in ["-i", "i", "f", "map:0", "filter_complex", "vf", "x y", "filter:v:0"] {
        let options = vec![(option.to_owned(), "x".to_owned())];
        assert_eq!(
            refuse("o.mkv", EncodeSettings { options, ..plain() }).code(),
            "usage.value",
            "{option}"
        );
    }
    let missing = ENCODERS_NOBODY_HAS.iter().find(|name| !tool.has_encoder(name));
    if let Some(name) = missing {
        let error = refuse("o.mkv", codec(name));
        assert_eq!(error.code(), "output.encoder");
        assert!(error.hint().unwrap().contains("h26"), "{:?}", error.hint());
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "part files are left"
    );
}

const ENCODERS_NOBODY_HAS: [&str; 4] = ["h264_videotoolbox", "hevc_videotoolbox", "h264_amf", "h264_qsv"];

#[test]
fn encoder_options_reach_the_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "plain.mp4");
    with_each(|tool| {
        let output = folder.path().join(format!("keys-{}.mkv", tool.version()));
        let settings = EncodeSettings {
            options: vec![
                ("g".to_owned(), "3".to_owned()),
                ("x264-params".to_owned(), "scenecut=0".to_owned()),
            ],
            encoder_preset: Some("ultrafast".to_owned()),
            threads: Some(1),
            ..EncodeSettings::default()
        };
        copy_through(tool, &file, &output, &settings).unwrap();
        let index = tool.packet_index(&output, 0, &Stop::default()).unwrap();
        let keys: Vec<bool> = index.times().map(|time| index.is_key(time)).collect();
        assert_eq!(keys, [true, false, false, true, false, false, true, false, false, true]);
    });
}
