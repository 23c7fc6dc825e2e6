//! The runtime library, small networks and processes of their own for tests.

use std::path::PathBuf;
use std::process::Command;

use kinora_nn::{
    Activation, Conv, DType, DeviceChoice, Dim, Executable, LoadOptions, Net, NetBuilder, NnError, Runtime,
    RuntimeSearch, Sides, TensorView, TensorViewMut, Value, Weight,
};

/// The runtime library, or `None` with a line that says how to get it.
pub(crate) fn runtime() -> Option<Runtime> {
    library("ORT_DYLIB_PATH", "runtime/onnxruntime")
}

/// The library that the variable names, or that lies in a folder of the models folder.
pub(crate) fn library(variable: &str, folder: &str) -> Option<Runtime> {
    let named = std::env::var_os(variable).map(|p| (variable.to_owned(), PathBuf::from(p)));
    let folder = std::env::var_os("KINORA_MODELS").map(|p| PathBuf::from(p).join(folder));
    let search = RuntimeSearch {
        environment: named.into_iter().collect(),
        folders: folder.into_iter().collect(),
        ..Default::default()
    };
    match Runtime::load(&search) {
        Ok(runtime) => Some(runtime),
        Err(NnError::RuntimeMissing { .. }) if std::env::var_os("KINORA_TEST_REQUIRE_RUNTIME").is_none() => {
            println!(
                "SKIPPED: no ONNX Runtime library; set {variable} or KINORA_MODELS (pip install onnxruntime has it)"
            );
            None
        }
        Err(other) => panic!("{other}"),
    }
}

/// The folder of the runtime library, or `None` with a line that says how to get it.
pub(crate) fn runtime_folder() -> Option<PathBuf> {
    let named = std::env::var_os("ORT_DYLIB_PATH").and_then(|p| PathBuf::from(p).parent().map(PathBuf::from));
    let pulled = std::env::var_os("KINORA_MODELS").map(|p| PathBuf::from(p).join("runtime/onnxruntime"));
    let folder = named.or(pulled).filter(|folder| folder.is_dir());
    if folder.is_none() {
        assert!(
            std::env::var_os("KINORA_TEST_REQUIRE_RUNTIME").is_none(),
            "no ONNX Runtime library"
        );
        println!("SKIPPED: no ONNX Runtime library; set ORT_DYLIB_PATH or KINORA_MODELS");
    }
    folder
}

/// Runs a test in a process of its own: a process has one runtime library. `name` is the test's path in this binary.
pub(crate) fn alone(name: &str, body: impl FnOnce()) {
    if std::env::var_os("KINORA_TEST_ALONE").is_some() {
        return body();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command
        .args(["--exact", name, "--nocapture"])
        .env("KINORA_TEST_ALONE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "the test {name} was not found");
}

/// Fixed noise of -amplitude..amplitude.
pub(crate) fn noise(n: usize, amplitude: f32) -> Vec<f32> {
    let mut state = 4_321_u32;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * amplitude
        })
        .collect()
}

/// `[batch, channels, height, width]`
pub(crate) fn picture_shape(channels: usize) -> [Dim; 4] {
    [
        Dim::symbol("batch"),
        channels.into(),
        Dim::symbol("height"),
        Dim::symbol("width"),
    ]
}

/// A network of one input and one output.
pub(crate) fn net(channels: usize, build: impl FnOnce(&mut NetBuilder, Value) -> kinora_nn::Result<Value>) -> Net {
    let mut b = NetBuilder::new("test");
    let x = b.input("x", DType::F32, &picture_shape(channels)).unwrap();
    let y = build(&mut b, x).unwrap();
    b.output("y", y).unwrap();
    b.build().unwrap()
}

/// Convolutions of `width` channels over a picture, as deep as asked.
pub(crate) fn conv_net(width: usize, depth: usize) -> Net {
    net(3, |b, x| {
        let mut y = x;
        let mut channels = 3;
        for i in 0..depth {
            let out = if i + 1 == depth { 3 } else { width };
            let amplitude = (2.0 / (channels * 9) as f32).sqrt();
            let weight = Weight::inline(
                &format!("w{i}"),
                &[out, channels, 3, 3],
                noise(out * channels * 9, amplitude),
            )?;
            let activation = if i + 1 == depth {
                Activation::None
            } else {
                Activation::LeakyRelu(0.2)
            };
            y = b.conv(
                y,
                Conv {
                    pads: Sides::all(1),
                    activation,
                    ..Conv::new(weight, None)
                },
            )?;
            channels = out;
        }
        Ok(y)
    })
}

/// The CPU provider.
pub(crate) fn on_cpu() -> LoadOptions {
    LoadOptions {
        device: DeviceChoice::Cpu,
        threads: 2,
        ..Default::default()
    }
}

/// Runs a network of one input and one output.
pub(crate) fn run(executable: &mut Executable, shape: &[usize], x: &[f32]) -> Vec<f32> {
    let out = executable.output_shapes(&[shape]).unwrap().unwrap().remove(0);
    let mut y = vec![f32::NAN; out.iter().product()];
    executable
        .run(&[TensorView::f32(shape, x)], &mut [TensorViewMut::f32(&out, &mut y)])
        .unwrap();
    y
}

/// Largest difference of two results.
pub(crate) fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |worst, (a, b)| {
        if a.is_finite() {
            worst.max((a - b).abs())
        } else {
            f32::INFINITY
        }
    })
}
