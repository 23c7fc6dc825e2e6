//! Which encoder, and whether the settings mean anything to it: all before anything is started.

use super::{
    EncodeSettings, Quality, VideoFormat,
    container::Container,
    presets::{self, EncoderPreset},
};
use crate::{Ffmpeg, MediaError};

/// The encoder that was asked for, or the usual one of the container.
pub(super) fn choose(
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

/// The typed error of an encoder that this FFmpeg lacks.
pub(super) fn check_encoder(ffmpeg: &Ffmpeg, preset: &EncoderPreset) -> Result<(), MediaError> {
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

/// The typed error of a setting that this encoder does not have.
pub(super) fn check_settings(preset: &EncoderPreset, settings: &EncodeSettings) -> Result<(), MediaError> {
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
        if !plain || key.starts_with('-') {
            return refuse(
                "encoder option",
                "an option of the encoder, as FFmpeg names it without the dash".to_owned(),
                key.clone(),
            );
        }
    }
    Ok(())
}
