use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{NnError, Result};
use crate::lower::{Form, Lowered, lower};
use crate::net::Net;
use crate::report::{ExecutionReport, MemoryPlan, Proof};
use crate::runtime::{
    CPU_PROVIDER, CancelToken, GraphSpec, Level, LoadedGraph, ModelSource, OPENVINO_PROVIDER, Runtime,
};
use crate::tensor::{DType, TensorInfo, TensorView, TensorViewMut, element_count};
use crate::{DeviceChoice, LoadOptions, Precision, WeightsMode, packed, probe};

/// An ONNX model that was read and checked by its importer, to be run as it is.
#[derive(Clone, Debug)]
pub struct OnnxFile {
    /// Name for messages.
    pub name: String,
    /// The ModelProto.
    pub bytes: Arc<[u8]>,
    /// Folder below which its external data lies, where it has any.
    pub folder: Option<PathBuf>,
    /// Hash of the contents of its external data.
    pub weights_hash: u128,
    /// Bytes of its weights, for the memory plan.
    pub weights_bytes: u64,
}

/// What can be loaded.
#[derive(Clone, Copy, Debug)]
pub enum Program<'a> {
    /// A typed network.
    Net(&'a Net),
    /// An ONNX model, run as it is.
    Onnx(&'a OnnxFile),
}

impl Program<'_> {
    /// Hashes of what is computed and of the weights it is computed with.
    pub(crate) fn hashes(&self) -> Result<(u128, u128)> {
        match self {
            Self::Net(net) => {
                let lowered = lower(net, Form::Plain)?;
                Ok((xxhash_rust::xxh3::xxh3_128(&lowered.bytes), lowered.weights_hash))
            }
            Self::Onnx(file) => Ok((xxhash_rust::xxh3::xxh3_128(&file.bytes), file.weights_hash)),
        }
    }
}

impl<'a> From<&'a Net> for Program<'a> {
    fn from(net: &'a Net) -> Self {
        Self::Net(net)
    }
}

impl<'a> From<&'a OnnxFile> for Program<'a> {
    fn from(file: &'a OnnxFile) -> Self {
        Self::Onnx(file)
    }
}

/// A network loaded on a device. It runs one call at a time: workers that run at once have one each
/// (see [`crate::ExecutablePool`]).
pub struct Executable {
    net: String,
    graph: LoadedGraph,
    shapes: Option<Net>,
    report: ExecutionReport,
    cancel: CancelToken,
}

/// Ends the runs of an [`Executable`] from another thread.
///
/// The CPU provider stops within milliseconds. OpenVINO runs the whole network as one node and does not stop; its run
/// ends as usual and is then reported as cancelled.
#[derive(Clone, Debug)]
pub struct Canceller(CancelToken);

impl Canceller {
    /// Ends the run in progress and all later ones, until [`Executable::resume`].
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl Executable {
    /// Loads a network. What was chosen stands in [`Executable::report`].
    ///
    /// Every node must land on the device asked for, and the precision must show in a probe; both are errors otherwise.
    /// With [`DeviceChoice::Auto`] such an error moves on to the CPU provider, and the report's note says why.
    pub fn load<'p>(runtime: &Runtime, program: impl Into<Program<'p>>, options: &LoadOptions) -> Result<Self> {
        let program = program.into();
        let device = choose_device(runtime, options.device)?;
        match Self::load_on(device, runtime, program, options) {
            Err(error) if options.device == DeviceChoice::Auto && may_move_on(device, options, &error) => {
                let mut executable = Self::load_on(DeviceChoice::Cpu, runtime, program, options)?;
                executable.report.add_note(format!("{device}: {error}"));
                Ok(executable)
            }
            other => other,
        }
    }

    fn load_on(device: DeviceChoice, runtime: &Runtime, program: Program<'_>, options: &LoadOptions) -> Result<Self> {
        let precision = choose_precision(device, options.precision)?;
        let model = match program {
            Program::Net(net) => {
                let usual = if device == DeviceChoice::Cpu {
                    Form::Cpu
                } else {
                    Form::Plain
                };
                Model::Lowered(lower(net, options.form.unwrap_or(usual))?)
            }
            Program::Onnx(file) => Model::File(file),
        };
        let spec = GraphSpec {
            device,
            precision,
            threads: options.threads.max(1),
            spinning: options.spinning,
            prepacking: options.weights != WeightsMode::Lean,
            fixed_sizes: match program {
                Program::Net(net) => net.inputs().iter().all(|i| i.shape.iter().all(|d| d.known().is_some())),
                Program::Onnx(_) => false,
            },
            level: Level::All,
            save: None,
        };
        if let Some(folder) = &options.dump {
            dump(runtime, folder, &program, &model, &spec)?;
        }
        let Loaded {
            graph,
            weights,
            built,
            note,
            memory,
        } = load_graph(runtime, &model, &spec, options)?;
        let nodes = graph.nodes_per_provider()?;
        let provider = check_provider(device, &nodes)?;
        let mut executable = Self {
            net: model.name().to_owned(),
            graph,
            shapes: if let Program::Net(net) = program {
                Some(net.clone())
            } else {
                None
            },
            report: ExecutionReport {
                net: model.name().to_owned(),
                asked: options.device,
                device,
                provider: provider.into(),
                nodes,
                precision,
                proof: Proof::Needless,
                form: model.form(),
                weights,
                packed_built: built,
                note,
                memory,
                threads: spec.threads,
                spinning: spec.spinning,
                library_version: runtime.version().into(),
                library_path: runtime.path().into(),
            },
            cancel: CancelToken::default(),
        };
        if device == DeviceChoice::OpenVino {
            let proof = probe::prove(runtime, &mut executable, program, precision)?;
            executable.report.proof = proof;
            if proof == Proof::Impossible {
                executable.report.add_note(format!("{precision} could not be probed"));
            }
        }
        Ok(executable)
    }

    /// Name of the network.
    pub fn name(&self) -> &str {
        &self.net
    }

    /// Inputs in order.
    pub fn inputs(&self) -> &[TensorInfo] {
        self.graph.inputs()
    }

    /// Outputs in order.
    pub fn outputs(&self) -> &[TensorInfo] {
        self.graph.outputs()
    }

    /// What was chosen at load.
    pub fn report(&self) -> &ExecutionReport {
        &self.report
    }

    /// Output shapes for input shapes; `None` for a model file, whose shapes only a run tells.
    pub fn output_shapes(&self, inputs: &[&[usize]]) -> Result<Option<Vec<Vec<usize>>>> {
        self.shapes.as_ref().map(|net| net.output_shapes(inputs)).transpose()
    }

    /// A handle that ends runs from another thread.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.cancel.clone())
    }

    /// Allows runs again after a cancel.
    pub fn resume(&mut self) {
        self.cancel.reset();
    }

    /// Runs the network: one view for each input and one for each output, in order. Outputs are written in place.
    ///
    /// Nothing is kept of the views, and nothing is allocated that grows with them but the runtime's own arena, which
    /// keeps its size from the second run of a size on.
    pub fn run(&mut self, inputs: &[TensorView<'_>], outputs: &mut [TensorViewMut<'_>]) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(NnError::Cancelled);
        }
        check_count(&self.net, "input", self.graph.inputs().len(), inputs.len())?;
        check_count(&self.net, "output", self.graph.outputs().len(), outputs.len())?;
        for (info, view) in self.graph.inputs().iter().zip(inputs) {
            check_view("input", info, view.dtype(), view.shape, view.len())?;
        }
        for (info, view) in self.graph.outputs().iter().zip(outputs.iter()) {
            check_view("output", info, view.dtype(), view.shape, view.len())?;
        }
        self.graph.run(&self.net, inputs, outputs, &self.cancel)
    }

    /// Runs the network and lets the runtime size the outputs, which are copied: for probes of models whose output
    /// sizes are not known. Float and byte outputs are returned as floats.
    pub fn run_sized(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<(Vec<usize>, Vec<f32>)>> {
        if self.cancel.is_cancelled() {
            return Err(NnError::Cancelled);
        }
        check_count(&self.net, "input", self.graph.inputs().len(), inputs.len())?;
        for (info, view) in self.graph.inputs().iter().zip(inputs) {
            check_view("input", info, view.dtype(), view.shape, view.len())?;
        }
        self.graph.run_sized(&self.net, inputs, &self.cancel)
    }
}

impl std::fmt::Debug for Executable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executable")
            .field("net", &self.net)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

/// A model ready to be given to the runtime.
pub(crate) enum Model<'a> {
    Lowered(Lowered),
    File(&'a OnnxFile),
}

impl Model<'_> {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Lowered(l) => &l.name,
            Self::File(f) => &f.name,
        }
    }

    pub(crate) fn source(&self) -> ModelSource<'_> {
        match self {
            Self::Lowered(l) => ModelSource {
                bytes: &l.bytes,
                folder: l.folder.as_deref(),
            },
            Self::File(f) => ModelSource {
                bytes: &f.bytes,
                folder: f.folder.as_deref(),
            },
        }
    }

    fn weights_bytes(&self) -> u64 {
        match self {
            Self::Lowered(l) => l.weights_bytes,
            Self::File(f) => f.weights_bytes,
        }
    }

    pub(crate) fn weights_hash(&self) -> u128 {
        match self {
            Self::Lowered(l) => l.weights_hash,
            Self::File(f) => f.weights_hash,
        }
    }

    pub(crate) fn form(&self) -> &'static str {
        match self {
            Self::Lowered(l) => l.form.name(),
            Self::File(_) => "file",
        }
    }
}

/// A loaded graph and what to say about its weights.
struct Loaded {
    graph: LoadedGraph,
    weights: WeightsMode,
    built: bool,
    note: Option<String>,
    memory: MemoryPlan,
}

/// Loads a model in the way that `options.weights` and the device allow.
fn load_graph(runtime: &Runtime, model: &Model<'_>, spec: &GraphSpec, options: &LoadOptions) -> Result<Loaded> {
    let bytes = model.weights_bytes();
    let asked = options.weights;
    let mut note = None;
    if matches!(asked, WeightsMode::Auto | WeightsMode::Packed) {
        match load_packed(runtime, model, spec, options) {
            Ok(Some(p)) => {
                let memory = MemoryPlan {
                    packed_bytes: p.bytes,
                    ..Default::default()
                };
                return Ok(Loaded {
                    graph: p.graph,
                    weights: WeightsMode::Packed,
                    built: p.built,
                    note,
                    memory,
                });
            }
            Ok(None) => {}
            // A cache that cannot be written must not stop the work, unless it was asked for.
            Err(error) if asked == WeightsMode::Auto => note = Some(format!("not packed: {error}")),
            Err(error) => return Err(error),
        }
    }
    let graph = LoadedGraph::load(runtime, model.name(), model.source(), spec)?;
    let (weights, memory) = match asked {
        WeightsMode::Lean => (
            WeightsMode::Lean,
            MemoryPlan {
                mapped_bytes: bytes,
                ..Default::default()
            },
        ),
        _ => (
            WeightsMode::Fast,
            MemoryPlan {
                private_bytes: bytes,
                ..Default::default()
            },
        ),
    };
    Ok(Loaded {
        graph,
        weights,
        built: false,
        note,
        memory,
    })
}

fn load_packed(
    runtime: &Runtime,
    model: &Model<'_>,
    spec: &GraphSpec,
    options: &LoadOptions,
) -> Result<Option<packed::Packed>> {
    let must = options.weights == WeightsMode::Packed;
    let cannot = |why: &str| NnError::Unavailable {
        asked: "packed weights".into(),
        why: why.into(),
    };
    if spec.device != DeviceChoice::Cpu {
        return if must {
            Err(cannot("only the CPU provider can save them"))
        } else {
            Ok(None)
        };
    }
    let Some(cache) = &options.cache else {
        return if must {
            Err(cannot("no cache folder was given"))
        } else {
            Ok(None)
        };
    };
    let folder = packed::entry_folder(cache, runtime, model);
    match packed::load(runtime, model, spec, &folder) {
        Ok(Some(found)) => return Ok(Some(found)),
        // An entry that the runtime refuses is built again, as a damaged one is.
        Err(NnError::Load { .. }) => packed::put_aside(&folder),
        Ok(None) | Err(_) => {}
    }
    if !must && model.weights_bytes() > packed::BUILD_AT_ONCE {
        return Ok(None);
    }
    packed::build(runtime, model, spec, &folder).map(Some)
}

/// Whether `auto` may try the next device: not when the network itself is wrong, nor when only this device has the
/// precision asked for.
fn may_move_on(device: DeviceChoice, options: &LoadOptions, error: &NnError) -> bool {
    let of_device = matches!(
        error,
        NnError::Unavailable { .. }
            | NnError::ProviderMismatch { .. }
            | NnError::PrecisionNotProved { .. }
            | NnError::Load { .. }
    );
    of_device && device != DeviceChoice::Cpu && options.precision != Precision::Bf16
}

fn choose_device(runtime: &Runtime, asked: DeviceChoice) -> Result<DeviceChoice> {
    match asked {
        DeviceChoice::Auto => Ok(runtime.preferred_device()),
        DeviceChoice::OpenVino if !runtime.has_openvino() => Err(NnError::Unavailable {
            asked: "openvino".into(),
            why: format!("the library {} does not come with it", runtime.path().display()),
        }),
        other => Ok(other),
    }
}

fn choose_precision(device: DeviceChoice, asked: Precision) -> Result<Precision> {
    match (device, asked) {
        (_, Precision::Auto | Precision::F32) => Ok(Precision::F32),
        (DeviceChoice::OpenVino, Precision::Bf16) => Ok(Precision::Bf16),
        (_, Precision::Bf16) => Err(NnError::Unavailable {
            asked: "bf16".into(),
            why: format!("the device {device} computes in f32 only; openvino has bf16"),
        }),
    }
}

/// The provider asked for, if every node is on it.
pub(crate) fn check_provider(device: DeviceChoice, nodes: &[(String, usize)]) -> Result<&'static str> {
    let asked = if device == DeviceChoice::OpenVino {
        OPENVINO_PROVIDER
    } else {
        CPU_PROVIDER
    };
    match nodes.iter().find(|(name, n)| name != asked && *n > 0) {
        Some((found, stray)) => Err(NnError::ProviderMismatch {
            asked: asked.into(),
            found: found.clone(),
            stray: *stray,
            total: nodes.iter().map(|(_, n)| n).sum(),
        }),
        None => Ok(asked),
    }
}

fn check_count(net: &str, kind: &str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(NnError::shape(
        format!("network `{net}`"),
        format!("{expected} {kind}s"),
        got.to_string(),
    ))
}

fn check_view(kind: &str, info: &TensorInfo, dtype: DType, shape: &[usize], len: usize) -> Result<()> {
    let sides = info.shape.len() == shape.len()
        && info
            .shape
            .iter()
            .zip(shape)
            .all(|(d, n)| *n > 0 && d.known().is_none_or(|k| k == *n));
    if dtype == info.dtype && sides && element_count(shape) == Some(len) {
        return Ok(());
    }
    Err(NnError::shape(
        format!("{kind} `{}`", info.name),
        info.to_string(),
        format!("{dtype} {shape:?} with {len} elements"),
    ))
}

/// Writes the network's text, its model and, from the CPU provider, the graph as the runtime has optimised it, for bug
/// reports. The model refers to its weights; the optimised graph has those that were reordered beside it.
fn dump(
    runtime: &Runtime,
    folder: &std::path::Path,
    program: &Program<'_>,
    model: &Model<'_>,
    spec: &GraphSpec,
) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(NnError::io("create", folder))?;
    let write = |name: String, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(NnError::io("write", path))
    };
    let name: String = model
        .name()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if let Program::Net(net) = program {
        write(format!("{name}.net.txt"), net.to_string().as_bytes())?;
    }
    write(format!("{name}.{}.onnx", model.form()), model.source().bytes)?;
    if spec.device == DeviceChoice::Cpu {
        let save = Some((
            folder.join(format!("{name}.optimised.onnx")),
            format!("{name}.optimised.bin"),
        ));
        drop(LoadedGraph::load(
            runtime,
            model.name(),
            model.source(),
            &GraphSpec { save, ..spec.clone() },
        )?);
    }
    Ok(())
}
