//! The model record: the fields of OpenModelDB, so that its files import as they are, and what kinora adds to them.

use super::ZooError;
use crate::ImageModelSpec;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::{Component, Path};

/// No file of a model is larger; a record that claims more is refused before anything is fetched.
pub(crate) const MAX_FILE_BYTES: u64 = 64 << 30;

/// What a model, or a file that lies in the models folder, is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Image-to-image networks: larger, or the same size and cleaner.
    #[default]
    Upscale,
    /// Redraws a picture in a style.
    Style,
    /// Finds a person or an object.
    Mask,
    /// Library that runs networks.
    Runtime,
    /// Program that kinora calls.
    Tool,
    /// Clips and pictures to try things on.
    Clip,
}

impl Kind {
    /// Every kind, in the order lists print them.
    pub const ALL: [Self; 6] = [
        Self::Upscale,
        Self::Style,
        Self::Mask,
        Self::Runtime,
        Self::Tool,
        Self::Clip,
    ];

    /// The word in lists, in files and as the folder's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upscale => "upscale",
            Self::Style => "style",
            Self::Mask => "mask",
            Self::Runtime => "runtime",
            Self::Tool => "tool",
            Self::Clip => "clip",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the pictures are that a model was trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Photographs and film.
    Photo,
    /// Line art and animation.
    Anime,
    /// Both, or not said.
    #[default]
    Any,
}

impl Content {
    /// The word in lists and flags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Anime => "anime",
            Self::Any => "any",
        }
    }
}

impl std::fmt::Display for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// How the caller has to run the network: what its file does not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NetworkFacts {
    /// Reflect padding a side in input pixels; the output is cropped centrally.
    pub pad: u32,
    /// Width and height, with their padding, must be multiples of this. U-Nets halve the picture once or twice; at
    /// other sizes their skip paths disagree by a pixel, and the result is short (waifu2x cunet) or garbage without an
    /// error (Real-CUGAN; measured against the ncnn runtime: 0.6 and more on a range of 0..1).
    /// [`crate::ImageModel`] reads it from the graph; here it tells people, and the catalogue is checked against it.
    pub align: u32,
    /// Input blob.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Output blob.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The output is a residual to the nearest-neighbour enlargement of the input.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub add_nearest: bool,
}

impl Default for NetworkFacts {
    fn default() -> Self {
        Self {
            pad: 0,
            align: 1,
            input: None,
            output: None,
            add_nearest: false,
        }
    }
}

/// One file of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// `ncnn`, `onnx`, `pytorch`; for libraries and programs the system, `linux-x86_64`.
    pub platform: String,
    /// Suffix of the format: `param`, `bin`, `onnx`, `pth`, `safetensors`, `so`, `program`, `mp4`.
    #[serde(rename = "type")]
    pub format: String,
    /// Bytes, where known.
    #[serde(default)]
    pub size: Option<u64>,
    /// SHA-256 in lower-case hex, where known.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Addresses of the author's own downloads, for readers of the catalogue; never fetched.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Package of the catalogue that ships the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Path inside the package's archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Name in the model's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Installed with the executable bit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
}

/// Everything that is known of a model without opening its files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelRecord {
    /// Identifier: lower case, digits, hyphens, dots. OpenModelDB keeps it in the file's name.
    #[serde(default)]
    pub id: String,
    /// What it is for.
    #[serde(default)]
    pub kind: Kind,
    /// Title.
    pub name: String,
    /// Who trained it.
    #[serde(default, deserialize_with = "one_or_many")]
    pub author: Vec<String>,
    /// SPDX identifier as stated by whoever ships the files; `None` where nothing is stated.
    #[serde(default)]
    pub license: Option<String>,
    /// What a reader must know beside the identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_note: Option<String>,
    /// The licence asks for consent before the files are fetched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub consent: bool,
    /// Search words.
    #[serde(default)]
    pub tags: Vec<String>,
    /// A sentence or more.
    #[serde(default)]
    pub description: String,
    /// `YYYY-MM-DD`, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Family: `span`, `compact`, `esrgan`, `cugan`, `upconv-7`, `cunet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Size of the network in the family's own terms: `64nf`, `23nb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Vec<String>>,
    /// Output pixels a side for each input pixel.
    #[serde(default = "one")]
    pub scale: u32,
    /// Channels in.
    #[serde(default = "three")]
    pub input_channels: u32,
    /// Channels out.
    #[serde(default = "three")]
    pub output_channels: u32,
    /// Other names, as files in the wild are called; `folder/stem` where the folder is part of the name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What it was trained on.
    #[serde(default)]
    pub content: Content,
    /// How to run it.
    #[serde(default)]
    pub network: NetworkFacts,
    /// Its files.
    #[serde(default)]
    pub resources: Vec<Resource>,
}

fn one() -> u32 {
    1
}

fn three() -> u32 {
    3
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
        None(()),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
        OneOrMany::None(()) => Vec::new(),
    })
}

impl ModelRecord {
    /// Reads a record of OpenModelDB, whose identifier is its file's name.
    ///
    /// # Errors
    /// [`ZooError::Record`] when the text is not such a record.
    pub fn from_openmodeldb(id: &str, json: &str) -> Result<Self, ZooError> {
        let bad = |why: String| ZooError::Record {
            what: format!("'{id}'"),
            why,
        };
        let mut record: Self = serde_json::from_str(json).map_err(|error| bad(error.to_string()))?;
        record.id = id.to_owned();
        record.check().map_err(bad)?;
        Ok(record)
    }

    /// Bytes of all files, as far as sizes are known.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.resources
            .iter()
            .filter_map(|r| r.size)
            .fold(0, u64::saturating_add)
    }

    /// The licence in a word or two, for a column or a hint.
    #[must_use]
    pub fn licence(&self) -> &str {
        self.license.as_deref().unwrap_or("no licence stated")
    }

    /// Licence and note in one line, for the moment before a download.
    #[must_use]
    pub fn licence_line(&self) -> String {
        match &self.license_note {
            Some(note) => format!("{} - {note}", self.licence()),
            None => self.licence().to_owned(),
        }
    }

    /// What a caller needs to run the network.
    #[must_use]
    pub fn spec(&self) -> ImageModelSpec {
        ImageModelSpec {
            scale: Some(self.scale),
            pad: self.network.pad,
            input: self.network.input.clone(),
            output: self.network.output.clone(),
            add_nearest: self.network.add_nearest,
        }
    }

    /// Whether the record can be fetched from a package.
    #[must_use]
    pub fn is_packaged(&self) -> bool {
        !self.resources.is_empty() && self.resources.iter().all(|r| r.package.is_some())
    }

    /// Says what is wrong with the record: names that leave their folder, sizes and hashes that cannot be.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !is_plain_name(&self.id) {
            return Err(format!(
                "'{}' is not an identifier of letters, digits, '.', '_' and '-'",
                self.id
            ));
        }
        if self.scale == 0 || self.scale > 64 {
            return Err(format!("a scale of {} (1 to 64 was expected)", self.scale));
        }
        if self.network.pad > 1024 || self.network.align == 0 || self.network.align > 1024 {
            return Err("padding and alignment must lie within 1024 pixels".into());
        }
        for resource in &self.resources {
            if let Some(hash) = &resource.sha256
                && !is_sha256(hash)
            {
                return Err(format!("'{hash}' is not a SHA-256 in lower-case hex"));
            }
            if resource.size.is_some_and(|size| size > MAX_FILE_BYTES) {
                return Err(format!("a file of {} bytes", resource.size.unwrap_or_default()));
            }
            if let Some(file) = &resource.file
                && (!is_plain_name(file) || file == super::store::RECORD_FILE)
            {
                return Err(format!("'{file}' is not a plain file name"));
            }
            if resource.package.is_some()
                && (resource.file.is_none()
                    || resource.member.is_none()
                    || resource.sha256.is_none()
                    || resource.size.is_none())
            {
                return Err("a packaged file needs member, file, size and sha256".into());
            }
        }
        Ok(())
    }
}

/// Whether a name is one plain path component that no shell, client or file system reads as anything else.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && !name.starts_with(['.', '-'])
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+'))
        && matches!(
            Path::new(name).components().collect::<Vec<_>>().as_slice(),
            [Component::Normal(_)]
        )
}

pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENMODELDB: &str = r#"{
        "name": "UltraSharp", "author": "kim2091", "license": "CC-BY-NC-SA-4.0",
        "tags": ["compression-removal", "general-upscaler"], "description": "Sharp.",
        "date": "2021-05-23", "architecture": "esrgan", "size": ["64nf", "23nb"],
        "scale": 4, "inputChannels": 3, "outputChannels": 3,
        "resources": [{"platform": "pytorch", "type": "pth", "size": 66961958,
            "sha256": "a5812231fc936b42af08a5edba784195495d303d5b3248c24489ef0c4021fe01",
            "urls": ["somewhere"]}],
        "trainingIterations": 1, "dataset": "x", "images": [{"type": "paired"}]
    }"#;

    #[test]
    fn a_record_of_openmodeldb_imports_as_it_is() {
        let record = ModelRecord::from_openmodeldb("4x-UltraSharp", OPENMODELDB).unwrap();
        assert_eq!(record.author, ["kim2091"]);
        assert_eq!(record.scale, 4);
        assert_eq!(record.licence(), "CC-BY-NC-SA-4.0");
        assert_eq!(record.bytes(), 66_961_958);
        assert!(!record.is_packaged());
        let many = OPENMODELDB
            .replace("\"kim2091\"", "[\"a\", \"b\"]")
            .replace("\"CC-BY-NC-SA-4.0\"", "null");
        let record = ModelRecord::from_openmodeldb("4x-UltraSharp", &many).unwrap();
        assert_eq!(record.author, ["a", "b"]);
        assert_eq!(record.licence(), "no licence stated");
    }

    #[test]
    fn t10_absurd_numbers_and_names_that_leave_the_folder_are_refused() {
        for (from, to) in [
            ("\"scale\": 4", "\"scale\": 0"),
            ("\"scale\": 4", "\"scale\": 4000000000"),
            ("\"scale\": 4", "\"scale\": -4"),
            ("\"size\": 66961958", "\"size\": 18446744073709551615"),
            ("a5812231", "A5812231"),
            ("\"urls\"", "\"file\": \"../evil\", \"urls\""),
            ("\"urls\"", "\"file\": \"/etc/passwd\", \"urls\""),
            ("\"urls\"", "\"file\": \"model.json\", \"urls\""),
        ] {
            let json = OPENMODELDB.replacen(from, to, 1);
            assert_ne!(json, OPENMODELDB);
            let error = ModelRecord::from_openmodeldb("x", &json).unwrap_err();
            assert_eq!(error.code(), "model.record", "{to}");
        }
        assert!(ModelRecord::from_openmodeldb("../x", OPENMODELDB).is_err());
        let deep = format!("{{\"name\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(ModelRecord::from_openmodeldb("x", &deep).is_err());
    }
}
