//! The catalogue of processors, one file each.
//!
//! A processor here knows pictures, parameters and networks. It knows no engine, no file and no clock, so it runs
//! the same offline, live and inside a host.

mod device_stub;
mod identity;
mod invert;
mod params;
mod resize;
mod services;
mod upscale;

pub use services::Services;

use kinora_pipeline::{PipelineError, Registry};

/// Registers every processor of the catalogue.
///
/// # Errors
/// [`PipelineError::DoubleRegistration`] when a name is taken already.
pub fn register(registry: &mut Registry, services: &Services) -> Result<(), PipelineError> {
    registry.register_filter::<identity::Identity>()?;
    registry.register_filter::<invert::Invert>()?;
    registry.register_filter::<resize::Resize>()?;
    device_stub::register(registry)?;
    upscale::register(registry, services)?;
    Ok(())
}
