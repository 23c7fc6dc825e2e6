//! Numbered pictures as a stream: folders in natural order, one file a frame.

use std::{
    cmp::Ordering,
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
};

use kinora_frame::{Frame, FrameIndex, Pool, Rational, SideData, Size, Timestamp};

use crate::{
    MediaError,
    images::{StillFormat, read_still},
};

/// Order of names as people number them: `a2` before `a10`. Names that differ in leading zeros only stay distinct.
pub(crate) fn natural_order(a: &OsStr, b: &OsStr) -> Ordering {
    let (left, right) = (a.to_string_lossy(), b.to_string_lossy());
    let (mut left, mut right) = (left.as_ref(), right.as_ref());
    loop {
        let (Some(x), Some(y)) = (left.chars().next(), right.chars().next()) else {
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (number_x, rest_x) = digits(left);
            let (number_y, rest_y) = digits(right);
            let order = number_x.len().cmp(&number_y.len()).then_with(|| number_x.cmp(number_y));
            if order != Ordering::Equal {
                return order;
            }
            (left, right) = (rest_x, rest_y);
        } else if x == y {
            left = &left[x.len_utf8()..];
            right = &right[y.len_utf8()..];
        } else {
            return x.cmp(&y);
        }
    }
}

/// The digits at the front without leading zeros, and what follows.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    (number.trim_start_matches('0'), rest)
}

/// The pictures of a folder in natural order; other files and folders are passed over.
///
/// # Errors
/// [`MediaError::InputMissing`], [`MediaError::InputUnreadable`] for a folder without a picture.
pub fn list_stills(folder: &Path) -> Result<Vec<PathBuf>, MediaError> {
    let entries = std::fs::read_dir(folder).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => MediaError::InputMissing {
            path: folder.to_path_buf(),
        },
        _ => MediaError::io("listing", folder, source),
    })?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|source| MediaError::io("listing", folder, source))?
            .path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && StillFormat::of(&path).is_some() && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(MediaError::InputUnreadable {
            path: folder.to_path_buf(),
            cause: "it holds no PNG, JPEG, WebP or TIFF picture".to_owned(),
        });
    }
    files.sort_by(|a, b| {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_owned();
        natural_order(&name(a), &name(b))
    });
    Ok(files)
}

/// Pictures read one after another as frames of a constant rate.
#[derive(Debug)]
pub struct ImageSequence {
    files: Vec<PathBuf>,
    next: usize,
    base: Rational,
    pool: Pool,
    max_pixels: u64,
    first: Option<Size>,
    icc_profile: Option<Vec<u8>>,
}

impl ImageSequence {
    /// A sequence of these files at `rate` frames a second; times are counted in frames.
    ///
    /// # Errors
    /// [`MediaError::Setting`] for a rate that is not positive.
    pub fn new(files: Vec<PathBuf>, rate: Rational, pool: Pool, max_pixels: u64) -> Result<Self, MediaError> {
        let base = rate
            .inverse()
            .filter(|base| base.num() > 0)
            .ok_or_else(|| MediaError::Setting {
                name: "frame rate",
                expected: "above 0".to_owned(),
                found: rate.to_string(),
            })?;
        Ok(Self {
            files,
            next: 0,
            base,
            pool,
            max_pixels,
            first: None,
            icc_profile: None,
        })
    }

    /// Number of pictures.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.files.len() as u64
    }

    /// True for no pictures.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Seconds a tick: one frame.
    #[must_use]
    pub fn base(&self) -> Rational {
        self.base
    }

    /// The file of a frame.
    #[must_use]
    pub fn file(&self, frame: FrameIndex) -> Option<&Path> {
        self.files.get(usize::try_from(frame).ok()?).map(PathBuf::as_path)
    }

    /// Colour profile of the first picture, once it was read.
    #[must_use]
    pub fn icc_profile(&self) -> Option<&[u8]> {
        self.icc_profile.as_deref()
    }

    /// Goes on with this frame.
    pub fn seek(&mut self, frame: FrameIndex) {
        self.next = usize::try_from(frame).unwrap_or(usize::MAX).min(self.files.len());
    }

    /// The next picture; `None` after the last.
    ///
    /// # Errors
    /// Those of [`read_still`], and [`MediaError::MixedSizes`] for a picture of another size than the first.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, MediaError> {
        let Some(path) = self.files.get(self.next) else {
            return Ok(None);
        };
        let still = read_still(path, &self.pool, self.max_pixels)?;
        let size = still.image.size();
        let first = *self.first.get_or_insert(size);
        if size != first {
            return Err(MediaError::MixedSizes {
                path: path.clone(),
                expected: first,
                found: size,
            });
        }
        if self.icc_profile.is_none() {
            self.icc_profile = still.icc_profile;
        }
        let frame = Frame {
            image: still.image,
            pts: Timestamp::new(self.next as i64, self.base),
            duration: Some(Timestamp::new(1, self.base)),
            index: self.next as u64,
            key: true,
            side_data: Arc::new(SideData::default()),
        };
        self.next += 1;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_as_people_number_them() {
        let mut names = ["b", "a10", "a2", "a02", "a1b3", "a1b20", "a", "A1"]
            .map(OsStr::new)
            .to_vec();
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["A1", "a", "a1b3", "a1b20", "a02", "a2", "a10", "b"]);
    }
}
