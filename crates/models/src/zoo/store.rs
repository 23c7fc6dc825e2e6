//! kinora's own models folder: `<kind>/<id>/` with the files and `model.json`. Everything appears by one rename, under
//! locks that the operating system frees when their holder dies.
//!
//! ```text
//! upscale/span-x4/{model.json, spanx4_ch48.param, spanx4_ch48.bin}
//! .locks/span-x4.lock          held while a model is fetched, checked or removed
//! .partial/41-0/               files under way; .partial/41-0.lock is held by their owner
//! ```

use super::catalogue::Package;
use super::digest::sha256_file;
use super::{Catalogue, ModelRecord, ZooError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// The record beside a model's files.
pub(crate) const RECORD_FILE: &str = "model.json";
/// A record is text; a larger one is not ours.
const MAX_RECORD_BYTES: u64 = 1 << 20;

/// What `model.json` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Installed {
    /// The record as it was when the files were fetched.
    pub record: ModelRecord,
    /// The packages the files came out of.
    pub packages: BTreeMap<String, Package>,
}

impl Installed {
    pub(crate) fn of(record: &ModelRecord, catalogue: &Catalogue) -> Self {
        let names = record.resources.iter().filter_map(|r| r.package.as_ref());
        let packages = names
            .filter_map(|name| Some((name.clone(), catalogue.packages.get(name)?.clone())))
            .collect();
        Self {
            record: record.clone(),
            packages,
        }
    }

    /// Reads the record of an installed model.
    ///
    /// # Errors
    /// [`ZooError::Io`] where there is none, [`ZooError::Record`] where it cannot be used.
    pub fn read(folder: &Path) -> Result<Self, ZooError> {
        let path = folder.join(RECORD_FILE);
        let bad = |why: String| ZooError::Record {
            what: path.display().to_string(),
            why,
        };
        let length = std::fs::metadata(&path).map_err(ZooError::io("read", &path))?.len();
        if length > MAX_RECORD_BYTES {
            return Err(bad(format!("{length} bytes, at most {MAX_RECORD_BYTES} were expected")));
        }
        let text = std::fs::read_to_string(&path).map_err(ZooError::io("read", &path))?;
        let installed: Self = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        installed.record.check().map_err(bad)?;
        Ok(installed)
    }
}

/// Where a model of the record lies in a models folder.
pub(crate) fn model_folder(root: &Path, record: &ModelRecord) -> PathBuf {
    root.join(record.kind.as_str()).join(&record.id)
}

/// Paths of a model's files, with size and hash where known.
pub(crate) fn files<'a>(
    folder: &'a Path,
    record: &'a ModelRecord,
) -> impl Iterator<Item = (PathBuf, Option<u64>, Option<&'a str>)> {
    record
        .resources
        .iter()
        .filter_map(move |r| Some((folder.join(r.file.as_ref()?), r.size, r.sha256.as_deref())))
}

/// Compares presence and size of a model's files with the record: what a list can afford.
pub(crate) fn check_sizes(folder: &Path, record: &ModelRecord) -> Result<(), ZooError> {
    for (path, size, _) in files(folder, record) {
        let found = std::fs::metadata(&path)
            .ok()
            .filter(std::fs::Metadata::is_file)
            .map(|meta| meta.len());
        if found.is_none() || size.is_some() && found != size {
            let found = found.map_or_else(|| "no file".into(), |bytes| format!("{bytes} bytes"));
            let expected = size.map_or_else(|| "a file".into(), |bytes| format!("{bytes} bytes"));
            return Err(ZooError::Damaged {
                id: record.id.clone(),
                path,
                expected,
                found,
            });
        }
    }
    Ok(())
}

/// Compares size and SHA-256 of a model's files with the record.
pub(crate) fn check_hashes(folder: &Path, record: &ModelRecord) -> Result<(), ZooError> {
    check_sizes(folder, record)?;
    for (path, _, expected) in files(folder, record) {
        let Some(expected) = expected else { continue };
        let (found, _) = sha256_file(&path)?;
        if found != expected {
            let (expected, found) = (format!("sha256 {expected}"), format!("sha256 {found}"));
            return Err(ZooError::Damaged {
                id: record.id.clone(),
                path,
                expected,
                found,
            });
        }
    }
    Ok(())
}

/// An exclusive lock of one model, freed when dropped or when the process ends in any way.
pub(crate) struct Lock {
    _file: File,
}

/// Waits until nobody else works on the model.
pub(crate) fn lock_model(root: &Path, id: &str) -> Result<Lock, ZooError> {
    let folder = root.join(".locks");
    std::fs::create_dir_all(&folder).map_err(ZooError::io("create", &folder))?;
    let path = folder.join(format!("{id}.lock"));
    Ok(Lock {
        _file: open_locked(&path)?,
    })
}

fn open_lock_file(path: &Path) -> Result<File, ZooError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(ZooError::io("open", path))
}

fn open_locked(path: &Path) -> Result<File, ZooError> {
    let file = open_lock_file(path)?;
    loop {
        match file.lock() {
            Ok(()) => return Ok(file),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ZooError::io("lock", path)(error)),
        }
    }
}

/// A folder for files under way, on the disk of the models folder. Cleared when dropped; what a killed process left is
/// cleared by the next one.
pub(crate) struct Partial {
    folder: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Partial {
    /// Clears what dead processes left, then makes a new folder.
    pub(crate) fn create(root: &Path) -> Result<Self, ZooError> {
        let all = root.join(".partial");
        std::fs::create_dir_all(&all).map_err(ZooError::io("create", &all))?;
        // Making and clearing exclude each other, so that nothing is cleared between its making and its locking.
        let _gate = open_locked(&all.join("gate"))?;
        clear_abandoned(&all);
        let pid = std::process::id();
        for n in 0..u32::MAX {
            let folder = all.join(format!("{pid}-{n}"));
            let lock_path = all.join(format!("{pid}-{n}.lock"));
            // Two containers that share the folder may share a process number: the first free name is ours.
            if folder.exists() || lock_path.exists() {
                continue;
            }
            let lock = open_locked(&lock_path)?;
            std::fs::create_dir(&folder).map_err(ZooError::io("create", &folder))?;
            return Ok(Self {
                folder,
                lock_path,
                _lock: lock,
            });
        }
        Err(ZooError::io("create", all)(std::io::ErrorKind::AlreadyExists.into()))
    }

    /// A new folder inside.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, ZooError> {
        let path = self.folder.join(name);
        std::fs::create_dir(&path).map_err(ZooError::io("create", &path))?;
        Ok(path)
    }

    /// A path inside where nothing lies.
    pub(crate) fn free_path(&self) -> PathBuf {
        let mut n = 0_u32;
        loop {
            let path = self.folder.join(format!("old-{n}"));
            if !path.exists() {
                return path;
            }
            n += 1;
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Nothing is lost when this fails: the next process clears it.
        let _ = std::fs::remove_dir_all(&self.folder);
        let _ = std::fs::remove_file(&self.lock_path);
    }
}

fn clear_abandoned(all: &Path) {
    let Ok(entries) = std::fs::read_dir(all) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_lock = path.extension().is_some_and(|e| e == "lock");
        if path.is_dir() && !path.with_extension("lock").exists() {
            let _ = std::fs::remove_dir_all(&path);
        } else if is_lock && let Ok(file) = open_lock_file(&path) {
            match file.try_lock() {
                Ok(()) => {
                    let _ = std::fs::remove_dir_all(path.with_extension(""));
                    let _ = std::fs::remove_file(&path);
                }
                Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
            }
        }
    }
}

/// Writes `model.json` into a folder under way and syncs it.
pub(crate) fn write_record(folder: &Path, installed: &Installed) -> Result<(), ZooError> {
    use std::io::Write as _;
    let path = folder.join(RECORD_FILE);
    let mut text = serde_json::to_vec_pretty(installed).map_err(|error| ZooError::Record {
        what: installed.record.id.clone(),
        why: error.to_string(),
    })?;
    text.push(b'\n');
    let mut file = File::create_new(&path).map_err(ZooError::io("write", &path))?;
    file.write_all(&text)
        .and_then(|()| file.sync_all())
        .map_err(ZooError::io("write", &path))
}

/// Puts a finished folder in its place, in one step; what was there moves into `partial` and goes with it.
pub(crate) fn put_in_place(finished: &Path, target: &Path, partial: &Partial) -> Result<(), ZooError> {
    let parent = target.parent().unwrap_or(target);
    std::fs::create_dir_all(parent).map_err(ZooError::io("create", parent))?;
    sync_folder(finished)?;
    if target.exists() {
        if !exchange(finished, target) {
            let old = partial.free_path();
            std::fs::rename(target, &old).map_err(ZooError::io("rename", target))?;
            std::fs::rename(finished, target).map_err(ZooError::io("rename", finished))?;
        }
    } else {
        std::fs::rename(finished, target).map_err(ZooError::io("rename", finished))?;
    }
    sync_folder(parent)
}

/// Swaps two folders in one step where the system can.
#[cfg(target_os = "linux")]
fn exchange(a: &Path, b: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> bool {
    false
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> Result<(), ZooError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(ZooError::io("sync", path))
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), ZooError> {
    Ok(())
}

/// Bytes free for this user on the disk of a folder; `None` where the system does not say.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(folder).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}
