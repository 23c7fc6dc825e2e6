use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use kinora_frame::{Filter as ResizeFilter, Image, ImageDesc, Layout, Pool, resize};
use kinora_models::{
    ImageModel,
    image_model::PictureSize,
    tiling::{TileScratch, Tiling, run_tiled},
};
use kinora_nn::LoadOptions;
use kinora_pipeline::{
    Accepts, Change, Context, Descriptor, Item, Outputs, ParamKind, ParamSpec, Parameters, Params, PipelineError,
    Processor, ProcessorError, Registry, Resources, Stage, Stateless, StreamInfo, StreamState,
};
use serde::{Deserialize, Serialize};

use crate::{Services, params::typed, services::model_error};

#[cfg(test)]
mod tests;
mod tile_choice;

use tile_choice::TileChoice;

/// Parameters of `upscale`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UpscaleParams {
    model: Option<String>,
    strength: f64,
}

impl Default for UpscaleParams {
    fn default() -> Self {
        Self {
            model: None,
            strength: 1.0,
        }
    }
}

impl Parameters for UpscaleParams {
    const SPECS: &'static [ParamSpec] = &[
        ParamSpec {
            name: "model",
            kind: ParamKind::Model("upscale"),
            change: Change::Load,
            about: "network that enlarges: a name of `kinora models list`, or a .param or .onnx file",
            unit: None,
            advanced: false,
        },
        ParamSpec {
            name: "strength",
            kind: ParamKind::Number { min: 0.0, max: 1.0 },
            change: Change::Live,
            about: "1 is the network alone, 0 the plain Lanczos enlargement",
            unit: None,
            advanced: false,
        },
    ];
}

/// Enlarges pictures by an image-to-image network.
struct Upscale {
    descriptor: Descriptor,
    model: ImageModel,
    id: String,
    /// BLAKE3 of graph and weights.
    weights: String,
    pool: Pool,
    tile: TileChoice,
    /// Bytes that the activations of one call may take.
    activation_bytes: u64,
    /// The tiling of a size, decided once.
    tilings: Mutex<HashMap<PictureSize, Option<Tiling>>>,
    scratch: Mutex<Vec<TileScratch>>,
    /// The size that was last asked for by `output`.
    planned: Mutex<Option<PictureSize>>,
}

fn about() -> Descriptor {
    let mut about = Descriptor::plain(
        "upscale",
        "enlarges pictures by a network",
        Stage::Postprocessing,
        Accepts::host(Layout::RGB_F32),
    );
    about.cost_hint = 1000.0;
    about.batch.max = 16;
    about
}

pub(crate) fn register(registry: &mut Registry, services: &Services) -> Result<(), PipelineError> {
    let services = services.clone();
    registry.register::<UpscaleParams>(
        about(),
        Arc::new(move |params, resources| Ok(Arc::new(Upscale::load(typed(params)?, resources, &services)?))),
    )
}

impl Upscale {
    fn load(params: &UpscaleParams, resources: &Resources, services: &Services) -> Result<Self, ProcessorError> {
        let Some(name) = &params.model else {
            return Err(ProcessorError::new("pipeline.bad_value", "upscale needs a model")
                .with_hint("--set upscale.model=span-x4; kinora models list names them"));
        };
        // What costs nothing to check is checked before a network is read.
        let tile = TileChoice::parse(&resources.tile, resources.tile_overlap)?;
        let resolved = services.resolve(name)?;
        let options = LoadOptions {
            threads: resources.threads.max(1),
            workers: resources.workers.max(1),
            ..services.load_options(resources)?
        };
        let runtime = services.runtime()?;
        let model = ImageModel::open_shared(
            &resolved.source,
            &resolved.spec,
            &runtime,
            &options,
            &resources.cache,
            services.executables(),
        )
        .map_err(model_error)?;
        Ok(Self {
            descriptor: about(),
            model,
            id: resolved.id,
            weights: resolved.source.content_hash().map_err(model_error)?,
            pool: resources.pool.clone(),
            tile,
            activation_bytes: (resources.memory_bytes / 2 / resources.workers.max(1) as u64).max(64 << 20),
            tilings: Mutex::default(),
            scratch: Mutex::default(),
            planned: Mutex::default(),
        })
    }

    /// The tiling of one picture of a size; `None` means whole.
    fn tiling(&self, size: PictureSize) -> Result<Option<Tiling>, ProcessorError> {
        let mut known = self.tilings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tiling) = known.get(&size) {
            return Ok(*tiling);
        }
        let tiling = self.tile.tiling(&self.model, size, self.activation_bytes)?;
        // Streams have few sizes; a folder of pictures has many.
        if known.len() >= 256 {
            known.clear();
        }
        known.insert(size, tiling);
        Ok(tiling)
    }

    /// Whether several pictures may go through the network at once: none is cut, and together they fit. A picture is
    /// thus cut in the same way in company and alone.
    fn batches(&self, size: PictureSize) -> Result<bool, ProcessorError> {
        if self.tiling(PictureSize { batch: 1, ..size })?.is_some() {
            return Ok(false);
        }
        let bytes = self.model.activation_bytes(size).map_err(model_error)?;
        Ok(self.tile == TileChoice::Off || bytes <= self.activation_bytes)
    }

    /// One picture `[1, 3, H, W]` through the network, whole or in tiles.
    fn call(&self, input: &[f32], size: PictureSize, output: &mut [f32]) -> Result<(), ProcessorError> {
        let Some(tiling) = self.tiling(size)? else {
            return self.model.run(input, size, output).map_err(model_error);
        };
        let kept = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = kept.unwrap_or_default();
        let result = run_tiled(&self.model, input, size, &tiling, &mut scratch, output).map_err(model_error);
        self.scratch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(scratch);
        result
    }

    /// Pictures of one size through the network.
    fn enlarge(&self, images: &[&Image]) -> Result<Vec<Image>, ProcessorError> {
        let Some(first) = images.first() else {
            return Ok(Vec::new());
        };
        let desc = self.desc(first.desc())?;
        let (from, to) = (first.desc().layout.bytes(first.size())?, desc.layout.bytes(desc.size)?);
        let size = PictureSize {
            batch: images.len(),
            ..picture_size(first.desc())
        };
        let mut results = Vec::with_capacity(images.len());
        if images.len() == 1 || !self.batches(size)? {
            for image in images {
                let mut output = self.pool.take(to);
                let samples = image.host_buffer()?.samples::<f32>();
                self.call(samples, PictureSize { batch: 1, ..size }, output.samples_mut())?;
                self.finite(output.samples_mut())?;
                results.push(Image::host(self.desc(image.desc())?, output.freeze())?);
            }
            return Ok(results);
        }
        let mut input = self.pool.take(from * images.len());
        for (image, place) in images.iter().zip(input.bytes_mut().chunks_exact_mut(from)) {
            place.copy_from_slice(image.host_buffer()?.bytes());
        }
        let mut output = self.pool.take(to * images.len());
        self.model
            .run(input.samples_mut::<f32>(), size, output.samples_mut())
            .map_err(model_error)?;
        self.finite(output.samples_mut())?;
        for (image, place) in images.iter().zip(output.bytes().chunks_exact(to)) {
            let mut one = self.pool.take(to);
            one.bytes_mut().copy_from_slice(place);
            results.push(Image::host(self.desc(image.desc())?, one.freeze())?);
        }
        Ok(results)
    }

    /// Refuses a picture that is none: a broken network must not become a black film.
    fn finite(&self, samples: &[f32]) -> Result<(), ProcessorError> {
        // Zero times anything finite is zero, so one sum tells.
        let sum: f32 = samples
            .chunks(4096)
            .map(|chunk| chunk.iter().map(|v| v * 0.0).sum::<f32>())
            .sum();
        if sum == 0.0 {
            return Ok(());
        }
        let message = format!("{} gives numbers that are not finite", self.id);
        Err(ProcessorError::new("model.not_finite", message)
            .with_hint("try --device cpu --precision f32, or another model"))
    }

    /// The enlargement without the network.
    fn plain(&self, source: &Image) -> Result<Image, ProcessorError> {
        let size = self.desc(source.desc())?.size;
        Ok(resize(source, size, ResizeFilter::Lanczos3, &self.pool)?)
    }

    fn blend(&self, network: &Image, source: &Image, strength: f64) -> Result<Image, ProcessorError> {
        let plain = self.plain(source)?;
        let mut mixed = self.pool.take(network.host_buffer()?.bytes().len());
        let strength = strength as f32;
        let pairs = network
            .host_buffer()?
            .samples::<f32>()
            .iter()
            .zip(plain.host_buffer()?.samples::<f32>());
        for (out, (n, p)) in mixed.samples_mut::<f32>().iter_mut().zip(pairs) {
            *out = n * strength + p * (1.0 - strength);
        }
        Ok(Image::host(*network.desc(), mixed.freeze())?)
    }

    fn desc(&self, input: &ImageDesc) -> Result<ImageDesc, ProcessorError> {
        let size = input.size.scaled(self.model.scale()).ok_or_else(|| {
            ProcessorError::new(
                "input.size",
                format!("{} times {} is too large", input.size, self.model.scale()),
            )
        })?;
        Ok(ImageDesc { size, ..*input })
    }
}

fn picture_size(desc: &ImageDesc) -> PictureSize {
    PictureSize {
        batch: 1,
        height: desc.size.height as usize,
        width: desc.size.width as usize,
    }
}

impl Processor for Upscale {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn chosen(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("model", self.id.clone()),
            ("scale", format!("{}x", self.model.scale())),
            ("execution", format!("on {}", self.model.report())),
        ];
        let planned = *self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((size, Ok(tiling))) = planned.map(|size| (size, self.tiling(size))) {
            let tile = tiling.map_or_else(|| "whole picture".to_owned(), |t| t.describe(&self.model, size));
            facts.push(("tile", tile));
        }
        facts
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        let report = self.model.report();
        vec![
            ("weights", self.weights.clone()),
            ("device", report.device.to_string()),
            ("precision", report.precision.to_string()),
        ]
    }

    fn cancel(&self) {
        self.model.cancel();
    }

    fn resume(&self) {
        self.model.resume();
    }

    fn output(&self, input: &ImageDesc, _params: &Params) -> Result<ImageDesc, ProcessorError> {
        // Decided before the first frame, so that a tile that cannot be is said at once.
        let size = picture_size(input);
        self.tiling(size)?;
        *self.planned.lock().unwrap_or_else(PoisonError::into_inner) = Some(size);
        self.desc(input)
    }

    fn open(&self, _stream: &StreamInfo, _params: &Params) -> Result<Box<dyn StreamState>, ProcessorError> {
        Ok(Box::new(Stateless))
    }

    fn process(&self, items: &mut [Item<'_>], out: &mut Outputs) -> Result<(), ProcessorError> {
        let mut taken: Vec<(_, Context, f64)> = Vec::with_capacity(items.len());
        for item in items {
            let strength = typed::<UpscaleParams>(&item.params)?.strength;
            if let Some(context) = item.context.take() {
                taken.push((item.stream, context, strength));
            }
        }
        let mut results: Vec<Option<Image>> = vec![None; taken.len()];
        let mut waiting: Vec<usize> = Vec::with_capacity(taken.len());
        for (at, (_, context, strength)) in taken.iter().enumerate() {
            if *strength > 0.0 {
                waiting.push(at);
            } else {
                results[at] = Some(self.plain(&context.frame.image)?);
            }
        }
        // One call takes pictures of one size; a batch of several sizes becomes several calls.
        let image = |at: usize| &taken[at].1.frame.image;
        while let Some(size) = waiting.first().map(|at| image(*at).size()) {
            let (same, rest): (Vec<usize>, Vec<usize>) = waiting.into_iter().partition(|at| image(*at).size() == size);
            waiting = rest;
            let images: Vec<&Image> = same.iter().map(|at| image(*at)).collect();
            for (at, network) in same.into_iter().zip(self.enlarge(&images)?) {
                let strength = taken[at].2;
                results[at] = Some(if strength < 1.0 {
                    self.blend(&network, image(at), strength)?
                } else {
                    network
                });
            }
        }
        // In the order in which they came, so that a stream keeps its own.
        for ((stream, context, _), image) in taken.into_iter().zip(results.into_iter().flatten()) {
            let frame = context.frame.with_image(image);
            out.push(stream, Context { frame, ..context });
        }
        Ok(())
    }
}
