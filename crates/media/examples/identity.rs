//! Decodes a file and encodes it again without a change between: what the way through kinora costs.
//!
//! `identity FFMPEG INPUT OUTPUT`, to be timed beside
//! `ffmpeg -i INPUT -c:v libx264 -preset ultrafast -crf 18 -c:a copy OUTPUT`.

use std::{path::Path, process::ExitCode};

use kinora_media::{DecodeOptions, Decoder, EncodeSettings, Encoder, Ffmpeg, MediaError, Stop, VideoFormat};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let [_, ffmpeg, input, output] = words.as_slice() else {
        return ExitCode::from(2);
    };
    match identity(Path::new(ffmpeg), Path::new(input), Path::new(output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn identity(ffmpeg: &Path, input: &Path, output: &Path) -> Result<(), MediaError> {
    let ffmpeg = Ffmpeg::at(ffmpeg)?;
    let info = ffmpeg.probe(input)?;
    let mut decoder = Decoder::open(&ffmpeg, &info, DecodeOptions::default())?;
    let Some((stream, facts)) = info.video() else {
        return Ok(());
    };
    let video = VideoFormat {
        size: facts.size,
        format: facts.format,
        color: facts.color,
        output_color: facts.color,
        time_base: stream.time_base,
        sample_aspect: facts.sample_aspect,
        side_data: facts.side_data.clone(),
    };
    let settings = EncodeSettings {
        codec: Some("h264".to_owned()),
        crf: Some(18),
        encoder_preset: Some("ultrafast".to_owned()),
        overwrite: true,
        ..EncodeSettings::default()
    };
    let mut encoder = Encoder::start(&ffmpeg, output, &video, Some(&info), &settings, &Stop::default())?;
    while let Some(frame) = decoder.next_frame()? {
        encoder.write(&frame)?;
    }
    encoder.finish()?;
    Ok(())
}
