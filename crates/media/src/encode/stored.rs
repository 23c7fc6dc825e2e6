//! In which pixel format and size pictures are stored.

use kinora_frame::{ColorModel, PixelFormat, Size};

use super::{EncodeSettings, Note, OddSize, VideoFormat, presets::EncoderPreset};
use crate::{MediaError, probe::facts::carried_format};

/// The encoder's format that keeps most of the frames' own, or the one that was asked for.
pub(super) fn pixel_format(
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
                let to = carried_format(name);
                (
                    full_chroma && to.is_yuv() && to.model != ColorModel::Yuv444,
                    loss(from, to),
                )
            });
            best.copied().unwrap_or("yuv420p")
        }
    };
    let to = carried_format(chosen);
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

/// The size that the encoder takes, nearest to that of the frames.
pub(super) fn adjusted(preset: &EncoderPreset, pixel_format: &str, size: Size, policy: OddSize) -> Size {
    let format = carried_format(pixel_format);
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
