use crate::{PixelFormat, Rational, Size};

/// What can be wrong with pixels, sizes and times.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A rational with a zero denominator, or one that does not fit after reduction.
    #[error("{num}/{den} is not a usable rational number: the denominator must be positive and both must fit 63 bits")]
    BadRational {
        /// Numerator as given.
        num: i64,
        /// Denominator as given.
        den: i64,
    },
    /// A time that does not fall on a tick of the other time base.
    #[error("{ticks} ticks of {from} s are no whole number of ticks of {to} s")]
    InexactTime {
        /// Ticks in the source base.
        ticks: i64,
        /// Source time base.
        from: Rational,
        /// Wanted time base.
        to: Rational,
    },
    /// Arithmetic left the range of 64-bit ticks.
    #[error("a time of {ticks} ticks of {base} s is out of range")]
    TimeOverflow {
        /// Ticks before the operation.
        ticks: i64,
        /// Time base.
        base: Rational,
    },
    /// A buffer whose length is not what its description asks for.
    #[error("an image of {size} {what} needs {expected} bytes, found {found}")]
    BufferSize {
        /// Picture size.
        size: Size,
        /// Format or layout in words.
        what: String,
        /// Bytes the description asks for.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// A size of zero, or larger than can be addressed.
    #[error(
        "a picture of {size} cannot be held: width and height must be 1 to {max}, and the bytes must fit the address space"
    )]
    BadSize {
        /// Picture size.
        size: Size,
        /// Largest side.
        max: u32,
    },
    /// An operation that this format has no meaning for.
    #[error("{operation} does not take {format}: it takes {accepts}")]
    UnsupportedFormat {
        /// What was asked for.
        operation: &'static str,
        /// Format found.
        format: PixelFormat,
        /// Formats that work.
        accepts: &'static str,
    },
    /// An operation on pixels that met a tensor, or the other way round.
    #[error("{operation} takes {expected}, found {found}")]
    WrongLayout {
        /// What was asked for.
        operation: &'static str,
        /// Layout that works.
        expected: &'static str,
        /// Layout found.
        found: String,
    },
    /// Pixels that are on a device and were asked for on the host.
    #[error("the pixels are on {device}: download them first")]
    OnDevice {
        /// Device that holds them.
        device: String,
    },
    /// A download that failed.
    #[error("reading {bytes} bytes back from {device} failed: {cause}")]
    Download {
        /// Device that holds them.
        device: String,
        /// Bytes asked for.
        bytes: usize,
        /// The device's own words.
        cause: String,
    },
    /// A `.cube` table that does not read.
    #[error("the colour table is not readable at line {line}: expected {expected}, found {found}")]
    BadLut {
        /// Line from 1; 0 for the file as a whole.
        line: usize,
        /// What the format asks for there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A parameter outside its meaning.
    #[error("{name} is {found}: it must be {expected}")]
    BadParameter {
        /// Parameter's name.
        name: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What was given.
        found: String,
    },
}

impl FrameError {
    /// Stable dotted code for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadRational { .. } => "frame.rational",
            Self::InexactTime { .. } => "frame.time.inexact",
            Self::TimeOverflow { .. } => "frame.time.overflow",
            Self::BufferSize { .. } => "frame.buffer-size",
            Self::BadSize { .. } => "frame.size",
            Self::UnsupportedFormat { .. } => "frame.format",
            Self::WrongLayout { .. } => "frame.layout",
            Self::OnDevice { .. } => "frame.on-device",
            Self::Download { .. } => "frame.download",
            Self::BadLut { .. } => "frame.lut",
            Self::BadParameter { .. } => "frame.parameter",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnsupportedFormat { accepts, .. } => format!("convert the picture first: {accepts}"),
            Self::BadSize { max, .. } => format!("choose a size with sides of 1 to {max} pixels, or process in parts"),
            Self::OnDevice { .. } => "download the picture, or keep this step on the device".to_owned(),
            Self::Download { .. } => "run again with --device cpu to see whether the device is at fault".to_owned(),
            Self::BadLut { .. } => "export the table again as .cube with LUT_1D_SIZE or LUT_3D_SIZE".to_owned(),
            Self::BadParameter {
                name: "colour matrix of a luma and chroma picture",
                ..
            } => "let FFmpeg convert it first: -vf scale=out_color_matrix=bt709".to_owned(),
            _ => return None,
        })
    }
}
