use std::io::{BufRead, BufReader, ErrorKind, Read};

use kinora_frame::{Rational, Size, Timestamp};

use super::{
    FILE_ID, FLAG_CHECKSUM, FLAG_CODED, FLAG_CODED_PTS, FLAG_HEADER_IDX, FLAG_INVALID, FLAG_KEY, FLAG_MATCH_TIME,
    FLAG_RESERVED, FLAG_SIZE_MSB, FLAG_SM_DATA, FLAG_STREAM_ID, INDEX, INFO, MAIN, STREAM, SYNCPOINT,
    fields::{Fields, signed, varint},
    sums_up,
};
use crate::MediaError;

/// Sizes above which a stream is refused before memory is taken.
#[derive(Clone, Copy, Debug)]
pub struct NutLimits {
    /// Bytes of one header packet.
    pub packet_bytes: u64,
    /// Bytes of one frame.
    pub frame_bytes: u64,
    /// Streams in one file.
    pub streams: u64,
}

impl Default for NutLimits {
    fn default() -> Self {
        Self {
            packet_bytes: 1 << 20,
            frame_bytes: 1 << 31,
            streams: 64,
        }
    }
}

/// One stream as its header describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NutStream {
    /// Video, or anything else (0 is video).
    pub class: u64,
    /// Four-letter code.
    pub fourcc: Vec<u8>,
    /// Seconds a tick; may differ from what was asked for.
    pub base: Rational,
    /// Picture size, video only.
    pub size: Option<Size>,
    /// Sample aspect ratio, video only; `None` when not stated.
    pub sample_aspect: Option<Rational>,
    shift: u32,
}

/// A frame whose bytes come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NutPacket {
    /// Number of its stream.
    pub stream: usize,
    /// Presentation time in the stream's base.
    pub pts: Timestamp,
    /// True for a frame that decodes alone.
    pub key: bool,
    /// Bytes of the frame, elided header included.
    pub bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    flags: u64,
    pts_delta: i64,
    size_mul: u64,
    size_lsb: u64,
    stream: u64,
    reserved: u64,
    header: u64,
}

const INVALID_ROW: Row = Row {
    flags: FLAG_INVALID,
    pts_delta: 0,
    size_mul: 1,
    size_lsb: 0,
    stream: 0,
    reserved: 0,
    header: 0,
};

/// Reads a NUT stream: headers, then frame after frame. Every length is checked before memory is taken.
#[derive(Debug)]
pub struct NutReader<R: Read> {
    read: BufReader<R>,
    at: u64,
    limits: NutLimits,
    bases: Vec<Rational>,
    table: Vec<Row>,
    elided: Vec<Vec<u8>>,
    streams: Vec<NutStream>,
    last_pts: Vec<i64>,
    packet: Vec<u8>,
    pending: Option<(usize, usize)>,
}

impl<R: Read> NutReader<R> {
    /// Reads the headers: the main header and one for every stream.
    ///
    /// # Errors
    /// [`MediaError::BadNut`] for anything that is not NUT as [`super`] describes it, [`MediaError::Io`] from beneath.
    pub fn open(read: R, limits: NutLimits) -> Result<Self, MediaError> {
        let mut reader = Self {
            read: BufReader::with_capacity(64 << 10, read),
            at: 0,
            limits,
            bases: Vec::new(),
            table: Vec::new(),
            elided: Vec::new(),
            streams: Vec::new(),
            last_pts: Vec::new(),
            packet: Vec::new(),
            pending: None,
        };
        let mut id = [0; FILE_ID.len()];
        reader.fill(&mut id)?;
        if id != FILE_ID {
            return Err(reader.bad("the NUT file identifier", String::from_utf8_lossy(&id)));
        }
        let first = reader.byte()?;
        let startcode = reader.read_packet(first)?;
        if startcode != MAIN {
            return Err(reader.bad("a main header", format!("{startcode:#018x}")));
        }
        let count = reader.main_header()?;
        while reader.streams.len() < count {
            let first = reader.byte()?;
            if first != b'N' {
                return Err(reader.bad("a stream header", format!("{first:#04x}")));
            }
            if reader.read_packet(first)? == STREAM {
                let stream = reader.stream_header()?;
                reader.streams.push(stream);
                reader.last_pts.push(0);
            }
        }
        Ok(reader)
    }

    /// The streams.
    #[must_use]
    pub fn streams(&self) -> &[NutStream] {
        &self.streams
    }

    /// The next frame's header, `None` at a clean end. A frame whose bytes were not read is skipped.
    ///
    /// # Errors
    /// As [`NutReader::open`].
    pub fn next_packet(&mut self) -> Result<Option<NutPacket>, MediaError> {
        if let Some((_, bytes)) = self.pending.take() {
            self.skip(bytes)?;
        }
        loop {
            if self.at_end()? {
                return Ok(None);
            }
            let code = self.byte()?;
            if code != b'N' {
                return self.frame_header(code).map(Some);
            }
            match self.read_packet(code)? {
                SYNCPOINT => self.syncpoint()?,
                // Headers are repeated for readers that join late; the rest is not for us.
                MAIN | STREAM | INDEX | INFO => {}
                _ => {}
            }
        }
    }

    /// Reads the bytes of the frame that [`NutReader::next_packet`] announced.
    ///
    /// # Errors
    /// [`MediaError::BadNut`] when `into` has another length than announced, or the stream ends inside.
    pub fn read_frame(&mut self, into: &mut [u8]) -> Result<(), MediaError> {
        let Some((elided, bytes)) = self.pending.take() else {
            return Err(self.bad("a frame that was announced", "none"));
        };
        let prefix = self.elided.get(elided).map_or(0, Vec::len);
        if into.len() != prefix + bytes {
            self.pending = Some((elided, bytes));
            return Err(self.bad("a buffer of the frame's length", format!("{} bytes", into.len())));
        }
        let (head, body) = into.split_at_mut(prefix);
        if let Some(header) = self.elided.get(elided) {
            head.copy_from_slice(header);
        }
        self.fill(body)
    }

    fn bad(&self, expected: &'static str, found: impl Into<String>) -> MediaError {
        MediaError::BadNut {
            at: self.at,
            expected,
            found: found.into(),
        }
    }

    fn io(&self, source: std::io::Error) -> MediaError {
        if source.kind() == ErrorKind::UnexpectedEof {
            self.bad("more bytes", "the end of the stream")
        } else {
            MediaError::io("reading", "pipe", source)
        }
    }

    fn at_end(&mut self) -> Result<bool, MediaError> {
        loop {
            match self.read.fill_buf() {
                Ok(bytes) => return Ok(bytes.is_empty()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.io(error)),
            }
        }
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<(), MediaError> {
        self.read.read_exact(into).map_err(|error| self.io(error))?;
        self.at += into.len() as u64;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, MediaError> {
        let mut byte = [0];
        self.fill(&mut byte)?;
        Ok(byte[0])
    }

    fn skip(&mut self, bytes: usize) -> Result<(), MediaError> {
        let mut left = bytes;
        while left > 0 {
            let got = match self.read.fill_buf() {
                Ok(buffer) => buffer.len().min(left),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.io(error)),
            };
            if got == 0 {
                return Err(self.bad("more bytes", "the end of the stream"));
            }
            self.read.consume(got);
            left -= got;
            self.at += got as u64;
        }
        Ok(())
    }

    /// Reads a packet whose first byte was read; its payload is in `self.packet` afterwards.
    fn read_packet(&mut self, first: u8) -> Result<u64, MediaError> {
        let mut head = Vec::with_capacity(24);
        head.push(first);
        let mut rest = [0; 7];
        self.fill(&mut rest)?;
        head.extend_from_slice(&rest);
        let startcode = head.iter().fold(0u64, |code, &byte| code << 8 | u64::from(byte));
        let at = self.at;
        let length = varint(
            || {
                let byte = self.byte()?;
                head.push(byte);
                Ok(byte)
            },
            at,
        )?;
        if length > 4096 {
            let mut checksum = [0; 4];
            self.fill(&mut checksum)?;
            if !sums_up(&head, checksum) {
                return Err(self.bad("a packet header with a right checksum", format!("{startcode:#018x}")));
            }
        }
        let index = startcode == INDEX || startcode == INFO;
        if index && length > self.limits.packet_bytes {
            // Nothing in it is needed, however long it is.
            self.skip(usize::try_from(length).unwrap_or(usize::MAX))?;
            self.packet.clear();
            return Ok(startcode);
        }
        if !(4..=self.limits.packet_bytes).contains(&length) {
            return Err(self.bad("a packet of 4 bytes to 1 MiB", format!("{length} bytes")));
        }
        let mut packet = std::mem::take(&mut self.packet);
        packet.clear();
        packet.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
        let filled = self.fill(&mut packet);
        self.packet = packet;
        filled?;
        let right = self
            .packet
            .split_last_chunk()
            .is_some_and(|(payload, checksum)| sums_up(payload, *checksum));
        if !right {
            return Err(self.bad("a packet with a right checksum", format!("{startcode:#018x}")));
        }
        let payload = self.packet.len() - 4;
        self.packet.truncate(payload);
        Ok(startcode)
    }

    fn main_header(&mut self) -> Result<usize, MediaError> {
        let packet = std::mem::take(&mut self.packet);
        let mut fields = Fields::new(&packet, self.at);
        let version = fields.v()?;
        if !(2..=4).contains(&version) {
            return Err(self.bad("NUT version 2, 3 or 4", version.to_string()));
        }
        if version > 3 {
            fields.v()?;
        }
        let streams = fields.v()?;
        if !(1..=self.limits.streams).contains(&streams) {
            return Err(self.bad("a small number of streams", streams.to_string()));
        }
        fields.v()?;
        let bases = fields.v()?;
        if !(1..=self.limits.streams).contains(&bases) {
            return Err(self.bad("a small number of time bases", bases.to_string()));
        }
        for _ in 0..bases {
            let (num, den) = (fields.v()?, fields.v()?);
            let base = Rational::from_wide(i128::from(num), i128::from(den))
                .filter(|base| base.num() > 0)
                .ok_or_else(|| self.bad("a positive time base", format!("{num}/{den}")))?;
            self.bases.push(base);
        }
        self.table = self.frame_codes(&mut fields)?;
        let headers = fields.v()?;
        if headers >= 128 {
            return Err(self.bad("at most 127 elided headers", headers.to_string()));
        }
        self.elided.push(Vec::new());
        for _ in 0..headers {
            let header = fields.length_and_bytes()?;
            if header.len() > 256 {
                return Err(self.bad("elided headers of at most 256 bytes", header.len().to_string()));
            }
            self.elided.push(header.to_vec());
        }
        self.packet = packet;
        usize::try_from(streams).map_err(|_| self.bad("a small number of streams", streams.to_string()))
    }

    fn frame_codes(&self, fields: &mut Fields<'_>) -> Result<Vec<Row>, MediaError> {
        let mut table = Vec::with_capacity(256);
        let mut row = Row {
            flags: 0,
            ..INVALID_ROW
        };
        while table.len() < 256 {
            row.flags = fields.v()?;
            let given = fields.v()?;
            if given > 64 {
                return Err(self.bad("at most 64 fields a row", given.to_string()));
            }
            if given > 0 {
                row.pts_delta = fields.s()?;
            }
            if given > 1 {
                row.size_mul = fields.v()?;
            }
            if given > 2 {
                row.stream = fields.v()?;
            }
            let size = if given > 3 { fields.v()? } else { 0 };
            row.reserved = if given > 4 { fields.v()? } else { 0 };
            let count = if given > 5 {
                fields.v()?
            } else {
                row.size_mul.saturating_sub(size)
            };
            if given > 6 {
                fields.s()?;
            }
            if given > 7 {
                row.header = fields.v()?;
            }
            for _ in 8..given {
                fields.v()?;
            }
            if count == 0 || row.size_mul > 16384 {
                return Err(self.bad("a row that stands for frame codes", format!("{count} codes")));
            }
            let mut size_lsb = size;
            for _ in 0..count {
                if table.len() == usize::from(b'N') {
                    table.push(INVALID_ROW);
                }
                if table.len() >= 256 {
                    return Err(self.bad("256 frame codes", "more"));
                }
                table.push(Row { size_lsb, ..row });
                size_lsb = size_lsb.saturating_add(1);
            }
            if table.len() == usize::from(b'N') {
                table.push(INVALID_ROW);
            }
        }
        Ok(table)
    }

    fn stream_header(&mut self) -> Result<NutStream, MediaError> {
        let packet = std::mem::take(&mut self.packet);
        let mut fields = Fields::new(&packet, self.at);
        let id = fields.v()?;
        if id != self.streams.len() as u64 {
            return Err(self.bad("stream headers in order", format!("stream {id}")));
        }
        let class = fields.v()?;
        let fourcc = fields.length_and_bytes()?.to_vec();
        let base = fields.index(self.bases.len(), "a time base that was declared")?;
        let shift = fields.index(32, "a pts shift below 32")? as u32;
        for _ in 0..3 {
            fields.v()?;
        }
        fields.length_and_bytes()?;
        let mut size = None;
        let mut sample_aspect = None;
        if class == 0 {
            let mut side = || fields.v().map(|side| u32::try_from(side).unwrap_or(u32::MAX));
            let declared = Size::new(side()?, side()?);
            declared.check()?;
            let (num, den) = (side()?, side()?);
            size = Some(declared);
            sample_aspect = Rational::new(i64::from(num), i64::from(den))
                .ok()
                .filter(|sar| sar.num() > 0);
        }
        self.packet = packet;
        Ok(NutStream {
            class,
            fourcc,
            base: self.bases.get(base).copied().unwrap_or(Rational::ONE),
            size,
            sample_aspect,
            shift,
        })
    }

    fn syncpoint(&mut self) -> Result<(), MediaError> {
        let mut fields = Fields::new(&self.packet, self.at);
        // FFmpeg writes decoding times here, which with B-frames begin before zero, in two's complement.
        let value = fields.v()?.cast_signed();
        let count = i64::try_from(self.bases.len()).unwrap_or(i64::MAX).max(1);
        let base = usize::try_from(value.rem_euclid(count))
            .ok()
            .and_then(|index| self.bases.get(index).copied());
        let Some(base) = base else {
            return Err(self.bad("a known time base", value.to_string()));
        };
        let ticks = value.div_euclid(count);
        for (last, stream) in self.last_pts.iter_mut().zip(&self.streams) {
            *last = Timestamp::new(ticks, base).rescale_floor(stream.base)?.ticks;
        }
        Ok(())
    }

    fn frame_header(&mut self, code: u8) -> Result<NutPacket, MediaError> {
        let row = self.table.get(usize::from(code)).copied().unwrap_or(INVALID_ROW);
        let mut head = vec![code];
        let mut next = |reader: &mut Self| {
            let at = reader.at;
            varint(
                || {
                    let byte = reader.byte()?;
                    head.push(byte);
                    Ok(byte)
                },
                at,
            )
        };
        let mut flags = row.flags;
        if flags & FLAG_INVALID != 0 {
            return Err(self.bad("a valid frame code", format!("{code:#04x}")));
        }
        if flags & FLAG_CODED != 0 {
            flags ^= next(self)?;
        }
        let stream = if flags & FLAG_STREAM_ID != 0 {
            next(self)?
        } else {
            row.stream
        };
        let coded_pts = if flags & FLAG_CODED_PTS != 0 {
            Some(next(self)?)
        } else {
            None
        };
        let size_msb = if flags & FLAG_SIZE_MSB != 0 { next(self)? } else { 0 };
        if flags & FLAG_MATCH_TIME != 0 {
            signed(next(self)?);
        }
        let header = if flags & FLAG_HEADER_IDX != 0 {
            next(self)?
        } else {
            row.header
        };
        let reserved = if flags & FLAG_RESERVED != 0 {
            next(self)?
        } else {
            row.reserved
        };
        if reserved > 64 {
            return Err(self.bad("at most 64 reserved fields", reserved.to_string()));
        }
        for _ in 0..reserved {
            next(self)?;
        }
        if flags & FLAG_CHECKSUM != 0 {
            let mut checksum = [0; 4];
            self.fill(&mut checksum)?;
            if !sums_up(&head, checksum) {
                return Err(self.bad("a frame header with a right checksum", "another"));
            }
        }
        if flags & FLAG_SM_DATA != 0 {
            return Err(self.bad("frames without side data", "side data"));
        }
        let index = usize::try_from(stream).ok().filter(|&index| index < self.streams.len());
        let Some(index) = index else {
            return Err(self.bad("a stream that was declared", stream.to_string()));
        };
        let pts = self.pts(index, coded_pts, row.pts_delta)?;
        let bytes = size_msb
            .checked_mul(row.size_mul)
            .and_then(|msb| msb.checked_add(row.size_lsb))
            .filter(|&bytes| bytes <= self.limits.frame_bytes)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(|| self.bad("a frame within the limit", format!("{size_msb} x {}", row.size_mul)))?;
        let elided = usize::try_from(header)
            .ok()
            .filter(|&header| header < self.elided.len());
        let Some(elided) = elided else {
            return Err(self.bad("an elided header that was declared", header.to_string()));
        };
        let follows = bytes
            .checked_sub(self.elided[elided].len())
            .ok_or_else(|| self.bad("a frame longer than its elided header", format!("{bytes} bytes")))?;
        self.pending = Some((elided, follows));
        Ok(NutPacket {
            stream: index,
            pts,
            key: flags & FLAG_KEY != 0,
            bytes,
        })
    }

    fn pts(&mut self, index: usize, coded: Option<u64>, delta: i64) -> Result<Timestamp, MediaError> {
        let last = self.last_pts[index];
        let stream = &self.streams[index];
        let window = 1u64 << stream.shift;
        let ticks = match coded {
            None => last.checked_add(delta),
            Some(coded) if coded < window => {
                let mask = window as i64 - 1;
                last.checked_sub(mask / 2)
                    .and_then(|low| (((coded as i64).wrapping_sub(low)) & mask).checked_add(low))
            }
            Some(coded) => i64::try_from(coded - window).ok(),
        };
        let Some(ticks) = ticks else {
            return Err(self.bad("a time of at most 63 bits", "a larger one"));
        };
        self.last_pts[index] = ticks;
        Ok(Timestamp::new(ticks, stream.base))
    }
}
