use std::path::Path;

use kinora_media::{ENCODER_PRESETS, Stop, StreamKind, Verdict};
use kinora_models::{ImageModel, image_model::PictureSize, zoo};
use kinora_nn::{DeviceChoice, LoadOptions, Runtime};
use serde_json::{Value as Json, json};

use super::place::{cores, ram_bytes};
use crate::{
    app::App,
    cli::Doctor,
    failure::Failure,
    show::{bytes, count, rate},
};

/// One line of the examination.
struct Finding {
    level: &'static str,
    about: &'static str,
    text: String,
    fix: Option<String>,
}

fn ok(about: &'static str, text: impl Into<String>) -> Finding {
    Finding {
        level: "ok",
        about,
        text: text.into(),
        fix: None,
    }
}

fn warn(about: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding {
        level: "warn",
        about,
        text: text.into(),
        fix: Some(fix.into()),
    }
}

fn fail(about: &'static str, failure: &Failure) -> Finding {
    Finding {
        level: "fail",
        about,
        text: failure.message.clone(),
        fix: failure.hint.clone(),
    }
}

pub(crate) fn run(app: &App, flags: &Doctor) -> Result<(), Failure> {
    let findings = match &flags.file {
        Some(file) => look_into(app, file)?,
        None => examine(app),
    };
    let bad = findings.iter().filter(|finding| finding.level == "fail").count();
    let warnings = findings.iter().filter(|finding| finding.level == "warn").count();
    if flags.json {
        let list: Vec<Json> = findings
            .iter()
            .map(|f| json!({"level": f.level, "about": f.about, "text": f.text, "fix": f.fix}))
            .collect();
        app.console
            .result(&serde_json::to_string_pretty(&list).unwrap_or_default());
    } else {
        for finding in &findings {
            let color = match finding.level {
                "ok" => "32",
                "warn" => "33",
                _ => "31",
            };
            let level = app.console.paint(color, &format!("{:<5}", finding.level));
            app.console
                .result(&format!("{level} {:<14} {}", finding.about, finding.text));
            if let Some(fix) = &finding.fix {
                app.console.result(&format!("        fix          {fix}"));
            }
        }
    }
    match (bad, warnings) {
        (0, 0) => Ok(()),
        (0, n) => {
            app.console
                .say(&format!("{n} warning{}", if n == 1 { "" } else { "s" }));
            Ok(())
        }
        (n, w) => Err(Failure::new(
            "doctor.problem",
            format!("{n} problem{}, {w} warnings", if n == 1 { "" } else { "s" }),
        )),
    }
}

fn examine(app: &App) -> Vec<Finding> {
    let mut findings = vec![ok(
        "processor",
        format!("{} cores, {} memory{}", cores(), bytes(ram_bytes()), features()),
    )];
    match app.ffmpeg() {
        Ok(ffmpeg) => {
            let names = ENCODER_PRESETS
                .iter()
                .map(|preset| preset.encoder)
                .filter(|name| ffmpeg.has_encoder(name));
            let mut names: Vec<&str> = names.collect();
            names.dedup();
            let text = format!(
                "{}, {}; encoders {}",
                ffmpeg.version_text(),
                ffmpeg.program().display(),
                names.join(" ")
            );
            findings.push(ok("ffmpeg", text));
        }
        Err(failure) => findings.push(fail("ffmpeg", &failure)),
    }
    let folders = match app.folders() {
        Ok(folders) => folders,
        Err(failure) => {
            findings.push(fail("models", &failure));
            return findings;
        }
    };
    let runtime = Runtime::load(&app.runtime_search(&folders, "auto"));
    match &runtime {
        Ok(runtime) => {
            let text = format!(
                "{}, {}; providers {}",
                runtime.version(),
                runtime.path().display(),
                runtime.providers().join(" ")
            );
            findings.push(ok("onnxruntime", text));
        }
        Err(error) => {
            findings.push(Finding {
                level: "fail",
                about: "onnxruntime",
                text: error.to_string(),
                fix: error.hint(),
            });
        }
    }
    let networks = zoo::scan(&folders).map(networks);
    match &networks {
        Ok(networks) if networks.is_empty() => {
            findings.push(warn(
                "models",
                "no network that enlarges is on this computer",
                "kinora models pull span-x2 span-x4",
            ));
        }
        Ok(networks) => {
            let own = folders.own().display().to_string();
            let mut places: Vec<(&str, usize)> = Vec::new();
            for network in networks {
                let place = if network.place == "kinora" {
                    &own
                } else {
                    &network.place
                };
                match places.iter_mut().find(|(name, _)| name == place) {
                    Some((_, n)) => *n += 1,
                    None => places.push((place, 1)),
                }
            }
            let places: Vec<String> = places.iter().map(|(name, n)| format!("{n} in {name}")).collect();
            findings.push(ok("models", format!("networks: {}", places.join(", "))));
        }
        Err(error) => findings.push(fail("models", &Failure::new(error.code(), error.to_string()))),
    }
    if let Ok(status) = rustix::fs::statvfs(".") {
        let free = status.f_bavail.saturating_mul(status.f_frsize);
        let text = format!("{} free here", bytes(free));
        findings.push(if free < 2_000_000_000 {
            warn("disk", text, "a long film needs tens of gigabytes: --output elsewhere")
        } else {
            ok("disk", text)
        });
    }
    if let (Ok(runtime), Ok(networks)) = (&runtime, &networks)
        && let Some(network) = networks.first()
    {
        findings.push(match self_test(app, runtime, &network_name(network)) {
            Ok(text) => ok("self-test", text),
            // Nobody promised that a file found somewhere is a network that runs.
            Err(failure) if network.state == zoo::State::Found => warn(
                "self-test",
                failure.message,
                "kinora models pull span-x2 gets a network that is known to run",
            ),
            Err(failure) => fail("self-test", &failure),
        });
    }
    findings
}

/// Networks that enlarge and can be used: those that kinora installed first, small ones first.
fn networks(listing: zoo::Listing) -> Vec<zoo::Entry> {
    let usable = |entry: &zoo::Entry| {
        entry.kind == Some(zoo::Kind::Upscale)
            && entry.source.is_some()
            && matches!(entry.state, zoo::State::Installed | zoo::State::Found)
    };
    let mut found: Vec<zoo::Entry> = listing.entries.into_iter().filter(usable).collect();
    found.sort_by_key(|entry| (entry.state == zoo::State::Found, entry.bytes));
    found
}

/// What a network is loaded by: its name, or its file where it was found in place.
fn network_name(entry: &zoo::Entry) -> String {
    match (&entry.state, &entry.path) {
        (zoo::State::Found, Some(file)) => file.display().to_string(),
        _ => entry.id.clone(),
    }
}

/// Runs the smallest network that is here on every device of the loaded library and compares.
fn self_test(app: &App, runtime: &Runtime, id: &str) -> Result<String, Failure> {
    let resolved = zoo::resolve(id, &app.folders()?)?;
    let (height, width) = (24usize, 32usize);
    let size = PictureSize {
        batch: 1,
        height,
        width,
    };
    let input: Vec<f32> = (0..3 * height * width)
        .map(|at| ((at * 37 % 251) as f32) / 250.0)
        .collect();
    let run = |device: DeviceChoice| -> Result<Vec<f32>, Failure> {
        let options = LoadOptions {
            device,
            threads: cores(),
            ..LoadOptions::default()
        };
        let model = ImageModel::open(&resolved.source, &resolved.spec, runtime, &options, &app.cache())?;
        let length = model.output_len(size).unwrap_or(0);
        let mut output = vec![0.0; length];
        model.run(&input, size, &mut output)?;
        Ok(output)
    };
    let cpu = run(DeviceChoice::Cpu)?;
    if cpu.iter().any(|v| !v.is_finite()) {
        return Err(Failure::new(
            "device.wrong",
            format!("{id} gives numbers that are not finite on cpu"),
        ));
    }
    if !runtime.has_openvino() {
        return Ok(format!("{id} runs on cpu"));
    }
    let other = run(DeviceChoice::OpenVino)?;
    let worst = cpu
        .iter()
        .zip(&other)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0f32, f32::max);
    if worst * 255.0 > 1.0 {
        return Err(Failure::new(
            "device.wrong",
            format!("{id} differs by {:.1} levels between cpu and openvino", worst * 255.0),
        ));
    }
    Ok(format!(
        "{id} on cpu and openvino agree, largest difference {:.3} levels",
        worst * 255.0
    ))
}

fn features() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        let mut found = Vec::new();
        if std::is_x86_feature_detected!("avx2") {
            found.push("AVX2");
        }
        if std::is_x86_feature_detected!("avx512f") {
            found.push("AVX-512");
        }
        if std::is_x86_feature_detected!("avx512bf16") {
            found.push("bf16");
        }
        if found.is_empty() {
            String::new()
        } else {
            format!(", {}", found.join(" "))
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    String::new()
}

/// What is in a file, and whether all of it is.
fn look_into(app: &App, file: &Path) -> Result<Vec<Finding>, Failure> {
    let ffmpeg = app.ffmpeg()?;
    let info = ffmpeg.probe(file)?;
    let length = info
        .duration
        .map_or_else(|| "unknown length".to_owned(), |duration| duration.to_string());
    let mut findings = vec![ok("container", format!("{}, {length}", info.container))];
    for stream in &info.streams {
        let text = match &stream.kind {
            StreamKind::Video(facts) => {
                let fps = facts
                    .frame_rate
                    .map_or_else(|| "no rate".to_owned(), |fps| rate(fps.to_f64()));
                let turned = if facts.rotation == 0 {
                    String::new()
                } else {
                    format!(", turned {} degrees", facts.rotation)
                };
                format!(
                    "{} {} {fps} {} {} {}{turned}{}",
                    stream.codec,
                    facts.size,
                    facts.source_format,
                    facts.color.matrix,
                    facts.color.range,
                    if facts.attached_picture { ", cover art" } else { "" }
                )
            }
            StreamKind::Audio { sample_rate_hz, layout } => format!("{} {sample_rate_hz} Hz {layout}", stream.codec),
            StreamKind::Subtitle { bitmap } => {
                format!("{} ({})", stream.codec, if *bitmap { "pictures" } else { "text" })
            }
            StreamKind::Attachment => format!("attachment {}", stream.codec),
            StreamKind::Data => format!("data {}", stream.codec),
        };
        findings.push(ok("stream", format!("{}  {text}", stream.index)));
    }
    if !info.chapters.is_empty() {
        findings.push(ok("chapters", info.chapters.len().to_string()));
    }
    let Some((stream, facts)) = info.video() else {
        findings.push(fail(
            "video",
            &Failure::new("input.no_video", "no video stream").hint("nothing here to enlarge"),
        ));
        return Ok(findings);
    };
    let index = ffmpeg.packet_index(&info.path, stream.index, &Stop::default())?;
    findings.push(ok("frames", format!("{} by counting packets", count(index.len()))));
    let times: Vec<i64> = index.times().map(|time| time.ticks).collect();
    let mut steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.sort_unstable();
    if let (Some(least), Some(most)) = (steps.first(), steps.last())
        && most - least > 1
    {
        findings.push(ok(
            "timing",
            format!("variable frame rate: steps of {least} to {most} ticks; every time is kept"),
        ));
    }
    if !index.seekable() {
        findings.push(warn(
            "timing",
            "times repeat or are missing",
            "it is decoded from its beginning; --start is slow",
        ));
    }
    if facts.field_order.is_interlaced() {
        findings.push(warn(
            "interlaced",
            "pictures of two moments woven together",
            "it is deinterlaced first; --deinterlace off leaves it",
        ));
    }
    let mut decoder = kinora_media::Decoder::open(
        &ffmpeg,
        &info,
        kinora_media::DecodeOptions {
            stream: Some(stream.index),
            ..Default::default()
        },
    )?;
    while decoder.next_frame()?.is_some() {}
    let found = decoder.completeness();
    found.check_decoder(&index)?;
    for (_, note) in found.notes(&index) {
        findings.push(warn("decodes", note, "kinora upscale does the same and says so"));
    }
    match found.verdict(&index, false) {
        Verdict::Whole => findings.push(ok("decodes", format!("all {} frames", count(found.frames)))),
        Verdict::Cut {
            last, stated, cause, ..
        } => {
            let at = last.map_or_else(|| "the beginning".to_owned(), |last| last.to_string());
            let total = info
                .duration
                .or(stated)
                .map_or_else(String::new, |total| format!(" of {total}"));
            let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
            let failure = Failure::new("input.truncated", format!("it ends at {at}{total}{cause}"));
            findings.push(fail("decodes", &failure.hint("kinora upscale --salvage")));
        }
    }
    Ok(findings)
}
