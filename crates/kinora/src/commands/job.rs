//! One video through one pipeline: what `upscale` and `run` have in common.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use kinora_engine::{
    ClipSink, ClipSource, Clock, Control, EngineError, Event, Events, FrameSink, FrameSource, OfflineJob, OnFrameError,
    Report,
};
use kinora_frame::{ColorSpec, PixelFormat, Size};
use kinora_media::{
    Audio, DecodeOptions, Decoder, Deinterlace, EncodeSettings, Encoder, SizeChange, StartAt, Stop, Subtitles,
    VideoFormat,
};
use kinora_pipeline::{Accepts, Pipeline, PipelineBuilder, Stage};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::{
    clip::Clip,
    durable::{self, ContentHash, CutJob},
    output_name::{NameParts, default_output},
    place::Place,
    telling::{ReportFile, chosen, head, say_duplicates, tell},
};
use crate::{
    app::App,
    cli::{InOut, JobArgs, PictureFlags, PlaceFlags, ProgressStyle},
    failure::Failure,
    keys::Steering,
    show::ProgressView,
};

/// A processor that a job wants, with its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Copy)]
pub(crate) struct JobSettings<'a> {
    pub(crate) io: &'a InOut,
    pub(crate) set: &'a [String],
    pub(crate) with: &'a JobArgs,
    /// Only write the job down, here.
    pub(crate) plan_to: Option<&'a Path>,
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
    let output = choose_output(clip, output, &plan, settings)?;
    let mut settings = *settings;
    let (ranged, flags);
    let mut clip = clip;
    let mut old_encode = None;
    let safety = &settings.with.safety;
    if safety.resume_settings || safety.plan.is_some() {
        let old = match &safety.plan {
            Some(file) => durable::planned_settings(file)?,
            None => durable::old_settings(&durable::job_folder(&output, safety))?,
        };
        plan = old.plan();
        flags = old.flags(settings.with);
        ranged = clip.with_range(old.first, old.end);
        clip = &ranged;
        settings = JobSettings {
            with: &flags,
            set: &[],
            ..settings
        };
        old_encode = Some(old.encode);
    }
    let (input, with) = (&clip.info.path, settings.with);
    let name = output.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if settings.plan_to.is_none()
        && output.exists()
        && !settings.io.overwrite
        && durable::is_complete(&output, &with.safety)
    {
        durable::tidy(&output, &with.safety)?;
        console.say(&format!("{name} is complete already"));
        return Ok(());
    }
    match settings.plan_to {
        Some(file) => check_output(file, input, settings.io.overwrite)?,
        // A worker of a block makes no output.
        None if with.safety.segment.is_some() => {}
        None => check_output(&output, input, settings.io.overwrite)?,
    }
    let report_file = ReportFile::promised(&settings, [input.as_path(), output.as_path()])?;
    let place = Place::new(&with.place)?;
    let encode = EncodeSettings {
        overwrite: settings.io.overwrite,
        threads: encoder_threads(with, &place),
        ..old_encode.unwrap_or_else(|| encode_settings(clip, &settings))
    };
    let cuts = durable::cuts(clip, &output, &encode, &with.safety);
    let content = (cuts.is_ok() && !with.job.dry_run).then(|| ContentHash::begin(clip));
    let pipeline = load_pipeline(app, &mut plan, settings.set, &place, &with.place)?;
    let encode = EncodeSettings {
        metadata: vec![("kinora".to_owned(), made_by(&plan, &pipeline, &with.picture))],
        ..encode
    };

    let source = open_source(clip, &with.picture, &place, clip.first..clip.end)?;
    let image = source.image();
    let format = image_format(&source)?;
    let job = offline_job(&pipeline, Accepts::pixels([format]), &place, &with.picture);
    let laid_out = job.plan(&source)?;
    let size = laid_out.output.size;
    let video = video_format(clip, image.color, format, size);

    head(app, clip, &output, &plan, &pipeline, size, &encode, &place);
    say_duplicates(app, &job, &laid_out);
    durable::say_segments(app, &cuts, &output, &with.safety);
    if with.job.dry_run {
        for line in laid_out.to_text().lines() {
            console.say(&format!("  {line}"));
        }
        console.say("dry run: nothing was written");
        return Ok(());
    }

    let report = match cuts {
        Ok(cuts) => {
            // Each run of segments opens the source by itself; most jobs have one run, of what is open already.
            let opened = Mutex::new(Some(source));
            let open = |range: Range<u64>| {
                let opened = opened.lock().unwrap_or_else(PoisonError::into_inner).take();
                let source = match opened {
                    Some(source) if range == (clip.first..clip.end) => source,
                    _ => open_source(clip, &with.picture, &place, range)?,
                };
                Ok(Box::new(source) as Box<dyn FrameSource>)
            };
            let job = CutJob {
                app,
                clip,
                output: &output,
                plan: &plan,
                pipeline: &pipeline,
                with,
                job,
                restart: laid_out.restart,
                video,
                encode,
                cuts,
                content,
                open: &open,
            };
            if let Some(file) = settings.plan_to {
                return job.write_plan(file, settings.io.overwrite);
            }
            match job.run(&name)? {
                (report, Some(published)) => durable::reported(report, &published),
                (report, None) => {
                    durable::tell_block(app, &report, with.safety.segment);
                    return write_report(report_file, &report, clip, &plan, &pipeline);
                }
            }
        }
        Err(why) => {
            durable::refuse_without_segments(&with.safety, settings.plan_to.is_some(), &why)?;
            let (ffmpeg, stop) = (&clip.ffmpeg, Stop::default());
            let encoder = Encoder::start(ffmpeg, &output, &video, Some(&clip.info), &encode, &stop)?;
            for note in encoder.notes() {
                console.warn("output.note", &note.to_string(), None);
            }
            execute(app, &job, Box::new(source), Box::new(ClipSink::new(encoder)), &name)?
        }
    };
    tell(app, &report, &name);
    write_report(report_file, &report, clip, &plan, &pipeline)
}

fn write_report(
    file: Option<ReportFile>,
    report: &Report,
    clip: &Clip,
    plan: &JobPlan,
    pipeline: &Pipeline,
) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    let input = json!({"path": clip.info.path.to_string_lossy(), "first": clip.first, "end": clip.end});
    file.write(report, plan, pipeline, input)
}

/// Frames `range` of a clip.
fn open_source(
    clip: &Clip,
    picture: &PictureFlags,
    place: &Place,
    range: Range<u64>,
) -> Result<ClipSource, EngineError> {
    let mut options = DecodeOptions {
        stream: Some(clip.stream),
        pool: place.pool.clone(),
        deinterlace: match picture.deinterlace.as_str() {
            "on" => Deinterlace::On,
            "off" => Deinterlace::Off,
            _ => Deinterlace::Auto,
        },
        size_change: match picture.on_size_change.as_str() {
            "fail" => SizeChange::Fail,
            _ => SizeChange::Rescale,
        },
        index: Some(Arc::clone(&clip.index)),
        ..DecodeOptions::default()
    };
    if range.start > 0 {
        options.start = Some(StartAt {
            index: Arc::clone(&clip.index),
            frame: range.start,
        });
    }
    let decoder = Decoder::open(&clip.ffmpeg, &clip.info, options)?;
    Ok(ClipSource::new(
        decoder,
        Arc::clone(&clip.index),
        clip.info.path.clone(),
        clip.facts.frame_rate,
        range.start,
        range.end.min(clip.end),
        clip.stated(),
    ))
}

/// The pictures that are written. A source that does not name its matrix gives a file that does not either, unless
/// players would then guess another one for the new height.
fn video_format(clip: &Clip, mut color: ColorSpec, format: PixelFormat, size: Size) -> VideoFormat {
    if clip.facts.color.resolved_matrix(size.height) == color.matrix {
        color.matrix = clip.facts.color.matrix;
    }
    VideoFormat {
        size,
        format,
        color,
        output_color: if format.is_yuv() { color } else { clip.facts.color },
        time_base: clip.time_base,
        sample_aspect: clip.facts.sample_aspect,
        side_data: clip.facts.side_data.clone(),
    }
}

/// Runs a job with progress, keys and signals.
pub(crate) fn execute(
    app: &App,
    job: &OfflineJob,
    source: Box<dyn FrameSource>,
    sink: Box<dyn FrameSink>,
    name: &str,
) -> Result<Report, Failure> {
    steered(app, name, |control, clock, events| {
        job.run(source, sink, control, clock, events)
    })
}

/// Does work with progress, keys and signals.
pub(crate) fn steered<T>(
    app: &App,
    name: &str,
    work: impl FnOnce(&Control, &Clock, &Events) -> Result<T, EngineError>,
) -> Result<T, Failure> {
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
            Event::Resumed {
                segments_done,
                segments,
                frames_done,
                removed_bytes,
            } => view.resumed(segments_done, segments, frames_done, removed_bytes),
            Event::Segment(record) => view.segment(&record),
            Event::Warning { code, message } => console.warn(code, &message, None),
        }) as Events
    };
    let steering = Steering::new(&control, console, console.style() == ProgressStyle::Bar);
    if app.pause.load(Ordering::Relaxed) {
        control.toggle_pause();
    }
    console.follow(Some(&control));
    let result = work(&control, &console.clock(), &events);
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
        dedupe: picture.dedupe,
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

fn image_format(source: &ClipSource) -> Result<PixelFormat, Failure> {
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

/// What made a file, for its metadata.
fn made_by(plan: &JobPlan, pipeline: &Pipeline, picture: &PictureFlags) -> String {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pipeline": plan.json(),
        "chosen": chosen(pipeline),
        "salvage": picture.salvage,
    })
    .to_string()
}

/// Threads of the encoder, where the user said how many.
fn encoder_threads(with: &JobArgs, place: &Place) -> Option<u32> {
    let asked = with.place.on.threads.is_some();
    asked.then(|| u32::try_from(place.threads).unwrap_or(1))
}

fn encode_settings(clip: &Clip, settings: &JobSettings<'_>) -> EncodeSettings {
    let flags = &settings.with.encode;
    let no_audio = flags.no_audio || flags.audio == "none";
    let subtitles = if flags.no_subtitles {
        "none"
    } else {
        flags.subtitles.as_str()
    };
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
        audio: if no_audio { Audio::None } else { Audio::Copy },
        subtitles: match subtitles {
            "none" => Subtitles::None,
            "text" => Subtitles::Text,
            _ => Subtitles::Copy,
        },
        part: clip.part(),
        ..EncodeSettings::default()
    }
}
