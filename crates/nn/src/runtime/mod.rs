//! The only module that names `ort`, the binding to ONNX Runtime. No type of it leaves this module.
//!
//! The library is loaded at run time. It is loaded once for a process and never unloaded, which is what makes the raw
//! calls sound: the function table stays valid for the rest of the process.
#![allow(unsafe_code)]

mod library;
mod loaded_graph;
mod search;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub(crate) use loaded_graph::{CancelToken, GraphSpec, Level, LoadedGraph, ModelSource};
use ort::LoadDynamicError;
use ort::environment::Environment;
use ort::logging::LogLevel;
pub use search::RuntimeSearch;

use crate::DeviceChoice;
use crate::error::{NnError, Result, Tried};

/// Oldest minor version of ONNX Runtime 1 that works.
pub const MINIMUM_MINOR: u32 = ort::MINOR_VERSION;

/// Provider name of the runtime's CPU kernels.
pub(crate) const CPU_PROVIDER: &str = "CPUExecutionProvider";
/// Provider name of OpenVINO.
pub(crate) const OPENVINO_PROVIDER: &str = "OpenVINOExecutionProvider";

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

/// The loaded ONNX Runtime library of this process. Cloning it copies a handle.
#[derive(Clone, Debug)]
pub struct Runtime(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    environment: Environment,
    path: PathBuf,
    from: String,
    version: String,
    providers: Vec<String>,
    log: Arc<Log>,
}

impl Runtime {
    /// Loads the library: the first that works in the order of [`RuntimeSearch`]. Later calls give the same library;
    /// a process has one, so a later call that names another file is an error.
    pub fn load(search: &RuntimeSearch) -> Result<Self> {
        let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = RUNTIME.get() {
            return runtime.clone().checked_against(search);
        }
        let (candidates, mut tried) = search.candidates();
        let named = search.explicit.is_some() || !search.environment.is_empty();
        for candidate in candidates {
            match open(&candidate.path, &candidate.from) {
                Ok(runtime) => return Ok(RUNTIME.get_or_init(|| runtime).clone()),
                Err(error) if named => return Err(error),
                Err(error) => {
                    tried.push(Tried {
                        path: candidate.path,
                        from: candidate.from,
                        why: error.to_string(),
                    });
                }
            }
        }
        Err(NnError::RuntimeMissing { tried })
    }

    fn checked_against(self, search: &RuntimeSearch) -> Result<Self> {
        let named = search.explicit.as_ref().or(search.environment.first().map(|(_, p)| p));
        match named {
            Some(path) if path.canonicalize().ok().as_ref() != Some(&self.0.path) => Err(NnError::RuntimeFixed {
                loaded: self.0.path.clone(),
                asked: path.display().to_string(),
            }),
            _ => Ok(self),
        }
    }

    /// Version of the library, such as `1.32.0`.
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// The library's file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Which step of the search order found it.
    pub fn found(&self) -> &str {
        &self.0.from
    }

    /// Providers the library was built with. A provider may still fail to load: [`crate::Executable::load`] proves it.
    pub fn providers(&self) -> &[String] {
        &self.0.providers
    }

    /// The device that `auto` means with this library.
    pub fn preferred_device(&self) -> DeviceChoice {
        if self.has_openvino() {
            DeviceChoice::OpenVino
        } else {
            DeviceChoice::Cpu
        }
    }

    /// Whether the library comes with OpenVINO.
    pub fn has_openvino(&self) -> bool {
        self.0.providers.iter().any(|p| p == OPENVINO_PROVIDER) && search::has_openvino(&self.0.path)
    }

    /// Build description of the library, for bug reports.
    pub fn build_info(&self) -> &'static str {
        ort::info()
    }

    fn environment(&self) -> &Environment {
        &self.0.environment
    }

    /// Lines the library logged since `mark`.
    fn log_since(&self, mark: u64) -> Vec<String> {
        self.0.log.since(mark)
    }

    fn log_mark(&self) -> u64 {
        self.0.log.mark()
    }
}

/// Checks and loads one file. After this succeeded once the process keeps that library.
fn open(path: &Path, from: &str) -> Result<Runtime> {
    let unusable = |why: String| NnError::RuntimeUnusable {
        path: path.to_path_buf(),
        why,
    };
    let real = path.canonicalize().map_err(|e| unusable(e.to_string()))?;
    let version = library::check(&real)?;
    let log = Arc::new(Log::default());
    let builder = ort::init_from(&real).map_err(|error| match error {
        LoadDynamicError::BadVersion { version_str, path } => NnError::RuntimeTooOld {
            path,
            found: version_str,
            minimum: MINIMUM_MINOR,
        },
        LoadDynamicError::MissingApi { .. } => {
            unusable("it is a shared library, but not ONNX Runtime (it has no OrtGetApiBase)".into())
        }
        LoadDynamicError::InvalidVersionString => unusable("it does not tell its version".into()),
        LoadDynamicError::Dlopen { error, .. } => unusable(format!("it cannot be loaded: {error}")),
    })?;
    let sink = log.clone();
    let environment = builder
        .with_name("kinora")
        .with_telemetry(false)
        .with_logger(Arc::new(move |level, _category, _id, _place, text| {
            sink.push(level, text);
        }))
        .build()
        .map_err(|e| unusable(e.message().to_owned()))?;
    environment.set_log_level(LogLevel::Warning);
    let providers = loaded_graph::available_providers().map_err(|e| unusable(e.message().to_owned()))?;
    Ok(Runtime(Arc::new(Inner {
        environment,
        path: real,
        from: from.into(),
        version,
        providers,
        log,
    })))
}

/// The library's log: the last lines, numbered.
#[derive(Debug, Default)]
struct Log {
    lines: Mutex<(u64, VecDeque<String>)>,
}

impl Log {
    const KEPT: usize = 64;

    fn push(&self, level: LogLevel, text: &str) {
        if level < LogLevel::Warning {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.0 += 1;
        let end = text.char_indices().nth(600).map_or(text.len(), |(i, _)| i);
        lines.1.push_back(text.get(..end).unwrap_or_default().to_owned());
        if lines.1.len() > Self::KEPT {
            lines.1.pop_front();
        }
    }

    fn mark(&self) -> u64 {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn since(&self, mark: u64) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let new = usize::try_from(lines.0.saturating_sub(mark))
            .unwrap_or(usize::MAX)
            .min(lines.1.len());
        lines.1.iter().skip(lines.1.len() - new).cloned().collect()
    }
}
