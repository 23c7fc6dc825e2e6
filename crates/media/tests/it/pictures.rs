//! Colour, range, depth and geometry survive (rows of the traps table).

use kinora_frame::{ColorRange, Size};
use kinora_media::{DecodeOptions, Deinterlace, EncodeSettings, Encoder, MediaInfo, Note, OddSize, Stop};

use crate::clips::{clip, copy_through, decode, make, same_format, ticks, tools, turn, with_each};

fn lossless() -> EncodeSettings {
    EncodeSettings {
        codec: Some("ffv1".to_owned()),
        ..EncodeSettings::default()
    }
}

fn bytes(frame: &kinora_frame::Frame) -> &[u8] {
    frame.image.host_buffer().unwrap().bytes()
}

#[test]
fn color_tags_and_hdr_survive_where_the_encoder_can_carry_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "hdr.mkv");
    with_each(|tool| {
        for codec in ["h265", "av1"] {
            let output = folder.path().join(format!("{codec}-{}.mkv", tool.version()));
            let settings = EncodeSettings {
                codec: Some(codec.to_owned()),
                encoder_preset: (codec == "av1").then(|| "12".to_owned()),
                ..EncodeSettings::default()
            };
            let (info, _, _) = copy_through(tool, &file, &output, &settings).unwrap();
            let (before, after) = (
                info.video().unwrap().1.clone(),
                tool.probe(&output).unwrap().video().unwrap().1.clone(),
            );
            assert_eq!(before.color.transfer, after.color.transfer, "{codec}");
            assert_eq!(before.color.primaries, after.color.primaries, "{codec}");
            assert_eq!(before.color.matrix, after.color.matrix, "{codec}");
            assert_eq!(after.format.bits, 10, "{codec}");
            if codec == "h265" {
                assert_eq!(before.side_data, after.side_data);
            } else {
                assert_eq!(before.side_data.content_light, after.side_data.content_light, "{codec}");
            }
        }
    });
}

#[test]
fn an_encoder_that_cannot_carry_hdr_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "hdr.mkv");
    let tool = &tools()[0];
    let info = tool.probe(&file).unwrap();
    let encoder = Encoder::start(
        tool,
        &folder.path().join("o.mkv"),
        &same_format(&info),
        Some(&info),
        &lossless(),
        &Stop::default(),
    )
    .unwrap();
    assert!(
        encoder.notes().contains(&Note::HdrLost { encoder: "ffv1" }),
        "{:?}",
        encoder.notes()
    );
}

#[test]
fn full_range_is_neither_squeezed_nor_stretched_by_any_version() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "full.mkv");
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for tool in tools() {
        let output = folder.path().join(format!("full-{}.mkv", tool.version()));
        let (_, frames, _) = copy_through(tool, &file, &output, &EncodeSettings::default()).unwrap();
        assert_eq!(frames[0].image.color().range, ColorRange::Full);
        seen.push(bytes(&frames[0]).to_vec());
        let after = tool.probe(&output).unwrap();
        assert_eq!(after.video().unwrap().1.color.range, ColorRange::Full);
        let lossless_file = folder.path().join(format!("lossless-{}.mkv", tool.version()));
        copy_through(tool, &file, &lossless_file, &lossless()).unwrap();
        let (back, _) = decode(tool, &tool.probe(&lossless_file).unwrap(), DecodeOptions::default()).unwrap();
        assert_eq!(bytes(&back[0]), bytes(&frames[0]));
    }
    // JPEG decoders of different versions may round differently; a squeeze would be far more.
    for other in &seen[1..] {
        let worst = seen[0].iter().zip(other).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= 1, "{worst}");
    }
}

#[test]
fn a_turned_clip_comes_out_upright_without_a_second_turn() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "plain.mp4");
    turn(&file);
    with_each(|tool| {
        let output = folder.path().join(format!("turned-{}.mp4", tool.version()));
        let (info, frames, _) = copy_through(tool, &file, &output, &EncodeSettings::default()).unwrap();
        assert_eq!(frames[0].image.size(), Size::new(48, 64));
        let after = tool.probe(&output).unwrap();
        assert_eq!(
            (after.video().unwrap().1.size, after.video().unwrap().1.rotation),
            (Size::new(48, 64), 0)
        );
        assert_eq!(info.video().unwrap().1.rotation, 90);
    });
}

#[test]
fn interlaced_pictures_become_whole_ones_at_the_same_times() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "interlaced.mp4");
    with_each(|tool| {
        let info = tool.probe(&file).unwrap();
        let with = |deinterlace| {
            let options = DecodeOptions {
                deinterlace,
                ..DecodeOptions::default()
            };
            decode(tool, &info, options).unwrap().0
        };
        let (auto, off) = (with(Deinterlace::Auto), with(Deinterlace::Off));
        assert_eq!(
            auto.iter().map(|f| f.pts).collect::<Vec<_>>(),
            off.iter().map(|f| f.pts).collect::<Vec<_>>()
        );
        assert_ne!(bytes(&auto[4]), bytes(&off[4]));
        let plain = tool.probe(&clip(folder.path(), "plain.mp4")).unwrap();
        let (auto, _) = decode(tool, &plain, DecodeOptions::default()).unwrap();
        let (off, _) = decode(
            tool,
            &plain,
            DecodeOptions {
                deinterlace: Deinterlace::Off,
                ..DecodeOptions::default()
            },
        )
        .unwrap();
        assert!(auto.iter().zip(&off).all(|(a, b)| bytes(a) == bytes(b)));
    });
}

#[test]
fn odd_sizes_are_exact_where_they_can_be_and_padded_by_their_edge_where_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "odd.mkv");
    with_each(|tool| {
        let lossless_file = folder.path().join(format!("odd-{}.mkv", tool.version()));
        let (_, frames, _) = copy_through(tool, &file, &lossless_file, &lossless()).unwrap();
        let (back, _) = decode(tool, &tool.probe(&lossless_file).unwrap(), DecodeOptions::default()).unwrap();
        assert!(frames.iter().zip(&back).all(|(a, b)| bytes(a) == bytes(b)));
        for (odd_size, size) in [
            (OddSize::Pad, Size::new(66, 50)),
            (OddSize::Crop, Size::new(64, 48)),
            (OddSize::FullChroma, Size::new(65, 49)),
        ] {
            let output = folder.path().join(format!("{odd_size:?}-{}.mkv", tool.version()));
            let settings = EncodeSettings {
                codec: Some("h264".to_owned()),
                crf: Some(0),
                odd_size,
                ..EncodeSettings::default()
            };
            copy_through(tool, &file, &output, &settings).unwrap_or_else(|error| panic!("{odd_size:?}: {error}"));
            let info = tool.probe(&output).unwrap();
            assert_eq!(info.video().unwrap().1.size, size, "{odd_size:?}");
            if odd_size == OddSize::Pad {
                // Lossless, so the padded column must be a copy of its neighbour.
                let (back, _) = decode(tool, &info, DecodeOptions::default()).unwrap();
                let luma = &bytes(&back[0])[..66 * 50];
                assert!(luma.chunks(66).all(|row| row[65] == row[64]));
                assert_eq!(luma[66 * 49..], luma[66 * 48..66 * 49]);
                let original = &bytes(&frames[0])[..65 * 49];
                assert!(luma.chunks(66).zip(original.chunks(65)).all(|(a, b)| a[..65] == *b));
            }
        }
    });
}

#[test]
fn odd_sizes_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let tool = &tools()[0];
    let info = tool.probe(&clip(folder.path(), "odd.mkv")).unwrap();
    let output = folder.path().join("o.mp4");
    let encoder = Encoder::start(
        tool,
        &output,
        &same_format(&info),
        Some(&info),
        &EncodeSettings::default(),
        &Stop::default(),
    )
    .unwrap();
    let said = Note::SizeAdjusted {
        from: Size::new(65, 49),
        to: Size::new(66, 50),
    };
    assert!(encoder.notes().contains(&said));
}

#[test]
fn opacity_is_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let webm = clip(folder.path(), "alpha.webm");
    let prores = clip(folder.path(), "prores.mov");
    with_each(|tool| {
        let info = tool.probe(&webm).unwrap();
        let (frames, _) = decode(tool, &info, DecodeOptions::default()).unwrap();
        let format = frames[0].image.pixel_format("test").unwrap();
        assert_eq!(format.name(), "yuva420p");
        let (alpha, _) = frames[0].image.plane(3).unwrap();
        assert!(alpha.iter().all(|value| value.abs_diff(0x7F) <= 2), "{:?}", &alpha[..4]);
        for (source, name) in [(&webm, "alpha.webm"), (&prores, "alpha.mov"), (&webm, "alpha.mkv")] {
            let output = folder.path().join(format!("{}-{name}", tool.version()));
            copy_through(tool, source, &output, &EncodeSettings::default()).unwrap();
            let after = tool.probe(&output).unwrap();
            assert!(after.video().unwrap().1.format.alpha, "{name}");
            let (back, _) = decode(tool, &after, DecodeOptions::default()).unwrap();
            assert!(back[0].image.pixel_format("test").unwrap().alpha, "{name}");
        }
    });
}

#[test]
fn depth_is_kept_by_the_format_that_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let prores = clip(folder.path(), "prores.mov");
    with_each(|tool| {
        let output = folder.path().join(format!("deep-{}.mkv", tool.version()));
        let settings = EncodeSettings {
            codec: Some("h265".to_owned()),
            ..EncodeSettings::default()
        };
        let info = tool.probe(&prores).unwrap();
        let encoder = Encoder::start(tool, &output, &same_format(&info), None, &settings, &Stop::default()).unwrap();
        let said = encoder.notes().iter().any(|note| {
            matches!(note, Note::FormatConverted { from, to, lossy: true } if from == "yuva444p12le" && to == "yuv444p12le")
        });
        assert!(said, "{:?}", encoder.notes());
    });
}

#[test]
fn gif_and_animated_webp_give_all_their_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let source = make(
        &tools()[0],
        "-f lavfi -i testsrc2=s=64x48:r=10:d=1 -c:v ffv1 -pix_fmt yuv420p",
        &folder.path().join("ten.mkv"),
    );
    with_each(|tool| {
        for name in ["out.gif", "out.webp"] {
            let output = folder.path().join(format!("{}-{name}", tool.version()));
            let (_, frames, _) = copy_through(tool, &source, &output, &EncodeSettings::default()).unwrap();
            let times: Vec<_> = frames.iter().map(|frame| frame.pts).collect();
            tool.verify(&output, &times, None, &Stop::default()).unwrap();
            let info: MediaInfo = tool.probe(&output).unwrap();
            let (back, _) = decode(tool, &info, DecodeOptions::default()).unwrap();
            assert_eq!(back.len(), 10, "{name}");
            assert_eq!(back[0].image.size(), Size::new(64, 48));
            assert!(back[0].image.pixel_format("test").unwrap().alpha, "{name}");
        }
    });
}

#[test]
fn a_picture_of_no_time_in_an_animated_webp_stands_as_long_as_browsers_show_it() {
    let folder = tempfile::tempdir().unwrap();
    let words = "-f lavfi -i testsrc2=s=64x48:r=5:d=1 -c:v libwebp_anim -lossless 1";
    let file = make(&tools()[0], words, &folder.path().join("a.webp"));
    let mut bytes = std::fs::read(&file).unwrap();
    let frames: Vec<usize> = (0..bytes.len() - 4)
        .filter(|at| &bytes[*at..*at + 4] == b"ANMF")
        .collect();
    assert_eq!(frames.len(), 5);
    // Three bytes after the place and the size of the picture.
    for at in &frames[1..3] {
        bytes[at + 20..at + 23].fill(0);
    }
    std::fs::write(&file, bytes).unwrap();
    with_each(|tool| {
        let output = folder.path().join(format!("{}-out.mkv", tool.version()));
        let (info, pictures, _) = copy_through(tool, &file, &output, &EncodeSettings::default()).unwrap();
        assert_eq!(ticks(&pictures), [0, 200, 300, 400, 600]);
        let index = tool.packet_index(&file, 0, &Stop::default()).unwrap();
        assert!(index.times().eq(pictures.iter().map(|frame| frame.pts)));
        let (_, decoder) = decode(tool, &info, DecodeOptions::default()).unwrap();
        let notes = decoder.completeness().notes(&index);
        assert_eq!((notes.len(), notes[0].0), (1, "input.times_repaired"));
        assert!(notes[0].1.contains("twice"), "{}", notes[0].1);
    });
}

#[test]
fn the_shape_of_a_pixel_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "sar.mp4");
    with_each(|tool| {
        for name in ["sar.mp4", "sar.mkv"] {
            let output = folder.path().join(format!("{}-{name}", tool.version()));
            let (info, _, _) = copy_through(tool, &file, &output, &EncodeSettings::default()).unwrap();
            assert_eq!(
                tool.probe(&output).unwrap().video().unwrap().1.sample_aspect,
                info.video().unwrap().1.sample_aspect
            );
        }
    });
}

#[test]
fn chroma_location_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "topleft.mp4");
    with_each(|tool| {
        let output = folder.path().join(format!("{}.mp4", tool.version()));
        let (info, _, _) = copy_through(tool, &file, &output, &EncodeSettings::default()).unwrap();
        assert_eq!(
            tool.probe(&output).unwrap().video().unwrap().1.color.chroma,
            info.video().unwrap().1.color.chroma
        );
    });
}

#[test]
fn rgb_on_request_uses_the_matrix_of_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    // Pure BT.709 green in video range.
    let file = make(
        &tools()[0],
        "-f lavfi -i color=0x00FF00:s=64x48:r=25:d=0.1 -vf scale=out_color_matrix=bt709:out_range=limited,format=yuv420p,setparams=colorspace=bt709:range=limited -c:v ffv1 -colorspace bt709 -color_range tv",
        &folder.path().join("green.mkv"),
    );
    with_each(|tool| {
        let options = DecodeOptions {
            pixel_format: Some(kinora_frame::PixelFormat::RGB24),
            ..DecodeOptions::default()
        };
        let (frames, _) = decode(tool, &tool.probe(&file).unwrap(), options).unwrap();
        let pixel = &bytes(&frames[0])[..3];
        assert!(pixel[0] <= 2 && pixel[1] >= 253 && pixel[2] <= 2, "{pixel:?}");
        assert_eq!(frames[0].image.color().range, ColorRange::Full);
    });
}
