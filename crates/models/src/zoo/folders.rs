//! Where model files lie: kinora's own folder, which it writes, and the folders of other programs, read in place.

use super::{ZooError, extra_paths};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// How a folder of models is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `<kind>/<id>/` with `model.json`, as kinora writes it.
    Kinora,
    /// Any folder with model files.
    Plain,
    /// ComfyUI: `models/upscale_models`, `models/checkpoints`, ...
    ComfyUi,
    /// The older web UI: `models/ESRGAN`, `models/Stable-diffusion`, ...
    WebUi,
    /// The Hugging Face cache: `models--org--name/snapshots/<revision>/`.
    HuggingFace,
}

impl Layout {
    /// Name in lists.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kinora => "kinora",
            Self::Plain => "folder",
            Self::ComfyUi => "ComfyUI",
            Self::WebUi => "web UI",
            Self::HuggingFace => "Hugging Face",
        }
    }
}

/// A folder to look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) layout: Layout,
    /// What its files are for, in ComfyUI's words (`upscale_models`, `loras`); empty where the folder does not say.
    pub(crate) role: String,
}

impl Place {
    fn is(&self, other: &Self) -> bool {
        self.path == other.path && self.role == other.role
    }
}

/// The roles that ComfyUI gives its folders.
pub(crate) const ROLES: [&str; 13] = [
    "upscale_models",
    "checkpoints",
    "diffusion_models",
    "unet",
    "vae",
    "vae_approx",
    "loras",
    "controlnet",
    "text_encoders",
    "clip_vision",
    "embeddings",
    "style_models",
    "onnx",
];

/// Folders of the older web UI, with the role they stand for.
const WEB_UI: [(&str, &str); 12] = [
    ("ESRGAN", "upscale_models"),
    ("RealESRGAN", "upscale_models"),
    ("SwinIR", "upscale_models"),
    ("ScuNET", "upscale_models"),
    ("DAT", "upscale_models"),
    ("HAT", "upscale_models"),
    ("Stable-diffusion", "checkpoints"),
    ("VAE", "vae"),
    ("VAE-approx", "vae_approx"),
    ("Lora", "loras"),
    ("ControlNet", "controlnet"),
    ("Unet", "unet"),
];

/// Every folder that models are looked for in, in order of precedence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    own: PathBuf,
    places: Vec<Place>,
    /// How many of the places come before kinora's own folder.
    preferred: usize,
    /// What could not be read and is not the user's own wish; lists show it.
    notes: Vec<String>,
}

impl Folders {
    /// kinora's own folder alone. It need not exist; a relative path is taken from the current folder, once.
    #[must_use]
    pub fn new(own: impl Into<PathBuf>) -> Self {
        let own = own.into();
        Self {
            own: std::path::absolute(&own).unwrap_or(own),
            places: Vec::new(),
            preferred: 0,
            notes: Vec::new(),
        }
    }

    /// The folders that an environment names: `KINORA_MODELS`, else the user's data folder (`XDG_DATA_HOME`, else
    /// `~/.local/share`); read in place: `COMFYUI_PATH` and `~/ComfyUI`, `~/stable-diffusion-webui`, and the Hugging
    /// Face cache (`HF_HUB_CACHE`, `HF_HOME`, else `~/.cache/huggingface`), each where it exists. What another program
    /// left unreadable becomes a note in lists.
    #[must_use]
    pub fn from_environment(get: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = path("HOME");
        let in_home = |tail: &str| home.as_ref().map(|home| home.join(tail));
        let data = path("XDG_DATA_HOME")
            .filter(|p| p.is_absolute())
            .or_else(|| in_home(".local/share"));
        let own = path("KINORA_MODELS").or_else(|| data.map(|data| data.join("kinora/models")));
        let mut folders = Self::new(own.unwrap_or_else(|| PathBuf::from("models")));
        let comfy = [
            path("COMFYUI_PATH"),
            in_home("ComfyUI"),
            in_home("stable-diffusion-webui"),
        ];
        let hub = path("HF_HUB_CACHE")
            .or_else(|| path("HF_HOME").map(|p| p.join("hub")))
            .or_else(|| in_home(".cache/huggingface/hub"));
        for folder in comfy
            .into_iter()
            .chain([hub])
            .flatten()
            .filter(|folder| folder.is_dir())
        {
            folders.add_folder(&folder);
        }
        folders
    }

    /// Looks into one more folder, or into the folders that an `extra_model_paths.yaml` names. Its layout is seen from
    /// what it holds. A folder added first is searched first.
    ///
    /// # Errors
    /// [`ZooError::NoFile`] where nothing lies, [`ZooError::ExtraPaths`] for a file of paths that cannot be read.
    pub fn add(&mut self, path: &Path) -> Result<(), ZooError> {
        if path.is_file() {
            let places = extra_paths::read(path)?;
            self.extend(places);
            Ok(())
        } else if path.is_dir() {
            self.add_folder(path);
            Ok(())
        } else {
            Err(ZooError::NoFile { path: path.to_owned() })
        }
    }

    /// As [`Folders::add`], but what lies there is taken before what lies anywhere else, kinora's own folder included.
    ///
    /// # Errors
    /// As [`Folders::add`].
    pub fn prefer(&mut self, path: &Path) -> Result<(), ZooError> {
        let mut first = Self::new(&self.own);
        first.add(path)?;
        self.notes.append(&mut first.notes);
        for place in first.places {
            let known = self.places.iter().position(|other| other.is(&place));
            if known.is_some_and(|at| at < self.preferred) {
                continue;
            }
            if let Some(at) = known {
                self.places.remove(at);
            }
            self.places.insert(self.preferred, place);
            self.preferred += 1;
        }
        Ok(())
    }

    fn add_folder(&mut self, path: &Path) {
        self.extend(places_of(path));
        let extra = path.join("extra_model_paths.yaml");
        if extra.is_file() {
            match extra_paths::read(&extra) {
                Ok(places) => self.extend(places),
                Err(error) => self.notes.push(error.to_string()),
            }
        }
    }

    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// kinora's own folder: the only one that is written.
    #[must_use]
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// Every place but kinora's own folder, the preferred ones first.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// The places that come before kinora's own folder.
    pub(crate) fn preferred(&self) -> &[Place] {
        self.places.get(..self.preferred).unwrap_or_default()
    }

    /// Folders of kinora's layout or any other, in the order in which they are searched.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &Path> {
        let (first, then) = self.places.split_at(self.preferred);
        first
            .iter()
            .map(|place| place.path.as_path())
            .chain([self.own()])
            .chain(then.iter().map(|place| place.path.as_path()))
    }

    fn extend(&mut self, places: Vec<Place>) {
        for place in places {
            if !self.places.iter().any(|other| other.is(&place)) {
                self.places.push(place);
            }
        }
    }
}

/// The places that one folder stands for.
fn places_of(path: &Path) -> Vec<Place> {
    let place = |path: PathBuf, layout, role: &str| Place {
        path,
        layout,
        role: role.to_owned(),
    };
    for hub in [path.to_owned(), path.join("hub")] {
        if has_child(&hub, |name| name.starts_with("models--")) {
            return vec![place(hub, Layout::HuggingFace, "")];
        }
    }
    for models in [path.join("models"), path.to_owned()] {
        let comfy: Vec<_> = ROLES.iter().filter(|role| models.join(role).is_dir()).collect();
        if comfy
            .iter()
            .any(|role| ["upscale_models", "checkpoints", "diffusion_models"].contains(*role))
        {
            return comfy
                .into_iter()
                .map(|role| place(models.join(role), Layout::ComfyUi, role))
                .collect();
        }
        let web: Vec<_> = WEB_UI.iter().filter(|(name, _)| models.join(name).is_dir()).collect();
        if web
            .iter()
            .any(|(name, _)| ["ESRGAN", "RealESRGAN", "Stable-diffusion"].contains(name))
        {
            return web
                .into_iter()
                .map(|(name, role)| place(models.join(name), Layout::WebUi, role))
                .collect();
        }
    }
    let is_kinora = super::Kind::ALL.iter().any(|kind| {
        let folder = path.join(kind.as_str());
        folder.is_dir()
            && has_child(&folder, |name| {
                folder.join(name).join(super::store::RECORD_FILE).is_file()
            })
    });
    vec![place(
        path.to_owned(),
        if is_kinora { Layout::Kinora } else { Layout::Plain },
        "",
    )]
}

fn has_child(folder: &Path, fits: impl Fn(&str) -> bool) -> bool {
    std::fs::read_dir(folder)
        .is_ok_and(|mut entries| entries.any(|e| e.is_ok_and(|e| e.file_name().to_str().is_some_and(&fits))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::fs::create_dir_all;

    fn environment(pairs: &[(&str, &Path)]) -> Folders {
        let map: HashMap<_, _> = pairs.iter().map(|(k, v)| (*k, v.as_os_str().to_owned())).collect();
        Folders::from_environment(|name| map.get(name).cloned())
    }

    #[test]
    fn the_own_folder_is_the_one_asked_for_else_the_users_data_folder() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let models = home.join("m");
        assert_eq!(environment(&[("HOME", home), ("KINORA_MODELS", &models)]).own(), models);
        assert_eq!(
            environment(&[("HOME", home)]).own(),
            home.join(".local/share/kinora/models")
        );
        let data = home.join("data");
        assert_eq!(
            environment(&[("HOME", home), ("XDG_DATA_HOME", &data)]).own(),
            data.join("kinora/models")
        );
        assert!(environment(&[("HOME", home)]).places().is_empty());
        // The package client works in another folder: a relative path would mean another place to it.
        assert!(Folders::new("models").own().is_absolute());
    }

    #[test]
    fn folders_of_other_programs_are_known_by_what_they_hold() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        for folder in [
            "ComfyUI/models/upscale_models",
            "ComfyUI/models/vae",
            "stable-diffusion-webui/models/ESRGAN",
            "stable-diffusion-webui/models/Lora",
            ".cache/huggingface/hub/models--org--name/snapshots/abc",
            "other/deep",
        ] {
            create_dir_all(home.join(folder)).unwrap();
        }
        let mut folders = environment(&[("HOME", home)]);
        folders.add(&home.join("other")).unwrap();
        let seen: Vec<_> = folders.places().iter().map(|p| (p.layout, p.role.as_str())).collect();
        assert_eq!(
            seen,
            [
                (Layout::ComfyUi, "upscale_models"),
                (Layout::ComfyUi, "vae"),
                (Layout::WebUi, "upscale_models"),
                (Layout::WebUi, "loras"),
                (Layout::HuggingFace, ""),
                (Layout::Plain, ""),
            ]
        );
        // A folder given twice is searched once; the folder of the models itself is known too.
        folders.add(&home.join("ComfyUI/models")).unwrap();
        assert_eq!(folders.places().len(), 6);
        assert!(folders.add(&home.join("nothing")).is_err());
    }

    #[test]
    fn a_preferred_folder_comes_before_all_others_in_the_order_given() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        for folder in ["ComfyUI/models/upscale_models", "one", "two"] {
            create_dir_all(home.join(folder)).unwrap();
        }
        let mut folders = environment(&[("HOME", home)]);
        for name in ["one", "two", "one", "ComfyUI"] {
            folders.prefer(&home.join(name)).unwrap();
        }
        assert!(folders.prefer(&home.join("nothing")).is_err());
        let comfy = home.join("ComfyUI/models/upscale_models");
        let roots: Vec<_> = folders.roots().map(Path::to_path_buf).collect();
        assert_eq!(
            roots,
            [home.join("one"), home.join("two"), comfy, folders.own().to_owned()]
        );
    }
}
