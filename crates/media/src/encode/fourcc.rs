//! The four-letter codes by which NUT names raw pixel formats: the table of FFmpeg's libavcodec/raw.c.

use kinora_frame::{ColorModel, PixelFormat};

use crate::MediaError;

/// The code of a format, where there is one.
pub(super) fn of(format: PixelFormat) -> Result<[u8; 4], MediaError> {
    let planes = if format.alpha { b'4' } else { b'3' };
    let bits = format.bits;
    let code = match (format.model, format.alpha, bits) {
        (ColorModel::Gray, false, 8) => *b"Y800",
        (ColorModel::Gray, false, _) => [b'Y', b'1', 0, bits],
        (ColorModel::Yuv420, false, 8) => *b"I420",
        (ColorModel::Yuv422, false, 8) => *b"Y42B",
        (ColorModel::Yuv444, false, 8) => *b"444P",
        (ColorModel::Yuv420, true, 12) | (ColorModel::Gray, true, _) => return Err(unknown(format)),
        (ColorModel::Yuv420, ..) => [b'Y', planes, 11, bits],
        (ColorModel::Yuv422, ..) => [b'Y', planes, 10, bits],
        (ColorModel::Yuv444, ..) => [b'Y', planes, 0, bits],
        (ColorModel::Gbr, ..) => [b'G', planes, 0, bits],
        (ColorModel::Rgb, false, 8) => [b'R', b'G', b'B', 24],
        (ColorModel::Rgb, true, 8) => *b"RGBA",
        (ColorModel::Rgb, false, _) => *b"RGB0",
        (ColorModel::Rgb, true, _) => *b"RBA@",
    };
    Ok(code)
}

fn unknown(format: PixelFormat) -> MediaError {
    MediaError::Setting {
        name: "pixel format of the frames",
        expected: "one that FFmpeg has".to_owned(),
        found: format.name(),
    }
}
