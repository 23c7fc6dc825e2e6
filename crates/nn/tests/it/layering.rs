//! The binding to the runtime is named in one module only.

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn only_the_runtime_module_names_the_binding() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let (inside, outside): (Vec<_>, Vec<_>) = files.iter().partition(|f| f.starts_with(src.join("runtime")));
    let names = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
            .any(|word| word.starts_with("ort::"))
    };
    assert!(inside.iter().any(|f| names(f)), "the search finds what it looks for");
    let strays: Vec<_> = outside.iter().filter(|f| names(f)).collect();
    assert!(strays.is_empty(), "{strays:?}");
}
