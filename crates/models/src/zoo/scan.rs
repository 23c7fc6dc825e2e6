//! What is there: installed, to be had, damaged, found in folders of other programs.

use super::folders::{Layout, Place};
use super::inspect::FileKind;
use super::store::{self, Installed};
use super::walk::Walk;
use super::{Catalogue, Folders, Kind, ModelRecord, ZooError, names};
use crate::ModelSource;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How a model stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// In kinora's own folder, every file present in its size. [`super::verify`] compares the hashes.
    Installed,
    /// In the catalogue; `kinora models pull` gets it.
    Available,
    /// In kinora's own folder and not whole.
    Damaged {
        /// The first file that differs.
        file: PathBuf,
        /// A sentence.
        why: String,
    },
    /// In a folder of another program, usable in place.
    Found,
    /// In a folder of another program, and not usable.
    Unsupported {
        /// A sentence.
        why: String,
    },
}

/// A model in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Identifier, or the file's stem where it was found in place.
    pub id: String,
    /// What it is for; `None` where the folder does not say.
    pub kind: Option<Kind>,
    /// How it stands.
    #[serde(flatten)]
    pub state: State,
    /// What is known of it. For files found in place: the record of that name, which their hash may not confirm.
    pub record: Option<ModelRecord>,
    /// Its folder, or the file where it was found in place; `None` while it is only available.
    pub path: Option<PathBuf>,
    /// What to load, for networks that can be used.
    #[serde(skip)]
    pub source: Option<ModelSource>,
    /// Bytes on disk, or to fetch.
    pub bytes: u64,
    /// Where it lies: `kinora`, `ComfyUI upscale_models`, `Hugging Face org/name`; empty while only available.
    pub place: String,
}

/// A list of models.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Listing {
    /// Models: the catalogue's in its order, then others of kinora's own folder, then what was found in place.
    pub entries: Vec<Entry>,
    /// What the list cannot show: folders that could not be read, limits that were reached.
    pub notes: Vec<String>,
}

/// Lists the built-in catalogue and everything in the folders. Files are not hashed.
///
/// # Errors
/// None but a broken catalogue; folders that cannot be read become notes.
pub fn scan(folders: &Folders) -> Result<Listing, ZooError> {
    Ok(scan_with(Catalogue::embedded()?, folders))
}

/// As [`scan`], with a given catalogue.
#[must_use]
pub fn scan_with(catalogue: &Catalogue, folders: &Folders) -> Listing {
    let mut lister = Lister {
        catalogue,
        walk: Walk::default(),
        listing: Listing::default(),
    };
    let mut seen = BTreeSet::new();
    for record in &catalogue.models {
        let folder = store::model_folder(folders.own(), record);
        lister.listing.entries.push(own_entry(&folder, record, "kinora"));
        seen.insert(folder);
    }
    lister.own_folder(folders.own(), "kinora", seen);
    lister.places(folders.places());
    lister.listing.notes.extend_from_slice(folders.notes());
    lister.listing.notes.append(&mut lister.walk.notes);
    lister.listing
}

/// Lists what lies in some places.
pub(crate) fn scan_places(catalogue: &Catalogue, places: &[Place]) -> Listing {
    let mut lister = Lister {
        catalogue,
        walk: Walk::default(),
        listing: Listing::default(),
    };
    lister.places(places);
    lister.listing
}

/// A list under way.
struct Lister<'a> {
    catalogue: &'a Catalogue,
    walk: Walk,
    listing: Listing,
}

impl Lister<'_> {
    /// Lists a folder of kinora's layout by the records that lie in it, and the files that people put there
    /// themselves.
    fn own_folder(&mut self, root: &Path, name: &str, mut seen: BTreeSet<PathBuf>) {
        for kind in Kind::ALL {
            let kind_folder = root.join(kind.as_str());
            let Ok(entries) = std::fs::read_dir(&kind_folder) else {
                continue;
            };
            let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            let role = if kind == Kind::Upscale { "upscale_models" } else { "" };
            let place = Place {
                path: kind_folder,
                layout: Layout::Plain,
                role: role.to_owned(),
            };
            for path in paths {
                if !seen.insert(path.clone()) {
                    continue;
                }
                if path.is_file() {
                    self.found(&place, vec![path]);
                } else if path.join(store::RECORD_FILE).exists() {
                    match Installed::read(&path) {
                        Ok(installed) => self.listing.entries.push(own_entry(&path, &installed.record, name)),
                        Err(error) => self.listing.notes.push(error.to_string()),
                    }
                } else {
                    let files = self.walk.folder(&path);
                    self.found(&place, files);
                }
            }
        }
    }

    fn places(&mut self, places: &[Place]) {
        for place in places {
            let files = match place.layout {
                Layout::Kinora => {
                    self.own_folder(&place.path, &place.path.display().to_string(), BTreeSet::new());
                    continue;
                }
                Layout::HuggingFace => self.walk.hub(&place.path),
                Layout::Plain | Layout::ComfyUi | Layout::WebUi => self.walk.folder(&place.path),
            };
            self.found(place, files);
        }
    }

    fn found(&mut self, place: &Place, mut files: Vec<PathBuf>) {
        files.sort();
        self.listing
            .entries
            .extend(files.iter().filter_map(|path| found_entry(self.catalogue, place, path)));
    }
}

pub(crate) fn own_entry(folder: &Path, record: &ModelRecord, place: &str) -> Entry {
    let state = if !folder.is_dir() {
        State::Available
    } else {
        match Installed::read(folder).and_then(|installed| store::check_sizes(folder, &installed.record)) {
            Ok(()) => State::Installed,
            Err(ZooError::Damaged {
                path, expected, found, ..
            }) => State::Damaged {
                file: path,
                why: format!("{found} instead of {expected}"),
            },
            Err(error) => State::Damaged {
                file: folder.join(store::RECORD_FILE),
                why: error.to_string(),
            },
        }
    };
    let here = state != State::Available;
    Entry {
        id: record.id.clone(),
        kind: Some(record.kind),
        source: if state == State::Installed {
            source_of(folder, record)
        } else {
            None
        },
        path: here.then(|| folder.to_owned()),
        bytes: record.bytes(),
        place: if here { place.to_owned() } else { String::new() },
        record: Some(record.clone()),
        state,
    }
}

/// The network files of an installed model.
pub(crate) fn source_of(folder: &Path, record: &ModelRecord) -> Option<ModelSource> {
    let file = |format: &str| {
        let resource = record.resources.iter().find(|r| r.format == format)?;
        Some(folder.join(resource.file.as_ref()?))
    };
    match (file("param"), file("bin"), file("onnx")) {
        (Some(param), Some(bin), _) => Some(ModelSource::Ncnn { param, bin }),
        (_, _, Some(onnx)) => Some(ModelSource::Onnx(onnx)),
        _ => None,
    }
}

fn found_entry(catalogue: &Catalogue, place: &Place, path: &Path) -> Option<Entry> {
    let file_kind = FileKind::of_name(path)?;
    let pair_bin = path.with_extension("bin");
    let (source, extra) = match file_kind {
        // The .param stands for the pair; weights of other programs carry this suffix too.
        FileKind::NcnnBin => return None,
        FileKind::NcnnParam if pair_bin.is_file() => {
            let bytes = std::fs::metadata(&pair_bin).map(|m| m.len()).unwrap_or(0);
            (
                Some(ModelSource::Ncnn {
                    param: path.to_owned(),
                    bin: pair_bin,
                }),
                bytes,
            )
        }
        FileKind::NcnnParam => (None, 0),
        FileKind::Onnx => (Some(ModelSource::Onnx(path.to_owned())), 0),
        _ => (None, 0),
    };
    let bytes = std::fs::metadata(path)
        .map(|m| m.len())
        .unwrap_or(0)
        .saturating_add(extra);
    let state = match (&source, file_kind) {
        (Some(_), _) => State::Found,
        (None, FileKind::NcnnParam) => State::Unsupported {
            why: "the .bin of the same name is missing".into(),
        },
        (None, other) => State::Unsupported {
            why: other.unsupported().unwrap_or_default(),
        },
    };
    let record = record_by_name(catalogue, path).cloned();
    let kind = match place.role.as_str() {
        "upscale_models" => Some(Kind::Upscale),
        "" => record.as_ref().map(|record| record.kind),
        _ => None,
    };
    Some(Entry {
        id: path.file_stem()?.to_string_lossy().into_owned(),
        kind,
        state,
        record,
        path: Some(path.to_owned()),
        source,
        bytes,
        place: place_name(place, path),
    })
}

/// The record that carries exactly this file's name, alone or with its folder's.
fn record_by_name<'a>(catalogue: &'a Catalogue, path: &Path) -> Option<&'a ModelRecord> {
    let stem = path.file_stem()?.to_string_lossy();
    let with_folder = path
        .parent()
        .and_then(Path::file_name)
        .map(|f| format!("{}/{stem}", f.to_string_lossy()));
    let asked = [with_folder.as_deref(), Some(&*stem)];
    asked.into_iter().flatten().find_map(|name| {
        let name = names::Forms::of(name);
        catalogue.models.iter().find(|m| {
            names::of_record(m)
                .iter()
                .any(|n| names::Forms::of(n).plain == name.plain)
        })
    })
}

fn place_name(place: &Place, path: &Path) -> String {
    match place.layout {
        Layout::HuggingFace => {
            let repository = path
                .strip_prefix(&place.path)
                .ok()
                .and_then(|p| p.iter().next())
                .map(|n| n.to_string_lossy().trim_start_matches("models--").replace("--", "/"));
            format!("Hugging Face {}", repository.unwrap_or_default())
        }
        Layout::Plain | Layout::Kinora => place.path.display().to_string(),
        layout => format!("{} {}", layout.as_str(), place.role),
    }
}
