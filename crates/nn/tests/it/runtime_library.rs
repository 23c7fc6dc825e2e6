//! The runtime library comes from the documented places only, and one that does not do is a sentence, never a crash.

use std::path::{Path, PathBuf};
use std::process::Command;

use kinora_nn::{NnError, Runtime, RuntimeSearch};

use crate::support::{alone, runtime, runtime_folder};

fn named(path: &Path) -> RuntimeSearch {
    RuntimeSearch {
        explicit: Some(path.into()),
        ..Default::default()
    }
}

fn refusal(path: &Path) -> NnError {
    Runtime::load(&named(path)).unwrap_err()
}

/// A shared library made from C text; `None` where there is no compiler.
fn compiled(folder: &Path, name: &str, text: &str) -> Option<PathBuf> {
    let (source, library) = (
        folder.join(format!("{name}.c")),
        folder.join(format!("libonnxruntime.so.{name}")),
    );
    std::fs::write(&source, text).unwrap();
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    match made {
        Ok(status) if status.success() => Some(library),
        _ => {
            println!("SKIPPED: no C compiler to make a false library");
            None
        }
    }
}

/// A library with an interface table that says it has a version, and offers nothing.
fn false_library(version: &str) -> String {
    format!(
        "static const void *api(unsigned v) {{ (void)v; return 0; }}
         static const char *version(void) {{ return \"{version}\"; }}
         static const struct {{ const void *(*a)(unsigned); const char *(*v)(void); }} base = {{ api, version }};
         const void *OrtGetApiBase(void) {{ return &base; }}"
    )
}

#[test]
fn t12_a_missing_library_names_every_place_and_what_to_install() {
    alone(
        "runtime_library::t12_a_missing_library_names_every_place_and_what_to_install",
        || {
            let dir = tempfile::tempdir().unwrap();
            let search = RuntimeSearch {
                beside: Some(dir.path().into()),
                folders: vec![dir.path().join("runtime")],
                site_packages: vec![dir.path().join("site-packages")],
                ..Default::default()
            };
            let error = Runtime::load(&search).unwrap_err();
            assert_eq!(error.code(), "runtime.missing");
            let text = error.to_string();
            for part in [
                "beside the executable): no libonnxruntime in it",
                "runtime (runtime folder): no such folder",
                "site-packages (Python packages)",
            ] {
                assert!(text.contains(part), "{text}");
            }
            let hint = error.hint().unwrap();
            assert!(hint.starts_with("run `kinora models pull onnxruntime`"), "{hint}");
            assert!(
                hint.contains("KINORA_ONNXRUNTIME") && !hint.contains("--runtime"),
                "{hint}"
            );
            let error = refusal(&dir.path().join("none.so"));
            assert_eq!(error.code(), "runtime.unusable");
            assert!(error.to_string().contains("No such file"), "{error}");
        },
    );
}

#[test]
fn t12_a_file_that_is_no_library_or_another_one_is_refused_with_the_reason() {
    alone(
        "runtime_library::t12_a_file_that_is_no_library_or_another_one_is_refused_with_the_reason",
        || {
            let dir = tempfile::tempdir().unwrap();
            let file = |name: &str, content: &[u8]| {
                let path = dir.path().join(name);
                std::fs::write(&path, content).unwrap();
                path
            };
            assert!(
                refusal(&file("text.so", b"hello, world"))
                    .to_string()
                    .ends_with("it is not a shared library")
            );
            assert!(refusal(&file("short.so", b"x")).to_string().contains("too short"));
            assert!(refusal(dir.path()).to_string().contains("it is not a file"));
            let cut = [b"\x7fELF".as_slice(), &[0; 200]].concat();
            assert!(
                refusal(&file("cut.so", &cut))
                    .to_string()
                    .contains("it cannot be loaded")
            );
            if let Some(path) = compiled(dir.path(), "foreign", "int answer(void) { return 42; }") {
                assert!(
                    refusal(&path).to_string().contains("not ONNX Runtime"),
                    "{}",
                    refusal(&path)
                );
            }
            if let Some(path) = compiled(dir.path(), "null", "const void *OrtGetApiBase(void) { return 0; }") {
                assert!(refusal(&path).to_string().contains("no interface table"));
            }
            if let Some(path) = compiled(dir.path(), "liar", &false_library("1.99.0")) {
                assert!(refusal(&path).to_string().contains("does not offer interface"));
            }
        },
    );
}

#[test]
fn t12_an_older_library_is_named_with_its_version_and_the_next_place_is_tried() {
    alone(
        "runtime_library::t12_an_older_library_is_named_with_its_version_and_the_next_place_is_tried",
        || {
            let dir = tempfile::tempdir().unwrap();
            let Some(old) = compiled(dir.path(), "1.20.1", &false_library("1.20.1")) else {
                return;
            };
            let error = refusal(&old);
            assert_eq!(error.code(), "runtime.too-old");
            assert!(
                error
                    .to_string()
                    .contains("is version 1.20.1; version 1.24 or newer is needed"),
                "{error}"
            );
            let Some(good) = runtime_folder() else { return };
            let search = RuntimeSearch {
                beside: Some(dir.path().into()),
                folders: vec![good.clone()],
                ..Default::default()
            };
            let runtime = Runtime::load(&search).unwrap();
            assert!(runtime.path().starts_with(good.canonicalize().unwrap()));
            assert_eq!(runtime.found(), "runtime folder");
        },
    );
}

#[test]
fn a_process_keeps_its_first_library() {
    alone("runtime_library::a_process_keeps_its_first_library", || {
        let Some(first) = runtime() else { return };
        assert_eq!(Runtime::load(&named(first.path())).unwrap().path(), first.path());
        assert_eq!(Runtime::load(&RuntimeSearch::default()).unwrap().path(), first.path());
        let error = refusal(Path::new("/nowhere/libonnxruntime.so"));
        assert_eq!(error.code(), "runtime.fixed");
        assert!(first.version().starts_with("1.") && first.providers().iter().any(|p| p == "CPUExecutionProvider"));
    });
}
