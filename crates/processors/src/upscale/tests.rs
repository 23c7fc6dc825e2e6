#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

use std::{path::Path, ptr};

use kinora_frame::{ColorSpec, Frame, Rational, Size, Timestamp};
use kinora_models::zoo::Folders;
use kinora_nn::{NnError, Runtime, RuntimeSearch};
use kinora_pipeline::StreamId;
use serde_json::{Map, json};

use super::*;

fn search() -> RuntimeSearch {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let explicit = variable("ORT_DYLIB_PATH").map(|path| ("ORT_DYLIB_PATH".to_owned(), path.into()));
    RuntimeSearch {
        environment: explicit.into_iter().collect(),
        folders: variable("KINORA_MODELS")
            .map(|models| Path::new(&models).join("runtime"))
            .into_iter()
            .collect(),
        ..RuntimeSearch::default()
    }
}

/// What networks are loaded from; `None` without a runtime library.
fn services(folder: &Path) -> Option<Services> {
    match Runtime::load(&search()) {
        Ok(_) => Some(Services::new(Folders::new(folder), search())),
        Err(NnError::RuntimeMissing { .. }) if std::env::var_os("KINORA_TEST_REQUIRE_RUNTIME").is_none() => {
            println!("SKIPPED: no ONNX Runtime library; set ORT_DYLIB_PATH or KINORA_MODELS");
            None
        }
        Err(other) => panic!("{other}"),
    }
}

fn resources(folder: &Path, tile: &str) -> Resources {
    Resources {
        device: "cpu".into(),
        precision: "f32".into(),
        weights: "auto".into(),
        threads: 1,
        workers: 1,
        tile: tile.into(),
        cache: folder.join("cache"),
        memory_bytes: 1 << 30,
        ..Resources::default()
    }
}

/// A network of four times the size, whose reach is four pixels.
fn network() -> UpscaleParams {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/srvgg_x4/model.param");
    UpscaleParams {
        model: Some(path.to_str().unwrap().to_owned()),
        ..UpscaleParams::default()
    }
}

fn loaded(tile: &str) -> Option<(Upscale, tempfile::TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let services = services(folder.path())?;
    let upscale = Upscale::load(&network(), &resources(folder.path(), tile), &services).unwrap();
    Some((upscale, folder))
}

fn desc(width: u32, height: u32) -> ImageDesc {
    ImageDesc {
        size: Size::new(width, height),
        layout: Layout::RGB_F32,
        color: ColorSpec::SRGB,
    }
}

/// A picture of noise that `seed` determines.
fn picture(width: u32, height: u32, seed: usize) -> Image {
    let desc = desc(width, height);
    let mut buffer = Pool::default().take(desc.layout.bytes(desc.size).unwrap());
    for (i, value) in buffer.samples_mut::<f32>().iter_mut().enumerate() {
        *value = ((i * 7919 + seed * 104_729) % 256) as f32 / 255.0;
    }
    Image::host(desc, buffer.freeze()).unwrap()
}

fn params(strength: f64) -> Params {
    let mut given = Map::new();
    given.insert("strength".into(), json!(strength));
    Params::parse::<UpscaleParams>("upscale", &given).unwrap()
}

/// One call with pictures of one stream.
fn process(upscale: &Upscale, pictures: &[(Image, f64)]) -> Result<Vec<Context>, ProcessorError> {
    let mut states = vec![Stateless; pictures.len()];
    let mut items: Vec<Item<'_>> = Vec::new();
    for (index, ((image, strength), state)) in pictures.iter().zip(&mut states).enumerate() {
        let frame = Frame {
            image: image.clone(),
            pts: Timestamp::new(index as i64, Rational::new(1, 24).unwrap()),
            duration: None,
            index: index as u64,
            key: true,
            side_data: Arc::default(),
        };
        items.push(Item {
            stream: StreamId(1),
            state,
            params: params(*strength),
            context: Some(Context::new(frame, Arc::default())),
        });
    }
    let mut out = Outputs::default();
    upscale.process(&mut items, &mut out)?;
    Ok(out.drain().map(|(_, context)| context).collect())
}

fn samples(image: &Image) -> &[f32] {
    image.host_buffer().unwrap().samples()
}

#[test]
fn two_nodes_with_one_network_load_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let Some(services) = services(folder.path()) else {
        return;
    };
    let load = |tile| Upscale::load(&network(), &resources(folder.path(), tile), &services).unwrap();
    let (first, second) = (load("auto"), load("64"));
    assert!(ptr::eq(first.model.report(), second.model.report()));
    first.cancel();
    assert!(process(&second, &[(picture(9, 8, 0), 1.0)]).is_ok());
}

#[test]
fn a_cancelled_node_answers_with_an_error() {
    let Some((upscale, _folder)) = loaded("32") else { return };
    upscale.cancel();
    let error = process(&upscale, &[(picture(200, 200, 0), 1.0)]).unwrap_err();
    assert_eq!(error.code, "run.cancelled");
}

#[test]
fn strength_zero_is_the_plain_enlargement_and_runs_no_network() {
    let Some((upscale, _folder)) = loaded("auto") else {
        return;
    };
    // A cancelled network cannot run any more.
    upscale.cancel();
    let source = picture(12, 10, 0);
    let given = process(&upscale, &[(source.clone(), 0.0)]).unwrap();
    let plain = resize(&source, Size::new(48, 40), ResizeFilter::Lanczos3, &Pool::default()).unwrap();
    assert_eq!(samples(&given[0].frame.image), samples(&plain));
}

#[test]
fn frames_of_several_sizes_and_strengths_leave_in_order() {
    let Some((upscale, _folder)) = loaded("auto") else {
        return;
    };
    let pictures = [
        (picture(12, 10, 0), 1.0),
        (picture(8, 14, 1), 1.0),
        (picture(12, 10, 2), 0.0),
        (picture(12, 10, 3), 0.5),
    ];
    let together = process(&upscale, &pictures).unwrap();
    assert_eq!(together.iter().map(|c| c.frame.index).collect::<Vec<_>>(), [0, 1, 2, 3]);
    for (context, one) in together.iter().zip(&pictures) {
        let alone = process(&upscale, std::slice::from_ref(one)).unwrap();
        assert_eq!(context.frame.image.size(), one.0.size().scaled(4).unwrap());
        let pairs = samples(&context.frame.image).iter().zip(samples(&alone[0].frame.image));
        let worst = pairs.fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst < 1e-5, "{worst}");
    }
}

#[test]
fn the_tile_that_was_chosen_is_told_once_the_size_is_known() {
    let told = |tile: &str, width, height| {
        let (upscale, _folder) = loaded(tile)?;
        assert!(upscale.chosen().iter().all(|(key, _)| *key != "tile"), "no size yet");
        upscale.output(&desc(width, height), &params(1.0)).unwrap();
        let facts = upscale.chosen();
        Some(facts.into_iter().find(|(key, _)| *key == "tile").unwrap().1)
    };
    let Some(whole) = told("auto", 200, 100) else { return };
    assert_eq!(whole, "whole picture");
    assert_eq!(told("off", 200, 100).unwrap(), "whole picture");
    assert_eq!(told("64x32", 200, 100).unwrap(), "64x32 overlap 8, exact");
    let (upscale, folder) = loaded("auto").unwrap();
    drop(upscale);
    let resources = Resources {
        tile_overlap: Some(6),
        ..resources(folder.path(), "64x32")
    };
    let upscale = Upscale::load(&network(), &resources, &services(folder.path()).unwrap()).unwrap();
    upscale.output(&desc(200, 100), &params(1.0)).unwrap();
    let tile = upscale.chosen().pop().unwrap();
    assert_eq!(
        tile,
        (
            "tile",
            "64x32 overlap 6, blended: seams are hidden, not exact".to_owned()
        )
    );
}

#[test]
fn a_bad_tile_is_said_before_a_model_is_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let services = Services::new(Folders::new(folder.path()), RuntimeSearch::default());
    let params = UpscaleParams {
        model: Some("no-such-network".into()),
        ..UpscaleParams::default()
    };
    let error = |tile| {
        Upscale::load(&params, &resources(folder.path(), tile), &services)
            .err()
            .unwrap()
    };
    assert_eq!(error("sixty").code, "usage.value");
    assert_ne!(error("64").code, "usage.value");
}

#[test]
fn parameters_of_another_processor_are_refused_as_a_filter_refuses_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut registry = Registry::default();
    let services = Services::new(Folders::new(folder.path()), RuntimeSearch::default());
    crate::register(&mut registry, &services).unwrap();
    let foreign = registry.parse("invert", &Map::new()).unwrap();
    let resources = resources(folder.path(), "auto");
    for name in ["upscale", "device_stub"] {
        let PipelineError::Processor { error, .. } = registry.make(name, &foreign, &resources).err().unwrap() else {
            panic!("{name}");
        };
        assert_eq!(error.code, "pipeline.bad_value", "{name}");
        assert!(error.message.contains("belong to another processor"), "{name}");
    }
}
