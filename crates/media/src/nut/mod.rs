//! The part of the NUT container that carries frames over pipes: one way in, one way out.
//!
//! Source: the NUT specification (2008-02-11 draft) and what FFmpeg 5.1 to 9.0 write and accept.

mod fields;
mod reader;
mod times;
mod writer;

pub use reader::{NutLimits, NutPacket, NutReader, NutStream};
pub(crate) use times::times;
pub use writer::NutWriter;

const FILE_ID: &[u8] = b"nut/multimedia container\0";
const MAIN: u64 = 0x4E4D_7A56_1F5F_04AD;
const STREAM: u64 = 0x4E53_1140_5BF2_F9DB;
const SYNCPOINT: u64 = 0x4E4B_E4AD_EECA_4569;
const INDEX: u64 = 0x4E58_DD67_2F23_E64E;
const INFO: u64 = 0x4E49_AB68_B596_BA78;

const FLAG_KEY: u64 = 1;
const FLAG_CODED_PTS: u64 = 8;
const FLAG_STREAM_ID: u64 = 16;
const FLAG_SIZE_MSB: u64 = 32;
const FLAG_CHECKSUM: u64 = 64;
const FLAG_RESERVED: u64 = 128;
const FLAG_SM_DATA: u64 = 256;
const FLAG_HEADER_IDX: u64 = 1024;
const FLAG_MATCH_TIME: u64 = 2048;
const FLAG_CODED: u64 = 4096;
const FLAG_INVALID: u64 = 8192;

/// CRC-32 with polynomial 0x04C11DB7, not reflected, started at `crc`, no final xor.
fn crc32(mut crc: u32, bytes: &[u8]) -> u32 {
    for &byte in bytes {
        crc ^= u32::from(byte) << 24;
        for _ in 0..8 {
            crc = if crc & 0x8000_0000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x04C1_1DB7
            };
        }
    }
    crc
}

/// True when `checksum` is that of `bytes`. A fuzzer cannot make checksums, so to it every one is right.
fn sums_up(bytes: &[u8], checksum: [u8; 4]) -> bool {
    cfg!(fuzzing) || crc32(0, bytes) == u32::from_be_bytes(checksum)
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn a_checksum_over_data_and_its_checksum_is_zero() {
        let data = b"nut packet";
        let crc = crc32(0, data);
        assert_eq!(crc32(crc, &crc.to_be_bytes()), 0);
        // The value of "123456789" for this polynomial and these conventions.
        assert_eq!(crc32(0, b"123456789"), 0x89A1_897F);
    }
}
