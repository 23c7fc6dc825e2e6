use std::{
    io::{self, IsTerminal, Write},
    ops::ControlFlow,
    sync::atomic::Ordering,
};

use kinora_models::zoo::{self, Catalogue, Content, Entry, Kind, Progress, PullOptions, State, ZooError};
use serde_json::json;

use super::list::table;
use crate::{
    app::App,
    cli::{ModelsCommand, ProgressStyle},
    failure::Failure,
    keys,
    show::{bytes, count},
};

pub(crate) fn run(app: &App, command: ModelsCommand) -> Result<(), Failure> {
    match command {
        ModelsCommand::List { all, json } => list(app, all, json),
        ModelsCommand::Pull {
            names,
            force,
            accept_licence,
        } => pull(app, &names, force, accept_licence),
        ModelsCommand::Inspect { name, json } => inspect(app, &name, json),
        ModelsCommand::Verify { names } => verify(app, &names),
        ModelsCommand::Remove { name, force } => remove(app, &name, force),
    }
}

pub(crate) fn list(app: &App, all: bool, as_json: bool) -> Result<(), Failure> {
    let listing = zoo::scan(&app.folders()?)?;
    let shown = |kind: Option<Kind>| all || kind.is_none_or(|kind| matches!(kind, Kind::Upscale | Kind::Style));
    let entries = listing.entries.iter().filter(|entry| shown(entry.kind));
    if as_json {
        let rows: Vec<_> = entries
            .map(|entry| {
                json!({
                    "id": entry.id,
                    "kind": entry.kind.map(Kind::as_str),
                    "scale": entry.record.as_ref().map(|record| record.scale),
                    "bytes": entry.bytes,
                    "licence": entry.record.as_ref().map(|record| record.licence()),
                    "state": state(&entry.state).0,
                    "path": entry.path.as_ref().map(|path| path.to_string_lossy().into_owned()),
                    "place": entry.place,
                })
            })
            .collect();
        app.console
            .result(&serde_json::to_string_pretty(&rows).unwrap_or_default());
        return Ok(());
    }
    let heading = ["NAME", "FOR", "SCALE", "CONTENT", "SIZE", "LICENCE", "STATE"]
        .map(str::to_owned)
        .to_vec();
    let mut rows = vec![heading];
    for entry in entries {
        let record = entry.record.as_ref();
        let content = match record.map(|record| record.content) {
            Some(Content::Photo) => "photo",
            Some(Content::Anime) => "anime",
            _ => "",
        };
        let (word, why) = state(&entry.state);
        let place = if entry.state == State::Found {
            format!("found in {}", entry.place)
        } else {
            word.to_owned()
        };
        rows.push(vec![
            entry.id.clone(),
            entry.kind.map_or("", Kind::as_str).to_owned(),
            record.map_or_else(String::new, |record| format!("{}x", record.scale)),
            content.to_owned(),
            bytes(entry.bytes),
            record.map_or("", |record| record.licence()).to_owned(),
            why.map_or(place, |why| format!("{word}: {why}")),
        ]);
    }
    app.console.result(&table(&rows));
    for note in &listing.notes {
        app.console.warn("models.folder", note, None);
    }
    Ok(())
}

fn state(state: &State) -> (&'static str, Option<&str>) {
    match state {
        State::Installed => ("installed", None),
        State::Available => ("available", None),
        State::Damaged { why, .. } => ("damaged", Some(why)),
        State::Found => ("found", None),
        State::Unsupported { why } => ("not usable", Some(why)),
    }
}

fn pull(app: &App, names: &[String], force: bool, accept_licence: bool) -> Result<(), Failure> {
    let console = &app.console;
    let options = PullOptions {
        offline: app.global.offline,
        force,
        accept_licence,
        ..PullOptions::default()
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let bar = console.style() == ProgressStyle::Bar;
    // The client and what it left are cleared before the command ends.
    let end = keys::told_to_end();
    let mut progress = |progress: Progress<'_>| {
        match progress {
            Progress::Model { record } => {
                console.say(&format!(
                    "{:<24} {}, {}",
                    record.id,
                    bytes(record.bytes()),
                    record.licence_line()
                ));
            }
            Progress::Fetching {
                record,
                package,
                bytes: done,
                total,
            } => {
                let percent = if total == 0 {
                    0.0
                } else {
                    (done as f64 / total as f64 * 100.0).min(99.0)
                };
                if console.style() == ProgressStyle::Json {
                    console.event(
                        "download",
                        &json!({"model": record.id, "file": package, "bytes": done, "total": total}),
                    );
                } else if bar {
                    let line = format!("  {percent:>3.0} %  {} of {}   {package}", bytes(done), bytes(total));
                    console.draw(&[line.chars().take(console.width().saturating_sub(1)).collect()]);
                }
            }
            Progress::Checking { .. } if bar => console.draw(&["  checking".to_owned()]),
            Progress::Checking { .. } => {}
            Progress::Done { pulled } => {
                if bar {
                    console.clear();
                }
                let what = if pulled.fetched {
                    "installed"
                } else {
                    "was here already"
                };
                console.say(&format!(
                    "checked {} file{} (sha256), {what}: {}",
                    pulled.files,
                    if pulled.files == 1 { "" } else { "s" },
                    pulled.folder.display()
                ));
            }
        }
        if end.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let pulled = zoo::pull_from(Catalogue::embedded()?, &names, &app.folders()?, &options, &mut progress);
    if bar {
        console.clear();
    }
    match pulled {
        // Ctrl-C reaches the client too, which may be the first to go.
        Err(_) if end.load(Ordering::Relaxed) => Err(ZooError::Stopped.into()),
        other => Ok(other.map(|_| ())?),
    }
}

fn inspect(app: &App, name: &str, as_json: bool) -> Result<(), Failure> {
    let folders = app.folders()?;
    let resolved = zoo::resolve(name, &folders)?;
    let facts = zoo::inspect(&resolved.origin)?;
    if as_json {
        let json = json!({
            "id": resolved.id, "scale": resolved.spec.scale, "pad": resolved.spec.pad,
            "licence": resolved.licence, "facts": facts,
        });
        app.console
            .result(&serde_json::to_string_pretty(&json).unwrap_or_default());
        return Ok(());
    }
    let mut lines = vec![resolved.id.clone()];
    if let Some(record) = &resolved.record {
        lines.push(format!("  what       {}", record.description));
        if let Some(family) = &record.architecture {
            lines.push(format!("  family     {family}"));
        }
    }
    if let Some(scale) = resolved.spec.scale {
        lines.push(format!("  scale      {scale}x"));
    }
    lines.push(format!(
        "  licence    {}",
        resolved.licence.as_deref().unwrap_or("not known")
    ));
    if let Some(ncnn) = &facts.ncnn {
        lines.push(format!(
            "  graph      ncnn, {} layers, {} parameters, {} to {}",
            ncnn.layers,
            count(ncnn.parameters),
            ncnn.inputs.join(" "),
            ncnn.outputs.join(" ")
        ));
    }
    for file in &facts.files {
        lines.push(format!("  file       {}  {}", file.path.display(), bytes(file.bytes)));
        lines.push(format!("             sha256 {}", file.sha256));
    }
    app.console.result(&lines.join("\n"));
    Ok(())
}

fn verify(app: &App, names: &[String]) -> Result<(), Failure> {
    let folders = app.folders()?;
    let mut first_failure = None;
    let mut tell = |name: &str, verified: Result<zoo::Verified, ZooError>| {
        let error = match verified {
            Ok(verified) => {
                app.console
                    .result(&format!("ok       {name}  {} files", verified.files));
                return;
            }
            Err(error) => error,
        };
        match &error {
            ZooError::Damaged { .. } => app.console.result(&format!("damaged  {name}")),
            ZooError::NotInstalled { .. } => app.console.result(&format!("missing  {name}")),
            // A name that means no model has no state.
            ZooError::Unknown { .. } | ZooError::Ambiguous { .. } => {}
            _ => app.console.result(&format!("failed   {name}")),
        }
        let failure = Failure::from(error);
        if first_failure.is_none() {
            first_failure = Some(failure);
        } else {
            app.console.fail(&failure);
        }
    };
    for name in names {
        tell(name, zoo::verify(name, &folders));
    }
    if names.is_empty() {
        let here = |entry: &&Entry| matches!(entry.state, State::Installed | State::Damaged { .. });
        for entry in zoo::scan(&folders)?.entries.iter().filter(here) {
            tell(&entry.id, zoo::verify_entry(entry));
        }
    }
    first_failure.map_or(Ok(()), Err)
}

fn remove(app: &App, name: &str, force: bool) -> Result<(), Failure> {
    if !force {
        if !io::stdin().is_terminal() {
            return Err(
                Failure::usage(format!("removing {name} needs consent")).hint("--force removes without a question")
            );
        }
        let _ = write!(io::stderr(), "remove {name}? [y/N] ");
        let mut answer = String::new();
        let _ = io::stdin().read_line(&mut answer);
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            app.console.say("nothing was removed");
            return Ok(());
        }
    }
    match zoo::remove(name, &app.folders()?)? {
        Some(folder) => app.console.say(&format!("removed {}", folder.display())),
        None => app.console.say(&format!("{name} is not installed: nothing to remove")),
    }
    Ok(())
}
