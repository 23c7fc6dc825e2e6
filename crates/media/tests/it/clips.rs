//! Tools under test and clips made on the spot.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use kinora_media::{
    DecodeOptions, Decoder, EncodeSettings, Encoder, Ffmpeg, FfmpegSearch, MediaError, MediaInfo, Stop, VideoFormat,
    Written,
};

/// Every FFmpeg under test. There is at least one, or the tests fail.
pub fn tools() -> Vec<Ffmpeg> {
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
        check(&tool);
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
