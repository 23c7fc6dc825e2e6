use kinora_pipeline::{Parameters, Params, ProcessorError};

/// The parameters as the processor's own.
///
/// # Errors
/// When they belong to another processor, as a plain filter says it.
pub(crate) fn typed<T: Parameters>(params: &Params) -> Result<&T, ProcessorError> {
    params.typed().ok_or_else(|| {
        ProcessorError::new(
            "pipeline.bad_value",
            format!("these parameters belong to another processor: {params:?}"),
        )
    })
}
