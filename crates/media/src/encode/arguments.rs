//! The encoder's command line, from a plan that was checked first.

use std::{ffi::OsString, path::Path};

use kinora_frame::{ChromaLocation, ColorModel, ColorRange, ColorSpec, PixelFormat, Size};

use super::{
    EncodeSettings, Note, OddSize, Quality, VideoFormat,
    container::{Container, Kept, check_codec, kept_streams},
    presets::{self, EncoderPreset, HdrParameters},
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
        let container = Container::of(output).ok_or_else(|| MediaError::Setting {
            name: "the output's extension",
            expected: "mkv, mp4, mov, webm, ts, nut, gif or webp".to_owned(),
            found: output.extension().unwrap_or_default().to_string_lossy().into_owned(),
        })?;
        let preset = choose(ffmpeg, container, video, settings)?;
        check_codec(container, preset)?;
        check_encoder(ffmpeg, preset)?;
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

    /// Size of the pictures on the pipe: padding is done before it, cutting after.
    pub(super) fn piped_size(&self) -> Size {
        Size::new(
            self.size.width.max(self.video.size.width),
            self.size.height.max(self.video.size.height),
        )
    }

    pub(super) fn arguments(&self, part: &Path, lead: Lead) -> Result<Vec<OsString>, MediaError> {
        let mut args = common("warning");
        let mut add = |words: &[&str]| args.extend(words.iter().map(OsString::from));
        add(&["-y"]);
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
        if let Some(source) = self.source {
            args.extend(input_file(&source.path)?);
        }
        let mut add = |words: &[&str]| args.extend(words.iter().map(OsString::from));
        add(&["-map", "0:v:0"]);
        for stream in &self.kept {
            add(&["-map", &format!("1:{}", stream.index)]);
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
        self.picture(&mut add);
        self.color(&mut add);
        self.quality(&mut add);
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
        let stored = carried_format(&self.pixel_format).0;
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
        let stored = carried_format(&self.pixel_format).0;
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
                scale.push_str(&format!(":out_color_matrix={}", scale_matrix(output)));
            } else if self.video.format.is_yuv() && !stored.is_yuv() {
                scale.push_str(&format!(":in_color_matrix={}", scale_matrix(first)));
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
        let stored = carried_format(&self.pixel_format).0;
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
                    add(&["-video_track_timescale", &den.to_string()]);
                }
                add(&["-movflags", "+faststart+write_colr"]);
            }
            Container::MpegTs => add(&["-muxdelay", "0", "-muxpreload", "0"]),
            Container::Nut => add(&["-write_index", "0"]),
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

fn choose(
    ffmpeg: &Ffmpeg,
    container: Container,
    video: &VideoFormat,
    settings: &EncodeSettings,
) -> Result<&'static EncoderPreset, MediaError> {
    if let Some(name) = &settings.codec {
        return presets::find(name).ok_or_else(|| MediaError::Setting {
            name: "codec",
            expected: presets::ALL
                .iter()
                .map(|preset| preset.name)
                .collect::<Vec<_>>()
                .join(", "),
            found: name.clone(),
        });
    }
    let deep = video.format.bits > 8 && ffmpeg.has_encoder("libx265");
    let name = match container {
        Container::WebM => "vp9",
        Container::Gif => "gif",
        Container::WebP => "webp",
        Container::Mov if video.format.alpha => "prores",
        Container::Matroska | Container::Nut if video.format.alpha => "ffv1",
        _ if deep => "h265",
        _ => "h264",
    };
    presets::find(name).ok_or_else(|| MediaError::EncoderMissing {
        encoder: name.to_owned(),
        alternatives: Vec::new(),
    })
}

fn check_encoder(ffmpeg: &Ffmpeg, preset: &EncoderPreset) -> Result<(), MediaError> {
    if ffmpeg.has_encoder(preset.encoder) {
        return Ok(());
    }
    let same = presets::ALL
        .iter()
        .filter(|other| other.codec == preset.codec && ffmpeg.has_encoder(other.encoder));
    Err(MediaError::EncoderMissing {
        encoder: preset.encoder.to_owned(),
        alternatives: same.map(|other| other.name.to_owned()).collect(),
    })
}

fn check_settings(preset: &EncoderPreset, settings: &EncodeSettings) -> Result<(), MediaError> {
    let refuse = |name, expected: String, found: String| Err(MediaError::Setting { name, expected, found });
    match (settings.crf, preset.quality) {
        (Some(crf), Quality::Flag { least, most, .. }) if !(least..=most).contains(&crf) => {
            return refuse("crf", format!("{least} to {most} for {}", preset.name), crf.to_string());
        }
        (Some(crf), Quality::None) => {
            return refuse(
                "crf",
                format!("left out: {} has no quality setting", preset.name),
                crf.to_string(),
            );
        }
        _ => {}
    }
    if let Some(rate) = settings.bitrate {
        if !preset.bitrate || rate == 0 {
            return refuse(
                "bitrate",
                format!("above 0, and left out for encoders without one ({})", preset.name),
                rate.to_string(),
            );
        }
        if settings.crf.is_some() {
            return refuse("bitrate", "left out where crf is given".to_owned(), rate.to_string());
        }
    }
    if let (Some(speed), None) = (&settings.encoder_preset, preset.speed) {
        return refuse(
            "encoder preset",
            format!("left out: {} has none", preset.name),
            speed.clone(),
        );
    }
    for (key, _) in &settings.options {
        let plain = key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':'));
        // These would change what kinora promises about the file: where it is, its streams, its times.
        let ours = [
            "i",
            "f",
            "y",
            "map",
            "c",
            "codec",
            "vf",
            "filter",
            "filter_complex",
            "ss",
            "t",
            "to",
            "r",
            "vsync",
            "fps_mode",
        ];
        let stem = key.split(':').next().unwrap_or_default();
        if !plain || key.starts_with('-') || ours.contains(&stem) || stem.starts_with("filter") {
            return refuse(
                "encoder option",
                "an option of the encoder, as FFmpeg names it without the dash".to_owned(),
                key.clone(),
            );
        }
    }
    Ok(())
}

/// The encoder's format that keeps most of the frames' own, or the one that was asked for.
fn pixel_format(
    preset: &EncoderPreset,
    video: &VideoFormat,
    settings: &EncodeSettings,
    notes: &mut Vec<Note>,
) -> Result<String, MediaError> {
    let from = video.format;
    let chosen = match &settings.pixel_format {
        Some(name) => preset
            .formats
            .iter()
            .find(|known| known.trim_end_matches("le") == name.trim_end_matches("le"))
            .ok_or_else(|| MediaError::Setting {
                name: "pixel format",
                expected: format!("one that {} takes: {}", preset.name, preset.formats.join(", ")),
                found: name.clone(),
            })?,
        None => {
            let full_chroma = preset.even_sides
                && settings.odd_size == OddSize::FullChroma
                && (video.size.width % 2 == 1 || video.size.height % 2 == 1);
            let best = preset.formats.iter().min_by_key(|name| {
                let to = carried_format(name).0;
                (
                    full_chroma && to.is_yuv() && to.model != ColorModel::Yuv444,
                    loss(from, to),
                )
            });
            best.copied().unwrap_or(&"yuv420p")
        }
    };
    let to = carried_format(chosen).0;
    if to != from {
        let (lost, ..) = loss(from, to);
        notes.push(Note::FormatConverted {
            from: from.name(),
            to: (*chosen).to_owned(),
            lossy: lost > 0,
        });
    }
    Ok((*chosen).to_owned())
}

/// What is lost on the way from one format to another, and what is wasted; less is better.
fn loss(from: PixelFormat, to: PixelFormat) -> (u32, bool, u32) {
    let chroma = |format: PixelFormat| match format.model {
        ColorModel::Gray => 0u32,
        ColorModel::Yuv420 => 1,
        ColorModel::Yuv422 => 2,
        ColorModel::Yuv444 | ColorModel::Gbr | ColorModel::Rgb => 3,
    };
    // Video is stored with halved chroma unless the frames have more than RGB's by accident.
    let wanted = if from.is_yuv() || from.model == ColorModel::Gray {
        chroma(from)
    } else {
        1
    };
    let lost_alpha = u32::from(from.alpha && !to.alpha) * 100;
    let lost_chroma = wanted.saturating_sub(chroma(to)) * 10;
    let lost_bits = u32::from(from.bits.saturating_sub(to.bits));
    let other_model = from.is_yuv() != to.is_yuv() && from.model != ColorModel::Gray;
    let waste = u32::from(to.bits.saturating_sub(from.bits))
        + chroma(to).saturating_sub(wanted) * 4
        + u32::from(to.alpha && !from.alpha) * 8;
    (
        lost_alpha + lost_chroma + lost_bits,
        other_model && from.is_yuv(),
        waste,
    )
}

fn adjusted(preset: &EncoderPreset, pixel_format: &str, size: Size, policy: OddSize) -> Size {
    let format = carried_format(pixel_format).0;
    let (shift_x, shift_y) = format.chroma_shift();
    if !preset.even_sides {
        return size;
    }
    let side = |side: u32, shift: u32| match policy {
        _ if shift == 0 || side.is_multiple_of(2) => side,
        OddSize::Crop if side > 1 => side - 1,
        _ => side + 1,
    };
    Size::new(side(size.width, shift_x), side(size.height, shift_y))
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

fn scale_matrix(color: ColorSpec) -> &'static str {
    match color.matrix {
        kinora_frame::Matrix::Bt709 => "bt709",
        kinora_frame::Matrix::Bt2020Ncl => "bt2020",
        kinora_frame::Matrix::Other(4) => "fcc",
        kinora_frame::Matrix::Other(7) => "smpte240m",
        _ => "bt601",
    }
}

/// The four-letter code by which NUT names a raw pixel format: FFmpeg's table of them.
pub(super) fn fourcc(format: PixelFormat) -> Result<[u8; 4], MediaError> {
    super::fourcc::of(format)
}
