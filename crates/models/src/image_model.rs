//! A network that turns a picture into a picture, whatever file it came from.

mod cancel;
mod geometry;
mod network;
mod reach;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use cancel::Runs;
use geometry::Fit;
pub(crate) use geometry::reflect;
use kinora_nn::{
    DType, Elements, ElementsMut, ExecutableCache, ExecutionReport, LoadOptions, Net, Runtime, TensorView,
    TensorViewMut, WeightCache, element_count,
};
use network::{Load, Network};

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
    network: Network,
    add_nearest: bool,
    runs: Runs,
    fits: Mutex<HashMap<(usize, usize), Fit>>,
    scratch: Mutex<Vec<Scratch>>,
}

/// Buffers of one run; kept from run to run.
#[derive(Debug, Default)]
struct Scratch {
    input: Vec<f32>,
    output: Vec<f32>,
    input_bytes: Vec<u8>,
    output_bytes: Vec<u8>,
}

impl ImageModel {
    /// Reads the files, loads the network and finds out how its output lies over its input. For a caller that loads one
    /// model; see [`ImageModel::open_shared`].
    ///
    /// # Errors
    /// As [`ImageModel::open_shared`].
    pub fn open(
        source: &ModelSource,
        spec: &ImageModelSpec,
        runtime: &Runtime,
        options: &LoadOptions,
        cache_dir: &Path,
    ) -> Result<Self> {
        Self::open_shared(source, spec, runtime, options, cache_dir, &ExecutableCache::new())
    }

    /// As [`ImageModel::open`], with the executables of `executables`: a network that somebody has loaded from it with
    /// the same options, and still holds, is not loaded again. Its executables are then shared, so that all holders
    /// together run as many calls at once as `options.workers` says.
    ///
    /// `cache_dir` holds what is made from the files once: f32 weights, and packed networks unless `options.cache` names
    /// another folder for them. Sizes of an ONNX file are found by running it on small gray pictures.
    ///
    /// # Errors
    /// Files that cannot be read or are no image-to-image network, and what [`kinora_nn::Executable::load`] says.
    pub fn open_shared(
        source: &ModelSource,
        spec: &ImageModelSpec,
        runtime: &Runtime,
        options: &LoadOptions,
        cache_dir: &Path,
        executables: &ExecutableCache,
    ) -> Result<Self> {
        let options = &LoadOptions {
            cache: Some(options.cache.clone().unwrap_or_else(|| cache_dir.join("packed"))),
            ..options.clone()
        };
        let load = Load {
            spec,
            runtime,
            options,
            executables,
        };
        let network = match source {
            ModelSource::Ncnn { param, bin } => {
                let cache = WeightCache::new(&cache_dir.join("weights"));
                let net = ncnn::load(param, bin, spec.input.as_deref(), spec.output.as_deref(), &cache)?;
                Network::from_net(net, param, &load)?
            }
            ModelSource::Onnx(path) => Network::from_file(path, &load)?,
        };
        Ok(Self::around(network, spec))
    }

    /// Loads a network that is already built; `path` is for messages.
    ///
    /// # Errors
    /// As [`ImageModel::open_shared`].
    pub fn from_net(
        net: Net,
        path: &Path,
        spec: &ImageModelSpec,
        runtime: &Runtime,
        options: &LoadOptions,
    ) -> Result<Self> {
        let load = Load {
            spec,
            runtime,
            options,
            executables: &ExecutableCache::new(),
        };
        Ok(Self::around(Network::from_net(net, path, &load)?, spec))
    }

    fn around(network: Network, spec: &ImageModelSpec) -> Self {
        Self {
            network,
            add_nearest: spec.add_nearest,
            runs: Runs::default(),
            fits: Mutex::default(),
            scratch: Mutex::default(),
        }
    }

    /// Output pixels a side for each input pixel.
    pub fn scale(&self) -> u32 {
        self.network.geometry.scale as u32
    }

    /// Channels of the network: 3, or 1 for one that sees red, green and blue as pictures of their own.
    pub fn channels(&self) -> usize {
        self.network.channels
    }

    /// What was chosen at load.
    pub fn report(&self) -> &ExecutionReport {
        self.network.pool.report()
    }

    /// Runs that may take place at once.
    pub fn workers(&self) -> usize {
        self.network.pool.workers()
    }

    /// Distance in input pixels beyond which nothing reaches an output pixel; `None` for networks with global pooling
    /// and for model files, whose graph is not read.
    pub fn receptive_radius(&self) -> Option<usize> {
        self.network.radius
    }

    /// Number of pixels at whose multiples tiles must start to be exact: 1 unless the network halves its picture on the
    /// way. Unknown for model files, where it is taken to be 1.
    pub fn alignment(&self) -> usize {
        self.network.alignment
    }

    /// The only input height and width the network takes, where it has one.
    pub fn fixed_size(&self) -> Option<(usize, usize)> {
        self.network.geometry.fixed
    }

    /// The typed network; `None` for a model file that is run as it is.
    pub fn net(&self) -> Option<&Net> {
        self.network.net()
    }

    /// Ends this model's runs, those in progress and those to come, from another thread: they return
    /// [`kinora_nn::NnError::Cancelled`]. Runs of other models that share its executables go on. How soon a run in
    /// progress ends is the provider's matter: see [`kinora_nn::Canceller`].
    pub fn cancel(&self) {
        self.runs.cancel();
    }

    /// Allows runs again after a cancel.
    pub fn resume(&self) {
        self.runs.resume();
    }

    /// Bytes of the largest set of values that are alive at once in a run of a size: what its memory grows by. For a
    /// model file, whose values are not known, 64 channels at the input's size and the output are assumed.
    pub fn activation_bytes(&self, size: PictureSize) -> Result<u64> {
        let fit = self.fit(size.height, size.width)?;
        let channels = self.network.channels;
        let batch = self.network.batch.unwrap_or(size.batch * CHANNELS / channels);
        match self.network.net() {
            Some(net) => Ok(net.peak_activation_bytes(&[&[batch, channels, fit.height, fit.width]])?),
            None => {
                let input = (batch * fit.height * fit.width) as u64;
                let output = (batch * channels * fit.out_height * fit.out_width) as u64;
                Ok((input * 3 * 64 + output) * 4)
            }
        }
    }

    /// Number of floats of the output for a size; `None` when it does not fit the address space.
    pub fn output_len(&self, size: PictureSize) -> Option<usize> {
        let scale = self.network.geometry.scale;
        element_count(&[size.batch, CHANNELS, size.height, scale, size.width, scale])
    }

    /// Runs the network. `input` is `[N, 3, H, W]` f32 in 0..1; `output` becomes `[N, 3, H*scale, W*scale]`, not
    /// clamped (networks of bytes round and clamp by themselves).
    ///
    /// Any size of at least one pixel works: what the network needs around the picture is mirrored and cut off again.
    pub fn run(&self, input: &[f32], size: PictureSize, output: &mut [f32]) -> Result<()> {
        self.runs.check()?;
        let planes = self.check(input, size, output)?;
        let fit = self.fit(size.height, size.width)?;
        let mut scratch = self
            .scratch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .unwrap_or_default();
        let result = self.run_all(input, size, output, &fit, planes, &mut scratch);
        self.scratch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(scratch);
        result?;
        if self.add_nearest {
            add_nearest(input, size, self.network.geometry.scale, planes, output);
        }
        Ok(())
    }

    fn run_all(
        &self,
        input: &[f32],
        size: PictureSize,
        output: &mut [f32],
        fit: &Fit,
        planes: usize,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Network { channels, batch, .. } = self.network;
        let Scratch {
            input: padded,
            output: whole,
            input_bytes,
            output_bytes,
        } = scratch;
        let exact = fit.is_exact(&self.network.geometry, size.height, size.width);
        let too_large = || ModelError::BadInput {
            what: "picture",
            expected: "a size that fits the address space".into(),
            found: format!("{}x{}", size.width, size.height),
        };
        let at_once = batch.unwrap_or(planes / channels);
        let shape_in = [at_once, channels, fit.height, fit.width];
        let shape_out = [at_once, channels, fit.out_height, fit.out_width];
        let count_in = element_count(&shape_in).ok_or_else(too_large)?;
        let count_out = element_count(&shape_out).ok_or_else(too_large)?;
        let mut bytes = (input_bytes, output_bytes);
        let (plane_in, plane_out) = (size.height * size.width, output.len() / planes);
        for first in (0..planes).step_by(at_once * channels) {
            let taken = (planes - first).min(at_once * channels);
            let source = &input[first * plane_in..][..taken * plane_in];
            let target = &mut output[first * plane_out..][..taken * plane_out];
            if exact && taken == at_once * channels {
                self.call(&shape_in, source, &shape_out, target, &mut bytes)?;
            } else {
                padded.resize(count_in, 0.0);
                whole.resize(count_out, 0.0);
                self.pad(source, size, fit, padded);
                // The last batch of a network that takes only so many is filled by its last picture.
                let (picture, filled) = (count_in / at_once, count_in / at_once * taken / channels);
                for at in (filled..count_in).step_by(picture) {
                    padded.copy_within(filled - picture..filled, at);
                }
                self.call(&shape_in, padded, &shape_out, whole, &mut bytes)?;
                self.crop(whole, size, fit, target);
            }
        }
        Ok(())
    }

    /// Copies planes into the middle of larger ones; the rest is mirrored.
    fn pad(&self, input: &[f32], size: PictureSize, fit: &Fit, padded: &mut [f32]) {
        let pad = self.network.geometry.pad;
        let from = input.chunks_exact(size.height * size.width);
        for (from, to) in from.zip(padded.chunks_exact_mut(fit.height * fit.width)) {
            for (y, row) in to.chunks_exact_mut(fit.width).enumerate() {
                let source = &from[reflect(y as isize - pad as isize, size.height) * size.width..][..size.width];
                row[pad..pad + size.width].copy_from_slice(source);
                for x in (0..pad).chain(pad + size.width..fit.width) {
                    row[x] = source[reflect(x as isize - pad as isize, size.width)];
                }
            }
        }
    }

    fn crop(&self, whole: &[f32], size: PictureSize, fit: &Fit, output: &mut [f32]) {
        let (scale, crop) = (self.network.geometry.scale, self.network.geometry.crop());
        let (out_h, out_w) = (size.height * scale, size.width * scale);
        let from = whole.chunks_exact(fit.out_height * fit.out_width);
        for (from, to) in from.zip(output.chunks_exact_mut(out_h * out_w)) {
            for (y, row) in to.chunks_exact_mut(out_w).enumerate() {
                row.copy_from_slice(&from[(y + crop) * fit.out_width + crop..][..out_w]);
            }
        }
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
        if let Some((h, w)) = self.network.geometry.fixed
            && (h, w) != (height, width)
        {
            let expected = format!("{w}x{h}, the only size of this network (tile the picture)");
            return Err(bad("picture", expected, format!("{width}x{height}")));
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
        let fit = self.network.fit(height, width)?;
        // Streams have few sizes; a folder of pictures has many.
        if fits.len() >= 256 {
            fits.clear();
        }
        fits.insert((height, width), fit);
        Ok(fit)
    }

    fn call(
        &self,
        shape_in: &[usize],
        input: &[f32],
        shape_out: &[usize],
        output: &mut [f32],
        (input_bytes, output_bytes): &mut (&mut Vec<u8>, &mut Vec<u8>),
    ) -> Result<()> {
        let data = match self.network.input {
            DType::U8 => {
                input_bytes.clear();
                input_bytes.extend(input.iter().map(|v| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8));
                Elements::U8(input_bytes)
            }
            _ => Elements::F32(input),
        };
        let input = TensorView { shape: shape_in, data };
        let mut executable = self.network.pool.lease();
        self.runs.run(&mut executable, |executable| {
            if self.network.output == DType::U8 {
                output_bytes.resize(output.len(), 0);
                let data = ElementsMut::U8(output_bytes);
                executable.run(&[input], &mut [TensorViewMut { shape: shape_out, data }])?;
                for (value, byte) in output.iter_mut().zip(output_bytes.iter()) {
                    *value = f32::from(*byte) / 255.0;
                }
                return Ok(());
            }
            Ok(executable.run(&[input], &mut [TensorViewMut::f32(shape_out, output)])?)
        })
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
