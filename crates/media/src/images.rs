//! Still pictures: PNG, JPEG, WebP, TIFF in and out, known by their content, not by their name.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageError, ImageFormat, ImageReader, Limits,
    codecs::{jpeg::JpegEncoder, png::PngEncoder, tiff::TiffEncoder, webp::WebPEncoder},
};
use kinora_frame::{ColorSpec, Image, ImageDesc, Layout, PixelFormat, Pool, Size};

use crate::{MediaError, encode::part::PartFile};

/// Longest colour profile that is carried.
const MAX_PROFILE_BYTES: usize = 8 << 20;

/// Quality of written JPEG files, 1 to 100, unless the caller says otherwise.
pub const JPEG_QUALITY: u8 = 95;

/// A kind of picture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StillFormat {
    /// PNG: lossless, 8 and 16 bits, opacity.
    Png,
    /// JPEG: 8 bits.
    Jpeg,
    /// WebP, written lossless.
    WebP,
    /// TIFF: lossless, 8 and 16 bits, opacity.
    Tiff,
}

impl StillFormat {
    /// The kind that a file's name asks for.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "png" => Self::Png,
            "jpg" | "jpeg" => Self::Jpeg,
            "webp" => Self::WebP,
            "tif" | "tiff" => Self::Tiff,
            _ => return None,
        })
    }

    /// The kind that a file's first bytes show; `None` for anything else, and for animations.
    #[must_use]
    pub fn sniff(path: &Path) -> Option<Self> {
        let mut head = Vec::with_capacity(64);
        let mut file = BufReader::new(File::open(path).ok()?);
        Read::take(&mut file, 64).read_to_end(&mut head).ok()?;
        match image::guess_format(&head).ok()? {
            ImageFormat::Png => (!crate::animation::is_apng(&mut file).unwrap_or(false)).then_some(Self::Png),
            ImageFormat::Jpeg => Some(Self::Jpeg),
            ImageFormat::WebP => {
                let animated = head.get(12..16) == Some(b"VP8X") && head.get(20).is_some_and(|flags| flags & 2 != 0);
                (!animated).then_some(Self::WebP)
            }
            ImageFormat::Tiff => Some(Self::Tiff),
            _ => None,
        }
    }

    /// Pixel formats that can be written, the best first.
    #[must_use]
    pub const fn takes(self) -> &'static [PixelFormat] {
        const GRAY16: PixelFormat = PixelFormat {
            bits: 16,
            ..PixelFormat::GRAY8
        };
        match self {
            Self::Png | Self::Tiff => &[
                PixelFormat::RGB24,
                PixelFormat::RGBA,
                PixelFormat::RGB48,
                PixelFormat::RGBA64,
                PixelFormat::GRAY8,
                GRAY16,
            ],
            Self::Jpeg => &[PixelFormat::RGB24, PixelFormat::GRAY8],
            Self::WebP => &[PixelFormat::RGB24, PixelFormat::RGBA],
        }
    }

    /// Most columns, and most rows, that a file of this kind can say.
    #[must_use]
    pub const fn largest_side(self) -> u32 {
        match self {
            Self::Png => i32::MAX as u32,
            Self::Jpeg => 65_535,
            Self::WebP => 16_384,
            Self::Tiff => u32::MAX,
        }
    }

    /// Refuses a size that a file of this kind cannot say: to be asked before the work.
    ///
    /// # Errors
    /// [`MediaError::Container`] with the limit and what has none.
    pub fn check_size(self, size: Size) -> Result<(), MediaError> {
        let limit = self.largest_side();
        if size.width.max(size.height) <= limit {
            return Ok(());
        }
        Err(MediaError::Container {
            container: self.title(),
            what: format!("a picture of {size}: no side is longer than {limit}"),
            hint: "write .png or .tiff".to_owned(),
        })
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WebP",
            Self::Tiff => "TIFF",
        }
    }
}

/// A picture with what its file says about colour.
#[derive(Clone, Debug)]
pub struct Still {
    /// The picture, upright: the orientation of its file is applied. RGB or grey, full range.
    pub image: Image,
    /// Its ICC profile. Code values are not converted: written back with the profile they mean the same colours.
    pub icc_profile: Option<Vec<u8>>,
}

/// Reads a picture. Its size is checked before memory is taken; a palette becomes RGB.
///
/// # Errors
/// [`MediaError::InputMissing`], [`MediaError::InputUnreadable`], [`MediaError::TooLarge`], and
/// [`MediaError::UnsupportedImage`] for CMYK and float pictures, whose colours would be wrong.
pub fn read_still(path: &Path, pool: &Pool, max_pixels: u64) -> Result<Still, MediaError> {
    crate::ffmpeg::check_input(path)?;
    let mut file = BufReader::new(File::open(path).map_err(|source| MediaError::io("opening", path, source))?);
    let components = jpeg_components(&mut file).map_err(|source| MediaError::io("reading", path, source))?;
    if components == Some(4) {
        return Err(unsupported(path, "a CMYK JPEG"));
    }
    if components.is_some() && !jpeg_ends(&mut file).map_err(|source| MediaError::io("reading", path, source))? {
        return Err(MediaError::InputUnreadable {
            path: path.to_path_buf(),
            cause: "the JPEG is cut off: its end marker is missing".to_owned(),
        });
    }
    let mut reader = ImageReader::new(file)
        .with_guessed_format()
        .map_err(|source| MediaError::io("reading", path, source))?;
    reader.limits(read_limits(max_pixels));
    let mut decoder = reader.into_decoder().map_err(|error| read_error(path, &error))?;
    let (width, height) = decoder.dimensions();
    let size = Size::new(width, height);
    if size.pixels() > max_pixels {
        return Err(MediaError::TooLarge {
            path: path.to_path_buf(),
            size,
            limit: max_pixels,
        });
    }
    if crate::animation::is_webp(path) {
        let file = File::open(path).map_err(|source| MediaError::io("opening", path, source))?;
        crate::animation::check_sizes(path, &mut BufReader::new(file), size)?;
    }
    match decoder.original_color_type() {
        ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16 => return Err(unsupported(path, "a CMYK picture")),
        ExtendedColorType::Rgb32F | ExtendedColorType::Rgba32F => return Err(unsupported(path, "a float picture")),
        _ => {}
    }
    // A profile or orientation that cannot be read is none: the pixels are what matters.
    let icc_profile = decoder
        .icc_profile()
        .ok()
        .flatten()
        .filter(|profile| profile.len() <= MAX_PROFILE_BYTES);
    let orientation = decoder.orientation().ok();
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| read_error(path, &error))?;
    if let Some(orientation) = orientation {
        picture.apply_orientation(orientation);
    }
    Ok(Still {
        image: into_image(path, picture, pool)?,
        icc_profile,
    })
}

/// Whether an end marker follows the first picture data of a JPEG: the decoder paints what is missing grey without a
/// word. A marker inside the data would be stuffed, and thumbnails lie before it. Leaves the reader at its start.
fn jpeg_ends(file: &mut BufReader<File>) -> std::io::Result<bool> {
    let mut before = 0u8;
    let mut in_data = false;
    let mut ends = false;
    let mut chunk = Vec::with_capacity(64 << 10);
    'file: loop {
        chunk.clear();
        if Read::take(&mut *file, 64 << 10).read_to_end(&mut chunk)? == 0 {
            break;
        }
        for &byte in &chunk {
            match (before, byte) {
                (0xff, 0xda) => in_data = true,
                (0xff, 0xd9) if in_data => {
                    ends = true;
                    break 'file;
                }
                _ => {}
            }
            before = byte;
        }
    }
    file.rewind()?;
    Ok(ends)
}

/// Writes a picture under its final name once it is whole. Returns its bytes.
///
/// # Errors
/// [`MediaError::Setting`] for an extension that names no picture, [`MediaError::Container`] for a pixel format the file
/// cannot hold ([`StillFormat::takes`]), [`MediaError::OutputExists`], [`MediaError::DiskFull`].
pub fn write_still(path: &Path, still: &Still, jpeg_quality: u8, overwrite: bool) -> Result<u64, MediaError> {
    let format = StillFormat::of(path).ok_or_else(|| MediaError::Setting {
        name: "the output's extension",
        expected: "png, jpg, webp or tiff".to_owned(),
        found: path.extension().unwrap_or_default().to_string_lossy().into_owned(),
    })?;
    let pixels = still.image.pixel_format("writing a picture")?;
    let color = color_type(pixels).filter(|_| format.takes().contains(&pixels));
    let Some(color) = color else {
        let names: Vec<String> = format.takes().iter().map(ToString::to_string).collect();
        return Err(MediaError::Container {
            container: format.title(),
            what: format!("{pixels} pixels"),
            hint: format!(
                "it holds {}; write .png, or convert the picture first",
                names.join(", ")
            ),
        });
    };
    let part = PartFile::create(path, overwrite)?;
    let file = File::create(part.path()).map_err(|source| MediaError::io("creating", path, source))?;
    let mut out = BufWriter::with_capacity(256 << 10, file);
    let bytes = still.image.host_buffer()?.bytes();
    let (width, height) = (still.image.size().width, still.image.size().height);
    let profile = still.icc_profile.clone();
    let done = match format {
        StillFormat::Png => encode(PngEncoder::new(&mut out), profile, bytes, width, height, color),
        StillFormat::Jpeg => {
            let quality = jpeg_quality.clamp(1, 100);
            encode(
                JpegEncoder::new_with_quality(&mut out, quality),
                profile,
                bytes,
                width,
                height,
                color,
            )
        }
        StillFormat::WebP => encode(
            WebPEncoder::new_lossless(&mut out),
            profile,
            bytes,
            width,
            height,
            color,
        ),
        StillFormat::Tiff => encode(TiffEncoder::new(&mut out), profile, bytes, width, height, color),
    };
    let flushed = done.and_then(|()| out.flush().map_err(ImageError::IoError));
    flushed.map_err(|error| match error {
        ImageError::IoError(source) => MediaError::io("writing", path, source),
        other => MediaError::Container {
            container: format.title(),
            what: format!("this picture ({other})"),
            hint: "write .png".to_owned(),
        },
    })?;
    drop(out);
    part.commit()
}

fn encode(
    mut encoder: impl ImageEncoder,
    profile: Option<Vec<u8>>,
    bytes: &[u8],
    width: u32,
    height: u32,
    color: ExtendedColorType,
) -> Result<(), ImageError> {
    if let Some(profile) = profile {
        // A format without room for a profile keeps the pixels.
        let _ = encoder.set_icc_profile(profile);
    }
    encoder.write_image(bytes, width, height, color)
}

fn color_type(format: PixelFormat) -> Option<ExtendedColorType> {
    Some(match format {
        PixelFormat::GRAY8 => ExtendedColorType::L8,
        PixelFormat::RGB24 => ExtendedColorType::Rgb8,
        PixelFormat::RGBA => ExtendedColorType::Rgba8,
        PixelFormat::RGB48 => ExtendedColorType::Rgb16,
        PixelFormat::RGBA64 => ExtendedColorType::Rgba16,
        gray if gray.model == PixelFormat::GRAY8.model && gray.bits == 16 && !gray.alpha => ExtendedColorType::L16,
        _ => return None,
    })
}

fn into_image(path: &Path, picture: DynamicImage, pool: &Pool) -> Result<Image, MediaError> {
    let gray16 = PixelFormat {
        bits: 16,
        ..PixelFormat::GRAY8
    };
    // Grey with opacity is rare and has no interleaved form here: it becomes RGBA.
    let picture = match picture {
        DynamicImage::ImageLumaA8(_) => DynamicImage::ImageRgba8(picture.into_rgba8()),
        DynamicImage::ImageLumaA16(_) => DynamicImage::ImageRgba16(picture.into_rgba16()),
        other => other,
    };
    let format = match &picture {
        DynamicImage::ImageLuma8(_) => PixelFormat::GRAY8,
        DynamicImage::ImageLuma16(_) => gray16,
        DynamicImage::ImageRgb8(_) => PixelFormat::RGB24,
        DynamicImage::ImageRgba8(_) => PixelFormat::RGBA,
        DynamicImage::ImageRgb16(_) => PixelFormat::RGB48,
        DynamicImage::ImageRgba16(_) => PixelFormat::RGBA64,
        _ => return Err(unsupported(path, "a float picture")),
    };
    let desc = ImageDesc {
        size: Size::new(picture.width(), picture.height()),
        layout: Layout::Pixels(format),
        color: ColorSpec::SRGB,
    };
    let mut buffer = pool.take(format.frame_bytes(desc.size)?);
    let bytes = buffer.bytes_mut();
    let source = picture.as_bytes();
    if source.len() != bytes.len() {
        return Err(unsupported(path, "a picture of uneven rows"));
    }
    bytes.copy_from_slice(source);
    if cfg!(target_endian = "big") && format.bits > 8 {
        for sample in bytes.chunks_exact_mut(2) {
            sample.swap(0, 1);
        }
    }
    Ok(Image::host(desc, buffer.freeze())?)
}

pub(crate) fn read_limits(max_pixels: u64) -> Limits {
    let mut limits = Limits::default();
    // Eight bytes a pixel, twice, and what the format itself needs.
    limits.max_alloc = Some(max_pixels.saturating_mul(16).saturating_add(64 << 20));
    limits
}

pub(crate) fn read_error(path: &Path, error: &ImageError) -> MediaError {
    match error {
        ImageError::IoError(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
            MediaError::InputUnreadable {
                path: path.to_path_buf(),
                cause: source.to_string(),
            }
        }
        ImageError::Unsupported(what) => MediaError::UnsupportedImage {
            path: path.to_path_buf(),
            found: what.to_string(),
            expected: EXPECTED,
        },
        other => MediaError::InputUnreadable {
            path: path.to_path_buf(),
            cause: other.to_string(),
        },
    }
}

const EXPECTED: &str = "PNG, JPEG, WebP and TIFF in RGB or grey";

fn unsupported(path: &Path, found: &str) -> MediaError {
    MediaError::UnsupportedImage {
        path: path.to_path_buf(),
        found: found.to_owned(),
        expected: EXPECTED,
    }
}

/// Number of colour components of a JPEG, from its frame header; `None` for other files. Leaves the reader at its start.
fn jpeg_components(file: &mut (impl Read + Seek)) -> std::io::Result<Option<u8>> {
    let found = scan_jpeg(file);
    file.seek(SeekFrom::Start(0))?;
    match found {
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(error),
        found => Ok(found.ok().flatten()),
    }
}

fn scan_jpeg(file: &mut (impl Read + Seek)) -> std::io::Result<Option<u8>> {
    let mut two = [0; 2];
    file.read_exact(&mut two)?;
    if two != [0xFF, 0xD8] {
        return Ok(None);
    }
    loop {
        file.read_exact(&mut two)?;
        let [0xFF, marker] = two else {
            return Ok(None);
        };
        if marker == 0xFF {
            file.seek(SeekFrom::Current(-1))?;
            continue;
        }
        file.read_exact(&mut two)?;
        let length = u16::from_be_bytes(two);
        // Start of frame, all kinds; C4, C8 and CC are others.
        if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
            let mut header = [0; 6];
            file.read_exact(&mut header)?;
            return Ok(Some(header[5]));
        }
        if marker == 0xDA || length < 2 {
            return Ok(None);
        }
        file.seek(SeekFrom::Current(i64::from(length) - 2))?;
    }
}
