//! Frames out of a file: one FFmpeg child, raw pictures and exact times over a NUT pipe.

use std::{
    process::ChildStdout,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kinora_frame::{ColorRange, ColorSpec, Frame, Image, ImageDesc, Layout, PixelFormat, Pool, SideData, Timestamp};

use crate::{
    Ffmpeg, MediaError, MediaInfo, PacketIndex, Stop, VideoFacts,
    animation::{self, Animation},
    child::{ChildProcess, LineFilter, Pipe, Start},
    clock::Lead,
    ffmpeg::{STALL, common, input_file},
    nut::{NutLimits, NutReader},
    probe::facts::carried_format,
};

/// Pixels of a picture that are decoded unless the caller allows more: 8192 x 8192.
pub const MAX_PIXELS: u64 = 8192 * 8192;

/// Earlier key frames that a start in the middle tries before it decodes from the beginning.
const START_TRIES: usize = 4;

/// A filter under which a time that goes back or stands begins anew one step behind the frame before it, and so do all
/// after it: order and durations are kept. Without it FFmpeg's muxer squeezes them to one tick each. Variable 0 is what is
/// added to every time, 1 the time, 2 the last step; `print` marks each repair on stderr.
const RISING_TIMES: &str = "setpts='st(1,PTS+ld(0));\
    if(lte(ld(1),PREV_OUTPTS),\
    print(0.271828,32);st(0,ld(0)+PREV_OUTPTS+max(ld(2),1)-ld(1));st(1,PREV_OUTPTS+max(ld(2),1)));\
    st(2,if(isnan(PREV_OUTPTS),0,ld(1)-PREV_OUTPTS));ld(1)'";

/// What [`RISING_TIMES`] prints.
const REPAIR_MARK: &str = "[info] 0.271828";

/// What to do with pictures of two moments woven together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Deinterlace {
    /// Where the stream says it is interlaced: bwdif, one picture a frame, times kept.
    #[default]
    Auto,
    /// Every picture, whatever it says.
    On,
    /// Never.
    Off,
}

/// What to do when the picture's size changes in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SizeChange {
    /// Scale to the first size; [`Decoder::completeness`] counts the changes.
    #[default]
    Rescale,
    /// End with [`MediaError::SizeChanged`].
    Fail,
}

/// Where to begin, for a start that is not the first frame.
#[derive(Clone, Debug)]
pub struct StartAt {
    /// The packet index of the stream.
    pub index: Arc<PacketIndex>,
    /// Frame to begin with, from 0 in presentation order.
    pub frame: u64,
}

/// How to decode.
#[derive(Clone, Debug)]
pub struct DecodeOptions {
    /// Index of the stream in the file; `None` is the first video stream.
    pub stream: Option<usize>,
    /// Pixel format of the frames; `None` is [`VideoFacts::format`], which loses nothing.
    pub pixel_format: Option<PixelFormat>,
    /// First frame; `None` is the beginning.
    pub start: Option<StartAt>,
    /// Interlaced pictures.
    pub deinterlace: Deinterlace,
    /// Sizes that change.
    pub size_change: SizeChange,
    /// Where frame buffers come from.
    pub pool: Pool,
    /// Largest picture.
    pub max_pixels: u64,
    /// Longest wait for a frame before the child is ended.
    pub stall: Duration,
    /// Ends the work from another thread.
    pub stop: Stop,
    /// Most bytes of address space for the child, where the system can hold it to that.
    pub memory: Option<u64>,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            stream: None,
            pixel_format: None,
            start: None,
            deinterlace: Deinterlace::Auto,
            size_change: SizeChange::Rescale,
            pool: Pool::default(),
            max_pixels: MAX_PIXELS,
            stall: STALL,
            stop: Stop::default(),
            memory: None,
        }
    }
}

/// What came out of a stream, to be compared with what should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completeness {
    /// Frames given so far.
    pub frames: u64,
    /// Time of the last one.
    pub last_pts: Option<Timestamp>,
    /// Times the picture's size changed and was scaled back.
    pub size_changes: u64,
    /// Times that went back, or stood, and were moved behind the frame before them.
    pub time_repairs: u64,
    /// The decoder's complaints, last lines.
    pub complaints: String,
}

impl Completeness {
    /// The time at which the stream is cut off, when it ends before the index does. Decoders leave out broken packets,
    /// so the last time decides, not the number of frames.
    #[must_use]
    pub fn cut_before(&self, index: &PacketIndex) -> Option<Timestamp> {
        let stated = index.last_pts()?;
        match self.last_pts {
            Some(last) if last >= stated => None,
            _ => Some(stated),
        }
    }
}

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
    time_repairs: Arc<AtomicU64>,
    /// Ticks between the last two frames.
    step: i64,
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
            format.alpha &= carried_format(&facts.source_format).0.alpha;
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
            time_repairs: Arc::default(),
            step: 1,
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
                Ok(Some(mut frame)) if self.skip > 0 => {
                    // So that a start in the middle has the same times as one from the beginning.
                    if let Some(last) = self.last_pts {
                        self.step = frame.pts.ticks.saturating_sub(last.ticks);
                    }
                    self.last_pts = Some(frame.pts);
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
                    running.child.finish()?;
                    self.complaints = running.child.last_lines();
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
            frames: self.frames,
            last_pts: self.last_pts,
            size_changes: self.size_changes.load(Ordering::Relaxed),
            time_repairs: self.time_repairs.load(Ordering::Relaxed),
            complaints: self.complaints.clone(),
        }
    }

    /// True when the stream ended clearly before `stated`, the container's own length counted from its start: more than two
    /// frames and half a second. A file that was cut off has lost its packets too, so the index alone does not show it.
    #[must_use]
    pub fn ends_before(&self, stated: Timestamp) -> bool {
        let start = self.info.start.map_or(0.0, Timestamp::seconds);
        let reached = self.last_pts.map_or(0.0, |last| last.seconds() - start);
        let step = Timestamp::new(self.step.max(1), self.lead.base()).seconds();
        stated.seconds() - reached > (2.0 * step).max(0.5)
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
        if let Some(last) = self.last_pts {
            self.step = frame.pts.ticks.saturating_sub(last.ticks);
        }
        self.last_pts = Some(frame.pts);
        if let Some(start) = &self.options.start {
            frame.key = start.index.is_key(frame.pts);
            frame.duration = start.index.duration_of(frame.pts);
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
            pts: self.lead.from_pipe(packet.pts)?,
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
            let Some((buffer, pts, duration)) = self
                .animation
                .as_mut()
                .map_or(Ok(None), |a| a.next(&self.options.pool))?
            else {
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

    fn filters(&self) -> String {
        let mut filters = vec![RISING_TIMES.to_owned()];
        match self.options.deinterlace {
            Deinterlace::On => filters.push("bwdif=mode=send_frame:deint=all".to_owned()),
            Deinterlace::Auto if self.facts.field_order.is_interlaced() => {
                filters.push("bwdif=mode=send_frame:deint=interlaced".to_owned());
            }
            Deinterlace::Auto | Deinterlace::Off => {}
        }
        let mut scale = Vec::new();
        if self.options.size_change == SizeChange::Rescale {
            scale.push(format!("w={}:h={}", self.facts.size.width, self.facts.size.height));
        }
        if self.facts.format.is_yuv() && self.facts.source_format != self.format.name() {
            // Without it FFmpeg 5 and 6 squeeze full-range pictures and 8 and 9 do not.
            let range = match self.color.range {
                ColorRange::Limited => "limited",
                ColorRange::Full => "full",
            };
            scale.push(format!("in_range={range}:out_range={range}"));
        }
        if !scale.is_empty() {
            filters.push(format!("scale={}", scale.join(":")));
        }
        filters.push(format!("format={}", self.format.name()));
        filters.join(",")
    }

    /// Keeps complaints, and counts the pictures for which the scaler was set up again.
    fn line_filter(&self) -> LineFilter {
        let changes = Arc::clone(&self.size_changes);
        let repairs = Arc::clone(&self.time_repairs);
        let mut seen: Option<String> = None;
        Box::new(move |line| {
            if line.trim_end().ends_with(REPAIR_MARK) {
                repairs.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(size) = scaler_input(line) {
                if seen.as_ref().is_some_and(|seen| *seen != size) {
                    changes.fetch_add(1, Ordering::Relaxed);
                }
                seen = Some(size);
            }
            !["[verbose]", "[info]", "[debug]"]
                .iter()
                .any(|level| line.contains(level))
                && !line.trim().is_empty()
        })
    }
}

/// The size that a scaler is set up for: `[scale] [verbose] w:320 h:240 fmt:yuv420p ... -> w:...`.
fn scaler_input(line: &str) -> Option<String> {
    // Others are put in by FFmpeg itself.
    if !line.contains("Parsed_scale") {
        return None;
    }
    let (_, set_up) = line.split_once("[verbose] w:")?;
    let (from, _) = set_up.split_once(" fmt:")?;
    Some(from.to_owned())
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

#[cfg(test)]
mod tests {
    use super::scaler_input;

    #[test]
    fn a_scaler_that_is_set_up_again_shows_its_input_size() {
        let line = "[Parsed_scale_0 @ 0x1] [verbose] w:320 h:240 fmt:yuv420p sar:1/1 -> w:64 h:48 fmt:yuv420p";
        assert_eq!(scaler_input(line).as_deref(), Some("320 h:240"));
        assert_eq!(scaler_input("[h264 @ 0x1] [verbose] Reinit context to 320x240"), None);
    }
}
