//! Animated WebP, read in Rust: FFmpeg before 9 decodes not one frame of it.

use std::{
    fs::File,
    io::BufReader,
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
};

/// Container name of such a file in [`MediaInfo`].
pub(crate) const WEBP: &str = "webp";

fn milliseconds() -> Rational {
    Rational::from_wide(1, 1000).unwrap_or(Rational::ONE)
}

fn open(path: &Path, max_pixels: u64) -> Result<WebPDecoder<BufReader<File>>, MediaError> {
    let file = File::open(path).map_err(|source| MediaError::io("opening", path, source))?;
    let mut decoder = WebPDecoder::new(BufReader::new(file)).map_err(|error| read_error(path, &error))?;
    let (width, height) = decoder.dimensions();
    let size = Size::new(width, height);
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

/// True for a file that starts as WebP does.
pub(crate) fn is_webp(path: &Path) -> bool {
    let mut head = [0; 12];
    let read = File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head));
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
    // APNG: the animation control chunk stands before the first picture data.
    let mut head = Vec::new();
    let read = File::open(path)
        .and_then(|file| std::io::Read::read_to_end(&mut std::io::Read::take(file, 64 << 10), &mut head));
    let position = |chunk: &[u8]| head.windows(4).position(|window| window == chunk);
    read.is_ok()
        && head.starts_with(b"\x89PNG")
        && position(b"acTL").is_some_and(|control| position(b"IDAT").is_none_or(|data| control < data))
}

/// Gives the pictures one after another; only two are in memory.
pub(crate) struct Animation {
    frames: Receiver<ImageResult<image::Frame>>,
    path: std::path::PathBuf,
    at_ms: i64,
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
                    if sender.send(frame).is_err() {
                        return;
                    }
                }
            } else {
                // A still picture is an animation of one frame.
                let picture = image::DynamicImage::from_decoder(decoder);
                let _ = sender.send(picture.map(|picture| image::Frame::new(picture.into_rgba8())));
            }
        };
        thread::Builder::new()
            .name("kinora-webp".to_owned())
            .spawn(run)
            .map_err(|source| MediaError::io("starting to decode", path, source))?;
        Ok(Self {
            frames,
            path: path.to_path_buf(),
            at_ms: 0,
        })
    }

    /// The next picture (RGBA), its time and how long it stands.
    pub(crate) fn next(&mut self, pool: &Pool) -> Result<Option<(HostBuffer, Timestamp, Timestamp)>, MediaError> {
        let Ok(frame) = self.frames.recv() else {
            return Ok(None);
        };
        let frame = frame.map_err(|error| read_error(&self.path, &error))?;
        let (num, den) = frame.delay().numer_denom_ms();
        let duration_ms = i64::from(num) / i64::from(den.max(1));
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
