//! A made-up catalogue, its packages, and clients that fetch them well or badly.

use kinora_models::zoo::{Catalogue, Folders, Progress, PullOptions};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;

pub(crate) const PARAM: &str = "7767517\n2 2\nInput in 0 1 data\nPixelShuffle s 1 1 data output 0=2\n";
pub(crate) const BIN: &[u8] = b"weights";

/// Two small models that one package ships, in a temporary folder with a models folder beside them.
pub(crate) struct MadeUp {
    pub(crate) root: tempfile::TempDir,
    pub(crate) catalogue: Catalogue,
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn zip_of(path: &Path, members: &[(&str, &[u8])]) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

pub(crate) fn quiet(_: Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

impl MadeUp {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let archive = root.path().join("made_up-1.0-py3-none-any.whl");
        let members: [(&str, &[u8]); 3] = [
            ("m/a.param", PARAM.as_bytes()),
            ("m/a.bin", BIN),
            ("../../slipped", b"out of the folder"),
        ];
        zip_of(&archive, &members);
        let catalogue = Self::catalogue_for(&archive, &sha256(BIN));
        std::fs::write(
            root.path().join("catalogue.json"),
            serde_json::to_string(&catalogue).unwrap(),
        )
        .unwrap();
        Self { root, catalogue }
    }

    /// The catalogue for an archive, with the hash that the weights are expected to have.
    pub(crate) fn catalogue_for(archive: &Path, bin_sha256: &str) -> Catalogue {
        let bytes = std::fs::read(archive).unwrap();
        let resource = |format: &str, size: usize, sha256: &str| {
            serde_json::json!({"platform": "ncnn", "type": format, "size": size, "sha256": sha256, "package": "made-up",
                "member": format!("m/a.{format}"), "file": format!("a.{format}")})
        };
        let model = |id: &str, consent: bool| {
            serde_json::json!({"id": id, "name": id, "scale": 2, "license": "CC0-1.0", "licenseNote": "made up",
                "consent": consent, "description": "made up",
                "resources": [resource("param", PARAM.len(), &sha256(PARAM.as_bytes())),
                              resource("bin", BIN.len(), bin_sha256)]})
        };
        let json = serde_json::json!({
            "packages": {"made-up": {"client": "pip", "name": "made-up", "version": "1.0", "size": bytes.len(),
                "sha256": sha256(&bytes), "platform": "any", "args": ["--python-version", "3.11"]}},
            "models": [model("one-x2", false), model("two-x2", false), model("asks-x2", true)]});
        Catalogue::from_json(&json.to_string()).unwrap()
    }

    pub(crate) fn archive(&self) -> PathBuf {
        self.root.path().join("made_up-1.0-py3-none-any.whl")
    }

    pub(crate) fn folders(&self) -> Folders {
        Folders::new(self.root.path().join("models"))
    }

    /// A client that runs `body` with `$dest` set to the folder it shall fill and `$archive` to the good archive, and
    /// notes every start in the file `starts`.
    pub(crate) fn client(&self, body: &str) -> Vec<OsString> {
        let script = self.root.path().join(format!("client-{}.sh", sha256(body.as_bytes())));
        let text = format!(
            "echo \"$@\" >> '{root}/starts'\narchive='{archive}'\nwhile [ $# -gt 0 ]; do\n  \
             if [ \"$1\" = --dest ]; then dest=$2; fi\n  shift\ndone\n{body}\n",
            root = self.root.path().display(),
            archive = self.archive().display(),
        );
        // A shell reads its script while it runs: one that is there is left alone.
        if !script.exists() {
            std::fs::write(&script, text).unwrap();
        }
        vec!["sh".into(), script.into()]
    }

    pub(crate) fn options(&self, body: &str) -> PullOptions {
        PullOptions {
            client: Some(self.client(body)),
            ..PullOptions::default()
        }
    }

    /// Command lines of the clients that were started.
    pub(crate) fn starts(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.root.path().join("starts")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Everything below the models folder, but locks, sorted.
    pub(crate) fn installed(&self) -> Vec<String> {
        fn walk(folder: &Path, root: &Path, all: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    walk(&path, root, all);
                } else if !name.starts_with(".locks") && name != ".partial/gate" {
                    all.push(name);
                }
            }
        }
        let root = self.folders().own().to_owned();
        let mut all = Vec::new();
        walk(&root, &root, &mut all);
        all.sort();
        all
    }
}
