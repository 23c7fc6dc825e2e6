//! Models in the folders of other programs are used where they lie.

use crate::made_up::{BIN, MadeUp, PARAM, quiet};
use kinora_models::ModelSource;
use kinora_models::zoo::{
    Catalogue, Folders, Installed, Kind, State, ZooError, clip, pull_from, resolve, resolve_with, runtime_library,
    scan, scan_with, tool, verify_with,
};
use std::fs::{create_dir_all, write};
use std::path::Path;

fn pair(folder: &Path, stem: &str, bin: &[u8]) {
    create_dir_all(folder).unwrap();
    write(folder.join(format!("{stem}.param")), PARAM).unwrap();
    write(folder.join(format!("{stem}.bin")), bin).unwrap();
}

#[test]
fn pairs_and_onnx_files_are_usable_and_the_rest_says_why_not() {
    let root = tempfile::tempdir().unwrap();
    let comfy = root.path().join("ComfyUI");
    let upscale = comfy.join("models/upscale_models");
    pair(&upscale.join("sub"), "4x_Thing_200k", b"abc");
    write(upscale.join("net.onnx"), b"onnx").unwrap();
    write(upscale.join("4x-UltraSharp.pth"), b"pth").unwrap();
    write(upscale.join("half.param"), PARAM).unwrap();
    write(upscale.join("put_models_here"), b"").unwrap();
    create_dir_all(comfy.join("models/loras")).unwrap();
    write(comfy.join("models/loras/style.safetensors"), b"st").unwrap();
    let mut folders = Folders::new(root.path().join("own"));
    folders.add(&comfy).unwrap();
    let listing = scan(&folders).unwrap();
    let seen: Vec<_> = listing
        .entries
        .iter()
        .filter(|entry| entry.state != State::Available)
        .map(|entry| (entry.id.as_str(), entry.kind, entry.place.as_str(), entry.state.clone()))
        .collect();
    let cannot = |why: &str| State::Unsupported { why: why.to_owned() };
    let upscalers = (Some(Kind::Upscale), "ComfyUI upscale_models");
    assert_eq!(
        seen,
        [
            (
                "4x-UltraSharp",
                upscalers.0,
                upscalers.1,
                cannot("a PyTorch file needs a reader that is not built yet")
            ),
            (
                "half",
                upscalers.0,
                upscalers.1,
                cannot("the .bin of the same name is missing")
            ),
            ("net", upscalers.0, upscalers.1, State::Found),
            ("4x_Thing_200k", upscalers.0, upscalers.1, State::Found),
            (
                "style",
                None,
                "ComfyUI loras",
                cannot("a safetensors file needs a reader that is not built yet")
            ),
        ]
    );
    assert!(listing.notes.is_empty());
    // Names as people write them; the file that was taken is said.
    for name in ["4x_Thing_200k", "thing", "4x-thing.pth"] {
        let found = resolve(name, &folders).unwrap();
        assert_eq!(found.origin, upscale.join("sub/4x_Thing_200k.param"));
        assert_eq!((found.record, found.spec.scale, found.licence), (None, None, None));
    }
    assert_eq!(
        resolve("net", &folders).unwrap().source,
        ModelSource::Onnx(upscale.join("net.onnx"))
    );
    let error = resolve("ultrasharp", &folders).unwrap_err();
    assert_eq!(error.code(), "model.unsupported");
    assert!(error.to_string().contains("not built yet"), "{error}");
}

#[test]
fn extra_model_paths_and_the_older_web_ui_are_read() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    pair(&root.join("webui/models/ESRGAN"), "from-webui", b"1");
    pair(&root.join("elsewhere/up"), "from-elsewhere", b"2");
    write(
        root.join("extra_model_paths.yaml"),
        "other:\n  base_path: elsewhere\n  upscale_models: |\n    missing\n    up\n",
    )
    .unwrap();
    let mut folders = Folders::new(root.join("own"));
    folders.add(&root.join("webui")).unwrap();
    folders.add(&root.join("extra_model_paths.yaml")).unwrap();
    for name in ["from-webui", "from-elsewhere"] {
        assert!(resolve(name, &folders).is_ok(), "{name}");
    }
    // A broken file is an error where the user names it, and a note where it only lies in another program's folder.
    write(root.join("bad.yaml"), "a: [").unwrap();
    let error = folders.add(&root.join("bad.yaml")).unwrap_err();
    assert_eq!(error.code(), "model.paths");
    write(root.join("webui/extra_model_paths.yaml"), "a: words").unwrap();
    let mut folders = Folders::new(root.join("own"));
    folders.add(&root.join("webui")).unwrap();
    let notes = scan(&folders).unwrap().notes;
    assert!(
        notes.len() == 1 && notes[0].contains("'a' is not a section"),
        "{notes:?}"
    );
    assert!(resolve("from-webui", &folders).is_ok());
}

#[cfg(unix)]
#[test]
fn the_hugging_face_cache_is_read_through_its_links_at_its_current_revision() {
    use std::os::unix::fs::symlink;
    let root = tempfile::tempdir().unwrap();
    let repository = root.path().join("hub/models--org--net");
    for (revision, blob) in [("old", "aa"), ("new", "bb")] {
        let snapshot = repository.join("snapshots").join(revision);
        create_dir_all(&snapshot).unwrap();
        create_dir_all(repository.join("blobs")).unwrap();
        write(repository.join("blobs").join(blob), blob).unwrap();
        symlink(Path::new("../../blobs").join(blob), snapshot.join("net.onnx")).unwrap();
    }
    create_dir_all(repository.join("refs")).unwrap();
    write(repository.join("refs/main"), "new\n").unwrap();
    // A circle of links ends.
    symlink(&repository, repository.join("snapshots/new/circle")).unwrap();
    let mut folders = Folders::new(root.path().join("own"));
    folders.add(root.path()).unwrap();
    let found = resolve("net", &folders).unwrap();
    assert_eq!(found.origin, repository.join("snapshots/new/net.onnx"));
    let listing = scan(&folders).unwrap();
    let entry = listing.entries.iter().find(|entry| entry.id == "net").unwrap();
    assert_eq!(entry.place, "Hugging Face org/net");
}

#[test]
fn weights_of_the_catalogue_are_known_by_their_hash_whatever_their_name() {
    let made = MadeUp::new();
    let elsewhere = made.root.path().join("elsewhere");
    pair(&elsewhere, "renamed", BIN);
    // The same graph with the line ends of another system.
    write(elsewhere.join("renamed.param"), PARAM.replace('\n', "\r\n")).unwrap();
    let mut folders = made.folders();
    folders.add(&elsewhere).unwrap();
    let found = resolve_with(&made.catalogue, "renamed", &folders).unwrap();
    assert_eq!((found.id.as_str(), found.spec.scale), ("one-x2", Some(2)));
    assert_eq!(found.licence.as_deref(), Some("CC0-1.0"));
    assert_eq!(found.origin, elsewhere.join("renamed.param"));
    let by_path = resolve_with(
        &made.catalogue,
        elsewhere.join("renamed.bin").to_str().unwrap(),
        &folders,
    )
    .unwrap();
    assert_eq!(by_path.source, found.source);
}

#[test]
fn a_name_is_answered_with_the_file_the_command_that_gets_it_or_the_nearest_names() {
    let made = MadeUp::new();
    let elsewhere = made.root.path().join("elsewhere");
    let mut folders = made.folders();
    let error = resolve_with(&made.catalogue, "one_x2", &folders).unwrap_err();
    assert_eq!(error.code(), "model.missing");
    assert_eq!(
        error.hint().as_deref(),
        Some("kinora models pull one-x2 (72 B, CC0-1.0)")
    );
    assert!(
        resolve_with(&made.catalogue, "ona-x2", &folders)
            .unwrap_err()
            .hint()
            .unwrap()
            .contains("one-x2")
    );
    assert_eq!(
        resolve_with(&made.catalogue, "no/such.param", &folders)
            .unwrap_err()
            .code(),
        "model.missing"
    );

    pair(&elsewhere, "one-x4", b"x");
    folders.add(&elsewhere).unwrap();
    let error = resolve_with(&made.catalogue, "one", &folders).unwrap_err();
    assert_eq!(error.code(), "model.ambiguous");
    assert!(
        error.to_string().contains("one-x2") && error.to_string().contains("one-x4.param"),
        "{error}"
    );

    let half = elsewhere.join("one-x4.bin");
    std::fs::remove_file(elsewhere.join("one-x4.param")).unwrap();
    let error = resolve_with(&made.catalogue, half.to_str().unwrap(), &folders).unwrap_err();
    assert!(error.to_string().contains("one-x4.param beside it"), "{error}");
    assert_eq!(error.code(), "model.missing");
}

#[test]
fn a_file_of_the_same_name_elsewhere_stands_behind_the_installed_one() {
    let made = MadeUp::new();
    let elsewhere = made.root.path().join("elsewhere");
    pair(&elsewhere, "one_x2", b"other");
    let mut folders = made.folders();
    folders.add(&elsewhere).unwrap();
    assert_eq!(
        resolve_with(&made.catalogue, "one-x2", &folders).unwrap().origin,
        elsewhere.join("one_x2.param")
    );
    let options = made.options("cp \"$archive\" \"$dest\"");
    pull_from(&made.catalogue, &["one-x2"], &folders, &options, &mut quiet).unwrap();
    let found = resolve_with(&made.catalogue, "2x_one", &folders).unwrap();
    assert_eq!(found.origin, folders.own().join("upscale/one-x2/a.param"));
    // A second folder of kinora's layout is read like the first.
    let mut second = Folders::new(made.root.path().join("second"));
    second.add(folders.own()).unwrap();
    assert_eq!(resolve_with(&made.catalogue, "one-x2", &second).unwrap().id, "one-x2");
    let listing = scan_with(&made.catalogue, &second);
    assert!(
        listing
            .entries
            .iter()
            .any(|e| e.state == State::Installed && e.id == "one-x2")
    );
}

#[test]
fn a_preferred_folder_wins_over_the_installed_model() {
    let made = MadeUp::new();
    let options = made.options("cp \"$archive\" \"$dest\"");
    pull_from(&made.catalogue, &["one-x2"], &made.folders(), &options, &mut quiet).unwrap();
    let mine = made.root.path().join("mine");
    pair(&mine, "one_x2", b"other");
    pair(&mine, "half", b"other");
    std::fs::remove_file(mine.join("half.bin")).unwrap();
    let mut folders = made.folders();
    folders.prefer(&mine).unwrap();
    let origin = |name: &str, folders: &Folders| resolve_with(&made.catalogue, name, folders).unwrap().origin;
    assert_eq!(origin("one-x2", &folders), mine.join("one_x2.param"));
    // What cannot be used stands in nobody's way.
    let mut folders = made.folders();
    std::fs::rename(mine.join("half.param"), mine.join("one_x2.param")).unwrap();
    std::fs::remove_file(mine.join("one_x2.bin")).unwrap();
    folders.prefer(&mine).unwrap();
    assert_eq!(origin("one-x2", &folders), folders.own().join("upscale/one-x2/a.param"));
}

#[test]
fn a_model_is_verified_where_it_is_installed() {
    let made = MadeUp::new();
    let options = made.options("cp \"$archive\" \"$dest\"");
    pull_from(&made.catalogue, &["one-x2"], &made.folders(), &options, &mut quiet).unwrap();
    let mut elsewhere = Folders::new(made.root.path().join("second"));
    elsewhere.add(made.folders().own()).unwrap();
    let verified = verify_with(&made.catalogue, "one-x2", &elsewhere).unwrap();
    assert_eq!(verified.folder, made.folders().own().join("upscale/one-x2"));
    // Nor must the catalogue know it.
    let other = Catalogue::embedded().unwrap();
    assert_eq!(verify_with(other, "one-x2", &elsewhere).unwrap().files, 2);
    for (name, code) in [("two-x2", "model.missing"), ("nothing", "model.missing")] {
        let error = verify_with(&made.catalogue, name, &elsewhere).unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(matches!(error, ZooError::Unknown { .. }), name == "nothing");
    }
}

#[test]
fn a_record_that_was_tampered_with_is_damage_and_never_a_path() {
    let made = MadeUp::new();
    let options = made.options("cp \"$archive\" \"$dest\"");
    pull_from(&made.catalogue, &["one-x2"], &made.folders(), &options, &mut quiet).unwrap();
    let record = made.folders().own().join("upscale/one-x2/model.json");
    let good = std::fs::read_to_string(&record).unwrap();
    for bad in [
        good.replace("\"a.bin\"", "\"../../../a.bin\""),
        "{".into(),
        String::new(),
        "[".repeat(100_000),
    ] {
        write(&record, bad).unwrap();
        let error = resolve_with(&made.catalogue, "one-x2", &made.folders()).unwrap_err();
        assert_eq!(error.code(), "model.checksum");
        let listing = scan_with(&made.catalogue, &made.folders());
        assert!(matches!(listing.entries[0].state, State::Damaged { .. }));
    }
    assert!(pull_from(&made.catalogue, &["one-x2"], &made.folders(), &options, &mut quiet).unwrap()[0].fetched);
}

#[cfg(unix)]
#[test]
fn links_between_folders_are_followed_and_a_circle_of_them_ends() {
    let root = tempfile::tempdir().unwrap();
    let (shared, mine) = (root.path().join("shared"), root.path().join("mine"));
    pair(&shared, "linked", b"x");
    create_dir_all(&mine).unwrap();
    std::os::unix::fs::symlink(&shared, mine.join("to-shared")).unwrap();
    std::os::unix::fs::symlink(&mine, shared.join("back")).unwrap();
    let mut folders = Folders::new(root.path().join("own"));
    folders.add(&mine).unwrap();
    assert_eq!(
        resolve("linked", &folders).unwrap().origin,
        mine.join("to-shared/linked.param")
    );
    let found = scan(&folders)
        .unwrap()
        .entries
        .into_iter()
        .filter(|e| e.state == State::Found)
        .count();
    assert_eq!(found, 1);
}

#[test]
fn files_that_people_put_into_the_models_folder_themselves_are_found() {
    let root = tempfile::tempdir().unwrap();
    pair(&root.path().join("upscale"), "mine_x2", b"x");
    pair(&root.path().join("upscale/folder"), "deeper", b"x");
    let folders = Folders::new(root.path());
    for name in ["mine", "deeper"] {
        assert!(resolve(name, &folders).is_ok(), "{name}");
    }
    let listing = scan(&folders).unwrap();
    let mine = listing.entries.iter().find(|entry| entry.id == "mine_x2").unwrap();
    assert_eq!((mine.kind, &mine.state), (Some(Kind::Upscale), &State::Found));
}

#[test]
fn runtimes_tools_and_clips_are_found_by_presence_and_size() {
    let root = tempfile::tempdir().unwrap();
    let folders = Folders::new(root.path());
    let error = runtime_library(&folders, "onnxruntime").unwrap_err();
    assert_eq!(
        error.hint().as_deref(),
        Some("kinora models pull onnxruntime (35.2 MB, MIT)")
    );
    assert_eq!(tool(&folders, "ffmpeg").unwrap_err().code(), "model.missing");
    // A clip is no tool, and a name of nothing is answered with what there is.
    assert!(matches!(tool(&folders, "clip-bikes"), Err(ZooError::Unknown { .. })));
    let Err(ZooError::Unknown { nearest, .. }) = runtime_library(&folders, "onnxruntim") else {
        panic!("found")
    };
    assert_eq!(nearest[0], "onnxruntime");

    let catalogue = Catalogue::embedded().unwrap();
    for id in ["onnxruntime", "onnxruntime-openvino", "ffmpeg", "clip-bikes"] {
        let record = catalogue.get(id).unwrap();
        let folder = root.path().join(record.kind.as_str()).join(id);
        create_dir_all(&folder).unwrap();
        let installed = Installed {
            record: record.clone(),
            packages: catalogue.packages.clone(),
        };
        write(folder.join("model.json"), serde_json::to_string(&installed).unwrap()).unwrap();
        for resource in &record.resources {
            let file = std::fs::File::create(folder.join(resource.file.as_ref().unwrap())).unwrap();
            file.set_len(resource.size.unwrap()).unwrap();
        }
    }
    let library = runtime_library(&folders, "onnxruntime").unwrap();
    assert_eq!(
        library,
        root.path().join("runtime/onnxruntime/libonnxruntime.so.1.32.0")
    );
    let library = runtime_library(&folders, "onnxruntime-openvino").unwrap();
    assert!(library.ends_with("libonnxruntime.so.1.24.1"));
    assert!(tool(&folders, "ffmpeg").unwrap().ends_with("tool/ffmpeg/ffmpeg"));
    assert!(clip(&folders, "clip-bikes").unwrap().ends_with("bikes.mp4"));
    // A companion library that is cut off is damage, too.
    let companion = root.path().join("runtime/onnxruntime-openvino/libtbb.so.12");
    std::fs::File::options()
        .write(true)
        .open(&companion)
        .unwrap()
        .set_len(5)
        .unwrap();
    let error = runtime_library(&folders, "onnxruntime-openvino").unwrap_err();
    assert_eq!(error.code(), "model.checksum");
    assert!(error.to_string().contains("libtbb.so.12"), "{error}");
    // A runtime is not a network.
    assert_eq!(
        resolve("onnxruntime", &folders).unwrap_err().code(),
        "model.unsupported"
    );
}
