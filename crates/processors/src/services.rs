use std::sync::{Arc, Mutex, PoisonError};

use kinora_models::{
    ModelError,
    zoo::{self, Folders, ResolvedModel},
};
use kinora_nn::{ExecutableCache, LoadOptions, Runtime, RuntimeSearch, UnknownChoice};
use kinora_pipeline::{ProcessorError, Resources};

/// What processors with networks load from: folders with models, the runtime library, and the networks that are loaded
/// already. One for a process.
#[derive(Clone)]
pub struct Services {
    folders: Arc<Folders>,
    search: Arc<RuntimeSearch>,
    runtime: Arc<Mutex<Option<Runtime>>>,
    executables: Arc<ExecutableCache>,
}

impl Services {
    /// Nothing is loaded before the first network needs it.
    #[must_use]
    pub fn new(folders: Folders, search: RuntimeSearch) -> Self {
        Self {
            folders: Arc::new(folders),
            search: Arc::new(search),
            runtime: Arc::default(),
            executables: Arc::default(),
        }
    }

    pub(crate) fn resolve(&self, name: &str) -> Result<ResolvedModel, ProcessorError> {
        zoo::resolve(name, &self.folders).map_err(|error| ProcessorError {
            code: error.code(),
            message: error.to_string(),
            hint: error.hint(),
            source: Some(Arc::new(error)),
        })
    }

    /// The runtime library, loaded at the first call.
    ///
    /// # Errors
    /// What [`Runtime::load`] says.
    pub(crate) fn runtime(&self) -> Result<Runtime, ProcessorError> {
        let mut loaded = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            return Ok(runtime.clone());
        }
        let runtime = Runtime::load(&self.search).map_err(|error| ProcessorError {
            code: error.code(),
            message: error.to_string(),
            hint: error.hint(),
            source: Some(Arc::new(error)),
        })?;
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// Networks that are loaded: two nodes with one network share it.
    pub(crate) fn executables(&self) -> &ExecutableCache {
        &self.executables
    }

    pub(crate) fn load_options(&self, resources: &Resources) -> Result<LoadOptions, ProcessorError> {
        let unknown = |error: UnknownChoice| {
            ProcessorError::new("usage.value", error.to_string())
                .with_hint("kinora upscale --help lists what --device, --precision and --weights take")
        };
        Ok(LoadOptions {
            device: resources.device.parse().map_err(unknown)?,
            precision: resources.precision.parse().map_err(unknown)?,
            weights: resources.weights.parse().map_err(unknown)?,
            ..LoadOptions::default()
        })
    }
}

pub(crate) fn model_error(error: ModelError) -> ProcessorError {
    ProcessorError {
        code: error.code(),
        message: error.to_string(),
        hint: error.hint(),
        source: Some(Arc::new(error)),
    }
}
