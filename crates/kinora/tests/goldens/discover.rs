//! Which cases the roots hold.

use std::path::{Path, PathBuf};

use serde_json::Value;

pub const SETS: [&str; 4] = ["diffusion", "vision", "vsr", "flight_buffer"];

/// One case, before its files are read.
#[derive(Clone, Debug)]
pub struct Found {
    pub set: String,
    pub group: String,
    pub name: String,
    pub component: String,
    /// True for the project's own goldens.
    pub own: bool,
    /// Folder of the case; for `flight_buffer` the file.
    pub path: PathBuf,
    /// Why the case cannot even be named properly, where it cannot.
    pub broken: Option<String>,
}

impl Found {
    /// `set/group/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}/{}", self.set, self.group, self.name)
    }

    /// `set/group`.
    pub fn line(&self) -> String {
        format!("{}/{}", self.set, self.group)
    }
}

/// The project's own goldens.
pub fn own_root() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../goldens");
    path.canonicalize().unwrap_or(path)
}

/// The roots that `KINORA_GOLDENS` lists, or the project's own.
pub fn roots() -> Vec<PathBuf> {
    match std::env::var_os("KINORA_GOLDENS") {
        Some(list) if !list.is_empty() => std::env::split_paths(&list)
            .filter(|path| !path.as_os_str().is_empty())
            .collect(),
        _ => vec![own_root()],
    }
}

/// Every case below a root, by name.
///
/// # Errors
/// A root that is no folder, or one without a single case: it would prove nothing.
pub fn cases(root: &Path) -> Result<Vec<Found>, String> {
    if !root.is_dir() {
        return Err(format!("{} is no folder", root.display()));
    }
    let own = root.canonicalize().is_ok_and(|root| root == own_root());
    let mut found = Vec::new();
    for set in SETS {
        let folder = root.join(set);
        if !folder.is_dir() {
            continue;
        }
        if set == "flight_buffer" {
            flight_buffer(&folder, own, &mut found)?;
        } else {
            walk(&folder, set, own, &mut found)?;
        }
    }
    if found.is_empty() {
        return Err(format!("{} holds no case of {}", root.display(), SETS.join(", ")));
    }
    found.sort_by_key(Found::full_name);
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let read =
        || -> std::io::Result<Vec<PathBuf>> { std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect() };
    read().map_err(|error| format!("{}: {error}", folder.display()))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn walk(folder: &Path, set: &str, own: bool, found: &mut Vec<Found>) -> Result<(), String> {
    for path in entries(folder)? {
        if !path.is_dir() || file_name(&path).starts_with('_') {
            continue;
        }
        if path.join("case.json").is_file() {
            found.push(named(&path, set, own));
        }
        walk(&path, set, own, found)?;
    }
    Ok(())
}

fn named(path: &Path, set: &str, own: bool) -> Found {
    let parsed = json(&path.join("case.json"));
    let text = |key: &str| -> Result<String, String> {
        let value = parsed.as_ref().map_err(Clone::clone)?;
        let text = value.get(key).and_then(Value::as_str);
        text.map(str::to_owned)
            .ok_or_else(|| format!("case.json has no {key:?}"))
    };
    let (group, name, component) = (text("group"), text("name"), text("component"));
    let broken = [&group, &name, &component]
        .into_iter()
        .find_map(|text| text.clone().err());
    let parent = path.parent().map_or_else(String::new, file_name);
    Found {
        set: set.to_owned(),
        group: group.unwrap_or(parent),
        name: name.unwrap_or_else(|_| file_name(path)),
        component: component.unwrap_or_default(),
        own,
        path: path.to_owned(),
        broken,
    }
}

/// Traces are files; a sizing table is one case.
fn flight_buffer(folder: &Path, own: bool, found: &mut Vec<Found>) -> Result<(), String> {
    let sizing = folder.join("sizing");
    let tables = if sizing.is_dir() { entries(&sizing)? } else { Vec::new() };
    for (path, component) in entries(folder)?
        .into_iter()
        .map(|path| (path, "trace"))
        .chain(tables.into_iter().map(|path| (path, "sizing")))
    {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let parsed = json(&path);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = parsed
            .as_ref()
            .ok()
            .and_then(|value| Some(value.get("name")?.as_str()?.to_owned()));
        found.push(Found {
            set: "flight_buffer".to_owned(),
            group: "flight_buffer".to_owned(),
            name: name.unwrap_or(stem),
            component: component.to_owned(),
            own,
            path,
            broken: parsed.err(),
        });
    }
    Ok(())
}

/// Reads a JSON file.
pub fn json(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}
