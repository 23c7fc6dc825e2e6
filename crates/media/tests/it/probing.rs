//! What a file holds is found the same with and without ffprobe.

use kinora_frame::{
    ChromaLocation, ColorRange, ColorSpec, Matrix, Pool, Primaries, Rational, Size, Transfer, to_tensor,
};
use kinora_media::{DecodeOptions, Decoder, FieldOrder, MediaInfo, StreamKind, VideoFacts};

use crate::clips::{CLIPS, clip, decode, make, rich, tools, turn, with_each};

fn comparable(mut info: MediaInfo) -> MediaInfo {
    for stream in &mut info.streams {
        if let StreamKind::Video(facts) = &mut stream.kind {
            // Only ffprobe knows it.
            facts.stated_frames = None;
            // AVI has no times of its own, only the decoder's, which ffprobe does not show.
            facts.first_pts = facts.first_pts.filter(|_| info.container != "avi");
        }
    }
    info
}

#[test]
fn probes_with_and_without_ffprobe_agree() {
    let folder = tempfile::tempdir().unwrap();
    let mut files: Vec<_> = CLIPS.iter().map(|(name, _)| clip(folder.path(), name)).collect();
    let turned = folder.path().join("turned.mp4");
    std::fs::copy(clip(folder.path(), "sar.mp4"), &turned).unwrap();
    turn(&turned);
    files.extend([rich(folder.path()), turned]);
    let mut compared = 0;
    with_each(|tool| {
        for file in &files {
            let without = tool.without_ffprobe().probe(file).unwrap();
            for other in tools()
                .iter()
                .filter(|other| other.ffprobe().is_some() && other.program() == tool.program())
            {
                assert_eq!(
                    comparable(other.probe(file).unwrap()),
                    comparable(without.clone()),
                    "{}",
                    file.display()
                );
            }
        }
    });
    for tool in tools().iter().filter(|tool| tool.ffprobe().is_some()) {
        assert!(
            tool.probe(&files[0])
                .unwrap()
                .video()
                .unwrap()
                .1
                .stated_frames
                .is_some()
        );
        compared += 1;
    }
    println!("{compared} FFmpeg with ffprobe, {} files", files.len());
}

#[test]
fn every_fact_of_a_picture_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let facts = |name: &str| {
        let file = clip(folder.path(), name);
        tools()
            .iter()
            .map(|tool| tool.without_ffprobe().probe(&file).unwrap())
            .map(|info| info.video().unwrap().1.clone())
            .collect::<Vec<VideoFacts>>()
    };
    for found in facts("ntsc.mkv") {
        assert_eq!(found.frame_rate, Rational::new(24000, 1001).ok());
        assert_eq!(
            (found.color.matrix, found.color.primaries, found.color.transfer),
            (Matrix::Bt709, Primaries(1), Transfer(1))
        );
        assert!(found.range_stated);
    }
    for found in facts("hdr.mkv") {
        assert_eq!(
            (found.format.bits, found.color.matrix, found.color.transfer),
            (10, Matrix::Bt2020Ncl, Transfer(16))
        );
        let display = found.side_data.mastering.unwrap();
        assert_eq!(display.chromaticities[0].0, Rational::new(34000, 50000).unwrap());
        assert_eq!(display.max_luminance, Rational::new(1000, 1).unwrap());
        assert_eq!(found.side_data.content_light.unwrap().max_content, 1000);
    }
    for found in facts("full.mkv") {
        assert_eq!(
            (found.source_format.as_str(), found.format.name().as_str()),
            ("yuvj420p", "yuv420p")
        );
        assert_eq!((found.color.range, found.range_stated), (ColorRange::Full, true));
    }
    for found in facts("full.mkv") {
        assert_eq!(found.color.matrix, Matrix::Other(5));
    }
    for found in facts("interlaced.mp4") {
        assert_eq!(found.field_order, FieldOrder::TopFirst);
    }
    for found in facts("topleft.mp4") {
        assert_eq!(found.color.chroma, ChromaLocation::TopLeft);
    }
    for found in facts("alpha.webm") {
        assert!(found.alpha_mode && found.format.alpha);
    }
    for found in facts("prores.mov") {
        assert_eq!(found.format.name(), "yuva444p12le");
    }
    for found in facts("sar.mp4") {
        assert_eq!(found.sample_aspect, Rational::new(16, 15).ok());
    }
}

#[test]
fn motion_jpeg_becomes_rgb_with_the_weights_of_its_matrix() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "full.mkv");
    with_each(|tool| {
        let (frames, _) = decode(tool, &tool.probe(&file).unwrap(), DecodeOptions::default()).unwrap();
        let picture = &frames[0].image;
        assert_eq!(picture.color().matrix, Matrix::Other(5));
        let rgb = to_tensor(picture, &Pool::default()).unwrap();
        let bt601 = picture.clone().with_color(ColorSpec {
            matrix: Matrix::Bt601,
            ..picture.color()
        });
        let expected = to_tensor(&bt601, &Pool::default()).unwrap();
        assert_eq!(
            rgb.host_buffer().unwrap().bytes(),
            expected.host_buffer().unwrap().bytes()
        );
    });
}

#[test]
fn a_turned_picture_has_its_sides_and_its_pixel_shape_swapped() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "sar.mp4");
    turn(&file);
    with_each(|tool| {
        for tool in [tool.clone(), tool.without_ffprobe()] {
            let info = tool.probe(&file).unwrap();
            let found = info.video().unwrap().1;
            assert_eq!(found.size, Size::new(48, 64));
            assert_eq!(found.sample_aspect, Rational::new(15, 16).ok());
            assert_eq!(found.rotation, 90);
        }
    });
}

#[test]
fn streams_chapters_and_metadata_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = rich(folder.path());
    with_each(|tool| {
        let info = tool.without_ffprobe().probe(&file).unwrap();
        let kinds: Vec<_> = info
            .streams
            .iter()
            .map(|stream| match &stream.kind {
                StreamKind::Video(_) => 'v',
                StreamKind::Audio { .. } => 'a',
                StreamKind::Subtitle { .. } => 's',
                StreamKind::Attachment => 't',
                StreamKind::Data => 'd',
            })
            .collect();
        assert_eq!(kinds, ['v', 'a', 'a', 's', 't']);
        assert_eq!(info.streams[2].tag("language"), Some("deu"));
        assert_eq!(info.streams[3].dispositions, ["forced"]);
        assert_eq!(info.streams[4].tag("filename"), Some("chapters.txt"));
        assert_eq!(info.chapters.len(), 2);
        assert_eq!(info.chapters[1].title.as_deref(), Some("Two; a=b"));
        assert!(
            info.metadata
                .iter()
                .any(|(key, value)| key == "title" && value == "T=1")
        );
    });
}

#[test]
fn t04_no_probe_decodes_a_picture_above_the_limit_and_one_at_the_limit_is_probed_whole() {
    let folder = tempfile::tempdir().unwrap();
    let large = |side: u32| {
        make(
            &tools()[0],
            &format!("-f lavfi -i color=black:s={side}x{side}:r=1:d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p"),
            &folder.path().join(format!("{side}.mp4")),
        )
    };
    let (bomb, allowed) = (large(8704), large(8192));
    with_each(|tool| {
        for tool in [tool.clone(), tool.without_ffprobe()] {
            let info = tool.probe(&bomb).unwrap();
            let facts = info.video().unwrap().1;
            assert_eq!(facts.size, Size::new(8704, 8704));
            assert_eq!(facts.first_pts, None, "its first frame was decoded");
            let error = Decoder::open(&tool, &info, DecodeOptions::default()).unwrap_err();
            assert_eq!(error.code(), "input.too_large");
            let info = tool.probe(&allowed).unwrap();
            assert!(info.video().unwrap().1.first_pts.is_some());
        }
    });
}
