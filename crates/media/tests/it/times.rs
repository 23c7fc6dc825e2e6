//! Every frame keeps its own time (rows of the traps table, threat 40).

use std::{path::Path, sync::Arc};

use kinora_frame::{Rational, Timestamp};
use kinora_media::{DecodeOptions, Decoder, EncodeSettings, Ffmpeg, StartAt, Stop};

use crate::clips::{clip, copy_through, decode, make, ticks, tools, with_each};

/// 57 frames at irregular times, B-frames.
const VFR: &str = "-f lavfi -i testsrc2=s=64x48:r=60:d=10 -vf select='gt(random(3)\\,0.9)',trim=end_frame=57 -fps_mode passthrough -enc_time_base 1/90000 -c:v libx264 -bf 3 -pix_fmt yuv420p -video_track_timescale 90000";

fn same_times(tool: &Ffmpeg, input: &Path, output: &Path) -> usize {
    let (info, frames, _) = copy_through(tool, input, output, &EncodeSettings::default()).unwrap();
    let times: Vec<Timestamp> = frames.iter().map(|frame| frame.pts).collect();
    let color = info.video().unwrap().1.color;
    let verified = tool.verify(output, &times, Some(color), &Stop::default()).unwrap();
    assert_eq!(verified.frames, times.len() as u64);
    assert_eq!(verified.color_differences, Vec::<String>::new(), "{}", output.display());
    frames.len()
}

#[test]
fn irregular_times_are_kept_and_no_frame_is_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let file = make(&tools()[0], VFR, &folder.path().join("vfr.mp4"));
    with_each(|tool| {
        for name in ["out.mp4", "out.mkv", "out.mov", "out.nut"] {
            let folder = tempfile::tempdir().unwrap();
            assert_eq!(same_times(tool, &file, &folder.path().join(name)), 57);
        }
    });
}

#[test]
fn film_rates_are_exact_in_mp4_and_within_a_millisecond_in_mkv() {
    let folder = tempfile::tempdir().unwrap();
    let words = "-f lavfi -i testsrc2=s=64x48:r=24000/1001:d=1 -c:v libx264 -bf 2 -pix_fmt yuv420p -video_track_timescale 24000";
    let file = make(&tools()[0], words, &folder.path().join("film.mp4"));
    with_each(|tool| {
        let folder = tempfile::tempdir().unwrap();
        same_times(tool, &file, &folder.path().join("out.mkv"));
        let output = folder.path().join("out.mp4");
        same_times(tool, &file, &output);
        let info = tool.probe(&output).unwrap();
        assert_eq!(info.video().unwrap().1.frame_rate, Rational::new(24000, 1001).ok());
    });
}

#[test]
fn a_start_that_is_not_zero_is_kept_for_picture_and_sound() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "start.ts");
    with_each(|tool| {
        let source = tool.probe(&file).unwrap();
        let starts = |path: &Path| {
            (0..2)
                .map(|stream| {
                    tool.packet_index(path, stream, &Stop::default())
                        .unwrap()
                        .pts_of(0)
                        .unwrap()
                })
                .collect::<Vec<_>>()
        };
        let before = starts(&file);
        assert!(before[0].seconds() > 10.0);
        for name in ["out.mp4", "out.mkv", "out.ts"] {
            let folder = tempfile::tempdir().unwrap();
            let output = folder.path().join(name);
            same_times(tool, &file, &output);
            let after = starts(&output);
            // MKV counts milliseconds, the sound in MP4 its samples.
            for (a, b) in before.iter().zip(&after) {
                assert!(
                    (a.seconds() - b.seconds()).abs() <= 0.001,
                    "{name}: {before:?} {after:?}"
                );
            }
        }
        assert!(source.start.is_some());
    });
}

#[test]
fn sound_that_starts_earlier_and_its_priming_stay_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = make(
        &tools()[0],
        "-itsoffset 0.5 -f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -f lavfi -i sine=d=1 -c:v libx264 -bf 0 -pix_fmt yuv420p -c:a aac",
        &folder.path().join("late.mp4"),
    );
    with_each(|tool| {
        let output = folder.path().join(format!("out-{}.mp4", tool.version()));
        same_times(tool, &file, &output);
        for stream in 0..2 {
            let times = |path: &Path| {
                tool.packet_index(path, stream, &Stop::default())
                    .unwrap()
                    .times()
                    .collect::<Vec<_>>()
            };
            assert_eq!(times(&file)[0], times(&output)[0], "stream {stream}");
            assert_eq!(times(&file).len(), times(&output).len());
        }
        same_times(tool, &file, &folder.path().join(format!("out-{}.mkv", tool.version())));
        let priming = tool.packet_index(&output, 1, &Stop::default()).unwrap();
        assert!(priming.pts_of(0).unwrap().ticks <= 0);
    });
}

#[test]
fn an_edit_list_shows_only_its_frames() {
    let folder = tempfile::tempdir().unwrap();
    let whole = make(
        &tools()[0],
        "-f lavfi -i testsrc2=s=64x48:r=25:d=3 -c:v libx264 -bf 2 -g 50 -pix_fmt yuv420p",
        &folder.path().join("whole.mp4"),
    );
    let cut = make(
        &tools()[0],
        &format!("-ss 1.04 -i {} -c copy", whole.display()),
        &folder.path().join("cut.mp4"),
    );
    with_each(|tool| {
        let index = tool.packet_index(&cut, 0, &Stop::default()).unwrap();
        let info = tool.probe(&cut).unwrap();
        let (frames, decoder) = decode(tool, &info, DecodeOptions::default()).unwrap();
        assert_eq!(frames.len() as u64, index.len());
        assert!(frames.len() < 75 && frames.len() >= 48, "{}", frames.len());
        assert_eq!(
            frames.iter().map(|frame| frame.pts).collect::<Vec<_>>(),
            index.times().collect::<Vec<_>>()
        );
        assert_eq!(decoder.completeness().cut_before(&index), None);
        let folder = tempfile::tempdir().unwrap();
        same_times(tool, &cut, &folder.path().join("out.mp4"));
    });
}

#[test]
fn t40_times_before_zero_keep_their_order_and_distance() {
    let folder = tempfile::tempdir().unwrap();
    let file = make(
        &tools()[0],
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -c:v ffv1 -pix_fmt yuv420p -output_ts_offset -0.2 -avoid_negative_ts disabled",
        &folder.path().join("negative.mkv"),
    );
    with_each(|tool| {
        let info = tool.probe(&file).unwrap();
        let (frames, _) = decode(tool, &info, DecodeOptions::default()).unwrap();
        assert_eq!(frames.len(), 10);
        assert_eq!(frames[0].pts, Timestamp::new(-200, Rational::new(1, 1000).unwrap()));
        let folder = tempfile::tempdir().unwrap();
        for name in ["out.mkv", "out.mp4", "out.ts", "out.nut"] {
            same_times(tool, &file, &folder.path().join(name));
        }
    });
}

#[test]
fn t40_a_gap_of_hours_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = make(
        &tools()[0],
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -vf setpts=if(gte(N\\,5)\\,PTS+250000\\,PTS) -fps_mode passthrough -c:v libx264 -bf 2 -pix_fmt yuv420p",
        &folder.path().join("gap.mkv"),
    );
    with_each(|tool| {
        for name in ["out.mkv", "out.mp4"] {
            let folder = tempfile::tempdir().unwrap();
            assert_eq!(same_times(tool, &file, &folder.path().join(name)), 10);
        }
    });
}

/// Frames around key frames, at both ends and in between, of a stream with open groups and B-frames.
#[test]
fn any_frame_can_be_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let source = make(
        &tools()[0],
        "-f lavfi -i testsrc2=s=64x48:r=30000/1001:d=3 -c:v libx264 -bf 3 -g 24 -x264-params open-gop=1:keyint=24:min-keyint=24 -pix_fmt yuv420p",
        &folder.path().join("gop.mp4"),
    );
    let copies = ["gop.mkv", "gop.ts"].map(|name| {
        make(
            &tools()[0],
            &format!("-i {} -c copy", source.display()),
            &folder.path().join(name),
        )
    });
    let avi = make(
        &tools()[0],
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -c:v mpeg4 -bf 2 -g 12",
        &folder.path().join("gop.avi"),
    );
    with_each(|tool| {
        for file in copies.iter().chain([&source, &avi]) {
            let info = tool.probe(file).unwrap();
            let (whole, _) = decode(tool, &info, DecodeOptions::default()).unwrap();
            let index = Arc::new(tool.packet_index(file, 0, &Stop::default()).unwrap());
            // AVI tells no times of frames: those of decoding lie on the same grid, earlier by what is put back in order.
            let is_avi = file.ends_with("gop.avi");
            assert_eq!(index.seekable(), !is_avi, "{}", file.display());
            let indexed: Vec<i64> = index.times().map(|time| time.ticks).collect();
            let later = whole[0].pts.ticks - indexed[0];
            assert!(later == 0 || is_avi, "{}", file.display());
            let moved: Vec<i64> = indexed.iter().map(|ticks| ticks + later).collect();
            assert_eq!(moved, ticks(&whole), "{}", file.display());
            let starts = [0, 1, 23, 24, 25, 47, whole.len() - 1];
            for start in starts.into_iter().filter(|start| *start < whole.len()) {
                let options = DecodeOptions {
                    start: Some(StartAt {
                        index: Arc::clone(&index),
                        frame: start as u64,
                    }),
                    ..DecodeOptions::default()
                };
                let mut decoder = Decoder::open(tool, &info, options).unwrap();
                for expected in whole[start..].iter().take(2) {
                    let frame = decoder.next_frame().unwrap().unwrap();
                    assert_eq!(
                        (frame.pts, frame.index),
                        (expected.pts, expected.index),
                        "{} from {start}",
                        file.display()
                    );
                    assert_eq!(
                        frame.image.host_buffer().unwrap().bytes(),
                        expected.image.host_buffer().unwrap().bytes(),
                        "{} from {start}",
                        file.display()
                    );
                }
            }
        }
    });
}

#[test]
fn frames_know_their_length_and_whether_they_are_key_from_the_index_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = make(
        &tools()[0],
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -vf select='not(eq(n\\,3))' -fps_mode passthrough -c:v libx264 -g 10 -bf 2 -sc_threshold 0 -pix_fmt yuv420p",
        &folder.path().join("gop.mp4"),
    );
    with_each(|tool| {
        let info = tool.probe(&file).unwrap();
        let index = Arc::new(tool.packet_index(&file, 0, &Stop::default()).unwrap());
        let options = |start: Option<u64>| DecodeOptions {
            start: start.map(|frame| StartAt {
                index: Arc::clone(&index),
                frame,
            }),
            index: Some(Arc::clone(&index)),
            ..DecodeOptions::default()
        };
        let (frames, _) = decode(tool, &info, options(None)).unwrap();
        let keys: Vec<u64> = frames
            .iter()
            .filter(|frame| frame.key)
            .map(|frame| frame.index)
            .collect();
        assert_eq!(keys, [0, 10, 20]);
        let base = info.video().unwrap().0.time_base;
        let step = Timestamp::new(base.den() / 25, base);
        assert!(frames.iter().all(|frame| frame.duration.is_some()));
        assert_eq!(frames[0].duration, Some(step));
        assert_eq!(frames[2].duration, Some(Timestamp::new(step.ticks * 2, base)));
        let (rest, _) = decode(tool, &info, options(Some(20))).unwrap();
        assert!(rest[0].key && !rest[1].key);
    });
}

#[test]
fn a_start_past_the_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "plain.mp4");
    let tool = &tools()[0];
    let index = Arc::new(tool.packet_index(&file, 0, &Stop::default()).unwrap());
    let start = StartAt {
        frame: index.len(),
        index,
    };
    let options = DecodeOptions {
        start: Some(start),
        ..DecodeOptions::default()
    };
    let error = Decoder::open(tool, &tool.probe(&file).unwrap(), options).unwrap_err();
    assert_eq!(error.code(), "input.no_such_frame");
}

#[test]
fn a_start_between_two_milliseconds_is_exact_in_mp4() {
    let folder = tempfile::tempdir().unwrap();
    let file = make(
        &tools()[0],
        "-f lavfi -i testsrc2=s=64x48:r=24000/1001:d=1 -vf setpts=PTS+20 -c:v libx264 -bf 2 -pix_fmt yuv420p -fps_mode passthrough -enc_time_base 1/24000 -f nut",
        &folder.path().join("late.nut"),
    );
    with_each(|tool| {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.mp4");
        same_times(tool, &file, &output);
    });
}
