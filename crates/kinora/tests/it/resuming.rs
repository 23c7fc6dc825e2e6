//! A job goes on where it was, whatever ended it, and ends with the file of a run that nothing ended.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::command::{Ran, clip, finished, frame_hashes, kinora, make, run};

/// Five segments of a small clip; x264 for its B-frames and its lookahead.
const FRAMES: u32 = 1100;
const JOB: &str = "run a.mp4 out.mp4 -p device_stub --set device_stub.ms=1 --encoder-preset ultrafast";

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

fn job(home: &Path) -> Ran {
    run(home, words(JOB))
}

/// Times and hashes of all packets, sound included.
fn packets(home: &Path, name: &str) -> String {
    let output = Command::new("ffmpeg")
        .current_dir(home)
        .args([
            "-v", "error", "-copyts", "-i", name, "-map", "0", "-c", "copy", "-f", "framemd5", "-",
        ])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn clean(home: &Path) -> String {
    clip(home, "a.mp4", FRAMES);
    let ran = job(home);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(frame_hashes(home, "out.mp4").len(), FRAMES as usize);
    let all = packets(home, "out.mp4");
    fs::remove_file(home.join("out.mp4")).unwrap();
    assert!(!home.join("out.mp4.kinora").exists());
    all
}

fn begin(home: &Path) -> Child {
    kinora(home)
        .args(words(JOB))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[allow(clippy::disallowed_methods, reason = "a kill at a random moment needs moments")]
fn wait(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

#[test]
fn t35_kills_at_random_moments_change_no_packet() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let expected = clean(home);
    let kills = std::env::var("KINORA_TEST_KILLS").map_or(5, |count| count.parse().unwrap());
    let mut killed = 0;
    for kill in 0..kills {
        let mut child = begin(home);
        // Spread over start, segments and joining; no two alike.
        wait(150 + kill * 7919 % 2300);
        let _ = kill_process(Pid::from_child(&child), Signal::KILL);
        killed += u32::from(child.wait().unwrap().code().is_none());
        if home.join("out.mp4").exists() {
            assert_eq!(packets(home, "out.mp4"), expected, "after kill {kill}");
            fs::remove_file(home.join("out.mp4")).unwrap();
            let _ = fs::remove_dir_all(home.join("out.mp4.kinora"));
        }
    }
    assert!(killed > 0);
    let ran = job(home);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(packets(home, "out.mp4"), expected);
    assert!(!home.join("out.mp4.kinora").exists());
}

#[test]
fn a_stopped_job_goes_on_and_refuses_other_settings() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let expected = clean(home);
    let child = begin(home);
    let folder = home.join("out.mp4.kinora");
    while !folder.join("seg-000000.nut").exists() {
        wait(5);
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = finished(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(130));
    assert_eq!(fs::read_dir(folder.join("tmp")).unwrap().count(), 0);

    // Another quality, another pipeline, another input: each is named, and nothing is touched.
    let other = run(home, words(&format!("{JOB} --crf 30")));
    assert_eq!(other.code, Some(2));
    assert!(other.stderr.contains("error[job.identity]"), "{}", other.stderr);
    assert!(other.stderr.contains("encoder.crf   null -> 30"), "{}", other.stderr);
    assert!(other.stderr.contains("--restart") && other.stderr.contains("--resume-settings"));
    let other = run(home, words(&JOB.replace("device_stub.ms=1", "device_stub.ms=2")));
    assert!(
        other.stderr.contains("pipeline.0.params.ms   1 -> 2"),
        "{}",
        other.stderr
    );
    let original = fs::read(home.join("a.mp4")).unwrap();
    make(
        home,
        &["-i", "a.mp4", "-c", "copy", "-metadata", "title=other", "b.mp4"],
    );
    fs::copy(home.join("b.mp4"), home.join("a.mp4")).unwrap();
    let other = job(home);
    assert!(other.stderr.contains("input.blake3"), "{}", other.stderr);
    fs::write(home.join("a.mp4"), original).unwrap();

    // A playable file of what is there, without touching the job.
    let part = run(home, ["join", "out.mp4.kinora", "--partial"]);
    assert_eq!(part.code, Some(0), "{}", part.stderr);
    let done = frame_hashes(home, "out.partial.mp4");
    assert!(
        done.len().is_multiple_of(240) && (240..FRAMES as usize).contains(&done.len()),
        "{}",
        done.len()
    );
    let incomplete = run(home, ["join", "out.mp4.kinora"]);
    assert_eq!(incomplete.code, Some(1));
    assert!(
        incomplete.stderr.contains("error[job.incomplete]"),
        "{}",
        incomplete.stderr
    );

    // The wrong flags, and the job's own settings all the same.
    let ran = run(home, words(&format!("{JOB} --crf 30 --resume-settings")));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("resuming   "), "{}", ran.stderr);
    assert_eq!(packets(home, "out.mp4"), expected);
    assert_eq!(frame_hashes(home, "out.mp4")[..done.len()], done);
    assert!(!folder.exists());
}

#[test]
fn a_job_that_runs_is_not_run_twice() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", FRAMES);
    let mut child = begin(home);
    while !home.join("out.mp4.kinora/manifest.jsonl").exists() {
        wait(20);
    }
    let ran = job(home);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("error[job.locked]: this job runs already, as process "),
        "{}",
        ran.stderr
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(frame_hashes(home, "out.mp4").len(), FRAMES as usize);
}

#[test]
fn four_workers_make_the_bytes_of_one() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let expected = clean(home);
    let one = run(home, words(&format!("{JOB} --keep-work --work-dir one")));
    assert_eq!(one.code, Some(0), "{}", one.stderr);
    fs::remove_file(home.join("out.mp4")).unwrap();
    // A plan, so that no worker can have other settings; two at once, then the other two, the last first.
    let plan = JOB.replace("run a.mp4 out.mp4", "plan a.mp4 -o plan.json");
    let planned = run(home, words(&plan));
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    assert!(
        planned.stderr.contains("plan.json  5 segments of 240 frames"),
        "{}",
        planned.stderr
    );
    for pair in [[3, 1], [0, 2]] {
        let children = pair.map(|k| {
            let line = format!("run a.mp4 --plan plan.json --work-dir four --segment {k}/4");
            let mut command = kinora(home);
            command.args(words(&line)).stderr(Stdio::piped()).spawn().unwrap()
        });
        for child in children {
            let ran = finished(child.wait_with_output().unwrap());
            assert_eq!(ran.code, Some(0), "{}", ran.stderr);
            assert!(ran.stderr.contains("is done"), "{}", ran.stderr);
        }
    }
    let again = run(home, words(&format!("{JOB} --work-dir four --segment 2/4")));
    assert!(
        again.stderr.contains("block 2/4 is done: 0 frames now"),
        "{}",
        again.stderr
    );
    for segment in 0..FRAMES.div_ceil(240) {
        let name = format!("seg-{segment:06}.nut");
        let bytes = |folder: &str| fs::read(home.join(folder).join(&name)).unwrap();
        assert!(bytes("one") == bytes("four"), "{name} differs");
    }
    let joined = run(home, ["join", "four", "-o", "joined.mp4"]);
    assert_eq!(joined.code, Some(0), "{}", joined.stderr);
    assert_eq!(packets(home, "joined.mp4"), expected);
}

#[test]
fn a_job_whose_input_vanished_says_so_and_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 300);
    let ran = run(home, words(&format!("{JOB} --keep-work")));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    fs::rename(home.join("a.mp4"), home.join("moved.mp4")).unwrap();
    fs::remove_file(home.join("out.mp4")).unwrap();
    let gone = run(home, ["join", "out.mp4.kinora"]);
    assert_eq!(gone.code, Some(3));
    assert!(gone.stderr.contains("--audio-from"), "{}", gone.stderr);
    let silent = run(home, ["join", "out.mp4.kinora", "-o", "silent.mp4", "--no-audio"]);
    assert_eq!(silent.code, Some(0), "{}", silent.stderr);
    assert_eq!(frame_hashes(home, "silent.mp4").len(), 300);
    // Neither the film that the job reads nor its own pieces are ever replaced.
    for output in ["moved.mp4", "out.mp4.kinora/seg-000001.nut"] {
        let before = fs::read(home.join(output)).unwrap();
        let refused = run(
            home,
            [
                "join",
                "out.mp4.kinora",
                "--audio-from",
                "moved.mp4",
                "-o",
                output,
                "-y",
            ],
        );
        assert_eq!(refused.code, Some(2), "{output}: {}", refused.stderr);
        assert!(refused.stderr.contains("error[output.is_input]"), "{}", refused.stderr);
        assert!(fs::read(home.join(output)).unwrap() == before);
    }
    // A changed byte in a piece is seen before it is in the film.
    let piece = home.join("out.mp4.kinora/seg-000000.nut");
    let good = fs::read(&piece).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    fs::write(&piece, &bad).unwrap();
    let refused = run(home, ["join", "out.mp4.kinora", "--audio-from", "moved.mp4"]);
    assert!(refused.stderr.contains("error[job.damaged]"), "{}", refused.stderr);
    assert!(refused.stderr.contains("seg-000000.nut") && refused.stderr.contains("--verify"));
    fs::write(&piece, &good).unwrap();
    let joined = run(home, ["join", "out.mp4.kinora", "--audio-from", "moved.mp4"]);
    assert_eq!(joined.code, Some(0), "{}", joined.stderr);
    assert_eq!(frame_hashes(home, "out.mp4").len(), 300);
    // The output is what the folder says: nothing is left but the folder, which goes.
    fs::rename(home.join("moved.mp4"), home.join("a.mp4")).unwrap();
    let again = job(home);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(again.stderr.contains("is complete already"), "{}", again.stderr);
    assert!(!home.join("out.mp4.kinora").exists());
}

#[test]
fn a_cut_off_input_is_finished_by_salvage_without_computing_again() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    make(
        home,
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=64x48:r=24:d=20",
            "-c:v",
            "mpeg4",
            "-q:v",
            "2",
            "-movflags",
            "+faststart",
            "whole.mp4",
        ],
    );
    let whole = fs::read(home.join("whole.mp4")).unwrap();
    fs::write(home.join("a.mp4"), &whole[..whole.len() * 7 / 10]).unwrap();
    let ran = job(home);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("error[input.truncated]"), "{}", ran.stderr);
    assert!(ran.stderr.contains("segments are safe"), "{}", ran.stderr);
    assert!(!home.join("out.mp4").exists());
    let ran = run(home, words(&format!("{JOB} --salvage")));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("warning[input.truncated]"), "{}", ran.stderr);
    let frames = frame_hashes(home, "out.mp4").len();
    assert!((240..480).contains(&frames), "{frames}");
}

#[test]
fn what_cannot_be_cut_says_so() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 12);
    for (line, says) in [
        (
            "run a.mp4 out.gif -p identity",
            "segments   off: an animation is one piece",
        ),
        (
            "run a.mp4 b.mkv -p identity --segments off",
            "segments   off: --segments off",
        ),
        (
            "run a.mp4 t.ts -p identity",
            "segments   off: segments are joined into MKV",
        ),
    ] {
        let ran = run(home, words(line));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    let ran = run(home, words("run a.mp4 c.gif -p identity --segment 0/2 --work-dir w"));
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--segment needs segments"), "{}", ran.stderr);
    for (line, code) in [
        ("run a.mp4 c.mkv -p identity --segment 2/2 --work-dir w", 2),
        ("run a.mp4 c.mkv -p identity --segment 0/2", 2),
        ("run a.mp4 c.mkv -p identity --resume-settings", 2),
        ("run a.mp4 --plan a.mp4 --segment 0/2 --work-dir w", 2),
        ("plan a.mp4 -p identity", 2),
        ("plan a.mp4 -o a.mkv -p identity", 2),
        ("join nowhere", 2),
        ("join .", 2),
    ] {
        let ran = run(home, words(line));
        assert_eq!(ran.code, Some(code), "{line}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("error["), "{}", ran.stderr);
    }
}
