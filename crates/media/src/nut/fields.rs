use crate::MediaError;

/// Reads the fields of one packet's payload; running past its end is an error, never a panic.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: u64,
}

impl<'a> Fields<'a> {
    /// `at` is the position in the stream, for error texts.
    pub(super) const fn new(bytes: &'a [u8], at: u64) -> Self {
        Self { bytes, at }
    }

    fn bad(&self, expected: &'static str, found: impl Into<String>) -> MediaError {
        MediaError::BadNut {
            at: self.at,
            expected,
            found: found.into(),
        }
    }

    fn byte(&mut self) -> Result<u8, MediaError> {
        let (&first, rest) = self
            .bytes
            .split_first()
            .ok_or_else(|| self.bad("more fields in the packet", "its end"))?;
        self.bytes = rest;
        self.at += 1;
        Ok(first)
    }

    pub(super) fn bytes(&mut self, count: u64) -> Result<&'a [u8], MediaError> {
        let (head, rest) = usize::try_from(count)
            .ok()
            .and_then(|count| self.bytes.split_at_checked(count))
            .ok_or_else(|| self.bad("a field inside its packet", format!("{count} bytes")))?;
        self.bytes = rest;
        self.at += count;
        Ok(head)
    }

    /// Unsigned variable-length number.
    pub(super) fn v(&mut self) -> Result<u64, MediaError> {
        let at = self.at;
        varint(|| self.byte(), at)
    }

    /// Signed variable-length number.
    pub(super) fn s(&mut self) -> Result<i64, MediaError> {
        self.v().map(signed)
    }

    pub(super) fn index(&mut self, below: usize, what: &'static str) -> Result<usize, MediaError> {
        let value = self.v()?;
        usize::try_from(value)
            .ok()
            .filter(|&value| value < below)
            .ok_or_else(|| self.bad(what, value.to_string()))
    }

    pub(super) fn length_and_bytes(&mut self) -> Result<&'a [u8], MediaError> {
        let length = self.v()?;
        self.bytes(length)
    }
}

pub(super) fn varint(mut next: impl FnMut() -> Result<u8, MediaError>, at: u64) -> Result<u64, MediaError> {
    let mut value = 0u64;
    for _ in 0..10 {
        let byte = next()?;
        if value >> 57 != 0 {
            break;
        }
        value = value << 7 | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(MediaError::BadNut {
        at,
        expected: "a number of at most 64 bits",
        found: "a longer one".to_owned(),
    })
}

pub(super) fn signed(value: u64) -> i64 {
    let half = (value / 2 + (value & 1)) as i64;
    if value & 1 == 1 { half } else { half.wrapping_neg() }
}

pub(super) fn put_v(into: &mut Vec<u8>, value: u64) {
    let bits = 64 - value.leading_zeros().min(63);
    let groups = bits.div_ceil(7);
    for group in (0..groups).rev() {
        let more = if group > 0 { 0x80 } else { 0 };
        into.push((value >> (7 * group)) as u8 & 0x7F | more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_numbers_follow_the_specification() {
        // t = v + 1; odd t is negative: v = 0 -> 0, 1 -> 1, 2 -> -1, 3 -> 2, 4 -> -2.
        assert_eq!([0, 1, 2, 3, 4].map(signed), [0, 1, -1, 2, -2]);
    }

    #[test]
    fn numbers_survive_a_round_trip() {
        for value in [
            0,
            1,
            127,
            128,
            16383,
            16384,
            u64::from(u32::MAX),
            u64::MAX / 2,
            u64::MAX,
        ] {
            let mut bytes = Vec::new();
            put_v(&mut bytes, value);
            assert_eq!(Fields::new(&bytes, 0).v().unwrap(), value);
        }
        assert!(Fields::new(&[0xFF; 12], 0).v().is_err());
    }
}
