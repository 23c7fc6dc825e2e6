use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{WeightFile, WeightStore};
use crate::error::{NnError, Result};

/// A folder of f32 weights files that were made once from files of other formats.
///
/// A file is named by the hash of what it was made from. It is written under a temporary name, synced and renamed, and
/// carries a checksum of its tensors, so that several processes may share the folder: the worst that a race costs is
/// that two write the same bytes.
#[derive(Clone, Debug)]
pub struct WeightCache {
    folder: PathBuf,
}

/// Name and shape of a tensor to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightWriter {
    tensors: Vec<(String, Vec<usize>)>,
}

impl WeightWriter {
    /// The tensors of a file, in the order in which their values will be written.
    pub fn new(tensors: Vec<(String, Vec<usize>)>) -> Self {
        Self { tensors }
    }
}

impl WeightCache {
    /// A cache in `folder`; the folder is made at the first write.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_path_buf(),
        }
    }

    /// Where the weights of `key` lie.
    pub fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.safetensors"))
    }

    /// Opens the weights of `key`, writing them first if they are not there or do not match their checksum.
    ///
    /// `key` names the content the weights come from (a hash) and the version of the conversion. `values` is called once
    /// for each tensor in order and must give as many values as its shape has.
    pub fn get_or_write<'v>(
        &self,
        key: &str,
        writer: &WeightWriter,
        mut values: impl FnMut(usize) -> Result<std::borrow::Cow<'v, [f32]>>,
    ) -> Result<WeightStore> {
        let path = self.path(key);
        if path.exists() {
            // A damaged file is replaced: it can be made again.
            match self.open(&path) {
                Ok(store) => return Ok(store),
                Err(NnError::CacheCorrupt { .. } | NnError::Weights { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        self.write(&path, writer, &mut values)?;
        self.open(&path)
    }

    /// Opens a file of the cache and compares its checksum.
    pub(crate) fn open(&self, path: &Path) -> Result<WeightStore> {
        let file = WeightFile::open(path)?;
        let bytes = file.bytes();
        let (expected, found) = match split_checksum(bytes) {
            Some((body, sum)) => (sum, xxhash_rust::xxh3::xxh3_128(body)),
            None => {
                return Err(NnError::Weights {
                    path: path.to_path_buf(),
                    why: "no checksum in the header".into(),
                });
            }
        };
        if expected != found {
            return Err(NnError::CacheCorrupt {
                path: path.to_path_buf(),
                expected: format!("{expected:032x}"),
                found: format!("{found:032x}"),
            });
        }
        WeightStore::from_file(file)
    }

    fn write<'v>(
        &self,
        path: &Path,
        writer: &WeightWriter,
        values: &mut impl FnMut(usize) -> Result<std::borrow::Cow<'v, [f32]>>,
    ) -> Result<()> {
        std::fs::create_dir_all(&self.folder).map_err(NnError::io("create", &self.folder))?;
        clear_abandoned(&self.folder);
        let temporary = self.folder.join(temporary_name(path));
        let result = write_file(&temporary, writer, values)
            .and_then(|()| std::fs::rename(&temporary, path).map_err(NnError::io("rename into", path)));
        if result.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        result
    }
}

/// A name beside `path` that no other process or thread uses.
pub(crate) fn temporary_name(path: &Path) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let stem = path.file_name().map_or_else(|| "file".into(), |n| n.to_string_lossy());
    format!(
        ".{stem}.{}.{}.tmp",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Removes what killed processes left behind: temporary files and folders whose process is gone.
pub(crate) fn clear_abandoned(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(rest) = name
            .to_str()
            .and_then(|n| n.strip_suffix(".tmp"))
            .filter(|n| n.starts_with('.'))
        else {
            continue;
        };
        let pid = rest
            .rsplit('.')
            .nth(1)
            .and_then(|p| p.parse().ok())
            .and_then(rustix::process::Pid::from_raw);
        let gone = pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH));
        if gone {
            let path = entry.path();
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
        }
    }
}

const SUM_KEY: &[u8] = b"\"xxh3\":\"";

/// The bytes that the checksum covers, and the checksum. The header holds it in a field of fixed width.
fn split_checksum(bytes: &[u8]) -> Option<(&[u8], u128)> {
    let header = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let header = usize::try_from(header).ok()?;
    let text = bytes.get(8..header.checked_add(8)?)?;
    let at = text
        .get(..256.min(text.len()))?
        .windows(SUM_KEY.len())
        .position(|w| w == SUM_KEY)?
        + SUM_KEY.len();
    let digits = std::str::from_utf8(text.get(at..at + 32)?).ok()?;
    Some((bytes.get(8 + header..)?, u128::from_str_radix(digits, 16).ok()?))
}

fn write_file<'v>(
    path: &Path,
    writer: &WeightWriter,
    values: &mut impl FnMut(usize) -> Result<std::borrow::Cow<'v, [f32]>>,
) -> Result<()> {
    let failed = || NnError::io("write", path);
    let mut header = String::from("{\"__metadata__\":{\"xxh3\":\"00000000000000000000000000000000\"}");
    let mut offset = 0usize;
    for (name, shape) in &writer.tensors {
        let bytes = crate::tensor::element_count(shape).and_then(|n| n.checked_mul(4));
        let end = bytes
            .and_then(|b| offset.checked_add(b))
            .ok_or_else(|| NnError::Weights {
                path: path.to_path_buf(),
                why: format!("tensor `{name}` of {shape:?} is too large"),
            })?;
        let name = serde_json::to_string(name).map_err(|e| failed()(e.into()))?;
        header.push_str(&format!(
            ",{name}:{{\"dtype\":\"F32\",\"shape\":{shape:?},\"data_offsets\":[{offset},{end}]}}"
        ));
        offset = end;
    }
    header.push('}');
    // Tensors start on a page, so that the runtime can map them without a copy.
    while (8 + header.len()) % 4096 != 0 {
        header.push(' ');
    }
    let file = std::fs::File::create(path).map_err(failed())?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed())?;
    out.write_all(header.as_bytes()).map_err(failed())?;
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for (i, (name, shape)) in writer.tensors.iter().enumerate() {
        let tensor = values(i)?;
        if Some(tensor.len()) != crate::tensor::element_count(shape) {
            return Err(NnError::shape(
                format!("weight `{name}`"),
                format!("{shape:?}"),
                format!("{} values", tensor.len()),
            ));
        }
        let bytes = bytemuck::cast_slice(&tensor);
        hash.update(bytes);
        out.write_all(bytes).map_err(failed())?;
    }
    let mut file = out.into_inner().map_err(|e| failed()(e.into_error()))?;
    let at = header.find("\"xxh3\":\"").map_or(0, |p| p + SUM_KEY.len()) as u64 + 8;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(at)).map_err(failed())?;
    file.write_all(format!("{:032x}", hash.digest128()).as_bytes())
        .map_err(failed())?;
    file.sync_all().map_err(failed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path, fill: f32) -> Result<WeightStore> {
        let writer = WeightWriter::new(vec![("b".into(), vec![2, 3]), ("a".into(), vec![4])]);
        WeightCache::new(folder).get_or_write("key", &writer, |i| Ok(vec![fill + i as f32; [6, 4][i]].into()))
    }

    #[test]
    fn weights_come_back_as_written_and_are_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let first = store(dir.path(), 1.0).unwrap();
        assert_eq!(first.get("a").unwrap().values(), [2.0; 4]);
        assert_eq!(first.get("b").unwrap().shape(), [2, 3]);
        let second = store(dir.path(), 9.0).unwrap();
        assert_eq!(
            second.get("b").unwrap().values(),
            [1.0; 6],
            "the file that is there is used"
        );
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no temporary file stays"
        );
        let (_, offset, _) = first
            .get("b")
            .unwrap()
            .location()
            .map(|(f, o, b)| (f.clone(), o, b))
            .unwrap();
        assert_eq!(offset % 4096, 0);
    }

    #[test]
    fn what_a_killed_writer_left_is_cleared_and_a_living_ones_stays() {
        let dir = tempfile::tempdir().unwrap();
        let left = |pid: u32| {
            let path = dir.path().join(format!(".weights.{pid}.7.tmp"));
            std::fs::write(&path, b"half").unwrap();
            path
        };
        // Process ids end far below the first.
        let (gone, living) = (left(2_147_483_646), left(std::process::id()));
        store(dir.path(), 1.0).unwrap();
        assert!(!gone.exists() && living.exists());
    }

    #[test]
    fn t13_a_damaged_cache_file_is_noticed_and_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = store(dir.path(), 1.0).unwrap().file().path().to_path_buf();
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 0x40;
        // A new file under the old name: what a torn copy from elsewhere looks like.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let err = WeightCache::new(dir.path()).open(&path).unwrap_err();
        assert_eq!(err.code(), "cache.corrupt");
        assert_eq!(store(dir.path(), 3.0).unwrap().get("b").unwrap().values(), [3.0; 6]);
        std::fs::write(&path, &bytes[..4100]).unwrap();
        assert_eq!(store(dir.path(), 4.0).unwrap().get("b").unwrap().values(), [4.0; 6]);
    }

    #[test]
    fn t13_many_writers_of_one_file_never_tear_it() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let got = store(dir.path(), 1.0).unwrap();
                        assert_eq!(got.get("b").unwrap().values(), [1.0; 6]);
                    }
                });
            }
        });
    }
}
