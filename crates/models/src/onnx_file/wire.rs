//! The wire format of protocol buffers, read without trust: every length is checked against what is there.

/// A field's content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes; no such field is of interest here.
    Fixed,
}

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) wire: Wire<'a>,
}

/// The fields of a message, one after another.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field; `None` at the end.
    pub(super) fn next_field(&mut self) -> Result<Option<Field<'a>>, &'static str> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = varint(&mut self.rest)?;
        let number = u32::try_from(key >> 3)
            .ok()
            .filter(|n| *n > 0)
            .ok_or("a field number is out of range")?;
        let wire = match key & 7 {
            0 => Wire::Varint(varint(&mut self.rest)?),
            1 => self.take(8).map(|_| Wire::Fixed)?,
            2 => {
                let length = varint(&mut self.rest)?;
                Wire::Bytes(self.take(usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            5 => self.take(4).map(|_| Wire::Fixed)?,
            _ => return Err("a field has an unknown wire type"),
        };
        Ok(Some(Field { number, wire }))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or("a field is longer than its message")?;
        self.rest = rest;
        Ok(taken)
    }
}

fn varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, more) = rest.split_first().ok_or("a number ends too early")?;
        *rest = more;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number is longer than 64 bits")
}

/// The numbers of a packed field.
pub(super) fn packed(mut bytes: &[u8]) -> Result<Vec<i64>, &'static str> {
    if bytes.len() > 160 {
        return Err("a weight has too many sides");
    }
    let mut list = Vec::new();
    while !bytes.is_empty() {
        list.push(varint(&mut bytes)? as i64);
    }
    Ok(list)
}
