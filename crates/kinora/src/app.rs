use std::{
    env,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use kinora_media::{Ffmpeg, FfmpegSearch};
use kinora_models::zoo::{self, Folders};
use kinora_nn::RuntimeSearch;
use kinora_pipeline::Registry;
use kinora_processors::Services;

use crate::{cli::Global, failure::Failure, keys, show::Console};

/// What every command needs: the environment is read here and nowhere else.
pub(crate) struct App {
    pub(crate) global: Global,
    pub(crate) console: Console,
    /// Set when a pause was asked for before there was a job to pause.
    pub(crate) pause: Arc<AtomicBool>,
}

impl App {
    pub(crate) fn new(global: Global, console: Console) -> Self {
        let pause = keys::asked_to_pause();
        Self { global, console, pause }
    }

    /// Folders with models: those of `--models-dir`, kinora's own, those of other programs.
    pub(crate) fn folders(&self) -> Result<Folders, Failure> {
        let mut folders = Folders::from_environment(|name| env::var_os(name));
        for folder in &self.global.models_dir {
            folders.prefer(folder)?;
        }
        Ok(folders)
    }

    /// Where optimised networks and converted weights are kept.
    pub(crate) fn cache(&self) -> PathBuf {
        let path = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        path("KINORA_CACHE")
            .or_else(|| path("KINORA_MODELS").map(|models| models.join("cache")))
            .or_else(|| path("XDG_CACHE_HOME").map(|cache| cache.join("kinora")))
            .or_else(|| path("HOME").map(|home| home.join(".cache/kinora")))
            .unwrap_or_else(|| env::temp_dir().join("kinora-cache"))
    }

    pub(crate) fn ffmpeg(&self) -> Result<Ffmpeg, Failure> {
        Ok(Ffmpeg::find(&self.ffmpeg_search()?)?)
    }

    fn ffmpeg_search(&self) -> Result<FfmpegSearch, Failure> {
        let pulled = zoo::tool(&self.folders()?, "ffmpeg").ok();
        let folders = pulled.iter().filter_map(|file| file.parent().map(Path::to_owned));
        Ok(FfmpegSearch {
            explicit: self.global.ffmpeg.clone(),
            environment: None,
            path: env::var_os("PATH"),
            folders: folders.chain(beside()).collect(),
        })
    }

    /// Where the runtime library is looked for.
    pub(crate) fn runtime_search(&self, folders: &Folders, device: &str) -> RuntimeSearch {
        let environment = ["KINORA_ONNXRUNTIME", "ORT_DYLIB_PATH"].iter().filter_map(|name| {
            let value = env::var_os(name).filter(|value| !value.is_empty())?;
            Some(((*name).to_owned(), PathBuf::from(value)))
        });
        RuntimeSearch {
            explicit: None,
            environment: environment.collect(),
            beside: beside(),
            folders: self
                .global
                .models_dir
                .iter()
                .map(PathBuf::as_path)
                .chain([folders.own()])
                .map(|folder| folder.join("runtime"))
                .collect(),
            site_packages: site_packages(),
            prefer_openvino: device != "cpu",
        }
    }

    /// The catalogue of processors, with what they load from.
    pub(crate) fn registry(&self, device: &str) -> Result<Registry, Failure> {
        let folders = self.folders()?;
        let runtime = self.runtime_search(&folders, device);
        let mut registry = Registry::default();
        kinora_processors::register(&mut registry, &Services::new(folders, runtime))?;
        Ok(registry)
    }
}

/// The folder of the running program.
pub(crate) fn beside() -> Option<PathBuf> {
    env::current_exe()
        .ok()?
        .canonicalize()
        .ok()?
        .parent()
        .map(Path::to_owned)
}

/// Package folders of the Python that `PATH` or an active environment names, found without starting it.
fn site_packages() -> Vec<PathBuf> {
    let prefixes = ["VIRTUAL_ENV", "CONDA_PREFIX"]
        .iter()
        .filter_map(|name| env::var_os(name).map(PathBuf::from))
        .chain([PathBuf::from("/usr/local"), PathBuf::from("/usr")]);
    prefixes
        .flat_map(|prefix| packages_below(&prefix.join("lib")))
        .collect()
}

/// The package folders of a `lib` that hold the runtime, those of the newest Python first.
fn packages_below(lib: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(lib).into_iter().flatten().filter_map(Result::ok);
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let minor = name.strip_prefix("python3")?.trim_start_matches('.').parse();
            Some((minor.unwrap_or(0), entry.path()))
        })
        .collect();
    versions.sort();
    let folders = versions.into_iter().rev();
    folders
        .flat_map(|(_, python)| [python.join("site-packages"), python.join("dist-packages")])
        .filter(|packages| packages.join("onnxruntime").is_dir())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_python_is_asked_first() {
        let lib = tempfile::tempdir().unwrap();
        let folder = |python: &str| lib.path().join(python).join("site-packages");
        for python in ["python3", "python3.9", "python3.12", "python2.7"] {
            std::fs::create_dir_all(folder(python).join("onnxruntime")).unwrap();
        }
        std::fs::create_dir_all(folder("python3.13")).unwrap();
        assert_eq!(
            packages_below(lib.path()),
            ["python3.12", "python3.9", "python3"].map(folder)
        );
        assert!(packages_below(Path::new("/nowhere")).is_empty());
    }
}
