//! The runtime library and the folders that the runners of networks use.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use kinora_models::ImageModel;
use kinora_nn::{DeviceChoice, LoadOptions, Precision, Runtime, RuntimeSearch};
use tempfile::TempDir;

use super::End;

/// Folder of fetched models and runtimes: `KINORA_MODELS`, else the user's data folder.
pub fn models_folder() -> Option<PathBuf> {
    let named = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let data = named("XDG_DATA_HOME").or_else(|| Some(named("HOME")?.join(".local/share")));
    named("KINORA_MODELS").or_else(|| Some(data?.join("kinora/models")))
}

/// The runtime library.
pub fn runtime() -> Result<Runtime, End> {
    static LOADED: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| {
        let named = ["KINORA_ORT_LIB", "ORT_DYLIB_PATH"];
        let search = RuntimeSearch {
            environment: named
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?.into())))
                .collect(),
            folders: models_folder()
                .map(|folder| folder.join("runtime"))
                .into_iter()
                .collect(),
            ..RuntimeSearch::default()
        };
        Runtime::load(&search).map_err(|error| match error.hint() {
            Some(hint) => format!("{error} ({hint})"),
            None => error.to_string(),
        })
    });
    loaded.clone().map_err(End::Failed)
}

/// Goldens are passed in f32 on the CPU.
pub fn options() -> LoadOptions {
    LoadOptions {
        device: DeviceChoice::Cpu,
        precision: Precision::F32,
        ..LoadOptions::default()
    }
}

/// A folder for what is made from model files, gone with the process.
pub fn cache() -> Result<&'static Path, End> {
    static FOLDER: OnceLock<Result<TempDir, String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().map_err(|error| error.to_string()));
    folder
        .as_ref()
        .map(TempDir::path)
        .map_err(|error| End::Failed(error.clone()))
}

impl From<kinora_models::ModelError> for End {
    fn from(error: kinora_models::ModelError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<kinora_nn::NnError> for End {
    fn from(error: kinora_nn::NnError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Runs a picture `[3, H, W]` through a model: shape and values of the output.
pub fn run(model: &ImageModel, input: &crate::tensor::Tensor) -> Result<crate::tensor::Tensor, End> {
    let [3, height, width] = input.shape[..] else {
        return Err(format!("the picture has the shape {:?}, expected three planes", input.shape).into());
    };
    let size = kinora_models::image_model::PictureSize {
        batch: 1,
        height,
        width,
    };
    let mut output = vec![f32::NAN; model.output_len(size).ok_or("the output does not fit memory")?];
    model.run(&input.as_f32()?, size, &mut output)?;
    let scale = model.scale() as usize;
    Ok(crate::tensor::Tensor::f32(&[3, height * scale, width * scale], &output))
}
