//! Models of one network share its executables, and one can be cancelled without the others.

use std::{path::Path, ptr, sync::mpsc, time::Duration};

use kinora_models::{
    ImageModel, ImageModelSpec, ModelSource,
    image_model::PictureSize,
    tiling::{TileScratch, Tiling, run_tiled},
};
use kinora_nn::{ExecutableCache, LoadOptions, Runtime};

use crate::support::{on_cpu, picture, runtime};

fn open(runtime: &Runtime, options: &LoadOptions, folder: &Path, executables: &ExecutableCache) -> ImageModel {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ncnn/srvgg_x4_fp16");
    let source = ModelSource::Ncnn {
        param: data.join("model.param"),
        bin: data.join("model.bin"),
    };
    let spec = ImageModelSpec::default();
    ImageModel::open_shared(&source, &spec, runtime, options, folder, executables).unwrap()
}

fn run(model: &ImageModel, x: &[f32], size: PictureSize) -> kinora_models::Result<Vec<f32>> {
    let mut y = vec![0.0; model.output_len(size).unwrap()];
    model.run(x, size, &mut y).map(|()| y)
}

const SMALL: PictureSize = PictureSize {
    batch: 1,
    height: 12,
    width: 10,
};

#[test]
fn two_models_of_one_network_load_it_once() {
    let Some(runtime) = runtime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let executables = ExecutableCache::new();
    let first = open(&runtime, &on_cpu(), folder.path(), &executables);
    let second = open(&runtime, &on_cpu(), folder.path(), &executables);
    assert!(ptr::eq(first.report(), second.report()), "one load, one report");
    let other_threads = LoadOptions { threads: 1, ..on_cpu() };
    let third = open(&runtime, &other_threads, folder.path(), &executables);
    assert!(!ptr::eq(first.report(), third.report()));
    drop((first, second));
    let again = open(&runtime, &on_cpu(), folder.path(), &executables);
    let x = picture(3 * 120);
    assert_eq!(run(&again, &x, SMALL).unwrap(), run(&third, &x, SMALL).unwrap());
}

#[test]
fn a_cancelled_model_stops_between_tiles_and_leaves_the_others_alone() {
    let Some(runtime) = runtime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let executables = ExecutableCache::new();
    let options = LoadOptions { threads: 1, ..on_cpu() };
    let stopped = open(&runtime, &options, folder.path(), &executables);
    let other = open(&runtime, &options, folder.path(), &executables);
    let x = picture(3 * 120);
    let want = run(&other, &x, SMALL).unwrap();
    let large = PictureSize {
        batch: 1,
        height: 1500,
        width: 1500,
    };
    let (done, end) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let x = vec![0.5; 3 * 1500 * 1500];
            let mut y = vec![0.0; stopped.output_len(large).unwrap()];
            // Tens of thousands of tiles: minutes, were it not ended.
            let tiling = Tiling::square(32, 24);
            let result = run_tiled(&stopped, &x, large, &tiling, &mut TileScratch::default(), &mut y);
            done.send(result.map_err(|error| error.code())).unwrap();
        });
        assert!(
            end.recv_timeout(Duration::from_millis(300)).is_err(),
            "the run is too short for this test"
        );
        stopped.cancel();
        let result = end.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(result, Err("run.cancelled"));
    });
    assert_eq!(run(&stopped, &x, SMALL).unwrap_err().code(), "run.cancelled");
    stopped.resume();
    assert_eq!(
        run(&stopped, &x, SMALL).unwrap(),
        want,
        "a cancel is over when the next run begins"
    );
    assert_eq!(run(&other, &x, SMALL).unwrap(), want);
    let fresh = open(&runtime, &options, folder.path(), &executables);
    assert!(ptr::eq(fresh.report(), other.report()));
    assert_eq!(run(&fresh, &x, SMALL).unwrap(), want, "a later job is not cancelled");
}
