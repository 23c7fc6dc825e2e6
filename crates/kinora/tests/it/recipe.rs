//! CONTRIBUTING.md's recipe "add a filter" works as it stands.

use std::{fs, path::Path, process::Command};

use crate::command::root;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// The value of `key=value` or `key="some value"` in a fence's info string.
fn attribute<'a>(info: &'a str, key: &str) -> Option<&'a str> {
    let rest = info.split_once(&format!("{key}="))?.1;
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.rsplit_once('"').map(|(value, _)| value),
        None => rest.split_whitespace().next(),
    }
}

#[test]
fn a_filter_is_added_by_following_the_recipe() {
    let scratch = tempfile::tempdir().unwrap();
    let scratch = scratch.path();
    for name in ["Cargo.toml", "Cargo.lock", "clippy.toml", "rustfmt.toml"] {
        fs::copy(root().join(name), scratch.join(name)).unwrap();
    }
    copy(&root().join("crates"), &scratch.join("crates"));

    let contributing = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let recipe = contributing
        .split("## Recipe: add a filter")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let mut followed = 0;
    for block in recipe.split("```rust ").skip(1) {
        let (info, rest) = block.split_once('\n').unwrap();
        let code = rest.split("```").next().unwrap();
        if let Some(file) = attribute(info, "file") {
            fs::write(scratch.join(file), code).unwrap();
        } else if let (Some(file), Some(after)) = (attribute(info, "insert"), attribute(info, "after")) {
            let path = scratch.join(file);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(after), "{file} has no line {after}");
            fs::write(&path, text.replacen(after, &format!("{after}\n{}", code.trim_end()), 1)).unwrap();
        }
        followed += 1;
    }
    assert_eq!(followed, 3, "one file, its module line and its registration");

    // The checkout's own target folder: only the crates of the scratch copy are compiled anew.
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    let output = Command::new(env!("CARGO"))
        .args([
            "test",
            "--profile",
            "ci",
            "--offline",
            "--locked",
            "-p",
            "kinora-processors",
            "--lib",
            "tint",
        ])
        .env("CARGO_TARGET_DIR", target)
        .current_dir(scratch)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{stdout}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(stdout.contains("2 passed"), "{stdout}");
}
