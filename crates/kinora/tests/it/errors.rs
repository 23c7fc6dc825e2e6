//! Every error says what, why and what to do, with the settled exit code, on stderr, with stdout empty.

use std::{fs, path::Path};

use crate::command::{Ran, clip, fetched_clip, make, network, run};

/// Runs, and checks the form that every error has.
fn fails(home: &Path, args: &[&str], exit: i32, first_line: &str) -> Ran {
    let ran = run(home, args);
    let line = ran
        .stderr
        .lines()
        .find(|line| line.starts_with("error["))
        .unwrap_or_default();
    assert!(line.contains(first_line), "{args:?} said:\n{}", ran.stderr);
    assert_eq!(ran.code, Some(exit), "{args:?} said:\n{}", ran.stderr);
    assert_eq!(ran.stdout, "", "{args:?}");
    ran
}

fn no_output(home: &Path) {
    let left: Vec<_> = fs::read_dir(home)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains(".2x") || name.contains("part") || name.starts_with("out"))
        // Segments that are safe stay; they are no output.
        .filter(|name| !name.ends_with(".kinora"))
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn usage_errors_exit_2_and_name_the_nearest() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 3);
    for (args, line, hint) in [
        (
            vec!["upscale", "a.mp4", "--tiles", "3"],
            "error[usage.flag]: unknown flag '--tiles'",
            "--tile",
        ),
        (
            vec!["upscle", "a.mp4"],
            "error[usage.command]: unknown command 'upscle'",
            "upscale",
        ),
        (
            vec!["serve"],
            "error[usage.not_yet]: 'kinora serve' is not part of this version",
            "kinora",
        ),
        (
            vec!["upscale", "a.mp4", "-s", "0"],
            "error[usage.value]",
            "kinora upscale --help",
        ),
        (
            vec!["upscale", "a.mp4", "-s", "2", "--height", "9"],
            "error[usage.conflict]",
            "--help",
        ),
        (
            vec!["upscale"],
            "error[usage.missing]: no input was named",
            "kinora upscale",
        ),
        (
            vec!["run", "-p", "identity"],
            "error[usage.missing]: no input was named",
            "kinora run --help",
        ),
        (
            vec!["run", "a.mp4", "-p", "identity", "--precision", "f17"],
            "`f17` is no precision: expected auto, f32 or bf16",
            "kinora upscale --help",
        ),
        (
            vec!["run", "a.mp4", "-p", "identity", "--weights", "heavy"],
            "`heavy` is no weights mode: expected auto, fast, lean or packed",
            "kinora upscale --help",
        ),
        (
            vec!["run", "a.mp4", "-p", "invrt"],
            "error[pipeline.unknown_processor]: there is no processor 'invrt'",
            "invert",
        ),
        (
            vec!["run", "a.mp4", "-p", "invert", "--set", "invert.amont=1"],
            "error[pipeline.unknown_key]",
            "amount",
        ),
        (
            vec!["run", "a.mp4", "-p", "invert", "--set", "invert.amount=7"],
            "error[pipeline.bad_value]",
            "describe invert",
        ),
        (vec!["run", "a.mp4", "-p", "p.yaml"], "error[usage.not_yet]", ".json"),
        (
            vec!["run", "a.mp4", "-o", "a.mp4", "-y", "-p", "identity"],
            "error[output.is_input]",
            "--output",
        ),
        (
            vec!["run", "a.mp4", "-o", "no/where.mp4", "-p", "identity"],
            "error[output.folder]",
            "--output",
        ),
        (
            vec!["run", "a.mp4", "-p", "identity", "--start", "99f"],
            "error[usage.value]",
            "",
        ),
        (
            vec!["run", "a.mp4", "-p", "identity", "--start", "2f", "--end", "1f"],
            "error[usage.value]",
            "",
        ),
        (
            vec!["run", "a.mp4", "-p", "identity", "--name", "{what}"],
            "error[usage.value]",
            "{stem}",
        ),
        (vec!["run", "a.mp4", "-p", "identity", "--codec", "h263"], "error[", ""),
        (vec!["describe", "invrt"], "error[pipeline.unknown_processor]", "invert"),
    ] {
        let ran = fails(home, &args, 2, line);
        assert!(
            ran.stderr.contains(hint),
            "{args:?} has no hint {hint}:\n{}",
            ran.stderr
        );
    }
    no_output(home);
}

#[test]
fn an_existing_output_is_refused_and_stays_as_it_was() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 3);
    fs::write(home.join("out.mkv"), "mine").unwrap();
    let ran = fails(
        home,
        &["run", "a.mp4", "out.mkv", "-p", "identity"],
        2,
        "error[output.exists]: out.mkv exists already",
    );
    assert!(ran.stderr.contains("--overwrite"));
    assert_eq!(fs::read_to_string(home.join("out.mkv")).unwrap(), "mine");
}

#[test]
fn t01_broken_inputs_exit_3_and_leave_nothing_under_the_outputs_name() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "whole.mp4", 48);
    make(home, &["-f", "lavfi", "-i", "sine=duration=1", "sound.mka"]);
    make(
        home,
        &["-i", "whole.mp4", "-c", "copy", "-movflags", "+faststart", "fast.mp4"],
    );
    let whole = fs::read(home.join("whole.mp4")).unwrap();
    let fast = fs::read(home.join("fast.mp4")).unwrap();
    fs::write(home.join("empty.mp4"), "").unwrap();
    fs::write(home.join("text.mp4"), "this is no video\n".repeat(100)).unwrap();
    fs::write(home.join("nomoov.mp4"), &whole[..whole.len() / 2]).unwrap();
    fs::write(home.join("cut.mp4"), &fast[..fast.len() * 2 / 3]).unwrap();
    for (name, line) in [
        ("nope.mp4", "error[input.missing]: 'nope.mp4' does not exist"),
        ("empty.mp4", "error[input.unreadable]"),
        ("text.mp4", "error[input.unreadable]"),
        ("nomoov.mp4", "error[input.unreadable]"),
        ("sound.mka", "error[input.no_video]"),
        ("cut.mp4", "error[input.truncated]"),
    ] {
        fails(home, &["run", name, "out.mkv", "-p", "identity"], 3, line);
    }
    no_output(home);
    let ran = run(home, ["run", "cut.mp4", "saved.mkv", "-p", "identity", "--salvage"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(home.join("saved.mkv").exists() && ran.stderr.contains("warning[input.truncated]"));
}

#[test]
fn model_errors_say_how_to_get_it() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 3);
    let empty = home.join("models");
    fs::create_dir(&empty).unwrap();
    let mut command = crate::command::kinora(home);
    command.env("KINORA_MODELS", &empty).args(["upscale", "a.mp4"]);
    let ran = crate::command::finished(command.output().unwrap());
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("error[model.missing]") && ran.stderr.contains("kinora models pull"),
        "{}",
        ran.stderr
    );
    let mut command = crate::command::kinora(home);
    command
        .env("KINORA_MODELS", &empty)
        .args(["models", "pull", "span-x4", "--offline"]);
    let ran = crate::command::finished(command.output().unwrap());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("error[model.offline]"), "{}", ran.stderr);
    no_output(home);
}

#[test]
fn corrupt_weights_are_named_before_anything_is_written() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(models) = network("waifu2x-photo-x2") else {
        return;
    };
    clip(home, "a.mp4", 3);
    let folder = models.join("upscale/waifu2x-photo-x2");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().unwrap_or_default().to_owned();
        if extension == "param" || extension == "bin" {
            let mut bytes = fs::read(&path).unwrap();
            if extension == "bin" {
                bytes.truncate(bytes.len() - 64);
            }
            fs::write(home.join("net").with_extension(extension), bytes).unwrap();
        }
    }
    let ran = fails(home, &["upscale", "a.mp4", "-m", "net.param"], 3, "error[model.");
    assert!(ran.stderr.contains("hint"), "{}", ran.stderr);
    no_output(home);
}

#[test]
fn a_missing_tool_or_device_is_one_sentence() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 3);
    let mut command = crate::command::kinora(home);
    command
        .env("PATH", home)
        .env("KINORA_MODELS", home)
        .args(["run", "a.mp4", "-p", "identity"]);
    let ran = crate::command::finished(command.output().unwrap());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.starts_with("error[tool.missing]: FFmpeg was not found"),
        "{}",
        ran.stderr
    );
    fails(
        home,
        &["upscale", "a.mp4", "-d", "cuda:0"],
        5,
        "error[device.unavailable]: device 'cuda:0' is not there",
    );
}

#[test]
fn t12_a_library_that_is_none_is_a_sentence_and_not_a_crash() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    if network("waifu2x-photo-x2").is_none() {
        return;
    }
    clip(home, "a.mp4", 3);
    fs::write(home.join("libonnxruntime.so.1"), "no library").unwrap();
    for library in ["libonnxruntime.so.1", "missing.so"] {
        let mut command = crate::command::kinora(home);
        command
            .env("ORT_DYLIB_PATH", home.join(library))
            .args(["upscale", "a.mp4"]);
        let ran = crate::command::finished(command.output().unwrap());
        assert_eq!(ran.code, Some(5), "{}", ran.stderr);
        assert!(ran.stderr.contains("error[runtime."), "{}", ran.stderr);
    }
    no_output(home);
}

#[test]
fn an_output_that_cannot_be_written_is_an_error_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 3);
    // Root may write anywhere, so a place that nobody can write to is used.
    let ran = run(home, ["run", "a.mp4", "/proc/out.mkv", "-p", "identity"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("error[output."), "{}", ran.stderr);
}

#[test]
fn a_size_that_changes_in_the_middle_follows_the_policy() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    for (size, name) in [("64x48", "a.h264"), ("96x64", "b.h264")] {
        let source = format!("testsrc2=size={size}:rate=24");
        make(
            home,
            &[
                "-f",
                "lavfi",
                "-i",
                &source,
                "-frames:v",
                "6",
                "-c:v",
                "libx264",
                "-pix_fmt",
                "yuv420p",
                name,
            ],
        );
    }
    let joined = [
        fs::read(home.join("a.h264")).unwrap(),
        fs::read(home.join("b.h264")).unwrap(),
    ]
    .concat();
    fs::write(home.join("ab.h264"), joined).unwrap();
    let ran = run(home, ["run", "ab.h264", "all.mkv", "-p", "identity", "--codec", "ffv1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(crate::command::frame_hashes(home, "all.mkv").len(), 12);
    fails(
        home,
        &[
            "run",
            "ab.h264",
            "out.mkv",
            "-p",
            "identity",
            "--on-size-change",
            "fail",
        ],
        3,
        "error[input.",
    );
    no_output(home);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let home = tempfile::tempdir().unwrap();
    let command = env!("CARGO_BIN_EXE_kinora");
    let script = format!("'{command}' models list --all | head -1; echo ${{PIPESTATUS[0]}}");
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(home.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("\n0\n"), "{text}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let _ = fetched_clip;
}

#[test]
fn t02_words_that_are_no_utf8_are_no_panic() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 3);
    let name = OsStr::from_bytes(b"\xff.mp4");
    fs::copy(home.join("a.mp4"), home.join(name)).unwrap();
    let words = [
        "run",
        "-p",
        "identity",
        "--progress",
        "json",
        "--report",
        "r.json",
        "-y",
        "-i",
    ];
    let mut command = crate::command::kinora(home);
    command
        .args(words)
        .arg(name)
        .arg("-o")
        .arg(OsStr::from_bytes(b"\xfe.mkv"));
    let ran = crate::command::finished(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout
            .lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
    );
    let mut command = crate::command::kinora(home);
    let ran = crate::command::finished(command.arg(OsStr::from_bytes(b"\xff")).output().unwrap());
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}

#[test]
fn a_picture_that_does_not_fit_the_memory_is_refused_before_it_is_made() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 3);
    let line = [
        "run",
        "a.mp4",
        "out.mkv",
        "-p",
        "resize",
        "--set",
        "resize.width=1048576",
    ];
    fails(home, &line, 2, "error[usage.memory]");
    no_output(home);
}

#[test]
fn a_reader_that_leaves_ends_the_job_and_nothing_is_left() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 96);
    let command = env!("CARGO_BIN_EXE_kinora");
    let job = "run a.mp4 out.mkv -p device_stub --set device_stub.ms=10 --progress json";
    let script = format!("'{command}' {job} | head -1 >/dev/null; echo ${{PIPESTATUS[0]}}");
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(home)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0\n");
    no_output(home);
}

#[test]
fn results_that_do_not_fit_the_disk_are_an_error_of_their_own() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 96);
    let command = env!("CARGO_BIN_EXE_kinora");
    let job = "run a.mp4 out.mkv -p device_stub --set device_stub.ms=10 --progress json";
    for line in ["list presets", job, "--help", ""] {
        let output = std::process::Command::new("bash")
            .args(["-c", &format!("'{command}' {line} >/dev/full")])
            .current_dir(home)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(4), "{line}: {said}");
        assert_eq!(said.matches("error[").count(), 1, "{line}: {said}");
        assert!(said.contains("error[disk.full]: the results"), "{line}: {said}");
    }
    no_output(home);
}

#[test]
fn a_closed_stderr_is_no_panic() {
    let home = tempfile::tempdir().unwrap();
    let command = env!("CARGO_BIN_EXE_kinora");
    for (line, code) in [("--what", 2), ("upscale nothing.mp4", 3)] {
        let status = std::process::Command::new("bash")
            .args(["-c", &format!("'{command}' {line} 2>/dev/full")])
            .current_dir(home.path())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(code), "{line}");
    }
}

#[test]
fn a_side_that_the_picture_format_cannot_say_is_refused_before_the_work() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    make(
        home,
        &["-f", "lavfi", "-i", "color=s=16400x2", "-frames:v", "1", "wide.png"],
    );
    let line = ["run", "wide.png", "out.webp", "-p", "identity", "--dry-run"];
    let ran = fails(home, &line, 2, "error[output.container]");
    assert!(ran.stderr.contains("16384"), "{}", ran.stderr);
}

#[test]
fn a_cut_off_picture_a_guess_and_a_foreign_option_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 3);
    make(home, &["-i", "a.mp4", "-frames:v", "1", "whole.jpg"]);
    let whole = fs::read(home.join("whole.jpg")).unwrap();
    assert_eq!(
        run(home, ["run", "whole.jpg", "same.png", "-p", "identity"]).code,
        Some(0)
    );
    fs::write(home.join("cut.jpg"), &whole[..whole.len() * 9 / 10]).unwrap();
    let ran = fails(
        home,
        &["run", "cut.jpg", "out.png", "-p", "identity"],
        3,
        "error[input.unreadable]",
    );
    assert!(ran.stderr.contains("cut off"), "{}", ran.stderr);
    let line = ["run", "a.mp4", "out.mkv", "-p", "identity", "-e", "s=10x10"];
    fails(home, &line, 2, "error[usage.value]");
    // Another scale is another model: nothing is taken for what was not asked for.
    let ran = run(home, ["models", "remove", "waifu2x-photo-x3", "--force"]);
    assert_ne!(ran.code, Some(0), "{}", ran.stderr);
    no_output(home);
}

#[test]
fn a_report_never_replaces_a_file_of_the_job_nor_one_that_is_no_report() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 3);
    make(home, &["-i", "a.mp4", "-frames:v", "1", "p.png"]);
    fs::create_dir(home.join("pictures")).unwrap();
    for name in ["p.png", "q.png"] {
        fs::copy(home.join("p.png"), home.join("pictures").join(name)).unwrap();
    }
    fs::write(home.join("notes.txt"), "mine").unwrap();
    std::os::unix::fs::symlink("a.mp4", home.join("link.mp4")).unwrap();
    let before = fs::read(home.join("a.mp4")).unwrap();
    for (words, report, code) in [
        ("a.mp4 out.mkv -y", "a.mp4", "usage.conflict"),
        ("link.mp4 out.mkv -y", "./a.mp4", "usage.conflict"),
        ("a.mp4 out.mkv -y", "out.mkv", "usage.conflict"),
        ("p.png out.png -y", "out.png", "usage.conflict"),
        ("p.png out.png -y", "p.png", "usage.conflict"),
        ("pictures -o out -y", "pictures/q.png", "usage.conflict"),
        ("a.mp4 out.mkv", "notes.txt", "output.exists"),
        ("pictures -o out", "notes.txt", "output.exists"),
    ] {
        let words = words.split(' ').chain(["-p", "identity", "--report", report]);
        let args: Vec<&str> = ["run"].into_iter().chain(words).collect();
        let ran = fails(home, &args, 2, &format!("error[{code}]"));
        assert!(ran.stderr.contains("--report NAME"), "{args:?}:\n{}", ran.stderr);
    }
    assert_eq!(fs::read(home.join("a.mp4")).unwrap(), before);
    assert_eq!(fs::read_to_string(home.join("notes.txt")).unwrap(), "mine");
    no_output(home);
    let report = |name: &str, more: &[&str]| {
        let words = ["run", "a.mp4", "out.mkv", "-p", "identity", "--report", name];
        run(home, words.iter().chain(more).copied())
    };
    // A report of an earlier job is replaced without a word, another file where the user says so.
    for (name, more) in [
        ("r.json", &[] as &[&str]),
        ("r.json", &[]),
        ("notes.txt", &["--overwrite"]),
    ] {
        let ran = report(name, more);
        assert_eq!(ran.code, Some(0), "{name}: {}", ran.stderr);
        let text = fs::read_to_string(home.join(name)).unwrap();
        assert!(text.contains("\"frames_out\": 3"), "{text}");
        fs::remove_file(home.join("out.mkv")).unwrap();
    }
}
