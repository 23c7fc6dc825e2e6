//! NUT: what is written is read back; what is malformed is an error, never a panic, and takes no memory.

use kinora_frame::{Rational, Size};
use kinora_media::nut::{NutLimits, NutReader, NutWriter};
use proptest::prelude::*;

fn write(base: Rational, size: Size, frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut writer = NutWriter::new(Vec::new(), *b"I420", size, (4, 3), base).unwrap();
    for (pts, bytes) in frames {
        writer.frame(*pts, bytes).unwrap();
    }
    writer.into_inner()
}

/// Reads to the end or to the first error.
fn read(bytes: &[u8]) -> Vec<(i64, Vec<u8>)> {
    let limits = NutLimits {
        frame_bytes: 1 << 16,
        ..NutLimits::default()
    };
    let mut frames = Vec::new();
    let Ok(mut reader) = NutReader::open(bytes, limits) else {
        return frames;
    };
    while let Ok(Some(packet)) = reader.next_packet() {
        let mut buffer = vec![0; packet.bytes];
        if reader.read_frame(&mut buffer).is_err() {
            break;
        }
        frames.push((packet.pts.ticks, buffer));
    }
    frames
}

fn frames() -> impl Strategy<Value = Vec<(u64, Vec<u8>)>> {
    proptest::collection::vec((0u64..1 << 50, proptest::collection::vec(any::<u8>(), 0..300)), 0..12)
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(frames in frames(), num in 1i64..5000, den in 1i64..1_000_000_000) {
        let base = Rational::new(num, den).unwrap();
        let bytes = write(base, Size::new(320, 241), &frames);
        let reader = NutReader::open(bytes.as_slice(), NutLimits::default()).unwrap();
        let stream = &reader.streams()[0];
        prop_assert_eq!(stream.base, base);
        prop_assert_eq!(stream.size, Some(Size::new(320, 241)));
        prop_assert_eq!(stream.sample_aspect, Rational::new(4, 3).ok());
        let back = read(&bytes);
        let expected: Vec<_> = frames.iter().map(|(pts, bytes)| (*pts as i64, bytes.clone())).collect();
        prop_assert_eq!(back, expected);
    }

    #[test]
    fn a_cut_stream_gives_whole_frames_only(frames in frames(), keep in 0.0f64..1.0) {
        let bytes = write(Rational::new(1, 25).unwrap(), Size::new(16, 16), &frames);
        let cut = (bytes.len() as f64 * keep) as usize;
        let back = read(&bytes[..cut]);
        for (found, (pts, bytes)) in back.iter().zip(&frames) {
            prop_assert_eq!(found, &(*pts as i64, bytes.clone()));
        }
    }

    #[test]
    fn damaged_streams_never_panic(frames in frames(), damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let mut bytes = write(Rational::new(1, 90000).unwrap(), Size::new(16, 16), &frames);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        read(&bytes);
    }

    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..2000)) {
        read(&noise);
        let mut headed = b"nut/multimedia container\0".to_vec();
        headed.extend(noise);
        read(&headed);
    }
}

#[test]
fn a_frame_above_the_limit_is_refused_before_memory_is_taken() {
    let bytes = write(Rational::new(1, 25).unwrap(), Size::new(16, 16), &[(0, vec![0; 1000])]);
    let limits = NutLimits {
        frame_bytes: 999,
        ..NutLimits::default()
    };
    let mut reader = NutReader::open(bytes.as_slice(), limits).unwrap();
    let error = reader.next_packet().unwrap_err();
    assert_eq!(error.code(), "tool.bad_stream");
    assert!(error.to_string().contains("within the limit"), "{error}");
}

#[test]
fn a_frame_that_is_not_read_is_skipped() {
    let bytes = write(
        Rational::new(1, 25).unwrap(),
        Size::new(16, 16),
        &[(0, vec![1; 70_000]), (5, vec![2; 3])],
    );
    let mut reader = NutReader::open(bytes.as_slice(), NutLimits::default()).unwrap();
    reader.next_packet().unwrap().unwrap();
    let second = reader.next_packet().unwrap().unwrap();
    assert_eq!((second.pts.ticks, second.bytes), (5, 3));
    let mut wrong = [0; 4];
    assert!(reader.read_frame(&mut wrong).is_err());
    assert!(reader.next_packet().unwrap().is_none());
}
