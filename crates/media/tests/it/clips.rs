//! Tools under test and clips made on the spot.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use kinora_media::{
    DecodeOptions, Decoder, EncodeSettings, Encoder, Ffmpeg, FfmpegSearch, MediaError, MediaInfo, Stop, VideoFormat,
    Written,
};

/// Every FFmpeg under test. There is at least one, or the tests fail.
pub fn tools() -> &'static [Ffmpeg] {
    static TOOLS: OnceLock<Vec<Ffmpeg>> = OnceLock::new();
    TOOLS.get_or_init(search)
}

fn search() -> Vec<Ffmpeg> {
    if let Some(list) = std::env::var_os("KINORA_TEST_FFMPEG") {
        return std::env::split_paths(&list)
            .map(|path| Ffmpeg::at(&path).unwrap())
            .collect();
    }
    let search = FfmpegSearch {
        path: std::env::var_os("PATH"),
        ..FfmpegSearch::default()
    };
    vec![Ffmpeg::find(&search).unwrap()]
}

/// Runs `check` with every FFmpeg; says which one failed.
pub fn with_each(check: impl Fn(&Ffmpeg)) {
    for tool in tools() {
        println!("FFmpeg {} at {}", tool.version_text(), tool.program().display());
        check(tool);
    }
}

/// Runs FFmpeg as a test's own tool: words separated by blanks, paths given apart.
pub fn make(tool: &Ffmpeg, words: &str, output: &Path) -> PathBuf {
    let out = Command::new(tool.program())
        .args(["-nostdin", "-v", "error", "-y"])
        .args(words.split_whitespace())
        .arg(output)
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{words}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    output.to_path_buf()
}

/// Decodes everything.
pub fn decode(
    tool: &Ffmpeg,
    info: &MediaInfo,
    options: DecodeOptions,
) -> Result<(Vec<kinora_frame::Frame>, Decoder), MediaError> {
    let mut decoder = Decoder::open(tool, info, options)?;
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next_frame()? {
        frames.push(frame);
    }
    Ok((frames, decoder))
}

/// The format in which a source's frames are written back unchanged.
pub fn same_format(info: &MediaInfo) -> VideoFormat {
    let (stream, facts) = info.video().unwrap();
    VideoFormat {
        size: facts.size,
        format: facts.format,
        color: facts.color,
        output_color: facts.color,
        time_base: stream.time_base,
        sample_aspect: facts.sample_aspect,
        side_data: facts.side_data.clone(),
    }
}

/// Decodes and encodes without a change between.
pub fn copy_through(
    tool: &Ffmpeg,
    input: &Path,
    output: &Path,
    settings: &EncodeSettings,
) -> Result<(MediaInfo, Vec<kinora_frame::Frame>, Written), MediaError> {
    let info = tool.probe(input)?;
    let (frames, _) = decode(tool, &info, DecodeOptions::default())?;
    let mut encoder = Encoder::start(
        tool,
        output,
        &same_format(&info),
        Some(&info),
        settings,
        &Stop::default(),
    )?;
    for frame in &frames {
        encoder.write(frame)?;
    }
    let written = encoder.finish()?;
    Ok((info, frames, written))
}

/// Times of frames, as seconds in lowest terms.
pub fn ticks(frames: &[kinora_frame::Frame]) -> Vec<i64> {
    frames.iter().map(|frame| frame.pts.ticks).collect()
}

/// Turns the picture of an MP4 by writing a display matrix of 90 degrees into its track header.
pub fn turn(clip: &Path) {
    let mut bytes = std::fs::read(clip).unwrap();
    let at = bytes.windows(4).position(|word| word == b"tkhd").unwrap() + 4 + 40;
    let matrix: [u32; 9] = [0, 0x10000, 0, (-0x10000i32) as u32, 0, 0, 0, 0, 0x4000_0000];
    for (place, number) in bytes[at..at + 36].chunks_mut(4).zip(matrix) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    std::fs::write(clip, bytes).unwrap();
}

/// The name of a clip and the words that make it.
pub const CLIPS: &[(&str, &str)] = &[
    (
        "plain.mp4",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -c:v libx264 -pix_fmt yuv420p -bf 2",
    ),
    (
        "ntsc.mkv",
        "-f lavfi -i testsrc2=s=64x48:r=24000/1001:d=0.5 -c:v libx264 -pix_fmt yuv420p -color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv",
    ),
    (
        "audio.mp4",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -f lavfi -i sine=d=0.4 -f lavfi -i sine=d=0.4:f=900 -map 0 -map 1 -map 2 -metadata title=Hello -metadata:s:a:1 language=deu -c:v libx264 -pix_fmt yuv420p -c:a aac",
    ),
    (
        "start.ts",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -f lavfi -i sine=d=0.4 -c:v libx264 -pix_fmt yuv420p -c:a aac -output_ts_offset 10",
    ),
    (
        "hdr.mkv",
        "-f lavfi -i testsrc2=s=96x80:r=24:d=0.3 -vf format=yuv420p10le,setparams=range=limited:color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc -c:v libx265 -x265-params log-level=none:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400:hdr10=1:repeat-headers=1",
    ),
    (
        "full.mkv",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.2 -c:v mjpeg -pix_fmt yuvj420p",
    ),
    (
        "interlaced.mp4",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -vf setfield=tff -c:v libx264 -pix_fmt yuv420p -flags +ilme+ildct -x264-params tff=1",
    ),
    (
        "odd.mkv",
        "-f lavfi -i testsrc2=s=66x50:r=25:d=0.2,crop=65:49:0:0:exact=1 -c:v ffv1 -pix_fmt yuv420p",
    ),
    (
        "sar.mp4",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.2 -vf setsar=16/15 -c:v libx264 -pix_fmt yuv420p",
    ),
    (
        "topleft.mp4",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.2 -c:v libx264 -pix_fmt yuv420p -chroma_sample_location topleft",
    ),
    (
        "alpha.webm",
        "-f lavfi -i color=red@0.5:s=64x48:r=25:d=0.2,format=yuva420p -c:v libvpx-vp9 -pix_fmt yuva420p",
    ),
    (
        "prores.mov",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.2,format=yuva444p10le -c:v prores_ks -pix_fmt yuva444p10le -profile:v 4444",
    ),
    ("pal.gif", "-f lavfi -i testsrc2=s=64x48:r=10:d=0.5"),
    ("mpeg4.avi", "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -c:v mpeg4 -bf 2"),
];

/// A clip of [`CLIPS`], made by the first FFmpeg under test.
pub fn clip(folder: &Path, name: &str) -> PathBuf {
    let (_, words) = CLIPS.iter().find(|(known, _)| *known == name).unwrap();
    make(&tools()[0], words, &folder.join(name))
}

/// MKV with SubRip, two chapters with awkward titles, a font-like attachment and a title.
pub fn rich(folder: &Path) -> PathBuf {
    let video = clip(folder, "audio.mp4");
    let text = folder.join("s.srt");
    std::fs::write(&text, "1\n00:00:00,000 --> 00:00:00,300\nhi\n\n").unwrap();
    let chapters = folder.join("chapters.txt");
    std::fs::write(
        &chapters,
        ";FFMETADATA1\ntitle=T\\=1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=200\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=200\nEND=400\ntitle=Two\\; a\\=b\n",
    )
    .unwrap();
    let out = Command::new(tools()[0].program())
        .args(["-nostdin", "-v", "error", "-y", "-i"])
        .arg(&video)
        .arg("-i")
        .arg(&text)
        .arg("-i")
        .arg(&chapters)
        .args([
            "-map",
            "0",
            "-map",
            "1",
            "-map_metadata",
            "2",
            "-map_chapters",
            "2",
            "-c",
            "copy",
            "-attach",
        ])
        .arg(&chapters)
        .args([
            "-metadata:s:t",
            "mimetype=text/plain",
            "-metadata:s:s:0",
            "language=fra",
            "-disposition:s:0",
            "forced",
        ])
        .arg(folder.join("rich.mkv"))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    folder.join("rich.mkv")
}

/// A program that answers as FFmpeg does, and does `instead` when it is to decode or encode.
pub fn fake(folder: &Path, instead: &str) -> Ffmpeg {
    let real = tools()[0].program();
    let path = folder.join("ffmpeg");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in\n*-encoders*|*-decoders*) exec {} \"$@\";;\nesac\n{instead}\n",
        real.display()
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    Ffmpeg::at(&path).unwrap()
}

/// Number of processes whose command line holds this word.
pub fn running(word: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap();
    let lines = entries.filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
    lines
        .filter(|line| String::from_utf8_lossy(line).contains(word))
        .count()
}
