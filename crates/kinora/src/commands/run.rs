use std::path::Path;

use kinora_pipeline::Stage;
use serde_json::{Map, Value as Json};

use super::{
    job::{Clip, JobSettings, Plan, input_and_output, run_clip},
    stills::{pictures_of, run_stills},
};
use crate::{app::App, cli::Run, failure::Failure};

pub(crate) fn run(app: &App, flags: &Run) -> Result<(), Failure> {
    let (input, output) = input_and_output(&flags.io)?;
    let (name, nodes) = read_pipeline(&flags.pipeline)?;
    let plan = Plan {
        nodes,
        scale: None,
        model: None,
        pipeline: name,
        notes: Vec::new(),
    };
    let settings = JobSettings {
        io: &flags.io,
        set: &flags.set,
        picture: &flags.picture,
        place: &flags.place,
        encode: &flags.encode,
        job: &flags.job,
    };
    if let Some(files) = pictures_of(&input)? {
        return run_stills(app, &input, files, output, plan, &settings);
    }
    let clip = Clip::open(app, &input, &flags.io)?;
    run_clip(app, &clip, output, plan, &settings)
}

type Nodes = Vec<(String, Map<String, Json>)>;

/// Names separated by commas, or a file: `{"pipeline": {STAGE: [{"processor": NAME, "params": {...}}]}}`.
fn read_pipeline(text: &str) -> Result<(String, Nodes), Failure> {
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
            let nodes: Nodes = text
                .split(',')
                .map(|name| (name.trim().to_owned(), Map::new()))
                .collect();
            let name = nodes
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
                .join("-");
            Ok((name, nodes))
        }
    }
}

fn parse(text: &str, path: &Path) -> Result<Nodes, Failure> {
    const STAGES: [Stage; 5] = [
        Stage::InputProcessing,
        Stage::Preprocessing,
        Stage::Generation,
        Stage::Postprocessing,
        Stage::Finalization,
    ];
    let bad = |what: String| {
        Failure::new("pipeline.syntax", format!("{}: {what}", path.display()))
            .hint(r#"{"pipeline": {"postprocessing": [{"processor": "resize", "params": {"scale": 0.5}}]}}"#)
    };
    let json: Json = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    let stages = json
        .get("pipeline")
        .and_then(Json::as_object)
        .ok_or_else(|| bad("expected an object 'pipeline' with stages".to_owned()))?;
    if let Some(unknown) = stages
        .keys()
        .find(|key| STAGES.iter().all(|stage| stage.name() != key.as_str()))
    {
        let near = kinora_pipeline::nearest(unknown, STAGES.map(Stage::name));
        return Err(bad(format!(
            "unknown stage '{unknown}'{}",
            near.map_or_else(String::new, |n| format!(", did you mean '{n}'?"))
        )));
    }
    let mut nodes = Vec::new();
    for stage in STAGES {
        let Some(list) = stages.get(stage.name()) else { continue };
        let list = list
            .as_array()
            .ok_or_else(|| bad(format!("stage '{stage}' must be a list")))?;
        for entry in list {
            let name = entry.get("processor").and_then(Json::as_str);
            let name = name.ok_or_else(|| bad(format!("an entry of stage '{stage}' names no processor: {entry}")))?;
            let params = match entry.get("params") {
                None => Map::new(),
                Some(Json::Object(params)) => params.clone(),
                Some(other) => return Err(bad(format!("params of '{name}' must be an object, found {other}"))),
            };
            nodes.push((name.to_owned(), params));
        }
    }
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
        assert_eq!(nodes[0].0, "identity");
        assert_eq!(nodes[1].1["scale"], 0.5);
    }

    #[test]
    fn t17_broken_pipelines_say_what_is_wrong() {
        for (text, says) in [
            ("{", "EOF"),
            ("{}", "'pipeline'"),
            (
                r#"{"pipeline": {"postprocesing": []}}"#,
                "did you mean 'postprocessing'",
            ),
            (r#"{"pipeline": {"generation": {}}}"#, "must be a list"),
            (r#"{"pipeline": {"generation": [{}]}}"#, "names no processor"),
            (r#"{"pipeline": {}}"#, "empty"),
        ] {
            let failure = parse(text, Path::new("p.json")).unwrap_err();
            assert!(failure.message.contains(says), "{}", failure.message);
            assert_eq!(failure.exit(), 2);
        }
    }
}
