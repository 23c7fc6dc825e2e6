//! After the work: is the file what was written into it? Exit codes are not evidence.

use std::path::Path;

use kinora_frame::{ColorSpec, Rational, Timestamp};

use crate::{Container, Ffmpeg, MediaError, Stop};

/// What a verified file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Frames in it.
    pub frames: u64,
    /// Largest distance between a written and a read time, in seconds as a fraction; zero in containers with exact times.
    pub largest_shift: Rational,
    /// Colour facts that came out otherwise than they went in: `transfer: smpte2084 -> unspecified`.
    pub color_differences: Vec<String>,
}

impl Ffmpeg {
    /// Compares a finished file with the times (any order) and the colour that were written into it. Times may be off by
    /// what the container's own clock rounds; GIF and animated WebP have no
    /// start time and MKV none before zero, so there times count from the first.
    ///
    /// # Errors
    /// [`MediaError::Verify`] with the first difference in number or time of frames; those of probing.
    pub fn verify(
        &self,
        path: &Path,
        written: &[Timestamp],
        color: Option<ColorSpec>,
        stop: &Stop,
    ) -> Result<Verified, MediaError> {
        self.verify_times(path, written, color, false, stop)
    }

    /// As [`Ffmpeg::verify`]; with `moved` all times may be later by the same amount.
    pub(crate) fn verify_times(
        &self,
        path: &Path,
        written: &[Timestamp],
        color: Option<ColorSpec>,
        moved: bool,
        stop: &Stop,
    ) -> Result<Verified, MediaError> {
        let from_zero = written.iter().all(|time| time.ticks >= 0);
        if Container::of(path) == Some(Container::Nut) && from_zero && !moved {
            return verify_piece(path, written);
        }
        let animation = crate::animation::is_webp(path);
        let (info, times) = std::thread::scope(|scope| {
            let index = (!animation).then(|| scope.spawn(|| self.main_packet_index(path, stop)));
            let info = self.probe_container(path, stop);
            (
                info,
                index.map(|index| MediaError::joined("reading packets", index.join())),
            )
        });
        let info = info?;
        let differs = |what: String| MediaError::Verify {
            path: path.to_path_buf(),
            what,
        };
        let (_, facts) = info.video().ok_or_else(|| differs("it has no picture".to_owned()))?;
        let container = Container::of(path).unwrap_or(Container::Matroska);
        let read: Vec<Timestamp> = match times {
            Some(index) => index?.times().collect(),
            None => crate::animation::times(path)?,
        };
        // The encoder of animated WebP lets an equal picture stand longer instead of writing it again.
        let merges = container == Container::WebP;
        let enough = if merges {
            (1..=written.len()).contains(&read.len())
        } else {
            read.len() == written.len()
        };
        if !enough {
            return Err(differs(format!(
                "expected {} frames, found {}",
                written.len(),
                read.len()
            )));
        }
        let mut written = written.to_vec();
        written.sort_unstable();
        if merges && let (Some(zero), Some(first)) = (written.first().copied(), read.first().copied()) {
            // Each picture that is there must have been written at its time; both lists rise.
            let mut wanted = read.iter().map(|time| since(*time, first)).peekable();
            let milli = Rational::new(1, 1000).unwrap_or(Rational::ONE);
            written.retain(|time| {
                let meets = wanted
                    .peek()
                    .is_some_and(|wanted| distance(since(*time, zero), *wanted).is_some_and(|apart| apart <= milli));
                if meets {
                    wanted.next();
                }
                meets
            });
            if wanted.peek().is_some() {
                return Err(differs("it has a picture at a time when none was written".to_owned()));
            }
        }
        let early = written.first().is_some_and(|first| first.ticks < 0);
        let relative =
            moved || matches!(container, Container::Gif | Container::WebP) || early && container.starts_at_zero();
        let tolerance = match container.rounds_to() {
            0 => Rational::from_wide(0, 1),
            per_second => Rational::from_wide(1, i128::from(per_second)),
        }
        .unwrap_or(Rational::ONE);
        let mut largest = tolerance_zero();
        for (index, (expected, found)) in written.iter().zip(&read).enumerate() {
            let shift = if relative {
                distance(since(*expected, written[0]), since(*found, read[0]))
            } else {
                distance(seconds(*expected), seconds(*found))
            };
            let shift = shift.ok_or_else(|| differs(format!("frame {index} has a time out of range")))?;
            if shift > tolerance {
                return Err(differs(format!(
                    "frame {index} is at {found} ({} s), it was written at {expected} ({} s)",
                    found.seconds(),
                    expected.seconds()
                )));
            }
            largest = largest.max(shift);
        }
        Ok(Verified {
            frames: read.len() as u64,
            largest_shift: largest,
            color_differences: color
                .map(|color| color_differences(color, facts.color))
                .unwrap_or_default(),
        })
    }
}

/// A piece is read without a child process: it is one of hundreds, and its times are exact. Its colour is compared when
/// the pieces are joined.
fn verify_piece(path: &Path, written: &[Timestamp]) -> Result<Verified, MediaError> {
    let differs = |what: String| MediaError::Verify {
        path: path.to_path_buf(),
        what,
    };
    let read = crate::nut::times(path)?;
    let mut written = written.to_vec();
    written.sort_unstable();
    if read.len() != written.len() {
        return Err(differs(format!(
            "expected {} frames, found {}",
            written.len(),
            read.len()
        )));
    }
    let moved = written
        .iter()
        .zip(&read)
        .enumerate()
        .find(|(_, (wanted, found))| wanted != found);
    if let Some((index, (wanted, found))) = moved {
        return Err(differs(format!(
            "frame {index} is at {found}, it was written at {wanted}"
        )));
    }
    Ok(Verified {
        frames: read.len() as u64,
        largest_shift: tolerance_zero(),
        color_differences: Vec::new(),
    })
}

fn tolerance_zero() -> Rational {
    Rational::from_wide(0, 1).unwrap_or(Rational::ONE)
}

fn seconds(time: Timestamp) -> Option<Rational> {
    Rational::from_wide(
        i128::from(time.ticks) * i128::from(time.base.num()),
        i128::from(time.base.den()),
    )
}

fn since(time: Timestamp, first: Timestamp) -> Option<Rational> {
    subtract(seconds(time)?, seconds(first)?)
}

fn distance(a: Option<Rational>, b: Option<Rational>) -> Option<Rational> {
    let difference = subtract(a?, b?)?;
    Rational::from_wide(i128::from(difference.num()).abs(), i128::from(difference.den()))
}

fn subtract(a: Rational, b: Rational) -> Option<Rational> {
    let (an, ad, bn, bd) = (
        i128::from(a.num()),
        i128::from(a.den()),
        i128::from(b.num()),
        i128::from(b.den()),
    );
    let num = an.checked_mul(bd)?.checked_sub(bn.checked_mul(ad)?)?;
    Rational::from_wide(num, ad.checked_mul(bd)?)
}

fn color_differences(expected: ColorSpec, found: ColorSpec) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, expected: String, found: String| {
        if expected != found {
            differences.push(format!("{what}: {expected} -> {found}"));
        }
    };
    let number = |number: u8| {
        if number == 0 || number == 2 {
            "unspecified".to_owned()
        } else {
            number.to_string()
        }
    };
    compare("matrix", expected.matrix.to_string(), found.matrix.to_string());
    compare("primaries", number(expected.primaries.0), number(found.primaries.0));
    compare("transfer", number(expected.transfer.0), number(found.transfer.0));
    compare("range", expected.range.to_string(), found.range.to_string());
    compare(
        "chroma location",
        format!("{:?}", expected.chroma),
        format!("{:?}", found.chroma),
    );
    differences
}
