//! Where a tensor's external data may lie: a plain file of one name, in the model's own folder or below it.

use std::fs::Metadata;
use std::path::{Component, Path, PathBuf};

use crate::error::{ModelError, Result};

/// A checked range of a file.
pub(super) struct Span {
    pub(super) file: PathBuf,
    pub(super) length: u64,
}

/// Checks the entries of a tensor's `external_data`. `real` is the canonical path of the model; `bytes` is what the
/// tensor's shape asks for.
pub(super) fn check(path: &Path, real: &Path, entries: &[(String, String)], bytes: Option<u64>) -> Result<Span> {
    let value = |key: &str| entries.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
    let location = value("location").unwrap_or_default();
    let refused = |why: String| ModelError::ExternalData {
        path: path.into(),
        location: location.into(),
        why,
    };
    let number = |key: &str| match value(key) {
        None | Some("") => Ok(None),
        Some(text) => text
            .parse::<u64>()
            .map(Some)
            .map_err(|_| refused(format!("its {key} `{text}` is no number"))),
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    if location.is_empty() {
        return Err(refused("it names no file".into()));
    }
    let relative = Path::new(location);
    let plain = relative.components().all(|c| matches!(c, Component::Normal(_)));
    // A backslash is a separator for the systems on which some models were made.
    if relative.is_absolute() || !plain || location.contains('\\') || location.contains(':') {
        return Err(refused(
            "it must be a path below the model's folder, without `..`".into(),
        ));
    }
    let mut file = real
        .parent()
        .map(Path::to_path_buf)
        .ok_or_else(|| refused("the model has no folder".into()))?;
    let mut metadata = None;
    for part in relative.components() {
        file.push(part);
        let found = std::fs::symlink_metadata(&file).map_err(|e| refused(e.to_string()))?;
        if found.is_symlink() {
            return Err(refused(format!("{} is a symbolic link", file.display())));
        }
        metadata = Some(found);
    }
    let metadata = metadata
        .filter(Metadata::is_file)
        .ok_or_else(|| refused("it is not a plain file".into()))?;
    if has_other_names(&metadata) {
        return Err(refused("the file has a second name (hard link)".into()));
    }
    let length = length
        .or(bytes)
        .unwrap_or_else(|| metadata.len().saturating_sub(offset));
    if let Some(expected) = bytes
        && expected != length
    {
        return Err(refused(format!(
            "the tensor needs {expected} bytes and {length} are given"
        )));
    }
    if offset.checked_add(length).is_none_or(|end| end > metadata.len()) {
        let end = format!("bytes {offset} to {}", offset.saturating_add(length));
        return Err(refused(format!("{end} of a file of {} bytes", metadata.len())));
    }
    Ok(Span { file, length })
}

#[cfg(unix)]
fn has_other_names(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) > 1
}

#[cfg(not(unix))]
fn has_other_names(_metadata: &Metadata) -> bool {
    false
}
