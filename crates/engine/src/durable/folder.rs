use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::json;

use super::{
    Block, DoneRecord, EndRecord, Identity, JobRecord, NoteRecord, Record, SegmentRecord, Store, Who,
    known::{Known, read_manifests},
    line::write,
    lock::Lock,
    names::{
        LOCK, is_manifest, is_numbered, is_tmp, is_unfinished, lock_name, manifest_name, name_of, segment_name,
        state_name, tmp_name,
    },
};
use crate::EngineError;

/// How a job folder is opened.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// Throw away what is there.
    pub restart: bool,
    /// Check every segment's hash, as is also done after the machine was started anew.
    pub verify: bool,
    /// The block that this worker makes; `None` for a job's only one.
    pub block: Option<Block>,
}

/// A file that was of no use any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
}

/// What a job folder held when it was opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// True when the folder was there and is gone on with.
    pub resumed: bool,
    /// Segments whose hashes were checked.
    pub checked: u64,
    /// Unfinished files that were removed.
    pub removed: Vec<Removed>,
}

/// The folder of one job: its segments and the manifest that says which of them are done.
///
/// A manifest is only ever added to. A worker of several has a manifest, a lock and unfinished files of its own; what is
/// done is the union of all manifests.
pub struct JobFolder {
    path: PathBuf,
    store: Arc<dyn Store>,
    block: Option<Block>,
    known: Mutex<Known>,
    _lock: Lock,
}

impl std::fmt::Debug for JobFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobFolder")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl JobFolder {
    /// Reads what a folder says of its job, without taking it: for finding old settings.
    ///
    /// # Errors
    /// [`EngineError::NoJob`], [`EngineError::ManifestDamaged`].
    pub fn peek(path: &Path, store: &dyn Store) -> Result<JobRecord, EngineError> {
        let known = read_manifests(path, store, None)?;
        known.job.ok_or_else(|| EngineError::NoJob {
            folder: path.to_path_buf(),
        })
    }

    /// The final file as its folder names it, where the work got that far.
    #[must_use]
    pub fn peek_done(path: &Path, store: &dyn Store) -> Option<DoneRecord> {
        read_manifests(path, store, None).ok()?.done
    }

    /// Takes the folder: makes it at need, locks it, reads its manifests, removes what is unfinished and checks what is
    /// recorded.
    ///
    /// # Errors
    /// [`EngineError::Locked`], [`EngineError::OtherSettings`] with the keys that differ, [`EngineError::ManifestDamaged`],
    /// [`EngineError::JobIo`].
    pub fn open(
        path: &Path,
        store: Arc<dyn Store>,
        job: &JobRecord,
        opening: &Opening,
        who: &Who,
    ) -> Result<(Self, Found), EngineError> {
        let block = opening.block;
        refuse_foreign(path, store.as_ref(), opening.restart)?;
        store
            .make_folder(&path.join(tmp_name(block)))
            .map_err(|source| EngineError::job_io("making", path, source))?;
        let lock = Lock::take(&path.join(lock_name(block)), who)?;
        // The only worker of a job and the workers of its blocks keep out of each other's way.
        for (other, _) in list(path, store.as_ref())? {
            let is_lock = name_of(&other).starts_with(LOCK) && name_of(&other) != lock_name(block);
            if is_lock && (block.is_none() || name_of(&other) == LOCK) && Lock::is_held(&other) {
                return Err(EngineError::Locked {
                    folder: path.to_path_buf(),
                    by: store
                        .read(&other)
                        .ok()
                        .and_then(|text| serde_json::from_slice(&text).ok()),
                });
            }
        }
        let mut found = Found::default();
        if opening.restart {
            clear(path, store.as_ref(), block, true, &mut found)?;
            found.removed.clear();
        }
        let mut known = read_manifests(path, store.as_ref(), Some(block))?;
        match &known.job {
            Some(old) if old.identity != job.identity => {
                return Err(EngineError::OtherSettings {
                    folder: path.to_path_buf(),
                    segments: known.segments.len() as u64,
                    differences: Identity::new(old.parts.clone()).differences(&Identity::new(job.parts.clone())),
                });
            }
            Some(_) => found.resumed = !known.segments.is_empty(),
            None => {}
        }
        let own = path.join(manifest_name(block));
        let is_new = store.read(&own).map_or(true, |bytes| bytes.is_empty());
        let folder = Self {
            path: path.to_path_buf(),
            store,
            block,
            known: Mutex::default(),
            _lock: lock,
        };
        if is_new {
            folder.record(&Record::Job(Box::new(job.clone())))?;
            folder.sync_folder()?;
            known.job = Some(job.clone());
        }
        let other_boot = known.last_boot.as_ref().is_some_and(|boot| *boot != who.boot);
        *folder.lock() = known;
        folder.remove_unfinished(&mut found)?;
        found.checked = folder.check_segments(opening.verify || other_boot)?;
        folder.note(
            "start",
            json!({"host": who.host, "pid": who.pid, "boot": who.boot, "since": who.since}),
        )?;
        Ok((folder, found))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file system it lies in.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// The block that this worker makes.
    #[must_use]
    pub fn block(&self) -> Option<Block> {
        self.block
    }

    /// Where unfinished files of this worker go.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.path.join(tmp_name(self.block))
    }

    /// Segments that are done, by number.
    #[must_use]
    pub fn segments(&self) -> BTreeMap<u64, SegmentRecord> {
        self.lock().segments.clone()
    }

    /// The source's end, once some worker reached it.
    #[must_use]
    pub fn end(&self) -> Option<EndRecord> {
        self.lock().end.clone()
    }

    /// The final file, once it is about to get its name.
    #[must_use]
    pub fn done(&self) -> Option<DoneRecord> {
        self.lock().done.clone()
    }

    /// The segments of `all` that are not done, as runs of neighbours.
    #[must_use]
    pub fn missing(&self, all: std::ops::Range<u64>) -> Vec<std::ops::Range<u64>> {
        let known = self.lock();
        let mut runs: Vec<std::ops::Range<u64>> = Vec::new();
        for segment in all.filter(|segment| !known.segments.contains_key(segment)) {
            match runs.last_mut() {
                Some(run) if run.end == segment => run.end += 1,
                _ => runs.push(segment..segment + 1),
            }
        }
        runs
    }

    /// Puts a finished segment in its place and records it: sync, rename, sync of the folder, line, sync of the
    /// manifest. Its state, where there is one, goes before the line in the same way.
    ///
    /// # Errors
    /// [`EngineError::JobIo`]; the segment is not recorded then.
    pub fn commit(
        &self,
        mut record: SegmentRecord,
        piece: Option<&Path>,
        state: Option<&[u8]>,
    ) -> Result<SegmentRecord, EngineError> {
        let fault = |doing, path: &Path| {
            let path = path.to_path_buf();
            move |source| EngineError::job_io(doing, &path, source)
        };
        if let Some(piece) = piece {
            let name = segment_name(record.index);
            let target = self.path.join(&name);
            (record.bytes, record.blake3) = hash_file(piece)?;
            self.store.sync(piece).map_err(fault("syncing", piece))?;
            self.store
                .rename(piece, &target)
                .map_err(fault("renaming to", &target))?;
            record.file = Some(name);
        }
        if let Some(state) = state {
            let name = state_name(record.index);
            let (unfinished, target) = (self.tmp().join(&name), self.path.join(&name));
            self.store
                .write(&unfinished, state)
                .map_err(fault("writing", &unfinished))?;
            self.store.sync(&unfinished).map_err(fault("syncing", &unfinished))?;
            self.store
                .rename(&unfinished, &target)
                .map_err(fault("renaming to", &target))?;
            record.state = Some([name, blake3::hash(state).to_hex().to_string()]);
        }
        self.sync_folder()?;
        self.record(&Record::Segment(record.clone()))?;
        self.lock().segments.insert(record.index, record.clone());
        Ok(record)
    }

    /// The state after a segment, checked.
    ///
    /// # Errors
    /// [`EngineError::JobIo`], [`EngineError::SegmentDamaged`].
    pub fn state_after(&self, segment: u64) -> Result<Option<Vec<u8>>, EngineError> {
        let Some([name, hash]) = self
            .lock()
            .segments
            .get(&segment)
            .and_then(|record| record.state.clone())
        else {
            return Ok(None);
        };
        let path = self.path.join(name);
        let bytes = self
            .store
            .read(&path)
            .map_err(|source| EngineError::job_io("reading", &path, source))?;
        if blake3::hash(&bytes).to_hex().as_str() != hash {
            return Err(EngineError::SegmentDamaged {
                path,
                why: "its hash is not the recorded one".to_owned(),
            });
        }
        Ok(Some(bytes))
    }

    /// Records the source's end.
    ///
    /// # Errors
    /// [`EngineError::JobIo`].
    pub fn record_end(&self, end: EndRecord) -> Result<(), EngineError> {
        self.record(&Record::End(end.clone()))?;
        self.lock().end = Some(end);
        Ok(())
    }

    /// Records what the final file will be.
    ///
    /// # Errors
    /// [`EngineError::JobIo`].
    pub fn record_done(&self, done: DoneRecord) -> Result<(), EngineError> {
        self.record(&Record::Done(done.clone()))?;
        self.lock().done = Some(done);
        Ok(())
    }

    /// Records something worth knowing later.
    ///
    /// # Errors
    /// [`EngineError::JobIo`].
    pub fn note(&self, what: &str, about: serde_json::Value) -> Result<(), EngineError> {
        self.record(&Record::Note(NoteRecord {
            what: what.to_owned(),
            about,
        }))
    }

    /// Removes the folder and all that this protocol put into it; what is not its own stays, and the folder with it.
    ///
    /// # Errors
    /// [`EngineError::JobIo`].
    pub fn remove(self) -> Result<(), EngineError> {
        let Self { path, store, block, .. } = self;
        // The manifest last: as long as anything is left, it says that the work is done.
        clear(&path, store.as_ref(), block, false, &mut Found::default())?;
        for name in [tmp_name(block), lock_name(block)] {
            let path = path.join(name);
            let _ = store.remove(&path).or_else(|_| store.remove_folder(&path));
        }
        // Something of somebody else's may lie in it.
        let _ = store.remove_folder(&path);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, record: &Record) -> Result<(), EngineError> {
        let path = self.path.join(manifest_name(self.block));
        let line = write(record).map_err(|error| EngineError::job_io("writing", &path, io::Error::other(error)))?;
        self.store
            .append(&path, &line)
            .map_err(|source| EngineError::job_io("writing", &path, source))?;
        self.store
            .sync(&path)
            .map_err(|source| EngineError::job_io("syncing", &path, source))
    }

    fn sync_folder(&self) -> Result<(), EngineError> {
        let synced = self.store.sync_folder(&self.path);
        synced.map_err(|source| EngineError::job_io("syncing", &self.path, source))
    }

    /// Removes unfinished files of this worker, and segments and states that no manifest knows. Only names that this
    /// protocol makes; with blocks, only where no other worker can be about to record them.
    fn remove_unfinished(&self, found: &mut Found) -> Result<(), EngineError> {
        for (path, bytes) in list(&self.tmp(), self.store.as_ref())? {
            if let Some(bytes) = bytes.filter(|_| is_unfinished(&name_of(&path))) {
                remove_file(self.store.as_ref(), &path, bytes, found)?;
            }
        }
        if self.block.is_some() {
            return Ok(());
        }
        let known: BTreeSet<String> = {
            let known = self.lock();
            let files = known.segments.values();
            files
                .flat_map(|record| {
                    record
                        .file
                        .clone()
                        .into_iter()
                        .chain(record.state.clone().map(|[name, _]| name))
                })
                .collect()
        };
        for (path, bytes) in list(&self.path, self.store.as_ref())? {
            let name = name_of(&path);
            if let Some(bytes) = bytes
                && is_numbered(&name)
                && !known.contains(&name)
            {
                remove_file(self.store.as_ref(), &path, bytes, found)?;
            }
        }
        Ok(())
    }

    /// Every recorded file must be there and as long as recorded, and of the recorded hash where that is asked. A
    /// segment that is not is forgotten, so that it is made again.
    fn check_segments(&self, hashes: bool) -> Result<u64, EngineError> {
        let sizes: BTreeMap<PathBuf, Option<u64>> = list(&self.path, self.store.as_ref())?.into_iter().collect();
        let mut lost = Vec::new();
        let mut checked = 0;
        for (index, record) in self.segments() {
            let Some(file) = &record.file else { continue };
            let path = self.path.join(file);
            let mut is_good = sizes.get(&path) == Some(&Some(record.bytes));
            if is_good && hashes {
                is_good = hash_file(&path)?.1 == record.blake3;
                checked += 1;
            }
            if let Some([name, _]) = &record.state {
                is_good &= sizes.contains_key(&self.path.join(name));
            }
            if !is_good {
                lost.push(index);
            }
        }
        for index in lost {
            self.note("lost", json!({"segment": index}))?;
            self.lock().segments.remove(&index);
        }
        Ok(checked)
    }
}

pub(super) fn list(path: &Path, store: &dyn Store) -> Result<Vec<(PathBuf, Option<u64>)>, EngineError> {
    store
        .list(path)
        .map_err(|source| EngineError::job_io("reading", path, source))
}

fn remove_file(store: &dyn Store, path: &Path, bytes: u64, found: &mut Found) -> Result<(), EngineError> {
    store
        .remove(path)
        .map_err(|source| EngineError::job_io("removing", path, source))?;
    found.removed.push(Removed {
        name: name_of(path),
        bytes,
    });
    Ok(())
}

/// A folder with files and no manifest is no job: nothing in it is ours to remove.
fn refuse_foreign(path: &Path, store: &dyn Store, restart: bool) -> Result<(), EngineError> {
    let Ok(names) = store.list(path) else { return Ok(()) };
    if names.iter().any(|(path, _)| is_manifest(path)) {
        return Ok(());
    }
    let is_own = |path: &Path, bytes: Option<u64>| {
        let name = name_of(path);
        match bytes {
            // A run that was killed before its first line has left these.
            Some(_) => name.starts_with(LOCK) || (restart && is_numbered(&name)),
            None => {
                is_tmp(&name)
                    && store
                        .list(path)
                        .is_ok_and(|names| names.iter().all(|(path, _)| is_unfinished(&name_of(path))))
            }
        }
    };
    match names.iter().find(|(path, bytes)| !is_own(path, *bytes)) {
        Some((found, _)) => Err(EngineError::NotAJob {
            folder: path.to_path_buf(),
            holds: name_of(found),
        }),
        None => Ok(()),
    }
}

/// Removes what this protocol makes, but for the lock that is held and its own empty folder. The manifests first or
/// last: without them the rest is nobody's.
fn clear(
    path: &Path,
    store: &dyn Store,
    block: Option<Block>,
    manifests_first: bool,
    found: &mut Found,
) -> Result<(), EngineError> {
    let mut names = list(path, store)?;
    names.sort_by_key(|(path, _)| is_manifest(path) != manifests_first);
    for (path, bytes) in names {
        let name = name_of(&path);
        match bytes {
            Some(bytes) => {
                let is_own = is_manifest(&path) || is_numbered(&name);
                let is_old_lock = name.starts_with(LOCK) && name != lock_name(block);
                if is_own || is_old_lock {
                    remove_file(store, &path, bytes, found)?;
                }
            }
            None if is_tmp(&name) => {
                for (path, bytes) in list(&path, store)? {
                    if let Some(bytes) = bytes.filter(|_| is_unfinished(&name_of(&path))) {
                        remove_file(store, &path, bytes, found)?;
                    }
                }
                if name != tmp_name(block) {
                    let _ = store.remove_folder(&path);
                }
            }
            None => {}
        }
    }
    Ok(())
}

pub(super) fn hash_file(path: &Path) -> Result<(u64, String), EngineError> {
    let fault = |source| EngineError::job_io("reading", path, source);
    let mut file = std::fs::File::open(path).map_err(fault)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&mut file).map_err(fault)?;
    Ok((hasher.count(), hasher.finalize().to_hex().to_string()))
}
