//! A video's job in segments: its folder, what it is known by, and the file at the end.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
};

use kinora_engine::{
    Block, ClipPieces, Cuts, DedupeMode, Disk, DurableJob, ENGINE_VERSION, EngineError, Event, Final, Found, Identity,
    JobFolder, JobRecord, OfflineJob, OpenRange, Opening, Published, Report, SEGMENT_FRAMES, SinkReport, Snapshot, Who,
    content_hash, is_published, plan_json,
};
use kinora_media::{Container, EncodeSettings, PartFile, VideoFormat};
use kinora_pipeline::{Pipeline, Restart};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{
    clip::Clip,
    job::{JobPlan, WantedNode, steered},
};
use crate::{
    app::App,
    cli::{JobArgs, ProgressStyle, SafetyFlags},
    failure::Failure,
    show::{bytes, count, utc_now},
};

/// Where the job folder of an output is.
pub(crate) fn job_folder(output: &Path, flags: &SafetyFlags) -> PathBuf {
    flags.work_dir.clone().unwrap_or_else(|| {
        let mut name = output.file_name().unwrap_or_default().to_owned();
        name.push(".kinora");
        output.with_file_name(name)
    })
}

/// Why a clip is encoded in one piece, or where it is cut.
pub(crate) fn cuts(clip: &Clip, output: &Path, encode: &EncodeSettings, flags: &SafetyFlags) -> Result<Cuts, String> {
    if flags.segments == "off" {
        return Err("--segments off".to_owned());
    }
    let animation = |name: &str| matches!(name, "gif" | "webp");
    if matches!(Container::of(output), Some(Container::Gif | Container::WebP))
        || encode.codec.as_deref().is_some_and(animation)
    {
        return Err("an animation is one piece".to_owned());
    }
    if matches!(Container::of(output), Some(Container::MpegTs | Container::Nut)) {
        return Err("segments are joined into MKV, MP4, MOV and WebM only".to_owned());
    }
    let folder = job_folder(output, flags);
    if folder
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .any(|byte| matches!(byte, b'\n' | b'\r'))
    {
        return Err("the job folder's name would hold a line end".to_owned());
    }
    let Some(first) = clip.index.pts_of(clip.first) else {
        return Err("the clip has no times".to_owned());
    };
    if first.ticks < 0 {
        return Err("the clip begins before its zero".to_owned());
    }
    if clip.time_base.to_f64() < 1e-6 {
        return Err("the clip counts time in less than microseconds".to_owned());
    }
    Ok(Cuts::of_clip(SEGMENT_FRAMES, clip.first, clip.end, &clip.index))
}

/// Hashes a source while a network is loaded.
pub(crate) struct ContentHash(JoinHandle<Result<Json, EngineError>>);

impl ContentHash {
    pub(crate) fn begin(clip: &Clip) -> Self {
        let (path, index) = (clip.info.path.clone(), Arc::clone(&clip.index));
        Self(thread::spawn(move || content_hash(&path, &index)))
    }

    fn wait(self) -> Result<Json, Failure> {
        let failed = || Failure::new("engine.panic", "the input could not be hashed");
        Ok(self.0.join().map_err(|_| failed())??)
    }
}

/// The settings of a job as `--resume-settings` and `join` read them again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) nodes: Vec<WantedNode>,
    pub(crate) pipeline: String,
    pub(crate) model: Option<String>,
    pub(crate) scale: Option<f64>,
    pub(crate) input: PathBuf,
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) deinterlace: String,
    pub(crate) dedupe: DedupeMode,
    pub(crate) on_frame_error: String,
    pub(crate) on_size_change: String,
    pub(crate) device: String,
    pub(crate) precision: String,
    pub(crate) video: Option<VideoFormat>,
    pub(crate) encode: EncodeSettings,
}

/// Everything about a job that is known before its folder is opened.
pub(crate) struct CutJob<'a> {
    pub(crate) app: &'a App,
    pub(crate) clip: &'a Clip,
    pub(crate) output: &'a Path,
    pub(crate) plan: &'a JobPlan,
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) with: &'a JobArgs,
    pub(crate) job: OfflineJob,
    pub(crate) restart: Restart,
    pub(crate) video: VideoFormat,
    pub(crate) encode: EncodeSettings,
    pub(crate) cuts: Cuts,
    pub(crate) content: Option<ContentHash>,
    pub(crate) open: &'a OpenRange<'a>,
}

impl CutJob<'_> {
    fn settings(&self) -> Settings {
        let picture = &self.with.picture;
        Settings {
            nodes: self.plan.nodes.clone(),
            pipeline: self.plan.pipeline.clone(),
            model: self.plan.model.clone(),
            scale: self.plan.scale,
            input: std::path::absolute(&self.clip.info.path).unwrap_or_else(|_| self.clip.info.path.clone()),
            first: self.clip.first,
            end: self.clip.end,
            deinterlace: picture.deinterlace.clone(),
            dedupe: picture.dedupe,
            on_frame_error: picture.on_frame_error.clone(),
            on_size_change: picture.on_size_change.clone(),
            device: self.with.place.on.device.clone(),
            precision: self.with.place.on.precision.clone(),
            video: Some(self.video.clone()),
            encode: EncodeSettings {
                threads: None,
                overwrite: false,
                ..self.encode.clone()
            },
        }
    }

    /// Everything that can change a pixel or a time.
    fn identity(&self, content: &Json, pieces: &EncodeSettings) -> Identity {
        let picture = &self.with.picture;
        let mut processors = serde_json::Map::new();
        for node in self.pipeline.nodes() {
            let facts = node.processor.identity().into_iter();
            let facts: serde_json::Map<String, Json> =
                facts.map(|(key, value)| (key.to_owned(), value.into())).collect();
            if !facts.is_empty() {
                processors.insert(node.id.clone(), facts.into());
            }
        }
        // A model is known by its weights, not by its name.
        let nodes: Vec<Json> = self
            .plan
            .nodes
            .iter()
            .map(|node| json!({"processor": node.processor, "stage": node.stage, "params": node.params}))
            .collect();
        let encoder = EncodeSettings {
            threads: None,
            overwrite: false,
            stall: None,
            ..pieces.clone()
        };
        Identity::new(json!({
            "input": content,
            "stream": self.clip.stream,
            "range": {"first": self.clip.first, "end": self.clip.end},
            "pipeline": nodes,
            "processors": processors,
            "picture": {
                "deinterlace": picture.deinterlace,
                "dedupe": picture.dedupe,
                "on_frame_error": picture.on_frame_error,
                "on_size_change": picture.on_size_change,
            },
            "video": self.video,
            "encoder": encoder,
            "ffmpeg": self.clip.ffmpeg.version_text(),
            "segment_frames": self.cuts.length(),
            "engine": ENGINE_VERSION,
        }))
    }

    /// What the job is, and how its pieces are encoded.
    fn record(&mut self) -> Result<(JobRecord, EncodeSettings), Failure> {
        let (clip, source) = (self.clip, Some(&self.clip.info));
        let pieces = clip
            .ffmpeg
            .piece_settings(self.output, &self.video, source, &self.encode)?;
        let content = self.content.take().map_or(Ok(Json::Null), ContentHash::wait)?;
        let identity = self.identity(&content, &pieces);
        let record = JobRecord {
            identity: identity.hash(),
            parts: identity.parts().clone(),
            plan: plan_json(&self.cuts),
            settings: serde_json::to_value(self.settings()).unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created: utc_now(),
        };
        if let Some(file) = &self.with.safety.plan {
            let planned = read_plan(file)?;
            if planned.identity != record.identity {
                return Err(EngineError::OtherSettings {
                    folder: file.clone(),
                    segments: 0,
                    differences: Identity::new(planned.parts).differences(&identity),
                }
                .into());
            }
        }
        Ok((record, pieces))
    }

    /// Writes the job down for workers on several machines.
    pub(crate) fn write_plan(mut self, file: &Path, overwrite: bool) -> Result<(), Failure> {
        let (record, _) = self.record()?;
        let text = serde_json::to_string_pretty(&record).unwrap_or_default() + "\n";
        PartFile::write(file, text.as_bytes(), overwrite)?;
        let segments = self.cuts.segments().unwrap_or_default();
        self.app.console.say(&format!(
            "{}  {} segments of {} frames; kinora run IN --plan FILE --segment 0/2 --work-dir DIR makes the first half",
            file.display(),
            count(segments),
            self.cuts.length()
        ));
        Ok(())
    }

    /// Opens the job folder, runs what is missing and gives the file its name.
    ///
    /// The report is of this run alone; there is no file for one block of several.
    pub(crate) fn run(mut self, name: &str) -> Result<(Report, Option<Published>), Failure> {
        let (app, clip) = (self.app, self.clip);
        let flags = &self.with.safety;
        let (source, video) = (Some(&clip.info), &self.video);
        let replacing = EncodeSettings {
            overwrite: true,
            ..self.encode.clone()
        };
        for note in clip.ffmpeg.check_output(self.output, video, source, &replacing)? {
            app.console.warn("output.note", &note.to_string(), None);
        }
        if self.encode.bitrate.is_some() {
            let hint = Some("--segments off holds it over the whole file");
            app.console
                .warn("output.note", "the bit rate is held in each segment by itself", hint);
        }
        let (record, pieces) = self.record()?;
        let opening = Opening {
            restart: flags.restart,
            verify: flags.verify,
            block: flags.segment,
        };
        let path = job_folder(self.output, flags);
        let who = Who::this_process(utc_now());
        let (folder, found) = JobFolder::open(&path, Arc::new(Disk), &record, &opening, &who).map_err(|error| {
            let EngineError::JobIo {
                doing: "making",
                source,
                ..
            } = &error
            else {
                return Failure::from(error);
            };
            Failure::new(
                "output.unwritable",
                format!("{} cannot be written", self.output.display()),
            )
            .cause(source.to_string())
            .hint("--output NAME writes elsewhere, --work-dir DIR keeps the job folder elsewhere")
        })?;
        let job = DurableJob {
            offline: self.job.clone(),
            folder: Arc::new(folder),
            cuts: Arc::new(self.cuts.clone()),
            maker: Arc::new(ClipPieces {
                ffmpeg: clip.ffmpeg.clone(),
                video: self.video.clone(),
                settings: pieces,
            }),
            restart: self.restart,
            approximate: flags.approximate,
            min_free: flags.min_free.0,
            strict_space: flags.strict_space,
            made: json!({"device": self.with.place.on.device, "batch": self.job.batch}),
        };
        if found.checked > 0 {
            app.console
                .say(&format!("checked      {} segments by hash", count(found.checked)));
        }
        let done = self.compute_and_publish(&job, &found, name);
        let done = done.map_err(|failure| resumable(failure, &job));
        let is_of_use = match &done {
            Ok((_, published)) => published.is_none() || flags.finish_partial || flags.keep_work,
            Err(_) => !job.folder.segments().is_empty(),
        };
        if !is_of_use && let Some(folder) = Arc::into_inner(job.folder) {
            folder.remove()?;
        }
        done
    }

    fn compute_and_publish(
        &self,
        job: &DurableJob,
        found: &Found,
        name: &str,
    ) -> Result<(Report, Option<Published>), Failure> {
        let app = self.app;
        let flags = &self.with.safety;
        let about = Final {
            ffmpeg: &self.clip.ffmpeg,
            output: self.output,
            video: &self.video,
            source: Some(&self.clip.info),
            settings: &self.encode,
        };
        steered(app, name, |control, clock, events| {
            if found.resumed || !found.removed.is_empty() {
                job.tell_resume(found.removed.iter().map(|file| file.bytes).sum(), events);
            }
            let report = if flags.finish_partial {
                Report::default()
            } else {
                job.run(self.open, control, clock, events)?
            };
            if flags.segment.is_some() {
                return Ok((report, None));
            }
            let published = job.publish(&about, flags.finish_partial, control)?;
            events(Event::Progress {
                snapshot: Snapshot {
                    frames_done: published.frames,
                    frames_total: published.frames,
                    exact_total: true,
                    percent: 100.0,
                    eta: Some(std::time::Duration::ZERO),
                    elapsed: clock(),
                    duplicates: report.duplicates,
                    ..Snapshot::default()
                },
                lanes: Vec::new(),
            });
            Ok((report, Some(published)))
        })
    }
}

/// The report of a run whose file has its name, as of one encoder.
pub(crate) fn reported(mut report: Report, published: &Published) -> Report {
    let lost = |what: &String| format!("the file does not say its colour as the source did: {what}");
    report.sink = SinkReport {
        path: published.path.clone(),
        frames: published.frames,
        bytes: published.bytes,
        notes: published.color_differences.iter().map(lost).collect(),
    };
    report
}

/// True when the output is what its job folder says, and only the folder was left to be removed.
pub(crate) fn is_complete(output: &Path, flags: &SafetyFlags) -> bool {
    let folder = job_folder(output, flags);
    JobFolder::peek_done(&folder, &Disk).is_some_and(|done| is_published(&done, output))
}

/// Old settings for `--resume-settings`.
pub(crate) fn old_settings(folder: &Path) -> Result<Settings, Failure> {
    let record = JobFolder::peek(folder, &Disk).map_err(|error| match error {
        EngineError::JobIo { .. } => Failure::new("job.missing", format!("{} holds no job", folder.display()))
            .hint("leave --resume-settings out to begin one"),
        other => other.into(),
    })?;
    serde_json::from_value(record.settings).map_err(|error| {
        Failure::new(
            "job.manifest",
            format!("the settings in {} cannot be read", folder.display()),
        )
        .cause(error.to_string())
        .hint("--restart begins the job again")
    })
}

impl Settings {
    /// The flags that lead to these settings; what they do not decide is as given.
    pub(crate) fn flags(&self, given: &JobArgs) -> JobArgs {
        let mut flags = given.clone();
        flags.picture.deinterlace.clone_from(&self.deinterlace);
        flags.picture.dedupe = self.dedupe;
        flags.picture.on_frame_error.clone_from(&self.on_frame_error);
        flags.picture.on_size_change.clone_from(&self.on_size_change);
        flags.place.on.device.clone_from(&self.device);
        flags.place.on.precision.clone_from(&self.precision);
        flags
    }

    /// The job's processors.
    pub(crate) fn plan(&self) -> JobPlan {
        JobPlan {
            nodes: self.nodes.clone(),
            scale: self.scale,
            model: self.model.clone(),
            pipeline: self.pipeline.clone(),
            notes: vec!["with the settings of the job folder".to_owned()],
        }
    }
}

/// The settings of a plan.
pub(crate) fn planned_settings(file: &Path) -> Result<Settings, Failure> {
    let bad = |error: serde_json::Error| not_a_plan(file, &error.to_string());
    serde_json::from_value(read_plan(file)?.settings).map_err(bad)
}

fn read_plan(file: &Path) -> Result<JobRecord, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| not_a_plan(file, &error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| not_a_plan(file, &error.to_string()))
}

fn not_a_plan(file: &Path, why: &str) -> Failure {
    Failure::new("job.plan", format!("{} is no plan of a job", file.display()))
        .cause(why)
        .hint("kinora plan IN -o plan.json -p NAMES writes one")
}

/// The same failure with what is safe.
fn resumable(mut failure: Failure, job: &DurableJob) -> Failure {
    let (done, all) = job.done();
    let is_stop = failure.code == "job.stopped";
    failure.resumable = done > 0;
    if done > 0 && !is_stop {
        let of = all.map_or_else(String::new, |all| format!(" of {}", count(all)));
        failure = failure.cause(format!(
            "{}{of} segments are safe in {}",
            count(done),
            job.folder.path().display()
        ));
    }
    failure
}

/// Removes what is left of a job whose file is complete.
pub(crate) fn tidy(output: &Path, flags: &SafetyFlags) -> Result<(), Failure> {
    let path = job_folder(output, flags);
    let record = JobFolder::peek(&path, &Disk)?;
    let who = Who::this_process(utc_now());
    let (folder, _) = JobFolder::open(&path, Arc::new(Disk), &record, &Opening::default(), &who)?;
    folder.remove()?;
    Ok(())
}

/// Flags that need segments, for a job that has none.
pub(crate) fn refuse_without_segments(flags: &SafetyFlags, is_plan: bool, why: &str) -> Result<(), Failure> {
    let asked = [
        ("a plan", is_plan || flags.plan.is_some()),
        ("--segment", flags.segment.is_some()),
        ("--finish-partial", flags.finish_partial),
        ("--resume-settings", flags.resume_settings),
    ];
    match asked.iter().find(|(_, is_asked)| *is_asked) {
        Some((flag, _)) => {
            let message = format!("{flag} needs segments, and they are off: {why}");
            Err(Failure::new("usage.conflict", message))
        }
        None => Ok(()),
    }
}

/// The line that says how the job is kept safe.
pub(crate) fn say_segments(app: &App, cuts: &Result<Cuts, String>, output: &Path, flags: &SafetyFlags) {
    match cuts {
        Ok(cuts) => app.console.detail(&format!(
            "  segments   {} of {} frames in {}",
            count(cuts.segments().unwrap_or_default()),
            cuts.length(),
            job_folder(output, flags).display()
        )),
        Err(why) => app
            .console
            .say(&format!("  segments   off: {why}; a stopped job begins again")),
    }
}

/// How a worker of one block ended.
pub(crate) fn tell_block(app: &App, report: &Report, block: Option<Block>) {
    let block = block.map_or_else(String::new, |block| block.to_string());
    if app.console.style() == ProgressStyle::Json {
        let fields = json!({
            "output": "", "frames": report.frames_out, "seconds": report.seconds, "bytes": report.sink.bytes,
            "duplicates": report.duplicates, "fps": report.frames_out as f64 / report.seconds.max(1e-9), "exit": 0,
        });
        app.console.event("done", &fields);
        return;
    }
    app.console.say(&format!(
        "block {block} is done: {} frames now, {}; kinora join puts the blocks together",
        count(report.frames_out),
        bytes(report.sink.bytes)
    ));
}
