use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::{DeviceChoice, Precision, WeightsMode};

/// Where the weights of a loaded network are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryPlan {
    /// Bytes of weights in mapped source files. They are page cache: the system takes them back when it is short.
    pub mapped_bytes: u64,
    /// Bytes of weights that the runtime holds in memory of its own.
    pub private_bytes: u64,
    /// Bytes of the mapped cache file with packed weights, shared by all processes that use it.
    pub packed_bytes: u64,
}

/// What is known of the precision that a device computes in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// The device has nothing but f32.
    Needless,
    /// A probe shows it: the relative difference of its result to f32.
    Probed(f64),
    /// No picture could be made up that shows it on this network: the device is taken at its word.
    Impossible,
}

impl Proof {
    /// The relative difference to f32, where a probe was run.
    pub fn difference(self) -> Option<f64> {
        match self {
            Self::Probed(difference) => Some(difference),
            Self::Needless | Self::Impossible => None,
        }
    }
}

/// What was chosen when a network was loaded, as read back from the runtime.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExecutionReport {
    /// Name of the network.
    pub net: String,
    /// Device that was asked for.
    pub asked: DeviceChoice,
    /// Device that runs it.
    pub device: DeviceChoice,
    /// Name of the runtime's provider.
    pub provider: String,
    /// Nodes on each provider, as the runtime reports them.
    pub nodes: Vec<(String, usize)>,
    /// Numbers it computes in.
    pub precision: Precision,
    /// What proves the precision.
    pub proof: Proof,
    /// Form of the lowered graph; `file` for a model that is run as it is.
    pub form: &'static str,
    /// How its weights reach the kernels.
    pub weights: WeightsMode,
    /// Whether the packed network was built by this load (it was found otherwise). Meaningless for other modes.
    pub packed_built: bool,
    /// Why another way than the one asked for was taken, where it was, and what could not be proved.
    pub note: Option<String>,
    /// Figures of its memory.
    pub memory: MemoryPlan,
    /// Threads of one run.
    pub threads: usize,
    /// Whether idle threads spin.
    pub spinning: bool,
    /// Version of the runtime library.
    pub library_version: String,
    /// The runtime library.
    pub library_path: PathBuf,
}

impl ExecutionReport {
    /// Puts a sentence in front of the note.
    pub(crate) fn add_note(&mut self, note: String) {
        self.note = Some(match self.note.take() {
            Some(before) => format!("{note}; {before}"),
            None => note,
        });
    }
}

impl fmt::Display for ExecutionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, weights {}", self.device, self.precision, self.weights)?;
        if let Some(note) = &self.note {
            write!(f, " ({note})")?;
        }
        let plural = if self.threads == 1 { "" } else { "s" };
        write!(
            f,
            ", {} thread{plural}, ONNX Runtime {}",
            self.threads, self.library_version
        )
    }
}
