//! What decoded is all of it, or the verdict says what is missing and the notes what was mended.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use kinora_media::{DecodeOptions, Decoder, Ffmpeg, PacketIndex, StartAt, Stop, Verdict};

use crate::{
    clips::{clip, decode, fake, make, tools, with_each},
    threats::changing,
};

fn index(tool: &Ffmpeg, file: &Path) -> Arc<PacketIndex> {
    Arc::new(tool.packet_index(file, 0, &Stop::default()).unwrap())
}

/// Ten pictures that decode alone, of which number `damaged` do not.
fn damaged(folder: &Path, damaged: &[usize]) -> PathBuf {
    let path = make(
        &tools()[0],
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -c:v png",
        &folder.join("damaged.mov"),
    );
    let mut bytes = std::fs::read(&path).unwrap();
    let pictures: Vec<usize> = (0..bytes.len() - 4)
        .filter(|at| &bytes[*at..*at + 4] == b"\x89PNG")
        .collect();
    assert_eq!(pictures.len(), 10);
    for number in damaged {
        bytes[pictures[*number]..pictures[*number] + 8].fill(0);
    }
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn t01_a_whole_file_is_whole_and_has_no_notes() {
    let folder = tempfile::tempdir().unwrap();
    let file = clip(folder.path(), "plain.mp4");
    with_each(|tool| {
        let index = index(tool, &file);
        let (_, decoder) = decode(tool, &tool.probe(&file).unwrap(), DecodeOptions::default()).unwrap();
        let found = decoder.completeness();
        assert_eq!(found.verdict(&index, false), Verdict::Whole);
        assert_eq!(found.notes(&index), []);
    });
}

#[test]
fn t01_frames_lost_in_the_middle_are_counted_and_the_file_is_still_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = damaged(folder.path(), &[3, 4, 7]);
    with_each(|tool| {
        let index = index(tool, &file);
        let info = tool.probe(&file).unwrap();
        let (frames, decoder) = decode(tool, &info, DecodeOptions::default()).unwrap();
        assert_eq!(frames.len(), 7);
        let found = decoder.completeness();
        assert_eq!(found.verdict(&index, false), Verdict::Whole);
        let notes = found.notes(&index);
        assert_eq!(notes.len(), 1);
        assert_eq!(notes[0].0, "input.frames_lost");
        assert!(notes[0].1.starts_with("3 frames are damaged"), "{}", notes[0].1);
        // A part of the file speaks of its own frames only.
        let options = DecodeOptions {
            start: Some(StartAt {
                index: Arc::clone(&index),
                frame: 6,
            }),
            ..DecodeOptions::default()
        };
        let (_, decoder) = decode(tool, &info, options).unwrap();
        assert_eq!(decoder.completeness().lost(&index), 1);
    });
}

#[test]
fn t01_a_file_whose_last_frames_do_not_decode_is_cut_unless_the_range_ends_before() {
    let folder = tempfile::tempdir().unwrap();
    let file = damaged(folder.path(), &[8, 9]);
    with_each(|tool| {
        let index = index(tool, &file);
        let (frames, decoder) = decode(tool, &tool.probe(&file).unwrap(), DecodeOptions::default()).unwrap();
        let found = decoder.completeness();
        let Verdict::Cut {
            frames: came,
            expected,
            last,
            stated,
            cause,
        } = found.verdict(&index, false)
        else {
            panic!("{found:?}");
        };
        assert_eq!((came, expected), (8, 10));
        assert_eq!(last, frames.last().map(|frame| frame.pts));
        assert_eq!(stated, index.last_pts());
        assert!(cause.is_some_and(|cause| cause == found.complaints.lines().last().unwrap()));
        found.check_decoder(&index).unwrap();
        assert_eq!(found.verdict(&index, true), Verdict::Whole);
    });
}

#[test]
fn t01_a_decoder_that_fails_is_no_file_that_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let real = tools()[0].program().display();
    let failing = fake(
        folder.path(),
        &format!("{real} \"$@\"\necho cannot allocate memory >&2\nexit 1"),
    );
    let decoded = |tool: &Ffmpeg, file: &Path| {
        let info = tools()[0].probe(file).unwrap();
        decode(tool, &info, DecodeOptions::default()).unwrap().1.completeness()
    };
    let cut = damaged(folder.path(), &[8, 9]);
    let index = index(&tools()[0], &cut);
    let error = decoded(&failing, &cut).check_decoder(&index).unwrap_err();
    assert_eq!(error.code(), "tool.failed");
    assert!(error.to_string().contains("cannot allocate memory"), "{error}");
    // What came whole is whole, however the program ends.
    let whole = damaged(folder.path(), &[]);
    decoded(&failing, &whole).check_decoder(&index).unwrap();
    // FFmpeg ends with a status of its own where most pictures are broken.
    let broken = damaged(folder.path(), &[2, 3, 4, 5, 6, 7, 8, 9]);
    with_each(|tool| {
        let found = decoded(tool, &broken);
        assert_eq!(found.frames, 2);
        found.check_decoder(&index).unwrap();
    });
}

#[test]
fn t01_a_file_that_ends_before_its_tables_is_cut_though_all_its_packets_decode() {
    let folder = tempfile::tempdir().unwrap();
    let whole = make(
        &tools()[0],
        "-f lavfi -i testsrc2=s=160x120:r=25:d=4 -c:v mjpeg -q:v 2 -pix_fmt yuvj420p -movflags +faststart",
        &folder.path().join("whole.mov"),
    );
    let bytes = std::fs::read(&whole).unwrap();
    let cut = folder.path().join("cut.mov");
    std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
    with_each(|tool| {
        let index = index(tool, &cut);
        let (_, decoder) = decode(tool, &tool.probe(&cut).unwrap(), DecodeOptions::default()).unwrap();
        let found = decoder.completeness();
        let Verdict::Cut { cause, .. } = found.verdict(&index, false) else {
            panic!("{found:?}");
        };
        assert_eq!(cause.as_deref(), index.cut());
        assert!(cause.is_some());
    });
}

#[test]
fn t05_t40_sizes_and_times_that_were_mended_have_a_sentence_each() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = changing(folder.path());
    let bytes = std::fs::read(folder.path().join("64x48.ts")).unwrap();
    let twice = folder.path().join("twice.ts");
    std::fs::write(&twice, [bytes.as_slice(), &bytes].concat()).unwrap();
    with_each(|tool| {
        for (file, code, words) in [
            (&sizes, "input.size_changed", "changes its size once"),
            (&twice, "input.times_repaired", "stands still once"),
        ] {
            let index = index(tool, file);
            let mut decoder = Decoder::open(tool, &tool.probe(file).unwrap(), DecodeOptions::default()).unwrap();
            while decoder.next_frame().unwrap().is_some() {}
            let notes = decoder.completeness().notes(&index);
            assert_eq!(notes.len(), 1, "{notes:?}");
            assert!(notes[0].0 == code && notes[0].1.contains(words), "{notes:?}");
        }
    });
}
