//! Golden cases and the runtime library for tests.

use std::path::{Path, PathBuf};

use kinora_nn::{NnError, Runtime, RuntimeSearch};
use safetensors::SafeTensors;
use serde_json::Value;

/// The runtime library, or `None` with a line that says how to get it.
pub(crate) fn runtime() -> Option<Runtime> {
    let search = RuntimeSearch {
        environment: std::env::var_os("ORT_DYLIB_PATH")
            .map(|p| ("ORT_DYLIB_PATH".to_owned(), p.into()))
            .into_iter()
            .collect(),
        folders: std::env::var_os("KINORA_MODELS")
            .map(|p| PathBuf::from(p).join("runtime"))
            .into_iter()
            .collect(),
        ..Default::default()
    };
    match Runtime::load(&search) {
        Ok(runtime) => Some(runtime),
        Err(NnError::RuntimeMissing { .. }) if std::env::var_os("KINORA_TEST_REQUIRE_RUNTIME").is_none() => {
            println!(
                "SKIPPED: no ONNX Runtime library; set ORT_DYLIB_PATH or KINORA_MODELS (pip install onnxruntime has it)"
            );
            None
        }
        Err(other) => panic!("{other}"),
    }
}

/// A golden case: its description and its tensors.
pub(crate) struct Case {
    pub(crate) folder: PathBuf,
    pub(crate) json: Value,
    io: Vec<u8>,
}

impl Case {
    pub(crate) fn open(folder: &Path) -> Self {
        let json = serde_json::from_slice(&std::fs::read(folder.join("case.json")).unwrap()).unwrap();
        let io = std::fs::read(folder.join("io.safetensors")).unwrap_or_default();
        Self {
            folder: folder.into(),
            json,
            io,
        }
    }

    pub(crate) fn data(group: &str) -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(group);
        let mut folders: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
        folders.sort();
        folders.iter().map(|f| Self::open(f)).collect()
    }

    pub(crate) fn tensor(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let tensors = SafeTensors::deserialize(&self.io).unwrap();
        let view = tensors.tensor(name).unwrap();
        let values = view
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect();
        (view.shape().to_vec(), values)
    }

    /// A tensor of 32-bit integers.
    pub(crate) fn integers(&self, name: &str) -> Vec<usize> {
        let tensors = SafeTensors::deserialize(&self.io).unwrap();
        let data = tensors.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4)
            .map(|b| i32::from_le_bytes(b.try_into().unwrap()) as usize)
            .collect()
    }

    /// Largest error over tolerance; at most 1 passes.
    pub(crate) fn error_over_tolerance(&self, got: &[f32], want: &[f32]) -> f64 {
        assert_eq!(got.len(), want.len());
        let field = |name: &str| self.json["tolerance"][name].as_f64().unwrap_or(0.0);
        let (abs, rel) = (field("abs"), field("rel"));
        got.iter().zip(want).fold(0.0, |worst, (g, w)| {
            let (g, w) = (f64::from(*g), f64::from(*w));
            assert!(g.is_finite(), "not a number");
            worst.max((g - w).abs() / (abs + rel * w.abs()))
        })
    }
}

/// A network `[N, channels, H, W]` to `scale` times its size: three convolutions of fixed noise and a pixel shuffle.
pub(crate) fn small_net(channels: usize, scale: usize) -> kinora_nn::Net {
    use kinora_nn::{Conv, DType, Dim, NetBuilder, Sides, Weight};
    let mut b = NetBuilder::new("small");
    let shape = [
        Dim::symbol("batch"),
        channels.into(),
        Dim::symbol("height"),
        Dim::symbol("width"),
    ];
    let x = b.input("x", DType::F32, &shape).unwrap();
    let mut y = x;
    let mut width = channels;
    for (i, out) in [8, 8, channels * scale * scale].into_iter().enumerate() {
        let weight = Weight::inline(&format!("w{i}"), &[out, width, 3, 3], noise(out * width * 9, 0.2)).unwrap();
        let bias = Weight::inline(&format!("b{i}"), &[out], noise(out, 0.1)).unwrap();
        let activation = if i < 2 {
            kinora_nn::Activation::LeakyRelu(0.1)
        } else {
            Default::default()
        };
        y = b
            .conv(
                y,
                Conv {
                    pads: Sides::all(1),
                    activation,
                    ..Conv::new(weight, Some(bias))
                },
            )
            .unwrap();
        width = out;
    }
    let y = b.pixel_shuffle(y, scale).unwrap();
    b.output("y", y).unwrap();
    b.build().unwrap()
}

/// Fixed noise around zero.
pub(crate) fn noise(n: usize, amplitude: f32) -> Vec<f32> {
    let mut state = 12_345_u32;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * amplitude
        })
        .collect()
}

/// A picture of fixed noise in 0..1.
pub(crate) fn picture(n: usize) -> Vec<f32> {
    noise(n, 0.5).iter().map(|v| v + 0.5).collect()
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

/// The CPU provider with two threads.
pub(crate) fn on_cpu() -> kinora_nn::LoadOptions {
    kinora_nn::LoadOptions {
        device: kinora_nn::DeviceChoice::Cpu,
        threads: 2,
        ..Default::default()
    }
}
