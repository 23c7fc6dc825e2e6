//! What must hold for any input: the bodies of the fuzz targets of `fuzz/`, built for them and for tests only.
// A panic is how a target tells of a fault.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    cmp::Ordering,
    ffi::OsStr,
    fmt::Write as _,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use kinora_frame::{Pool, Rational, Size, Timestamp};

use crate::{
    MediaInfo, PacketIndex, StillFormat, StreamKind, animation, images,
    index::Packets,
    is_animation,
    nut::{NutLimits, NutReader, NutWriter},
    probe::{self, color, ffprobe, human, metadata},
    sequence::natural_order,
};

const LIMITS: NutLimits = NutLimits {
    packet_bytes: 1 << 12,
    frame_bytes: 1 << 16,
    streams: 8,
};

/// Every frame is of a stream that was declared and within the limits. Checksums are taken as right (`nut::sums_up`).
pub fn nut(bytes: &[u8]) {
    let Ok(mut reader) = NutReader::open(bytes, LIMITS) else {
        return;
    };
    let mut frame = Vec::new();
    let mut odd = false;
    while let Ok(Some(packet)) = reader.next_packet() {
        assert!(packet.bytes as u64 <= LIMITS.frame_bytes);
        assert_eq!(packet.pts.base, reader.streams()[packet.stream].base);
        // Every second frame is skipped.
        odd = !odd;
        frame.resize(packet.bytes, 0);
        if odd && reader.read_frame(&mut frame).is_err() {
            break;
        }
    }
}

/// What the writer wrote the reader reads: the stream, the times and every byte.
pub fn nut_round_trip(bytes: &[u8]) {
    let mut numbers = bytes
        .chunks_exact(8)
        .map(|word| word.try_into().map(u64::from_le_bytes));
    let mut next = || numbers.next().and_then(Result::ok);
    let (Some(size), Some(num), Some(den)) = (next(), next(), next()) else {
        return;
    };
    let size = Size::new(size as u32, (size >> 32) as u32);
    let base = Rational::from_wide(i128::from(num), i128::from(den)).filter(|base| base.num() > 0);
    let (Some(base), Ok(())) = (base, size.check()) else {
        return;
    };
    // A reader refuses a time above 63 bits.
    let times: Vec<u64> = std::iter::from_fn(next).map(|time| time >> 1).collect();
    let data = |time: u64| &bytes[..time as usize % (bytes.len() + 1)];
    let mut writer = NutWriter::new(Vec::new(), *b"RGB\x18", size, (4, 3), base).unwrap();
    for time in &times {
        writer.frame(*time, data(*time)).unwrap();
    }
    let file = writer.into_inner();
    let mut reader = NutReader::open(file.as_slice(), NutLimits::default()).unwrap();
    let [stream] = reader.streams() else {
        panic!("one stream was written")
    };
    assert_eq!((stream.size, stream.base), (Some(size), base));
    for time in times {
        let packet = reader.next_packet().unwrap().unwrap();
        assert_eq!(packet.pts, Timestamp::new(time as i64, base));
        let mut frame = vec![0; packet.bytes];
        reader.read_frame(&mut frame).unwrap();
        assert_eq!(frame, data(time));
    }
    assert!(reader.next_packet().unwrap().is_none());
}

/// Facts out of ffprobe's JSON are ones that the rest may trust.
pub fn ffprobe_json(bytes: &[u8]) {
    if let Ok(json) = serde_json::from_slice(bytes) {
        let info = ffprobe::media_info(Path::new("x"), &json);
        trusted(&ffprobe::with_first_frame(info, &json, &json["frames"][0]));
    }
}

/// Facts out of FFmpeg's lines for people are ones that the rest may trust.
pub fn ffmpeg_log(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (lines, headers) = (human::input_lines(&text), human::crc_headers(&text));
    let mut info = probe::described(Path::new("x"), &lines, &headers);
    let main = info.video().map(|(stream, _)| stream.index);
    probe::with_first_frame(&mut info, &lines, main, &human::first_frame(&text));
    trusted(&info);
}

fn trusted(info: &MediaInfo) {
    let positive = |ratio: Rational| assert!(ratio.num() > 0, "{ratio}");
    for stream in &info.streams {
        positive(stream.time_base);
        if let StreamKind::Video(facts) = &stream.kind {
            facts.sample_aspect.map(positive);
            facts.frame_rate.map(positive);
            assert!(facts.rotation.is_multiple_of(90) && facts.rotation < 360);
        }
    }
    for time in info.duration.iter().chain(&info.start) {
        assert!(!time.to_string().is_empty() && !time.decimal_micros().is_empty());
    }
    for chapter in &info.chapters {
        positive(chapter.start.base);
        positive(chapter.end.base);
    }
}

/// Metadata that was read and is written again is read as the same.
pub fn ffmetadata(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (tags, chapters) = metadata::parse(&text);
    let escaped = |text: &str| {
        let mut out = String::new();
        for c in text.chars() {
            if !c.is_alphanumeric() {
                out.push('\\');
            }
            out.push(c);
        }
        out
    };
    let mut again = String::from(";FFMETADATA1\n");
    for (key, value) in &tags {
        let _ = writeln!(again, "{}={}", escaped(key), escaped(value));
    }
    for chapter in &chapters {
        let (start, end) = (chapter.start, chapter.end);
        let _ = writeln!(again, "[CHAPTER]\nTIMEBASE={}\nSTART={}", start.base, start.ticks);
        let _ = writeln!(again, "TIMEBASE={}\nEND={}", end.base, end.ticks);
        if let Some(title) = &chapter.title {
            let _ = writeln!(again, "title={}", escaped(title));
        }
    }
    assert_eq!(metadata::parse(&again), (tags, chapters));
}

/// An index answers for each of its frames, in order.
pub fn packet_index(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut packets = Packets::default();
    for line in text.lines() {
        packets.line(line);
    }
    let Some(index) = packets.index() else { return };
    assert_eq!(index.times().len() as u64, index.len());
    assert!(index.times().zip(index.times().skip(1)).all(|(a, b)| a <= b));
    for (frame, time) in index.times().enumerate() {
        let frame = frame as u64;
        assert_eq!(index.pts_of(frame), Some(time));
        let found = index.frame_at(time).unwrap();
        assert!(found == frame || found > frame && !index.seekable());
        assert!(index.duration_of(time).is_none_or(|length| length.ticks > 0));
        assert!(index.key_before(time, 0).is_none_or(|key| key <= time));
        let _ = index.is_key(time);
    }
    let json = serde_json::to_string(&index).unwrap();
    assert_eq!(serde_json::from_str::<PacketIndex>(&json).unwrap(), index);
}

/// A colour that was read is written under a name that is read as the same.
pub fn color_tags(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (primaries, transfer, matrix) = (color::primaries(text), color::transfer(text), color::matrix(text));
    if let Some(name) = color::primaries_name(primaries) {
        assert_eq!(color::primaries(name), primaries);
    }
    if let Some(name) = color::transfer_name(transfer) {
        assert_eq!(color::transfer(name), transfer);
    }
    if let Some(name) = color::matrix_name(matrix) {
        assert_eq!(color::matrix(name), matrix);
    }
    if let Some(chroma) = color::chroma(text) {
        assert_eq!(color::chroma_name(chroma), text);
    }
}

/// Names of files are in one order.
pub fn file_names(bytes: &[u8]) {
    let names: Vec<&OsStr> = bytes.split(|b| *b == b'\n').take(3).map(OsStr::from_bytes).collect();
    if let &[a, b, c] = names.as_slice() {
        let order = natural_order;
        assert_eq!(order(a, b), order(b, a).reverse());
        assert_eq!(order(a, b) == Ordering::Equal, a == b);
        let rises = |x, y| order(x, y) != Ordering::Greater;
        assert!(!(rises(a, b) && rises(b, c)) || rises(a, c));
    }
}

/// A picture is read whole and within the limit of pixels, or it is refused.
pub fn still(bytes: &[u8], folder: &Path) {
    const PIXELS: u64 = 1 << 16;
    let path = written(folder, bytes);
    let kind = StillFormat::sniff(&path);
    if let Ok(still) = images::read_still(&path, &Pool::new(1), PIXELS) {
        assert!(still.image.size().pixels() <= PIXELS);
        let format = still.image.pixel_format("fuzz").unwrap();
        let held = still.image.host_buffer().unwrap().bytes().len();
        assert_eq!(format.frame_bytes(still.image.size()).unwrap(), held);
    }
    if is_animation(&path) {
        assert_eq!(kind, None);
    }
    if animation::is_webp(&path)
        && let Ok(mut animation) = animation::Animation::open(&path, PIXELS)
    {
        let mut last = None;
        while let Ok(Some((_, pts, _))) = animation.next(&Pool::new(1)) {
            assert!(last.is_none_or(|last| last <= pts));
            last = Some(pts);
        }
    }
}

/// A file is never written again in place: another one may be mapped.
fn written(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("input");
    let _ = std::fs::remove_file(&path);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bodies_hold_for_what_is_usual() {
        let mut file = NutWriter::new(Vec::new(), *b"Y800", Size::new(2, 2), (1, 1), Rational::ONE).unwrap();
        file.frame(3, b"four").unwrap();
        file.frame(4, b"more").unwrap();
        nut(&file.into_inner());
        let words = [0x0001_0000_0002u64, 1, 25, 0, 7, 8, u64::MAX];
        nut_round_trip(&words.into_iter().flat_map(u64::to_le_bytes).collect::<Vec<_>>());
        ffprobe_json(br#"{"streams": [{"index": 0, "codec_type": "video", "time_base": "1/25"}], "format": {"duration": "1.04"}}"#);
        ffmpeg_log(b"Input #0, matroska, from 'x':\n  Duration: 00:00:01.00, start: 0.5\n  Stream #0:0: Video: ffv1, yuv420p(tv), 64x32 [SAR 0:1]\n#tb 0: 1/25\n");
        ffmetadata(b";FFMETADATA1\na\\=b=c\\\nd\n[CHAPTER]\nTIMEBASE=1/10\nSTART=1\nEND=2\ntitle=\\[x\n");
        packet_index(b"#tb 0: 1/25\n0, 0, 0, 1, 9, 0x1\n0, 1, 2, 1, 9, 0x1, F=0x0\n0, 2, 1, 1, 9, 0x1\n");
        color_tags(b"bt2020nc");
        file_names(b"pic.png\na10\na2");
        let folder = tempfile::tempdir().unwrap();
        for bytes in [&b"\x89PNG\r\n\x1a\n"[..], b"RIFF\0\0\0\0WEBP", b""] {
            still(bytes, folder.path());
        }
    }
}
