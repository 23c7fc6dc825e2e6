//! The sizes inside a WebP file. The decoder takes memory for what a lossy picture says of itself, and compares that with
//! what its surroundings announce afterwards or not at all (image-webp 0.2.4); so it is compared here, before.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use kinora_frame::Size;

/// Most chunks that are looked at: a frame has one or two.
const MAX_CHUNKS: usize = 1 << 20;

struct Chunk {
    kind: [u8; 4],
    /// Of its content.
    start: u64,
    bytes: u64,
}

impl Chunk {
    /// Where the next one begins: contents of an odd length are padded.
    fn end(&self) -> u64 {
        self.start + self.bytes + self.bytes % 2
    }
}

/// Whether every lossy picture has the size of the canvas, or of its frame where it is one of an animation.
pub(crate) fn sizes_agree(file: &mut (impl Read + Seek), canvas: Size) -> std::io::Result<bool> {
    let mut frames = None;
    let (mut at, mut left) = (12, MAX_CHUNKS);
    while let Some(chunk) = chunk_at(file, at)? {
        match &chunk.kind {
            b"VP8 " if !fits(file, &chunk, canvas)? => return Ok(false),
            b"ANMF" if frames.is_none() => frames = Some(at),
            _ => {}
        }
        at = chunk.end();
        left -= 1;
        if left == 0 {
            return Ok(false);
        }
    }
    let Some(mut at) = frames else { return Ok(true) };
    // The decoder goes from frame to frame without the padding.
    while let Some(frame) = chunk_at(file, at)?.filter(|chunk| chunk.kind == *b"ANMF") {
        let Some([_, _, _, _, _, _, w0, w1, w2, h0, h1, h2, _, _, _, _]) = bytes_at(file, frame.start)? else {
            break;
        };
        let side = |low, middle, high| u32::from_le_bytes([low, middle, high, 0]) + 1;
        let announced = Size::new(side(w0, w1, w2), side(h0, h1, h2));
        let mut picture = chunk_at(file, frame.start + 16)?;
        if let Some(alpha) = picture.as_ref().filter(|chunk| chunk.kind == *b"ALPH") {
            picture = chunk_at(file, alpha.end())?;
        }
        if let Some(picture) = picture.filter(|chunk| chunk.kind == *b"VP8 ")
            && !fits(file, &picture, announced)?
        {
            return Ok(false);
        }
        at = frame.start + frame.bytes;
    }
    Ok(true)
}

/// Whether a lossy picture is of this size; one that does not begin as such is left to the decoder.
fn fits(file: &mut (impl Read + Seek), picture: &Chunk, announced: Size) -> std::io::Result<bool> {
    let Some([_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1]) = bytes_at(file, picture.start)? else {
        return Ok(true);
    };
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Ok(Size::new(side(w0, w1), side(h0, h1)) == announced)
}

fn chunk_at(file: &mut (impl Read + Seek), at: u64) -> std::io::Result<Option<Chunk>> {
    Ok(bytes_at(file, at)?.map(|[a, b, c, d, length @ ..]: [u8; 8]| Chunk {
        kind: [a, b, c, d],
        start: at + 8,
        bytes: u64::from(u32::from_le_bytes(length)),
    }))
}

/// `None` where the file ends before.
fn bytes_at<const N: usize>(file: &mut (impl Read + Seek), at: u64) -> std::io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at))?;
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_le_bytes();
        let padding = vec![0; content.len() % 2];
        [&kind[..], &length, content, &padding].concat()
    }

    fn picture(width: u8, height: u8) -> Vec<u8> {
        chunk(b"VP8 ", &[0x30, 0, 0, 0x9d, 0x01, 0x2a, width, 0, height, 0])
    }

    fn frame(width: u8, height: u8, inside: &[u8]) -> Vec<u8> {
        let head = [0, 0, 0, 0, 0, 0, width - 1, 0, 0, height - 1, 0, 0, 9, 0, 0, 0];
        chunk(b"ANMF", &[&head[..], inside].concat())
    }

    fn agree(chunks: &[Vec<u8>]) -> bool {
        let file = [&b"RIFF\0\0\0\0WEBP"[..], &chunks.concat()].concat();
        sizes_agree(&mut Cursor::new(file), Size::new(8, 6)).unwrap()
    }

    #[test]
    fn a_picture_of_another_size_than_announced_is_seen_wherever_it_stands() {
        let (head, alpha) = (chunk(b"VP8X", &[0; 10]), chunk(b"ALPH", &[0; 5]));
        assert!(agree(&[picture(8, 6)]));
        assert!(agree(&[head.clone(), alpha.clone(), picture(8, 6)]));
        assert!(!agree(&[head.clone(), alpha.clone(), picture(8, 7)]));
        let small = frame(4, 3, &picture(4, 3));
        let behind_alpha = |side| frame(4, 3, &[alpha.clone(), picture(side, 3)].concat());
        assert!(agree(&[head.clone(), small.clone(), behind_alpha(4)]));
        assert!(!agree(&[head.clone(), small.clone(), frame(4, 3, &picture(8, 6))]));
        assert!(!agree(&[head.clone(), small, behind_alpha(5)]));
        // What ends early, or does not begin as a picture, is the decoder's to refuse.
        assert!(agree(&[]) && agree(&[chunk(b"VP8 ", b"cut")]) && agree(&[head, chunk(b"ANMF", b"cut")]));
    }

    #[test]
    fn a_file_of_nothing_but_chunks_comes_to_an_end() {
        assert!(!agree(&vec![chunk(b"none", b""); MAX_CHUNKS]));
    }
}
