//! What must hold for any input: the bodies of the fuzz targets of `fuzz/`, built for them and for tests only.
// A panic is how a target tells of a fault.
#![allow(clippy::unwrap_used)]

use crate::durable::{
    Block, Record,
    line::{read_all, write},
};

/// Records that are read out of a manifest and written again are read as the same, and what is whole is no more than is
/// there. Sums are taken as right.
pub fn manifest(bytes: &[u8]) {
    let found = read_all::<Record>(bytes);
    assert!(found.whole <= bytes.len() as u64);
    assert!(found.damaged.is_none_or(|line| line > found.records.len()));
    let again: Vec<u8> = found.records.iter().flat_map(|record| write(record).unwrap()).collect();
    let read = read_all::<Record>(&again);
    assert_eq!((&read.records, read.damaged), (&found.records, None));
    assert_eq!(read.whole, again.len() as u64);
}

/// A block that is read is one of its number, and all of them together are every segment once. The segments are as many as
/// the input is long.
pub fn block(bytes: &[u8]) {
    let Ok(Ok(block)) = std::str::from_utf8(bytes).map(str::parse::<Block>) else {
        return;
    };
    assert_eq!(block.to_string().parse(), Ok(block));
    for all in [bytes.len() as u64, u64::MAX] {
        let mut next = 0;
        for k in 0..block.n {
            let segments = Block { k, ..block }.segments(all);
            assert!(segments.start == next && segments.start <= segments.end);
            next = segments.end;
        }
        assert_eq!(next, all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bodies_hold_for_what_is_usual() {
        let end = crate::durable::EndRecord {
            segments: 3,
            shortfall: None,
        };
        let line = write(&Record::End(end)).unwrap();
        for cut in [0, 9, line.len()] {
            manifest(&line[..cut]);
        }
        block(b"3/4");
        block(b"4/4");
    }
}
