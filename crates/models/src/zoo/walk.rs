//! Walks the folders of other programs for model files: so deep, so many, each folder once.

use super::inspect::FileKind;
use super::record::is_plain_name;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders are walked this deep ...
const MAX_DEPTH: u32 = 6;
/// ... and this many entries are looked at in all.
const MAX_ENTRIES: usize = 100_000;

/// A walk over several folders.
pub(crate) struct Walk {
    left: usize,
    /// Folders walked, as they really lie: links are followed, and a circle of links ends.
    seen: BTreeSet<PathBuf>,
    /// What could not be looked at.
    pub(crate) notes: Vec<String>,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            left: MAX_ENTRIES,
            seen: BTreeSet::new(),
            notes: Vec::new(),
        }
    }
}

impl Walk {
    /// The model files below a folder.
    pub(crate) fn folder(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut files = Vec::new();
        self.collect(folder, MAX_DEPTH, true, &mut files);
        files
    }

    /// The model files of every repository in a Hugging Face cache: of the revision that `refs/main` names, else of
    /// all that are there.
    pub(crate) fn hub(&mut self, hub: &Path) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let Ok(entries) = std::fs::read_dir(hub) else {
            return files;
        };
        for repository in entries.flatten().map(|entry| entry.path()) {
            let is_model = repository
                .file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with("models--"));
            let snapshots = repository.join("snapshots");
            if !is_model || !snapshots.is_dir() {
                continue;
            }
            let main = std::fs::read_to_string(repository.join("refs/main")).unwrap_or_default();
            let current = snapshots.join(main.trim());
            let current = if is_plain_name(main.trim()) && current.is_dir() {
                current
            } else {
                snapshots
            };
            // Its links lead to files; a link to a folder is not the cache's.
            self.collect(&current, MAX_DEPTH, false, &mut files);
        }
        files
    }

    fn collect(&mut self, folder: &Path, depth: u32, follow: bool, files: &mut Vec<PathBuf>) {
        let entries = folder
            .canonicalize()
            .and_then(|real| Ok((real, std::fs::read_dir(folder)?)));
        let (real, entries) = match entries {
            Ok(both) => both,
            Err(error) => {
                self.notes.push(format!("cannot read {}: {error}", folder.display()));
                return;
            }
        };
        if !self.seen.insert(real) {
            return;
        }
        for entry in entries.flatten() {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            if self.left == 0 {
                self.notes
                    .push(format!("only the first {MAX_ENTRIES} files were looked at"));
            }
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if path.is_dir() {
                if depth > 0 && (follow || !path.is_symlink()) {
                    self.collect(&path, depth - 1, follow, files);
                }
            } else if FileKind::of_name(&path).is_some() && path.is_file() {
                files.push(path);
            }
        }
    }
}
