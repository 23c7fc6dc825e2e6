use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;

use crate::Form;

/// Where a network runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// The first of `openvino`, `cpu` that the loaded library has. Chosen once, before work, and reported.
    #[default]
    Auto,
    /// The runtime's own CPU provider.
    Cpu,
    /// OpenVINO on the CPU.
    OpenVino,
}

/// In what numbers a network computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// f32: the only one whose results are compared with recorded ones.
    #[default]
    Auto,
    /// 32-bit floats.
    F32,
    /// bfloat16 products with f32 sums. Only OpenVINO has it, only on CPUs with instructions for it; a probe at load
    /// proves that it is what runs.
    Bf16,
}

/// Whether this processor multiplies bf16.
pub fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// How weights reach the kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightsMode {
    /// Packed where a cache folder is given and the network is small enough to build the cache at once, or it is there;
    /// otherwise fast.
    #[default]
    Auto,
    /// The runtime packs weights in memory: a private copy.
    Fast,
    /// Weights stay in the mapped source file and are never packed: no copy; slower for matrix products of few rows.
    Lean,
    /// The optimised network with its packed weights is mapped from a cache file, shared by executables and processes.
    Packed,
}

/// How to load a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Where it runs.
    pub device: DeviceChoice,
    /// In what numbers.
    pub precision: Precision,
    /// How its weights reach the kernels.
    pub weights: WeightsMode,
    /// Threads of one run, at least 1. The sum over the executables that run at once should not exceed the cores.
    pub threads: usize,
    /// Executables of one network that may run at once, at least 1; each has its own `threads`.
    pub workers: usize,
    /// Whether idle threads spin. Only for a single live stream that owns the machine.
    pub spinning: bool,
    /// Folder for packed networks; without it weights are never packed into a file.
    pub cache: Option<PathBuf>,
    /// The form a network is lowered to; `None` lets the device decide. Tests and measurements compare them with it.
    pub form: Option<Form>,
    /// Folder into which the lowered network is written for inspection.
    pub dump: Option<PathBuf>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            device: DeviceChoice::Auto,
            precision: Precision::Auto,
            weights: WeightsMode::Auto,
            threads: 1,
            workers: 1,
            spinning: false,
            cache: None,
            form: None,
            dump: None,
        }
    }
}

/// A word that names no choice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no {what}: expected {expected}")]
pub struct UnknownChoice {
    what: &'static str,
    expected: &'static str,
    found: String,
}

impl FromStr for DeviceChoice {
    type Err = UnknownChoice;

    fn from_str(s: &str) -> Result<Self, UnknownChoice> {
        match s {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "openvino" => Ok(Self::OpenVino),
            _ => Err(UnknownChoice {
                what: "device",
                expected: "auto, cpu or openvino",
                found: s.into(),
            }),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::OpenVino => "openvino",
        })
    }
}

impl FromStr for Precision {
    type Err = UnknownChoice;

    fn from_str(s: &str) -> Result<Self, UnknownChoice> {
        match s {
            "auto" => Ok(Self::Auto),
            "f32" | "fp32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            _ => Err(UnknownChoice {
                what: "precision",
                expected: "auto, f32 or bf16",
                found: s.into(),
            }),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for WeightsMode {
    type Err = UnknownChoice;

    fn from_str(s: &str) -> Result<Self, UnknownChoice> {
        match s {
            "auto" => Ok(Self::Auto),
            "fast" => Ok(Self::Fast),
            "lean" => Ok(Self::Lean),
            "packed" => Ok(Self::Packed),
            _ => Err(UnknownChoice {
                what: "weights mode",
                expected: "auto, fast, lean or packed",
                found: s.into(),
            }),
        }
    }
}

impl fmt::Display for WeightsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Fast => "fast",
            Self::Lean => "lean",
            Self::Packed => "packed",
        })
    }
}
