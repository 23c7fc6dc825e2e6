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
        Err(NnError::RuntimeMissing { .. }) => {
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
