//! The same facts from ffprobe's JSON, where there is an ffprobe: exact where FFmpeg's lines for people are rounded.

use std::path::Path;

use kinora_frame::{ColorSpec, ContentLight, MasteringDisplay, Rational, SideData, Size, Timestamp};
use serde_json::Value;

use super::{
    BITMAP_SUBTITLES, PROBE_BYTES, Stated, apply_color, base, color,
    facts::{Chapter, FieldOrder, MediaInfo, Stream, StreamKind, VideoFacts, carried_format},
    human::micros,
    reason,
};
use crate::{
    Ffmpeg, MediaError, Stop,
    child::Start,
    ffmpeg::{STALL, input_file},
};

/// Largest picture that is decoded for its facts. Decoders count rows and columns up to whole blocks, hence a sixteenth more
/// than is decoded later: a picture above that gives no first frame, before memory is taken for it.
const MAX_PIXELS: u64 = crate::MAX_PIXELS + crate::MAX_PIXELS / 16;

impl Ffmpeg {
    /// With `first_frame` also what only a decoded frame tells: HDR facts, fields, the first time.
    pub(super) fn probe_json(
        &self,
        ffprobe: &Path,
        path: &Path,
        first_frame: bool,
        stop: &Stop,
    ) -> Result<MediaInfo, MediaError> {
        let max_pixels = MAX_PIXELS.to_string();
        // Both questions at once: a process is mostly start-up.
        let (whole, frame) = std::thread::scope(|scope| {
            let frame = first_frame.then(|| {
                let max_pixels = &max_pixels;
                scope.spawn(move || {
                    let what = [
                        "-max_pixels",
                        max_pixels,
                        "-select_streams",
                        "V:0",
                        "-show_frames",
                        "-read_intervals",
                        "%+#1",
                    ];
                    ask(ffprobe, path, &what, stop)
                })
            });
            let whole = ask(
                ffprobe,
                path,
                &["-show_streams", "-show_format", "-show_chapters"],
                stop,
            );
            (whole, frame.map(|frame| MediaError::joined("probing", frame.join())))
        });
        let whole = whole?;
        let info = media_info(path, &whole);
        let (Some(_), Some(frame)) = (info.video(), frame) else {
            return Ok(info);
        };
        let frame = match frame {
            Ok(frame) => frame["frames"][0].clone(),
            Err(MediaError::InputUnreadable { .. }) => Value::Null,
            Err(error) => return Err(error),
        };
        Ok(with_first_frame(info, &whole, &frame))
    }
}

/// Adds to the main stream what its first frame says.
pub(crate) fn with_first_frame(mut info: MediaInfo, whole: &Value, frame: &Value) -> MediaInfo {
    let main = info.video().map(|(stream, _)| stream.index);
    if let Some(stream) = info.streams.iter_mut().find(|stream| Some(stream.index) == main)
        && let StreamKind::Video(facts) = &mut stream.kind
        && frame.is_object()
    {
        refine(facts, &whole["streams"][stream.index], frame);
        facts.first_pts = first_pts(frame).map(|ticks| Timestamp::new(ticks, stream.time_base));
    }
    info
}

fn ask(ffprobe: &Path, path: &Path, what: &[&str], stop: &Stop) -> Result<Value, MediaError> {
    let mut start = Start::new(ffprobe, "probe", stop, STALL);
    start.args = ["-v", "error", "-hide_banner", "-of", "json"].map(Into::into).to_vec();
    start.args.extend(what.iter().map(Into::into));
    start.args.extend(input_file(path)?);
    let captured = start.capture(PROBE_BYTES)?;
    let unreadable = |cause: String| MediaError::InputUnreadable {
        path: path.to_path_buf(),
        cause,
    };
    let json: Value = serde_json::from_slice(&captured.stdout).map_err(|_| unreadable(reason(&captured.log)))?;
    let empty = |key: &str| json[key].as_array().is_none_or(Vec::is_empty);
    if empty("streams") && empty("frames") {
        return Err(unreadable(reason(&captured.log)));
    }
    Ok(json)
}

pub(crate) fn media_info(path: &Path, json: &Value) -> MediaInfo {
    let format = &json["format"];
    let time = |key: &str| format[key].as_str().and_then(micros);
    MediaInfo {
        path: path.to_path_buf(),
        container: text(format, "format_name").unwrap_or_default(),
        duration: time("duration").map(|micros| Timestamp::new(micros.saturating_add(5000) / 10_000, base(100))),
        start: time("start_time").map(|micros| Timestamp::new(micros, base(1_000_000))),
        streams: list(&json["streams"]).filter_map(stream).collect(),
        chapters: list(&json["chapters"]).filter_map(chapter).collect(),
        metadata: tags(&format["tags"])
            .into_iter()
            .filter(|(key, _)| !key.eq_ignore_ascii_case("encoder"))
            .collect(),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}

fn tags(value: &Value) -> Vec<(String, String)> {
    let pairs = value.as_object().into_iter().flatten();
    pairs
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn chapter(value: &Value) -> Option<Chapter> {
    let base = ratio(value, "time_base")?;
    Some(Chapter {
        start: Timestamp::new(value["start"].as_i64()?, base),
        end: Timestamp::new(value["end"].as_i64()?, base),
        title: text(&value["tags"], "title"),
    })
}

fn ratio(value: &Value, key: &str) -> Option<Rational> {
    value[key]
        .as_str()?
        .parse()
        .ok()
        .filter(|ratio: &Rational| ratio.num() > 0)
}

fn stream(value: &Value) -> Option<Stream> {
    let mut tags = tags(&value["tags"]);
    // The language stands before the other tags, and "undetermined" is none.
    if let Some(at) = tags.iter().position(|(key, _)| key == "language") {
        let language = tags.remove(at);
        if language.1 != "und" {
            tags.insert(0, language);
        }
    }
    let codec = text(value, "codec_name").unwrap_or_else(|| "none".to_owned());
    let set = value["disposition"].as_object().into_iter().flatten();
    let dispositions: Vec<String> = set
        .filter(|(_, set)| set.as_i64() == Some(1))
        .map(|(name, _)| name.clone())
        .collect();
    let kind = match value["codec_type"].as_str().unwrap_or_default() {
        "video" => StreamKind::Video(Box::new(video(value, &codec, &tags, &dispositions))),
        "audio" => StreamKind::Audio {
            sample_rate_hz: value["sample_rate"]
                .as_str()
                .and_then(|rate| rate.parse().ok())
                .unwrap_or(0),
            layout: text(value, "channel_layout").unwrap_or_default(),
        },
        "subtitle" => StreamKind::Subtitle {
            bitmap: BITMAP_SUBTITLES.contains(&codec.as_str()),
        },
        "attachment" => StreamKind::Attachment,
        _ => StreamKind::Data,
    };
    Some(Stream {
        index: usize::try_from(value["index"].as_u64()?).ok()?,
        codec,
        time_base: ratio(value, "time_base").unwrap_or_else(|| base(90_000)),
        tags,
        dispositions,
        kind,
    })
}

fn side(value: &Value, key: &str) -> u32 {
    value[key]
        .as_u64()
        .and_then(|side| u32::try_from(side).ok())
        .unwrap_or(0)
}

fn video(value: &Value, codec: &str, tags: &[(String, String)], dispositions: &[String]) -> VideoFacts {
    let source_format = text(value, "pix_fmt").unwrap_or_else(|| "unknown".to_owned());
    let alpha_mode = tags
        .iter()
        .any(|(key, value)| key.eq_ignore_ascii_case("alpha_mode") && value == "1");
    let mut format = carried_format(&source_format);
    format.alpha |= alpha_mode && matches!(codec, "vp8" | "vp9");
    let angle = list(&value["side_data_list"])
        .find_map(|data| data["rotation"].as_f64())
        .unwrap_or(0.0);
    let rotation = super::quarter_turns(angle);
    let mut size = Size::new(side(value, "width"), side(value, "height"));
    let mut aspect = ratio(value, "sample_aspect_ratio");
    if rotation % 180 == 90 {
        size = Size::new(size.height, size.width);
        aspect = aspect.and_then(Rational::inverse);
    }
    let mut facts = VideoFacts {
        size,
        source_format: source_format.clone(),
        format,
        frame_rate: ratio(value, "r_frame_rate"),
        sample_aspect: aspect,
        field_order: match value["field_order"].as_str() {
            Some("progressive") => FieldOrder::Progressive,
            Some("tt" | "bt") => FieldOrder::TopFirst,
            Some("bb" | "tb") => FieldOrder::BottomFirst,
            _ => FieldOrder::Unknown,
        },
        color: ColorSpec::default(),
        range_stated: false,
        first_pts: None,
        side_data: SideData::default(),
        rotation,
        alpha_mode,
        stated_frames: value["nb_frames"].as_str().and_then(|frames| frames.parse().ok()),
        attached_picture: dispositions.iter().any(|name| name == "attached_pic"),
    };
    apply_color(&mut facts, &source_format, &stated(value));
    facts
}

fn stated(value: &Value) -> Stated<'_> {
    Stated {
        range: value["color_range"].as_str(),
        matrix: value["color_space"].as_str(),
        primaries: value["color_primaries"].as_str(),
        transfer: value["color_transfer"].as_str(),
        chroma: value["chroma_location"].as_str().and_then(color::chroma),
    }
}

/// Fills in what the first frame says.
fn refine(facts: &mut VideoFacts, stream: &Value, frame: &Value) {
    let source_format = facts.source_format.clone();
    let mut said = stated(frame);
    said.chroma = stated(stream).chroma.or(said.chroma);
    apply_color(facts, &source_format, &said);
    if facts.field_order == FieldOrder::Unknown && frame["interlaced_frame"].as_i64() == Some(1) {
        facts.field_order = if frame["top_field_first"].as_i64() == Some(1) {
            FieldOrder::TopFirst
        } else {
            FieldOrder::BottomFirst
        };
    }
    for data in list(&frame["side_data_list"]) {
        match data["side_data_type"].as_str() {
            Some("Mastering display metadata") => facts.side_data.mastering = mastering(data),
            Some("Content light level metadata") => {
                facts.side_data.content_light = Some(ContentLight {
                    max_content: side(data, "max_content"),
                    max_average: side(data, "max_average"),
                });
            }
            _ => {}
        }
    }
}

/// AVI and others have no times of their own: then it is the decoder's.
fn first_pts(frame: &Value) -> Option<i64> {
    frame["pts"]
        .as_i64()
        .or_else(|| frame["best_effort_timestamp"].as_i64())
}

fn mastering(data: &Value) -> Option<MasteringDisplay> {
    let read = |key: &str| data[key].as_str()?.parse::<Rational>().ok();
    Some(MasteringDisplay {
        chromaticities: [
            (read("red_x")?, read("red_y")?),
            (read("green_x")?, read("green_y")?),
            (read("blue_x")?, read("blue_y")?),
            (read("white_point_x")?, read("white_point_y")?),
        ],
        min_luminance: read("min_luminance")?,
        max_luminance: read("max_luminance")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chapter_in_ticks_of_no_length_is_none() {
        let chapter = |base: &str| serde_json::json!({"time_base": base, "start": 0, "end": 9});
        let json = serde_json::json!({"chapters": [chapter("0/1"), chapter("-1/25"), chapter("1/25")]});
        let chapters = media_info(Path::new("x"), &json).chapters;
        assert_eq!(
            chapters.iter().map(|chapter| chapter.end.seconds()).collect::<Vec<_>>(),
            [0.36]
        );
    }

    #[test]
    fn an_absurd_duration_is_taken_as_it_stands() {
        let json = serde_json::json!({"format": {"duration": "9223372036854.775807", "start_time": "-0.5"}});
        let info = media_info(Path::new("x"), &json);
        assert_eq!(info.duration.unwrap().ticks, i64::MAX / 10_000);
        assert_eq!(info.start.unwrap().ticks, -500_000);
    }
}
