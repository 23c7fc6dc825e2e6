//! What must not happen with files that come in (threats 1 to 6), and with the child processes (39).

use std::{
    ffi::OsStr,
    io::{ErrorKind, Write},
    net::TcpListener,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use kinora_frame::{Rational, Timestamp};
use kinora_media::{
    Completeness, DecodeOptions, Decoder, EncodeSettings, Encoder, Ffmpeg, FfmpegSearch, MediaError, SizeChange,
    StartAt, Stop, Verdict,
};

use crate::clips::{clip, copy_through, decode, fake, make, running, same_format, tools, with_each};

fn both(tool: &Ffmpeg) -> [Ffmpeg; 2] {
    [tool.clone(), tool.without_ffprobe()]
}

#[test]
fn t01_empty_headless_and_foreign_files_are_refused_with_their_reason() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(clip(folder.path(), "plain.mp4")).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    // The index of a plain MP4 stands at its end.
    let cut = write("cut.mp4", &whole[..whole.len() / 2]);
    let cases = [
        (write("empty.mp4", b""), "it is empty"),
        (write("text.mp4", b"This is no film. ".repeat(50).as_slice()), ""),
        (write("head.mkv", &[0x1A, 0x45, 0xDF, 0xA3]), ""),
        (cut, "moov atom not found"),
        (folder.path().to_path_buf(), "it is a folder"),
    ];
    with_each(|tool| {
        for tool in both(tool) {
            for (path, cause) in &cases {
                let error = tool.probe(path).unwrap_err();
                assert_eq!(error.code(), "input.unreadable", "{error}");
                assert!(error.to_string().contains(cause), "{error}");
                assert!(error.hint().is_some());
            }
            let error = tool.probe(&cases[3].0).unwrap_err();
            assert_eq!(
                error.hint().as_deref(),
                Some("copy it again; nothing can be read without the index")
            );
            assert_eq!(
                tool.probe(&folder.path().join("none.mp4")).unwrap_err().code(),
                "input.missing"
            );
        }
    });
}

#[test]
fn t01_a_wrong_suffix_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "ntsc.mkv");
    let renamed = folder.path().join("film.txt");
    std::fs::rename(file, &renamed).unwrap();
    with_each(|tool| {
        let info = tool.probe(&renamed).unwrap();
        assert_eq!(decode(tool, &info, DecodeOptions::default()).unwrap().0.len(), 12);
    });
}

#[test]
fn t01_a_truncated_file_is_counted_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let whole = make(
        &tools()[0],
        "-f lavfi -i testsrc2=s=160x120:r=25:d=4 -c:v libx264 -bf 2 -g 12 -pix_fmt yuv420p -movflags +faststart",
        &folder.path().join("whole.mp4"),
    );
    let bytes = std::fs::read(&whole).unwrap();
    let cut = folder.path().join("cut.mp4");
    std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
    with_each(|tool| {
        let info = tool.probe(&cut).unwrap();
        let (frames, decoder) = decode(tool, &info, DecodeOptions::default()).unwrap();
        let found = decoder.completeness();
        assert_eq!(found.frames, frames.len() as u64);
        assert!(found.frames > 10 && found.frames < 100, "{found:?}");
        let end = tool.probe(&whole).unwrap().duration.unwrap();
        // The packets are gone too: the demuxer is who saw that.
        assert_eq!(info.duration.unwrap(), end);
        let verdict = |file: &Path, found: &Completeness| {
            let index = tool.packet_index(file, 0, &Stop::default()).unwrap();
            found.verdict(&index, false)
        };
        let Verdict::Cut { cause, .. } = verdict(&cut, &found) else {
            panic!("{found:?}");
        };
        assert!(cause.is_some());
        let (_, decoder) = decode(tool, &tool.probe(&whole).unwrap(), DecodeOptions::default()).unwrap();
        assert_eq!(verdict(&whole, &decoder.completeness()), Verdict::Whole);
    });
}

#[test]
fn t02_awkward_names_are_files_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let source = clip(folder.path(), "plain.mp4");
    let long = format!("{}.mp4", "n".repeat(251));
    let names: Vec<&OsStr> = vec![
        OsStr::new("-x.mp4"),
        OsStr::new("a b'c\"d.mp4"),
        OsStr::new("line\nbreak.mp4"),
        OsStr::new("concat:a.mp4"),
        OsStr::new("img%03d.mp4"),
        OsStr::new("a;b,c[d]=e\\f.mp4"),
        OsStr::new("pipe:0.mp4"),
        OsStr::new(&long),
        OsStr::from_bytes(b"\xFF\xFEbytes.mp4"),
    ];
    with_each(|tool| {
        for name in &names {
            let input = folder.path().join("in").join(name);
            let output = folder.path().join("out").join(name);
            for path in [&input, &output] {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            }
            std::fs::copy(&source, &input).unwrap();
            for tool in both(tool) {
                assert_eq!(
                    tool.probe(&input).unwrap().video().unwrap().1.size.width,
                    64,
                    "{name:?}"
                );
            }
            let settings = EncodeSettings {
                overwrite: true,
                ..EncodeSettings::default()
            };
            let (_, frames, written) = copy_through(tool, &input, &output, &settings).unwrap();
            assert_eq!(
                (frames.len(), written.path.as_path()),
                (10, output.as_path()),
                "{name:?}"
            );
            let left: Vec<_> = std::fs::read_dir(folder.path().join("out"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            assert_eq!(left, [*name]);
            std::fs::remove_file(&output).unwrap();
        }
    });
}

#[test]
fn t03_files_that_point_elsewhere_are_refused_and_nobody_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let local = clip(folder.path(), "start.ts");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let url = format!("http://127.0.0.1:{port}/a.ts");
    let files = [
        write(
            "hls.mp4",
            format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n"),
        ),
        write(
            "local.mp4",
            format!(
                "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
                local.display()
            ),
        ),
        write("list.mp4", format!("ffconcat version 1.0\nfile '{url}'\n")),
        write("own.mp4", "ffconcat version 1.0\nfile start.ts\n".to_owned()),
        write(
            "picture.mp4",
            format!("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><image href='{url}'/></svg>"),
        ),
        write("data.mp4", "data:video/mp4;base64,AAAA".to_owned()),
        write(
            "dash.mp4",
            format!(
                "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'><Period><AdaptationSet mimeType='video/mp4'><Representation id='1' bandwidth='1'><BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>"
            ),
        ),
        write(
            "sdp.mp4",
            format!(
                "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
            ),
        ),
    ];
    with_each(|tool| {
        for tool in both(tool) {
            for file in &files {
                let error = tool.probe(file).unwrap_err();
                assert_eq!(error.code(), "input.unreadable", "{}: {error}", file.display());
                assert!(tool.packet_index(file, 0, &Stop::default()).is_err());
            }
        }
    });
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "somebody was asked"
    );
}

#[test]
fn t04_a_picture_above_the_limit_is_refused_before_it_is_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "plain.mp4");
    with_each(|tool| {
        let info = tool.probe(&file).unwrap();
        let options = DecodeOptions {
            max_pixels: 64 * 48 - 1,
            ..DecodeOptions::default()
        };
        assert_eq!(
            Decoder::open(tool, &info, options).unwrap_err().code(),
            "input.too_large"
        );
    });
}

#[test]
fn t04_a_gif_of_absurd_size_is_described_without_decoding_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.gif");
    let mut gif = b"GIF89a".to_vec();
    gif.extend([0xFF, 0xF0, 0xFF, 0xF0, 0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    gif.extend([0x2C, 0, 0, 0, 0, 0xFF, 0xF0, 0xFF, 0xF0, 0, 2, 2, 0x4C, 1, 0, 0x3B]);
    std::fs::write(&path, gif).unwrap();
    with_each(|tool| {
        for tool in both(tool) {
            match tool.probe(&path) {
                Ok(info) => {
                    let error = Decoder::open(&tool, &info, DecodeOptions::default()).unwrap_err();
                    assert!(
                        matches!(error.code(), "input.too_large" | "input.unreadable" | "input.no_video"),
                        "{error}"
                    );
                }
                Err(error) => assert_eq!(error.code(), "input.unreadable"),
            }
        }
    });
}

/// A stream that changes from 64x48 to 96x64 after ten frames.
pub fn changing(folder: &Path) -> PathBuf {
    let tool = &tools()[0];
    let part = |size: &str, offset: &str| {
        make(
            tool,
            &format!(
                "-f lavfi -i testsrc2=s={size}:r=25:d=0.4 -c:v libx264 -pix_fmt yuv420p -bf 0 -output_ts_offset {offset} -muxdelay 0 -muxpreload 0"
            ),
            &folder.join(format!("{size}.ts")),
        )
    };
    let mut bytes = std::fs::read(part("64x48", "1")).unwrap();
    bytes.extend(std::fs::read(part("96x64", "1.4")).unwrap());
    let path = folder.join("changing.ts");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn t05_a_size_that_changes_is_scaled_back_and_counted_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = changing(folder.path());
    with_each(|tool| {
        let info = tool.probe(&file).unwrap();
        let (frames, decoder) = decode(tool, &info, DecodeOptions::default()).unwrap();
        assert_eq!(frames.len(), 20);
        assert_eq!(decoder.completeness().size_changes, 1);
        assert!(
            frames
                .iter()
                .all(|frame| frame.image.size() == info.video().unwrap().1.size)
        );
        let options = DecodeOptions {
            size_change: SizeChange::Fail,
            ..DecodeOptions::default()
        };
        let error = decode(tool, &info, options).unwrap_err();
        assert!(matches!(error, MediaError::SizeChanged { frame: 10, .. }), "{error}");
        let (_, decoder) = decode(
            tool,
            &tool.probe(&clip(folder.path(), "plain.mp4")).unwrap(),
            DecodeOptions::default(),
        )
        .unwrap();
        assert_eq!(decoder.completeness().size_changes, 0);
    });
}

#[test]
fn t40_times_that_go_back_go_on_behind_the_frame_before_them() {
    let folder = tempfile::tempdir().unwrap();
    let part = make(
        &tools()[0],
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -c:v libx264 -bf 0 -pix_fmt yuv420p -muxdelay 0 -muxpreload 0",
        &folder.path().join("part.ts"),
    );
    let bytes = std::fs::read(part).unwrap();
    let twice = folder.path().join("twice.ts");
    std::fs::write(&twice, [bytes.as_slice(), &bytes].concat()).unwrap();
    with_each(|tool| {
        let info = tool.probe(&twice).unwrap();
        let (frames, decoder) = decode(tool, &info, DecodeOptions::default()).unwrap();
        assert_eq!(frames.len(), 20);
        assert_eq!(decoder.completeness().time_repairs, 1);
        let steps: Vec<i64> = frames
            .windows(2)
            .map(|pair| pair[1].pts.ticks - pair[0].pts.ticks)
            .collect();
        assert_eq!(steps, [3600; 19]);
        // A start in the middle has the same times.
        let index = Arc::new(tool.packet_index(&twice, 0, &Stop::default()).unwrap());
        assert!(!index.seekable());
        let options = DecodeOptions {
            start: Some(StartAt { index, frame: 15 }),
            ..DecodeOptions::default()
        };
        let (rest, _) = decode(tool, &info, options).unwrap();
        assert_eq!(
            rest.iter().map(|f| (f.index, f.pts)).collect::<Vec<_>>(),
            frames[15..].iter().map(|f| (f.index, f.pts)).collect::<Vec<_>>()
        );
    });
}

#[test]
fn t39_a_child_that_hangs_is_ended_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let info = tools()[0].probe(&clip(folder.path(), "plain.mp4")).unwrap();
    let tool = fake(folder.path(), "echo waiting for the moon >&2\nsleep 98765");
    let options = DecodeOptions {
        stall: Duration::from_millis(300),
        ..DecodeOptions::default()
    };
    let error = decode(&tool, &info, options.clone()).unwrap_err();
    assert_eq!(error.code(), "tool.stalled");
    assert!(error.to_string().contains("waiting for the moon"), "{error}");
    assert_eq!(running("98765"), 0);
    // It writes all it should and does not end.
    let tool = fake(
        folder.path(),
        &format!("{} \"$@\"\nsleep 98764", tools()[0].program().display()),
    );
    let error = decode(&tool, &info, options).unwrap_err();
    assert_eq!(error.code(), "tool.stalled");
    assert_eq!(running("98764"), 0);
    // It takes nothing.
    let tool = fake(folder.path(), "sleep 98763");
    let settings = EncodeSettings {
        stall: Some(Duration::from_millis(300)),
        ..EncodeSettings::default()
    };
    let (frames, _) = decode(&tools()[0], &info, DecodeOptions::default()).unwrap();
    let output = folder.path().join("o.mkv");
    let mut encoder = Encoder::start(
        &tool,
        &output,
        &same_format(&info),
        Some(&info),
        &settings,
        &Stop::default(),
    )
    .unwrap();
    let mut frame = frames[0].clone();
    let error = loop {
        frame.pts.ticks += 1;
        if let Err(error) = encoder.write(&frame) {
            break error;
        }
    };
    assert_eq!(error.code(), "tool.stalled");
    drop(encoder);
    assert_eq!(running("98763"), 0);
    assert!(!output.exists());
}

#[test]
fn t39_a_flood_of_messages_neither_blocks_nor_fills_memory() {
    let folder = tempfile::tempdir().unwrap();
    let info = tools()[0].probe(&clip(folder.path(), "plain.mp4")).unwrap();
    let real = tools()[0].program().display();
    let tool = fake(
        folder.path(),
        &format!(
            "yes flood | head -c 4000000 >&2\n{real} \"$@\"\ncode=$?\nyes flood | head -c 4000000 >&2\necho the last word >&2\nexit $code"
        ),
    );
    let (frames, decoder) = decode(&tool, &info, DecodeOptions::default()).unwrap();
    assert_eq!(frames.len(), 10);
    let said = decoder.completeness().complaints;
    assert!(
        said.ends_with("the last word") && said.len() < 4096,
        "{} bytes",
        said.len()
    );
}

#[test]
fn t39_a_child_that_dies_leaves_its_last_words_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let info = tools()[0].probe(&clip(folder.path(), "plain.mp4")).unwrap();
    let tool = fake(folder.path(), "echo my last words >&2\nkill -9 $$");
    let error = decode(&tool, &info, DecodeOptions::default()).unwrap_err();
    assert!(matches!(error.code(), "input.unreadable" | "tool.failed"), "{error}");
    assert!(error.to_string().contains("my last words"), "{error}");
    let (frames, _) = decode(&tools()[0], &info, DecodeOptions::default()).unwrap();
    let output = folder.path().join("o.mkv");
    let tool = fake(
        folder.path(),
        "head -c 100 >/dev/null\necho my last words >&2\nkill -9 $$",
    );
    let mut encoder = Encoder::start(
        &tool,
        &output,
        &same_format(&info),
        Some(&info),
        &EncodeSettings::default(),
        &Stop::default(),
    )
    .unwrap();
    let mut frame = frames[0].clone();
    let error = loop {
        frame.pts.ticks += 1;
        if let Err(error) = encoder.write(&frame) {
            break error;
        }
    };
    assert_eq!(error.code(), "tool.failed");
    assert!(error.to_string().contains("my last words"), "{error}");
    drop(encoder);
    let files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files.len(), 2, "{files:?}");
}

#[test]
fn work_is_stopped_from_another_thread_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let info = tools()[0].probe(&clip(folder.path(), "plain.mp4")).unwrap();
    let tool = fake(folder.path(), "sleep 98762");
    let options = DecodeOptions::default();
    let stop = options.stop.clone();
    let worker = std::thread::spawn(move || decode(&tool, &info, options).unwrap_err());
    // The child is there before it is stopped.
    while running("98762") == 0 {
        std::thread::yield_now();
    }
    stop.stop();
    assert_eq!(worker.join().unwrap().code(), "job.stopped");
    assert_eq!(running("98762"), 0);
    assert!(stop.is_stopped());
}

#[test]
fn an_existing_file_and_the_input_itself_are_never_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let tool = &tools()[0];
    let file = clip(folder.path(), "plain.mp4");
    let info = tool.probe(&file).unwrap();
    let other = folder.path().join("other.mp4");
    std::fs::write(&other, "precious").unwrap();
    let link = folder.path().join("link.mp4");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let start = |path: &Path, overwrite| {
        let settings = EncodeSettings {
            overwrite,
            ..EncodeSettings::default()
        };
        Encoder::start(
            tool,
            path,
            &same_format(&info),
            Some(&info),
            &settings,
            &Stop::default(),
        )
    };
    assert_eq!(start(&other, false).unwrap_err().code(), "output.exists");
    assert_eq!(std::fs::read(&other).unwrap(), b"precious");
    for path in [&file, &link] {
        assert_eq!(start(path, true).unwrap_err().code(), "output.is_input");
    }
    drop(start(&other, true).unwrap());
    assert_eq!(std::fs::read(&other).unwrap(), b"precious");
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 3, "part files are left");
}

#[test]
fn a_frame_of_another_size_or_with_a_time_that_does_not_rise_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tool = &tools()[0];
    let info = tool.probe(&clip(folder.path(), "plain.mp4")).unwrap();
    let (frames, _) = decode(tool, &info, DecodeOptions::default()).unwrap();
    let mut video = same_format(&info);
    video.size.width += 2;
    let output = folder.path().join("o.mkv");
    let mut encoder = Encoder::start(
        tool,
        &output,
        &video,
        None,
        &EncodeSettings::default(),
        &Stop::default(),
    )
    .unwrap();
    assert_eq!(encoder.write(&frames[0]).unwrap_err().code(), "output.frame");
    drop(encoder);
    let mut encoder = Encoder::start(
        tool,
        &output,
        &same_format(&info),
        None,
        &EncodeSettings::default(),
        &Stop::default(),
    )
    .unwrap();
    encoder.write(&frames[1]).unwrap();
    assert_eq!(encoder.write(&frames[1]).unwrap_err().code(), "output.frame");
    let mut early = frames[2].clone();
    early.pts.ticks = -1;
    assert!(
        encoder
            .write(&early)
            .unwrap_err()
            .to_string()
            .contains("times from zero on")
    );
    let mut between = frames[2].clone();
    between.pts = Timestamp::new(1, Rational::new(1, 7).unwrap());
    assert_eq!(encoder.write(&between).unwrap_err().code(), "frame.invalid");
}

#[test]
fn a_missing_an_old_and_a_broken_ffmpeg_have_a_sentence_each() {
    let folder = tempfile::tempdir().unwrap();
    let none = FfmpegSearch {
        path: Some(folder.path().into()),
        folders: vec![folder.path().to_path_buf()],
        ..FfmpegSearch::default()
    };
    let error = Ffmpeg::find(&none).unwrap_err();
    assert_eq!((error.code(), error.hint().is_some()), ("tool.missing", true));
    let path = folder.path().join("ffmpeg");
    let write = |text: &str| {
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        drop(file);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Ffmpeg::find(&FfmpegSearch {
            explicit: Some(path.clone()),
            ..FfmpegSearch::default()
        })
        .unwrap_err()
    };
    let old = write("#!/bin/sh\necho ffmpeg version 4.4.2-0ubuntu Copyright >&2\n");
    assert_eq!(old.code(), "tool.too_old");
    assert!(
        old.to_string()
            .ends_with("is FFmpeg 4.4.2-0ubuntu, kinora needs 5.1 or newer"),
        "{old}"
    );
    assert_eq!(write("#!/bin/sh\necho hello\n").code(), "tool.broken");
    assert_eq!(write("#!/bin/sh\nexit 3\n").code(), "tool.broken");
}

#[test]
fn the_newest_unpacked_ffmpeg_of_a_folder_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("imageio_ffmpeg/binaries");
    std::fs::create_dir_all(&inside).unwrap();
    let real = tools()[0].program();
    for name in ["ffmpeg-linux-x86_64-v7.0.2", "ffmpeg-linux-x86_64-v9.0.2"] {
        std::os::unix::fs::symlink(real, inside.join(name)).unwrap();
    }
    let found = Ffmpeg::find(&FfmpegSearch {
        folders: vec![folder.path().to_path_buf()],
        ..FfmpegSearch::default()
    });
    assert!(found.unwrap().program().ends_with("ffmpeg-linux-x86_64-v9.0.2"));
}
