//! The `.cube` text format (Adobe Cube LUT Specification 1.0, with Resolve's input range lines).

use std::str::FromStr;

use super::{Entries, Lut};
use crate::FrameError;

/// Largest edge of a three-dimensional table.
const MAX_SIDE: usize = 256;
/// Most entries of a one-dimensional table.
const MAX_CURVE: usize = 65536;

fn bad(line: usize, expected: &'static str, found: &str) -> FrameError {
    FrameError::BadLut {
        line,
        expected,
        found: found.chars().take(80).collect(),
    }
}

fn numbers<const N: usize>(line: usize, text: &str, expected: &'static str) -> Result<[f64; N], FrameError> {
    let mut values = [0.0; N];
    let mut words = text.split_whitespace();
    for value in &mut values {
        *value = words
            .next()
            .and_then(|word| word.parse::<f64>().ok())
            .filter(|value| value.is_finite())
            .ok_or_else(|| bad(line, expected, text))?;
    }
    match words.next() {
        None => Ok(values),
        Some(_) => Err(bad(line, expected, text)),
    }
}

#[derive(Default)]
struct Header {
    title: String,
    curve: Option<usize>,
    side: Option<usize>,
    domain_min: [f64; 3],
    domain_max: [f64; 3],
}

impl Header {
    /// Takes one keyword line; false for a line that is no keyword line.
    fn take(&mut self, line: usize, word: &str, rest: &str) -> Result<bool, FrameError> {
        match word {
            "TITLE" => self.title = rest.trim_matches('"').to_owned(),
            "LUT_1D_SIZE" => self.curve = Some(size(line, rest, MAX_CURVE, "a size of 2 to 65536")?),
            "LUT_3D_SIZE" => self.side = Some(size(line, rest, MAX_SIDE, "a size of 2 to 256")?),
            "DOMAIN_MIN" => self.domain_min = numbers(line, rest, "three numbers")?,
            "DOMAIN_MAX" => self.domain_max = numbers(line, rest, "three numbers")?,
            "LUT_1D_INPUT_RANGE" | "LUT_3D_INPUT_RANGE" => {
                let [min, max] = numbers(line, rest, "two numbers")?;
                self.domain_min = [min; 3];
                self.domain_max = [max; 3];
            }
            _ if word.starts_with(|first: char| first.is_ascii_alphabetic()) => {
                return Err(bad(line, "a keyword of the cube format or three numbers", word));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn entries(&self) -> Option<usize> {
        match (self.curve, self.side) {
            (Some(count), None) => Some(count),
            (None, Some(side)) => Some(side * side * side),
            _ => None,
        }
    }
}

fn size(line: usize, text: &str, max: usize, expected: &'static str) -> Result<usize, FrameError> {
    text.parse()
        .ok()
        .filter(|size| (2..=max).contains(size))
        .ok_or_else(|| bad(line, expected, text))
}

impl FromStr for Lut {
    type Err = FrameError;

    /// Reads the text of a `.cube` file.
    ///
    /// # Errors
    /// [`FrameError::BadLut`] with the line (from 1; 0 for the file as a whole).
    fn from_str(text: &str) -> Result<Self, FrameError> {
        let mut header = Header {
            domain_max: [1.0; 3],
            ..Header::default()
        };
        let mut values = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let (number, line) = (index + 1, line.trim_start_matches('\u{feff}').trim());
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            if header.take(number, word, rest.trim())? {
                if !values.is_empty() {
                    return Err(bad(number, "keywords before the table", line));
                }
                continue;
            }
            let expected = header
                .entries()
                .ok_or_else(|| bad(number, "one of LUT_1D_SIZE and LUT_3D_SIZE before the table", line))?;
            if values.len() == expected {
                return Err(bad(number, "the end of the table", line));
            }
            if values.is_empty() {
                // Bounded by the size checks above, and by the text itself: an entry takes six bytes at least.
                values.reserve_exact(expected.min(text.len() / 6 + 1));
            }
            values.push(numbers(number, line, "three numbers")?);
        }
        let expected = header
            .entries()
            .ok_or_else(|| bad(0, "one of LUT_1D_SIZE and LUT_3D_SIZE", "neither or both"))?;
        if values.len() != expected {
            let found = format!("{} of {expected} entries", values.len());
            return Err(bad(0, "as many entries as the size says", &found));
        }
        for channel in 0..3 {
            if header.domain_min[channel] >= header.domain_max[channel] {
                return Err(bad(0, "DOMAIN_MIN below DOMAIN_MAX", "an empty domain"));
            }
        }
        Ok(Self {
            title: header.title,
            domain_min: header.domain_min,
            domain_max: header.domain_max,
            entries: match header.side {
                Some(side) => Entries::Cube { side, values },
                None => Entries::Curves(values),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Interpolation;
    use super::*;

    fn identity(side: usize) -> String {
        let mut text = format!("\u{feff}# made by hand\nTITLE \"nothing\"\nLUT_3D_SIZE {side}\n");
        for b in 0..side {
            for g in 0..side {
                for r in 0..side {
                    let value = |index: usize| index as f64 / (side - 1) as f64;
                    text += &format!("{} {} {}\n", value(r), value(g), value(b));
                }
            }
        }
        text
    }

    #[test]
    fn an_identity_table_changes_nothing_and_clamps_to_its_domain() {
        let lut: Lut = identity(4).parse().unwrap();
        assert_eq!((lut.title(), lut.size(), lut.is_cube()), ("nothing", 4, true));
        for interpolation in [Interpolation::Trilinear, Interpolation::Tetrahedral] {
            for rgb in [[0.1, 0.7, 0.33], [0.5, 0.5, 0.5], [1.0, 0.0, 1.0]] {
                let got = lut.apply(rgb, interpolation);
                assert!(got.iter().zip(rgb).all(|(got, want)| (got - want).abs() < 1e-12));
            }
            assert_eq!(lut.apply([-1.0, 2.0, f64::NAN], interpolation), [0.0, 1.0, 0.0]);
        }
    }

    #[test]
    fn a_bad_file_is_refused_with_its_line() {
        let good = identity(2);
        let cases = [
            (String::new(), 0),
            ("LUT_3D_SIZE 1\n".to_owned(), 1),
            ("LUT_3D_SIZE 100000\n".to_owned(), 1),
            ("LUT_1D_SIZE 4294967296\n".to_owned(), 1),
            ("0 0 0\n".to_owned(), 1),
            (good.replace("TITLE", "LUT_5D"), 2),
            (good.replace("LUT_3D_SIZE 2", "LUT_3D_SIZE 2\nLUT_1D_SIZE 2"), 5),
            (good.replace("1 1 1", "1 1"), 11),
            (good.replace("1 1 1", "1 1 nan"), 11),
            (good.replace("1 1 1\n", ""), 0),
            (good.clone() + "1 1 1\n", 12),
            (good.replace("TITLE", "DOMAIN_MIN 0 2 0\nTITLE"), 0),
            (good.replace("TITLE", "DOMAIN_MAX 1 1\nTITLE"), 2),
        ];
        for (text, line) in cases {
            match text.parse::<Lut>() {
                Err(FrameError::BadLut { line: found, .. }) => assert_eq!(found, line, "{text}"),
                other => panic!("{other:?} for {text}"),
            }
        }
    }
}
