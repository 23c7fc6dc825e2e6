//! Every line of `--progress json` is as docs/progress.schema.json says.

use std::fs;

use serde_json::{Value as Json, json};

use crate::command::{clip, root, run};

/// The words of JSON Schema that the file uses: const, enum, type, required, properties, items, oneOf.
fn fits(value: &Json, schema: &Json) -> Result<(), String> {
    if let Some(expected) = schema.get("const")
        && value != expected
    {
        return Err(format!("{value} is not {expected}"));
    }
    if let Some(list) = schema.get("enum").and_then(Json::as_array)
        && !list.contains(value)
    {
        return Err(format!("{value} is not one of {list:?}"));
    }
    if let Some(wanted) = schema.get("type") {
        let names: Vec<&str> = match wanted {
            Json::String(name) => vec![name],
            names => names
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap())
                .collect(),
        };
        let is = |name: &str| match name {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            other => panic!("the test does not know type {other}"),
        };
        if !names.iter().any(|name| is(name)) {
            return Err(format!("{value} is no {names:?}"));
        }
    }
    for name in schema.get("required").and_then(Json::as_array).into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            return Err(format!("{value} has no {name}"));
        }
    }
    for (name, schema) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
        if let Some(value) = value.get(name) {
            fits(value, schema).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    if let (Some(schema), Some(items)) = (schema.get("items"), value.as_array()) {
        items.iter().try_for_each(|item| fits(item, schema))?;
    }
    if let Some(cases) = schema.get("oneOf").and_then(Json::as_array) {
        let errors: Vec<String> = cases.iter().filter_map(|case| fits(value, case).err()).collect();
        if errors.len() + 1 != cases.len() {
            return Err(errors.join("; "));
        }
    }
    Ok(())
}

#[test]
fn every_line_of_every_run_fits_the_schema() {
    let text = fs::read_to_string(root().join("docs/progress.schema.json")).unwrap();
    let schema: Json = serde_json::from_str(&text).unwrap();
    assert!(
        fits(&json!({"v": 1, "t": 0.1, "event": "done"}), &schema).is_err(),
        "the check can fail"
    );

    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "a.mp4", 30);
    let stub = [
        "run",
        "a.mp4",
        "b.mkv",
        "-p",
        "device_stub",
        "--set",
        "device_stub.ms=15",
        "--progress",
        "json",
    ];
    let mut seen = Vec::new();
    for args in [
        stub.to_vec(),
        vec!["run", "a.mp4", "b.mkv", "-p", "identity", "--progress", "json"],
        vec!["run", "nope.mp4", "-p", "identity", "--progress", "json"],
        vec![
            "run",
            "a.mp4",
            "c.avi",
            "-y",
            "-p",
            "identity",
            "--codec",
            "h264",
            "--progress",
            "json",
        ],
    ] {
        for line in run(home, &args).stdout.lines() {
            let line: Json = serde_json::from_str(line).unwrap();
            fits(&line, &schema).unwrap_or_else(|error| panic!("{line}: {error}"));
            seen.push(line["event"].as_str().unwrap().to_owned());
        }
    }
    for event in ["plan", "progress", "done", "error"] {
        assert!(
            seen.iter().any(|name| name == event),
            "{event} was not seen in {seen:?}"
        );
    }
}
