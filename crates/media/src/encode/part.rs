//! A file under its final name only when it is whole.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use crate::MediaError;

/// Most bytes of a file's name on the systems kinora runs on.
const LONGEST_NAME: usize = 255;

/// A file that is written as `NAME.part.EXT` beside its final name, or as `NAME.part-1.EXT` and so on where that is taken:
/// what lies there already is never touched. Dropping it without [`PartFile::commit`] removes it.
#[derive(Debug)]
pub struct PartFile {
    part: PathBuf,
    target: PathBuf,
    overwrite: bool,
    done: bool,
}

impl PartFile {
    /// Reserves the part file; it is empty. `overwrite` is leave to replace the target.
    ///
    /// # Errors
    /// [`MediaError::OutputExists`], [`MediaError::OutputUnwritable`].
    pub fn create(target: &Path, overwrite: bool) -> Result<Self, MediaError> {
        if !overwrite && target.symlink_metadata().is_ok() {
            return Err(MediaError::OutputExists {
                path: target.to_path_buf(),
            });
        }
        // A rename would put a plain file in the place of a device, a pipe or a socket.
        if target.metadata().is_ok_and(|there| !there.is_file()) {
            return Err(MediaError::OutputUnwritable {
                path: target.to_path_buf(),
                source: io::Error::other("it is there and is no file"),
            });
        }
        // Said now, not when the work is done and the name is to be given.
        if target.file_name().is_some_and(|name| name.len() > LONGEST_NAME) {
            return Err(MediaError::OutputUnwritable {
                path: target.to_path_buf(),
                source: io::ErrorKind::InvalidFilename.into(),
            });
        }
        let target = std::path::absolute(target).map_err(|source| MediaError::io("finding", target, source))?;
        for attempt in 0..100 {
            let part = target.with_file_name(part_name(&target, attempt));
            match OpenOptions::new().write(true).create_new(true).open(&part) {
                Ok(_) => {
                    return Ok(Self {
                        part,
                        target,
                        overwrite,
                        done: false,
                    });
                }
                // Another job's, or one that was killed: it is not ours to remove.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(MediaError::OutputUnwritable { path: target, source }),
            }
        }
        Err(MediaError::OutputUnwritable {
            path: target,
            source: io::ErrorKind::AlreadyExists.into(),
        })
    }

    /// Writes `bytes` whole under the final name. Returns their number.
    ///
    /// # Errors
    /// As [`PartFile::create`] and [`PartFile::commit`].
    pub fn write(target: &Path, bytes: &[u8], overwrite: bool) -> Result<u64, MediaError> {
        let part = Self::create(target, overwrite)?;
        std::fs::write(part.path(), bytes).map_err(|source| MediaError::io("writing", target, source))?;
        part.commit()
    }

    /// Where to write.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.part
    }

    /// The final name, absolute.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Syncs the bytes and gives them the final name, at once and whole. Returns their number.
    ///
    /// # Errors
    /// [`MediaError::OutputExists`] for a target that appeared meanwhile, [`MediaError::DiskFull`], [`MediaError::Io`].
    pub fn commit(mut self) -> Result<u64, MediaError> {
        let written = File::open(&self.part).and_then(|file| {
            file.sync_all()?;
            Ok(file.metadata()?.len())
        });
        let bytes = written.map_err(|source| MediaError::io("syncing", &self.part, source))?;
        self.rename().map_err(|source| {
            if source.kind() == io::ErrorKind::AlreadyExists {
                MediaError::OutputExists {
                    path: self.target.clone(),
                }
            } else {
                MediaError::io("renaming to", &self.target, source)
            }
        })?;
        self.done = true;
        if let Some(folder) = self.target.parent() {
            // The name itself must survive a power cut; some file systems cannot sync a folder.
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(bytes)
    }

    fn rename(&self) -> io::Result<()> {
        if self.overwrite {
            return std::fs::rename(&self.part, &self.target);
        }
        rename_new(&self.part, &self.target)
    }
}

/// Renames within one file system; a name that is taken is an error of kind `AlreadyExists`.
///
/// # Errors
/// The system's.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            Err(error) if matches!(error, rustix::io::Errno::EXIST | rustix::io::Errno::XDEV) => {
                return Err(error.into());
            }
            // A file system without this flag.
            Err(_) => {}
        }
    }
    if to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(from, to)
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.done {
            // It may be gone already; nothing else of ours lies there.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

fn part_name(target: &Path, attempt: u32) -> OsString {
    let extension = target.extension().unwrap_or_default();
    let mut end = OsString::from(if attempt == 0 {
        ".part".to_owned()
    } else {
        format!(".part-{attempt}")
    });
    if !extension.is_empty() {
        end.push(".");
        end.push(extension);
    }
    let mut name = shortened(
        target.file_stem().unwrap_or_default(),
        LONGEST_NAME.saturating_sub(end.len()),
    );
    name.push(end);
    name
}

#[cfg(unix)]
fn shortened(stem: &OsStr, bytes: usize) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    let stem = stem.as_bytes();
    let mut end = stem.len().min(bytes);
    // Not in the middle of a character.
    while end < stem.len() && end > 0 && stem[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    OsStr::from_bytes(&stem[..end]).to_owned()
}

#[cfg(not(unix))]
fn shortened(stem: &OsStr, bytes: usize) -> OsString {
    stem.to_string_lossy()
        .chars()
        .take(bytes / 4)
        .collect::<String>()
        .into()
}

/// True when both names are one file.
pub(crate) fn same_file(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    if let (Ok(a), Ok(b)) = (std::fs::metadata(a), std::fs::metadata(b)) {
        use std::os::unix::fs::MetadataExt;
        return a.dev() == b.dev() && a.ino() == b.ino();
    }
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_under_either_name_when_the_work_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.mkv");
        let part = PartFile::create(&target, false).unwrap();
        assert!(part.path().ends_with("a.part.mkv"));
        drop(part);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_appeared_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.mkv");
        let part = PartFile::create(&target, false).unwrap();
        std::fs::write(&target, "other").unwrap();
        assert_eq!(part.commit().unwrap_err().code(), "output.exists");
        assert_eq!(std::fs::read(&target).unwrap(), b"other");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_there_and_no_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&target).unwrap();
        for target in [target.as_path(), folder.path(), Path::new("/dev/null")] {
            let error = PartFile::create(target, true).unwrap_err();
            assert_eq!(error.code(), "output.unwritable", "{}", target.display());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_neighbour_with_the_name_of_a_part_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["report.part", "report.part.json", "report.part-1.json"] {
            std::fs::write(at(name), name).unwrap();
        }
        let target = at("report.json");
        assert_eq!(PartFile::write(&target, b"{}\n", false).unwrap(), 3);
        assert_eq!(
            PartFile::write(&target, b"[]", false).unwrap_err().code(),
            "output.exists"
        );
        assert_eq!(std::fs::read(&target).unwrap(), b"{}\n");
        assert_eq!(PartFile::write(&target, b"[]", true).unwrap(), 2);
        assert_eq!(std::fs::read(&target).unwrap(), b"[]");
        for name in ["report.part", "report.part.json", "report.part-1.json"] {
            assert_eq!(std::fs::read(at(name)).unwrap(), name.as_bytes());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
        let nowhere = at("no folder/report.json");
        assert_eq!(
            PartFile::write(&nowhere, b"[]", true).unwrap_err().code(),
            "output.unwritable"
        );
    }

    #[test]
    fn two_at_once_for_one_target_have_a_file_each() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("tensor.npy");
        let parts = [(); 2].map(|()| PartFile::create(&target, true).unwrap());
        assert_ne!(parts[0].path(), parts[1].path());
    }

    #[test]
    fn the_longest_names_still_have_a_part_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join(format!("{}.mkv", "ä".repeat(125)));
        let part = PartFile::create(&target, false).unwrap();
        std::fs::write(part.path(), "x").unwrap();
        assert_eq!(part.commit().unwrap(), 1);
        assert!(target.exists());
    }
}
