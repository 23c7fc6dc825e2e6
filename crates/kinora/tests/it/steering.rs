//! Signals steer a job: stop leaves nothing half-written, pause changes nothing.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Stdio},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use serde_json::Value as Json;

use crate::command::{clip, frame_hashes, kinora, run};

const JOB: &str = "run a.mp4 out.mkv -p device_stub --set device_stub.ms=25 --codec ffv1";

fn slow_job(home: &Path) -> Child {
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
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap_or_default();
    let mut all: Vec<u32> = children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    for task in fs::read_dir(format!("/proc/{}/task", child.id())).unwrap() {
        let path = task.unwrap().path().join("children");
        all.extend(
            fs::read_to_string(path)
                .unwrap_or_default()
                .split_whitespace()
                .filter_map(|p| p.parse::<u32>().ok()),
        );
    }
    let encoder = all.into_iter().find(|pid| {
        fs::read_to_string(format!("/proc/{pid}/cmdline"))
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

/// An FFmpeg that sends a signal to whoever starts it to decode, before it does.
fn signalling_ffmpeg(home: &Path, signal: &str) {
    let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("ffmpeg"))
        .find(|path| path.is_file())
        .unwrap();
    let tools = home.join("tools");
    fs::create_dir(&tools).unwrap();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *a.mp4*nut*) [ -e sent ] || {{ : > sent; kill -s {signal} $PPID; sleep 0.2; }};; esac\n\
         exec '{}' \"$@\"\n",
        real.display()
    );
    executable(&tools.join("ffmpeg"), &script);
    std::os::unix::fs::symlink(real.with_file_name("ffprobe"), tools.join("ffprobe")).unwrap();
}

fn executable(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_pause_that_is_asked_for_before_the_job_runs_is_kept_for_it() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 24);
    signalling_ffmpeg(home, "USR1");
    let mut command = kinora(home);
    command.arg("--ffmpeg").arg(home.join("tools/ffmpeg"));
    command.args(["run", "a.mp4", "out.mkv", "-p", "identity", "--progress", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut states = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: Json = serde_json::from_str(&line.unwrap()).unwrap();
        if line["event"] == "state" {
            states.push(line["to"].as_str().unwrap().to_owned());
            if states.len() == 1 {
                signal(&child, Signal::USR1);
            }
        }
    }
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert!(home.join("sent").exists());
    assert_eq!(states, ["paused", "running"]);
}

#[test]
fn a_command_that_is_ended_before_its_job_runs_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 24);
    signalling_ffmpeg(home, "TERM");
    let mut command = kinora(home);
    command.arg("--ffmpeg").arg(home.join("tools/ffmpeg"));
    command.args(["run", "a.mp4", "out.mkv", "-p", "identity", "--report", "r.json"]);
    let output = command.output().unwrap();
    assert!(home.join("sent").exists() && !output.status.success());
    let left: Vec<_> = fs::read_dir(home)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("part") || name.starts_with("out") || name.starts_with("r."))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_pull_that_is_ended_takes_its_client_with_it() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::create_dir(home.join("tools")).unwrap();
    let script = format!(
        "#!/bin/sh\necho $$ > '{}'\nexec /bin/sleep 60\n",
        home.join("pid").display()
    );
    executable(&home.join("tools/python3"), &script);
    let mut command = kinora(home);
    command
        .env("PATH", home.join("tools"))
        .env("KINORA_MODELS", home.join("models"));
    command.args(["models", "pull", "span-x2"]).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let client = loop {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        let text = fs::read_to_string(home.join("pid")).unwrap_or_default();
        if let Some(pid) = text.trim().parse().ok().and_then(Pid::from_raw) {
            break pid;
        }
        std::thread::yield_now();
    };
    signal(&child, Signal::TERM);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("error[model.stopped]"), "{said}");
    assert!(
        rustix::process::test_kill_process(client).is_err(),
        "the client still runs"
    );
    assert!(!home.join("models/upscale/span-x2").exists());
}
