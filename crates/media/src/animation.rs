//! Animated WebP, read in Rust: FFmpeg before 9 decodes not one frame of it.

use std::{
    fs::File,
    io::{BufReader, Read, Seek},
    path::Path,
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

use image::{AnimationDecoder, ImageDecoder, ImageResult, codecs::webp::WebPDecoder};
use kinora_frame::{ColorSpec, HostBuffer, PixelFormat, Pool, Rational, SideData, Size, Timestamp};

use crate::{
    MediaError, MediaInfo, Stream, StreamKind, VideoFacts,
    images::{read_error, read_limits},
    probe::facts::FieldOrder,
    webp,
};

/// Container name of such a file in [`MediaInfo`].
pub(crate) const WEBP: &str = "webp";

/// Chunks of a PNG that are looked at for the one that says it is animated.
const MAX_CHUNKS: usize = 1000;

/// How long a picture stands that states no time: as long as browsers show it.
const UNSTATED_MS: i64 = 100;

fn milliseconds() -> Rational {
    Rational::from_wide(1, 1000).unwrap_or(Rational::ONE)
}

fn open(path: &Path, max_pixels: u64) -> Result<WebPDecoder<BufReader<File>>, MediaError> {
    let open = || File::open(path).map_err(|source| MediaError::io("opening", path, source));
    let mut decoder = WebPDecoder::new(BufReader::new(open()?)).map_err(|error| read_error(path, &error))?;
    let (width, height) = decoder.dimensions();
    let size = Size::new(width, height);
    check_sizes(path, &mut BufReader::new(open()?), size)?;
    if size.pixels() > max_pixels {
        return Err(MediaError::TooLarge {
            path: path.to_path_buf(),
            size,
            limit: max_pixels,
        });
    }
    decoder
        .set_limits(read_limits(max_pixels))
        .map_err(|error| read_error(path, &error))?;
    Ok(decoder)
}

/// Refuses a WebP whose pictures are of other sizes than it announces.
pub(crate) fn check_sizes(path: &Path, file: &mut (impl Read + Seek), canvas: Size) -> Result<(), MediaError> {
    match webp::sizes_agree(file, canvas) {
        Ok(true) => Ok(()),
        Ok(false) => Err(MediaError::InputUnreadable {
            path: path.to_path_buf(),
            cause: "a picture in it has another size than it announces".to_owned(),
        }),
        Err(source) => Err(MediaError::io("reading", path, source)),
    }
}

/// True for a file that starts as WebP does.
pub(crate) fn is_webp(path: &Path) -> bool {
    let mut head = [0; 12];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head.starts_with(b"RIFF") && head.ends_with(b"WEBP")
}

/// What such a file holds: one stream in milliseconds, RGB with opacity.
pub(crate) fn probe(path: &Path) -> Result<MediaInfo, MediaError> {
    let decoder = open(path, u64::MAX)?;
    let (width, height) = decoder.dimensions();
    let facts = VideoFacts {
        size: Size::new(width, height),
        source_format: "rgba".to_owned(),
        format: PixelFormat::RGBA,
        frame_rate: None,
        sample_aspect: None,
        field_order: FieldOrder::Progressive,
        color: ColorSpec::SRGB,
        range_stated: true,
        first_pts: Some(Timestamp::new(0, milliseconds())),
        side_data: SideData::default(),
        rotation: 0,
        alpha_mode: false,
        stated_frames: None,
        attached_picture: false,
    };
    Ok(MediaInfo {
        path: path.to_path_buf(),
        container: WEBP.to_owned(),
        duration: None,
        start: Some(Timestamp::new(0, milliseconds())),
        streams: vec![Stream {
            index: 0,
            codec: WEBP.to_owned(),
            time_base: milliseconds(),
            tags: Vec::new(),
            dispositions: Vec::new(),
            kind: StreamKind::Video(Box::new(facts)),
        }],
        chapters: Vec::new(),
        metadata: Vec::new(),
    })
}

/// True for a WebP or PNG of several pictures, which is a clip although its name is that of a still.
#[must_use]
pub fn is_animation(path: &Path) -> bool {
    if is_webp(path) {
        return open(path, crate::MAX_PIXELS).is_ok_and(|decoder| decoder.has_animation());
    }
    File::open(path).is_ok_and(|file| is_apng(&mut BufReader::new(file)).unwrap_or(false))
}

/// Whether a PNG has an animation control chunk, which stands before the first picture data.
pub(crate) fn is_apng(file: &mut (impl Read + Seek)) -> std::io::Result<bool> {
    file.rewind()?;
    let mut signature = [0; 8];
    file.read_exact(&mut signature)?;
    if signature != *b"\x89PNG\r\n\x1a\n" {
        return Ok(false);
    }
    // Texts and profiles may stand before it; their number is bounded, so that a file of empty chunks ends too.
    for _ in 0..MAX_CHUNKS {
        let mut length = [0; 4];
        let mut kind = [0; 4];
        file.read_exact(&mut length)?;
        file.read_exact(&mut kind)?;
        match &kind {
            b"acTL" => return Ok(true),
            b"IDAT" => return Ok(false),
            // Content and checksum.
            _ => file.seek_relative(i64::from(u32::from_be_bytes(length)) + 4)?,
        }
    }
    Ok(false)
}

/// Gives the pictures one after another; only two are in memory.
pub(crate) struct Animation {
    /// `None` is the end; a decoder that dies says nothing.
    frames: Receiver<Option<ImageResult<image::Frame>>>,
    path: std::path::PathBuf,
    at_ms: i64,
    ended: bool,
    /// The last picture stated that it stands no time.
    stood_still: bool,
    /// Times that the next picture would have had the time of the one before.
    pub(crate) time_repairs: u64,
}

impl Animation {
    /// Starts to decode. The decoder's iterator may not move between threads and a source must, so it has one of its
    /// own, which ends when the receiver is dropped or the pictures are over.
    pub(crate) fn open(path: &Path, max_pixels: u64) -> Result<Self, MediaError> {
        let decoder = open(path, max_pixels)?;
        let (sender, frames) = sync_channel(1);
        let run = move || {
            if decoder.has_animation() {
                for frame in decoder.into_frames() {
                    if sender.send(Some(frame)).is_err() {
                        return;
                    }
                }
            } else {
                // A still picture is an animation of one frame.
                let picture = image::DynamicImage::from_decoder(decoder);
                let picture = picture.map(|picture| image::Frame::new(picture.into_rgba8()));
                let _ = sender.send(Some(picture));
            }
            let _ = sender.send(None);
        };
        thread::Builder::new()
            .name("kinora-webp".to_owned())
            .spawn(run)
            .map_err(|source| MediaError::io("starting to decode", path, source))?;
        Ok(Self {
            frames,
            path: path.to_path_buf(),
            at_ms: 0,
            ended: false,
            stood_still: false,
            time_repairs: 0,
        })
    }

    /// The next picture (RGBA), its time and how long it stands; one of no time stands [`UNSTATED_MS`].
    pub(crate) fn next(&mut self, pool: &Pool) -> Result<Option<(HostBuffer, Timestamp, Timestamp)>, MediaError> {
        if self.ended {
            return Ok(None);
        }
        let frame = self.frames.recv().map_err(|_| MediaError::InputUnreadable {
            path: self.path.clone(),
            cause: "the decoder failed inside it".to_owned(),
        })?;
        let Some(frame) = frame else {
            self.ended = true;
            return Ok(None);
        };
        let frame = frame.map_err(|error| read_error(&self.path, &error))?;
        let (num, den) = frame.delay().numer_denom_ms();
        let stated_ms = i64::from(num) / i64::from(den.max(1));
        self.time_repairs += u64::from(self.stood_still);
        self.stood_still = stated_ms == 0;
        let duration_ms = if self.stood_still { UNSTATED_MS } else { stated_ms };
        let mut buffer = pool.take(frame.buffer().as_raw().len());
        buffer.bytes_mut().copy_from_slice(frame.buffer().as_raw());
        let pts = Timestamp::new(self.at_ms, milliseconds());
        self.at_ms += duration_ms;
        Ok(Some((
            buffer.freeze(),
            pts,
            Timestamp::new(duration_ms, milliseconds()),
        )))
    }
}

/// Times of all pictures.
pub(crate) fn times(path: &Path) -> Result<Vec<Timestamp>, MediaError> {
    let mut animation = Animation::open(path, crate::MAX_PIXELS)?;
    let pool = Pool::new(1);
    let mut times = Vec::new();
    while let Some((_, pts, _)) = animation.next(&pool)? {
        times.push(pts);
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_that_dies_is_no_end() {
        let (sender, frames) = sync_channel(2);
        let mut animation = Animation {
            frames,
            path: "x.webp".into(),
            at_ms: 0,
            ended: false,
            stood_still: false,
            time_repairs: 0,
        };
        sender
            .send(Some(Ok(image::Frame::new(image::RgbaImage::new(1, 1)))))
            .unwrap();
        assert!(animation.next(&Pool::new(1)).unwrap().is_some());
        drop(sender);
        assert_eq!(animation.next(&Pool::new(1)).unwrap_err().code(), "input.unreadable");
        let (sender, frames) = sync_channel(1);
        animation.frames = frames;
        sender.send(None).unwrap();
        drop(sender);
        for _ in 0..2 {
            assert!(animation.next(&Pool::new(1)).unwrap().is_none());
        }
    }
}
