//! Packed networks are built once, shared, checked, and built again when they are damaged.

use std::fs;
use std::path::{Path, PathBuf};

use kinora_nn::{Executable, LoadOptions, WeightsMode};

use crate::support::{alone, conv_net, noise, on_cpu, run, runtime};

fn packed(cache: &Path) -> LoadOptions {
    LoadOptions {
        weights: WeightsMode::Packed,
        cache: Some(cache.into()),
        ..on_cpu()
    }
}

fn entries(cache: &Path) -> Vec<PathBuf> {
    fs::read_dir(cache).unwrap().map(|e| e.unwrap().path()).collect()
}

const SHAPE: [usize; 4] = [1, 3, 24, 20];

#[test]
fn a_packed_network_gives_the_same_bits_and_is_built_once() {
    let Some(runtime) = runtime() else { return };
    let dir = tempfile::tempdir().unwrap();
    let network = conv_net(48, 5);
    let x = noise(SHAPE.iter().product(), 0.5);
    let want = run(
        &mut Executable::load(&runtime, &network, &on_cpu()).unwrap(),
        &SHAPE,
        &x,
    );
    for built in [true, false] {
        let mut executable = Executable::load(&runtime, &network, &packed(dir.path())).unwrap();
        let report = executable.report().clone();
        assert_eq!((report.weights, report.packed_built), (WeightsMode::Packed, built));
        assert!(
            report.memory.packed_bytes > 48 * 48 * 9 * 4 * 3 && report.memory.private_bytes == 0,
            "{report:?}"
        );
        assert!(report.nodes.iter().map(|(_, n)| n).sum::<usize>() >= 5, "{report:?}");
        assert_eq!(run(&mut executable, &SHAPE, &x), want);
    }
    let other = Executable::load(&runtime, &conv_net(40, 5), &packed(dir.path())).unwrap();
    assert!(other.report().packed_built, "another network has an entry of its own");
    assert_eq!(entries(dir.path()).len(), 2);
}

#[test]
fn t13_a_damaged_entry_is_built_again_while_others_still_use_it() {
    let Some(runtime) = runtime() else { return };
    let dir = tempfile::tempdir().unwrap();
    let network = conv_net(48, 5);
    let x = noise(SHAPE.iter().product(), 0.5);
    let mut user = Executable::load(&runtime, &network, &packed(dir.path())).unwrap();
    let want = run(&mut user, &SHAPE, &x);
    let entry = entries(dir.path()).remove(0);
    type Damage = fn(&Path);
    let damages: [Damage; 5] = [
        |entry| {
            let mut bytes = fs::read(entry.join("weights.bin")).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            replace(&entry.join("weights.bin"), &bytes);
        },
        |entry| {
            let bytes = fs::read(entry.join("weights.bin")).unwrap();
            replace(&entry.join("weights.bin"), &bytes[..bytes.len() / 2]);
        },
        |entry| replace(&entry.join("model.onnx"), b"not a model"),
        |entry| replace(&entry.join("manifest.json"), b"{}"),
        |entry| fs::remove_file(entry.join("weights.bin")).unwrap(),
    ];
    for damage in damages {
        damage(&entry);
        let mut executable = Executable::load(&runtime, &network, &packed(dir.path())).unwrap();
        assert!(executable.report().packed_built);
        assert_eq!(run(&mut executable, &SHAPE, &x), want);
        assert_eq!(
            run(&mut user, &SHAPE, &x),
            want,
            "who had the old entry mapped keeps it"
        );
        assert_eq!(entries(dir.path()), std::slice::from_ref(&entry));
    }
}

#[test]
fn t13_a_whole_entry_that_the_runtime_refuses_is_built_again() {
    let Some(runtime) = runtime() else { return };
    let dir = tempfile::tempdir().unwrap();
    let network = conv_net(48, 5);
    drop(Executable::load(&runtime, &network, &packed(dir.path())).unwrap());
    let entry = entries(dir.path()).remove(0);
    let no_model = b"not a model";
    replace(&entry.join("model.onnx"), no_model);
    let manifest = serde_json::json!({"layout": 1, "files": [{
        "name": "model.onnx", "bytes": no_model.len(),
        "xxh3": format!("{:032x}", xxhash_rust::xxh3::xxh3_128(no_model)),
    }]});
    replace(&entry.join("manifest.json"), manifest.to_string().as_bytes());
    for built in [true, false] {
        let executable = Executable::load(&runtime, &network, &packed(dir.path())).unwrap();
        assert_eq!(executable.report().packed_built, built);
        assert_eq!(entries(dir.path()), std::slice::from_ref(&entry));
    }
}

/// A new file under the old name, as a torn copy from elsewhere would be.
fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn t13_several_processes_build_one_entry_at_once() {
    let name = "packed_cache::t13_several_processes_build_one_entry_at_once";
    let build = |cache: &Path| {
        let Some(runtime) = runtime() else { return };
        let network = conv_net(48, 5);
        let x = noise(SHAPE.iter().product(), 0.5);
        let want = run(
            &mut Executable::load(&runtime, &network, &on_cpu()).unwrap(),
            &SHAPE,
            &x,
        );
        for _ in 0..3 {
            let mut executable = Executable::load(&runtime, &network, &packed(cache)).unwrap();
            assert_eq!(run(&mut executable, &SHAPE, &x), want);
        }
    };
    if let Some(cache) = std::env::var_os("KINORA_TEST_CACHE") {
        return build(Path::new(&cache));
    }
    if runtime().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // What a killed builder leaves behind; process ids end far below this one.
    let abandoned = dir.path().join(".packed1-0.2147483646.0.tmp");
    fs::create_dir(&abandoned).unwrap();
    let mut children: Vec<_> = (0..4)
        .map(|_| {
            let mut command = std::process::Command::new(std::env::current_exe().unwrap());
            command
                .args(["--exact", name, "--nocapture"])
                .env("KINORA_TEST_CACHE", dir.path());
            command.stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(
        entries(dir.path()).len(),
        1,
        "one entry, nothing half made, nothing abandoned"
    );
}

#[test]
fn a_cache_that_cannot_be_written_does_not_stop_auto_and_says_so() {
    alone(
        "packed_cache::a_cache_that_cannot_be_written_does_not_stop_auto_and_says_so",
        || {
            let Some(runtime) = runtime() else { return };
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("file");
            fs::write(&file, b"").unwrap();
            let cache = file.join("cache");
            let auto = LoadOptions {
                weights: WeightsMode::Auto,
                ..packed(&cache)
            };
            let executable = Executable::load(&runtime, &conv_net(8, 3), &auto).unwrap();
            assert_eq!(executable.report().weights, WeightsMode::Fast);
            assert!(
                executable
                    .report()
                    .note
                    .as_ref()
                    .unwrap()
                    .starts_with("not packed: create"),
                "{}",
                executable.report()
            );
            let error = Executable::load(&runtime, &conv_net(8, 3), &packed(&cache)).unwrap_err();
            assert_eq!(error.code(), "cache.io");
            let none = LoadOptions {
                cache: None,
                ..packed(&cache)
            };
            assert_eq!(
                Executable::load(&runtime, &conv_net(8, 3), &none).unwrap_err().code(),
                "device.unavailable"
            );
        },
    );
}
