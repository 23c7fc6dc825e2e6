use std::io;

use kinora_engine::EngineError;
use kinora_media::MediaError;
use kinora_models::{ModelError, zoo::ZooError};
use kinora_nn::NnError;
use kinora_pipeline::PipelineError;
use serde_json::{Value as Json, json};

/// Exit codes: a closed list. A scheduler may retry 1, 5 and death by signal; never 2 and 3; 4 waits for room.
pub(crate) mod exit {
    pub(crate) const ERROR: u8 = 1;
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const INPUT: u8 = 3;
    pub(crate) const DISK: u8 = 4;
    pub(crate) const DEVICE: u8 = 5;
    pub(crate) const STOPPED: u8 = 130;
}

/// What is said and done when a command ends badly: every typed error of the crates below ends here.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) causes: Vec<String>,
    pub(crate) hint: Option<String>,
    /// True when the same command goes on where this one ended.
    pub(crate) resumable: bool,
    /// The frame it happened on, and its time.
    pub(crate) frame: Option<Box<(u64, Option<String>)>>,
}

impl Failure {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            resumable: false,
            frame: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new("usage.value", message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// The exit code, by what the error is about.
    pub(crate) fn exit(&self) -> u8 {
        let code = self.code.as_str();
        match code.split('.').next().unwrap_or_default() {
            "usage" | "output" | "pipeline" | "encoder" => match code {
                "output.unwritable" | "output.verify" | "pipeline.ratio" => exit::ERROR,
                _ => exit::USAGE,
            },
            "input" => exit::INPUT,
            "model" => match code {
                "model.ambiguous" | "model.licence" | "model.unknown" => exit::USAGE,
                "model.offline" | "model.fetch" | "model.io" => exit::ERROR,
                "model.stopped" => exit::STOPPED,
                _ => exit::INPUT,
            },
            "disk" => exit::DISK,
            "device" | "runtime" => exit::DEVICE,
            "job" => match code {
                "job.stopped" => exit::STOPPED,
                "job.locked" | "job.io" | "job.damaged" | "job.state" | "job.incomplete" => exit::ERROR,
                _ => exit::USAGE,
            },
            _ => exit::ERROR,
        }
    }

    /// The error as people read it, on stderr.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("error[{}]: {}", self.code, self.message);
        for cause in &self.causes {
            for (at, line) in cause.lines().enumerate() {
                text.push_str(if at == 0 { "\n  cause  " } else { "\n         " });
                text.push_str(line);
            }
        }
        if let Some(hint) = &self.hint {
            text.push_str("\n  hint   ");
            text.push_str(hint);
        }
        text
    }

    /// The `error` object of JSON progress.
    pub(crate) fn json(&self) -> Json {
        json!({
            "event": "error",
            "code": self.code,
            "message": self.message,
            "cause": self.causes.join("; "),
            "hint": self.hint,
            "frame": self.frame.as_ref().map(|at| at.0),
            "timecode": self.frame.as_ref().and_then(|at| at.1.clone()),
            "resumable": self.resumable,
            "exit": self.exit(),
        })
    }
}

/// The code of a write that the system refused.
pub(crate) fn write_code(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk.full",
        _ => "output.unwritable",
    }
}

/// What lies below an error, as far as its own sentence does not say it already.
fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let said = error.to_string();
    let mut causes = Vec::new();
    let mut below = error.source();
    while let Some(cause) = below {
        let text = cause.to_string();
        if !said.contains(&text) && !causes.contains(&text) {
            causes.push(text);
        }
        below = cause.source();
    }
    causes
}

impl From<MediaError> for Failure {
    fn from(error: MediaError) -> Self {
        Self {
            hint: error.hint(),
            causes: causes(&error),
            ..Self::new(error.code(), error.to_string())
        }
    }
}

impl From<ZooError> for Failure {
    fn from(error: ZooError) -> Self {
        Self {
            hint: error.hint(),
            causes: causes(&error),
            ..Self::new(error.code(), error.to_string())
        }
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self {
            hint: error.hint(),
            causes: causes(&error),
            ..Self::new(error.code(), error.to_string())
        }
    }
}

impl From<NnError> for Failure {
    fn from(error: NnError) -> Self {
        Self {
            hint: error.hint(),
            causes: causes(&error),
            ..Self::new(error.code(), error.to_string())
        }
    }
}

impl From<PipelineError> for Failure {
    fn from(error: PipelineError) -> Self {
        Self {
            hint: error.hint(),
            causes: causes(&error),
            ..Self::new(error.code(), error.to_string())
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self {
            hint: error.hint(),
            causes: error.cause().into_iter().chain(causes(&error)).collect(),
            frame: match &error {
                EngineError::Pipeline { frame, timecode, .. } => frame.map(|frame| Box::new((frame, timecode.clone()))),
                _ => None,
            },
            ..Self::new(error.code(), error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_the_closed_list() {
        for (code, expected) in [
            ("usage.flag", 2),
            ("input.truncated", 3),
            ("model.missing", 3),
            ("model.checksum", 3),
            ("model.fetch", 1),
            ("model.stopped", 130),
            ("disk.full", 4),
            ("device.unavailable", 5),
            ("job.stopped", 130),
            ("output.exists", 2),
            ("pipeline.unknown_key", 2),
            ("tool.missing", 1),
            ("engine.panic", 1),
        ] {
            assert_eq!(Failure::new(code, "").exit(), expected, "{code}");
        }
    }

    #[test]
    fn an_error_is_what_why_and_what_to_do() {
        let failure = Failure::new("disk.full", "no room")
            .cause("9 GB\nmissing")
            .hint("free some");
        assert_eq!(
            failure.text(),
            "error[disk.full]: no room\n  cause  9 GB\n         missing\n  hint   free some"
        );
    }
}
