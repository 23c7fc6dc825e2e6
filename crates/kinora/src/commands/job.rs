//! One video through one pipeline: what `upscale` and `run` have in common.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use kinora_engine::{
    ClipSink, ClipSource, Control, DedupeMode, Event, FrameSink, FrameSource, OfflineJob, OnFrameError, Report,
};
use kinora_media::{
    Audio, DecodeOptions, Decoder, Deinterlace, EncodeSettings, Encoder, SizeChange, StartAt, Stop, Subtitles,
    VideoFormat,
};
use kinora_pipeline::{Accepts, Pipeline, PipelineBuilder, Stage};
use serde_json::{Map, Value as Json, json};

use super::{
    clip::Clip,
    output_name::{NameParts, default_output},
    place::Place,
    telling::{ReportFile, chosen, head, tell},
};
use crate::{
    app::App,
    cli::{InOut, JobArgs, PictureFlags, PlaceFlags, ProgressStyle},
    failure::Failure,
    keys::Steering,
    show::ProgressView,
};

/// A processor that a job wants, with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WantedNode {
    /// Name in the pipeline: the processor's, with a number from the second on.
    pub(crate) id: String,
    pub(crate) processor: String,
    pub(crate) params: Map<String, Json>,
    /// The stage it was put into; `None` is its own, or that of the one before it where that is later.
    pub(crate) stage: Option<Stage>,
}

/// Numbers repeats of one processor as the pipeline does.
pub(crate) fn wanted(nodes: impl IntoIterator<Item = (String, Map<String, Json>, Option<Stage>)>) -> Vec<WantedNode> {
    let mut all: Vec<WantedNode> = Vec::new();
    for (processor, params, stage) in nodes {
        let before = all.iter().filter(|node| node.processor == processor).count();
        let id = if before == 0 {
            processor.clone()
        } else {
            format!("{processor}_{}", before + 1)
        };
        all.push(WantedNode {
            id,
            processor,
            params,
            stage,
        });
    }
    all
}

/// What a job is called and made of.
pub(crate) struct JobPlan {
    /// Processors in order.
    pub(crate) nodes: Vec<WantedNode>,
    pub(crate) scale: Option<f64>,
    pub(crate) model: Option<String>,
    pub(crate) pipeline: String,
    pub(crate) notes: Vec<String>,
}

impl JobPlan {
    /// The processors as they would stand in a file.
    pub(crate) fn json(&self) -> Json {
        let entry = |node: &WantedNode| json!({"processor": node.processor, "params": node.params});
        self.nodes.iter().map(entry).collect()
    }
}

/// The flags of a job, wherever they come from.
pub(crate) struct JobSettings<'a> {
    pub(crate) io: &'a InOut,
    pub(crate) set: &'a [String],
    pub(crate) with: &'a JobArgs,
}

/// Applies `--set` and loads the processors.
pub(crate) fn load_pipeline(
    app: &App,
    plan: &mut JobPlan,
    set: &[String],
    place: &Place,
    flags: &PlaceFlags,
) -> Result<Arc<Pipeline>, Failure> {
    for assignment in set {
        let parsed = assignment
            .split_once('=')
            .and_then(|(path, value)| Some((path.split_once('.')?, value)));
        let Some(((node, key), value)) = parsed else {
            return Err(Failure::usage(format!(
                "--set '{assignment}' is not of the form PROCESSOR.KEY=VALUE"
            )));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Json::String(value.to_owned()));
        let names: Vec<String> = plan.nodes.iter().map(|node| node.id.clone()).collect();
        let Some(found) = plan.nodes.iter_mut().find(|wanted| wanted.id == node) else {
            return Err(
                Failure::usage(format!("--set {assignment}: this pipeline has no '{node}'"))
                    .hint(format!("it has: {}", names.join(", "))),
            );
        };
        found.params.insert(key.to_owned(), value);
    }
    let registry = app.registry(&flags.on.device)?;
    let mut builder = PipelineBuilder::new();
    for node in &plan.nodes {
        let (name, params) = (node.processor.as_str(), node.params.clone());
        builder = match node.stage {
            None => builder.then(name, params),
            Some(Stage::InputProcessing) => builder.input(name, params),
            Some(Stage::Preprocessing) => builder.preprocess(name, params),
            Some(Stage::Generation) => builder.generate(name, params),
            Some(Stage::Postprocessing) => builder.postprocess(name, params),
            Some(Stage::Finalization) => builder.finalize(name, params),
        };
    }
    Ok(Arc::new(builder.build(&registry, &place.resources(app, flags))?))
}

/// Runs a video through a pipeline and says how it went.
pub(crate) fn run_clip(
    app: &App,
    clip: &Clip,
    output: Option<PathBuf>,
    mut plan: JobPlan,
    settings: &JobSettings<'_>,
) -> Result<(), Failure> {
    let console = &app.console;
    let input = &clip.info.path;
    let output = choose_output(clip, output, &plan, settings)?;
    check_output(&output, input, settings.io.overwrite)?;
    let report_file = ReportFile::promised(settings, [input.as_path(), output.as_path()])?;
    let place = Place::new(&settings.with.place)?;
    let pipeline = load_pipeline(app, &mut plan, settings.set, &place, &settings.with.place)?;

    let mut options = DecodeOptions {
        stream: Some(clip.stream),
        pool: place.pool.clone(),
        deinterlace: match settings.with.picture.deinterlace.as_str() {
            "on" => Deinterlace::On,
            "off" => Deinterlace::Off,
            _ => Deinterlace::Auto,
        },
        size_change: match settings.with.picture.on_size_change.as_str() {
            "fail" => SizeChange::Fail,
            _ => SizeChange::Rescale,
        },
        index: Some(Arc::clone(&clip.index)),
        ..DecodeOptions::default()
    };
    if clip.first > 0 {
        options.start = Some(StartAt {
            index: Arc::clone(&clip.index),
            frame: clip.first,
        });
    }
    let decoder = Decoder::open(&clip.ffmpeg, &clip.info, options)?;
    let source = ClipSource::new(
        decoder,
        Arc::clone(&clip.index),
        input.clone(),
        clip.facts.frame_rate,
        clip.first,
        clip.end,
        clip.stated(),
    );
    let image = source.image();
    let format = image_format(&source)?;
    let job = offline_job(&pipeline, Accepts::pixels([format]), &place, &settings.with.picture);
    let laid_out = job.plan(&source)?;
    let size = laid_out.output.size;
    // A source that does not name its matrix gives a file that does not either, unless players would then guess
    // another one for the new height.
    let mut color = image.color;
    if clip.facts.color.resolved_matrix(size.height) == color.matrix {
        color.matrix = clip.facts.color.matrix;
    }
    let video = VideoFormat {
        size,
        format,
        color,
        output_color: if format.is_yuv() { color } else { clip.facts.color },
        time_base: clip.time_base,
        sample_aspect: clip.facts.sample_aspect,
        side_data: clip.facts.side_data.clone(),
    };
    let encode = encode_settings(clip, settings, &plan, &place, &pipeline);

    head(app, clip, &output, &plan, &pipeline, size, &encode, &place);
    if job.effective_dedupe(&laid_out) != job.dedupe && laid_out.worth_sharing {
        console.say("  duplicates off: an output depends on more than its pixels");
    }
    if settings.with.job.dry_run {
        for line in laid_out.to_text().lines() {
            console.say(&format!("  {line}"));
        }
        console.say("dry run: nothing was written");
        return Ok(());
    }

    let encoder = Encoder::start(
        &clip.ffmpeg,
        &output,
        &video,
        Some(&clip.info),
        &encode,
        &Stop::default(),
    )?;
    for note in encoder.notes() {
        console.warn("output.note", &note.to_string(), None);
    }
    let name = output.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let report = execute(app, &job, Box::new(source), Box::new(ClipSink::new(encoder)), &name)?;
    tell(app, &report, &name);
    if let Some(file) = report_file {
        let input = json!({"path": clip.info.path.to_string_lossy(), "first": clip.first, "end": clip.end});
        file.write(&report, &plan, &pipeline, input)?;
    }
    Ok(())
}

/// Runs a job with progress, keys and signals.
pub(crate) fn execute(
    app: &App,
    job: &OfflineJob,
    source: Box<dyn FrameSource>,
    sink: Box<dyn FrameSink>,
    name: &str,
) -> Result<Report, Failure> {
    let console = &app.console;
    let control = Control::default();
    let view = Arc::new(ProgressView::new(console.clone(), name.to_owned()));
    {
        let view = Arc::clone(&view);
        control.observe(Arc::new(move |from, to| view.state(from, to)));
    }
    let events = {
        let (view, console) = (Arc::clone(&view), console.clone());
        Arc::new(move |event: Event| match event {
            Event::Progress { snapshot, lanes } => view.progress(&snapshot, &lanes),
            Event::Warning { code, message } => console.warn(code, &message, None),
        }) as kinora_engine::Events
    };
    let steering = Steering::new(&control, console, console.style() == ProgressStyle::Bar);
    if app.pause.load(Ordering::Relaxed) {
        control.toggle_pause();
    }
    console.follow(Some(&control));
    let result = job.run(source, sink, &control, &console.clock(), &events);
    console.follow(None);
    drop(steering);
    console.clear();
    Ok(result?)
}

/// The engine's part of the flags.
pub(crate) fn offline_job(
    pipeline: &Arc<Pipeline>,
    accepts: Accepts,
    place: &Place,
    picture: &PictureFlags,
) -> OfflineJob {
    OfflineJob {
        dedupe: if picture.dedupe == "off" {
            DedupeMode::Off
        } else {
            DedupeMode::Exact
        },
        batch: place.batch,
        workers: place.workers,
        finishers: 1,
        // Half of the memory is for frames on their way, the other half for what networks compute with.
        memory_bytes: place.memory_bytes / 2,
        on_frame_error: match picture.on_frame_error.as_str() {
            "source" => OnFrameError::Source,
            "repeat" => OnFrameError::Repeat,
            _ => OnFrameError::Fail,
        },
        salvage: picture.salvage,
        ..OfflineJob::new(Arc::clone(pipeline), accepts, place.pool.clone())
    }
}

fn image_format(source: &ClipSource) -> Result<kinora_frame::PixelFormat, Failure> {
    match source.image().layout {
        kinora_frame::Layout::Pixels(format) => Ok(format),
        kinora_frame::Layout::Tensor { .. } => Err(Failure::new("frame.invalid", "a decoder gave no pixels")),
    }
}

fn choose_output(
    clip: &Clip,
    output: Option<PathBuf>,
    plan: &JobPlan,
    settings: &JobSettings<'_>,
) -> Result<PathBuf, Failure> {
    if let Some(output) = output {
        if output.as_os_str() == "-" {
            return Err(Failure::usage("writing to a pipe is not part of this version").hint("name a file"));
        }
        if !output.is_dir() {
            return Ok(output);
        }
        let inside = choose_output(clip, None, plan, settings)?;
        return Ok(output.join(inside.file_name().unwrap_or_default()));
    }
    let own = clip
        .info
        .path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase();
    // The input's container where it can hold everything, else Matroska, which can.
    let extension = match own.as_str() {
        "mp4" | "m4v" | "mov" | "webm" | "mkv" | "gif" => own,
        _ => "mkv".to_owned(),
    };
    let parts = NameParts {
        scale: plan.scale,
        model: plan.model.as_deref(),
        pipeline: &plan.pipeline,
        extension: format!(".{extension}"),
    };
    default_output(&clip.info.path, settings.io.name.as_deref(), &parts)
}

/// Refuses early what the encoder would refuse late, after a network was loaded.
pub(crate) fn check_output(output: &Path, input: &Path, overwrite: bool) -> Result<(), Failure> {
    let same = |a: &Path, b: &Path| matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if same(output, input) {
        return Err(
            Failure::new("output.is_input", format!("{} is the input itself", output.display()))
                .hint("--output NAME writes elsewhere"),
        );
    }
    if output.exists() && !overwrite {
        return Err(
            Failure::new("output.exists", format!("{} exists already", output.display()))
                .hint("--overwrite replaces it, --output NAME writes elsewhere"),
        );
    }
    check_parent(output)
}

/// The folder that an output goes into must be there.
pub(crate) fn check_parent(output: &Path) -> Result<(), Failure> {
    let folder = output
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Failure::new(
            "output.folder",
            format!("the folder {} does not exist", folder.display()),
        )
        .hint("make it first, or --output NAME writes elsewhere"));
    }
    Ok(())
}

fn encode_settings(
    clip: &Clip,
    settings: &JobSettings<'_>,
    plan: &JobPlan,
    place: &Place,
    pipeline: &Pipeline,
) -> EncodeSettings {
    let flags = &settings.with.encode;
    let no_audio = flags.no_audio || flags.audio == "none";
    let subtitles = if flags.no_subtitles {
        "none"
    } else {
        flags.subtitles.as_str()
    };
    let made_by = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pipeline": plan.json(),
        "chosen": chosen(pipeline),
        "salvage": settings.with.picture.salvage,
    });
    EncodeSettings {
        codec: flags.codec.clone(),
        crf: flags.crf,
        bitrate: flags.bitrate.map(|rate| rate.0),
        encoder_preset: flags.encoder_preset.clone(),
        pixel_format: flags.pixel_format.clone(),
        options: flags
            .encoder_option
            .iter()
            .map(|pair| (pair.0.clone(), pair.1.clone()))
            .collect(),
        threads: settings
            .with
            .place
            .on
            .threads
            .is_some()
            .then(|| u32::try_from(place.threads).unwrap_or(1)),
        audio: if no_audio { Audio::None } else { Audio::Copy },
        subtitles: match subtitles {
            "none" => Subtitles::None,
            "text" => Subtitles::Text,
            _ => Subtitles::Copy,
        },
        part: clip.part(),
        metadata: vec![("kinora".to_owned(), made_by.to_string())],
        overwrite: settings.io.overwrite,
        ..EncodeSettings::default()
    }
}
