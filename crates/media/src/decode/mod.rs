//! Frames out of a file: one FFmpeg child, raw pictures and exact times over a NUT pipe.

mod completeness;
mod filters;
mod options;

use std::{
    process::ChildStdout,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use kinora_frame::{ColorRange, ColorSpec, Frame, Image, ImageDesc, Layout, PixelFormat, SideData, Timestamp};

use crate::{
    Ffmpeg, MediaError, MediaInfo, Stop, VideoFacts,
    animation::{self, Animation},
    child::{ChildProcess, Pipe, Start},
    clock::Lead,
    ffmpeg::{common, input_file},
    nut::{NutLimits, NutReader},
    probe::facts::carried_format,
};

pub use completeness::{Completeness, Verdict};
pub use options::{DecodeOptions, Deinterlace, MAX_PIXELS, SizeChange, StartAt};

/// Earlier key frames that a start in the middle tries before it decodes from the beginning.
const START_TRIES: usize = 4;

struct Running {
    child: ChildProcess,
    nut: NutReader<Pipe<ChildStdout>>,
}

/// Decodes one video stream.
pub struct Decoder {
    ffmpeg: Ffmpeg,
    info: MediaInfo,
    facts: VideoFacts,
    stream: usize,
    lead: Lead,
    options: DecodeOptions,
    format: PixelFormat,
    color: ColorSpec,
    side_data: Arc<SideData>,
    running: Option<Running>,
    animation: Option<Animation>,
    size_changes: Arc<AtomicU64>,
    next_index: u64,
    frames: u64,
    last_pts: Option<Timestamp>,
    complaints: String,
    failed: Option<String>,
    time_repairs: Arc<AtomicU64>,
    errors: Arc<AtomicU64>,
    first: u64,
    ended: bool,
    /// Frames that are dropped by count, where times cannot be searched.
    skip: u64,
    /// Frames before this time are dropped: the way from a key frame to the wanted one.
    wanted: Option<Timestamp>,
    tries: usize,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("path", &self.info.path)
            .field("stream", &self.stream)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// Starts decoding. The size is checked before anything is started.
    ///
    /// # Errors
    /// [`MediaError::NoVideo`], [`MediaError::TooLarge`], [`MediaError::NoSuchFrame`], and those of the child process.
    pub fn open(ffmpeg: &Ffmpeg, info: &MediaInfo, options: DecodeOptions) -> Result<Self, MediaError> {
        let found = match options.stream {
            Some(index) => info.video_at(index),
            None => info.video(),
        };
        let Some((stream, facts)) = found else {
            let kinds: Vec<&str> = info.streams.iter().map(|stream| stream.codec.as_str()).collect();
            return Err(MediaError::NoVideo {
                path: info.path.clone(),
                found: kinds.join(", "),
            });
        };
        if facts.size.check().is_err() {
            return Err(MediaError::InputUnreadable {
                path: info.path.clone(),
                cause: "its picture has no size".to_owned(),
            });
        }
        if facts.size.pixels() > options.max_pixels {
            return Err(MediaError::TooLarge {
                path: info.path.clone(),
                size: facts.size,
                limit: options.max_pixels,
            });
        }
        let mut format = options.pixel_format.unwrap_or(facts.format);
        if options.pixel_format.is_none() && ffmpeg.alpha_decoder(facts.alpha_mode, &stream.codec).is_none() {
            format.alpha &= carried_format(&facts.source_format).alpha;
        }
        let mut color = facts.color;
        if format.is_yuv() != facts.format.is_yuv() && format.model != facts.format.model {
            color = converted_color(color, format);
        }
        let mut decoder = Self {
            ffmpeg: ffmpeg.clone(),
            info: info.clone(),
            stream: stream.index,
            lead: Lead::new(stream.time_base),
            format,
            color,
            side_data: Arc::new(facts.side_data.clone()),
            facts: facts.clone(),
            running: None,
            animation: None,
            size_changes: Arc::default(),
            next_index: 0,
            frames: 0,
            last_pts: None,
            complaints: String::new(),
            failed: None,
            time_repairs: Arc::default(),
            errors: Arc::default(),
            first: 0,
            ended: false,
            skip: 0,
            wanted: None,
            tries: 0,
            options,
        };
        if let Some(start) = &decoder.options.start {
            let found = start.index.pts_of(start.frame).ok_or_else(|| MediaError::NoSuchFrame {
                path: info.path.clone(),
                frame: start.frame,
                frames: start.index.len(),
            })?;
            if start.index.seekable() {
                decoder.wanted = Some(found);
            } else {
                decoder.skip = start.frame;
            }
            decoder.next_index = start.frame;
            decoder.first = start.frame;
        }
        if info.container == animation::WEBP {
            decoder.animate()?;
        } else {
            decoder.launch()?;
        }
        Ok(decoder)
    }

    /// The next frame; `None` after the last. Blocks until there is one.
    ///
    /// # Errors
    /// [`MediaError::Stopped`], [`MediaError::ToolStalled`], [`MediaError::ToolFailed`], [`MediaError::SizeChanged`],
    /// [`MediaError::BadNut`].
    pub fn next_frame(&mut self) -> Result<Option<Frame>, MediaError> {
        if self.animation.is_some() {
            return self.next_picture();
        }
        loop {
            let Some(mut running) = self.running.take() else {
                return Ok(None);
            };
            let frame = self.read(&mut running);
            match frame {
                Ok(Some(_)) if self.skip > 0 => {
                    self.skip -= 1;
                    self.running = Some(running);
                }
                Ok(Some(frame)) => {
                    let Some(wanted) = self.wanted else {
                        self.running = Some(running);
                        return Ok(Some(self.given(frame)));
                    };
                    if frame.pts < wanted {
                        self.running = Some(running);
                    } else if frame.pts == wanted || self.tries > START_TRIES {
                        self.wanted = None;
                        self.running = Some(running);
                        return Ok(Some(self.given(frame)));
                    } else {
                        // The seek landed too late.
                        drop(running);
                        self.tries += 1;
                        self.launch()?;
                    }
                }
                Ok(None) if self.wanted.is_some() && self.tries <= START_TRIES => {
                    drop(running);
                    self.tries += 1;
                    self.launch()?;
                }
                Ok(None) => {
                    let status = running.child.finish()?;
                    // 255 is FFmpeg's answer to a signal that asked it to end: the file is not to blame.
                    if status.code().is_none_or(|code| code == 255) {
                        return Err(running.child.failed(status.to_string()));
                    }
                    self.ended = true;
                    self.complaints = running.child.last_lines();
                    let failed = !status.success() && status.code() != Some(completeness::MANY_BROKEN);
                    self.failed = failed.then(|| status.to_string());
                    if self.frames == 0 {
                        return Err(MediaError::InputUnreadable {
                            path: self.info.path.clone(),
                            cause: self.no_frames(),
                        });
                    }
                    return Ok(None);
                }
                Err(MediaError::Io { source, .. }) => return Err(running.child.failure(&source)),
                Err(MediaError::BadNut { at, expected, found }) => {
                    if self.options.stop.is_stopped() {
                        return Err(MediaError::Stopped);
                    }
                    let status = running.child.finish()?;
                    return Err(if status.success() {
                        MediaError::BadNut { at, expected, found }
                    } else {
                        running.child.failed(status.to_string())
                    });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Pixel format and size of the frames.
    #[must_use]
    pub fn desc(&self) -> ImageDesc {
        ImageDesc {
            size: self.facts.size,
            layout: Layout::Pixels(self.format),
            color: self.color,
        }
    }

    /// A handle that ends decoding from another thread.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        self.options.stop.clone()
    }

    /// What came out so far; the whole of it after [`Decoder::next_frame`] gave `None`.
    #[must_use]
    pub fn completeness(&self) -> Completeness {
        Completeness {
            first: self.first,
            frames: self.frames,
            last_pts: self.last_pts,
            ended: self.ended,
            errors: self.errors.load(Ordering::Relaxed),
            size_changes: self.size_changes.load(Ordering::Relaxed),
            time_repairs: self.time_repairs.load(Ordering::Relaxed),
            complaints: self.complaints.clone(),
            failed: self.failed.clone(),
        }
    }

    fn no_frames(&self) -> String {
        let last = self.complaints.lines().last().unwrap_or_default();
        if last.is_empty() {
            "not one frame of it decodes".to_owned()
        } else {
            format!("not one frame of it decodes: {last}")
        }
    }

    fn given(&mut self, mut frame: Frame) -> Frame {
        frame.index = self.next_index;
        self.next_index += 1;
        self.frames += 1;
        self.last_pts = Some(frame.pts);
        let start = self.options.start.as_ref().map(|start| &start.index);
        // The times of a stream that cannot be searched are the decoder's, not the index's.
        if let Some(index) = self.options.index.as_ref().or(start).filter(|index| index.seekable()) {
            frame.key = index.is_key(frame.pts);
            frame.duration = index.duration_of(frame.pts);
        }
        frame
    }

    fn read(&self, running: &mut Running) -> Result<Option<Frame>, MediaError> {
        let Some(packet) = running.nut.next_packet()? else {
            return Ok(None);
        };
        let expected = self.format.frame_bytes(self.facts.size)?;
        if packet.bytes != expected {
            return Err(MediaError::SizeChanged {
                path: self.info.path.clone(),
                frame: self.next_index,
                size: self.facts.size,
                expected,
                found: packet.bytes,
            });
        }
        let mut buffer = self.options.pool.take(packet.bytes);
        running.nut.read_frame(buffer.bytes_mut())?;
        Ok(Some(Frame {
            image: Image::host(self.desc(), buffer.freeze())?,
            pts: self.lead.off_pipe(packet.pts)?,
            duration: None,
            index: self.next_index,
            key: false,
            side_data: Arc::clone(&self.side_data),
        }))
    }

    /// Begins an animation that FFmpeg is not asked for.
    fn animate(&mut self) -> Result<(), MediaError> {
        if self.format != PixelFormat::RGBA {
            return Err(MediaError::Setting {
                name: "pixel format",
                expected: "rgba for an animated WebP".to_owned(),
                found: self.format.to_string(),
            });
        }
        self.animation = Some(Animation::open(&self.info.path, self.options.max_pixels)?);
        Ok(())
    }

    fn next_picture(&mut self) -> Result<Option<Frame>, MediaError> {
        loop {
            if self.options.stop.is_stopped() {
                return Err(MediaError::Stopped);
            }
            let Some(animation) = self.animation.as_mut() else {
                return Ok(None);
            };
            let picture = animation.next(&self.options.pool)?;
            self.time_repairs.store(animation.time_repairs, Ordering::Relaxed);
            let Some((buffer, pts, duration)) = picture else {
                self.ended = true;
                return Ok(None);
            };
            if self.wanted.is_some_and(|wanted| pts < wanted) {
                continue;
            }
            self.wanted = None;
            let frame = Frame {
                image: Image::host(self.desc(), buffer)?,
                pts,
                duration: Some(duration),
                index: self.next_index,
                key: true,
                side_data: Arc::clone(&self.side_data),
            };
            self.next_index += 1;
            self.frames += 1;
            self.last_pts = Some(pts);
            return Ok(Some(frame));
        }
    }

    fn launch(&mut self) -> Result<(), MediaError> {
        let mut start = Start::new(self.ffmpeg.program(), "decode", &self.options.stop, self.options.stall);
        start.memory = self.options.memory;
        start.lines = Some(self.line_filter());
        start.args = common("level+verbose");
        start.args.push("-copyts".into());
        let codec = self
            .info
            .streams
            .iter()
            .find(|stream| stream.index == self.stream)
            .map(|stream| stream.codec.as_str());
        if let Some(decoder) = self
            .ffmpeg
            .alpha_decoder(self.facts.alpha_mode, codec.unwrap_or_default())
        {
            start.args.extend(["-c:v", decoder].map(Into::into));
        }
        if let Some(at) = self.seek() {
            let at = at.decimal_micros();
            start
                .args
                .extend(["-noaccurate_seek", "-seek_timestamp", "1", "-ss", &at].map(Into::into));
        }
        start.args.extend(input_file(&self.info.path)?);
        let base = self.lead.base();
        let map = format!("0:{}", self.stream);
        let base = format!("{}/{}", base.num(), base.den());
        let lead = self.lead.seconds.to_string();
        start.args.extend(
            [
                "-map",
                &map,
                "-an",
                "-sn",
                "-dn",
                // Otherwise FFmpeg itself scales quietly.
                "-noautoscale",
                "-fps_mode",
                "passthrough",
                "-enc_time_base",
                &base,
                "-vf",
                &self.filters(),
                "-c:v",
                "rawvideo",
                "-pix_fmt",
                &self.format.name(),
                "-output_ts_offset",
                &lead,
                "-f",
                "nut",
                "-write_index",
                "0",
                // Pictures go to the pipe as they are, not by way of a small buffer.
                "-avioflags",
                "direct",
                "pipe:1",
            ]
            .map(Into::into),
        );
        let mut child = start.spawn()?;
        let Some(stdout) = child.stdout.take() else {
            return Err(child.failed("no output".to_owned()));
        };
        let limits = NutLimits {
            frame_bytes: (self.options.max_pixels.saturating_mul(8)).max(1 << 20),
            ..NutLimits::default()
        };
        match NutReader::open(stdout, limits) {
            Ok(nut) => {
                self.running = Some(Running { child, nut });
                Ok(())
            }
            Err(MediaError::Io { source, .. }) => Err(child.failure(&source)),
            Err(error) => {
                child.finish()?;
                let log = child.last_lines();
                Err(match (log.lines().last(), &error) {
                    // FFmpeg wrote nothing: it says why, and its exit status alone proves nothing.
                    (Some(line), MediaError::BadNut { at: 0, .. }) => MediaError::InputUnreadable {
                        path: self.info.path.clone(),
                        cause: line.rsplit_once("] ").map_or(line, |(_, text)| text).to_owned(),
                    },
                    _ => error,
                })
            }
        }
    }

    /// The key frame from which to decode towards the wanted one; `None` is the beginning.
    fn seek(&self) -> Option<Timestamp> {
        let start = self.options.start.as_ref()?;
        if self.tries >= START_TRIES || !start.index.seekable() {
            return None;
        }
        start.index.key_before(self.wanted?, 1 + self.tries)
    }
}

/// What colour facts mean in another model of pixel.
fn converted_color(color: ColorSpec, format: PixelFormat) -> ColorSpec {
    if format.is_yuv() {
        return color;
    }
    ColorSpec {
        matrix: if format.color_channels() == 3 {
            kinora_frame::Matrix::Identity
        } else {
            color.matrix
        },
        range: if format.color_channels() == 3 {
            ColorRange::Full
        } else {
            color.range
        },
        ..color
    }
}
