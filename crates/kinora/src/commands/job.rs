//! One video through one pipeline: what `upscale` and `run` have in common.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use kinora_engine::{
    ClipSink, ClipSource, Control, DedupeMode, Event, FrameSink, FrameSource, OfflineJob, OnFrameError, Report, Stated,
};
use kinora_frame::{Rational, Timestamp};
use kinora_media::{
    Audio, DecodeOptions, Decoder, Deinterlace, EncodeSettings, Encoder, Ffmpeg, MediaInfo, PacketIndex, SizeChange,
    StartAt, Stop, StreamKind, Subtitles, VideoFacts, VideoFormat,
};
use kinora_pipeline::{Accepts, Pipeline, PipelineBuilder};
use serde_json::{Map, Value as Json, json};

use super::{
    output_name::{NameParts, default_output},
    place::Place,
};
use crate::{
    app::App,
    cli::{EncodeFlags, InOut, JobFlags, Moment, PictureFlags, PlaceFlags, ProgressStyle},
    failure::Failure,
    keys::Steering,
    show::{ProgressView, bytes, clock_time, count, rate},
};

/// The one input of a job, and the output if it was named as a second word.
pub(crate) fn input_and_output(io: &InOut) -> Result<(PathBuf, Option<PathBuf>), Failure> {
    let mut words = io.paths.iter().cloned();
    let input = match &io.input {
        Some(input) => input.clone(),
        None => words.next().ok_or_else(|| {
            Failure::new("usage.missing", "no input was named").hint("kinora upscale clip.mp4; kinora upscale --help")
        })?,
    };
    let second = words.next();
    if words.next().is_some() || (second.is_some() && io.output.is_some()) {
        return Err(Failure::usage("this version takes one input and one output")
            .hint("call it once for each input; the shell's for loop does that"));
    }
    check_exists(&input)?;
    Ok((input, io.output.clone().or(second)))
}

fn check_exists(input: &Path) -> Result<(), Failure> {
    if input.exists() {
        return Ok(());
    }
    let failure = Failure::new("input.missing", format!("'{}' does not exist", input.display()));
    let name = input.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = input
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| {
            entries
                .filter_map(Result::ok)
                .map(|e| e.file_name().to_string_lossy().into_owned())
                .collect()
        })
        .unwrap_or_default();
    Err(
        match kinora_pipeline::nearest(&name, names.iter().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean {near}?")),
            None => failure,
        },
    )
}

/// A probed video and the part of it that is wanted.
pub(crate) struct Clip {
    pub(crate) ffmpeg: Ffmpeg,
    pub(crate) info: MediaInfo,
    pub(crate) facts: VideoFacts,
    pub(crate) stream: usize,
    pub(crate) time_base: Rational,
    pub(crate) index: Arc<PacketIndex>,
    pub(crate) first: u64,
    pub(crate) end: u64,
}

impl Clip {
    pub(crate) fn open(app: &App, input: &Path, io: &InOut) -> Result<Self, Failure> {
        let ffmpeg = app.ffmpeg()?;
        let stop = Stop::default();
        // Three questions to FFmpeg at once, and the tables of what it can do for later.
        let (info, index) = std::thread::scope(|scope| {
            let index = scope.spawn(|| ffmpeg.main_packet_index(input, &stop));
            scope.spawn(|| ffmpeg.has_encoder("libx264"));
            let info = ffmpeg.probe_with(input, &stop);
            (info, index.join())
        });
        let info = info?;
        let found = info
            .video()
            .map(|(stream, facts)| (stream.index, stream.time_base, facts.clone()));
        let Some((stream, time_base, facts)) = found else {
            let kinds: Vec<&str> = info.streams.iter().map(|stream| stream.codec.as_str()).collect();
            return Err(
                Failure::new("input.no_video", format!("{} holds no video", input.display()))
                    .cause(format!("its streams are: {}", kinds.join(", ")))
                    .hint("kinora doctor FILE shows what is in it"),
            );
        };
        let index = index.unwrap_or_else(|_| ffmpeg.main_packet_index(input, &stop))?;
        let index = Arc::new(index);
        let first = io.start.map_or(Ok(0), |moment| frame_of(&index, moment, false))?;
        let end = match (io.end, io.duration) {
            (Some(end), _) => frame_of(&index, end, true)?,
            (None, Some(Moment::Frame(frames))) => first.saturating_add(frames),
            (None, Some(Moment::Micros(micros))) => {
                let from = index.pts_of(first).unwrap_or(Timestamp::new(0, index.base()));
                frame_at_or_after(&index, from, micros)
            }
            (None, None) => index.len(),
        };
        // A stream whose packets have no times (a raw one) has no index: it runs to its end.
        let end = if index.is_empty() {
            u64::MAX
        } else {
            end.min(index.len())
        };
        if first >= end {
            return Err(Failure::usage(format!(
                "the part from frame {first} to frame {end} is empty: {} has {} frames",
                input.display(),
                index.len()
            )));
        }
        Ok(Self {
            ffmpeg,
            info,
            facts,
            stream,
            time_base,
            index,
            first,
            end,
        })
    }

    /// First time and the time after the last, where only a part is wanted.
    fn part(&self) -> Option<(Timestamp, Timestamp)> {
        if self.index.is_empty() || (self.first == 0 && self.end >= self.index.len()) {
            return None;
        }
        let from = self.index.pts_of(self.first)?;
        let to = match self.index.pts_of(self.end) {
            Some(next) => next,
            // The last frame stands for as long as a frame does.
            None => moved(self.index.last_pts()?, 1_000_000)?,
        };
        Some((from, to))
    }

    fn frames(&self) -> u64 {
        if self.index.is_empty() {
            self.stated().frames
        } else {
            self.end - self.first
        }
    }

    /// What the container says of its length.
    fn stated(&self) -> Stated {
        let length = self.info.duration;
        let estimated = match (length, self.facts.frame_rate) {
            (Some(length), Some(fps)) => (length.seconds() * fps.to_f64()).round().max(0.0) as u64,
            _ => 0,
        };
        Stated {
            frames: self.facts.stated_frames.unwrap_or(estimated),
            length: length.map(|length| length.to_string()),
        }
    }

    fn length(&self) -> Duration {
        let from = self.index.pts_of(self.first);
        let to = self.index.pts_of(self.end.saturating_sub(1));
        match (from, to) {
            (Some(from), Some(to)) => {
                let last = self.facts.frame_rate.map_or(0.0, |fps| 1.0 / fps.to_f64().max(1e-6));
                Duration::try_from_secs_f64((to.seconds() - from.seconds()).max(0.0) + last).unwrap_or_default()
            }
            _ => Duration::ZERO,
        }
    }
}

/// The frame shown at a moment, or for an end the first frame that is not shown any more.
fn frame_of(index: &PacketIndex, moment: Moment, is_end: bool) -> Result<u64, Failure> {
    match moment {
        Moment::Frame(frame) if frame < index.len() || is_end => Ok(frame),
        Moment::Frame(frame) => Err(Failure::usage(format!(
            "there is no frame {frame}: the clip has {} frames",
            index.len()
        ))),
        Moment::Micros(micros) => {
            let zero = index.pts_of(0).unwrap_or(Timestamp::new(0, index.base()));
            if is_end {
                return Ok(frame_at_or_after(index, zero, micros));
            }
            let wanted = moved(zero, micros);
            let frame = wanted.and_then(|wanted| index.frame_at(wanted)).unwrap_or(0);
            let past = wanted.zip(index.last_pts()).is_some_and(|(wanted, last)| wanted > last);
            if past && frame + 1 >= index.len() {
                let last = index
                    .last_pts()
                    .map_or_else(String::new, |last| format!(": its last frame is at {last}"));
                return Err(Failure::usage(format!(
                    "the clip ends before the start that was asked for{last}"
                )));
            }
            Ok(frame)
        }
    }
}

fn moved(from: Timestamp, micros: i64) -> Option<Timestamp> {
    let base = Rational::new(1, 1_000_000).ok()?;
    let start = from.rescale_floor(base).ok()?;
    Some(Timestamp::new(start.ticks.checked_add(micros)?, base))
}

fn frame_at_or_after(index: &PacketIndex, from: Timestamp, micros: i64) -> u64 {
    let Some(wanted) = moved(from, micros) else {
        return index.len();
    };
    match index.frame_at(wanted) {
        None => 0,
        Some(frame) if index.pts_of(frame).is_some_and(|pts| pts >= wanted) => frame,
        Some(frame) => frame + 1,
    }
}

/// What a job is called and made of.
pub(crate) struct Plan {
    /// Processors in order, with parameters.
    pub(crate) nodes: Vec<(String, Map<String, Json>)>,
    pub(crate) scale: Option<f64>,
    pub(crate) model: Option<String>,
    pub(crate) pipeline: String,
    pub(crate) notes: Vec<String>,
}

/// The flags of a job, wherever they come from.
pub(crate) struct JobSettings<'a> {
    pub(crate) io: &'a InOut,
    pub(crate) set: &'a [String],
    pub(crate) picture: &'a PictureFlags,
    pub(crate) place: &'a PlaceFlags,
    pub(crate) encode: &'a EncodeFlags,
    pub(crate) job: &'a JobFlags,
}

/// Applies `--set` and loads the processors.
pub(crate) fn load_pipeline(
    app: &App,
    plan: &mut Plan,
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
        let names: Vec<String> = plan.nodes.iter().map(|(name, _)| name.clone()).collect();
        let Some((_, params)) = plan.nodes.iter_mut().find(|(name, _)| name == node) else {
            return Err(
                Failure::usage(format!("--set {assignment}: this pipeline has no '{node}'"))
                    .hint(format!("it has: {}", names.join(", "))),
            );
        };
        params.insert(key.to_owned(), value);
    }
    let registry = app.registry(&flags.device)?;
    let mut builder = PipelineBuilder::new();
    for (name, params) in &plan.nodes {
        builder = builder.then(name, params.clone());
    }
    Ok(Arc::new(builder.build(&registry, &place.resources(app, flags))?))
}

/// Runs a video through a pipeline and says how it went.
pub(crate) fn run_clip(
    app: &App,
    clip: &Clip,
    output: Option<PathBuf>,
    mut plan: Plan,
    settings: &JobSettings<'_>,
) -> Result<(), Failure> {
    let console = &app.console;
    let input = &clip.info.path;
    let output = choose_output(clip, output, &plan, settings)?;
    check_output(&output, input, settings.io.overwrite)?;
    let place = Place::new(settings.place)?;
    let pipeline = load_pipeline(app, &mut plan, settings.set, &place, settings.place)?;

    let mut options = DecodeOptions {
        stream: Some(clip.stream),
        pool: place.pool.clone(),
        deinterlace: match settings.picture.deinterlace.as_str() {
            "on" => Deinterlace::On,
            "off" => Deinterlace::Off,
            _ => Deinterlace::Auto,
        },
        size_change: match settings.picture.on_size_change.as_str() {
            "fail" => SizeChange::Fail,
            _ => SizeChange::Rescale,
        },
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
    let job = offline_job(&pipeline, Accepts::pixels([format]), &place, settings.picture);
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
    if settings.job.dry_run {
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
    if let Some(file) = &settings.job.report {
        write_report(file, &report, clip, &output, &plan, &pipeline)?;
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
    let result = job.run(source, sink, &control, &console.clock(), &events);
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
        memory_bytes: place.memory_bytes,
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
    plan: &Plan,
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
    plan: &Plan,
    place: &Place,
    pipeline: &Pipeline,
) -> EncodeSettings {
    let flags = settings.encode;
    let no_audio = flags.no_audio || flags.audio == "none";
    let subtitles = if flags.no_subtitles {
        "none"
    } else {
        flags.subtitles.as_str()
    };
    let made_by = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pipeline": plan.nodes.iter().map(|(name, params)| json!({"processor": name, "params": params})).collect::<Vec<_>>(),
        "chosen": chosen(pipeline),
        "truncated": settings.picture.salvage.then_some("salvage was asked for"),
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
            .place
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

pub(crate) fn chosen(pipeline: &Pipeline) -> Map<String, Json> {
    let mut all = Map::new();
    for node in pipeline.nodes() {
        let facts = node.processor.chosen();
        if !facts.is_empty() {
            let facts: Map<String, Json> = facts
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.into()))
                .collect();
            all.insert(node.id.clone(), Json::Object(facts));
        }
    }
    all
}

#[allow(clippy::too_many_arguments, reason = "all that the first lines name")]
fn head(
    app: &App,
    clip: &Clip,
    output: &Path,
    plan: &Plan,
    pipeline: &Pipeline,
    size: kinora_frame::Size,
    encode: &EncodeSettings,
    place: &Place,
) {
    let console = &app.console;
    let facts = &clip.facts;
    let fps = facts
        .frame_rate
        .map_or_else(|| "variable".to_owned(), |fps| rate(fps.to_f64()));
    let name = clip.info.path.file_name().unwrap_or_default().to_string_lossy();
    let frames = clip.frames();
    let matrix = match facts.color.matrix {
        kinora_frame::Matrix::Unspecified => {
            format!("{} (by its size)", facts.color.resolved_matrix(facts.size.height))
        }
        matrix => matrix.to_string(),
    };
    console.say(&format!(
        "{name}   {}  {fps}  {} frames  {}  {} {matrix}{}",
        facts.size,
        count(frames),
        clock_time(clip.length()),
        facts.source_format,
        if facts.color.range == kinora_frame::ColorRange::Full {
            " full range"
        } else {
            ""
        },
    ));
    say_chosen(app, pipeline);
    let mut audio = 0;
    let mut subtitles = 0;
    for stream in &clip.info.streams {
        match stream.kind {
            StreamKind::Audio { .. } => audio += 1,
            StreamKind::Subtitle { .. } => subtitles += 1,
            _ => {}
        }
    }
    let mut copied = Vec::new();
    if audio > 0 && encode.audio == Audio::Copy {
        copied.push(format!("{audio} audio"));
    }
    if subtitles > 0 && encode.subtitles != Subtitles::None {
        copied.push(format!("{subtitles} subtitles"));
    }
    let copied = if copied.is_empty() {
        String::new()
    } else {
        format!("  + {} copied", copied.join(", "))
    };
    console.say(&format!(
        "  output     {}  {size}{}{copied}",
        output.display(),
        encode
            .codec
            .as_ref()
            .map_or_else(String::new, |codec| format!("  {codec}")),
    ));
    for note in &plan.notes {
        console.say(&format!("  note       {note}"));
    }
    console.detail(&format!(
        "  threads    {} of the network x {} workers, memory at most {}",
        place.threads / place.workers.max(1),
        place.workers,
        bytes(place.memory_bytes)
    ));
    if console.style() == ProgressStyle::Json {
        let fields = json!({
            "input": {
                "path": clip.info.path, "width": facts.size.width, "height": facts.size.height, "frames": frames,
                "frames_exact": true, "fps": facts.frame_rate.map(Rational::to_f64),
                "duration": clip.length().as_secs_f64(), "pixel_format": facts.source_format,
            },
            "output": {"path": output, "width": size.width, "height": size.height, "codec": encode.codec},
            "model": plan.model,
            "chosen": chosen(pipeline),
        });
        console.event("plan", &fields);
    }
}

/// A line a processor: what it loaded and where it runs.
pub(crate) fn say_chosen(app: &App, pipeline: &Pipeline) {
    let console = &app.console;
    for node in pipeline.nodes() {
        let facts = node.processor.chosen();
        let words: Vec<String> = facts
            .iter()
            .filter(|(key, _)| *key != "note")
            .map(|(_, value)| value.clone())
            .collect();
        if !words.is_empty() {
            console.say(&format!("  {:<10} {}", node.id, words.join(", ")));
        }
        for (_, note) in facts.iter().filter(|(key, _)| *key == "note") {
            console.say(&format!("  note       {note}"));
        }
    }
}

pub(crate) fn tell(app: &App, report: &Report, name: &str) {
    let console = &app.console;
    if console.style() == ProgressStyle::Json {
        let fps = report.frames_out as f64 / report.seconds.max(1e-9);
        console.event(
            "done",
            &json!({
                "output": report.sink.path, "frames": report.frames_out, "seconds": report.seconds, "fps": fps,
                "bytes": report.sink.bytes, "duplicates": report.duplicates, "exit": 0,
            }),
        );
        return;
    }
    let wall = Duration::from_secs_f64(report.seconds.max(0.0));
    console.say(&format!(
        "{name}  {} frames in {} ({:.1} fps), {}",
        count(report.frames_out),
        clock_time(wall),
        report.frames_out as f64 / report.seconds.max(1e-9),
        bytes(report.sink.bytes),
    ));
    if let Some(slowest) = report.lanes.iter().find(|lane| lane.name == report.bottleneck) {
        console.say(&format!(
            "  slowest    {}, {:.0} % busy; predicted wall {}, measured {}",
            slowest.name,
            slowest.utilisation * 100.0,
            clock_time(Duration::from_secs_f64(report.predicted_seconds.max(0.0))),
            clock_time(wall),
        ));
    }
    if report.duplicates > 0 {
        let share = report.duplicates as f64 / report.frames_out.max(1) as f64 * 100.0;
        console.say(&format!(
            "  skipped    {} exact duplicates ({share:.1} %)",
            count(report.duplicates)
        ));
    }
    if report.rejected > 0 {
        console.say(&format!(
            "  rejected   {} frames, each stood for by the last kept one",
            count(report.rejected)
        ));
    }
    if !report.faults.is_empty() {
        console.say(&format!(
            "  failed     {} frames were stood in for",
            count(report.faults.len() as u64)
        ));
    }
    for note in &report.sink.notes {
        console.warn("output.note", note, None);
    }
    if report.truncated {
        console.warn(
            "input.truncated",
            "the input is cut off: this file holds what decoded",
            None,
        );
    }
}

fn write_report(
    file: &Path,
    report: &Report,
    clip: &Clip,
    output: &Path,
    plan: &Plan,
    pipeline: &Pipeline,
) -> Result<(), Failure> {
    let mut whole = serde_json::to_value(report).unwrap_or_default();
    if let Json::Object(fields) = &mut whole {
        fields.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
        fields.insert(
            "input".to_owned(),
            json!({"path": clip.info.path, "first": clip.first, "end": clip.end}),
        );
        fields.insert("output".to_owned(), json!({"path": output, "bytes": report.sink.bytes}));
        fields.insert("model".to_owned(), json!(plan.model));
        fields.insert("pipeline".to_owned(), json!(plan.nodes));
        fields.insert("chosen".to_owned(), Json::Object(chosen(pipeline)));
    }
    let text = serde_json::to_string_pretty(&whole).unwrap_or_default();
    let part = file.with_extension("part");
    std::fs::write(&part, text + "\n")
        .and_then(|()| std::fs::rename(&part, file))
        .map_err(|error| {
            Failure::new(
                "output.unwritable",
                format!("the report {} cannot be written", file.display()),
            )
            .cause(error.to_string())
        })
}
