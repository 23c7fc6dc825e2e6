//! `extra_model_paths.yaml` of ComfyUI: sections with a `base_path` and, for each role, one path or several lines of
//! them. Sections for other programs map the same roles onto their folder names, so one reader serves both layouts.

use super::ZooError;
use super::folders::{Layout, Place, ROLES};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

const MAX_BYTES: u64 = 1 << 20;

/// The existing folders that a file names, in its order of sections and roles.
///
/// # Errors
/// [`ZooError::ExtraPaths`]: not YAML of that form, or too large.
pub(crate) fn read(path: &Path) -> Result<Vec<Place>, ZooError> {
    let bad = |why: String| ZooError::ExtraPaths {
        path: path.to_owned(),
        why,
    };
    let length = std::fs::metadata(path).map_err(ZooError::io("read", path))?.len();
    if length > MAX_BYTES {
        return Err(bad(format!("{length} bytes; at most {MAX_BYTES} were expected")));
    }
    let text = std::fs::read_to_string(path).map_err(ZooError::io("read", path))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let home = std::env::home_dir();
    parse(&text, folder, home.as_deref()).map_err(bad)
}

pub(crate) fn parse(text: &str, folder: &Path, home: Option<&Path>) -> Result<Vec<Place>, String> {
    if text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    {
        return Ok(Vec::new());
    }
    let sections: Map<String, Value> = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let mut places = Vec::new();
    for (name, section) in &sections {
        let section = match section {
            Value::Object(section) => section,
            Value::Null => continue,
            _ => return Err(format!("'{name}' is not a section of paths")),
        };
        let base = match section.get("base_path") {
            Some(Value::String(base)) => folder.join(at_home(base.trim(), home)),
            _ => folder.to_owned(),
        };
        let comfy =
            section.get("is_default") == Some(&Value::Bool(true)) || name.to_ascii_lowercase().contains("comfy");
        let layout = if comfy { Layout::ComfyUi } else { Layout::WebUi };
        for (role, value) in section {
            // ComfyUI's older word for text encoders.
            let role = if role == "clip" { "text_encoders" } else { role.as_str() };
            if !ROLES.contains(&role) {
                continue;
            }
            let lines: Vec<&str> = match value {
                Value::String(text) => text.lines().collect(),
                Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
                _ => continue,
            };
            for line in lines.into_iter().map(str::trim).filter(|line| !line.is_empty()) {
                let path = base.join(at_home(line, home));
                if path.is_dir() {
                    places.push(Place {
                        path,
                        layout,
                        role: role.to_owned(),
                    });
                }
            }
        }
    }
    Ok(places)
}

fn at_home(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_and_several_lines_of_paths_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in [
            "webui/models/ESRGAN",
            "webui/models/RealESRGAN",
            "webui/models/Lora",
            "comfy/models/upscale_models",
            "comfy/models/clip",
        ] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        let text = "# a comment\na111:\n    base_path: webui/\n    checkpoints: models/Stable-diffusion\n    loras: |\n        models/Lora\n        models/LyCORIS\n    upscale_models: |\n        models/ESRGAN\n        models/RealESRGAN\n\ncomfyui:\n    base_path: ~/comfy\n    is_default: true\n    clip: models/clip/\n    upscale_models: models/upscale_models/\n    unknown_role: models/x\nempty:\n";
        let places = parse(text, root, Some(root)).unwrap();
        let seen: Vec<_> = places
            .iter()
            .map(|p| {
                (
                    p.layout,
                    p.role.as_str(),
                    p.path.strip_prefix(root).unwrap().to_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (Layout::WebUi, "loras", "webui/models/Lora"),
                (Layout::WebUi, "upscale_models", "webui/models/ESRGAN"),
                (Layout::WebUi, "upscale_models", "webui/models/RealESRGAN"),
                (Layout::ComfyUi, "text_encoders", "comfy/models/clip"),
                (Layout::ComfyUi, "upscale_models", "comfy/models/upscale_models"),
            ]
        );
    }

    #[test]
    fn a_file_of_comments_names_nothing_and_a_broken_one_is_refused() {
        assert!(
            parse("# a111:\n#  base_path: x\n", Path::new("."), None)
                .unwrap()
                .is_empty()
        );
        assert!(parse("a: [1, 2", Path::new("."), None).is_err());
        assert!(parse("just words", Path::new("."), None).is_err());
        // Each name is twice the one before it: 2^40 words.
        let bomb = format!(
            "b0: &b0 [x, x]\n{}",
            (1..40)
                .map(|i| format!("b{i}: &b{i} [*b{0}, *b{0}]\n", i - 1))
                .collect::<String>()
        );
        assert!(parse(&bomb, Path::new("."), None).is_err());
        let deep = format!("a: {}{}", "[".repeat(20_000), "]".repeat(20_000));
        assert!(parse(&deep, Path::new("."), None).is_err());
    }
}
