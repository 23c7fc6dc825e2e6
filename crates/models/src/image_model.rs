//! A network that turns a picture into a picture, whatever file it came from.

mod geometry;
mod reach;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

pub(crate) use geometry::reflect;
use geometry::{Fit, Geometry};
use kinora_nn::{
    ExecutablePool, ExecutionReport, LoadOptions, Net, Runtime, TensorView, TensorViewMut, WeightCache, element_count,
};

use crate::error::{ModelError, Result};
use crate::{ImageModelSpec, ModelSource, ncnn};

/// Sides of a batch of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PictureSize {
    /// Pictures.
    pub batch: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Channels of every picture given to and got from an [`ImageModel`].
pub const CHANNELS: usize = 3;

/// An image-to-image network, loaded. Calls of [`ImageModel::run`] may come from several threads; as many run at once
/// as `LoadOptions::workers` said.
#[derive(Debug)]
pub struct ImageModel {
    pool: ExecutablePool,
    net: Net,
    geometry: Geometry,
    channels: usize,
    add_nearest: bool,
    radius: Option<usize>,
    fits: Mutex<HashMap<(usize, usize), Fit>>,
    scratch: Mutex<Vec<Scratch>>,
}

/// Padded input and whole output of one run; kept from run to run.
#[derive(Debug, Default)]
struct Scratch {
    input: Vec<f32>,
    output: Vec<f32>,
}

impl ImageModel {
    /// Reads the files, loads the network and finds out how its output lies over its input.
    ///
    /// `cache_dir` holds what is made from the files once: f32 weights, and packed networks unless `options.cache` names
    /// another folder for them.
    pub fn open(
        source: &ModelSource,
        spec: &ImageModelSpec,
        runtime: &Runtime,
        options: &LoadOptions,
        cache_dir: &Path,
    ) -> Result<Self> {
        let cache = WeightCache::new(&cache_dir.join("weights"));
        let options = &LoadOptions {
            cache: Some(options.cache.clone().unwrap_or_else(|| cache_dir.join("packed"))),
            ..options.clone()
        };
        match source {
            ModelSource::Ncnn { param, bin } => {
                let net = ncnn::load(param, bin, spec.input.as_deref(), spec.output.as_deref(), &cache)?;
                Self::from_net(net, param, spec, runtime, options)
            }
            ModelSource::Onnx(path) => Err(ModelError::BadOnnx {
                path: path.clone(),
                why: "not read yet".into(),
            }),
        }
    }

    /// Loads a network that is already built; `path` is for messages.
    pub fn from_net(
        net: Net,
        path: &Path,
        spec: &ImageModelSpec,
        runtime: &Runtime,
        options: &LoadOptions,
    ) -> Result<Self> {
        let channels = picture_channels(&net, path)?;
        let geometry = Geometry::of(&net, channels, path, spec)?;
        let radius = reach::receptive_radius(&net, &geometry, channels);
        let pool = ExecutablePool::load(runtime, &net, options)?;
        Ok(Self {
            pool,
            net,
            geometry,
            channels,
            add_nearest: spec.add_nearest,
            radius,
            fits: Mutex::default(),
            scratch: Mutex::default(),
        })
    }

    /// Output pixels a side for each input pixel.
    pub fn scale(&self) -> u32 {
        self.geometry.scale as u32
    }

    /// Channels of the network: 3, or 1 for one that sees red, green and blue as pictures of their own.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// What was chosen at load.
    pub fn report(&self) -> &ExecutionReport {
        self.pool.report()
    }

    /// Runs that may take place at once.
    pub fn workers(&self) -> usize {
        self.pool.workers()
    }

    /// Distance in input pixels beyond which nothing reaches an output pixel; `None` for networks with global pooling.
    pub fn receptive_radius(&self) -> Option<usize> {
        self.radius
    }

    /// The only input height and width the network takes, where it has one.
    pub fn fixed_size(&self) -> Option<(usize, usize)> {
        self.geometry.fixed
    }

    /// The network.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Ends all runs.
    pub fn cancel(&self) {
        self.pool.cancel();
    }

    /// Bytes of the largest set of values that are alive at once in a run of a size: what its memory grows by.
    pub fn activation_bytes(&self, size: PictureSize) -> Result<u64> {
        let fit = self.fit(size.height, size.width)?;
        let batch = size.batch * CHANNELS / self.channels;
        Ok(self
            .net
            .peak_activation_bytes(&[&[batch, self.channels, fit.height, fit.width]])?)
    }

    /// Number of floats of the output for a size; `None` when it does not fit the address space.
    pub fn output_len(&self, size: PictureSize) -> Option<usize> {
        let scale = self.geometry.scale;
        element_count(&[size.batch, CHANNELS, size.height, scale, size.width, scale])
    }

    /// Runs the network. `input` is `[N, 3, H, W]` f32 in 0..1; `output` becomes `[N, 3, H*scale, W*scale]`, not clamped.
    ///
    /// Any size of at least one pixel works: what the network needs around the picture is mirrored and cut off again.
    pub fn run(&self, input: &[f32], size: PictureSize, output: &mut [f32]) -> Result<()> {
        let planes = self.check(input, size, output)?;
        let fit = self.fit(size.height, size.width)?;
        let batch = planes / self.channels;
        let shape_in = [batch, self.channels, fit.height, fit.width];
        let shape_out = [batch, self.channels, fit.out_height, fit.out_width];
        if fit.is_exact(&self.geometry, size.height, size.width) {
            self.call(&shape_in, input, &shape_out, output)?;
        } else {
            let mut scratch = self
                .scratch
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop()
                .unwrap_or_default();
            let result = self.run_padded(input, size, output, &fit, planes, &mut scratch, (&shape_in, &shape_out));
            self.scratch
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(scratch);
            result?;
        }
        if self.add_nearest {
            add_nearest(input, size, self.geometry.scale, planes, output);
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "one private step of `run`")]
    fn run_padded(
        &self,
        input: &[f32],
        size: PictureSize,
        output: &mut [f32],
        fit: &Fit,
        planes: usize,
        scratch: &mut Scratch,
        (shape_in, shape_out): (&[usize; 4], &[usize; 4]),
    ) -> Result<()> {
        let too_large = || ModelError::BadInput {
            what: "picture",
            expected: "a size that fits the address space".into(),
            found: format!("{}x{}", size.width, size.height),
        };
        scratch
            .input
            .resize(element_count(shape_in).ok_or_else(too_large)?, 0.0);
        scratch
            .output
            .resize(element_count(shape_out).ok_or_else(too_large)?, 0.0);
        let pad = self.geometry.pad;
        for plane in 0..planes {
            let from = &input[plane * size.height * size.width..][..size.height * size.width];
            let to = &mut scratch.input[plane * fit.height * fit.width..][..fit.height * fit.width];
            for (y, row) in to.chunks_exact_mut(fit.width).enumerate() {
                let source = &from[reflect(y as isize - pad as isize, size.height) * size.width..][..size.width];
                row[pad..pad + size.width].copy_from_slice(source);
                for x in (0..pad).chain(pad + size.width..fit.width) {
                    row[x] = source[reflect(x as isize - pad as isize, size.width)];
                }
            }
        }
        self.call(shape_in, &scratch.input, shape_out, &mut scratch.output)?;
        let scale = self.geometry.scale;
        let (out_h, out_w) = (size.height * scale, size.width * scale);
        let crop = self.geometry.crop();
        for plane in 0..planes {
            let from = &scratch.output[plane * fit.out_height * fit.out_width..][..fit.out_height * fit.out_width];
            let to = &mut output[plane * out_h * out_w..][..out_h * out_w];
            for (y, row) in to.chunks_exact_mut(out_w).enumerate() {
                row.copy_from_slice(&from[(y + crop) * fit.out_width + crop..][..out_w]);
            }
        }
        Ok(())
    }

    fn check(&self, input: &[f32], size: PictureSize, output: &[f32]) -> Result<usize> {
        let bad = |what, expected: String, found: String| ModelError::BadInput { what, expected, found };
        let PictureSize { batch, height, width } = size;
        if batch == 0 || height == 0 || width == 0 {
            return Err(bad(
                "picture",
                "at least one pixel".into(),
                format!("{batch} of {width}x{height}"),
            ));
        }
        if let Some((h, w)) = self.geometry.fixed
            && (h, w) != (height, width)
        {
            return Err(bad(
                "picture",
                format!("{w}x{h}, the only size of this network (tile the picture)"),
                format!("{width}x{height}"),
            ));
        }
        let want = element_count(&[batch, CHANNELS, height, width]);
        if want != Some(input.len()) {
            return Err(bad(
                "input",
                format!("{batch} x 3 x {height} x {width} values"),
                input.len().to_string(),
            ));
        }
        let want = self.output_len(size);
        if want != Some(output.len()) {
            return Err(bad(
                "output",
                format!("{} values", want.unwrap_or(usize::MAX)),
                output.len().to_string(),
            ));
        }
        Ok(batch * CHANNELS)
    }

    fn fit(&self, height: usize, width: usize) -> Result<Fit> {
        let mut fits = self.fits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fit) = fits.get(&(height, width)) {
            return Ok(*fit);
        }
        let fit = self.geometry.fit(&self.net, self.channels, height, width)?;
        fits.insert((height, width), fit);
        Ok(fit)
    }

    fn call(&self, shape_in: &[usize], input: &[f32], shape_out: &[usize], output: &mut [f32]) -> Result<()> {
        let mut executable = self.pool.lease();
        Ok(executable.run(
            &[TensorView::f32(shape_in, input)],
            &mut [TensorViewMut::f32(shape_out, output)],
        )?)
    }
}

/// Adds the input, each pixel repeated `scale` times in both directions.
fn add_nearest(input: &[f32], size: PictureSize, scale: usize, planes: usize, output: &mut [f32]) {
    let (out_h, out_w) = (size.height * scale, size.width * scale);
    for plane in 0..planes {
        let from = &input[plane * size.height * size.width..][..size.height * size.width];
        let to = &mut output[plane * out_h * out_w..][..out_h * out_w];
        for (y, row) in to.chunks_exact_mut(out_w).enumerate() {
            let source = &from[(y / scale) * size.width..][..size.width];
            for (pixels, add) in row.chunks_exact_mut(scale).zip(source) {
                for p in pixels {
                    *p += add;
                }
            }
        }
    }
}

/// Channels of a network with one picture in and one of as many channels out.
fn picture_channels(net: &Net, path: &Path) -> Result<usize> {
    let (inputs, outputs) = (net.inputs(), net.outputs());
    let bad = |found: String| ModelError::NotImageToImage {
        path: path.into(),
        expected: "one input and one output [N, C, H, W] with C = 3, or 1 in both".into(),
        found,
    };
    let ([input], [output]) = (inputs.as_slice(), outputs.as_slice()) else {
        return Err(bad(format!("{} inputs and {} outputs", inputs.len(), outputs.len())));
    };
    let channels = |t: &kinora_nn::TensorInfo| if t.shape.len() == 4 { t.shape[1].known() } else { None };
    match (channels(input), channels(output)) {
        (Some(3), Some(3)) => Ok(3),
        (Some(1), Some(1)) => Ok(1),
        _ => Err(bad(format!("{input} and {output}"))),
    }
}
