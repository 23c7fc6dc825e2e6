//! What a job says: its first lines, its last lines, its report.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use kinora_engine::{DedupeMode, OfflineJob, Report};
use kinora_frame::Rational;
use kinora_media::{Audio, EncodeSettings, PartFile, StreamKind, Subtitles};
use kinora_pipeline::{DependsOn, Pipeline, Plan};
use serde_json::{Map, Value as Json, json};

use super::{
    clip::Clip,
    job::{JobPlan, JobSettings},
    place::Place,
};
use crate::{
    app::App,
    cli::ProgressStyle,
    failure::Failure,
    show::{bytes, clock_time, count, rate},
};

/// What each processor chose when it was loaded.
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
pub(crate) fn head(
    app: &App,
    clip: &Clip,
    output: &Path,
    plan: &JobPlan,
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
        "  threads    {} of the network x {} at once",
        place.threads / place.workers.max(1),
        place.workers,
    ));
    let half = bytes(place.memory_bytes / 2);
    console.detail(&format!(
        "  memory     at most {half} for frames on their way and {half} for networks"
    ));
    if console.style() == ProgressStyle::Json {
        let fields = json!({
            "input": {
                "path": clip.info.path.to_string_lossy(), "width": facts.size.width, "height": facts.size.height, "frames": frames,
                "frames_exact": !clip.index.is_empty(), "fps": facts.frame_rate.map(Rational::to_f64),
                "duration": clip.length().as_secs_f64(), "pixel_format": facts.source_format,
            },
            "output": {"path": output.to_string_lossy(), "width": size.width, "height": size.height, "codec": encode.codec},
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

/// Which frames share a result, and why.
pub(crate) fn say_duplicates(app: &App, job: &OfflineJob, plan: &Plan) {
    let more_than_pixels = job.pipeline.nodes().iter().find_map(|node| {
        let what = match node.processor.descriptor().depends_on {
            DependsOn::Pixels => return None,
            DependsOn::Time => "time",
            DependsOn::History => "earlier frames",
        };
        Some(format!("off: {} depends on {what}", node.id))
    });
    let words = match (job.effective_dedupe(plan), job.dedupe) {
        (_, DedupeMode::Off) => "off, as asked".to_owned(),
        (DedupeMode::Exact, _) => "exact: every node depends on pixels alone".to_owned(),
        (mode @ DedupeMode::Near(_), _) => format!("{mode}, as asked: every node depends on pixels alone"),
        (DedupeMode::Off, _) => {
            more_than_pixels.unwrap_or_else(|| "off: no node costs more than looking for them".to_owned())
        }
    };
    app.console.say(&format!("  duplicates {words}"));
}

/// How a job ended: what was made, where the time went, and what the user should know.
pub(crate) fn tell(app: &App, report: &Report, name: &str) {
    let console = &app.console;
    for note in &report.sink.notes {
        console.warn("output.note", note, None);
    }
    if !report.faults.is_empty() {
        let count = count(report.faults.len() as u64);
        console.warn(
            "frame.failed",
            &format!("{count} frames failed and were stood in for"),
            None,
        );
    }
    if report.truncated {
        console.warn(
            "input.truncated",
            "the input is cut off: this file holds what decoded",
            None,
        );
    }
    if console.style() == ProgressStyle::Json {
        let fps = report.frames_out as f64 / report.seconds.max(1e-9);
        console.event(
            "done",
            &json!({
                "output": report.sink.path.to_string_lossy(), "frames": report.sink.frames, "seconds": report.seconds, "fps": fps,
                "bytes": report.sink.bytes, "duplicates": report.duplicates, "rejected": report.rejected, "exit": 0,
            }),
        );
        return;
    }
    let wall = Duration::from_secs_f64(report.seconds.max(0.0));
    // A job that was gone on with has done the rest of them before.
    let now = if report.frames_out < report.sink.frames {
        format!(", {} of them now,", count(report.frames_out))
    } else {
        String::new()
    };
    console.say(&format!(
        "{name}  {} frame{}{now} in {} ({:.1} fps), {}",
        count(report.sink.frames.max(report.frames_out)),
        if report.sink.frames.max(report.frames_out) == 1 {
            ""
        } else {
            "s"
        },
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
            "  skipped    {} {} duplicate{} ({share:.1} %)",
            count(report.duplicates),
            match report.dedupe {
                DedupeMode::Near(_) => "near",
                DedupeMode::Off | DedupeMode::Exact => "exact",
            },
            if report.duplicates == 1 { "" } else { "s" },
        ));
    }
    if report.rejected > 0 {
        console.say(&format!(
            "  rejected   {} frames, each stood for by the last kept one",
            count(report.rejected)
        ));
    }
}

/// Largest file that is looked into for being a report.
const LARGEST_REPORT: u64 = 64 << 20;

/// Where a report is going to be. It is checked before the work, so that hours of it do not end in a place nobody can
/// write to; nothing lies there before the work is done, so that nothing is left of a job that is killed.
pub(crate) struct ReportFile {
    path: PathBuf,
    /// Files that the job reads or writes.
    taken: Vec<PathBuf>,
    overwrite: bool,
}

impl ReportFile {
    /// The report that the flags ask for, if they do. A report of an earlier job is replaced; any other file only with
    /// `--overwrite`, and never one that the job reads or writes.
    pub(crate) fn promised<'a>(
        settings: &JobSettings<'_>,
        taken: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Option<Self>, Failure> {
        let Some(path) = settings.with.job.report.clone() else {
            return Ok(None);
        };
        let report = Self {
            path,
            taken: taken.into_iter().map(place_of).collect(),
            overwrite: settings.io.overwrite,
        };
        report.check()?;
        if settings.with.job.dry_run {
            return Ok(None);
        }
        // Proves that the folder takes it, and is gone again.
        drop(PartFile::create(&report.path, true)?);
        Ok(Some(report))
    }

    fn check(&self) -> Result<(), Failure> {
        let path = self.path.display();
        if self.taken.contains(&place_of(&self.path)) {
            return Err(Failure::new(
                "usage.conflict",
                format!("--report {path} names a file that this job reads or writes"),
            )
            .hint("--report NAME.json writes elsewhere"));
        }
        if !self.overwrite && self.path.symlink_metadata().is_ok() && !is_report(&self.path) {
            return Err(
                Failure::new("output.exists", format!("{path} exists already and is no report"))
                    .hint("--overwrite replaces it, --report NAME.json writes elsewhere"),
            );
        }
        Ok(())
    }

    /// Writes what the engine measured, and what the job was.
    pub(crate) fn write(
        self,
        report: &Report,
        plan: &JobPlan,
        pipeline: &Pipeline,
        input: Json,
    ) -> Result<(), Failure> {
        let mut whole = serde_json::to_value(report).unwrap_or_default();
        if let Json::Object(fields) = &mut whole {
            fields.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
            fields.insert("input".to_owned(), input);
            let output = json!({"path": report.sink.path.to_string_lossy(), "bytes": report.sink.bytes});
            fields.insert("output".to_owned(), output);
            fields.insert("model".to_owned(), json!(plan.model));
            fields.insert("pipeline".to_owned(), plan.json());
            fields.insert("chosen".to_owned(), Json::Object(chosen(pipeline)));
        }
        let text = serde_json::to_string_pretty(&whole).unwrap_or_default() + "\n";
        self.check()?;
        PartFile::write(&self.path, text.as_bytes(), true)?;
        Ok(())
    }
}

/// A file's place, whether it is there or not yet.
fn place_of(path: &Path) -> PathBuf {
    path.canonicalize()
        .or_else(|error| {
            let absolute = std::path::absolute(path)?;
            let (folder, name) = absolute.parent().zip(absolute.file_name()).ok_or(error)?;
            Ok::<_, std::io::Error>(folder.canonicalize()?.join(name))
        })
        .unwrap_or_else(|_| path.to_owned())
}

/// Whether a file is a report of a job, or holds nothing.
fn is_report(path: &Path) -> bool {
    let small = |file: &std::fs::Metadata| file.is_file() && file.len() <= LARGEST_REPORT;
    if !path.metadata().is_ok_and(|file| small(&file)) {
        return false;
    }
    let Ok(bytes) = std::fs::read(path) else { return false };
    let has = |fields: Map<String, Json>| fields.contains_key("version") && fields.contains_key("frames_out");
    bytes.is_empty() || serde_json::from_slice(&bytes).is_ok_and(has)
}
