//! Checks an ONNX file before the runtime sees it: that it can be parsed, that it asks for nothing outside its folder and
//! for no operators of somebody's own, and what its inputs and outputs are.

mod external;
mod wire;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use kinora_nn::{DType, Dim, OnnxFile, TensorInfo, WeightFile};
use wire::{Field, Fields, Wire};

use crate::error::{ModelError, Result};

/// Largest ModelProto: what the format can hold.
const MAX_BYTES: u64 = (1 << 31) - 1;
/// Most nodes of a model, all its graphs and functions taken together.
const MAX_NODES: usize = 200_000;
/// Most weights.
const MAX_TENSORS: usize = 200_000;
/// Most inputs and outputs: older exporters list every weight among the inputs.
const MAX_VALUES: usize = MAX_TENSORS + 10_000;
/// Most functions of a model's own.
const MAX_FUNCTIONS: usize = 10_000;
/// Most sides of a tensor.
const MAX_SIDES: usize = 16;
/// Most entries that say where a weight lies.
const MAX_ENTRIES: usize = 64;
/// Deepest nesting of graphs in attributes.
const MAX_DEPTH: usize = 8;
/// Domains of operators that every build of the runtime has.
const KNOWN_DOMAINS: [&str; 3] = ["", "ai.onnx", "com.microsoft"];

/// A checked ONNX model.
#[derive(Clone, Debug)]
pub struct OnnxModel {
    /// What the runtime is given.
    pub file: OnnxFile,
    /// Inputs that are no weights, in order.
    pub inputs: Vec<TensorInfo>,
    /// Outputs in order.
    pub outputs: Vec<TensorInfo>,
    /// Operations of all its graphs.
    pub nodes: usize,
    /// Version of the standard operator set.
    pub opset: i64,
}

/// Reads and checks a model file.
///
/// External data must be plain files in the model's own folder: absolute paths, `..`, symbolic links and files with a
/// second name (hard links) are refused, and each tensor must lie inside its file.
pub fn open(path: &Path) -> Result<OnnxModel> {
    let found = std::fs::metadata(path).map_err(ModelError::unreadable(path))?.len();
    if found > MAX_BYTES {
        return Err(ModelError::TooLarge {
            path: path.into(),
            found,
            limit: MAX_BYTES,
        });
    }
    let bytes: Arc<[u8]> = std::fs::read(path).map_err(ModelError::unreadable(path))?.into();
    let real = path.canonicalize().map_err(ModelError::unreadable(path))?;
    let (head, scan) = check(path, &real, &bytes)?;
    let Head { inputs, outputs, opset } = head;
    let Scan {
        nodes,
        files,
        weights_bytes,
        ..
    } = scan;
    let mut hashes = Vec::new();
    for file in &files {
        hashes.extend(WeightFile::open(file)?.hash().to_le_bytes());
    }
    let folder = if files.is_empty() {
        None
    } else {
        real.parent().map(Path::to_path_buf)
    };
    let hash = blake3::hash(&hashes);
    let weights_hash = hash
        .as_bytes()
        .iter()
        .take(16)
        .fold(0u128, |n, b| n << 8 | u128::from(*b));
    let name = path
        .file_stem()
        .map_or_else(|| "onnx".into(), |n| n.to_string_lossy().into_owned());
    let file = OnnxFile {
        name,
        bytes,
        folder,
        weights_hash,
        weights_bytes,
    };
    Ok(OnnxModel {
        file,
        inputs,
        outputs,
        nodes,
        opset,
    })
}

/// What a model says of itself.
pub(crate) struct Head {
    pub(crate) inputs: Vec<TensorInfo>,
    pub(crate) outputs: Vec<TensorInfo>,
    opset: i64,
}

/// Checks the bytes of a model whose canonical path is `real`.
pub(crate) fn check(path: &Path, real: &Path, bytes: &[u8]) -> Result<(Head, Scan)> {
    let mut reader = Reader {
        path,
        real,
        scan: Scan::default(),
    };
    let head = reader.model(bytes)?;
    Ok((head, reader.scan))
}

/// What was met on the way.
#[derive(Default)]
pub(crate) struct Scan {
    pub(crate) nodes: usize,
    tensors: usize,
    files: Vec<std::path::PathBuf>,
    weights_bytes: u64,
    /// Domains of the model's own functions.
    functions: HashSet<String>,
}

struct Reader<'a> {
    path: &'a Path,
    real: &'a Path,
    scan: Scan,
}

impl Reader<'_> {
    fn bad(&self, why: impl Into<String>) -> ModelError {
        ModelError::BadOnnx {
            path: self.path.into(),
            why: why.into(),
        }
    }

    fn fields<'b>(&self, bytes: &'b [u8]) -> Fields<'b> {
        Fields::new(bytes)
    }

    fn next<'b>(&self, fields: &mut Fields<'b>) -> Result<Option<Field<'b>>> {
        fields.next_field().map_err(|why| self.bad(why))
    }

    fn model(&mut self, bytes: &[u8]) -> Result<Head> {
        let (mut graph, mut functions, mut training, mut opset) = (None, Vec::new(), Vec::new(), 0);
        let mut fields = self.fields(bytes);
        while let Some(field) = self.next(&mut fields)? {
            match (field.number, field.wire) {
                (7, Wire::Bytes(_)) if graph.is_some() => return Err(self.bad("it has two graphs")),
                (7, Wire::Bytes(b)) => graph = Some(b),
                (8, Wire::Bytes(b)) => {
                    let (domain, version) = self.opset(b)?;
                    if domain.is_empty() || domain == "ai.onnx" {
                        opset = version;
                    }
                }
                (20, Wire::Bytes(b)) => training.push(b),
                (25, Wire::Bytes(_)) if functions.len() == MAX_FUNCTIONS => {
                    return Err(self.bad(format!("it has more than {MAX_FUNCTIONS} functions")));
                }
                (25, Wire::Bytes(b)) => functions.push(b),
                _ => {}
            }
        }
        let graph = graph.ok_or_else(|| self.bad("it has no graph"))?;
        for function in &functions {
            let mut fields = self.fields(function);
            let mut domain = String::new();
            while let Some(field) = self.next(&mut fields)? {
                if let (10, Wire::Bytes(b)) = (field.number, field.wire) {
                    domain = self.text(b)?;
                }
            }
            self.scan.functions.insert(domain);
        }
        for function in functions {
            let mut fields = self.fields(function);
            while let Some(field) = self.next(&mut fields)? {
                match (field.number, field.wire) {
                    (7, Wire::Bytes(b)) => self.node(b, 1)?,
                    // What a caller leaves out.
                    (11, Wire::Bytes(b)) => self.attribute(b, 1)?,
                    _ => {}
                }
            }
        }
        for graphs in training {
            let mut fields = self.fields(graphs);
            while let Some(field) = self.next(&mut fields)? {
                if let (1 | 2, Wire::Bytes(b)) = (field.number, field.wire) {
                    self.graph(b, 1)?;
                }
            }
        }
        let (inputs, outputs) = self.graph(graph, 0)?;
        Ok(Head { inputs, outputs, opset })
    }

    fn opset(&self, bytes: &[u8]) -> Result<(String, i64)> {
        let (mut domain, mut version) = (String::new(), 0);
        let mut fields = self.fields(bytes);
        while let Some(field) = self.next(&mut fields)? {
            match (field.number, field.wire) {
                (1, Wire::Bytes(b)) => domain = self.text(b)?,
                (2, Wire::Varint(n)) => version = n as i64,
                _ => {}
            }
        }
        Ok((domain, version))
    }

    fn text(&self, bytes: &[u8]) -> Result<String> {
        let text = std::str::from_utf8(bytes).map_err(|_| self.bad("a name is not valid text"))?;
        if text.len() > 1 << 16 {
            return Err(self.bad("a name is longer than 65536 bytes"));
        }
        Ok(text.to_owned())
    }

    fn graph(&mut self, bytes: &[u8], depth: usize) -> Result<(Vec<TensorInfo>, Vec<TensorInfo>)> {
        if depth > MAX_DEPTH {
            return Err(self.bad(format!("graphs are nested deeper than {MAX_DEPTH}")));
        }
        let (mut inputs, mut outputs, mut weights) = (Vec::new(), Vec::new(), HashSet::new());
        let mut fields = self.fields(bytes);
        while let Some(field) = self.next(&mut fields)? {
            let Wire::Bytes(b) = field.wire else { continue };
            match field.number {
                1 => self.node(b, depth)?,
                5 => {
                    weights.insert(self.tensor(b)?);
                }
                // Types of a subgraph's own inputs and outputs follow from the model's.
                11 | 12 if inputs.len() + outputs.len() == MAX_VALUES => {
                    return Err(self.bad(format!("it has more than {MAX_VALUES} inputs and outputs")));
                }
                11 if depth == 0 => inputs.push(b),
                12 if depth == 0 => outputs.push(b),
                15 => return Err(self.bad("sparse weights are not supported")),
                _ => {}
            }
        }
        let mut list = Vec::new();
        for b in inputs {
            if !weights.contains(&self.value_name(b)?) {
                list.push(self.value_info(b)?);
            }
        }
        let outputs = outputs.into_iter().map(|b| self.value_info(b)).collect::<Result<_>>()?;
        Ok((list, outputs))
    }

    fn node(&mut self, bytes: &[u8], depth: usize) -> Result<()> {
        self.scan.nodes += 1;
        if self.scan.nodes > MAX_NODES {
            return Err(self.bad(format!("it has more than {MAX_NODES} nodes")));
        }
        let (mut op, mut domain) = (String::new(), String::new());
        let mut fields = self.fields(bytes);
        while let Some(field) = self.next(&mut fields)? {
            let Wire::Bytes(b) = field.wire else { continue };
            match field.number {
                4 => op = self.text(b)?,
                5 => self.attribute(b, depth)?,
                7 => domain = self.text(b)?,
                _ => {}
            }
        }
        if KNOWN_DOMAINS.contains(&domain.as_str()) || self.scan.functions.contains(&domain) {
            return Ok(());
        }
        Err(ModelError::CustomDomain {
            path: self.path.into(),
            domain,
            op,
        })
    }

    fn attribute(&mut self, bytes: &[u8], depth: usize) -> Result<()> {
        let mut fields = self.fields(bytes);
        while let Some(field) = self.next(&mut fields)? {
            let Wire::Bytes(b) = field.wire else { continue };
            match field.number {
                5 | 10 => {
                    self.tensor(b)?;
                }
                6 | 11 => {
                    self.graph(b, depth + 1)?;
                }
                22 | 23 => return Err(self.bad("sparse weights are not supported")),
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks a tensor's size and place; its name.
    fn tensor(&mut self, bytes: &[u8]) -> Result<String> {
        self.scan.tensors += 1;
        if self.scan.tensors > MAX_TENSORS {
            return Err(self.bad(format!("it has more than {MAX_TENSORS} weights")));
        }
        let (mut name, mut dims, mut ty, mut raw) = (String::new(), Vec::new(), 0, None);
        let (mut external, mut is_external) = (Vec::new(), false);
        let mut fields = self.fields(bytes);
        while let Some(field) = self.next(&mut fields)? {
            match (field.number, field.wire) {
                (1, Wire::Varint(n)) => dims.push(n as i64),
                (1, Wire::Bytes(b)) => dims.extend(wire::packed(b).map_err(|why| self.bad(why))?),
                (2, Wire::Varint(n)) => ty = n,
                (8, Wire::Bytes(b)) => name = self.text(b)?,
                (9, Wire::Bytes(b)) => raw = Some(b.len() as u64),
                (13, Wire::Bytes(b)) => external.push(self.entry(b)?),
                (14, Wire::Varint(n)) => is_external = n == 1,
                _ => {}
            }
            // Here, not after the last field: a file of nothing else would be eight times as large in memory.
            if dims.len() > MAX_SIDES {
                return Err(self.bad(format!("a weight has more than {MAX_SIDES} sides")));
            }
            if external.len() > MAX_ENTRIES {
                return Err(self.bad(format!(
                    "a weight says in more than {MAX_ENTRIES} entries where it lies"
                )));
            }
        }
        let count = dims
            .iter()
            .try_fold(1u64, |n, d| n.checked_mul(u64::try_from(*d).ok()?));
        let count = count.ok_or_else(|| self.bad(format!("weight `{name}` has the impossible sides {dims:?}")))?;
        let bytes = element_bits(ty)
            .and_then(|bits| count.checked_mul(bits))
            .map(|bits| bits.div_ceil(8));
        if is_external || !external.is_empty() {
            let span = external::check(self.path, self.real, &external, bytes)?;
            if !self.scan.files.contains(&span.file) {
                self.scan.files.push(span.file);
            }
            self.scan.weights_bytes = self.scan.weights_bytes.saturating_add(span.length);
            return Ok(name);
        }
        match (raw, bytes) {
            (Some(found), Some(expected)) if found != expected => Err(self.bad(format!(
                "weight `{name}` {dims:?} needs {expected} bytes and has {found}"
            ))),
            // Values in typed fields are at most as long as the file; the runtime compares them with the sides.
            (None, Some(expected)) if expected > MAX_BYTES => {
                Err(self.bad(format!("weight `{name}` {dims:?} is larger than a model can be")))
            }
            _ => {
                self.scan.weights_bytes += raw.unwrap_or(0);
                Ok(name)
            }
        }
    }

    fn entry(&self, bytes: &[u8]) -> Result<(String, String)> {
        let (mut key, mut value) = (String::new(), String::new());
        let mut fields = self.fields(bytes);
        while let Some(field) = self.next(&mut fields)? {
            match (field.number, field.wire) {
                (1, Wire::Bytes(b)) => key = self.text(b)?,
                (2, Wire::Bytes(b)) => value = self.text(b)?,
                _ => {}
            }
        }
        Ok((key, value))
    }

    fn value_name(&self, bytes: &[u8]) -> Result<String> {
        let mut fields = self.fields(bytes);
        while let Some(field) = self.next(&mut fields)? {
            if let (1, Wire::Bytes(b)) = (field.number, field.wire) {
                return self.text(b);
            }
        }
        Err(self.bad("an input or output has no name"))
    }

    fn value_info(&self, bytes: &[u8]) -> Result<TensorInfo> {
        let name = self.value_name(bytes)?;
        let inner = |bytes: &[u8], number: u32| -> Result<Option<Vec<u8>>> {
            let mut fields = self.fields(bytes);
            while let Some(field) = self.next(&mut fields)? {
                if let (true, Wire::Bytes(b)) = (field.number == number, field.wire) {
                    return Ok(Some(b.to_vec()));
                }
            }
            Ok(None)
        };
        let tensor = match inner(bytes, 2)? {
            Some(ty) => inner(&ty, 1)?,
            None => None,
        };
        let tensor = tensor.ok_or_else(|| self.bad(format!("`{name}` is no tensor")))?;
        let (mut elem, mut shape) = (0, None);
        let mut fields = self.fields(&tensor);
        while let Some(field) = self.next(&mut fields)? {
            match (field.number, field.wire) {
                (1, Wire::Varint(n)) => elem = n,
                (2, Wire::Bytes(b)) => shape = Some(self.shape(b)?),
                _ => {}
            }
        }
        let dtype = match elem {
            1 => DType::F32,
            2 => DType::U8,
            7 => DType::I64,
            other => {
                return Err(self.bad(format!(
                    "`{name}` has elements of type {other}; f32, u8 and i64 are taken"
                )));
            }
        };
        Ok(TensorInfo {
            name,
            dtype,
            shape: shape.unwrap_or_default(),
        })
    }

    fn shape(&self, bytes: &[u8]) -> Result<Vec<Dim>> {
        let mut shape = Vec::new();
        let mut fields = self.fields(bytes);
        while let Some(field) = self.next(&mut fields)? {
            let (1, Wire::Bytes(b)) = (field.number, field.wire) else {
                continue;
            };
            let mut dim = Dim::Unknown;
            let mut inner = self.fields(b);
            while let Some(field) = self.next(&mut inner)? {
                match (field.number, field.wire) {
                    // Some exporters write -1 or 0 for a free side.
                    (1, Wire::Varint(n)) => {
                        dim = usize::try_from(n as i64)
                            .ok()
                            .filter(|n| *n > 0)
                            .map_or(Dim::Unknown, Dim::Known);
                    }
                    (2, Wire::Bytes(b)) if !b.is_empty() => dim = Dim::symbol(&self.text(b)?),
                    _ => {}
                }
            }
            shape.push(dim);
            if shape.len() > MAX_SIDES {
                return Err(self.bad(format!("an input or output has more than {MAX_SIDES} sides")));
            }
        }
        Ok(shape)
    }
}

/// Bits of one element of an ONNX type; `None` for texts and for types this table does not know.
fn element_bits(ty: u64) -> Option<u64> {
    Some(match ty {
        1 | 6 | 12 => 32,
        2 | 3 | 9 | 17..=20 => 8,
        4 | 5 | 10 | 16 => 16,
        7 | 11 | 13 | 14 => 64,
        15 => 128,
        21..=23 => 4,
        _ => return None,
    })
}
