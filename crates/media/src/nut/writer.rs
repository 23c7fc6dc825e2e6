use std::io::{self, Write};

use kinora_frame::{Rational, Size};

use super::{
    FILE_ID, FLAG_CHECKSUM, FLAG_CODED, FLAG_CODED_PTS, FLAG_KEY, FLAG_SIZE_MSB, MAIN, STREAM, SYNCPOINT, crc32,
    fields::put_v,
};

/// log2 of the number of pts values that a short form could name; full values are written as pts + 2^shift.
const SHIFT: u64 = 7;

/// Writes one raw video stream: what an encoder child reads. A syncpoint stands before every frame, so
/// a reader finds its place anywhere.
#[derive(Debug)]
pub struct NutWriter<W> {
    write: W,
    written: u64,
    last_syncpoint: u64,
    packet: Vec<u8>,
}

impl<W: Write> NutWriter<W> {
    /// Writes the headers of a stream of `size` with the four-letter code of its pixel format.
    ///
    /// # Errors
    /// Those of the writer beneath.
    pub fn new(write: W, fourcc: [u8; 4], size: Size, sample_aspect: (u32, u32), base: Rational) -> io::Result<Self> {
        let mut writer = Self {
            write,
            written: 0,
            last_syncpoint: 0,
            packet: Vec::with_capacity(256),
        };
        writer.put(FILE_ID)?;
        // Version 3, one stream, max_distance, one time base; one row of the frame code table that leaves
        // everything to the frame itself; no elision headers; no flags.
        let mut main = Vec::new();
        for value in [3, 1, 65536, 1, base.num().unsigned_abs(), base.den().unsigned_abs()] {
            put_v(&mut main, value);
        }
        for value in [FLAG_CODED, 6, 0, 1, 0, 0, 0, 255, 0, 0] {
            put_v(&mut main, value);
        }
        writer.packet(MAIN, &main)?;
        let mut stream = Vec::new();
        put_v(&mut stream, 0);
        put_v(&mut stream, 0);
        put_v(&mut stream, 4);
        stream.extend_from_slice(&fourcc);
        // Time base 0, shift, max_pts_distance, no decode delay, no flags, no codec data.
        for value in [0, SHIFT, 65536, 0, 0, 0] {
            put_v(&mut stream, value);
        }
        for value in [size.width, size.height, sample_aspect.0, sample_aspect.1, 0] {
            put_v(&mut stream, u64::from(value));
        }
        writer.packet(STREAM, &stream)?;
        Ok(writer)
    }

    /// Writes one frame at `pts` ticks, counted from 0.
    ///
    /// # Errors
    /// Those of the writer beneath.
    pub fn frame(&mut self, pts: u64, bytes: &[u8]) -> io::Result<()> {
        let here = self.written;
        let mut sync = Vec::with_capacity(16);
        put_v(&mut sync, pts);
        put_v(&mut sync, (here - self.last_syncpoint.min(here)) / 16);
        self.last_syncpoint = here;
        self.packet(SYNCPOINT, &sync)?;
        let mut header = std::mem::take(&mut self.packet);
        header.clear();
        header.push(0);
        put_v(&mut header, FLAG_KEY | FLAG_CODED_PTS | FLAG_SIZE_MSB | FLAG_CHECKSUM);
        put_v(&mut header, pts + (1 << SHIFT));
        put_v(&mut header, bytes.len() as u64);
        header.extend_from_slice(&crc32(0, &header).to_be_bytes());
        self.put(&header)?;
        self.packet = header;
        self.put(bytes)
    }

    /// Ends writing and gives the writer back.
    pub fn into_inner(self) -> W {
        self.write
    }

    fn packet(&mut self, startcode: u64, payload: &[u8]) -> io::Result<()> {
        let mut packet = std::mem::take(&mut self.packet);
        packet.clear();
        packet.extend_from_slice(&startcode.to_be_bytes());
        put_v(&mut packet, payload.len() as u64 + 4);
        packet.extend_from_slice(payload);
        packet.extend_from_slice(&crc32(0, payload).to_be_bytes());
        let done = self.put(&packet);
        self.packet = packet;
        done
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}
