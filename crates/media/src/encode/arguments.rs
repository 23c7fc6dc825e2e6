//! The encoder's command line, from a plan that was checked first.

use std::{ffi::OsString, path::Path};

use kinora_frame::{ChromaLocation, ColorModel, ColorRange, ColorSpec, PixelFormat, Size};

use super::{
    EncodeSettings, Note, Quality, VideoFormat,
    choice::{check_encoder, check_settings, choose},
    container::{Container, Kept, check_codec, kept_streams},
    presets::{EncoderPreset, HdrParameters},
    stored::{adjusted, pixel_format},
};
use crate::{
    Ffmpeg, MediaError, MediaInfo, Stream,
    clock::Lead,
    ffmpeg::{common, file_url, input_file},
    probe::{color, facts::carried_format},
};

/// Tags of a video stream that describe the old encoding, not the picture.
const STALE_TAGS: [&str; 9] = [
    "encoder",
    "duration",
    "handler_name",
    "vendor_id",
    "rotate",
    "alpha_mode",
    "bps",
    "number_of_frames",
    "number_of_bytes",
];

/// Where the pictures come from.
#[derive(Debug)]
pub(super) enum Input<'a> {
    /// Raw pictures on stdin, to be encoded.
    Pipe,
    /// Encoded pieces, to be copied.
    Pieces {
        /// FFmpeg's list of them.
        list: &'a Path,
        /// Time of the first, seconds as a decimal.
        offset: &'a str,
    },
}

/// FFmpeg's options that would change what kinora promises about an output.
const OWN_OPTIONS: [&str; 34] = [
    "s",
    "aspect",
    "r",
    "fps_mode",
    "vsync",
    "enc_time_base",
    "copyts",
    "t",
    "to",
    "ss",
    "sseof",
    "itsoffset",
    "frames",
    "vframes",
    "vf",
    "filter",
    "filter_complex",
    "lavfi",
    "map",
    "i",
    "f",
    "y",
    "n",
    "vn",
    "an",
    "sn",
    "dn",
    "c",
    "codec",
    "pix_fmt",
    "pass",
    "passlogfile",
    "report",
    "vcodec",
];

/// Everything about an output that is decided before it is started.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    video: &'a VideoFormat,
    source: Option<&'a MediaInfo>,
    settings: &'a EncodeSettings,
    container: Container,
    preset: &'static EncoderPreset,
    pixel_format: String,
    size: Size,
    kept: Vec<Kept>,
    /// Seconds by which all times are moved, as a decimal.
    moved: Option<String>,
    pub(super) notes: Vec<Note>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        ffmpeg: &Ffmpeg,
        output: &Path,
        video: &'a VideoFormat,
        source: Option<&'a MediaInfo>,
        settings: &'a EncodeSettings,
    ) -> Result<Self, MediaError> {
        let container = container_of(output)?;
        let preset = choose(ffmpeg, container, video, settings)?;
        check_codec(container, preset)?;
        check_encoder(ffmpeg, preset)?;
        Self::with_preset(preset, output, video, source, settings)
    }

    /// The plan of one encoder, whether this FFmpeg has it or not.
    pub(super) fn with_preset(
        preset: &'static EncoderPreset,
        output: &Path,
        video: &'a VideoFormat,
        source: Option<&'a MediaInfo>,
        settings: &'a EncodeSettings,
    ) -> Result<Self, MediaError> {
        let container = container_of(output)?;
        check_settings(preset, settings)?;
        let mut notes = Vec::new();
        let pixel_format = pixel_format(preset, video, settings, &mut notes)?;
        let size = adjusted(preset, &pixel_format, video.size, settings.odd_size);
        if size != video.size {
            notes.push(Note::SizeAdjusted {
                from: video.size,
                to: size,
            });
        }
        let mut kept = Vec::new();
        if let Some(source) = source {
            let main = source.video().map_or(usize::MAX, |(stream, _)| stream.index);
            kept = kept_streams(container, source, main, settings.audio, settings.subtitles, &mut notes)?;
            for stream in kept.iter().filter(|stream| stream.codec != "copy") {
                notes.push(Note::StreamConverted {
                    index: stream.index,
                    from: source
                        .streams
                        .get(stream.index)
                        .map(|stream| stream.codec.clone())
                        .unwrap_or_default(),
                    to: stream.codec,
                });
            }
        }
        let moved = source.and_then(|source| moved(container, source));
        if let Some(by) = &moved {
            notes.push(Note::TimesMoved {
                seconds: by.clone(),
                container: container.title(),
            });
        }
        let hdr = video.side_data.mastering.is_some() || video.side_data.content_light.is_some();
        if hdr && preset.hdr == HdrParameters::None {
            notes.push(Note::HdrLost { encoder: preset.name });
        }
        let changes_promises = |key: &str| {
            let stem = key.split(':').next().unwrap_or_default().to_ascii_lowercase();
            OWN_OPTIONS.contains(&stem.as_str()) || stem.starts_with("filter")
        };
        if let Some((key, _)) = settings.options.iter().find(|(key, _)| changes_promises(key)) {
            return Err(MediaError::Setting {
                name: "an encoder option",
                expected: "one of the encoder's own: size, filters, times and streams have flags of their own"
                    .to_owned(),
                found: key.clone(),
            });
        }
        Ok(Self {
            video,
            source,
            settings,
            container,
            preset,
            pixel_format,
            size,
            kept,
            moved,
            notes,
        })
    }

    /// Name of the encoder preset.
    pub(super) fn preset_name(&self) -> &'static str {
        self.preset.name
    }

    /// Pixel format of the file.
    pub(super) fn pixel_format(&self) -> &str {
        &self.pixel_format
    }

    /// True where a frame before zero would be lost.
    pub(super) fn refuses_times_before_zero(&self) -> bool {
        self.moved.is_none() && self.container.starts_at_zero()
    }

    /// Size of the pictures on the pipe: padding is done before it, cutting after.
    pub(super) fn piped_size(&self) -> Size {
        Size::new(
            self.size.width.max(self.video.size.width),
            self.size.height.max(self.video.size.height),
        )
    }

    pub(super) fn arguments(&self, input: &Input<'_>, part: &Path, lead: Lead) -> Result<Vec<OsString>, MediaError> {
        let mut args = common("warning");
        let mut add = |words: &[&str]| args.extend(words.iter().map(OsString::from));
        add(&["-y"]);
        match input {
            Input::Pipe => {
                add(self.preset.device);
                add(&["-copyts", "-itsoffset", &format!("-{}", lead.seconds)]);
                add(&[
                    "-protocol_whitelist",
                    "pipe",
                    "-format_whitelist",
                    "nut",
                    "-f",
                    "nut",
                    "-i",
                    "pipe:0",
                ]);
            }
            Input::Pieces { list, offset } => {
                add(&["-copyts", "-itsoffset", offset, "-protocol_whitelist", "file"]);
                add(&["-format_whitelist", "concat,nut", "-f", "concat", "-safe", "0", "-i"]);
                args.push(file_url(list)?);
            }
        }
        if let Some(source) = self.source {
            if let Some((from, to)) = self.settings.part {
                // Absolute times, as the pictures have them.
                let times = [
                    "-seek_timestamp",
                    "1",
                    "-ss",
                    &from.decimal_micros(),
                    "-to",
                    &to.decimal_micros(),
                ];
                args.extend(times.map(OsString::from));
            }
            args.extend(input_file(&source.path)?);
        }
        let mut add = |words: &[&str]| args.extend(words.iter().map(OsString::from));
        add(&["-map", "0:v:0"]);
        for stream in &self.kept {
            add(&["-map", &format!("1:{}", stream.index)]);
        }
        if self.settings.part.is_some() {
            // The seek lands on a packet before the part; what lies between is not wanted.
            add(&["-copypriorss", "0"]);
        }
        if self.source.is_some() {
            add(&["-map_metadata", "1", "-map_chapters", "1"]);
            // Facts of the old container, not of the work.
            add(&[
                "-metadata",
                "major_brand=",
                "-metadata",
                "minor_version=",
                "-metadata",
                "compatible_brands=",
            ]);
        }
        self.streams(&mut add);
        if matches!(input, Input::Pipe) {
            self.picture(&mut add);
            self.quality(&mut add);
        } else {
            add(&["-c:v:0", "copy"]);
        }
        self.color(&mut add);
        self.described(&mut add);
        self.container(&mut add);
        args.push(file_url(part)?);
        Ok(args)
    }

    fn streams(&self, add: &mut impl FnMut(&[&str])) {
        let mut counts = std::collections::BTreeMap::from([('v', 1usize)]);
        for stream in &self.kept {
            let at = counts.entry(stream.class).or_insert(0);
            add(&[&format!("-c:{}:{at}", stream.class), stream.codec]);
            if stream.class == 'v' {
                add(&[&format!("-disposition:v:{at}"), "attached_pic"]);
            }
            *at += 1;
        }
    }

    fn picture(&self, add: &mut impl FnMut(&[&str])) {
        let base = self.video.time_base;
        add(&["-c:v:0", self.preset.encoder]);
        add(&[
            "-fps_mode:v:0",
            "passthrough",
            "-enc_time_base:v:0",
            &format!("{}/{}", base.num(), base.den()),
        ]);
        add(&["-filter:v:0", &self.filters()]);
        if !self.preset.filters.contains(&"hwupload") && self.container != Container::Gif {
            add(&["-pix_fmt:v:0", &self.pixel_format]);
        }
    }

    fn stored_color(&self) -> ColorSpec {
        let mut color = self.video.output_color;
        let stored = carried_format(&self.pixel_format);
        if !stored.is_yuv() && stored.model != ColorModel::Gray {
            color.matrix = kinora_frame::Matrix::Identity;
            color.range = ColorRange::Full;
        } else if color.matrix == kinora_frame::Matrix::Identity && stored.is_yuv() {
            color.matrix = ColorSpec {
                matrix: kinora_frame::Matrix::Unspecified,
                ..color
            }
            .resolved_matrix(self.size.height);
        }
        if !self.video.format.is_yuv()
            && stored.is_yuv()
            && color.range == ColorRange::Full
            && self.video.color == self.video.output_color
        {
            // RGB frames without another wish: video range, as players expect.
            color.range = ColorRange::Limited;
        }
        color
    }

    fn filters(&self) -> String {
        let input = self.video.color;
        let output = self.stored_color();
        let stored = carried_format(&self.pixel_format);
        let mut filters = Vec::new();
        let mut first = input;
        if self.video.format.is_yuv() != stored.is_yuv() {
            first.matrix = input.resolved_matrix(self.video.size.height);
        }
        filters.push(setparams(first));
        let piped = self.piped_size();
        if self.size != piped {
            filters.push(format!("crop={}:{}:0:0:exact=1", self.size.width, self.size.height));
        }
        if self.pixel_format != self.video.format.name() || input.range != output.range {
            let mut scale = format!(
                "scale=in_range={}:out_range={}",
                range(input.range),
                range(output.range)
            );
            if !self.video.format.is_yuv() && stored.is_yuv() {
                scale.push_str(&format!(":out_color_matrix={}", color::scale_matrix(output.matrix)));
            } else if self.video.format.is_yuv() && !stored.is_yuv() {
                scale.push_str(&format!(":in_color_matrix={}", color::scale_matrix(first.matrix)));
            }
            scale.push_str(":flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp");
            filters.push(scale);
        }
        filters.push(format!("format={}", self.pixel_format));
        if stored.is_yuv() || stored.model == ColorModel::Gray {
            filters.push(setparams(output));
        }
        filters.extend(self.preset.filters.iter().map(|filter| (*filter).to_owned()));
        filters.join(",")
    }

    fn color(&self, add: &mut impl FnMut(&[&str])) {
        let color = self.stored_color();
        let stored = carried_format(&self.pixel_format);
        if !stored.is_yuv() {
            return;
        }
        add(&[
            "-color_range:v:0",
            if color.range == ColorRange::Full { "pc" } else { "tv" },
        ]);
        if let Some(name) = color::matrix_name(color.matrix) {
            add(&["-colorspace:v:0", name]);
        }
        if let Some(name) = color::transfer_name(color.transfer) {
            add(&["-color_trc:v:0", name]);
        }
        if let Some(name) = color::primaries_name(color.primaries) {
            add(&["-color_primaries:v:0", name]);
        }
        if color.chroma != ChromaLocation::Left {
            add(&["-chroma_sample_location:v:0", color::chroma_name(color.chroma)]);
        }
    }

    fn quality(&self, add: &mut impl FnMut(&[&str])) {
        let settings = self.settings;
        add(self.preset.always);
        match (settings.bitrate, self.preset.quality) {
            (Some(rate), _) => add(&["-b:v:0", &rate.to_string()]),
            (None, Quality::Flag { flag, usual, .. }) => {
                let usual = if self.preset.encoder == "prores_ks" && settings.crf.is_none() {
                    None
                } else {
                    Some(usual)
                };
                if let Some(number) = settings.crf.or(usual) {
                    add(&[flag, &number.to_string()]);
                }
                if flag == "-crf" && self.preset.encoder.starts_with("libvpx") || flag == "-cq" {
                    add(&["-b:v:0", "0"]);
                }
            }
            (None, Quality::None) => {}
        }
        if let Some((flag, usual)) = self.preset.speed {
            add(&[flag, settings.encoder_preset.as_deref().unwrap_or(usual)]);
        }
        if let Some(threads) = settings.threads {
            add(&["-threads:v:0", &threads.to_string()]);
        }
        let parameters = self.parameters();
        if let (Some(flag), false) = (self.preset.parameters, parameters.is_empty()) {
            add(&[flag, &parameters.join(":")]);
        }
        for (key, value) in &settings.options {
            if self.preset.parameters.map(|flag| flag.trim_start_matches('-')) != Some(key.as_str()) {
                add(&[&format!("-{key}"), value]);
            }
        }
    }

    /// The encoder's own parameters: HDR10, threads, silence, and what the user adds.
    fn parameters(&self) -> Vec<String> {
        let mut found = Vec::new();
        match self.preset.hdr {
            HdrParameters::X265 => {
                found.push("log-level=error".to_owned());
                if let Some(threads) = self.settings.threads {
                    found.push(format!("pools={threads}"));
                }
                found.extend(super::hdr::x265(&self.video.side_data));
            }
            HdrParameters::SvtAv1 => {
                if let Some(threads) = self.settings.threads {
                    found.push(format!("lp={threads}"));
                }
                found.extend(super::hdr::svt_av1(&self.video.side_data));
            }
            HdrParameters::None => {}
        }
        let own = self.preset.parameters.map(|flag| flag.trim_start_matches('-'));
        found.extend(
            self.settings
                .options
                .iter()
                .filter(|(key, _)| Some(key.as_str()) == own)
                .map(|(_, value)| value.clone()),
        );
        found
    }

    fn described(&self, add: &mut impl FnMut(&[&str])) {
        if let Some((stream, _)) = self.source.and_then(MediaInfo::video) {
            for (key, value) in &stream.tags {
                let name = key.to_ascii_lowercase();
                if !STALE_TAGS.contains(&name.as_str()) && !name.starts_with("_statistics") {
                    add(&["-metadata:s:v:0", &format!("{key}={value}")]);
                }
            }
            add(&["-disposition:v:0", &dispositions(stream)]);
        }
        for (key, value) in self.metadata() {
            add(&["-metadata", &format!("{key}={value}")]);
        }
    }

    /// Added metadata; MP4 has no free keys, so there it goes into the comment.
    fn metadata(&self) -> Vec<(String, String)> {
        let added = &self.settings.metadata;
        if added.is_empty() || !matches!(self.container, Container::Mp4 | Container::Mov) {
            return added.clone();
        }
        let old = self
            .source
            .and_then(|source| source.metadata.iter().find(|(key, _)| key == "comment"));
        let lines: Vec<String> = old
            .map(|(_, value)| value.clone())
            .into_iter()
            .chain(added.iter().map(|(key, value)| format!("{key}={value}")))
            .collect();
        vec![("comment".to_owned(), lines.join("\n"))]
    }

    fn container(&self, add: &mut impl FnMut(&[&str])) {
        if let Some(by) = &self.moved {
            add(&["-output_ts_offset", by]);
        }
        let den = self.video.time_base.den();
        match self.container {
            Container::Mp4 | Container::Mov => {
                if i32::try_from(den).is_ok() {
                    // The movie's own clock as well: with its usual milliseconds a late start would be rounded to them.
                    add(&[
                        "-video_track_timescale",
                        &den.to_string(),
                        "-movie_timescale",
                        &den.to_string(),
                    ]);
                }
                add(&["-movflags", "+faststart+write_colr"]);
            }
            Container::MpegTs => add(&["-muxdelay", "0", "-muxpreload", "0"]),
            Container::Gif => add(&["-loop", "0"]),
            _ => {}
        }
        add(&[
            "-avoid_negative_ts",
            "disabled",
            "-max_muxing_queue_size",
            "4096",
            "-f",
            self.container.muxer(),
        ]);
    }
}

/// The container that the output's name asks for.
fn container_of(output: &Path) -> Result<Container, MediaError> {
    Container::of(output).ok_or_else(|| MediaError::Setting {
        name: "the output's extension",
        expected: "mkv, mp4, mov, webm, ts, nut, gif or webp".to_owned(),
        found: output.extension().unwrap_or_default().to_string_lossy().into_owned(),
    })
}

/// By how much all times must be moved for a container that has none before zero. A little sound before zero is the
/// priming of its codec, which players know.
fn moved(container: Container, source: &MediaInfo) -> Option<String> {
    if !container.starts_at_zero() {
        return None;
    }
    let picture = source
        .video()
        .and_then(|(_, facts)| facts.first_pts)
        .filter(|pts| pts.ticks < 0);
    let sound = source
        .start
        .filter(|start| start.seconds() < -0.1 && !matches!(container, Container::Mp4 | Container::Mov));
    let first = match (picture, sound) {
        (Some(picture), Some(sound)) => picture.min(sound),
        (Some(first), None) | (None, Some(first)) => first,
        (None, None) => return None,
    };
    let before = kinora_frame::Timestamp::new(first.ticks.checked_neg()?, first.base);
    Some(before.decimal_micros())
}

fn dispositions(stream: &Stream) -> String {
    if stream.dispositions.is_empty() {
        "0".to_owned()
    } else {
        stream.dispositions.join("+")
    }
}

fn setparams(color: ColorSpec) -> String {
    let mut text = format!("setparams=range={}", range(color.range));
    if let Some(name) = color::primaries_name(color.primaries) {
        text.push_str(&format!(":color_primaries={name}"));
    }
    if let Some(name) = color::transfer_name(color.transfer) {
        text.push_str(&format!(":color_trc={name}"));
    }
    if let Some(name) = color::matrix_name(color.matrix) {
        text.push_str(&format!(":colorspace={name}"));
    }
    text
}

const fn range(range: ColorRange) -> &'static str {
    match range {
        ColorRange::Limited => "limited",
        ColorRange::Full => "full",
    }
}

/// The four-letter code by which NUT names a raw pixel format: FFmpeg's table of them.
pub(super) fn fourcc(format: PixelFormat) -> Result<[u8; 4], MediaError> {
    super::fourcc::of(format)
}
