//! The command as a child process, in an environment of its own.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// What a run of the command gave.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `kinora` with a cleared environment: PATH, HOME in `home`, the models of this checkout.
pub(crate) fn kinora(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kinora"));
    command
        .env_clear()
        .env("HOME", home)
        .current_dir(home)
        .env("LC_ALL", "C.UTF-8");
    command.env("KINORA_CACHE", home.join("cache"));
    for name in ["PATH", "LD_LIBRARY_PATH", "ORT_DYLIB_PATH", "KINORA_MODELS"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

pub(crate) fn run<S: AsRef<OsStr>>(home: &Path, args: impl IntoIterator<Item = S>) -> Ran {
    finished(kinora(home).args(args).output().unwrap())
}

pub(crate) fn finished(output: Output) -> Ran {
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Makes a clip with FFmpeg: `lavfi` sources first, then options, then the name.
pub(crate) fn make(home: &Path, args: &[&str]) {
    let output = Command::new("ffmpeg")
        .current_dir(home)
        .args(["-v", "error", "-y"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A small clip of moving colours with sound.
pub(crate) fn clip(home: &Path, name: &str, frames: u32) {
    let length = format!("{}", f64::from(frames) / 24.0);
    let video = "testsrc2=size=64x48:rate=24";
    let sound = "sine=frequency=440:sample_rate=48000";
    let end = frames.to_string();
    #[rustfmt::skip]
    make(home, &["-f", "lavfi", "-i", video, "-f", "lavfi", "-i", sound, "-t", &length, "-frames:v", &end,
        "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", name]);
}

/// One MD5 a decoded frame, in order.
pub(crate) fn frame_hashes(home: &Path, name: &str) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .current_dir(home)
        .args(["-v", "error", "-i", name, "-map", "0:v", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit(' ').next().unwrap().to_owned())
        .collect()
}

/// Says what a test cannot do without. Where everything was fetched that could be, it is a fault.
fn skip(what: &str) {
    assert!(
        std::env::var_os("KINORA_TEST_REQUIRE_RUNTIME").is_none(),
        "{what} is not there (make fetch-test-models)"
    );
    eprintln!("skipped: {what} is not there (make fetch-test-models)");
}

/// The models folder of this checkout, where the runtime library and a network lie in it; else a line that says so.
pub(crate) fn network(id: &str) -> Option<PathBuf> {
    let models = std::env::var_os("KINORA_MODELS").map(PathBuf::from);
    let there =
        models.filter(|models| models.join("runtime/onnxruntime").is_dir() && models.join("upscale").join(id).is_dir());
    if there.is_none() {
        skip(&format!("{id} or the runtime"));
    }
    there
}

/// A file of a fetched clip, or a line that says how to get it.
pub(crate) fn fetched_clip(id: &str, file: &str) -> Option<PathBuf> {
    let models = std::env::var_os("KINORA_MODELS").map(PathBuf::from);
    let path = models.map(|models| models.join("clip").join(id).join(file));
    let there = path.filter(|path| path.is_file());
    if there.is_none() {
        skip(&format!("{file} of {id}"));
    }
    there
}
