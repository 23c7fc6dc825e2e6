//! What an image model runs: a typed network, whose sizes are computed, or a model file, whose sizes are probed.

use std::path::Path;
use std::sync::Arc;

use kinora_nn::{DType, Dim, ExecutableCache, ExecutablePool, LoadOptions, Net, Runtime, TensorInfo, TensorView};

use super::geometry::{Fit, Geometry, WORKING_SIDE};
use super::reach;
use crate::error::{ModelError, Result};
use crate::onnx_file::OnnxModel;
use crate::{ImageModelSpec, onnx_file};

/// Side of the pictures with which a model file is probed.
const PROBE_SIDE: usize = 64;

/// Where output sizes come from.
#[derive(Debug)]
enum Sizes {
    /// Computed from the graph.
    Net(Net),
    /// A multiple that sides must have.
    Multiple(usize),
}

/// How and where a network is loaded.
#[derive(Clone, Copy)]
pub(super) struct Load<'a> {
    pub(super) spec: &'a ImageModelSpec,
    pub(super) runtime: &'a Runtime,
    pub(super) options: &'a LoadOptions,
    pub(super) executables: &'a ExecutableCache,
}

/// A loaded network with one picture in and one out.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) pool: Arc<ExecutablePool>,
    pub(super) geometry: Geometry,
    pub(super) channels: usize,
    pub(super) radius: Option<usize>,
    pub(super) alignment: usize,
    /// Pictures of one run, where the network takes only that many.
    pub(super) batch: Option<usize>,
    pub(super) input: DType,
    pub(super) output: DType,
    sizes: Sizes,
}

impl Network {
    pub(super) fn from_net(net: Net, path: &Path, load: &Load<'_>) -> Result<Self> {
        let face = Face::of(&net.inputs(), &net.outputs(), path)?;
        let mut sizes = |h: usize, w: usize| net_sizes(&net, face.channels, h, w);
        let geometry = Geometry::of(face.fixed, WORKING_SIDE, &mut sizes, path, load.spec)?;
        let radius = reach::receptive_radius(&net, &geometry, face.channels);
        let alignment = reach::alignment(&net);
        let pool = load.executables.get(load.runtime, &net, load.options)?;
        Ok(Self {
            pool,
            geometry,
            channels: face.channels,
            radius,
            alignment,
            batch: face.batch,
            input: face.input,
            output: face.output,
            sizes: Sizes::Net(net),
        })
    }

    pub(super) fn from_file(path: &Path, load: &Load<'_>) -> Result<Self> {
        let OnnxModel {
            file, inputs, outputs, ..
        } = onnx_file::open(path)?;
        let face = Face::of(&inputs, &outputs, path)?;
        let pool = load.executables.get(load.runtime, &file, load.options)?;
        let mut sizes = |h: usize, w: usize| probe(&pool, &face, path, h, w);
        let geometry = Geometry::of(face.fixed, PROBE_SIDE, &mut sizes, path, load.spec)?;
        let multiple = if face.fixed.is_some() {
            1
        } else {
            geometry.multiple(PROBE_SIDE, &mut sizes)
        };
        Ok(Self {
            pool,
            geometry,
            channels: face.channels,
            radius: None,
            alignment: 1,
            batch: face.batch,
            input: face.input,
            output: face.output,
            sizes: Sizes::Multiple(multiple),
        })
    }

    /// The typed network, where there is one.
    pub(super) fn net(&self) -> Option<&Net> {
        match &self.sizes {
            Sizes::Net(net) => Some(net),
            Sizes::Multiple(_) => None,
        }
    }

    /// Sizes of a run on a picture.
    pub(super) fn fit(&self, height: usize, width: usize) -> Result<Fit> {
        match &self.sizes {
            Sizes::Net(net) => self
                .geometry
                .fit(&mut |h, w| net_sizes(net, self.channels, h, w), height, width),
            Sizes::Multiple(n) => Ok(self.geometry.fit_multiple(*n, height, width)),
        }
    }
}

fn net_sizes(net: &Net, channels: usize, height: usize, width: usize) -> Result<(usize, usize)> {
    let shapes = net.output_shapes(&[&[1, channels, height, width]])?;
    match shapes.first().map(Vec::as_slice) {
        Some(&[_, _, h, w]) => Ok((h, w)),
        _ => Err(ModelError::BadInput {
            what: "output",
            expected: "[N, C, H, W]".into(),
            found: format!("{shapes:?}"),
        }),
    }
}

/// Runs a gray picture and looks at the size of the result.
fn probe(pool: &ExecutablePool, face: &Face, path: &Path, height: usize, width: usize) -> Result<(usize, usize)> {
    let shape = [face.batch.unwrap_or(1), face.channels, height, width];
    let bad = |found: String| ModelError::NotImageToImage {
        path: path.into(),
        expected: "an output [N, C, H, W] with as many channels as the input".into(),
        found,
    };
    let count = kinora_nn::element_count(&shape).ok_or_else(|| bad(format!("{shape:?}")))?;
    let mut executable = pool.lease();
    let result = match face.input {
        DType::U8 => {
            let gray = vec![128u8; count];
            executable.run_sized(&[TensorView {
                shape: &shape,
                data: kinora_nn::Elements::U8(&gray),
            }])?
        }
        _ => executable.run_sized(&[TensorView::f32(&shape, &vec![0.5; count])])?,
    };
    match result.first().map(|(shape, _)| shape.as_slice()) {
        Some(&[n, c, h, w]) if n == shape[0] && c == face.channels => Ok((h, w)),
        other => Err(bad(format!("{other:?}"))),
    }
}

/// What a network looks like from outside.
struct Face {
    channels: usize,
    fixed: Option<(usize, usize)>,
    batch: Option<usize>,
    input: DType,
    output: DType,
}

impl Face {
    fn of(inputs: &[TensorInfo], outputs: &[TensorInfo], path: &Path) -> Result<Self> {
        let bad = |found: String| ModelError::NotImageToImage {
            path: path.into(),
            expected: "one input and one output [N, C, H, W] of f32 or u8, with C = 3 or 1 and height and width both \
                       fixed or both free"
                .into(),
            found,
        };
        let ([input], [output]) = (inputs, outputs) else {
            return Err(bad(format!("{} inputs and {} outputs", inputs.len(), outputs.len())));
        };
        let wrong = || bad(format!("{input} and {output}"));
        let [n, c, h, w] = input.shape.as_slice() else {
            return Err(wrong());
        };
        if output.shape.len() != 4 || input.dtype == DType::I64 || output.dtype == DType::I64 {
            return Err(wrong());
        }
        // Files often leave the channels free that their graph then fixes; the probe finds out.
        let channels = c
            .known()
            .or_else(|| output.shape.get(1).and_then(Dim::known))
            .unwrap_or(3);
        if channels != 3 && channels != 1 || output.shape.get(1).and_then(Dim::known).is_some_and(|n| n != channels) {
            return Err(wrong());
        }
        let fixed = match (h.known(), w.known()) {
            (Some(h), Some(w)) => Some((h, w)),
            (None, None) => None,
            _ => return Err(wrong()),
        };
        Ok(Self {
            channels,
            fixed,
            batch: n.known(),
            input: input.dtype,
            output: output.dtype,
        })
    }
}
