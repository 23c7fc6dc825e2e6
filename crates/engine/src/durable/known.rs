//! What the manifests of a job say, taken together.

use std::{collections::BTreeMap, path::Path};

use super::{
    Block, DoneRecord, EndRecord, JobRecord, Record, SegmentRecord, Store,
    line::read_all,
    names::{is_manifest, is_numbered, manifest_name, name_of},
};
use crate::EngineError;

/// What is recorded.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) job: Option<JobRecord>,
    pub(super) segments: BTreeMap<u64, SegmentRecord>,
    pub(super) end: Option<EndRecord>,
    pub(super) done: Option<DoneRecord>,
    pub(super) last_boot: Option<String>,
}

/// The union of all manifests. A torn last line is nothing; `own` is cut behind its last whole one.
pub(super) fn read_manifests(path: &Path, store: &dyn Store, own: Option<Option<Block>>) -> Result<Known, EngineError> {
    let mut known = Known::default();
    for (file, _) in super::folder::list(path, store)?
        .into_iter()
        .filter(|(path, _)| is_manifest(path))
    {
        let bytes = store
            .read(&file)
            .map_err(|source| EngineError::job_io("reading", &file, source))?;
        let lines = read_all::<Record>(&bytes);
        if let Some(line) = lines.damaged {
            return Err(EngineError::ManifestDamaged { path: file, line });
        }
        let is_own = own.is_some_and(|block| name_of(&file) == manifest_name(block));
        if is_own && lines.whole < bytes.len() as u64 {
            let cut = store.truncate(&file, lines.whole);
            cut.map_err(|source| EngineError::job_io("cutting", &file, source))?;
        }
        for record in lines.records {
            known.add(record, &file, is_own)?;
        }
    }
    Ok(known)
}

impl Known {
    fn add(&mut self, record: Record, file: &Path, is_own: bool) -> Result<(), EngineError> {
        match record {
            Record::Job(job) => {
                if self.job.as_ref().is_some_and(|known| known.identity != job.identity) {
                    return Err(EngineError::ManifestsDiffer {
                        path: file.to_path_buf(),
                        what: "it is of a job with other settings".to_owned(),
                    });
                }
                self.job.get_or_insert(*job);
            }
            Record::Segment(segment) => {
                let index = segment.index;
                // Names from a manifest are joined to the folder: none may lead out of it.
                let mut names = segment.file.iter().chain(segment.state.iter().map(|[name, _]| name));
                if let Some(name) = names.find(|name| !is_numbered(name)) {
                    return Err(EngineError::ManifestsDiffer {
                        path: file.to_path_buf(),
                        what: format!("'{name}' is no name of a segment"),
                    });
                }
                match self.segments.get(&index) {
                    Some(known) if known.blake3 != segment.blake3 && !is_own => {
                        return Err(EngineError::ManifestsDiffer {
                            path: file.to_path_buf(),
                            what: format!(
                                "segment {index} is {} here and {} elsewhere",
                                segment.blake3, known.blake3
                            ),
                        });
                    }
                    _ => {
                        self.segments.insert(index, segment);
                    }
                }
            }
            Record::End(end) => self.end = Some(end),
            Record::Done(done) => self.done = Some(done),
            Record::Note(note) => {
                if note.what == "start"
                    && is_own
                    && let Some(boot) = note.about.get("boot").and_then(|boot| boot.as_str())
                {
                    self.last_boot = Some(boot.to_owned());
                }
                if note.what == "lost"
                    && let Some(index) = note.about.get("segment").and_then(serde_json::Value::as_u64)
                {
                    self.segments.remove(&index);
                }
            }
        }
        Ok(())
    }
}
