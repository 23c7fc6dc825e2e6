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

use crate::{Services, services::model_error};

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
    pool: Pool,
    tile: TileChoice,
    /// Bytes that the activations of one call may take.
    activation_bytes: u64,
    /// The tiling of a size, decided once.
    tilings: Mutex<HashMap<PictureSize, Option<Tiling>>>,
    scratch: Mutex<Vec<TileScratch>>,
}

/// What the user wants of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TileChoice {
    /// As large as the memory allows; untiled where it fits.
    Auto,
    /// Never.
    Off,
    /// Of this size, columns and rows.
    Size(usize, usize, Option<usize>),
}

impl TileChoice {
    fn parse(text: &str, overlap: Option<u32>) -> Result<Self, ProcessorError> {
        let bad = || {
            ProcessorError::new("usage.value", format!("'{text}' is no tile"))
                .with_hint("--tile takes auto, off, a size in pixels, or WxH, at least 32")
        };
        let overlap = overlap.map(|overlap| overlap as usize);
        match text {
            "auto" | "" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            size => {
                let (width, height) = size.split_once('x').unwrap_or((size, size));
                let side = |text: &str| text.parse::<usize>().ok().filter(|side| (32..=8192).contains(side));
                let (width, height) = side(width).zip(side(height)).ok_or_else(bad)?;
                if overlap.is_some_and(|overlap| overlap >= width.min(height)) {
                    return Err(ProcessorError::new(
                        "usage.value",
                        "--tile-overlap must be smaller than the tile",
                    ));
                }
                Ok(Self::Size(width, height, overlap))
            }
        }
    }
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
        Arc::new(move |params, resources| {
            let params = params.typed::<UpscaleParams>().cloned().unwrap_or_default();
            Ok(Arc::new(Upscale::load(&params, resources, &services)?))
        }),
    )
}

impl Upscale {
    fn load(params: &UpscaleParams, resources: &Resources, services: &Services) -> Result<Self, ProcessorError> {
        let Some(name) = &params.model else {
            return Err(ProcessorError::new("pipeline.bad_value", "upscale needs a model")
                .with_hint("--set upscale.model=span-x4; kinora models list names them"));
        };
        let resolved = services.resolve(name)?;
        let options = LoadOptions {
            threads: resources.threads.max(1),
            workers: resources.workers.max(1),
            cache: Some(resources.cache.join("networks")),
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
            pool: resources.pool.clone(),
            tile: TileChoice::parse(&resources.tile, resources.tile_overlap)?,
            activation_bytes: (resources.memory_bytes / 2 / resources.workers.max(1) as u64).max(64 << 20),
            tilings: Mutex::default(),
            scratch: Mutex::default(),
        })
    }

    /// The tiling for pictures of a size; `None` means whole pictures.
    fn tiling(&self, size: PictureSize) -> Result<Option<Tiling>, ProcessorError> {
        let mut known = self.tilings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tiling) = known.get(&size) {
            return Ok(*tiling);
        }
        let by_model = self.model.receptive_radius().map_or(32, |radius| 2 * radius);
        let by_memory = || Tiling::for_memory(&self.model, size, self.activation_bytes).map_err(model_error);
        let tiling = match self.tile {
            // A network of one size is run in tiles of that size whatever the user wants.
            _ if self.model.fixed_size().is_some() => by_memory()?,
            TileChoice::Off => None,
            TileChoice::Auto => by_memory()?,
            TileChoice::Size(width, height, _) if width >= size.width && height >= size.height => None,
            TileChoice::Size(width, height, overlap) => {
                let most = width.min(height) / 2;
                let square = Tiling::square(width, overlap.unwrap_or_else(|| by_model.min(most)));
                Some(Tiling {
                    width,
                    height,
                    ..square
                })
            }
        };
        known.insert(size, tiling);
        Ok(tiling)
    }

    /// `[N, 3, H, W]` through the network, whole or in tiles.
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

    /// `[N, 3, H, W]` in 0..1 through the network, all of one size.
    fn enlarge(&self, images: &[Image], strengths: &[f64]) -> Result<Vec<Image>, ProcessorError> {
        let Some(first) = images.first() else {
            return Ok(Vec::new());
        };
        let desc = self.desc(first.desc())?;
        let (from, to) = (first.desc().layout.bytes(first.size())?, desc.layout.bytes(desc.size)?);
        let size = PictureSize {
            batch: images.len(),
            height: first.size().height as usize,
            width: first.size().width as usize,
        };
        let mut results = Vec::with_capacity(images.len());
        if let [image] = images {
            let mut output = self.pool.take(to);
            let samples = image.host_buffer()?.samples::<f32>();
            self.call(samples, size, output.samples_mut())?;
            results.push(Image::host(desc, output.freeze())?);
        } else {
            let mut input = self.pool.take(from * images.len());
            for (image, place) in images.iter().zip(input.bytes_mut().chunks_exact_mut(from)) {
                place.copy_from_slice(image.host_buffer()?.bytes());
            }
            let mut output = self.pool.take(to * images.len());
            self.call(input.samples_mut::<f32>(), size, output.samples_mut())?;
            for place in output.bytes().chunks_exact(to) {
                let mut one = self.pool.take(to);
                one.bytes_mut().copy_from_slice(place);
                results.push(Image::host(desc, one.freeze())?);
            }
        }
        for ((result, image), &strength) in results.iter_mut().zip(images).zip(strengths) {
            if strength < 1.0 {
                *result = self.blend(result, image, strength)?;
            }
        }
        Ok(results)
    }

    fn blend(&self, network: &Image, source: &Image, strength: f64) -> Result<Image, ProcessorError> {
        let plain = resize(source, network.size(), ResizeFilter::Lanczos3, &self.pool)?;
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

impl Processor for Upscale {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn chosen(&self) -> Vec<(&'static str, String)> {
        let report = self.model.report();
        vec![
            ("model", self.id.clone()),
            ("scale", format!("{}x", self.model.scale())),
            ("execution", format!("on {report}")),
        ]
    }

    fn output(&self, input: &ImageDesc, _params: &Params) -> Result<ImageDesc, ProcessorError> {
        // Decided before the first frame, so that a tile that cannot be is said at once.
        let size = PictureSize {
            batch: 1,
            height: input.size.height as usize,
            width: input.size.width as usize,
        };
        self.tiling(size)?;
        self.desc(input)
    }

    fn open(&self, _stream: &StreamInfo, _params: &Params) -> Result<Box<dyn StreamState>, ProcessorError> {
        Ok(Box::new(Stateless))
    }

    fn process(&self, items: &mut [Item<'_>], out: &mut Outputs) -> Result<(), ProcessorError> {
        let mut waiting: Vec<(_, Context, f64)> = Vec::with_capacity(items.len());
        for item in items {
            let strength = item
                .params
                .typed::<UpscaleParams>()
                .map_or(1.0, |params| params.strength);
            if let Some(context) = item.context.take() {
                waiting.push((item.stream, context, strength));
            }
        }
        // One call takes pictures of one size; a batch of several sizes becomes several calls.
        while let Some(size) = waiting.first().map(|(_, context, _)| context.frame.image.size()) {
            let (same, rest): (Vec<_>, Vec<_>) = waiting
                .into_iter()
                .partition(|(_, context, _)| context.frame.image.size() == size);
            waiting = rest;
            let images: Vec<Image> = same.iter().map(|(_, context, _)| context.frame.image.clone()).collect();
            let strengths: Vec<f64> = same.iter().map(|(.., strength)| *strength).collect();
            let results = self.enlarge(&images, &strengths)?;
            for ((stream, context, _), image) in same.into_iter().zip(results) {
                let frame = context.frame.with_image(image);
                out.push(stream, Context { frame, ..context });
            }
        }
        Ok(())
    }
}
