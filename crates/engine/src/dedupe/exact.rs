use kinora_frame::{FrameError, Image, Layout};
use xxhash_rust::xxh3::Xxh3;

/// XXH3-128 of the pixels, their size and their layout. Frames of this crate are tightly packed, so there is no
/// padding that could differ.
///
/// # Errors
/// [`FrameError::OnDevice`].
pub fn frame_hash(image: &Image) -> Result<u128, FrameError> {
    let mut hasher = Xxh3::new();
    let desc = image.desc();
    hasher.update(&desc.size.width.to_le_bytes());
    hasher.update(&desc.size.height.to_le_bytes());
    match desc.layout {
        Layout::Pixels(format) => hasher.update(&[format.bits, u8::from(format.alpha), format.model as u8]),
        Layout::Tensor { .. } => hasher.update(desc.layout.to_string().as_bytes()),
    }
    hasher.update(image.host_buffer()?.bytes());
    Ok(hasher.digest128())
}

/// Whether two frames are the same bit for bit.
pub(super) fn equal(a: &Image, b: &Image) -> Result<bool, FrameError> {
    Ok(a.desc() == b.desc() && a.host_buffer()?.bytes() == b.host_buffer()?.bytes())
}
