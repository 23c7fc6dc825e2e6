//! Reads the lines in which FFmpeg describes its inputs to people, and the headers of its `framecrc` output.
//! The layout of these lines has been the same from 5.1 to 9.0; whatever does not match is left unstated.

use kinora_frame::{ContentLight, MasteringDisplay, Rational};

/// The words of one `Stream #0:` line and what is indented under it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct StreamLine {
    pub(crate) index: usize,
    pub(crate) language: Option<String>,
    /// `Video`, `Audio`, `Subtitle`, `Data`, `Attachment`.
    pub(crate) kind: String,
    /// Comma-separated fields after the kind.
    pub(crate) fields: Vec<String>,
    pub(crate) dispositions: Vec<String>,
    pub(crate) tags: Vec<(String, String)>,
    /// Counter-clockwise degrees of the display matrix.
    pub(crate) rotation: Option<f64>,
}

/// What stands under `Input #0`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct InputLines {
    pub(crate) container: String,
    /// Hundredths of a second.
    pub(crate) duration: Option<i64>,
    /// Microseconds.
    pub(crate) start: Option<i64>,
    pub(crate) streams: Vec<StreamLine>,
    /// Input stream of each output stream.
    pub(crate) mapping: Vec<usize>,
}

/// Dispositions as FFmpeg prints them, in brackets.
const DISPOSITIONS: [&str; 18] = [
    "default",
    "dub",
    "original",
    "comment",
    "lyrics",
    "karaoke",
    "forced",
    "hearing impaired",
    "visual impaired",
    "clean effects",
    "attached pic",
    "timed thumbnails",
    "captions",
    "descriptions",
    "metadata",
    "dependent",
    "still image",
    "non-diegetic",
];

pub(crate) fn input_lines(log: &str) -> InputLines {
    let mut found = InputLines::default();
    let mut inside = false;
    let mut tags = false;
    let mut naming = false;
    for line in log.lines() {
        if naming {
            // The name of the file goes on: it holds a line end.
            naming = !line.ends_with("':");
            continue;
        }
        if let Some(rest) = line.strip_prefix("Input #0, ") {
            inside = true;
            naming = !line.ends_with("':");
            found.container = rest.split(", from '").next().unwrap_or_default().to_owned();
            continue;
        }
        if let Some(pair) = line.trim_start().strip_prefix("Stream #0:")
            && let Some((from, to)) = pair.split_once(" -> #0:")
            && to.contains('(')
        {
            if let Ok(from) = from.trim().parse() {
                found.mapping.push(from);
            }
            continue;
        }
        if !line.starts_with(' ') {
            // A message of a demuxer may stand between the lines; another block ends this one.
            inside &= line.starts_with('[');
            continue;
        }
        if !inside {
            continue;
        }
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(rest) = text.strip_prefix("Stream #0:") {
            tags = false;
            if let Some(stream) = stream_line(rest) {
                found.streams.push(stream);
            }
        } else if let Some(rest) = text.strip_prefix("Duration: ").filter(|_| indent == 2) {
            duration_line(rest, &mut found);
        } else if text == "Metadata:" {
            tags = indent == 4;
        } else if text == "Side data:" {
            tags = false;
        } else if let Some(stream) = found.streams.last_mut() {
            if tags && indent >= 6 {
                tag_line(text, &mut stream.tags);
            } else if let Some(angle) = rotation_line(text) {
                stream.rotation = Some(angle);
            }
        }
    }
    found
}

fn tag_line(text: &str, tags: &mut Vec<(String, String)>) {
    if let Some((key, value)) = text.split_once(": ") {
        let key = key.trim_end();
        match tags.last_mut() {
            // A value of several lines goes on under an empty key.
            Some((_, last)) if key.is_empty() => {
                last.push('\n');
                last.push_str(value);
            }
            _ => tags.push((key.to_owned(), value.to_owned())),
        }
    }
}

fn rotation_line(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    if !lower.starts_with("displaymatrix") && !lower.starts_with("display matrix") {
        return None;
    }
    lower
        .split("rotation of ")
        .nth(1)?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

fn duration_line(rest: &str, found: &mut InputLines) {
    let mut parts = rest.split(", ");
    found.duration = parts.next().and_then(|text| {
        let (clock, hundredths) = text.trim().split_once('.')?;
        let mut seconds = 0i64;
        for part in clock.split(':') {
            seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
        }
        seconds.checked_mul(100)?.checked_add(hundredths.parse().ok()?)
    });
    found.start = parts
        .find_map(|part| part.strip_prefix("start: "))
        .and_then(|text| micros(text.trim()));
}

/// Reads `-1.023456` as whole microseconds.
pub(crate) fn micros(text: &str) -> Option<i64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let value = whole
        .parse::<i64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(fraction.parse().ok()?)?;
    Some(if negative { -value } else { value })
}

fn stream_line(rest: &str) -> Option<StreamLine> {
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    let index = rest[..digits].parse().ok()?;
    let (identity, described) = rest[digits..].split_once(": ")?;
    let language = identity
        .split_once('(')
        .map(|(_, language)| language.trim_end_matches(')').to_owned());
    let (kind, described) = described.split_once(": ")?;
    let dispositions = DISPOSITIONS
        .iter()
        .filter(|name| described.contains(&format!("({name})")))
        .map(|name| name.replace([' ', '-'], "_"))
        .collect();
    Some(StreamLine {
        index,
        language: language.filter(|language| language != "und"),
        kind: kind.to_owned(),
        fields: fields(described),
        dispositions,
        ..StreamLine::default()
    })
}

/// Splits at commas outside brackets.
fn fields(text: &str) -> Vec<String> {
    let mut depth = 0i32;
    let mut found = vec![String::new()];
    for c in text.chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth <= 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = found.last_mut() {
            last.push(c);
        }
    }
    found.iter().map(|field| field.trim().to_owned()).collect()
}

impl StreamLine {
    /// The pixel format with what is in its brackets, and width and height.
    pub(crate) fn picture(&self) -> Option<(String, Vec<String>, u32, u32)> {
        let at = self.fields.iter().position(|field| dimensions(field).is_some())?;
        let (width, height) = dimensions(self.fields.get(at)?)?;
        let described = self.fields.get(at.checked_sub(1)?)?;
        let (format, inside) = described.split_once('(').unwrap_or((described, ""));
        let inside = inside
            .trim_end_matches(')')
            .split(',')
            .map(|word| word.trim().to_owned())
            .collect();
        Some((format.trim().to_owned(), inside, width, height))
    }
}

fn dimensions(field: &str) -> Option<(u32, u32)> {
    let (width, height) = field.split_whitespace().next()?.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

/// Headers of a `framecrc` output for one stream.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct CrcHeader {
    pub(crate) base: Option<Rational>,
    pub(crate) media_type: String,
    pub(crate) codec: String,
    pub(crate) dimensions: Option<(u32, u32)>,
    pub(crate) sample_rate_hz: u32,
    pub(crate) layout: String,
}

pub(crate) fn crc_headers(text: &str) -> Vec<CrcHeader> {
    let mut found: Vec<CrcHeader> = Vec::new();
    for line in text.lines() {
        let Some((key, value)) = line.strip_prefix('#').and_then(|line| line.split_once(": ")) else {
            continue;
        };
        let Some((key, index)) = key.rsplit_once(' ') else {
            continue;
        };
        let Some(index) = index.parse::<usize>().ok().filter(|&index| index < 4096) else {
            continue;
        };
        if found.len() <= index {
            found.resize(index + 1, CrcHeader::default());
        }
        let header = &mut found[index];
        match key {
            "tb" => header.base = value.parse().ok().filter(|base: &Rational| base.num() > 0),
            "media_type" => value.clone_into(&mut header.media_type),
            "codec_id" => value.clone_into(&mut header.codec),
            "dimensions" => header.dimensions = dimensions(value),
            "sample_rate" => header.sample_rate_hz = value.parse().unwrap_or(0),
            "channel_layout_name" => value.clone_into(&mut header.layout),
            _ => {}
        }
    }
    found
}

/// What `showinfo` says of the first frame.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct FirstFrame {
    /// Ticks.
    pub(crate) pts: Option<i64>,
    pub(crate) frame_rate: Option<Rational>,
    pub(crate) format: Option<String>,
    pub(crate) sample_aspect: Option<Rational>,
    pub(crate) size: Option<(u32, u32)>,
    /// `P`, `T` or `B`.
    pub(crate) interlace: Option<char>,
    pub(crate) chroma: Option<String>,
    pub(crate) range: Option<String>,
    pub(crate) matrix: Option<String>,
    pub(crate) primaries: Option<String>,
    pub(crate) transfer: Option<String>,
    pub(crate) mastering: Option<MasteringDisplay>,
    pub(crate) content_light: Option<ContentLight>,
}

pub(crate) fn first_frame(log: &str) -> FirstFrame {
    let mut found = FirstFrame::default();
    let lines = log
        .lines()
        .filter(|line| line.contains("showinfo"))
        .filter_map(|line| line.split_once("] "));
    let mut frames = 0;
    for (_, text) in lines {
        let word = |key: &str| {
            text.split_whitespace().find_map(|word| {
                word.strip_prefix(key)
                    .map(|value| value.trim_end_matches(',').to_owned())
            })
        };
        if text.starts_with("config in") {
            let rate = text
                .split("frame_rate: ")
                .nth(1)
                .and_then(|rate| rate.trim().parse::<Rational>().ok());
            found.frame_rate = found.frame_rate.or(rate.filter(|rate| rate.num() > 0));
        } else if text.starts_with("n:") {
            frames += 1;
            if frames > 1 {
                break;
            }
            // The number stands after blanks: `pts:   1234`.
            found.pts = text
                .split_once("pts:")
                .and_then(|(_, text)| text.split_whitespace().next()?.parse().ok());
            found.format = word("fmt:");
            found.sample_aspect = word("sar:")
                .and_then(|sar| sar.parse().ok())
                .filter(|sar: &Rational| sar.num() > 0);
            found.size = word("s:").and_then(|size| dimensions(&size));
            found.interlace = word("i:").and_then(|order| order.chars().next());
            found.chroma = word("cl:");
        } else if text.contains("astering display") && text.contains("has_primaries") {
            found.mastering = mastering(text);
        } else if text.contains("MaxCLL=") {
            let value = |key: &str| {
                text.split(key)
                    .nth(1)?
                    .split(|c: char| !c.is_ascii_digit())
                    .next()?
                    .parse()
                    .ok()
            };
            found.content_light = value("MaxCLL=")
                .zip(value("MaxFALL="))
                .map(|(max_content, max_average)| ContentLight {
                    max_content,
                    max_average,
                });
        } else if text.starts_with("color_range:") {
            found.range = word("color_range:");
            found.matrix = word("color_space:");
            found.primaries = word("color_primaries:");
            found.transfer = word("color_trc:");
        }
    }
    found
}

/// Reads `r(0.6800,0.3200) g(...) b(...) wp(...) min_luminance=0.005000, max_luminance=1000.000000`. FFmpeg prints four
/// digits of a chromaticity, so its last unit of 1/50000 may differ from the file's.
fn mastering(text: &str) -> Option<MasteringDisplay> {
    if !text.contains("has_primaries:1") || !text.contains("has_luminance:1") {
        return None;
    }
    let pair = |key: &str| {
        let inside = text.split(key).nth(1)?.split(')').next()?;
        let mut numbers = inside.split([',', ' ']).filter(|number| !number.is_empty());
        Some((unit(numbers.next()?, 50_000)?, unit(numbers.next()?, 50_000)?))
    };
    let luminance = |key: &str| {
        let number = text.split(key).nth(1)?;
        unit(number.split([',', ' ']).next()?, 10_000)
    };
    Some(MasteringDisplay {
        chromaticities: [pair(" r(")?, pair(" g(")?, pair(" b(")?, pair(" wp(")?],
        min_luminance: luminance("min_luminance=")?,
        max_luminance: luminance("max_luminance=")?,
    })
}

fn unit(decimal: &str, den: i64) -> Option<Rational> {
    let micros = micros(decimal)?;
    let num = (i128::from(micros) * i128::from(den) + 500_000).div_euclid(1_000_000);
    Rational::from_wide(num, i128::from(den))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
[matroska,webm @ 0x5584b1560940] Could not find codec parameters
Input #0, matroska,webm, from 'file:rich.mkv':
  Metadata:
    title           : T
  Duration: 01:00:02.01, start: -0.023000, bitrate: 292 kb/s
  Chapters:
    Chapter #0:0: start 0.000000, end 1.000000
      Metadata:
        title           : One
  Stream #0:0[0x1](und): Video: h264 (High), 1 reference frame (avc1 / 0x31637661), yuv420p(tv, bt2020nc/bt2020/smpte2084, top first, topleft), 320x180 (320x192) [SAR 1:1 DAR 16:9], 23.98 fps (default)
    Metadata:
      comment         : one
                      : two
    Side data:
      displaymatrix: rotation of -90.00 degrees
  Stream #0:1(deu): Audio: vorbis, 44100 Hz, mono, fltp (default) (hearing impaired)
Stream mapping:
  Stream #0:0 -> #0:0 (copy)
  Stream #0:1 -> #0:1 (copy)
Output #0, framecrc, to 'pipe:':
  Stream #0:0(und): Video: h264 (High), yuv420p, 1x1
";

    #[test]
    fn the_lines_of_an_input_are_read_and_those_of_outputs_are_not() {
        let found = input_lines(LOG);
        assert_eq!(found.container, "matroska,webm");
        assert_eq!(found.duration, Some(360_201));
        assert_eq!(found.start, Some(-23_000));
        assert_eq!(found.mapping, [0, 1]);
        assert_eq!(found.streams.len(), 2);
        let video = &found.streams[0];
        let (format, inside, width, height) = video.picture().unwrap();
        assert_eq!((format.as_str(), width, height), ("yuv420p", 320, 180));
        assert_eq!(inside, ["tv", "bt2020nc/bt2020/smpte2084", "top first", "topleft"]);
        assert_eq!(video.tags, [("comment".to_owned(), "one\ntwo".to_owned())]);
        assert_eq!((video.rotation, video.language.as_deref()), (Some(-90.0), None));
        assert_eq!(found.streams[1].dispositions, ["default", "hearing_impaired"]);
        assert_eq!(found.streams[1].language.as_deref(), Some("deu"));
    }

    #[test]
    fn the_first_frame_gives_exact_rates_colours_and_hdr() {
        let log = "\
[Parsed_showinfo_0 @ 0x1] config in time_base: 1/12288, frame_rate: 24000/1001
[Parsed_showinfo_0 @ 0x1] n:   0 pts:      0 fmt:yuv420p10le cl:left sar:4/3 s:320x180 i:P iskey:1 type:I
[Parsed_showinfo_0 @ 0x1]   side data - mastering display: has_primaries:1 has_luminance:1 r(0.6800,0.3200) g(0.2650,0.6900) b(0.1500 0.0600) wp(0.3127, 0.3290) min_luminance=0.005000, max_luminance=1000.000000
[Parsed_showinfo_0 @ 0x1]   side data - Content Light Level information: MaxCLL=1000, MaxFALL=400
[Parsed_showinfo_0 @ 0x1] color_range:tv color_space:bt2020nc color_primaries:bt2020 color_trc:smpte2084
[Parsed_showinfo_0 @ 0x1] n:   1 pts:    512 fmt:gray sar:1/1 s:1x1 i:T iskey:0
";
        let found = first_frame(log);
        assert_eq!(found.frame_rate, Rational::new(24000, 1001).ok());
        assert_eq!((found.size, found.pts), (Some((320, 180)), Some(0)));
        assert_eq!(found.transfer.as_deref(), Some("smpte2084"));
        let mastering = found.mastering.unwrap();
        assert_eq!(mastering.chromaticities[3].0, Rational::new(15635, 50000).unwrap());
        assert_eq!(mastering.min_luminance, Rational::new(50, 10000).unwrap());
        assert_eq!(found.content_light.unwrap().max_average, 400);
    }

    #[test]
    fn a_name_with_line_ends_hides_nothing_and_adds_nothing() {
        let log =
            "Input #0, avi, from 'file:a\n  Stream #0:0: Video: x, gray, 1x1\nb':\n  Stream #0:0: Audio: mp3, mono\n";
        let found = input_lines(log);
        assert_eq!(found.streams.len(), 1);
        assert_eq!(found.streams[0].kind, "Audio");
    }

    #[test]
    fn nonsense_is_left_unstated() {
        assert_eq!(
            input_lines("Input #0\n  Stream #0:x: y\n  Duration: N/A, start: 1"),
            InputLines::default()
        );
        assert_eq!(first_frame("showinfo] n: x\nshowinfo] MaxCLL=").content_light, None);
        assert!(
            crc_headers("#tb 0: 1/0\n#tb 999999999: 1/2\n#x")
                .iter()
                .all(|header| header.base.is_none())
        );
    }
}
