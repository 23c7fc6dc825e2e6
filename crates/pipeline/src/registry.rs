use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use kinora_frame::Pool;
use serde_json::{Map, Value as Json};

use crate::{
    Descriptor, Filter, FilterProcessor, ParamSpec, Parameters, Params, PipelineError, Processor, ProcessorError,
    nearest, schema,
};

/// What an instance is made with, beside its parameters: shared by all instances of a process.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    /// Buffers for results.
    pub pool: Pool,
    /// Device as the user named it: `auto`, `cpu`, `openvino`.
    pub device: String,
    /// Precision as the user named it: `auto`, `f32`, `bf16`.
    pub precision: String,
    /// How weights are held: `auto`, `fast`, `lean`.
    pub weights: String,
    /// Threads of one call, at least 1.
    pub threads: usize,
    /// Calls that may run at once, at least 1.
    pub workers: usize,
    /// Tile as the user named it: `auto`, `off`, `256`, `256x192`.
    pub tile: String,
    /// Overlap of tiles in input pixels; `None` means by model.
    pub tile_overlap: Option<u32>,
    /// Folder for optimised networks and converted weights.
    pub cache: PathBuf,
    /// Bytes that all parts together may take.
    pub memory_bytes: u64,
}

/// Makes an instance of a processor from checked parameters.
pub type Factory = Arc<dyn Fn(&Params, &Resources) -> Result<Arc<dyn Processor>, ProcessorError> + Send + Sync>;

type Parser = fn(&str, &Map<String, Json>) -> Result<Params, PipelineError>;

/// One registered processor.
#[derive(Clone)]
struct Entry {
    about: Descriptor,
    specs: &'static [ParamSpec],
    parse: Parser,
    make: Factory,
}

/// The catalogue of processors by name.
#[derive(Clone, Default)]
pub struct Registry {
    entries: BTreeMap<&'static str, Entry>,
}

impl Registry {
    /// Registers a processor with parameters `P`. `about` describes it before an instance exists; the instance's
    /// own descriptor may be narrower (devices, layouts).
    ///
    /// # Errors
    /// [`PipelineError::DoubleRegistration`].
    pub fn register<P: Parameters>(&mut self, about: Descriptor, make: Factory) -> Result<(), PipelineError> {
        let name = about.name;
        if self.entries.contains_key(name) {
            return Err(PipelineError::DoubleRegistration { name: name.to_owned() });
        }
        self.entries.insert(
            name,
            Entry {
                about,
                specs: P::SPECS,
                parse: Params::parse::<P>,
                make,
            },
        );
        Ok(())
    }

    /// Registers a plain filter: the one line that a new filter needs.
    ///
    /// # Errors
    /// [`PipelineError::DoubleRegistration`].
    pub fn register_filter<F: Filter>(&mut self) -> Result<(), PipelineError> {
        self.register::<F::Params>(
            F::descriptor(),
            Arc::new(|_params, resources| Ok(Arc::new(FilterProcessor::<F>::new(resources.pool.clone())))),
        )
    }

    /// Names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries.keys().copied()
    }

    /// What is known of a processor without loading it.
    ///
    /// # Errors
    /// [`PipelineError::UnknownProcessor`].
    pub fn descriptor(&self, name: &str) -> Result<&Descriptor, PipelineError> {
        self.entry(name).map(|entry| &entry.about)
    }

    /// A processor's parameters, in order.
    ///
    /// # Errors
    /// [`PipelineError::UnknownProcessor`].
    pub fn specs(&self, name: &str) -> Result<&'static [ParamSpec], PipelineError> {
        self.entry(name).map(|entry| entry.specs)
    }

    /// JSON Schema of a processor's parameters.
    ///
    /// # Errors
    /// [`PipelineError::UnknownProcessor`].
    pub fn schema(&self, name: &str) -> Result<Json, PipelineError> {
        let defaults = self.parse(name, &Map::new())?;
        Ok(schema(name, self.entry(name)?.specs, defaults.json()))
    }

    /// Checks parameters without making an instance.
    ///
    /// # Errors
    /// As [`Params::parse`], and [`PipelineError::UnknownProcessor`].
    pub fn parse(&self, name: &str, given: &Map<String, Json>) -> Result<Params, PipelineError> {
        (self.entry(name)?.parse)(name, given)
    }

    /// Makes an instance.
    ///
    /// # Errors
    /// [`PipelineError::UnknownProcessor`], or the processor's own as [`PipelineError::Processor`].
    pub fn make(
        &self,
        name: &str,
        params: &Params,
        resources: &Resources,
    ) -> Result<Arc<dyn Processor>, PipelineError> {
        (self.entry(name)?.make)(params, resources).map_err(|error| PipelineError::Processor {
            node: name.to_owned(),
            error,
        })
    }

    fn entry(&self, name: &str) -> Result<&Entry, PipelineError> {
        self.entries.get(name).ok_or_else(|| PipelineError::UnknownProcessor {
            name: name.to_owned(),
            nearest: nearest(name, self.names()),
        })
    }
}
