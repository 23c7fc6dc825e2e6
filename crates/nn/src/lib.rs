//! Typed networks, lowered to ONNX and run by ONNX Runtime.
//!
//! A [`Net`] is built with a [`NetBuilder`]: every operation checks its operands. [`Executable::load`] lowers it to an
//! ONNX model in memory, whose weights stay in mapped files, and gives it to the runtime library that
//! [`Runtime::load`] has found. What runs where, in which precision and from which weights is read back and stands in
//! an [`ExecutionReport`]. Nothing here knows what a frame or a UNet is.

mod builder;
mod dim;
mod error;
mod executable;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod infer;
mod lower;
mod net;
mod op;
mod options;
mod packed;
mod pool;
mod probe;
mod report;
mod runtime;
mod tensor;
mod weights;

pub use builder::NetBuilder;
pub use dim::{Dim, Same};
pub use error::{NnError, Result, Tried};
pub use executable::{Canceller, Executable, OnnxFile, Program};
pub use lower::{Form, Lowered, lower};
pub use net::{Net, Node};
pub use op::{
    Activation, BinaryOp, Conv, ConvTranspose, Interpolation, Linear, Op, Operand, PadMode, PoolKind, ReshapeDim,
    ResizeTo, Scale, ShuffleOrder, Sides, TensorType, Value,
};
pub use options::{DeviceChoice, LoadOptions, Precision, UnknownChoice, WeightsMode, has_bf16};
pub use pool::{ExecutableCache, ExecutablePool, Lease};
pub use report::{ExecutionReport, MemoryPlan, Proof};
pub use runtime::{MINIMUM_MINOR, Runtime, RuntimeSearch};
pub use tensor::{DType, Elements, ElementsMut, TensorInfo, TensorView, TensorViewMut, element_count};
pub use weights::{Weight, WeightCache, WeightFile, WeightStore, WeightWriter};
