use std::path::{Path, PathBuf};

use crate::error::Tried;

/// Where to look for the runtime library, in this order. All of it is given by the caller: nothing here reads the
/// environment.
///
/// 1. `explicit`: the file the user named. It is the only one tried.
/// 2. `environment`: values of environment variables such as `ORT_DYLIB_PATH`. Likewise the only one tried.
/// 3. `beside`: the folder of the executable.
/// 4. `folders`: folders such as `runtime/<id>/` of the model folder, each searched five levels deep.
/// 5. `site_packages`: Python's package folders, in which the wheels `onnxruntime` and `onnxruntime-openvino` lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeSearch {
    /// The file the user named.
    pub explicit: Option<PathBuf>,
    /// Names and values of environment variables.
    pub environment: Vec<(String, PathBuf)>,
    /// Folder of the executable.
    pub beside: Option<PathBuf>,
    /// Folders that hold runtimes.
    pub folders: Vec<PathBuf>,
    /// Python's package folders.
    pub site_packages: Vec<PathBuf>,
    /// Prefer libraries that come with OpenVINO over others of steps 3 to 5.
    pub prefer_openvino: bool,
}

/// A file to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) from: String,
}

/// Most entries of a folder tree that are looked at.
const MAX_ENTRIES: usize = 20_000;

impl RuntimeSearch {
    /// Files to try, and places that hold none.
    pub(super) fn candidates(&self) -> (Vec<Candidate>, Vec<Tried>) {
        let named = self.explicit.iter().map(|p| (p, "named explicitly".to_owned()));
        let mut named = named.chain(self.environment.iter().map(|(name, p)| (p, format!("from {name}"))));
        if let Some((path, from)) = named.next() {
            return (
                vec![Candidate {
                    path: path.clone(),
                    from,
                }],
                Vec::new(),
            );
        }
        let mut found = Vec::new();
        let mut tried = Vec::new();
        let beside = self.beside.iter().map(|p| (p, "beside the executable", 0));
        let folders = self.folders.iter().map(|p| (p, "runtime folder", 5));
        let python = self.site_packages.iter().map(|p| (p, "Python packages", 2));
        for (folder, from, depth) in beside.chain(folders).chain(python) {
            let mut libraries = Vec::new();
            let mut budget = MAX_ENTRIES;
            if depth == 2 {
                // Only the package itself: site-packages is large.
                collect(&folder.join("onnxruntime").join("capi"), 0, &mut budget, &mut libraries);
            } else {
                collect(folder, depth, &mut budget, &mut libraries);
            }
            if libraries.is_empty() {
                let why = if folder.is_dir() {
                    "no libonnxruntime in it"
                } else {
                    "no such folder"
                };
                tried.push(Tried {
                    path: folder.clone(),
                    from: from.into(),
                    why: why.into(),
                });
            }
            // Newest first within one place.
            libraries.sort_by_key(|p| std::cmp::Reverse(version_of(p)));
            found.extend(libraries.into_iter().map(|path| Candidate {
                path,
                from: from.into(),
            }));
        }
        if self.prefer_openvino {
            found.sort_by_key(|c| !has_openvino(&c.path));
        }
        (found, tried)
    }
}

/// Whether the OpenVINO provider lies beside a library.
pub(super) fn has_openvino(library: &Path) -> bool {
    library.with_file_name("libonnxruntime_providers_openvino.so").is_file()
}

fn collect(folder: &Path, depth: usize, budget: &mut usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut entries: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).take(*budget).collect();
    *budget = budget.saturating_sub(entries.len());
    entries.sort();
    for path in entries {
        if path.is_dir() {
            if depth > 0 {
                collect(&path, depth - 1, budget, found);
            }
        } else if is_library(&path) {
            // The real file: providers are looked for in the folder of the path that is given.
            if let Ok(real) = path.canonicalize()
                && !found.contains(&real)
            {
                found.push(real);
            }
        }
    }
}

fn is_library(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
        return false;
    };
    let linux = name.starts_with("libonnxruntime.so");
    let mac = name.starts_with("libonnxruntime.") && name.ends_with(".dylib");
    linux || mac || name == "onnxruntime.dll"
}

/// The numbers of a name such as `libonnxruntime.so.1.32.0`.
fn version_of(path: &Path) -> Vec<u32> {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    name.split('.').filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"x").unwrap();
    }

    #[test]
    fn places_are_searched_in_the_documented_order() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (exe, models, python) = (root.join("bin"), root.join("runtime"), root.join("site"));
        touch(&exe.join("libonnxruntime.so.1.30.0"));
        touch(&models.join("ort-1/onnxruntime/capi/libonnxruntime.so.1.31.0"));
        touch(&models.join("ort-1/onnxruntime/capi/libonnxruntime_providers_shared.so"));
        touch(&models.join("ov/1.24.1/onnxruntime/capi/libonnxruntime.so.1.24.1"));
        touch(&models.join("ov/1.24.1/onnxruntime/capi/libonnxruntime_providers_openvino.so"));
        touch(&python.join("onnxruntime/capi/libonnxruntime.so.1.32.0"));
        let mut search = RuntimeSearch {
            beside: Some(exe),
            folders: vec![models, root.join("none")],
            site_packages: vec![python],
            ..Default::default()
        };
        let names = |s: &RuntimeSearch| -> Vec<String> {
            let (found, _) = s.candidates();
            found
                .iter()
                .map(|c| c.path.strip_prefix(&root).unwrap().display().to_string())
                .collect()
        };
        assert_eq!(
            names(&search),
            [
                "bin/libonnxruntime.so.1.30.0",
                "runtime/ort-1/onnxruntime/capi/libonnxruntime.so.1.31.0",
                "runtime/ov/1.24.1/onnxruntime/capi/libonnxruntime.so.1.24.1",
                "site/onnxruntime/capi/libonnxruntime.so.1.32.0",
            ]
        );
        assert_eq!(search.candidates().1[0].why, "no such folder");
        search.prefer_openvino = true;
        assert_eq!(
            names(&search)[0],
            "runtime/ov/1.24.1/onnxruntime/capi/libonnxruntime.so.1.24.1"
        );
        search.environment = vec![("ORT_DYLIB_PATH".into(), root.join("x.so"))];
        assert_eq!(names(&search), ["x.so"], "what is named is the only one tried");
    }
}
