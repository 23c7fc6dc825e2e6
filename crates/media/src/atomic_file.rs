//! A small file that stands under its name whole or not at all.

use std::{fs, path::Path};

use crate::{MediaError, encode::part::PartFile};

/// A file that is opened before the work and gets its name after it. Dropped before [`AtomicFile::write`], it leaves
/// nothing behind.
#[derive(Debug)]
pub struct AtomicFile(PartFile);

impl AtomicFile {
    /// Opens a file beside `target` under a name that nobody has.
    ///
    /// # Errors
    /// [`MediaError::OutputExists`], [`MediaError::OutputUnwritable`].
    pub fn create(target: &Path, overwrite: bool) -> Result<Self, MediaError> {
        PartFile::create(target, overwrite).map(Self)
    }

    /// Writes all of it and gives it its name. Returns its bytes.
    ///
    /// # Errors
    /// [`MediaError::DiskFull`] and the system's refusals.
    pub fn write(self, bytes: &[u8]) -> Result<u64, MediaError> {
        fs::write(self.0.path(), bytes).map_err(|source| MediaError::io("writing", self.0.target(), source))?;
        self.0.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_left_alone_and_a_dropped_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("r.json");
        fs::write(folder.path().join("r.part.json"), "mine").unwrap();
        drop(AtomicFile::create(&target, false).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        AtomicFile::create(&target, false).unwrap().write(b"{}").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "{}");
        assert_eq!(fs::read_to_string(folder.path().join("r.part.json")).unwrap(), "mine");
        assert!(matches!(
            AtomicFile::create(&target, false),
            Err(MediaError::OutputExists { .. })
        ));
    }
}
