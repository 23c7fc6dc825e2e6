use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::RunOptions;
use ort::session::builder::{AutoDevicePolicy, GraphOptimizationLevel, SessionBuilder};
use ort::sys::{ONNXTensorElementDataType as Element, OrtStatusPtr, OrtValue};
use ort::value::{TensorElementType, ValueType};
use ort::{AsPointer, ErrorCode};

use super::Runtime;
use crate::dim::Dim;
use crate::error::{NnError, Result};
use crate::tensor::{DType, Elements, ElementsMut, TensorInfo, TensorView, TensorViewMut};
use crate::{DeviceChoice, Precision};

/// How far the runtime rewrites a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Not at all: the graph was saved after it had been.
    None,
    /// As far as it can.
    All,
}

/// What a graph is loaded from: a ModelProto in memory whose external data lies below a folder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModelSource<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) folder: Option<&'a Path>,
}

/// How a graph is loaded.
#[derive(Clone, Debug)]
pub(crate) struct GraphSpec {
    pub(crate) device: DeviceChoice,
    pub(crate) precision: Precision,
    pub(crate) threads: usize,
    pub(crate) spinning: bool,
    pub(crate) prepacking: bool,
    /// All input sizes are fixed: the runtime may plan its memory once. With changing sizes it would keep a plan for each.
    pub(crate) fixed_sizes: bool,
    pub(crate) level: Level,
    /// Writes the optimised model: its file, and the name of the weights file beside it.
    pub(crate) save: Option<(PathBuf, String)>,
}

/// A graph that the runtime has loaded: what runs it.
pub(crate) struct LoadedGraph {
    inner: ort::session::Session,
    memory: MemoryInfo<'static>,
    input_names: Vec<CString>,
    output_names: Vec<CString>,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
}

/// Lets another thread end a run.
#[derive(Clone, Default)]
pub(crate) struct CancelToken(Arc<CancelState>);

#[derive(Default)]
struct CancelState {
    asked: AtomicBool,
    running: Mutex<Option<Arc<RunOptions>>>,
}

impl std::fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelToken")
            .field("asked", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl CancelToken {
    pub(crate) fn cancel(&self) {
        self.0.asked.store(true, Ordering::SeqCst);
        if let Some(run) = self.0.running.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let _ = run.terminate();
        }
    }

    pub(crate) fn reset(&self) {
        self.0.asked.store(false, Ordering::SeqCst);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    fn set_running(&self, run: Option<Arc<RunOptions>>) {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = run;
    }
}

/// An `OrtValue` that is released when it goes.
struct RawValue(*mut OrtValue);

impl Drop for RawValue {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the pointer came from the runtime, is owned here alone and is released once.
            unsafe { (ort::api().ReleaseValue)(self.0) };
        }
    }
}

fn check(status: OrtStatusPtr) -> ort::Result<()> {
    // SAFETY: every status passed here was just returned by a call of the runtime and is used nowhere else.
    unsafe { ort::Error::result_from_status(status) }
}

/// Providers the loaded library was built with.
pub(super) fn available_providers() -> ort::Result<Vec<String>> {
    let mut names: *mut *mut c_char = ptr::null_mut();
    let mut count: c_int = 0;
    // SAFETY: both pointers are valid for writing; the list is read before it is released.
    unsafe {
        check((ort::api().GetAvailableProviders)(&mut names, &mut count))?;
        let list = (0..count as usize)
            .map(|i| CStr::from_ptr(*names.add(i)).to_string_lossy().into_owned())
            .collect();
        check((ort::api().ReleaseAvailableProviders)(names, count))?;
        Ok(list)
    }
}

impl LoadedGraph {
    /// Loads a network. `name` is for messages.
    pub(crate) fn load(runtime: &Runtime, name: &str, source: ModelSource<'_>, spec: &GraphSpec) -> Result<Self> {
        let mark = runtime.log_mark();
        let failed = |e: ort::Error| NnError::Load {
            net: name.into(),
            message: e.message().to_owned(),
            log: runtime.log_since(mark),
        };
        let mut builder = configure(runtime, source, spec).map_err(|e| match e.code() {
            ErrorCode::ModelLoadCanceled => NnError::Cancelled,
            _ if spec.device == DeviceChoice::OpenVino => NnError::Unavailable {
                asked: "openvino".into(),
                why: [vec![e.message().to_owned()], runtime.log_since(mark)]
                    .concat()
                    .join(" | "),
            },
            _ => failed(e),
        })?;
        let inner = builder.commit_from_memory(source.bytes).map_err(failed)?;
        let memory =
            MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default).map_err(failed)?;
        let info = |outlet: &ort::value::Outlet| tensor_info(name, outlet.name(), outlet.dtype());
        let inputs = inner.inputs().iter().map(info).collect::<Result<Vec<_>>>()?;
        let outputs = inner.outputs().iter().map(info).collect::<Result<Vec<_>>>()?;
        let c_name = |t: &TensorInfo| {
            CString::new(t.name.as_str())
                .map_err(|_| NnError::shape(format!("network `{name}`"), "names without NUL", "one with"))
        };
        Ok(Self {
            input_names: inputs.iter().map(c_name).collect::<Result<_>>()?,
            output_names: outputs.iter().map(c_name).collect::<Result<_>>()?,
            inner,
            memory,
            inputs,
            outputs,
        })
    }

    pub(crate) fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    pub(crate) fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// Nodes on each provider, as the runtime assigned them.
    pub(crate) fn nodes_per_provider(&self) -> Result<Vec<(String, usize)>> {
        self.assignment().map_err(|e| NnError::Run {
            net: "assignment".into(),
            message: e.message().to_owned(),
        })
    }

    fn assignment(&self) -> ort::Result<Vec<(String, usize)>> {
        let api = ort::api();
        let mut graphs = ptr::null();
        let mut count = 0usize;
        let mut list: Vec<(String, usize)> = Vec::new();
        // SAFETY: the graph is alive; the arrays and texts belong to it and are copied before it can go.
        unsafe {
            check((api.Session_GetEpGraphAssignmentInfo)(
                self.inner.ptr(),
                &mut graphs,
                &mut count,
            ))?;
            for i in 0..count {
                let graph = *graphs.add(i);
                let mut name = ptr::null();
                check((api.EpAssignedSubgraph_GetEpName)(graph, &mut name))?;
                let (mut nodes, mut n) = (ptr::null(), 0usize);
                check((api.EpAssignedSubgraph_GetNodes)(graph, &mut nodes, &mut n))?;
                let name = CStr::from_ptr(name).to_string_lossy();
                match list.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, sum)) => *sum += n,
                    None => list.push((name.into_owned(), n)),
                }
            }
        }
        Ok(list)
    }

    /// Runs the network on borrowed inputs into borrowed outputs. Shapes and types were checked by the caller.
    pub(crate) fn run(
        &mut self,
        name: &str,
        inputs: &[TensorView<'_>],
        outputs: &mut [TensorViewMut<'_>],
        cancel: &CancelToken,
    ) -> Result<()> {
        let mut values = Vec::with_capacity(inputs.len());
        let mut results = Vec::with_capacity(outputs.len());
        for input in inputs {
            values.push(self.view(input).map_err(|e| run_error(name, &e, cancel))?);
        }
        for output in outputs.iter_mut() {
            results.push(self.view_mut(output).map_err(|e| run_error(name, &e, cancel))?);
        }
        let raw: Vec<*const OrtValue> = values.iter().map(|v| v.0.cast_const()).collect();
        let mut raw_out: Vec<*mut OrtValue> = results.iter().map(|v| v.0).collect();
        self.call(&raw, &mut raw_out, cancel)
            .map_err(|e| run_error(name, &e, cancel))?;
        if cancel.is_cancelled() {
            Err(NnError::Cancelled)
        } else {
            Ok(())
        }
    }

    /// Runs the network and lets the runtime size the outputs; only floats are returned.
    pub(crate) fn run_sized(
        &mut self,
        name: &str,
        inputs: &[TensorView<'_>],
        cancel: &CancelToken,
    ) -> Result<Vec<(Vec<usize>, Vec<f32>)>> {
        let mut values = Vec::with_capacity(inputs.len());
        for input in inputs {
            values.push(self.view(input).map_err(|e| run_error(name, &e, cancel))?);
        }
        let raw: Vec<*const OrtValue> = values.iter().map(|v| v.0.cast_const()).collect();
        let mut raw_out: Vec<*mut OrtValue> = vec![ptr::null_mut(); self.output_names.len()];
        let status = self.call(&raw, &mut raw_out, cancel);
        // Owned from here on, also when the call failed half way.
        let results: Vec<RawValue> = raw_out.into_iter().map(RawValue).collect();
        status.map_err(|e| run_error(name, &e, cancel))?;
        // A run that was cancelled before it began made nothing.
        if cancel.is_cancelled() {
            return Err(NnError::Cancelled);
        }
        results
            .iter()
            .map(|v| read_floats(v).map_err(|e| run_error(name, &e, cancel)))
            .collect()
    }

    fn call(
        &mut self,
        inputs: &[*const OrtValue],
        outputs: &mut [*mut OrtValue],
        cancel: &CancelToken,
    ) -> ort::Result<()> {
        let options = Arc::new(RunOptions::new()?);
        cancel.set_running(Some(options.clone()));
        if cancel.is_cancelled() {
            cancel.set_running(None);
            return Ok(());
        }
        let input_names: Vec<*const c_char> = self.input_names.iter().map(|n| n.as_ptr()).collect();
        let output_names: Vec<*const c_char> = self.output_names.iter().map(|n| n.as_ptr()).collect();
        // SAFETY: names, values and options outlive the call; the arrays have the lengths given; `&mut self` keeps
        // other runs off this graph; output values lie over memory that the caller lends mutably, or are null and
        // made by the runtime.
        let status = unsafe {
            (ort::api().Run)(
                self.inner.ptr_mut(),
                options.ptr(),
                input_names.as_ptr(),
                inputs.as_ptr(),
                inputs.len(),
                output_names.as_ptr(),
                outputs.len(),
                outputs.as_mut_ptr(),
            )
        };
        cancel.set_running(None);
        check(status)
    }

    fn view(&self, tensor: &TensorView<'_>) -> ort::Result<RawValue> {
        let (data, bytes, ty) = match tensor.data {
            Elements::F32(d) => (d.as_ptr().cast::<c_void>(), size_of_val(d), element(DType::F32)),
            Elements::U8(d) => (d.as_ptr().cast(), size_of_val(d), element(DType::U8)),
            Elements::I64(d) => (d.as_ptr().cast(), size_of_val(d), element(DType::I64)),
        };
        // The runtime reads inputs only.
        self.raw_value(data.cast_mut(), bytes, tensor.shape, ty)
    }

    fn view_mut(&self, tensor: &mut TensorViewMut<'_>) -> ort::Result<RawValue> {
        let (data, bytes, ty) = match &mut tensor.data {
            ElementsMut::F32(d) => (d.as_mut_ptr().cast::<c_void>(), size_of_val(*d), element(DType::F32)),
            ElementsMut::U8(d) => (d.as_mut_ptr().cast(), size_of_val(*d), element(DType::U8)),
            ElementsMut::I64(d) => (d.as_mut_ptr().cast(), size_of_val(*d), element(DType::I64)),
        };
        self.raw_value(data, bytes, tensor.shape, ty)
    }

    fn raw_value(&self, data: *mut c_void, bytes: usize, shape: &[usize], ty: Element) -> ort::Result<RawValue> {
        let dims: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
        let mut value = ptr::null_mut();
        // SAFETY: data is valid for `bytes` bytes for as long as the view is borrowed, and the value is released before
        // the call that made it returns to the borrower; the runtime checks that shape and bytes agree.
        check(unsafe {
            (ort::api().CreateTensorWithDataAsOrtValue)(
                self.memory.ptr(),
                data,
                bytes,
                dims.as_ptr(),
                dims.len(),
                ty,
                &mut value,
            )
        })?;
        Ok(RawValue(value))
    }
}

fn run_error(name: &str, error: &ort::Error, cancel: &CancelToken) -> NnError {
    if cancel.is_cancelled() {
        return NnError::Cancelled;
    }
    NnError::Run {
        net: name.into(),
        message: error.message().to_owned(),
    }
}

fn element(dtype: DType) -> Element {
    match dtype {
        DType::F32 => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        DType::U8 => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
        DType::I64 => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
    }
}

/// Copies shape and values of a float or byte tensor.
fn read_floats(value: &RawValue) -> ort::Result<(Vec<usize>, Vec<f32>)> {
    if value.0.is_null() {
        return Err(ort::Error::new("the runtime made no output"));
    }
    let api = ort::api();
    let (mut ty, mut dims, mut rank) = (Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, ptr::null(), 0usize);
    // SAFETY: the value is a tensor the runtime has just made, not null; type, shape and data are read while it is alive, and the
    // data pointer is valid for the product of the sides.
    unsafe {
        check((api.GetTensorElementTypeAndShapeDataReference)(
            value.0, &mut ty, &mut dims, &mut rank,
        ))?;
        let shape: Vec<usize> = if rank == 0 {
            Vec::new()
        } else {
            std::slice::from_raw_parts(dims, rank)
                .iter()
                .map(|d| usize::try_from(*d).unwrap_or(0))
                .collect()
        };
        let count: usize = shape.iter().product();
        let mut data: *mut c_void = ptr::null_mut();
        check((api.GetTensorMutableData)(value.0, &mut data))?;
        if count == 0 || data.is_null() {
            return Ok((shape, Vec::new()));
        }
        let values = match ty {
            Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT => {
                std::slice::from_raw_parts(data.cast::<f32>(), count).to_vec()
            }
            Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 => std::slice::from_raw_parts(data.cast::<u8>(), count)
                .iter()
                .map(|b| f32::from(*b))
                .collect(),
            _ => return Err(ort::Error::new("the output is neither f32 nor u8")),
        };
        Ok((shape, values))
    }
}

fn tensor_info(net: &str, name: &str, ty: &ValueType) -> Result<TensorInfo> {
    let unsupported =
        |got: String| NnError::shape(format!("`{name}` of network `{net}`"), "an f32, u8 or i64 tensor", got);
    let ValueType::Tensor {
        ty,
        shape,
        dimension_symbols,
    } = ty
    else {
        return Err(unsupported(ty.to_string()));
    };
    let dtype = match ty {
        TensorElementType::Float32 => DType::F32,
        TensorElementType::Uint8 => DType::U8,
        TensorElementType::Int64 => DType::I64,
        other => return Err(unsupported(other.to_string())),
    };
    let shape = shape
        .iter()
        .zip(dimension_symbols.iter())
        .map(|(n, symbol)| match usize::try_from(*n) {
            Ok(n) => Dim::Known(n),
            Err(_) if symbol.is_empty() => Dim::Unknown,
            Err(_) => Dim::symbol(symbol),
        })
        .collect();
    Ok(TensorInfo {
        name: name.into(),
        dtype,
        shape,
    })
}

fn configure(runtime: &Runtime, source: ModelSource<'_>, spec: &GraphSpec) -> ort::Result<SessionBuilder> {
    let level = match spec.level {
        Level::None => GraphOptimizationLevel::Disable,
        Level::All => GraphOptimizationLevel::All,
    };
    let mut builder = ort::session::Session::builder(runtime.environment())?
        .with_auto_device(AutoDevicePolicy::PreferCPU)?
        .with_intra_threads(spec.threads.max(1))?
        .with_intra_op_spinning(spec.spinning)?
        .with_optimization_level(level)?
        .with_prepacking(spec.prepacking)?
        .with_memory_pattern(spec.fixed_sizes)?
        .with_config_entry("session.record_ep_graph_assignment_info", "1")?;
    if let Some(folder) = source.folder {
        let folder = folder
            .to_str()
            .ok_or_else(|| ort::Error::new("the folder of the weights is not valid text"))?;
        builder = builder.with_config_entry("session.model_external_initializers_file_folder_path", folder)?;
    }
    if let Some((model, weights)) = &spec.save {
        builder = builder
            .with_optimized_model_path(model)?
            .with_config_entry("session.optimized_model_external_initializers_file_name", weights)?
            .with_config_entry(
                "session.optimized_model_external_initializers_min_size_in_bytes",
                "1024",
            )?
            .with_config_entry("session.save_external_prepacked_constant_initializers", "1")?;
    }
    if spec.device == DeviceChoice::OpenVino {
        let precision = match spec.precision {
            Precision::Bf16 => "bf16",
            _ => "f32",
        };
        let config = format!(
            r#"{{"CPU":{{"INFERENCE_PRECISION_HINT":"{precision}","INFERENCE_NUM_THREADS":"{}"}}}}"#,
            spec.threads.max(1)
        );
        let provider = ep::OpenVINO::default()
            .with_device_type("CPU")
            .with_arbitrary_config("load_config", config);
        builder = builder.with_execution_providers([provider.build().error_on_failure()])?;
    }
    Ok(builder)
}
