//! What a file holds.

pub(crate) mod color;
pub(crate) mod facts;
pub(crate) mod ffprobe;
pub(crate) mod human;
pub(crate) mod metadata;

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
};

use kinora_frame::{
    ChromaLocation, ColorModel, ColorRange, ColorSpec, PixelFormat, Rational, SideData, Size, Timestamp,
};

use crate::{
    Ffmpeg, MediaError,
    child::{Start, Stop, last_lines},
    ffmpeg::{STALL, check_input, common, input_file},
};
use facts::{FieldOrder, MediaInfo, Stream, StreamKind, VideoFacts, carried_format};
use human::{CrcHeader, FirstFrame, InputLines, StreamLine, crc_headers, first_frame, input_lines};

/// Bytes of a probe's output that are read.
const PROBE_BYTES: usize = 4 << 20;

/// Subtitle codecs that are pictures.
const BITMAP_SUBTITLES: [&str; 5] = [
    "hdmv_pgs_subtitle",
    "dvd_subtitle",
    "dvb_subtitle",
    "xsub",
    "dvb_teletext",
];

impl Ffmpeg {
    /// Reads what a file holds: streams, colour, HDR, rotation, chapters, metadata. The first frame is decoded.
    ///
    /// # Errors
    /// [`MediaError::InputMissing`], [`MediaError::InputUnreadable`] with FFmpeg's words, [`MediaError::ToolStalled`].
    pub fn probe(&self, path: &Path) -> Result<MediaInfo, MediaError> {
        self.probe_with(path, &Stop::default())
    }

    /// What the container alone says of a file that was just written: enough to compare its colour, a process cheaper.
    pub(crate) fn probe_container(&self, path: &Path, stop: &Stop) -> Result<MediaInfo, MediaError> {
        match self.ffprobe() {
            Some(ffprobe) if !crate::animation::is_webp(path) => self.probe_json(ffprobe, path, false, stop),
            _ => self.probe_with(path, stop),
        }
    }

    /// As [`Ffmpeg::probe`], ended early by `stop`.
    ///
    /// # Errors
    /// As [`Ffmpeg::probe`], and [`MediaError::Stopped`].
    pub fn probe_with(&self, path: &Path, stop: &Stop) -> Result<MediaInfo, MediaError> {
        check_input(path)?;
        if crate::animation::is_webp(path) {
            return crate::animation::probe(path);
        }
        if let Some(ffprobe) = self.ffprobe() {
            return self.probe_json(ffprobe, path, true, stop);
        }
        let (lines, headers) = self.describe(path, stop)?;
        let mut info = described(path, &lines, &headers);
        let main = info
            .video()
            .filter(|(_, facts)| facts.size.pixels() <= crate::MAX_PIXELS)
            .map(|(stream, facts)| (stream.index, facts.alpha_mode, stream.codec.clone()));
        let decoder = main
            .as_ref()
            .and_then(|(_, alpha, codec)| self.alpha_decoder(*alpha, codec));
        let (frame, text) = self.first_frame(path, main.as_ref().map(|(index, ..)| *index), decoder, stop)?;
        (info.metadata, info.chapters) = metadata::parse(&text);
        with_first_frame(&mut info, &lines, main.map(|(index, ..)| index), &frame);
        Ok(info)
    }

    /// The decoder that reads opacity, where the usual one does not.
    pub(crate) fn alpha_decoder(&self, alpha_mode: bool, codec: &str) -> Option<&'static str> {
        let decoder = match codec {
            "vp9" => "libvpx-vp9",
            "vp8" => "libvpx",
            _ => return None,
        };
        (alpha_mode && self.has_decoder(decoder)).then_some(decoder)
    }

    fn describe(&self, path: &Path, stop: &Stop) -> Result<(InputLines, Vec<CrcHeader>), MediaError> {
        let mut start = Start::new(self.program(), "probe", stop, STALL);
        start.log_bytes = PROBE_BYTES;
        start.args = common("verbose");
        start.args.push("-copyts".into());
        start.args.extend(input_file(path)?);
        start
            .args
            .extend(["-ignore_unknown", "-map", "0", "-c", "copy", "-f", "framecrc", "pipe:1"].map(Into::into));
        let mut child = start.spawn()?;
        let mut headers = String::new();
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout.take(PROBE_BYTES as u64));
            let mut line = Vec::new();
            // The headers are all that is needed: at the first packet the child is ended.
            loop {
                line.clear();
                match lines.read_until(b'\n', &mut line) {
                    Ok(0) => break,
                    Ok(_) if line.first() != Some(&b'#') => break,
                    Ok(_) => headers.push_str(&String::from_utf8_lossy(&line)),
                    Err(error) => return Err(child.failure(&error)),
                }
            }
        }
        if stop.is_stopped() {
            return Err(MediaError::Stopped);
        }
        if headers.is_empty() {
            // Nothing was written: the whole of its words is needed.
            child.finish()?;
        } else {
            child.kill();
        }
        let log = child.log_text();
        let lines = input_lines(&log);
        if lines.streams.is_empty() {
            return Err(MediaError::InputUnreadable {
                path: path.to_path_buf(),
                cause: reason(&log),
            });
        }
        Ok((lines, crc_headers(&headers)))
    }

    fn first_frame(
        &self,
        path: &Path,
        stream: Option<usize>,
        decoder: Option<&'static str>,
        stop: &Stop,
    ) -> Result<(FirstFrame, String), MediaError> {
        let mut start = Start::new(self.program(), "probe", stop, STALL);
        start.log_bytes = PROBE_BYTES;
        start.args = common("info");
        start.args.push("-copyts".into());
        if let Some(decoder) = decoder {
            start.args.extend(["-c:v", decoder].map(Into::into));
        }
        start.args.extend(input_file(path)?);
        if let Some(index) = stream {
            start.args.extend(["-map".into(), format!("0:{index}").into()]);
            start
                .args
                .extend(["-vf", "showinfo", "-frames:v", "1", "-f", "null", "-"].map(Into::into));
        }
        start.args.extend(
            [
                "-map_metadata",
                "0",
                "-map_chapters",
                "0",
                "-fflags",
                "+bitexact",
                "-f",
                "ffmetadata",
                "pipe:1",
            ]
            .map(Into::into),
        );
        let captured = start.capture(PROBE_BYTES)?;
        Ok((
            first_frame(&captured.log),
            String::from_utf8_lossy(&captured.stdout).into_owned(),
        ))
    }
}

/// 1/`den` seconds.
fn base(den: i64) -> Rational {
    Rational::from_wide(1, i128::from(den)).unwrap_or(Rational::ONE)
}

/// What the lines for people say of the container.
pub(crate) fn described(path: &Path, lines: &InputLines, headers: &[CrcHeader]) -> MediaInfo {
    MediaInfo {
        path: path.to_path_buf(),
        container: lines.container.clone(),
        duration: lines.duration.map(|ticks| Timestamp::new(ticks, base(100))),
        start: lines.start.map(|ticks| Timestamp::new(ticks, base(1_000_000))),
        streams: streams(lines, headers),
        chapters: Vec::new(),
        metadata: Vec::new(),
    }
}

/// Adds to every video stream what its line says, and to the main one what its first frame says.
pub(crate) fn with_first_frame(info: &mut MediaInfo, lines: &InputLines, main: Option<usize>, frame: &FirstFrame) {
    for stream in &mut info.streams {
        let line = lines.streams.iter().find(|line| line.index == stream.index);
        let main = main == Some(stream.index);
        if let (StreamKind::Video(facts), Some(line)) = (&mut stream.kind, line) {
            refine(facts, line, main.then_some(frame));
            if main {
                facts.first_pts = frame.pts.map(|ticks| Timestamp::new(ticks, stream.time_base));
            }
        }
    }
}

/// The line that says why nothing was found.
fn reason(log: &str) -> String {
    let lines = last_lines(log);
    let line = ["moov atom", "not on whitelist"]
        .iter()
        .find_map(|telling| lines.lines().find(|line| line.contains(telling)))
        .or_else(|| lines.lines().rev().find(|line| line.contains("Invalid")))
        .or_else(|| lines.lines().last())
        .unwrap_or("no media was found in it");
    // Without the demuxer and its address.
    line.rsplit_once("] ").map_or(line, |(_, text)| text).to_owned()
}

fn streams(lines: &InputLines, headers: &[CrcHeader]) -> Vec<Stream> {
    lines
        .streams
        .iter()
        .map(|line| {
            let header = lines
                .mapping
                .iter()
                .position(|from| *from == line.index)
                .and_then(|at| headers.get(at))
                .cloned()
                .unwrap_or_default();
            let mut tags = line.tags.clone();
            if let Some(language) = &line.language {
                tags.insert(0, ("language".to_owned(), language.clone()));
            }
            let codec = if header.codec.is_empty() {
                line.fields
                    .first()
                    .and_then(|field| field.split_whitespace().next())
                    .unwrap_or("none")
                    .to_owned()
            } else {
                header.codec.clone()
            };
            let alpha_mode = tags
                .iter()
                .any(|(key, value)| key.eq_ignore_ascii_case("alpha_mode") && value == "1");
            let attached = line.dispositions.iter().any(|name| name == "attached_pic");
            Stream {
                index: line.index,
                time_base: header.base.unwrap_or(base(90_000)),
                kind: kind(line, &header, &codec, alpha_mode, attached),
                codec,
                tags,
                dispositions: line.dispositions.clone(),
            }
        })
        .collect()
}

fn kind(line: &StreamLine, header: &CrcHeader, codec: &str, alpha_mode: bool, attached: bool) -> StreamKind {
    match line.kind.as_str() {
        "Video" => {
            let picture = line.picture();
            let (width, height) = picture
                .as_ref()
                .map(|(_, _, width, height)| (*width, *height))
                .or(header.dimensions)
                .unwrap_or((0, 0));
            let source_format = picture.map_or_else(|| "unknown".to_owned(), |(format, ..)| format);
            let mut format = carried_format(&source_format);
            format.alpha |= alpha_mode && matches!(codec, "vp8" | "vp9");
            StreamKind::Video(Box::new(VideoFacts {
                size: Size::new(width, height),
                source_format,
                format,
                frame_rate: None,
                sample_aspect: None,
                field_order: FieldOrder::Unknown,
                color: ColorSpec::default(),
                range_stated: false,
                first_pts: None,
                side_data: SideData::default(),
                rotation: 0,
                alpha_mode,
                stated_frames: None,
                attached_picture: attached,
            }))
        }
        "Audio" => StreamKind::Audio {
            sample_rate_hz: header.sample_rate_hz,
            layout: header.layout.clone(),
        },
        "Subtitle" => StreamKind::Subtitle {
            bitmap: BITMAP_SUBTITLES.contains(&codec),
        },
        "Attachment" => StreamKind::Attachment,
        _ => StreamKind::Data,
    }
}

/// Fills in what the stream's line and, for the main stream, its first frame say.
fn refine(facts: &mut VideoFacts, line: &StreamLine, frame: Option<&FirstFrame>) {
    let (source, words) = line
        .picture()
        .map(|(format, words, ..)| (format, words))
        .unwrap_or_default();
    facts.rotation = quarter_turns(line.rotation.unwrap_or(0.0));
    let turned = facts.rotation % 180 == 90;
    if turned {
        facts.size = Size::new(facts.size.height, facts.size.width);
    }
    // A container's own aspect, which counts more, stands in a field of its own.
    let aspect = line
        .fields
        .iter()
        .find_map(|field| field.strip_prefix("SAR "))
        .or_else(|| {
            line.fields
                .iter()
                .find_map(|field| field.split_once("[SAR ").map(|(_, text)| text))
        })
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .filter(|aspect: &Rational| aspect.num() > 0);
    facts.sample_aspect = aspect.and_then(|sar| if turned { sar.inverse() } else { Some(sar) });
    facts.field_order = words
        .iter()
        .find_map(|word| match word.as_str() {
            "progressive" => Some(FieldOrder::Progressive),
            "top first" | "bottom coded first (swapped)" | "bottom coded first (swapped" => Some(FieldOrder::TopFirst),
            "bottom first" | "top coded first (swapped)" | "top coded first (swapped" => Some(FieldOrder::BottomFirst),
            _ => None,
        })
        .unwrap_or_default();
    let range = words.iter().find(|word| matches!(word.as_str(), "tv" | "pc")).cloned();
    let names = words.iter().find(|word| word.contains('/')).cloned().or_else(|| {
        words
            .iter()
            .find(|word| color::transfer(word).0 != 2 && color::chroma(word).is_none())
            .cloned()
    });
    let mut names = names
        .as_deref()
        .map(|names| names.split('/').map(str::to_owned).collect::<Vec<_>>())
        .unwrap_or_default();
    if names.len() == 1 {
        names = vec![names[0].clone(); 3];
    }
    let mut chroma = words.iter().find_map(|word| color::chroma(word));
    let mut stated = (
        range,
        names.first().cloned(),
        names.get(1).cloned(),
        names.get(2).cloned(),
    );
    if let Some(frame) = frame.filter(|frame| frame.format.is_some()) {
        facts.frame_rate = frame.frame_rate;
        facts.side_data = SideData {
            mastering: frame.mastering,
            content_light: frame.content_light,
        };
        stated = (
            frame.range.clone(),
            frame.matrix.clone(),
            frame.primaries.clone(),
            frame.transfer.clone(),
        );
        chroma = chroma.or_else(|| frame.chroma.as_deref().and_then(color::chroma));
        if let Some((width, height)) = frame.size {
            facts.size = Size::new(width, height);
        }
        if facts.field_order == FieldOrder::Unknown {
            facts.field_order = match frame.interlace {
                Some('T') => FieldOrder::TopFirst,
                Some('B') => FieldOrder::BottomFirst,
                _ => FieldOrder::Unknown,
            };
        }
    }
    let (range, matrix, primaries, transfer) = stated;
    apply_color(
        facts,
        &source,
        &Stated {
            range: range.as_deref(),
            matrix: matrix.as_deref(),
            primaries: primaries.as_deref(),
            transfer: transfer.as_deref(),
            chroma,
        },
    );
}

/// Clockwise degrees of a counter-clockwise angle that is a multiple of 90; any other is left to FFmpeg and the size stays.
fn quarter_turns(counter_clockwise: f64) -> u32 {
    let quarter = (-counter_clockwise / 90.0).round();
    if (counter_clockwise + quarter * 90.0).abs() < 0.5 {
        (quarter as i64).rem_euclid(4) as u32 * 90
    } else {
        0
    }
}

/// Colour in FFmpeg's words.
pub(crate) struct Stated<'a> {
    pub(crate) range: Option<&'a str>,
    pub(crate) matrix: Option<&'a str>,
    pub(crate) primaries: Option<&'a str>,
    pub(crate) transfer: Option<&'a str>,
    pub(crate) chroma: Option<ChromaLocation>,
}

/// Sets the colour of a stream from what it states and from what its format means.
pub(crate) fn apply_color(facts: &mut VideoFacts, source_format: &str, stated: &Stated<'_>) {
    let rgb = matches!(facts.format.model, ColorModel::Rgb | ColorModel::Gbr);
    let full = rgb || source_format.starts_with("yuvj");
    let range = match stated.range {
        Some("tv" | "mpeg" | "limited") if !rgb => Some(ColorRange::Limited),
        Some("pc" | "jpeg" | "full") => Some(ColorRange::Full),
        _ => None,
    };
    facts.range_stated = range.is_some() || source_format.starts_with("yuvj");
    let default = if full { ColorRange::Full } else { ColorRange::Limited };
    let matrix = stated.matrix.map(color::matrix).unwrap_or_default();
    facts.color = ColorSpec {
        matrix: if rgb { kinora_frame::Matrix::Identity } else { matrix },
        primaries: color::primaries(stated.primaries.unwrap_or_default()),
        transfer: color::transfer(stated.transfer.unwrap_or_default()),
        range: if source_format.starts_with("yuvj") {
            ColorRange::Full
        } else {
            range.unwrap_or(default)
        },
        chroma: stated
            .chroma
            .unwrap_or_else(|| default_chroma(facts.format, source_format)),
    };
}

fn default_chroma(format: PixelFormat, source_format: &str) -> ChromaLocation {
    if source_format.starts_with("yuvj") || !format.is_yuv() {
        ChromaLocation::Center
    } else {
        ChromaLocation::Left
    }
}
