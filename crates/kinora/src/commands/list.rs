use kinora_media::ENCODER_PRESETS;
use serde_json::{Value as Json, json};

use super::models;
use crate::{
    app::App,
    cli::{List, ListWhat},
    failure::Failure,
};

pub(crate) fn run(app: &App, flags: &List) -> Result<(), Failure> {
    let (rows, json) = match flags.what {
        ListWhat::Models => return models::list(app, false, flags.json),
        ListWhat::Devices => devices(app)?,
        ListWhat::Codecs => codecs(app)?,
        ListWhat::Processors => processors(app)?,
        ListWhat::Presets => presets(),
    };
    if flags.json {
        app.console
            .result(&serde_json::to_string_pretty(&json).unwrap_or_default());
    } else {
        app.console.result(&table(&rows));
    }
    Ok(())
}

/// Columns as wide as their widest cell; the first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    rows.iter()
        .map(|row| {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())));
            cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

type Listed = (Vec<Vec<String>>, Json);

fn devices(app: &App) -> Result<Listed, Failure> {
    let folders = app.folders()?;
    let runtime = kinora_nn::Runtime::load(&app.runtime_search(&folders, "auto"))?;
    let mut rows = vec![row(["DEVICE", "PRECISION", "THROUGH"])];
    let through = format!("ONNX Runtime {} ({})", runtime.version(), runtime.path().display());
    let mut json = Vec::new();
    let mut add = |device: &str, precisions: &[&str], through: &str| {
        rows.push(row([device, &precisions.join(" "), through]));
        json.push(json!({"device": device, "precisions": precisions, "through": through}));
    };
    add("cpu", &["f32"], &through);
    if runtime.has_openvino() {
        let precisions = ["f32", "bf16"];
        // Without instructions for bf16, OpenVINO computes in f32 whatever it is told.
        let there = if kinora_nn::has_bf16() { 2 } else { 1 };
        add("openvino", &precisions[..there], &through);
    }
    Ok((rows, Json::Array(json)))
}

fn codecs(app: &App) -> Result<Listed, Failure> {
    let ffmpeg = app.ffmpeg()?;
    let mut rows = vec![row(["CODEC", "ENCODER", "STATE"])];
    let mut json = Vec::new();
    for preset in ENCODER_PRESETS {
        let there = ffmpeg.has_encoder(preset.encoder);
        let state = if there { "ready" } else { "not in this FFmpeg" };
        rows.push(row([preset.name, preset.encoder, state]));
        json.push(json!({"codec": preset.name, "encoder": preset.encoder, "available": there}));
    }
    Ok((rows, Json::Array(json)))
}

fn processors(app: &App) -> Result<Listed, Failure> {
    let registry = app.registry("auto")?;
    let mut rows = vec![row(["PROCESSOR", "STAGE", "WHAT IT DOES"])];
    let mut json = Vec::new();
    for name in registry.names() {
        let about = registry.descriptor(name)?;
        rows.push(row([name, about.stage.name(), about.about]));
        json.push(json!({"name": name, "stage": about.stage.name(), "about": about.about}));
    }
    Ok((rows, Json::Array(json)))
}

fn presets() -> Listed {
    let looks = [
        ("photo", "photographs and film: faithful networks; the default"),
        ("anime", "animation: networks that are calm from frame to frame"),
    ];
    let mut rows = vec![row(["PRESET", "WHAT IT IS FOR"])];
    rows.extend(looks.iter().map(|(name, about)| row([name, about])));
    let json = looks
        .iter()
        .map(|(name, about)| json!({"name": name, "about": about}))
        .collect();
    (rows, Json::Array(json))
}
