use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::proto::{self, Attribute, ElemType, Message};
use super::{Form, Lowered, OPSET, elem_type, input_sides, output_sides};
use crate::Weight;
use crate::error::{NnError, Result};
use crate::net::Net;
use crate::op::{TensorType, Value};
use crate::weights::WeightFile;

/// Most bytes of values in memory that are copied into one model.
const MAX_INLINE: usize = 64 << 20;

/// The ONNX graph under construction.
pub(super) struct Graph<'n> {
    net: &'n Net,
    form: Form,
    nodes: Vec<Message>,
    initializers: Vec<Message>,
    known: HashMap<String, Vec<usize>>,
    names: HashMap<Value, String>,
    files: Vec<Arc<WeightFile>>,
    folder: Option<PathBuf>,
    inline_bytes: usize,
    weights_bytes: u64,
    count: usize,
}

impl<'n> Graph<'n> {
    pub(super) fn new(net: &'n Net, form: Form) -> Result<Self> {
        let mut files: Vec<Arc<WeightFile>> = Vec::new();
        for w in net.nodes.iter().flat_map(|n| n.op.weights()) {
            if let Some((file, _, _)) = w.location()
                && !files.iter().any(|f| Arc::ptr_eq(f, file))
            {
                files.push(file.clone());
            }
        }
        let folder = common_folder(&files);
        Ok(Self {
            net,
            form,
            nodes: Vec::new(),
            initializers: Vec::new(),
            known: HashMap::new(),
            names: HashMap::new(),
            files,
            folder,
            inline_bytes: 0,
            weights_bytes: 0,
            count: 0,
        })
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    pub(super) fn type_of(&self, v: Value) -> &'n TensorType {
        &self.net.types[v.0]
    }

    pub(super) fn declare_input(&mut self, name: &str, v: Value) {
        self.names.insert(v, name.to_owned());
    }

    /// ONNX name of a value; values that no node made yet get one.
    pub(super) fn name(&mut self, v: Value) -> String {
        self.names.entry(v).or_insert_with(|| format!("v{}", v.0)).clone()
    }

    /// A name no other value has.
    pub(super) fn fresh(&mut self, hint: &str) -> String {
        self.count += 1;
        format!("t{}_{hint}", self.count)
    }

    /// Adds a node whose result is `output`.
    pub(super) fn node_to(&mut self, op: &str, inputs: &[String], output: &str, attributes: &[(&str, Attribute)]) {
        let name = format!("{}_{}", op, self.nodes.len());
        self.nodes
            .push(proto::node(op, &name, inputs, &[output.to_owned()], attributes));
    }

    /// Adds a node and names its result.
    pub(super) fn node(&mut self, op: &str, inputs: &[String], attributes: &[(&str, Attribute)]) -> String {
        let output = self.fresh(&op.to_lowercase());
        self.node_to(op, inputs, &output, attributes);
        output
    }

    /// A weight under a shape of the same count: in its file, or copied when it is held in memory.
    pub(super) fn weight(&mut self, weight: &Weight, dims: &[usize]) -> Result<String> {
        let mut name = format!("w_{}", weight.name());
        match self.known.get(&name) {
            Some(known) if known == dims => return Ok(name),
            Some(_) => {
                name = format!(
                    "{name}_{}",
                    dims.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
                );
            }
            None => {}
        }
        if self.known.contains_key(&name) {
            return Ok(name);
        }
        match weight.location() {
            Some((file, offset, bytes)) => {
                let location = self.location(file)?;
                self.weights_bytes += bytes as u64;
                self.initializers.push(proto::tensor_external(
                    &name,
                    dims,
                    ElemType::F32,
                    &location,
                    offset,
                    bytes,
                ));
                self.known.insert(name.clone(), dims.to_vec());
            }
            None => self.inline(&name, dims, weight.values())?,
        }
        Ok(name)
    }

    fn location(&self, file: &WeightFile) -> Result<String> {
        let unusable = |why: &str| NnError::Weights {
            path: file.path().to_path_buf(),
            why: why.into(),
        };
        let folder = self
            .folder
            .as_deref()
            .ok_or_else(|| unusable("no folder holds all weights files"))?;
        let relative = file
            .path()
            .strip_prefix(folder)
            .map_err(|_| unusable("outside the folder of the weights"))?;
        relative
            .to_str()
            .map(str::to_owned)
            .ok_or_else(|| unusable("the path is not valid text"))
    }

    fn inline(&mut self, name: &str, dims: &[usize], values: &[f32]) -> Result<()> {
        self.inline_bytes += values.len() * 4;
        if self.inline_bytes > MAX_INLINE {
            return Err(NnError::Unsupported {
                op: format!("network `{}`", self.net.name),
                why: format!("more than {MAX_INLINE} bytes of weights are held in memory; put them into a file"),
            });
        }
        self.initializers.push(proto::tensor_inline(
            name,
            dims,
            ElemType::F32,
            bytemuck::cast_slice(values),
        ));
        self.known.insert(name.to_owned(), dims.to_vec());
        Ok(())
    }

    /// Values that the lowering computed.
    pub(super) fn derived(&mut self, name: &str, dims: &[usize], values: &[f32]) -> Result<String> {
        let name = format!("d_{name}");
        if self.known.get(&name).is_none_or(|d| d != dims) {
            self.inline(&name, dims, values)?;
        }
        Ok(name)
    }

    /// A scalar.
    pub(super) fn scalar(&mut self, x: f32) -> String {
        let name = format!("c_{:08x}", x.to_bits());
        if !self.known.contains_key(&name) {
            self.initializers
                .push(proto::tensor_inline(&name, &[], ElemType::F32, &x.to_le_bytes()));
            self.known.insert(name.clone(), Vec::new());
        }
        name
    }

    /// A vector of integers, as axes and offsets are given.
    pub(super) fn integers(&mut self, values: &[i64]) -> String {
        let name = format!("i_{}", values.iter().map(i64::to_string).collect::<Vec<_>>().join("_"));
        if !self.known.contains_key(&name) {
            self.initializers.push(proto::tensor_inline(
                &name,
                &[values.len()],
                ElemType::I64,
                bytemuck::cast_slice(values),
            ));
            self.known.insert(name.clone(), vec![values.len()]);
        }
        name
    }

    pub(super) fn floats(&mut self, name: &str, values: &[f32]) -> Result<String> {
        self.derived(name, &[values.len()], values)
    }

    pub(super) fn finish(mut self, net: &Net) -> Result<Lowered> {
        let mut outputs = Vec::new();
        for (name, v) in &net.outputs {
            // A value may be an input, or stand under several output names.
            let from = self.name(*v);
            self.node_to("Identity", &[from], name, &[]);
            let ty = self.type_of(*v);
            outputs.push(proto::value_info(
                name,
                elem_type(ty.dtype),
                &output_sides(name, &ty.shape),
            ));
        }
        let mut graph = Message::new();
        for node in &self.nodes {
            graph = graph.message(1, node);
        }
        graph = graph.text(2, &net.name);
        for initializer in &self.initializers {
            graph = graph.message(5, initializer);
        }
        for (name, v) in &net.inputs {
            let ty = &net.types[v.0];
            graph = graph.message(
                11,
                &proto::value_info(name, elem_type(ty.dtype), &input_sides(name, &ty.shape)?),
            );
        }
        for output in &outputs {
            graph = graph.message(12, output);
        }
        let hashes: Vec<u8> = self.files.iter().flat_map(|f| f.hash().to_le_bytes()).collect();
        Ok(Lowered {
            name: net.name.clone(),
            bytes: proto::model(&graph, OPSET),
            folder: self.folder,
            weights_hash: xxhash_rust::xxh3::xxh3_128(&hashes),
            form: self.form,
            inputs: net.inputs(),
            outputs: net.outputs(),
            weights_bytes: self.weights_bytes,
        })
    }
}

/// The deepest folder that holds all files.
fn common_folder(files: &[Arc<WeightFile>]) -> Option<PathBuf> {
    let mut folder = files.first()?.path().parent()?.to_path_buf();
    for file in files {
        while !file.path().starts_with(&folder) {
            folder = folder.parent().map(Path::to_path_buf)?;
        }
    }
    Some(folder)
}
