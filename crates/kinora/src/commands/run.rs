use std::path::{Path, PathBuf};

use kinora_pipeline::Stage;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::{
    clip::{Clip, input_and_output},
    job::{JobPlan, JobSettings, WantedNode, run_clip, wanted},
    stills::{Pictures, pictures_of, run_stills},
};
use crate::{app::App, cli::Run, failure::Failure};

pub(crate) fn run(app: &App, flags: &Run) -> Result<(), Failure> {
    send(app, flags, false)
}

/// Writes down what [`run`] would do.
pub(crate) fn plan(app: &App, flags: &Run) -> Result<(), Failure> {
    send(app, flags, true)
}

fn send(app: &App, flags: &Run, only_plan: bool) -> Result<(), Failure> {
    let (input, mut output) = input_and_output(&flags.io, if only_plan { "plan" } else { "run" })?;
    let old = flags.with.safety.plan.is_some() || flags.with.safety.resume_settings;
    let (name, nodes) = if flags.pipeline.is_empty() && old {
        (String::new(), Vec::new())
    } else {
        read_pipeline(&flags.pipeline)?
    };
    let plan_to = if only_plan {
        Some(plan_file(output.take())?)
    } else {
        None
    };
    let plan = JobPlan {
        nodes,
        scale: None,
        model: None,
        pipeline: name,
        notes: Vec::new(),
    };
    let settings = JobSettings {
        io: &flags.io,
        set: &flags.set,
        with: &flags.with,
        plan_to: plan_to.as_deref(),
    };
    if let Some(files) = pictures_of(&input)? {
        if only_plan {
            return Err(Failure::usage(
                "pictures need no plan: a folder is shared out by its files",
            ));
        }
        return run_stills(app, &input, Pictures::open(&input, files)?, output, plan, &settings);
    }
    let clip = Clip::open(app, &input, &flags.io)?;
    run_clip(app, &clip, output, plan, &settings)
}

fn plan_file(output: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let path = output.ok_or_else(|| {
        Failure::new("usage.missing", "--output is missing: the file that the plan goes into").hint("-o plan.json")
    })?;
    if path.extension().is_none_or(|extension| extension != "json") {
        return Err(Failure::usage(format!("{} is no name of a plan", path.display())).hint("-o plan.json"));
    }
    Ok(path)
}

/// A pipeline file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pipeline: Stages,
}

/// Processors by stage.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Stages {
    input_processing: Vec<Entry>,
    preprocessing: Vec<Entry>,
    generation: Vec<Entry>,
    postprocessing: Vec<Entry>,
    finalization: Vec<Entry>,
}

/// One processor of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    processor: String,
    #[serde(default)]
    params: Map<String, Json>,
}

/// Names separated by commas, or a file: `{"pipeline": {STAGE: [{"processor": NAME, "params": {...}}]}}`.
fn read_pipeline(text: &str) -> Result<(String, Vec<WantedNode>), Failure> {
    let path = Path::new(text);
    let extension = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase();
    match extension.as_str() {
        "yaml" | "yml" => Err(
            Failure::new("usage.not_yet", "pipelines in YAML are not part of this version")
                .hint("write the same as .json, or name the processors: -p resize,invert"),
        ),
        "json" => {
            let found = std::fs::read_to_string(path).map_err(|error| {
                Failure::new("pipeline.unreadable", format!("{} cannot be read", path.display()))
                    .cause(error.to_string())
            })?;
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Ok((stem, parse(&found, path)?))
        }
        _ => {
            let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
            Ok((
                names.join("-"),
                wanted(names.into_iter().map(|name| (name, Map::new(), None))),
            ))
        }
    }
}

fn parse(text: &str, path: &Path) -> Result<Vec<WantedNode>, Failure> {
    let bad = |what: String| {
        Failure::new("pipeline.syntax", format!("{}: {what}", path.display()))
            .hint(r#"{"pipeline": {"postprocessing": [{"processor": "resize", "params": {"scale": 0.5}}]}}"#)
    };
    let File { pipeline } = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    let stages = [
        (Stage::InputProcessing, pipeline.input_processing),
        (Stage::Preprocessing, pipeline.preprocessing),
        (Stage::Generation, pipeline.generation),
        (Stage::Postprocessing, pipeline.postprocessing),
        (Stage::Finalization, pipeline.finalization),
    ];
    let entries = stages.into_iter().flat_map(|(stage, list)| {
        list.into_iter()
            .map(move |entry| (entry.processor, entry.params, Some(stage)))
    });
    let nodes = wanted(entries);
    if nodes.is_empty() {
        return Err(bad("the pipeline is empty".to_owned()));
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_is_a_list_of_names_or_a_json_file() {
        let (name, nodes) = read_pipeline("resize, invert").unwrap();
        assert_eq!((name.as_str(), nodes.len()), ("resize-invert", 2));
        let text = r#"{"pipeline": {"postprocessing": [{"processor": "resize", "params": {"scale": 0.5}}], "input_processing": [{"processor": "identity"}]}}"#;
        let nodes = parse(text, Path::new("p.json")).unwrap();
        assert_eq!(
            (nodes[0].id.as_str(), nodes[0].stage),
            ("identity", Some(Stage::InputProcessing))
        );
        assert_eq!(nodes[1].params["scale"], 0.5);
        let (_, twice) = read_pipeline("invert,invert").unwrap();
        assert_eq!(twice[1].id, "invert_2");
    }

    #[test]
    fn t17_broken_pipelines_say_what_is_wrong() {
        for (text, says) in [
            ("{", "EOF"),
            ("{}", "`pipeline`"),
            (
                r#"{"pipeline": {"postprocesing": []}}"#,
                "unknown field `postprocesing`",
            ),
            (r#"{"pipeline": {"generation": {}}}"#, "expected a sequence"),
            (r#"{"pipeline": {"generation": [{}]}}"#, "`processor`"),
            (
                r#"{"pipeline": {"generation": [{"processor": "x", "parms": {}}]}}"#,
                "unknown field `parms`",
            ),
            (r#"{"pipeline": {}}"#, "empty"),
        ] {
            let failure = parse(text, Path::new("p.json")).unwrap_err();
            assert!(failure.message.contains(says), "{}", failure.message);
            assert_eq!(failure.exit(), 2);
        }
    }
}
