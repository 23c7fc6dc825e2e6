//! Pictures: right colours or a typed refusal (threats 4 and 6), whole files or none.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use image::{DynamicImage, ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder, codecs::png::PngEncoder};
use kinora_frame::{
    ColorModel, ColorSpec, Frame, HostBuffer, Image, ImageDesc, Layout, PixelFormat, Pool, Rational, Size, Timestamp,
};
use kinora_media::{ImageSequence, MAX_PIXELS, MediaError, Still, StillFormat, list_stills, read_still, write_still};

fn read(path: &Path) -> Result<Still, MediaError> {
    read_still(path, &Pool::default(), MAX_PIXELS)
}

fn bytes(still: &Still) -> Vec<u8> {
    still.image.host_buffer().unwrap().bytes().to_vec()
}

fn picture(format: PixelFormat, size: Size) -> Still {
    let length = format.frame_bytes(size).unwrap();
    let bytes: Vec<u8> = (0..length).map(|at| (at * 37 % 251) as u8).collect();
    let desc = ImageDesc {
        size,
        layout: Layout::Pixels(format),
        color: ColorSpec::SRGB,
    };
    Still {
        image: Image::host(desc, HostBuffer::from(bytes)).unwrap(),
        icc_profile: None,
    }
}

#[test]
fn lossless_pictures_come_back_bit_for_bit_in_every_format_they_take() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.png", "a.webp", "a.tiff"] {
        let kind = StillFormat::of(Path::new(name)).unwrap();
        for format in kind.takes() {
            let still = picture(*format, Size::new(7, 5));
            let path = folder.path().join(format!("{}-{name}", format.name()));
            write_still(&path, &still, 95, false).unwrap();
            let back = read(&path).unwrap();
            assert_eq!(back.image.pixel_format("test").unwrap(), *format, "{name}");
            assert_eq!(bytes(&back), bytes(&still), "{name} {format}");
            assert_eq!(StillFormat::sniff(&path), Some(kind));
            assert_eq!(
                write_still(&path, &still, 95, false).unwrap_err().code(),
                "output.exists"
            );
        }
    }
}

#[test]
fn a_png_is_animated_by_its_chunks_however_long_a_text_stands_before_them() {
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&length[..], kind, content, &[0; 4]].concat()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, chunks: &[Vec<u8>]| {
        let path = folder.path().join(name);
        std::fs::write(&path, [&b"\x89PNG\r\n\x1a\n"[..], &chunks.concat()].concat()).unwrap();
        path
    };
    let (head, data) = (chunk(b"IHDR", &[0; 13]), chunk(b"IDAT", b"acTL"));
    let (control, text) = (chunk(b"acTL", &[0; 8]), chunk(b"tEXt", &b"acTL".repeat(20_000)));
    for (name, chunks, animated) in [
        ("plain.png", vec![head.clone(), data.clone()], false),
        ("text.png", vec![head.clone(), text.clone(), data.clone()], false),
        ("moves.png", vec![head.clone(), control.clone(), data.clone()], true),
        (
            "both.png",
            vec![head.clone(), text, control.clone(), data.clone()],
            true,
        ),
        ("late.png", vec![head.clone(), data, control], false),
        ("cut.png", vec![head], false),
    ] {
        let path = file(name, &chunks);
        assert_eq!(kinora_media::is_animation(&path), animated, "{name}");
        assert_eq!(
            StillFormat::sniff(&path),
            (!animated).then_some(StillFormat::Png),
            "{name}"
        );
    }
}

#[test]
fn a_webp_whose_picture_is_larger_than_it_says_is_refused() {
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        let length = u32::try_from(content.len()).unwrap().to_le_bytes();
        [&kind[..], &length, content].concat()
    };
    let file = {
        // A canvas of 32x24 and, at 16 KB a row, a picture that would take 400 MB.
        let head = chunk(b"VP8X", &[0, 0, 0, 0, 31, 0, 0, 23, 0, 0]);
        let picture = chunk(b"VP8 ", &[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f]);
        let content = [&b"WEBP"[..], &head, &picture].concat();
        chunk(b"RIFF", &content)
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.webp");
    std::fs::write(&path, file).unwrap();
    let error = read(&path).unwrap_err();
    assert_eq!(error.code(), "input.unreadable");
    assert!(error.to_string().contains("another size than it announces"), "{error}");
    assert!(!kinora_media::is_animation(&path));
}

#[test]
fn jpeg_is_near_and_refuses_what_it_cannot_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    let mut flat = picture(PixelFormat::RGB24, Size::new(16, 16));
    let desc = *flat.image.desc();
    flat.image = Image::host(desc, HostBuffer::from([200u8, 100, 50].repeat(256))).unwrap();
    write_still(&path, &flat, 95, false).unwrap();
    let back = bytes(&read(&path).unwrap());
    assert!(
        back.chunks(3)
            .all(|p| p[0].abs_diff(200) < 4 && p[1].abs_diff(100) < 4 && p[2].abs_diff(50) < 4),
        "{:?}",
        &back[..3]
    );
    let error = write_still(
        &folder.path().join("b.jpg"),
        &picture(PixelFormat::RGBA, Size::new(2, 2)),
        95,
        false,
    )
    .unwrap_err();
    assert_eq!(error.code(), "output.container");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn t06_a_palette_becomes_the_colours_it_means() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("palette.png");
    // A 2x1 PNG of two palette entries, the second half transparent.
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        png.extend((data.len() as u32).to_be_bytes());
        let body: Vec<u8> = kind.iter().chain(data).copied().collect();
        png.extend(&body);
        png.extend(png_crc(&body).to_be_bytes());
    };
    chunk(b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 1, 8, 3, 0, 0, 0]);
    chunk(b"PLTE", &[10, 20, 30, 40, 50, 60]);
    chunk(b"tRNS", &[255, 128]);
    // Stored (uncompressed) deflate of the row: filter 0, indices 0 and 1.
    chunk(
        b"IDAT",
        &[0x78, 0x01, 0x01, 3, 0, 0xFC, 0xFF, 0, 0, 1, 0x00, 0x05, 0x00, 0x02],
    );
    chunk(b"IEND", &[]);
    std::fs::write(&path, png).unwrap();
    let still = read(&path).unwrap();
    assert_eq!(still.image.pixel_format("test").unwrap(), PixelFormat::RGBA);
    assert_eq!(bytes(&still), [10, 20, 30, 255, 40, 50, 60, 128]);
}

fn png_crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                0xEDB8_8320 ^ (crc >> 1)
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

fn jpeg(folder: &Path, name: &str, profile: Option<Vec<u8>>, exif: Option<Vec<u8>>) -> PathBuf {
    let path = folder.join(name);
    let mut out = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut out, 100);
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile).unwrap();
    }
    if let Some(exif) = exif {
        encoder.set_exif_metadata(exif).unwrap();
    }
    // Left half black, right half white.
    let pixels: Vec<u8> = (0..16 * 8).map(|at| if at % 16 < 8 { 0 } else { 255 }).collect();
    encoder.write_image(&pixels, 16, 8, ExtendedColorType::L8).unwrap();
    std::fs::write(&path, out).unwrap();
    path
}

#[test]
fn t06_an_exif_orientation_is_applied() {
    let folder = tempfile::tempdir().unwrap();
    // TIFF header, one entry: orientation (0x0112), short, 1, value 6: turn by 90 degrees clockwise.
    let exif = vec![
        b'I', b'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0,
    ];
    let still = read(&jpeg(folder.path(), "turned.jpg", None, Some(exif))).unwrap();
    assert_eq!(still.image.size(), Size::new(8, 16));
    let pixels = bytes(&still);
    assert!(pixels[0] < 10 && pixels[8 * 15] > 245, "{pixels:?}");
}

#[test]
fn t06_a_colour_profile_is_carried_into_the_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let profile: Vec<u8> = (0..400).map(|at| (at % 251) as u8).collect();
    let still = read(&jpeg(folder.path(), "profile.jpg", Some(profile.clone()), None)).unwrap();
    assert_eq!(still.icc_profile.as_deref(), Some(profile.as_slice()));
    for name in ["o.png", "o.jpg"] {
        let path = folder.path().join(name);
        write_still(&path, &still, 95, false).unwrap();
        assert_eq!(
            read(&path).unwrap().icc_profile.as_deref(),
            Some(profile.as_slice()),
            "{name}"
        );
    }
}

#[test]
fn t06_cmyk_jpegs_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cmyk.jpg");
    let mut header = vec![0xFF, 0xD8, 0xFF, 0xEE, 0, 14];
    header.extend(b"Adobe\0\x64\0\0\0\0\x02");
    header.extend([
        0xFF, 0xC0, 0, 20, 8, 0, 8, 0, 8, 4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0,
    ]);
    std::fs::write(&path, header).unwrap();
    let error = read(&path).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().contains("a CMYK JPEG")),
        ("input.unsupported", true),
        "{error}"
    );
}

#[test]
fn t06_sixteen_bits_stay_sixteen_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep.png");
    let values = [0u16, 1, 255, 256, 65534, 65535];
    let deep = DynamicImage::ImageRgb16(image::ImageBuffer::from_raw(2, 1, values.to_vec()).unwrap());
    deep.save(&path).unwrap();
    let still = read(&path).unwrap();
    assert_eq!(still.image.pixel_format("test").unwrap(), PixelFormat::RGB48);
    assert_eq!(still.image.host_buffer().unwrap().samples::<u16>(), values);
}

#[test]
fn grey_with_opacity_becomes_rgba() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("la.png");
    let file = std::fs::File::create(&path).unwrap();
    PngEncoder::new(file)
        .write_image(&[7, 9], 1, 1, ExtendedColorType::La8)
        .unwrap();
    assert_eq!(bytes(&read(&path).unwrap()), [7, 7, 7, 9]);
}

#[test]
fn t04_pictures_that_claim_absurd_sizes_are_refused_by_their_header() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
        path
    };
    let side = 50_000u32;
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend(side.to_be_bytes());
    png.extend(side.to_be_bytes());
    png.extend([8, 2, 0, 0, 0]);
    let crc = png_crc(&png[12..]);
    png.extend(crc.to_be_bytes());
    png.extend(b"\0\0\0\0IDAT\x35\xAF\x06\x1E");
    let mut tiff = vec![b'I', b'I', 42, 0, 8, 0, 0, 0, 9, 0];
    for (tag, kind, value) in [
        (256u16, 4u16, side),
        (257, 4, side),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, side),
        (279, 4, side),
    ] {
        tiff.extend(tag.to_le_bytes());
        tiff.extend(kind.to_le_bytes());
        tiff.extend(1u32.to_le_bytes());
        tiff.extend(value.to_le_bytes());
    }
    tiff.extend([0; 4]);
    let mut webp = b"RIFF\x1E\0\0\0WEBPVP8X\x0A\0\0\0\0\0\0\0".to_vec();
    webp.extend([0x3F, 0x42, 0x0F, 0x3F, 0x42, 0x0F, 0, 0, 0, 0]);
    let mut jpeg = vec![0xFF, 0xD8, 0xFF, 0xC0, 0, 17, 8];
    jpeg.extend([
        0xC3, 0x50, 0xC3, 0x50, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 0xFF, 0xD9,
    ]);
    for path in [
        write("a.png", &png),
        write("a.tiff", &tiff),
        write("a.webp", &webp),
        write("a.jpg", &jpeg),
    ] {
        let error = read(&path).unwrap_err();
        assert!(
            matches!(error.code(), "input.too_large" | "input.unreadable"),
            "{}: {error}",
            path.display()
        );
        if path.ends_with("a.png") || path.ends_with("a.tiff") {
            assert_eq!(error.code(), "input.too_large", "{error}");
        }
    }
}

#[test]
fn t01_damaged_pictures_are_refused_with_their_reason() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("a.png");
    write_still(&whole, &picture(PixelFormat::RGB24, Size::new(64, 64)), 95, false).unwrap();
    let all = std::fs::read(&whole).unwrap();
    let cut = folder.path().join("cut.png");
    std::fs::write(&cut, &all[..all.len() / 2]).unwrap();
    std::fs::write(folder.path().join("empty.png"), "").unwrap();
    std::fs::write(folder.path().join("text.png"), "hello, I am no picture").unwrap();
    for name in ["cut.png", "empty.png"] {
        assert_eq!(
            read(&folder.path().join(name)).unwrap_err().code(),
            "input.unreadable",
            "{name}"
        );
    }
    assert!(matches!(
        read(&folder.path().join("text.png")).unwrap_err().code(),
        "input.unreadable" | "input.unsupported"
    ));
    assert_eq!(
        read(&folder.path().join("none.png")).unwrap_err().code(),
        "input.missing"
    );
}

#[test]
fn a_folder_of_pictures_is_a_stream_in_natural_order() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("in");
    std::fs::create_dir(&source).unwrap();
    for number in [1, 2, 10, 9] {
        let mut still = picture(PixelFormat::RGB24, Size::new(2, 1));
        let desc = *still.image.desc();
        still.image = Image::host(desc, HostBuffer::from(vec![number; 6])).unwrap();
        write_still(&source.join(format!("p{number}.png")), &still, 95, false).unwrap();
    }
    std::fs::write(source.join("notes.txt"), "x").unwrap();
    std::fs::write(source.join(".hidden.png"), "x").unwrap();
    let files = list_stills(&source).unwrap();
    let rate = Rational::new(24000, 1001).unwrap();
    let mut sequence = ImageSequence::new(files, rate, Pool::default(), MAX_PIXELS).unwrap();
    assert_eq!(sequence.len(), 4);
    let mut order = Vec::new();
    while let Some(frame) = sequence.next_frame().unwrap() {
        assert_eq!(
            frame.pts,
            Timestamp::new(frame.index as i64, Rational::new(1001, 24000).unwrap())
        );
        order.push(frame.image.host_buffer().unwrap().bytes()[0]);
    }
    assert_eq!(order, [1, 2, 9, 10]);
    sequence.seek(3);
    let last: Frame = sequence.next_frame().unwrap().unwrap();
    assert_eq!(last.index, 3);
    assert_eq!(last.image.pixel_format("test").unwrap().model, ColorModel::Rgb);
    assert_eq!(
        list_stills(folder.path().join("none").as_path()).unwrap_err().code(),
        "input.missing"
    );
}

#[test]
fn t05_a_sequence_whose_size_changes_is_refused_at_that_picture() {
    let folder = tempfile::tempdir().unwrap();
    for (name, width) in [("1.png", 2), ("2.png", 3)] {
        write_still(
            &folder.path().join(name),
            &picture(PixelFormat::RGB24, Size::new(width, 1)),
            95,
            false,
        )
        .unwrap();
    }
    let files = list_stills(folder.path()).unwrap();
    let mut sequence = ImageSequence::new(files, Rational::new(25, 1).unwrap(), Pool::default(), MAX_PIXELS).unwrap();
    sequence.next_frame().unwrap().unwrap();
    let error = sequence.next_frame().unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("2.png is 3x1: the pictures before it are 2x1"),
        "{error}"
    );
    assert_eq!(error.code(), "input.mixed_sizes");
    assert_eq!(error.hint().as_deref(), Some("put one size per folder"));
}

#[test]
fn a_side_that_a_format_cannot_say_is_known_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format) in [("a.webp", StillFormat::WebP), ("a.jpg", StillFormat::Jpeg)] {
        let limit = format.largest_side();
        for (side, fits) in [(limit, true), (limit + 1, false)] {
            let size = Size::new(side, 1);
            assert_eq!(format.check_size(size).is_ok(), fits, "{name} {size}");
            // And the encoder says the same.
            let path = folder.path().join(name);
            let written = write_still(&path, &picture(PixelFormat::RGB24, size), 95, true);
            assert_eq!(written.is_ok(), fits, "{name} {size}");
        }
        let error = format.check_size(Size::new(1, limit + 1)).unwrap_err();
        assert_eq!(error.code(), "output.container");
        assert_eq!(error.hint().as_deref(), Some("write .png or .tiff"));
    }
    StillFormat::Png.check_size(Size::new(100_000, 1)).unwrap();
}
