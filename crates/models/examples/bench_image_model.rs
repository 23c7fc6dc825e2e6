//! Measures an ncnn network on one picture size: CPU-seconds and wall time of a frame.
//!
//! `bench_image_model PARAM BIN WIDTH HEIGHT DEVICE PRECISION [FRAMES] [THREADS] [DUMP_FOLDER]` with ORT_DYLIB_PATH
//! set; KINORA_PAD and KINORA_WEIGHTS set padding and weights mode.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, missing_docs)]

use std::path::PathBuf;
use std::time::Instant;

use kinora_models::image_model::{ImageModel, PictureSize};
use kinora_models::{ImageModelSpec, ModelSource};
use kinora_nn::{LoadOptions, Runtime, RuntimeSearch};

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [param, bin, width, height, device, precision, rest @ ..] = args.as_slice() else {
        println!("usage: bench_image_model PARAM BIN WIDTH HEIGHT DEVICE PRECISION [FRAMES] [THREADS] [DUMP]");
        return;
    };
    let number = |i: usize, default: usize| rest.get(i).map_or(default, |s: &String| s.parse().unwrap());
    let (frames, threads) = (number(0, 10), number(1, 2));
    let search = RuntimeSearch {
        environment: vec![(
            "ORT_DYLIB_PATH".into(),
            std::env::var_os("ORT_DYLIB_PATH").unwrap().into(),
        )],
        ..Default::default()
    };
    let cache = std::env::temp_dir().join("kinora-bench");
    let start = Instant::now();
    let runtime = Runtime::load(&search).unwrap();
    let library = start.elapsed();
    let weights = std::env::var("KINORA_WEIGHTS").unwrap_or_else(|_| "auto".into());
    let options = LoadOptions {
        device: device.parse().unwrap(),
        precision: precision.parse().unwrap(),
        weights: weights.parse().unwrap(),
        threads,
        cache: Some(cache.join("packed")),
        dump: rest.get(2).map(PathBuf::from),
        ..Default::default()
    };
    let pad = std::env::var("KINORA_PAD").map_or(0, |p| p.parse().unwrap());
    let spec = ImageModelSpec {
        pad,
        ..Default::default()
    };
    let source = ModelSource::Ncnn {
        param: param.into(),
        bin: bin.into(),
    };
    let start = Instant::now();
    let model = ImageModel::open(&source, &spec, &runtime, &options, &cache).unwrap();
    let load = start.elapsed();
    let size = PictureSize {
        batch: 1,
        height: height.parse().unwrap(),
        width: width.parse().unwrap(),
    };
    let x: Vec<f32> = (0..3 * size.height * size.width)
        .map(|i| ((i * 2_654_435_761) >> 8 & 0xff) as f32 / 255.0)
        .collect();
    let mut y = vec![0.0; model.output_len(size).unwrap()];
    model.run(&x, size, &mut y).unwrap();
    let (mut best_wall, mut best_cpu, mut sum_cpu) = (f64::MAX, f64::MAX, 0.0);
    for _ in 0..frames {
        let (wall, cpu) = (Instant::now(), cpu_seconds());
        model.run(&x, size, &mut y).unwrap();
        let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        best_wall = best_wall.min(wall);
        best_cpu = best_cpu.min(cpu);
        sum_cpu += cpu;
    }
    println!("{}", model.report());
    println!(
        "library {:.0} ms, load {:.0} ms, frame: cpu min {:.1} ms mean {:.1} ms, wall min {:.1} ms, sum {:.6}",
        library.as_secs_f64() * 1e3,
        load.as_secs_f64() * 1e3,
        best_cpu * 1e3,
        sum_cpu / frames as f64 * 1e3,
        best_wall * 1e3,
        y.iter().map(|v| f64::from(*v)).sum::<f64>() / y.len() as f64
    );
}
