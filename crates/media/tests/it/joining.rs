//! Pieces encoded apart are one film again: every frame at its time, colour and all.

use std::path::Path;

use kinora_media::{Audio, DecodeOptions, EncodeSettings, Encoder, Piece, Stop};

use crate::clips::{decode, fake, make, same_format, tools, with_each};

#[test]
fn pieces_of_an_irregular_clip_join_without_moving_a_frame() {
    let folder = tempfile::tempdir().unwrap();
    let source = make(
        &tools()[0],
        "-f lavfi -i testsrc2=s=64x48:r=60:d=10 -f lavfi -i sine=d=3 -vf select='gt(random(3)\\,0.9)',trim=end_frame=57 -fps_mode passthrough -enc_time_base 1/90000 -c:v libx264 -bf 3 -pix_fmt yuv420p -colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv -video_track_timescale 90000",
        &folder.path().join("vfr.mp4"),
    );
    with_each(|tool| {
        let info = tool.probe(&source).unwrap();
        let (frames, _) = decode(tool, &info, DecodeOptions::default()).unwrap();
        let video = same_format(&info);
        for (codec, name) in [
            ("h264", "h264.mkv"),
            ("h264", "h264.mp4"),
            ("ffv1", "ffv1.mkv"),
            ("h265", "h265.mkv"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let settings = EncodeSettings {
                codec: Some(codec.to_owned()),
                ..EncodeSettings::default()
            };
            let output = folder.path().join(name);
            tool.check_output(&output, &video, Some(&info), &settings).unwrap();
            let mut pieces = Vec::new();
            for (number, part) in frames.chunks(20).enumerate() {
                let path = folder.path().join(format!("it's {number}.nut"));
                let mut encoder = Encoder::start(tool, &path, &video, None, &settings, &Stop::default()).unwrap();
                for frame in part {
                    encoder.write(frame).unwrap();
                }
                encoder.finish().unwrap();
                pieces.push(Piece {
                    path,
                    start: part[0].pts,
                });
            }
            let written = tool
                .join(&pieces, &output, &video, Some(&info), &settings, &Stop::default())
                .unwrap();
            assert!(written.bytes > 0);
            assert_eq!(written.frames, 57);
            assert_eq!(written.color_differences, Vec::<String>::new(), "{name}");
            let times: Vec<_> = frames.iter().map(|frame| frame.pts).collect();
            let verified = tool
                .verify(&output, &times, Some(video.color), &Stop::default())
                .unwrap();
            assert_eq!(verified.color_differences, Vec::<String>::new(), "{name}");
            let joined = tool.probe(&output).unwrap();
            assert_eq!(joined.streams.len(), 2, "the sound is there");
            let (back, _) = decode(tool, &joined, DecodeOptions::default()).unwrap();
            assert_eq!(back.len(), 57, "{name}");
            if codec == "ffv1" {
                assert!(
                    frames
                        .iter()
                        .zip(&back)
                        .all(|(a, b)| a.image.host_buffer().unwrap().bytes() == b.image.host_buffer().unwrap().bytes())
                );
            }
            let left = std::fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(left, 4, "three pieces and the film");
            let again = |pieces: &[Piece], output: &Path| {
                let found = tool.join(pieces, output, &video, Some(&info), &settings, &Stop::default());
                found.unwrap_err().code()
            };
            assert_eq!(again(&pieces, &output), "output.exists");
            // A piece that is not where it is said to be.
            pieces[1].start.ticks += 1;
            let other = folder.path().join(format!("other {name}"));
            assert_eq!(again(&pieces, &other), "usage.value");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), left);
        }
    });
}

/// A later part of a film, as a worker on another machine or `--start` has it.
#[test]
fn pieces_from_the_middle_keep_their_times() {
    let folder = tempfile::tempdir().unwrap();
    let source = make(
        &tools()[0],
        "-f lavfi -i testsrc2=s=64x48:r=24000/1001:d=2 -c:v libx264 -bf 2 -pix_fmt yuv420p -video_track_timescale 24000",
        &folder.path().join("film.mp4"),
    );
    with_each(|tool| {
        let folder = tempfile::tempdir().unwrap();
        let info = tool.probe(&source).unwrap();
        let (frames, _) = decode(tool, &info, DecodeOptions::default()).unwrap();
        let video = same_format(&info);
        let settings = EncodeSettings {
            audio: Audio::None,
            ..EncodeSettings::default()
        };
        let mut pieces = Vec::new();
        for part in frames[20..].chunks(9) {
            let path = folder.path().join(format!("{}.nut", part[0].index));
            let mut encoder = Encoder::start(tool, &path, &video, None, &settings, &Stop::default()).unwrap();
            for frame in part {
                encoder.write(frame).unwrap();
            }
            encoder.finish().unwrap();
            pieces.push(Piece {
                path,
                start: part[0].pts,
            });
        }
        let output = folder.path().join("rest.mp4");
        tool.join(&pieces, &output, &video, Some(&info), &settings, &Stop::default())
            .unwrap();
        let times: Vec<_> = frames[20..].iter().map(|frame| frame.pts).collect();
        tool.verify(&output, &times, None, &Stop::default()).unwrap();
    });
}

#[test]
fn a_join_that_loses_a_frame_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let real = &tools()[0];
    let source = make(
        real,
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -c:v ffv1 -pix_fmt yuv420p",
        &folder.path().join("in.nut"),
    );
    let info = real.probe(&source).unwrap();
    let (frames, _) = decode(real, &info, DecodeOptions::default()).unwrap();
    let (video, settings) = (same_format(&info), EncodeSettings::default());
    let piece = folder.path().join("piece.nut");
    let mut encoder = Encoder::start(real, &piece, &video, None, &settings, &Stop::default()).unwrap();
    for frame in &frames {
        encoder.write(frame).unwrap();
    }
    encoder.finish().unwrap();
    let pieces = [Piece {
        path: piece,
        start: frames[0].pts,
    }];
    // It says all is well and keeps 20 frames of 25.
    let text = format!(
        "case \"$*\" in *framecrc*) exec {real} \"$@\";; esac\n{real} \"$@\" || exit 1\n\
         for file in \"$@\"; do :; done\nfile=${{file#file:}}\n\
         {real} -v error -i \"$file\" -frames:v 20 -c copy \"$file.mkv\" && mv \"$file.mkv\" \"$file\"",
        real = real.program().display()
    );
    let tool = fake(folder.path(), &text);
    let output = folder.path().join("o.mkv");
    let error = tool
        .join(&pieces, &output, &video, None, &settings, &Stop::default())
        .unwrap_err();
    assert_eq!(error.code(), "output.verify", "{error}");
    assert!(error.to_string().contains("expected 25 frames, found 20"), "{error}");
    assert!(!output.exists());
}
