//! Hashes of files, read in pieces.

use super::ZooError;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

const PIECE: usize = 1 << 17;

/// A SHA-256 that grows with what is read or written.
#[derive(Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> String {
        self.0
            .finalize()
            .iter()
            .fold(String::with_capacity(64), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
    }
}

/// SHA-256 of bytes in memory, lower-case hex.
pub(crate) fn sha256_bytes(bytes: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

/// SHA-256 (lower-case hex) and length of a file.
pub(crate) fn sha256_file(path: &Path) -> Result<(String, u64), ZooError> {
    let mut hasher = Hasher::default();
    let bytes = read_pieces(path, |piece| hasher.update(piece))?;
    Ok((hasher.finish(), bytes))
}

/// Hands a file over in pieces and returns its length.
pub(crate) fn read_pieces(path: &Path, mut each: impl FnMut(&[u8])) -> Result<u64, ZooError> {
    let mut file = File::open(path).map_err(ZooError::io("read", path))?;
    let mut buffer = vec![0; PIECE];
    let mut total = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(n) => {
                each(buffer.get(..n).unwrap_or_default());
                total += n as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ZooError::io("read", path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_known_text_has_its_known_hash() {
        assert_eq!(
            super::sha256_bytes(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
