//! From what a user typed to files to load.

use super::digest::{sha256_bytes, sha256_file};
use super::inspect::{FileKind, read_param};
use super::scan::{self, Entry, Listing, State};
use super::store::{self, Installed};
use super::{Catalogue, Content, Folders, Kind, ModelRecord, ZooError, names};
use crate::{ImageModelSpec, ModelSource};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A model that can be loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedModel {
    /// Identifier in the catalogue, else the file's stem.
    pub id: String,
    /// What is known of it; certain: the weights have the record's hash.
    pub record: Option<ModelRecord>,
    /// What to load.
    pub source: ModelSource,
    /// How to run it.
    pub spec: ImageModelSpec,
    /// What it was trained on.
    pub content: Content,
    /// Licence as stated; `None` where nothing is known.
    pub licence: Option<String>,
    /// The file that was taken: the `.param` or the `.onnx`.
    pub origin: PathBuf,
}

/// Finds the network that a name or a path means. A path to a file (`.param` with its `.bin` beside it, `.bin`,
/// `.onnx`) wins over names; names are looked for in preferred folders, in kinora's own, then in the others in their
/// order. The hashes of catalogued files are compared.
///
/// # Errors
/// [`ZooError::NotInstalled`] for a model of the catalogue that is not here, [`ZooError::Unknown`],
/// [`ZooError::Ambiguous`], [`ZooError::NoFile`], [`ZooError::HalfPair`], [`ZooError::Unsupported`],
/// [`ZooError::Damaged`].
pub fn resolve(name_or_path: &str, folders: &Folders) -> Result<ResolvedModel, ZooError> {
    resolve_with(Catalogue::embedded()?, name_or_path, folders)
}

/// As [`resolve`], with a given catalogue.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_with(catalogue: &Catalogue, asked: &str, folders: &Folders) -> Result<ResolvedModel, ZooError> {
    let path = Path::new(asked);
    if path.is_file() {
        return resolve_path(catalogue, path);
    }
    // What the user prefers wins over kinora's own folder, where it can be used.
    if !folders.preferred().is_empty()
        && let Some(entry) = choose(asked, &scan::scan_places(catalogue, folders.preferred()))?
        && matches!(entry.state, State::Installed | State::Damaged { .. } | State::Found)
    {
        return from_entry(catalogue, entry.clone());
    }
    // The catalogue's own identifiers need no walk through other folders.
    if let Some(record) = catalogue.get(asked.trim()) {
        let folder = store::model_folder(folders.own(), record);
        if folder.is_dir() {
            return from_own(catalogue, scan::own_entry(&folder, record, "kinora"));
        }
    }
    let listing = scan::scan_with(catalogue, folders);
    let Some(entry) = choose(asked, &listing)? else {
        let is_path = asked.contains(['/', '\\']) || FileKind::of_name(path).is_some();
        if is_path {
            return Err(ZooError::NoFile { path: path.to_owned() });
        }
        let near = names::nearest(asked, listing.entries.iter().map(|e| e.id.as_str()));
        return Err(ZooError::Unknown {
            name: asked.to_owned(),
            nearest: near,
        });
    };
    from_entry(catalogue, entry.clone())
}

fn from_entry(catalogue: &Catalogue, entry: Entry) -> Result<ResolvedModel, ZooError> {
    match (&entry.state, &entry.source, &entry.path) {
        (State::Found, Some(ModelSource::Ncnn { param: path, .. } | ModelSource::Onnx(path)), _) => {
            resolve_path(catalogue, path)
        }
        (State::Unsupported { why }, _, Some(path)) => Err(ZooError::Unsupported {
            path: path.clone(),
            why: why.clone(),
        }),
        (State::Available, _, _) => Err(ZooError::NotInstalled {
            id: entry.id.clone(),
            bytes: entry.bytes,
            licence: entry
                .record
                .as_ref()
                .map_or("no licence stated", ModelRecord::licence)
                .to_owned(),
        }),
        _ => from_own(catalogue, entry),
    }
}

/// The entry a name means: at the strictest form of the name that fits anything; of one model, the first in order that
/// can be used.
fn choose<'a>(asked: &str, listing: &'a Listing) -> Result<Option<&'a Entry>, ZooError> {
    let of_entry = |entry: &'a Entry| -> Vec<&'a str> {
        let mut all = vec![entry.id.as_str()];
        all.extend(entry.record.iter().flat_map(names::of_record));
        all
    };
    let found = names::matches(asked, &listing.entries.iter().map(of_entry));
    let fits: Vec<&Entry> = found.iter().filter_map(|i| listing.entries.get(*i)).collect();
    let identity = |entry: &Entry| {
        entry
            .record
            .as_ref()
            .map_or_else(|| names::Forms::of(&entry.id).scaled, |record| record.id.clone())
    };
    if fits.iter().map(|entry| identity(entry)).collect::<BTreeSet<_>>().len() > 1 {
        let mut candidates: Vec<String> = fits
            .iter()
            .map(|entry| match (&entry.state, &entry.path) {
                (State::Found | State::Unsupported { .. }, Some(path)) => path.display().to_string(),
                _ => entry.id.clone(),
            })
            .collect();
        candidates.dedup();
        return Err(ZooError::Ambiguous {
            name: asked.to_owned(),
            candidates,
        });
    }
    let rank = |entry: &Entry| match entry.state {
        State::Installed => 0,
        State::Damaged { .. } => 1,
        State::Found => 2,
        State::Available => 3,
        State::Unsupported { .. } => 4,
    };
    Ok(fits.into_iter().min_by_key(|entry| rank(entry)))
}

/// An installed model, its hashes compared.
fn from_own(catalogue: &Catalogue, entry: Entry) -> Result<ResolvedModel, ZooError> {
    let folder = entry.path.clone().unwrap_or_default();
    let installed = match Installed::read(&folder) {
        Ok(installed) => installed,
        // A folder without a usable record was damaged by somebody.
        Err(error) => {
            let path = folder.join(store::RECORD_FILE);
            return Err(ZooError::Damaged {
                id: entry.id,
                path,
                expected: "a model record".into(),
                found: error.to_string(),
            });
        }
    };
    let record = installed.record;
    if !matches!(record.kind, Kind::Upscale | Kind::Style | Kind::Mask) {
        return Err(ZooError::Unsupported {
            path: folder,
            why: format!("it is a {}, not a network", record.kind),
        });
    }
    store::check_hashes(&folder, &record)?;
    // How to run the same files may have become better known since they were fetched.
    let record = catalogue
        .get(&record.id)
        .filter(|known| known.resources == record.resources)
        .cloned()
        .unwrap_or(record);
    let source = scan::source_of(&folder, &record).ok_or_else(|| ZooError::Unsupported {
        path: folder.clone(),
        why: "it holds neither an ncnn pair nor an ONNX file".into(),
    })?;
    Ok(with_record(source, record))
}

fn with_record(source: ModelSource, record: ModelRecord) -> ResolvedModel {
    ResolvedModel {
        id: record.id.clone(),
        spec: record.spec(),
        content: record.content,
        licence: Some(record.licence().to_owned()),
        origin: origin(&source),
        record: Some(record),
        source,
    }
}

fn origin(source: &ModelSource) -> PathBuf {
    match source {
        ModelSource::Ncnn { param: path, .. } | ModelSource::Onnx(path) => path.clone(),
    }
}

fn resolve_path(catalogue: &Catalogue, path: &Path) -> Result<ResolvedModel, ZooError> {
    let unsupported = |why: String| ZooError::Unsupported {
        path: path.to_owned(),
        why,
    };
    let kind = FileKind::of_name(path).unwrap_or(FileKind::Other);
    let (source, weights) = match kind {
        FileKind::NcnnParam | FileKind::NcnnBin => {
            let (param, bin) = (path.with_extension("param"), path.with_extension("bin"));
            for (have, missing) in [(&param, &bin), (&bin, &param)] {
                if !missing.is_file() {
                    return Err(ZooError::HalfPair {
                        have: have.clone(),
                        missing: missing.clone(),
                    });
                }
            }
            (
                ModelSource::Ncnn {
                    param,
                    bin: bin.clone(),
                },
                bin,
            )
        }
        FileKind::Onnx => (ModelSource::Onnx(path.to_owned()), path.to_owned()),
        other => return Err(unsupported(other.unsupported().unwrap_or_default())),
    };
    let (sha256, _) = sha256_file(&weights)?;
    if let Some(record) = recognise(catalogue, &origin(&source), &sha256) {
        return Ok(with_record(source, record.clone()));
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(ResolvedModel {
        // The scale is read from the file by whoever loads it; a name only helps searching.
        spec: ImageModelSpec::default(),
        content: Content::Any,
        licence: None,
        record: None,
        origin: origin(&source),
        source,
        id: stem,
    })
}

/// The model of the catalogue that these files are. One set of weights may serve several graphs (Real-ESRGAN anime
/// video at 2x, 3x and 4x): the graph's text decides, whatever its line ends are.
pub(crate) fn recognise<'a>(catalogue: &'a Catalogue, graph: &Path, weights: &'a str) -> Option<&'a ModelRecord> {
    let candidates: Vec<_> = catalogue.with_file(weights).collect();
    if let [one] = candidates.as_slice()
        && one.resources.len() == 1
    {
        return Some(one);
    }
    let unix = read_param(graph).ok()?.replace("\r\n", "\n");
    let hashes = [
        sha256_bytes(unix.as_bytes()),
        sha256_bytes(unix.replace('\n', "\r\n").as_bytes()),
    ];
    let is_graph = |hash: &Option<String>| hash.as_ref().is_some_and(|hash| hashes.contains(hash));
    candidates
        .into_iter()
        .find(|m| m.resources.iter().any(|r| r.format == "param" && is_graph(&r.sha256)))
}

/// Compares every file of an installed model with its hash, wherever among the folders it is installed.
///
/// # Errors
/// [`ZooError::NotInstalled`], [`ZooError::Damaged`] naming the first file that differs, names as in [`resolve`].
pub fn verify(name: &str, folders: &Folders) -> Result<Verified, ZooError> {
    verify_with(Catalogue::embedded()?, name, folders)
}

/// As [`verify`], with a given catalogue.
///
/// # Errors
/// As [`verify`].
pub fn verify_with(catalogue: &Catalogue, name: &str, folders: &Folders) -> Result<Verified, ZooError> {
    let known = names::in_catalogue(catalogue, name);
    let id = known.as_ref().map_or(name, |known| known.id.as_str());
    let listing = scan::scan_with(catalogue, folders);
    let installed = |entry: &&Entry| matches!(entry.state, State::Installed | State::Damaged { .. });
    match (
        listing.entries.iter().filter(installed).find(|entry| entry.id == id),
        known,
    ) {
        (Some(entry), _) => verify_entry(entry),
        (None, Ok(known)) => Err(ZooError::NotInstalled {
            id: known.id.clone(),
            bytes: known.bytes(),
            licence: known.licence().to_owned(),
        }),
        (None, Err(error)) => Err(error),
    }
}

/// As [`verify`], of a model of a list.
///
/// # Errors
/// As [`verify`].
pub fn verify_entry(entry: &Entry) -> Result<Verified, ZooError> {
    let folder = entry.path.clone().unwrap_or_default();
    let damaged = |error: ZooError| ZooError::Damaged {
        id: entry.id.clone(),
        path: folder.join(store::RECORD_FILE),
        expected: "a model record".into(),
        found: error.to_string(),
    };
    let installed = Installed::read(&folder).map_err(damaged)?;
    store::check_hashes(&folder, &installed.record)?;
    Ok(Verified {
        files: installed.record.resources.len(),
        bytes: installed.record.bytes(),
        id: entry.id.clone(),
        folder,
    })
}

/// An installed model whose files all have their hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Its identifier.
    pub id: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Number of files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// The library of an installed runtime (`onnxruntime`, `onnxruntime-openvino`), found by presence and size: the
/// libraries it loads lie beside it.
///
/// # Errors
/// [`ZooError::NotInstalled`] or [`ZooError::Damaged`]; [`ZooError::Unknown`] for other names.
pub fn runtime_library(folders: &Folders, id: &str) -> Result<PathBuf, ZooError> {
    installed_file(folders, id, Kind::Runtime, |file| file.starts_with("libonnxruntime.so"))
}

/// The program of an installed tool (`ffmpeg`).
///
/// # Errors
/// As [`runtime_library`].
pub fn tool(folders: &Folders, id: &str) -> Result<PathBuf, ZooError> {
    installed_file(folders, id, Kind::Tool, |file| file == id)
}

/// The file of an installed clip (`clip-bikes`), the first where it has several.
///
/// # Errors
/// As [`runtime_library`].
pub fn clip(folders: &Folders, id: &str) -> Result<PathBuf, ZooError> {
    installed_file(folders, id, Kind::Clip, |_| true)
}

fn installed_file(folders: &Folders, id: &str, kind: Kind, is_it: impl Fn(&str) -> bool) -> Result<PathBuf, ZooError> {
    let catalogue = Catalogue::embedded()?;
    let unknown = || ZooError::Unknown {
        name: id.to_owned(),
        nearest: names::nearest(id, catalogue.of_kind(kind).map(|m| m.id.as_str())),
    };
    let record = catalogue
        .get(id)
        .filter(|record| record.kind == kind)
        .ok_or_else(unknown)?;
    let folder = folders
        .roots()
        .map(|root| store::model_folder(root, record))
        .find(|folder| folder.is_dir())
        .ok_or_else(|| ZooError::NotInstalled {
            id: record.id.clone(),
            bytes: record.bytes(),
            licence: record.licence().to_owned(),
        })?;
    let installed = Installed::read(&folder)?.record;
    store::check_sizes(&folder, &installed)?;
    let file = installed
        .resources
        .iter()
        .filter_map(|r| r.file.as_deref())
        .find(|file| is_it(file));
    file.map(|file| folder.join(file)).ok_or_else(unknown)
}
