//! What is on the computer is found, told apart and taken in the order that the user gives.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use serde_json::Value as Json;

use crate::command::{Ran, clip, finished, kinora, network, run};

/// A models folder with some of the fetched ones.
fn models(home: &Path, fetched: &Path, entries: &[&str]) -> PathBuf {
    let models = home.join("models");
    for entry in entries {
        let link = models.join(entry);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(fetched.join(entry), link).unwrap();
    }
    models
}

fn with_models(home: &Path, models: &Path, args: &[&str]) -> Ran {
    let mut command = kinora(home);
    command.env("KINORA_MODELS", models).env_remove("ORT_DYLIB_PATH");
    finished(command.args(args).output().unwrap())
}

/// Copies the graph and the weights of a fetched network.
fn copy(fetched: &Path, id: &str, to: &Path, stem: &str) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(fetched.join("upscale").join(id)).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().unwrap_or_default().to_str().unwrap();
        if ["param", "bin"].contains(&extension) {
            fs::copy(&path, to.join(format!("{stem}.{extension}"))).unwrap();
        }
    }
}

#[test]
fn a_file_that_the_catalogue_knows_is_used_where_it_lies() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(fetched) = network("waifu2x-photo-x2") else {
        return;
    };
    clip(home, "a.mp4", 2);
    copy(&fetched, "waifu2x-photo-x2", &home.join("mine"), "net");
    let models = models(home, &fetched, &["runtime/onnxruntime"]);
    for args in [
        &["upscale", "a.mp4", "one.mkv", "-m", "mine/net.param"] as &[&str],
        &["upscale", "a.mp4", "two.mkv", "-m", "net", "--models-dir", "mine"],
    ] {
        let ran = with_models(home, &models, args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("waifu2x-photo-x2"), "{}", ran.stderr);
    }
}

#[test]
fn what_is_resampled_beyond_the_network_is_said() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(_) = network("span-x4") else { return };
    clip(home, "a.mp4", 2);
    for (scale, said) in [("8", true), ("3", false), ("4", false)] {
        let ran = run(home, ["upscale", "a.mp4", "-s", scale, "--dry-run"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let note = "the network gives 4x, the rest is resampled";
        assert_eq!(ran.stderr.contains(note), said, "{}", ran.stderr);
    }
}

#[test]
fn doctor_finds_nothing_wrong_with_a_healthy_computer() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(fetched) = network("waifu2x-photo-x2") else {
        return;
    };
    assert!(fetched.join("style/multistyle26").is_dir(), "make fetch-test-models");
    // A network that enlarges nothing is no network to enlarge with.
    let models = models(home, &fetched, &["runtime/onnxruntime", "style/multistyle26"]);
    let ran = with_models(home, &models, &["doctor"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("no network that enlarges"), "{}", ran.stdout);
    // A broken file somewhere is a warning at most, and stands behind what is installed.
    let comfy = home.join("ComfyUI/models/upscale_models");
    fs::create_dir_all(&comfy).unwrap();
    fs::write(comfy.join("broken.onnx"), "no network").unwrap();
    let ran = with_models(home, &models, &["doctor"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("warn  self-test"), "{}", ran.stdout);
    symlink(fetched.join("upscale"), models.join("upscale")).unwrap();
    let ran = with_models(home, &models, &["doctor"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let places = format!("in {}, 1 in ComfyUI upscale_models", models.display());
    assert!(ran.stdout.contains(&places), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("ok    self-test") && !ran.stdout.contains("broken"),
        "{}",
        ran.stdout
    );
}

#[test]
fn doctor_says_what_to_do_about_a_library_that_a_variable_names() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("libonnxruntime.so.1"), "no library").unwrap();
    let mut command = kinora(home);
    command.env("KINORA_ONNXRUNTIME", home.join("libonnxruntime.so.1"));
    let ran = finished(command.arg("doctor").output().unwrap());
    assert!(
        ran.stdout.contains("KINORA_ONNXRUNTIME or ORT_DYLIB_PATH"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("unset it"), "{}", ran.stdout);
}

#[test]
fn verify_tells_damage_from_absence_and_from_names_of_nothing() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(fetched) = network("waifu2x-photo-x2") else {
        return;
    };
    let other = home.join("other/upscale/waifu2x-photo-x2");
    fs::create_dir_all(&other).unwrap();
    for entry in fs::read_dir(fetched.join("upscale/waifu2x-photo-x2")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, other.join(path.file_name().unwrap())).unwrap();
    }
    let empty = home.join("models");
    let verify = |args: &[&str]| with_models(home, &empty, &[&["models", "verify"], args].concat());
    // Installed, but not in kinora's own folder.
    for args in [
        &["--models-dir", "other"] as &[&str],
        &["--models-dir", "other", "waifu2x-photo-x2"],
    ] {
        let ran = verify(args);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stdout.starts_with("ok       waifu2x-photo-x2"), "{}", ran.stdout);
    }
    let ran = verify(&["span-x2"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), "missing  span-x2\n"));
    let ran = verify(&["spam-x2"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""));
    assert!(ran.stderr.contains("no model is called 'spam-x2'"), "{}", ran.stderr);
    let mut files = fs::read_dir(&other).unwrap().map(|e| e.unwrap().path());
    let bin = files.find(|path| path.extension().is_some_and(|e| e == "bin")).unwrap();
    let mut bytes = fs::read(&bin).unwrap();
    bytes[100] ^= 1;
    fs::write(&bin, bytes).unwrap();
    let ran = verify(&["--models-dir", "other"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(3), "damaged  waifu2x-photo-x2\n")
    );
    assert!(ran.stderr.contains("error[model.checksum]"), "{}", ran.stderr);
}

#[test]
fn auto_takes_openvino_wherever_a_library_has_it_and_cpu_runs_with_either() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(fetched) = network("waifu2x-photo-x2") else {
        return;
    };
    let both = [
        "runtime/onnxruntime",
        "runtime/onnxruntime-openvino",
        "upscale/waifu2x-photo-x2",
    ];
    assert!(fetched.join(both[1]).is_dir(), "make fetch-test-models");
    let models = models(home, &fetched, &both);
    clip(home, "a.mp4", 2);
    for (device, said) in [
        ("auto", "on openvino f32"),
        ("cpu", "on cpu f32"),
        ("openvino", "on openvino f32"),
    ] {
        let line = ["upscale", "a.mp4", "-m", "waifu2x-photo-x2", "--dry-run", "-d", device];
        let ran = with_models(home, &models, &line);
        assert_eq!(ran.code, Some(0), "{device}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{device}: {}", ran.stderr);
    }
    let listed = |models: &Path| -> Vec<(String, usize)> {
        let ran = with_models(home, models, &["list", "devices", "--json"]);
        let rows: Json = serde_json::from_str(&ran.stdout).unwrap();
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| {
            (
                row["device"].as_str().unwrap().to_owned(),
                row["precisions"].as_array().unwrap().len(),
            )
        })
        .collect()
    };
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap();
    let precisions = if cpu.contains("avx512_bf16") { 2 } else { 1 };
    assert_eq!(
        listed(&models),
        [("cpu".to_owned(), 1), ("openvino".to_owned(), precisions)]
    );
    fs::remove_file(models.join(both[1])).unwrap();
    let line = ["upscale", "a.mp4", "-m", "waifu2x-photo-x2", "--dry-run"];
    let ran = with_models(home, &models, &line);
    assert!(ran.stderr.contains("on cpu f32"), "{}", ran.stderr);
    assert_eq!(listed(&models), [("cpu".to_owned(), 1)]);
    // A runtime in a folder that the flag names is found too.
    let other = home.join("other");
    fs::create_dir_all(other.join("runtime")).unwrap();
    symlink(fetched.join(both[1]), other.join(both[1])).unwrap();
    let ran = with_models(home, &models, &[&line[..], &["--models-dir", "other"]].concat());
    assert!(ran.stderr.contains("on openvino f32"), "{}", ran.stderr);
}
