use std::{
    env,
    path::{Path, PathBuf},
};

use kinora_media::{Ffmpeg, FfmpegSearch};
use kinora_models::zoo::{self, Folders};
use kinora_nn::RuntimeSearch;
use kinora_pipeline::Registry;
use kinora_processors::Services;

use crate::{cli::Global, failure::Failure, show::Console};

/// What every command needs: the environment is read here and nowhere else.
pub(crate) struct App {
    pub(crate) global: Global,
    pub(crate) console: Console,
}

impl App {
    pub(crate) fn new(global: Global, console: Console) -> Self {
        Self { global, console }
    }

    /// Folders with models, the user's first.
    pub(crate) fn folders(&self) -> Result<Folders, Failure> {
        let mut folders = Folders::from_environment(|name| env::var_os(name));
        for folder in &self.global.models_dir {
            folders.add(folder)?;
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
            folders: vec![folders.own().join("runtime")],
            site_packages: site_packages(),
            prefer_openvino: device == "openvino",
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
    let mut found = Vec::new();
    for prefix in prefixes {
        let Ok(entries) = std::fs::read_dir(prefix.join("lib")) else {
            continue;
        };
        let mut versions: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
            .flat_map(|entry| [entry.path().join("site-packages"), entry.path().join("dist-packages")])
            .filter(|path| path.join("onnxruntime").is_dir())
            .collect();
        versions.sort();
        found.extend(versions.into_iter().rev());
    }
    found
}
