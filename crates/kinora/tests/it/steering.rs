//! Signals steer a job: stop leaves nothing half-written, pause changes nothing.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    process::{Child, Stdio},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use serde_json::Value as Json;

use crate::command::{clip, frame_hashes, kinora, run};

const JOB: &str = "run a.mp4 out.mkv -p device_stub --set device_stub.ms=25 --codec ffv1";

fn slow_job(home: &std::path::Path) -> Child {
    let mut command = kinora(home);
    command.args(JOB.split(' '));
    command
        .args(["--progress", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn sigint_stops_with_130_and_leaves_no_file() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 96);
    let mut child = slow_job(home);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = String::new();
    for line in lines.by_ref() {
        seen = line.unwrap();
        if seen.contains("\"progress\"") {
            break;
        }
    }
    assert!(seen.contains("\"progress\""), "{seen}");
    signal(&child, Signal::INT);
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{stderr}");
    assert!(rest.iter().any(|line| line.contains("\"stopping\"")), "{rest:?}");
    assert!(stderr.contains("error[job.stopped]"), "{stderr}");
    assert!(stderr.contains("1 of 1 segments are safe"), "{stderr}");
    assert!(!home.join("out.mkv").exists());
    // The same command goes on: the one segment is done, and only the file was missing.
    let ran = run(home, JOB.split(' '));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(frame_hashes(home, "out.mkv").len(), 96);
    assert!(!home.join("out.mkv.kinora").exists());
}

#[test]
fn sigusr1_pauses_and_goes_on_with_the_same_result() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 48);
    let mut child = slow_job(home);
    let mut states = Vec::new();
    let mut paused = false;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: Json = serde_json::from_str(&line.unwrap()).unwrap();
        if line["event"] == "progress" && !paused {
            paused = true;
            signal(&child, Signal::USR1);
        }
        if line["event"] == "state" {
            let to = line["to"].as_str().unwrap().to_owned();
            if to == "paused" {
                signal(&child, Signal::USR1);
            }
            states.push(to);
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(states, ["paused", "running"]);
    assert_eq!(frame_hashes(home, "out.mkv").len(), 48);
}

#[test]
fn t39_a_killed_encoder_ends_the_job_with_its_words() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 96);
    let mut child = slow_job(home);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.by_ref() {
        if line.unwrap().contains("\"progress\"") {
            break;
        }
    }
    // The encoder is the child of ours that writes the part file.
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap_or_default();
    let mut all: Vec<u32> = children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    for task in std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap() {
        let path = task.unwrap().path().join("children");
        all.extend(
            std::fs::read_to_string(path)
                .unwrap_or_default()
                .split_whitespace()
                .filter_map(|p| p.parse::<u32>().ok()),
        );
    }
    let encoder = all.into_iter().find(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .unwrap_or_default()
            .contains("ffv1")
    });
    let pid = Pid::from_raw(i32::try_from(encoder.expect("an encoder runs")).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    for _ in lines {}
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{stderr}");
    assert!(stderr.contains("error[tool."), "{stderr}");
    assert!(!home.join("out.mkv").exists());
}

#[test]
fn a_closed_terminal_stops_the_job() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 96);
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs = File::options().read(true).write(true).open(name).unwrap();
    let mut command = kinora(home);
    command
        .env("TERM", "xterm")
        .args(["run", "a.mp4", "out.mkv", "-p", "device_stub"]);
    command.args(["--set", "device_stub.ms=25", "--codec", "ffv1"]);
    let mut child = command
        .stdin(theirs.try_clone().unwrap())
        .stdout(theirs.try_clone().unwrap())
        .stderr(theirs)
        .spawn()
        .unwrap();
    // The command keeps its copies of the terminal's end: without them this one would stay open.
    drop(command);
    let mut ours = File::from(ours);
    let mut shown = String::new();
    let mut part = [0; 4096];
    while !shown.contains('%') {
        let read = ours.read(&mut part).unwrap();
        assert!(read > 0, "{shown}");
        shown.push_str(&String::from_utf8_lossy(&part[..read]));
    }
    drop(ours);
    assert_eq!(child.wait().unwrap().code(), Some(130), "{shown}");
    assert!(!home.join("out.mkv").exists());
}
