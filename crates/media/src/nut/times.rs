use std::{fs::File, path::Path};

use kinora_frame::Timestamp;

use super::{NutLimits, NutReader};
use crate::MediaError;

/// Times of all frames of a NUT file's first stream, rising.
///
/// # Errors
/// [`MediaError::BadNut`], [`MediaError::Io`].
pub(crate) fn times(path: &Path) -> Result<Vec<Timestamp>, MediaError> {
    let file = File::open(path).map_err(|source| MediaError::io("reading", path, source))?;
    let mut reader = NutReader::open(file, NutLimits::default())?;
    let mut times = Vec::new();
    while let Some(packet) = reader.next_packet()? {
        if packet.stream == 0 {
            times.push(packet.pts);
        }
    }
    times.sort_unstable();
    Ok(times)
}
