//! Weights: f32 tensors inside mapped files.
//!
//! A mapped file is never written again by us: caches are written under a temporary name and renamed, so that a mapping
//! stays valid for as long as it lives. That is what makes the map sound.
#![allow(unsafe_code)]

mod cache;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub use cache::{WeightCache, WeightWriter};
pub(crate) use cache::{clear_abandoned, temporary_name};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};

use crate::error::{NnError, Result};

/// Largest header of a safetensors file that is read.
const MAX_HEADER: u64 = 100 << 20;

/// A weights file, mapped.
#[derive(Debug)]
pub struct WeightFile {
    path: PathBuf,
    map: Mmap,
    hash: OnceLock<u128>,
}

impl WeightFile {
    /// Maps a file. The path is made canonical, because the runtime refuses links that leave a folder.
    pub fn open(path: &Path) -> Result<Arc<Self>> {
        let path = path.canonicalize().map_err(NnError::io("open", path))?;
        let file = File::open(&path).map_err(NnError::io("open", &path))?;
        let length = file.metadata().map_err(NnError::io("open", &path))?.len();
        if length == 0 {
            return Err(NnError::Weights {
                path,
                why: "the file is empty".into(),
            });
        }
        // SAFETY: the file is opened for reading only; weights and cache files are replaced by rename and never
        // rewritten in place, so the pages behind the map do not change or vanish while it lives.
        let map = unsafe { Mmap::map(&file) }.map_err(NnError::io("map", &path))?;
        Ok(Arc::new(Self {
            path,
            map,
            hash: OnceLock::new(),
        }))
    }

    /// Canonical path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Hash of all bytes, computed once.
    pub fn hash(&self) -> u128 {
        *self.hash.get_or_init(|| xxhash_rust::xxh3::xxh3_128(&self.map))
    }
}

#[derive(Clone, Debug)]
enum Data {
    Mapped {
        file: Arc<WeightFile>,
        offset: usize,
        bytes: usize,
    },
    Inline(Arc<[f32]>),
}

/// A named f32 tensor: a range of a mapped file, or a few values in memory. Cloning it copies no values.
#[derive(Clone, Debug)]
pub struct Weight {
    name: Arc<str>,
    shape: Vec<usize>,
    data: Data,
}

impl Weight {
    /// A weight held in memory: constants and small tables. Large weights belong into a file.
    pub fn inline(name: &str, shape: &[usize], values: Vec<f32>) -> Result<Self> {
        let want = crate::tensor::element_count(shape);
        if want != Some(values.len()) {
            return Err(NnError::shape(
                format!("weight `{name}`"),
                format!("{shape:?} = {} values", want.unwrap_or(usize::MAX)),
                format!("{} values", values.len()),
            ));
        }
        Ok(Self {
            name: name.into(),
            shape: shape.to_vec(),
            data: Data::Inline(values.into()),
        })
    }

    /// Name in the network.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sides, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The same values under another shape of the same count.
    pub fn reshaped(&self, shape: &[usize]) -> Result<Self> {
        if crate::tensor::element_count(shape) != crate::tensor::element_count(&self.shape) {
            return Err(NnError::shape(
                format!("reshape of weight `{}`", self.name),
                format!("as many values as {:?}", self.shape),
                format!("{shape:?}"),
            ));
        }
        Ok(Self {
            name: self.name.clone(),
            shape: shape.to_vec(),
            data: self.data.clone(),
        })
    }

    /// The values.
    pub fn values(&self) -> &[f32] {
        match &self.data {
            Data::Inline(values) => values,
            Data::Mapped { file, offset, bytes } => file
                .bytes()
                .get(*offset..offset + bytes)
                .map_or(&[], |b| bytemuck::try_cast_slice(b).unwrap_or(&[])),
        }
    }

    /// File, byte offset and byte length, where the values lie in a file.
    pub fn location(&self) -> Option<(&Arc<WeightFile>, usize, usize)> {
        match &self.data {
            Data::Mapped { file, offset, bytes } => Some((file, *offset, *bytes)),
            Data::Inline(_) => None,
        }
    }

    /// Whether both are the same values of the same place.
    pub(crate) fn same_data(&self, other: &Self) -> bool {
        match (&self.data, &other.data) {
            (Data::Inline(a), Data::Inline(b)) => a == b,
            (Data::Mapped { file: a, offset: x, .. }, Data::Mapped { file: b, offset: y, .. }) => {
                Arc::ptr_eq(a, b) && x == y
            }
            _ => false,
        }
    }
}

/// The f32 tensors of a mapped safetensors file, by name.
#[derive(Clone, Debug)]
pub struct WeightStore {
    file: Arc<WeightFile>,
    weights: Vec<Weight>,
}

impl WeightStore {
    /// Maps a safetensors file and reads its header. Every tensor must be f32: widen other files once into a
    /// [`WeightCache`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_file(WeightFile::open(path)?)
    }

    pub(crate) fn from_file(file: Arc<WeightFile>) -> Result<Self> {
        let wrong = |why: String| NnError::Weights {
            path: file.path().to_path_buf(),
            why,
        };
        let header = file
            .bytes()
            .get(..8)
            .and_then(|b| b.try_into().ok())
            .map(u64::from_le_bytes);
        let header = match header {
            Some(n) if n <= MAX_HEADER => n as usize,
            Some(n) => {
                return Err(wrong(format!(
                    "a header of {n} bytes was announced; at most {MAX_HEADER} are read"
                )));
            }
            None => return Err(wrong("shorter than the header of a safetensors file".into())),
        };
        let tensors = SafeTensors::deserialize(file.bytes()).map_err(|e| wrong(e.to_string()))?;
        let base = file.bytes().as_ptr() as usize;
        let mut weights = Vec::with_capacity(tensors.len());
        for (name, view) in tensors.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(wrong(format!("tensor `{name}`: expected F32, got {:?}", view.dtype())));
            }
            let offset = view.data().as_ptr() as usize - base;
            if !offset.is_multiple_of(4) {
                return Err(wrong(format!(
                    "tensor `{name}` starts at byte {offset}, which is not a multiple of 4"
                )));
            }
            debug_assert!(offset >= header + 8);
            weights.push(Weight {
                name: name.into(),
                shape: view.shape().to_vec(),
                data: Data::Mapped {
                    file: file.clone(),
                    offset,
                    bytes: view.data().len(),
                },
            });
        }
        weights.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { file, weights })
    }

    /// The file.
    pub fn file(&self) -> &Arc<WeightFile> {
        &self.file
    }

    /// All weights, by name.
    pub fn weights(&self) -> &[Weight] {
        &self.weights
    }

    /// A weight by name.
    pub fn get(&self, name: &str) -> Result<Weight> {
        match self.weights.binary_search_by(|w| w.name().cmp(name)) {
            Ok(i) => Ok(self.weights[i].clone()),
            Err(_) => Err(NnError::UnknownName {
                kind: "weight",
                name: name.into(),
                known: format!("{} weights in {}", self.weights.len(), self.file.path().display()),
            }),
        }
    }
}
