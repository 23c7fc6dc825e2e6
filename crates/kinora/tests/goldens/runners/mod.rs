//! Who computes what: one file a family of components.

mod color;
mod fetched;
mod layout;
mod ncnn;
mod resize;
mod runtime;
mod tiling;

use serde_json::Value;

use crate::{case::Case, tensor::Tensors};

/// What a runner gives back.
#[derive(Default)]
pub struct Answer {
    pub outputs: Tensors,
    /// Intermediates that the runner exposes, by the name after `mid.`.
    pub taps: Tensors,
    pub expected: Option<Value>,
    pub data: Option<Value>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum End {
    Failed(String),
    /// Files that are not here; holds the command that fetches them.
    Skipped(String),
}

impl From<String> for End {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

impl From<&str> for End {
    fn from(message: &str) -> Self {
        Self::Failed(message.to_owned())
    }
}

impl From<kinora_frame::FrameError> for End {
    fn from(error: kinora_frame::FrameError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A runner and the parameters that say nothing it must know.
pub struct Runner {
    pub run: fn(&Case) -> Result<Answer, End>,
    pub silent: &'static [&'static str],
}

const FAMILIES: [fn(&str, &str) -> Option<Runner>; 6] = [
    color::find,
    fetched::find,
    layout::find,
    ncnn::find,
    resize::find,
    tiling::find,
];

/// The runner of a component.
pub fn find(set: &str, component: &str) -> Option<Runner> {
    FAMILIES.iter().find_map(|family| family(set, component))
}
