//! A child that works is waited for, however long it says nothing; one that is dead is ended.

use std::{path::Path, time::Duration};

use kinora_frame::Frame;
use kinora_media::{DecodeOptions, EncodeSettings, Encoder, Ffmpeg, MediaError, MediaInfo, Piece, Stop, Written};

use crate::clips::{decode, fake, make, running, same_format, tools};

/// Uses the processor for two to three seconds, far longer than the stall limit.
const WORK: &str = "until=$(($(date +%s) + 3)); while [ $(date +%s) -lt $until ]; do :; done";

/// More than a pipe holds, so that a write waits.
fn source(folder: &Path) -> (MediaInfo, Vec<Frame>) {
    let path = make(
        &tools()[0],
        "-f lavfi -i testsrc2=s=320x240:r=25:d=1 -c:v ffv1 -pix_fmt yuv420p",
        &folder.join("in.nut"),
    );
    let info = tools()[0].probe(&path).unwrap();
    let (frames, _) = decode(&tools()[0], &info, DecodeOptions::default()).unwrap();
    (info, frames)
}

fn impatient() -> EncodeSettings {
    EncodeSettings {
        codec: Some("ffv1".to_owned()),
        stall: Some(Duration::from_millis(600)),
        ..EncodeSettings::default()
    }
}

fn encode(tool: &Ffmpeg, output: &Path, info: &MediaInfo, frames: &[Frame]) -> Result<Written, MediaError> {
    let mut encoder = Encoder::start(tool, output, &same_format(info), None, &impatient(), &Stop::default())?;
    for frame in frames {
        encoder.write(frame)?;
    }
    encoder.finish()
}

#[test]
fn t39_an_encoder_that_works_on_after_the_last_frame_is_not_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (info, frames) = source(folder.path());
    let real = tools()[0].program().display();
    let tool = fake(folder.path(), &format!("{real} \"$@\"\ncode=$?\n{WORK}\nexit $code"));
    let written = encode(&tool, &folder.path().join("o.nut"), &info, &frames).unwrap();
    assert_eq!(written.frames, 25);
}

#[test]
fn t39_a_second_pass_over_the_file_that_waits_for_its_disk_is_not_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (info, frames) = source(folder.path());
    let real = tools()[0].program().display();
    let copy = "for step in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do sleep 0.15; head -c 4096 /dev/zero >/dev/null; done";
    let tool = fake(folder.path(), &format!("{real} \"$@\"\ncode=$?\n{copy}\nexit $code"));
    encode(&tool, &folder.path().join("o.nut"), &info, &frames).unwrap();
}

#[test]
fn t39_an_encoder_that_is_slow_with_a_frame_is_not_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (info, frames) = source(folder.path());
    let real = tools()[0].program().display();
    let tool = fake(folder.path(), &format!("{WORK}\nexec {real} \"$@\""));
    let written = encode(&tool, &folder.path().join("o.nut"), &info, &frames).unwrap();
    assert_eq!(written.frames, 25);
}

#[test]
fn t39_an_encoder_that_is_dead_after_the_last_frame_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (info, frames) = source(folder.path());
    let real = tools()[0].program().display();
    let tool = fake(folder.path(), &format!("{real} \"$@\"\nsleep 98761"));
    let output = folder.path().join("o.nut");
    let error = encode(&tool, &output, &info, &frames).unwrap_err();
    assert_eq!(error.code(), "tool.stalled");
    assert_eq!(running("98761"), 0);
    assert!(!output.exists());
}

#[test]
fn t39_a_join_that_works_is_waited_for_and_one_that_is_dead_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (info, frames) = source(folder.path());
    let piece = folder.path().join("piece.nut");
    encode(&tools()[0], &piece, &info, &frames).unwrap();
    let pieces = [Piece {
        path: piece,
        start: frames[0].pts,
    }];
    let output = folder.path().join("o.mkv");
    let real = tools()[0].program().display();
    // Reading the pieces is no join.
    let join = |instead: &str| {
        let text = format!("case \"$*\" in *framecrc*) exec {real} \"$@\";; esac\n{instead}");
        fake(folder.path(), &text).join(
            &pieces,
            &output,
            &same_format(&info),
            None,
            &impatient(),
            &Stop::default(),
        )
    };
    let error = join("sleep 98760").unwrap_err();
    assert_eq!(error.code(), "tool.stalled");
    assert_eq!(running("98760"), 0);
    assert!(!output.exists());
    join(&format!("{WORK}\nexec {real} \"$@\"")).unwrap();
    assert!(output.exists());
}
