use std::io::ErrorKind;
use std::path::PathBuf;

use crate::Precision;

/// A place where the runtime library was looked for, and why it did not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The file or folder.
    pub path: PathBuf,
    /// Which step of the search order named it.
    pub from: String,
    /// What was wrong with it.
    pub why: String,
}

impl std::fmt::Display for Tried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}): {}", self.path.display(), self.from, self.why)
    }
}

/// What can go wrong between a network and its result.
#[derive(Debug, thiserror::Error)]
pub enum NnError {
    /// An operation whose operands do not fit it.
    #[error("{op}: expected {expected}, got {got}")]
    Shape {
        /// Operation, with its name in the network where it has one.
        op: String,
        /// What the operation takes.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// A weight, value, input or output that the network does not have.
    #[error("the network has no {kind} named `{name}`; it has {known}")]
    UnknownName {
        /// Weight, input, output, tap.
        kind: &'static str,
        /// Name asked for.
        name: String,
        /// Names that exist.
        known: String,
    },
    /// Two things of one name.
    #[error("two different {kind}s are named `{name}`")]
    DuplicateName {
        /// Weight, input, tap.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A weights file that cannot be used.
    #[error("weights file {path}: {why}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A cached file whose content is not what was written.
    #[error("cache file {path} does not match its checksum: expected {expected}, found {found}")]
    CacheCorrupt {
        /// The file.
        path: PathBuf,
        /// Checksum that was recorded.
        expected: String,
        /// Checksum of what is there.
        found: String,
    },
    /// A file that could not be read or written.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No runtime library was found.
    #[error("no usable ONNX Runtime library was found; tried: {}", list(tried))]
    RuntimeMissing {
        /// Every place that was tried, in order.
        tried: Vec<Tried>,
    },
    /// A runtime library that was asked for by name and does not do.
    #[error("the ONNX Runtime library {path} cannot be used: {why}")]
    RuntimeUnusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A runtime library older than this program can use.
    #[error("the ONNX Runtime library {path} is version {found}; version 1.{minimum} or newer is needed")]
    RuntimeTooOld {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
        /// Oldest minor version that works.
        minimum: u32,
    },
    /// A second library was asked for in a process that has one.
    #[error("this process already uses the ONNX Runtime library {loaded}; {asked} needs a process of its own")]
    RuntimeFixed {
        /// Library in use.
        loaded: PathBuf,
        /// What was asked for.
        asked: String,
    },
    /// A device or precision that the library or the machine does not have.
    #[error("{asked} is not available: {why}")]
    Unavailable {
        /// Device or precision.
        asked: String,
        /// Why not.
        why: String,
    },
    /// A node of the network landed on another provider than the one asked for.
    #[error("the network was asked to run on {asked}, but {stray} of its {total} nodes are on {found}")]
    ProviderMismatch {
        /// Provider asked for.
        asked: String,
        /// Provider of the stray nodes.
        found: String,
        /// Number of stray nodes.
        stray: usize,
        /// Number of all nodes.
        total: usize,
    },
    /// The probe shows that the device computes in another precision than the one asked for.
    #[error(
        "{asked} was asked for, but the probe's relative difference to f32 is {difference:.1e}: that is not {asked}"
    )]
    PrecisionNotProved {
        /// Precision asked for.
        asked: Precision,
        /// Relative root-mean-square difference of the probe.
        difference: f64,
    },
    /// Nothing shows what the device computes in.
    #[error("{asked} was asked for, and no made-up picture shows on this network that it is what runs")]
    NotProbed {
        /// Precision asked for.
        asked: Precision,
    },
    /// The precision is too coarse for the network: its result is no longer the same.
    #[error("{asked} is too coarse for this network: in the probe its result differs from f32 by {:.0} %", difference * 100.0)]
    TooCoarse {
        /// Precision asked for.
        asked: Precision,
        /// Relative root-mean-square difference of the probe.
        difference: f64,
    },
    /// The runtime refused the network.
    #[error("the runtime refused the network `{net}`: {message}{}", log_tail(log))]
    Load {
        /// Name of the network.
        net: String,
        /// The runtime's own words.
        message: String,
        /// What the runtime logged meanwhile.
        log: Vec<String>,
    },
    /// The runtime failed while it ran the network.
    #[error("the network `{net}` failed: {message}")]
    Run {
        /// Name of the network.
        net: String,
        /// The runtime's own words.
        message: String,
    },
    /// The run was cancelled by its owner.
    #[error("the run was cancelled")]
    Cancelled,
    /// An operator that has no form in the chosen lowering.
    #[error("{op} cannot be lowered: {why}")]
    Unsupported {
        /// The operation.
        op: String,
        /// Why.
        why: String,
    },
}

fn list(tried: &[Tried]) -> String {
    if tried.is_empty() {
        return "nothing (no place was named)".into();
    }
    tried.iter().map(Tried::to_string).collect::<Vec<_>>().join("; ")
}

fn log_tail(log: &[String]) -> String {
    if log.is_empty() {
        String::new()
    } else {
        format!(" (log: {})", log.join(" | "))
    }
}

impl NnError {
    /// Stable dotted code for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Shape { .. } => "nn.shape",
            Self::UnknownName { .. } => "nn.unknown-name",
            Self::DuplicateName { .. } => "nn.duplicate-name",
            Self::Weights { .. } => "model.weights",
            Self::CacheCorrupt { .. } => "cache.corrupt",
            Self::Io { source, .. } if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                "disk.full"
            }
            Self::Io { .. } => "cache.io",
            Self::RuntimeMissing { .. } => "runtime.missing",
            Self::RuntimeUnusable { .. } => "runtime.unusable",
            Self::RuntimeTooOld { .. } => "runtime.too-old",
            Self::RuntimeFixed { .. } => "runtime.fixed",
            Self::Unavailable { .. } => "device.unavailable",
            Self::ProviderMismatch { .. } => "device.provider-mismatch",
            Self::PrecisionNotProved { .. } => "device.precision-not-proved",
            Self::NotProbed { .. } => "device.precision-not-probed",
            Self::TooCoarse { .. } => "device.precision-too-coarse",
            Self::Load { .. } => "nn.load",
            Self::Run { .. } => "nn.run",
            Self::Cancelled => "run.cancelled",
            Self::Unsupported { .. } => "nn.unsupported",
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::RuntimeMissing { .. } => {
                "run `kinora models pull onnxruntime` (or onnxruntime-openvino); to use a library that is here, name its \
                 file with KINORA_ONNXRUNTIME"
                    .into()
            }
            Self::RuntimeUnusable { .. } => {
                "run `kinora models pull onnxruntime`; where KINORA_ONNXRUNTIME or ORT_DYLIB_PATH names this one, unset it, \
                 or set it to the file libonnxruntime.so.* itself, in its own folder"
                    .into()
            }
            Self::RuntimeTooOld { .. } => {
                "run `kinora models pull onnxruntime`, and unset KINORA_ONNXRUNTIME and ORT_DYLIB_PATH where they name \
                 the old library"
                    .into()
            }
            Self::RuntimeFixed { .. } => "start a new process for the other library".into(),
            Self::Unavailable { .. } => "use --device auto, or install a library that has this device".into(),
            Self::ProviderMismatch { .. } => "use --device cpu, or report the network that does not fit".into(),
            Self::PrecisionNotProved { .. } | Self::NotProbed { .. } | Self::TooCoarse { .. } => {
                "use --precision f32".into()
            }
            Self::CacheCorrupt { path, .. } => format!("delete {}; it is built again", path.display()),
            Self::Io { path, .. } => format!("check that {} can be reached and has room", path.display()),
            _ => return None,
        })
    }

    pub(crate) fn shape(op: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self::Shape {
            op: op.into(),
            expected: expected.into(),
            got: got.into(),
        }
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

/// Result of this crate.
pub type Result<T, E = NnError> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_used_up_quota_are_one_thing() {
        for (kind, code) in [
            (ErrorKind::StorageFull, "disk.full"),
            (ErrorKind::QuotaExceeded, "disk.full"),
            (ErrorKind::PermissionDenied, "cache.io"),
        ] {
            assert_eq!(NnError::io("write", "/cache/a")(kind.into()).code(), code);
        }
    }
}
