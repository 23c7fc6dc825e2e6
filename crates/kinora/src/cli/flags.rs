use std::{path::PathBuf, str::FromStr};

use kinora_engine::{Block, DedupeMode};
use kinora_frame::Size;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ProgressStyle {
    /// A bar on a terminal, plain lines elsewhere
    Auto,
    /// A bar
    Bar,
    /// Lines with a time stamp
    Plain,
    /// JSON lines on stdout
    Json,
    /// Nothing
    None,
}

/// When colour is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ColorChoice {
    /// On terminals, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What goes in and out.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "What goes in and out")]
pub(crate) struct InOut {
    /// Input, then output
    #[arg(value_name = "INPUT", num_args = 0..=2)]
    pub(crate) paths: Vec<PathBuf>,
    /// A video, a picture or a folder of pictures
    #[arg(short, long, value_name = "PATH")]
    pub(crate) input: Option<PathBuf>,
    /// Output file or folder [default: name.2x.ext beside the input]
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// Name of the output: {stem} {scale} {model} {pipeline} {ext}
    #[arg(long, value_name = "TEMPLATE", hide_short_help = true)]
    pub(crate) name: Option<String>,
    /// Replace an existing output
    #[arg(short = 'y', long)]
    pub(crate) overwrite: bool,
    /// Begin here: 90s, 1:30, 0:01:30.5 or a frame, 123f
    #[arg(long, value_name = "T")]
    pub(crate) start: Option<Moment>,
    /// End before this
    #[arg(long, value_name = "T", conflicts_with = "duration")]
    pub(crate) end: Option<Moment>,
    /// Take this much
    #[arg(long, value_name = "T")]
    pub(crate) duration: Option<Moment>,
}

/// The size that comes out: one of them.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "What is done")]
#[group(multiple = false)]
pub(crate) struct SizeFlags {
    /// Output pixels a side for each input pixel: 2, 1.5, 4x [default: 2, or the network's own]
    #[arg(short, long, value_name = "N")]
    pub(crate) scale: Option<ScaleFactor>,
    /// Output size: 1920x1080
    #[arg(long, value_name = "WxH")]
    pub(crate) size: Option<PictureSize>,
    /// Output height, proportions kept
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) height: Option<u32>,
    /// Shorter output side, proportions kept
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) short_side: Option<u32>,
}

/// How frames are treated.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "What is done")]
pub(crate) struct PictureFlags {
    /// Pictures of two moments woven together: make one of them
    #[arg(long, value_parser = ["auto", "on", "off"], default_value = "auto", hide_short_help = true)]
    pub(crate) deinterlace: String,
    /// Frames that share one result: none (off), those with the same pixels (exact), also those within a bound (near).
    /// The bound is near=192,64,0.02 unless said: blocks of 8x8 samples differ by 192 at most, which is 3 levels a
    /// sample, and by more than 64 in 2 % of them only
    #[arg(
        long,
        value_name = "off|exact|near[=HI,LO,FRAC]",
        default_value = "exact",
        hide_short_help = true
    )]
    pub(crate) dedupe: DedupeMode,
    /// A frame that a processor fails on: end the job, put the source in, or repeat the last output
    #[arg(long, value_parser = ["fail", "source", "repeat"], default_value = "fail", hide_short_help = true)]
    pub(crate) on_frame_error: String,
    /// A picture size that changes in the middle
    #[arg(long, value_parser = ["rescale", "fail"], default_value = "rescale", hide_short_help = true)]
    pub(crate) on_size_change: String,
    /// Write what decodes of an input that is cut off, marked truncated
    #[arg(long, hide_short_help = true)]
    pub(crate) salvage: bool,
}

/// On what a network runs.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Where it runs")]
pub(crate) struct DeviceFlags {
    /// auto, cpu or openvino; auto is the first of openvino, cpu that loads
    #[arg(short, long, default_value = "auto", value_name = "DEVICE")]
    pub(crate) device: String,
    /// auto, f32 or bf16; auto is f32
    #[arg(long, default_value = "auto", value_name = "P")]
    pub(crate) precision: String,
    /// How weights are held: auto, packed (in a file of the cache), fast (packed in memory) or lean (mapped, not packed)
    #[arg(long, default_value = "auto", value_name = "W", hide_short_help = true)]
    pub(crate) weights: String,
    /// Threads of the network and of the encoder [default: all cores]
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
}

/// Where it runs.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Where it runs")]
pub(crate) struct PlaceFlags {
    #[command(flatten)]
    pub(crate) on: DeviceFlags,
    /// Frames in one call of the network: auto or a number
    #[arg(long, default_value = "auto", value_name = "N", hide_short_help = true)]
    pub(crate) batch: AutoNumber,
    /// Tile of the network's input: auto, off, N or WxH pixels
    #[arg(long, default_value = "auto", value_name = "N", hide_short_help = true)]
    pub(crate) tile: String,
    /// Pixels by which tiles overlap [default: by network]
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) tile_overlap: Option<u32>,
    /// Most memory of all parts: 2GiB [default: a quarter of the RAM, at most 4GiB]
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    pub(crate) memory: Option<Bytes>,
    /// Networks that run at once: auto or a number
    #[arg(long, default_value = "auto", value_name = "N", hide_short_help = true)]
    pub(crate) workers: AutoNumber,
}

/// Encoder and streams.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Encoder and streams")]
pub(crate) struct EncodeFlags {
    /// h264, h265, av1, vp9, prores, ffv1, gif, webp or a hardware encoder of `kinora list codecs` [default: by container]
    #[arg(long, value_name = "NAME")]
    pub(crate) codec: Option<String>,
    /// Constant quality, in the encoder's own numbers
    #[arg(long, value_name = "N")]
    pub(crate) crf: Option<u32>,
    /// Bit rate instead of constant quality: 8M, 900k
    #[arg(long, value_name = "RATE", conflicts_with = "crf", hide_short_help = true)]
    pub(crate) bitrate: Option<BitRate>,
    /// The encoder's speed: medium, veryfast, 6
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) encoder_preset: Option<String>,
    /// Pixel format of the file [default: the one of the encoder's that keeps most]
    #[arg(long, value_name = "FMT", alias = "pix-fmt", hide_short_help = true)]
    pub(crate) pixel_format: Option<String>,
    /// Any option of the encoder; repeatable
    #[arg(short, long, value_name = "KEY=VALUE", hide_short_help = true)]
    pub(crate) encoder_option: Vec<KeyValue>,
    /// Sound of the source
    #[arg(long, value_parser = ["copy", "none"], default_value = "copy", hide_short_help = true)]
    pub(crate) audio: String,
    /// The same as --audio none
    #[arg(long, conflicts_with = "audio", hide_short_help = true)]
    pub(crate) no_audio: bool,
    /// Subtitles of the source
    #[arg(long, value_parser = ["copy", "text", "none"], default_value = "copy", hide_short_help = true)]
    pub(crate) subtitles: String,
    /// The same as --subtitles none
    #[arg(long, conflicts_with = "subtitles", hide_short_help = true)]
    pub(crate) no_subtitles: bool,
}

/// How a video's job is kept safe.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "The job")]
pub(crate) struct SafetyFlags {
    /// Throw the job folder away and begin again; otherwise a job goes on where it was
    #[arg(long)]
    pub(crate) restart: bool,
    /// Go on with the settings of the job folder, whatever the other flags say
    #[arg(long, hide_short_help = true, conflicts_with = "restart")]
    pub(crate) resume_settings: bool,
    /// Job folder [default: OUTPUT.kinora, removed when done]
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub(crate) work_dir: Option<PathBuf>,
    /// Leave the job folder when done
    #[arg(long, hide_short_help = true)]
    pub(crate) keep_work: bool,
    /// Segments of 240 frames, each safe once it is done; off is one encoder, and a stopped job begins again
    #[arg(long, value_parser = ["on", "off"], default_value = "on", hide_short_help = true)]
    pub(crate) segments: String,
    /// Take settings and cuts from a plan that `kinora plan` wrote
    #[arg(
        long,
        value_name = "FILE",
        hide_short_help = true,
        conflicts_with = "resume_settings"
    )]
    pub(crate) plan: Option<PathBuf>,
    /// Make only the k-th of n blocks of segments, k from 0; kinora join puts them together
    #[arg(
        long,
        value_name = "k/n",
        env = "KINORA_SEGMENT",
        hide_short_help = true,
        requires = "work_dir"
    )]
    pub(crate) segment: Option<Block>,
    /// Go on where beginning in the middle is not exact, and record it
    #[arg(long, hide_short_help = true)]
    pub(crate) approximate: bool,
    /// Check finished segments by hash; always done after the machine was started anew
    #[arg(long, hide_short_help = true)]
    pub(crate) verify: bool,
    /// Keep this much of the disk free
    #[arg(long, value_name = "SIZE", default_value = "1GiB", hide_short_help = true)]
    pub(crate) min_free: Bytes,
    /// Stop where the disk will not hold the whole job, instead of a warning; known once the first segment is done
    #[arg(long, hide_short_help = true)]
    pub(crate) strict_space: bool,
    /// Make a playable file of the finished segments and compute nothing
    #[arg(long, hide_short_help = true)]
    pub(crate) finish_partial: bool,
}

/// The job.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Looking")]
pub(crate) struct JobFlags {
    /// Show what would be done; write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write a JSON report; one of an earlier job is replaced, another file only with --overwrite
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) report: Option<PathBuf>,
}

/// A moment in a clip: media time or a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Moment {
    /// Microseconds from the clip's first frame.
    Micros(i64),
    /// Frame, from 0.
    Frame(u64),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("'{text}' is no time: write 90s, 1:30, 0:01:30.5 or a frame, 123f");
        if let Some(frame) = text.strip_suffix('f') {
            return frame.parse().map(Self::Frame).map_err(|_| bad());
        }
        if let Some(ms) = text.strip_suffix("ms") {
            return ms
                .parse::<i64>()
                .ok()
                .filter(|ms| *ms >= 0)
                .and_then(|ms| ms.checked_mul(1000))
                .map(Self::Micros)
                .ok_or_else(bad);
        }
        let mut micros = 0i64;
        let parts: Vec<&str> = text.trim_end_matches('s').split(':').collect();
        if parts.len() > 3 {
            return Err(bad());
        }
        for (at, part) in parts.iter().enumerate() {
            let last = at + 1 == parts.len();
            let (whole, fraction) = part.split_once('.').unwrap_or((part, ""));
            let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
            if whole.is_empty() || !digits(whole) || !digits(fraction) || (!last && part.contains('.')) {
                return Err(bad());
            }
            let seconds: i64 = whole.parse().map_err(|_| bad())?;
            let fraction: i64 = format!("{fraction:0<6}")[..6].parse().map_err(|_| bad())?;
            micros = micros
                .checked_mul(60)
                .and_then(|m| m.checked_add(seconds.checked_mul(1_000_000)?))
                .and_then(|m| m.checked_add(fraction))
                .ok_or_else(bad)?;
        }
        Ok(Self::Micros(micros))
    }
}

/// An enlargement factor as a fraction of thousandths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ScaleFactor(pub(crate) f64);

impl FromStr for ScaleFactor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let factor: Option<f64> = text.trim_end_matches('x').parse().ok();
        factor
            .filter(|f| (0.05..=16.0).contains(f))
            .map(Self)
            .ok_or_else(|| format!("'{text}' is no factor: write 2, 1.5 or 4x, between 0.05 and 16"))
    }
}

/// A picture size on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PictureSize(pub(crate) Size);

impl FromStr for PictureSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once(['x', 'X'])
            .and_then(|(w, h)| Some(Size::new(w.parse().ok()?, h.parse().ok()?)));
        parsed
            .filter(|size| size.check().is_ok() && size.pixels() <= 1 << 32)
            .map(Self)
            .ok_or_else(|| format!("'{text}' is no size: write 1920x1080"))
    }
}

/// `auto` or a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AutoNumber {
    Auto,
    Number(usize),
}

impl FromStr for AutoNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let number: Option<usize> = text.parse().ok();
        number
            .filter(|n| (1..=64).contains(n))
            .map(Self::Number)
            .ok_or_else(|| format!("'{text}' is neither auto nor a number from 1 to 64"))
    }
}

/// A number of bytes with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        with_unit(
            text,
            &[
                ("KiB", 1 << 10),
                ("MiB", 1 << 20),
                ("GiB", 1 << 30),
                ("KB", 1000),
                ("MB", 1_000_000),
                ("GB", 1_000_000_000),
                ("K", 1 << 10),
                ("M", 1 << 20),
                ("G", 1 << 30),
                ("B", 1),
            ],
        )
        .map(Self)
        .ok_or_else(|| format!("'{text}' is no size: write 512MiB or 4GiB"))
    }
}

/// Bits a second with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BitRate(pub(crate) u64);

impl FromStr for BitRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        with_unit(text, &[("k", 1000), ("K", 1000), ("M", 1_000_000), ("m", 1_000_000)])
            .filter(|bits| *bits >= 1000)
            .map(Self)
            .ok_or_else(|| format!("'{text}' is no bit rate: write 8M or 900k, at least 1k"))
    }
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
        .unwrap_or((text, 1));
    let number: f64 = number.trim().parse().ok()?;
    (number.is_finite() && number > 0.0 && number * (factor as f64) < 1e18).then_some((number * factor as f64) as u64)
}

/// `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyValue(pub(crate) String, pub(crate) String);

impl FromStr for KeyValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self(key.to_owned(), value.to_owned())),
            _ => Err(format!("'{text}' is not of the form KEY=VALUE")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_frames_are_read_as_people_write_them() {
        for (text, expected) in [
            ("90s", Moment::Micros(90_000_000)),
            ("90", Moment::Micros(90_000_000)),
            ("1:30", Moment::Micros(90_000_000)),
            ("00:01:30.5", Moment::Micros(90_500_000)),
            ("300ms", Moment::Micros(300_000)),
            ("123f", Moment::Frame(123)),
        ] {
            assert_eq!(text.parse::<Moment>().unwrap(), expected, "{text}");
        }
        for bad in [
            "",
            "s",
            "1:2:3:4",
            "1.5:30",
            "-5",
            "-5ms",
            "x",
            "99999999999999999999s",
            "1e3",
        ] {
            assert!(bad.parse::<Moment>().is_err(), "{bad}");
        }
    }

    #[test]
    fn factors_sizes_and_rates_take_units() {
        assert_eq!("4x".parse::<ScaleFactor>().unwrap().0, 4.0);
        assert!("NaN".parse::<ScaleFactor>().is_err() && "0".parse::<ScaleFactor>().is_err());
        assert_eq!("4GiB".parse::<Bytes>().unwrap().0, 4 << 30);
        assert_eq!("1.5M".parse::<BitRate>().unwrap().0, 1_500_000);
        assert_eq!("1920x1080".parse::<PictureSize>().unwrap().0, Size::new(1920, 1080));
        assert!("1920x".parse::<PictureSize>().is_err() && "0x5".parse::<PictureSize>().is_err());
        assert_eq!(
            "k=a=b".parse::<KeyValue>().unwrap(),
            KeyValue("k".to_owned(), "a=b".to_owned())
        );
    }
}
