use kinora_pipeline::{Change, DependsOn, Order, ParamSpec, Restart};
use serde_json::Map;

use super::list::table;
use crate::{app::App, cli::Describe, failure::Failure};

pub(crate) fn run(app: &App, flags: &Describe) -> Result<(), Failure> {
    let registry = app.registry("auto")?;
    let about = registry.descriptor(&flags.processor)?;
    if flags.json {
        let schema = registry.schema(&flags.processor)?;
        app.console
            .result(&serde_json::to_string_pretty(&schema).unwrap_or_default());
        return Ok(());
    }
    let mut facts = vec![format!("stage {}", about.stage)];
    if about.batch.max > 1 {
        facts.push(format!("batch 1..{}", about.batch.max));
    }
    if about.order == Order::InOrder {
        facts.push("frames in order".to_owned());
    }
    if about.restart != Restart::Stateless {
        facts.push("keeps state".to_owned());
    }
    if about.depends_on != DependsOn::Pixels {
        facts.push("depends on more than the pixels".to_owned());
    }
    let mut text = format!("{}   {}\n  {}\n", about.name, about.about, facts.join(", "));
    let defaults = registry.parse(&flags.processor, &Map::new())?;
    let specs = registry.specs(&flags.processor)?;
    let mut rows = Vec::new();
    for (change, title) in [
        (Change::Live, "LIVE"),
        (Change::Prepare, "PREPARED"),
        (Change::Load, "LOAD"),
    ] {
        for (at, spec) in specs.iter().filter(|spec| spec.change == change).enumerate() {
            let title = if at == 0 { title } else { "" };
            let default = match defaults.json().get(spec.name) {
                None | Some(serde_json::Value::Null) => String::new(),
                Some(serde_json::Value::String(word)) => format!(", default {word}"),
                Some(value) => format!(", default {value}"),
            };
            rows.push(vec![
                format!("  {title:<9}"),
                spec.name.to_owned(),
                kind(spec) + &default,
                spec.about.to_owned(),
            ]);
        }
    }
    if !rows.is_empty() {
        text.push_str(&table(&rows));
        text.push('\n');
    }
    let ports = |ports: &[kinora_pipeline::Port]| {
        ports
            .iter()
            .map(|port| format!("{}{}", port.name, if port.optional { "?" } else { "" }))
            .collect::<Vec<_>>()
    };
    let needs: Vec<String> = std::iter::once("image".to_owned())
        .chain(ports(&about.requires))
        .collect();
    let gives: Vec<String> = std::iter::once("image".to_owned()).chain(ports(&about.gives)).collect();
    text.push_str(&format!(
        "  NEEDS       {}      GIVES {}",
        needs.join(", "),
        gives.join(", ")
    ));
    app.console.result(&text);
    Ok(())
}

fn kind(spec: &ParamSpec) -> String {
    match spec.unit {
        Some(unit) => format!("{} {unit}", spec.kind),
        None => spec.kind.to_string(),
    }
}
