//! Processors, ports, registry and plan of a kinora pipeline.
//!
//! A processor owns one transformation and cannot tell which engine runs it. This crate holds the contract
//! between the two as types, and turns a list of processors into a [`Plan`]: order, conversions, uploads and
//! downloads, as data. It knows no threads, clocks, files or networks.

mod builder;
mod context;
mod descriptor;
mod error;
mod filter;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod meter;
mod names;
mod params;
mod plan;
mod processor;
mod registry;
mod run;

pub use builder::{Node, Pipeline, PipelineBuilder};
pub use context::{Context, Value, Verdict};
pub use descriptor::{
    Accepts, Batch, DependsOn, Descriptor, OnCut, Order, Port, PortKind, Produces, Ratio, Residency, Restart, Stage,
};
pub use error::{PipelineError, ProcessorError};
pub use filter::{Filter, FilterProcessor};
pub use meter::{Meter, MeterReading};
pub use names::nearest;
pub use params::{Change, NoParams, ParamKind, ParamSpec, Parameters, Params, schema};
pub use plan::{Plan, Step, StepKind};
pub use processor::{Item, Outputs, Processor, Reset, Stateless, StreamId, StreamInfo, StreamState};
pub use registry::{Factory, Registry, Resources};
pub use run::{DeviceAccess, HostOnly, Runner};
