use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// What a name template may hold.
pub(crate) struct NameParts<'a> {
    /// `2`, `1.5`; `None` for a pipeline without a factor.
    pub(crate) scale: Option<f64>,
    pub(crate) model: Option<&'a str>,
    pub(crate) pipeline: &'a str,
    /// Extension with its dot.
    pub(crate) extension: String,
}

/// The output beside the input: `clip.2x.mkv`, or by template. A folder's name has no extension to take off, and `.` and
/// `..` stand for the names that they mean.
pub(crate) fn default_output(input: &Path, template: Option<&str>, parts: &NameParts<'_>) -> Result<PathBuf, Failure> {
    let folder = input.is_dir();
    let meant = match input.file_name() {
        None if folder => input.canonicalize().unwrap_or_else(|_| input.to_owned()),
        _ => input.to_owned(),
    };
    let stem = if folder { meant.file_name() } else { meant.file_stem() };
    let Some(stem) = stem.map(|stem| stem.to_string_lossy().into_owned()) else {
        return Err(
            Failure::usage(format!("{} has no name to call the output by", input.display()))
                .hint("--output NAME names it"),
        );
    };
    let name = match template {
        Some(template) => fill(template, &stem, parts)?,
        None => match parts.scale {
            Some(scale) => format!("{stem}.{}x{}", trim(scale), parts.extension),
            None => format!("{stem}.{}{}", parts.pipeline, parts.extension),
        },
    };
    Ok(meant.with_file_name(name))
}

fn fill(template: &str, stem: &str, parts: &NameParts<'_>) -> Result<String, Failure> {
    let mut name = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        name.push_str(before);
        let Some((key, after)) = after.split_once('}') else {
            return Err(Failure::usage(format!("--name '{template}' has a {{ without a }}")));
        };
        match key {
            "stem" => name.push_str(stem),
            "scale" => name.push_str(&parts.scale.map_or_else(|| "1".to_owned(), trim)),
            "model" => name.push_str(parts.model.unwrap_or("none")),
            "pipeline" => name.push_str(parts.pipeline),
            "ext" => name.push_str(&parts.extension),
            other => {
                return Err(Failure::usage(format!("--name knows no {{{other}}}"))
                    .hint("it knows {stem} {scale} {model} {pipeline} {ext}"));
            }
        }
        rest = after;
    }
    name.push_str(rest);
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(
            Failure::usage(format!("--name '{template}' gives '{name}', which is no file name"))
                .hint("--output names another folder"),
        );
    }
    Ok(name)
}

fn trim(scale: f64) -> String {
    let text = format!("{scale:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> NameParts<'static> {
        NameParts {
            scale: Some(1.5),
            model: Some("span-x2"),
            pipeline: "upscale",
            extension: ".mkv".to_owned(),
        }
    }

    #[test]
    fn names_say_what_was_done() {
        let name =
            |template| default_output(Path::new("/films/reel.one.mp4"), template, &parts()).map_err(|f| f.message);
        assert_eq!(name(None).unwrap(), Path::new("/films/reel.one.1.5x.mkv"));
        assert_eq!(
            name(Some("{model}-{stem}{ext}")).unwrap(),
            Path::new("/films/span-x2-reel.one.mkv")
        );
        for bad in ["{what}", "{stem", "../{stem}", ""] {
            assert!(name(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_folder_keeps_its_whole_name_and_has_its_output_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let folder = home.join("scans.v1.5");
        std::fs::create_dir_all(folder.join("below")).unwrap();
        let parts = NameParts {
            extension: String::new(),
            ..parts()
        };
        let name = |input: &Path| default_output(input, None, &parts).map_err(|f| f.message);
        let beside = home.join("scans.v1.5.1.5x");
        for input in [folder.clone(), folder.join("."), folder.join("below/..")] {
            assert_eq!(name(&input).unwrap(), beside, "{}", input.display());
        }
        assert!(name(Path::new("/")).unwrap_err().contains("no name"));
    }
}
