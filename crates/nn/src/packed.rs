//! The packed cache: a network as the runtime has optimised it, with its weights already in the order the kernels read.
//!
//! An entry is a folder `<key>/` with the model, its weights and a manifest of checksums. It is built under a temporary
//! name and renamed, so that several processes may share the cache; the key holds everything the content depends on:
//! graph, weights, form, library version and the instruction set of this CPU. An entry that does not match its manifest
//! is built again. Weights are mapped from the entry: executables and processes share their pages.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::error::{NnError, Result};
use crate::executable::Model;
use crate::runtime::{GraphSpec, Level, LoadedGraph, ModelSource, Runtime};
use crate::weights::{WeightFile, clear_abandoned, temporary_name};

/// Version of the layout of an entry.
const LAYOUT: u32 = 1;
const MODEL: &str = "model.onnx";
const WEIGHTS: &str = "weights.bin";
const MANIFEST: &str = "manifest.json";
/// Files up to this size are hashed whole at every load (about 0.05 s); of larger ones, evenly spread blocks are.
const HASH_WHOLE: usize = 512 << 20;
const BLOCKS: usize = 256;
const BLOCK: usize = 64 << 10;

/// Networks up to this many bytes of weights are packed by the load that first meets them (about 0.2 s for 64 MB).
pub(crate) const BUILD_AT_ONCE: u64 = 256 << 20;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    layout: u32,
    files: Vec<Entry>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    name: String,
    bytes: u64,
    xxh3: String,
}

/// A graph over a packed entry.
pub(crate) struct Packed {
    pub(crate) graph: LoadedGraph,
    /// Bytes of mapped weights.
    pub(crate) bytes: u64,
    /// Whether this load built the entry.
    pub(crate) built: bool,
}

/// Folder of a network's entry.
pub(crate) fn entry_folder(cache: &Path, runtime: &Runtime, model: &Model<'_>) -> PathBuf {
    let mut key = Xxh3::new();
    key.update(&xxh3_128(model.source().bytes).to_le_bytes());
    key.update(&model.weights_hash().to_le_bytes());
    let parts = [
        model.form(),
        runtime.version(),
        runtime.build_info(),
        std::env::consts::ARCH,
        &instruction_set(),
    ];
    for part in parts {
        key.update(&(part.len() as u64).to_le_bytes());
        key.update(part.as_bytes());
    }
    cache.join(format!("packed{LAYOUT}-{:032x}", key.digest128()))
}

/// Loads the entry of a network; `None` when there is none that matches its checksums.
pub(crate) fn load(runtime: &Runtime, model: &Model<'_>, spec: &GraphSpec, folder: &Path) -> Result<Option<Packed>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let Ok(bytes) = verify(folder) else { return Ok(None) };
    let proto = fs::read(folder.join(MODEL)).map_err(NnError::io("read", folder.join(MODEL)))?;
    let folder = folder.canonicalize().map_err(NnError::io("open", folder))?;
    let spec = GraphSpec {
        level: Level::None,
        ..spec.clone()
    };
    let graph = LoadedGraph::load(
        runtime,
        model.name(),
        ModelSource {
            bytes: &proto,
            folder: Some(&folder),
        },
        &spec,
    )?;
    Ok(Some(Packed {
        graph,
        bytes,
        built: false,
    }))
}

/// Builds the entry of a network and loads it.
pub(crate) fn build(runtime: &Runtime, model: &Model<'_>, spec: &GraphSpec, folder: &Path) -> Result<Packed> {
    let Some(cache) = folder.parent() else {
        return Err(NnError::Unavailable {
            asked: "packed weights".into(),
            why: "the cache folder has no parent".into(),
        });
    };
    fs::create_dir_all(cache).map_err(NnError::io("create", cache))?;
    clear_abandoned(cache);
    let temporary = cache.join(temporary_name(folder));
    let result = fill(runtime, model, spec, &temporary).and_then(|()| put_in_place(&temporary, folder));
    if temporary.exists() {
        let _ = fs::remove_dir_all(&temporary);
    }
    result?;
    let packed = load(runtime, model, spec, folder)?;
    packed
        .map(|p| Packed { built: true, ..p })
        .ok_or_else(|| NnError::CacheCorrupt {
            path: folder.into(),
            expected: "the entry just written".into(),
            found: "another".into(),
        })
}

fn fill(runtime: &Runtime, model: &Model<'_>, spec: &GraphSpec, folder: &Path) -> Result<()> {
    fs::create_dir(folder).map_err(NnError::io("create", folder))?;
    let save = Some((folder.join(MODEL), WEIGHTS.to_owned()));
    let spec = GraphSpec {
        save,
        level: Level::All,
        ..spec.clone()
    };
    drop(LoadedGraph::load(runtime, model.name(), model.source(), &spec)?);
    let mut files = Vec::new();
    for name in [MODEL, WEIGHTS] {
        let path = folder.join(name);
        // A network without large weights has none beside its model.
        if path.exists() {
            let file = File::open(&path).map_err(NnError::io("open", &path))?;
            file.sync_all().map_err(NnError::io("write", &path))?;
            let (bytes, xxh3) = digest(&path)?;
            files.push(Entry {
                name: name.into(),
                bytes,
                xxh3,
            });
        }
    }
    let path = folder.join(MANIFEST);
    let text = serde_json::to_string_pretty(&Manifest { layout: LAYOUT, files })
        .map_err(|e| NnError::io("write", &path)(e.into()))?;
    fs::write(&path, text)
        .and_then(|()| File::open(&path)?.sync_all())
        .map_err(NnError::io("write", &path))
}

/// Renames a finished entry into place. Another process may have been faster, or a damaged entry may stand there.
fn put_in_place(temporary: &Path, folder: &Path) -> Result<()> {
    for _ in 0..3 {
        let Err(error) = fs::rename(temporary, folder) else {
            return Ok(());
        };
        if !folder.exists() {
            return Err(NnError::io("rename into", folder)(error));
        }
        if verify(folder).is_ok() {
            return Ok(());
        }
        put_aside(folder);
    }
    Err(NnError::CacheCorrupt {
        path: folder.into(),
        expected: "room for a new entry".into(),
        found: "one that cannot be replaced".into(),
    })
}

/// Removes an entry, moved aside first: whoever has it open keeps it.
pub(crate) fn put_aside(folder: &Path) {
    let aside = folder.with_file_name(temporary_name(folder));
    if fs::rename(folder, &aside).is_ok() {
        let _ = fs::remove_dir_all(&aside);
    }
}

/// Compares an entry with its manifest; the bytes of its weights.
fn verify(folder: &Path) -> Result<u64> {
    let path = folder.join(MANIFEST);
    let text = fs::read(&path).map_err(NnError::io("read", &path))?;
    let corrupt = |path: &Path, expected: String, found: String| NnError::CacheCorrupt {
        path: path.into(),
        expected,
        found,
    };
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|e| corrupt(&path, "a manifest".into(), e.to_string()))?;
    if manifest.layout != LAYOUT || !manifest.files.iter().any(|f| f.name == MODEL) {
        return Err(corrupt(
            &path,
            format!("layout {LAYOUT} with {MODEL}"),
            format!("layout {}", manifest.layout),
        ));
    }
    let mut weights = 0;
    for file in &manifest.files {
        if file.name != MODEL && file.name != WEIGHTS {
            return Err(corrupt(&path, format!("{MODEL} and {WEIGHTS}"), file.name.clone()));
        }
        let path = folder.join(&file.name);
        let (bytes, xxh3) = digest(&path)?;
        if (bytes, &xxh3) != (file.bytes, &file.xxh3) {
            return Err(corrupt(
                &path,
                format!("{} bytes, {}", file.bytes, file.xxh3),
                format!("{bytes} bytes, {xxh3}"),
            ));
        }
        if file.name == WEIGHTS {
            weights = bytes;
        }
    }
    Ok(weights)
}

/// Size and hash of a file; of a very large one, of evenly spread blocks.
fn digest(path: &Path) -> Result<(u64, String)> {
    let file = WeightFile::open(path)?;
    let bytes = file.bytes();
    let mut hash = Xxh3::new();
    if bytes.len() <= HASH_WHOLE {
        hash.update(bytes);
    } else {
        let step = (bytes.len() - BLOCK) / (BLOCKS - 1);
        for i in 0..BLOCKS {
            hash.update(bytes.get(i * step..i * step + BLOCK).unwrap_or_default());
        }
    }
    Ok((bytes.len() as u64, format!("{:032x}", hash.digest128())))
}

/// The instruction sets on which the runtime's choice of kernels and layouts depends.
fn instruction_set() -> String {
    let mut found: Vec<&str> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! probe {
            ($($name:tt),*) => { $(if std::arch::is_x86_feature_detected!($name) { found.push($name); })* };
        }
        probe!(
            "sse4.1",
            "avx",
            "avx2",
            "fma",
            "avxvnni",
            "avx512f",
            "avx512bw",
            "avx512dq",
            "avx512vl",
            "avx512vnni",
            "avx512bf16"
        );
    }
    #[cfg(target_arch = "aarch64")]
    {
        macro_rules! probe {
            ($($name:tt),*) => { $(if std::arch::is_aarch64_feature_detected!($name) { found.push($name); })* };
        }
        probe!("neon", "dotprod", "fp16", "i8mm", "bf16", "sve");
    }
    found.sort_unstable();
    found.join(",")
}
