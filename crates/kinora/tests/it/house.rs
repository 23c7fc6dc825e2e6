//! The rules of the house, read from the tree itself.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::Value as Json;

use crate::command::root;

/// Top-down, as ARCHITECTURE.md prints it: a crate may depend on those that stand after it.
const LAYERS: [&str; 8] = [
    "kinora",
    "kinora-processors",
    "kinora-engine",
    "kinora-media",
    "kinora-models",
    "kinora-nn",
    "kinora-pipeline",
    "kinora-frame",
];

/// Downward edges that the layers allow and the design forbids: (crate, must not know).
const FORBIDDEN: [(&str, &str); 6] = [
    ("kinora-processors", "kinora-engine"),
    ("kinora-processors", "kinora-media"),
    ("kinora-engine", "kinora-models"),
    ("kinora-engine", "kinora-nn"),
    ("kinora-media", "kinora-pipeline"),
    ("kinora-models", "kinora-pipeline"),
];

#[test]
fn crates_depend_downwards_only() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Json = serde_json::from_slice(&output.stdout).unwrap();
    let mut edges: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap().to_owned();
        assert!(LAYERS.contains(&name.as_str()), "{name} has no place in the layers");
        let used = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|d| d["kind"] != "dev");
        let used = used
            .map(|d| d["name"].as_str().unwrap().to_owned())
            .filter(|d| d.starts_with("kinora"));
        edges.insert(name, used.collect());
    }
    assert_eq!(edges.len(), LAYERS.len());
    let place = |name: &str| LAYERS.iter().position(|layer| *layer == name).unwrap();
    for (name, used) in &edges {
        for other in used {
            assert!(place(other) > place(name), "{name} depends upwards on {other}");
            assert!(
                !FORBIDDEN.contains(&(name.as_str(), other.as_str())),
                "{name} must not know {other}"
            );
        }
    }
}

fn rust_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Words that the glossary has another word for, and where they may stand all the same.
const AVOIDED: [(&str, &str); 5] = [
    ("thread group", "lane"),
    ("onnx session", "executable"),
    ("inference session", "executable"),
    ("pipeline step list", "plan"),
    ("render job", "job"),
];

#[test]
fn words_have_one_meaning() {
    let mut files = Vec::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        rust_files(&entry.unwrap().path().join("src"), &mut files);
    }
    assert!(files.len() > 50);
    for file in files {
        let text = fs::read_to_string(&file).unwrap().to_lowercase();
        for (word, instead) in AVOIDED {
            assert!(
                !text.contains(word),
                "{}: '{word}' is called '{instead}' here",
                file.display()
            );
        }
    }
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let told = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let section = manifest
        .split("[workspace.dependencies]")
        .nth(1)
        .unwrap()
        .split("\n[")
        .next()
        .unwrap();
    let names = section
        .lines()
        .filter_map(|line| line.split_once(" ="))
        .map(|(name, _)| name.trim());
    let names: Vec<&str> = names
        .filter(|name| !name.starts_with("kinora") && !name.starts_with('#'))
        .collect();
    assert!(names.len() > 15);
    for name in names {
        assert!(
            told.contains(&format!("| {name} |")) || told.contains(&format!("**{name}**")),
            "docs/dependencies.md says nothing of {name}"
        );
    }
}

/// t45: what is fetched at build or test time is pinned, and nothing is fetched by a build script.
#[test]
fn t45_dependencies_are_locked_and_fetched_files_have_a_hash() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for package in lock
        .split("[[package]]")
        .skip(1)
        .filter(|package| package.contains("source = "))
    {
        assert!(package.contains("checksum = "), "{package}");
        assert!(!package.contains("git+"), "{package}");
    }
    let tools = fs::read_to_string(root().join("scripts/tools.lock")).unwrap();
    assert!(tools.contains("sha256"), "tools are pinned by hash");
    assert!(root().join("deny.toml").is_file());
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        assert!(
            !entry.unwrap().path().join("build.rs").exists(),
            "a build script is not needed"
        );
    }
}
