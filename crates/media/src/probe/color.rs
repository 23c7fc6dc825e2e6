//! FFmpeg's names of colour facts, both ways, by the numbers of ITU-T H.273.

use kinora_frame::{ChromaLocation, Matrix, Primaries, Transfer};

const PRIMARIES: &[(u8, &str)] = &[
    (1, "bt709"),
    (4, "bt470m"),
    (5, "bt470bg"),
    (6, "smpte170m"),
    (7, "smpte240m"),
    (8, "film"),
    (9, "bt2020"),
    (10, "smpte428"),
    (11, "smpte431"),
    (12, "smpte432"),
    (22, "jedec-p22"),
    (22, "ebu3213"),
];

const TRANSFERS: &[(u8, &str)] = &[
    (1, "bt709"),
    (4, "bt470m"),
    (4, "gamma22"),
    (5, "bt470bg"),
    (5, "gamma28"),
    (6, "smpte170m"),
    (7, "smpte240m"),
    (8, "linear"),
    (9, "log100"),
    (9, "log"),
    (10, "log316"),
    (10, "log_sqrt"),
    (11, "iec61966-2-4"),
    (12, "bt1361e"),
    (13, "iec61966-2-1"),
    (14, "bt2020-10"),
    (15, "bt2020-12"),
    (16, "smpte2084"),
    (17, "smpte428"),
    (18, "arib-std-b67"),
];

const MATRICES: &[(u8, &str)] = &[
    (0, "gbr"),
    (1, "bt709"),
    (4, "fcc"),
    (5, "bt470bg"),
    (6, "smpte170m"),
    (7, "smpte240m"),
    (8, "ycgco"),
    (9, "bt2020nc"),
    (10, "bt2020c"),
    (11, "smpte2085"),
    (12, "chroma-derived-nc"),
    (13, "chroma-derived-c"),
    (14, "ictcp"),
];

fn number(table: &[(u8, &str)], name: &str) -> Option<u8> {
    table
        .iter()
        .find(|(_, known)| *known == name)
        .map(|(number, _)| *number)
}

fn name(table: &'static [(u8, &str)], number: u8) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// Reads FFmpeg's name; unknown ones are unspecified.
pub(crate) fn primaries(text: &str) -> Primaries {
    Primaries(number(PRIMARIES, text).unwrap_or(2))
}

/// Reads FFmpeg's name; unknown ones are unspecified.
pub(crate) fn transfer(text: &str) -> Transfer {
    Transfer(number(TRANSFERS, text).unwrap_or(2))
}

/// Reads FFmpeg's name; unknown ones are unspecified.
pub(crate) fn matrix(text: &str) -> Matrix {
    match number(MATRICES, text) {
        None => Matrix::Unspecified,
        Some(0) => Matrix::Identity,
        Some(1) => Matrix::Bt709,
        Some(6) => Matrix::Bt601,
        Some(9) => Matrix::Bt2020Ncl,
        Some(other) => Matrix::Other(other),
    }
}

/// Reads FFmpeg's name; anything else is [`ChromaLocation::Left`], as a stream that says nothing.
pub(crate) fn chroma(text: &str) -> Option<ChromaLocation> {
    match text {
        "left" => Some(ChromaLocation::Left),
        "center" => Some(ChromaLocation::Center),
        "topleft" => Some(ChromaLocation::TopLeft),
        _ => None,
    }
}

/// FFmpeg's name, where the value is specified.
pub(crate) fn primaries_name(value: Primaries) -> Option<&'static str> {
    name(PRIMARIES, value.0)
}

/// FFmpeg's name, where the value is specified.
pub(crate) fn transfer_name(value: Transfer) -> Option<&'static str> {
    name(TRANSFERS, value.0)
}

/// FFmpeg's name, where the value is specified.
pub(crate) fn matrix_name(value: Matrix) -> Option<&'static str> {
    let number = match value {
        Matrix::Unspecified => return None,
        Matrix::Identity => 0,
        Matrix::Bt601 => 6,
        Matrix::Bt709 => 1,
        Matrix::Bt2020Ncl => 9,
        Matrix::Other(other) => other,
    };
    name(MATRICES, number)
}

/// FFmpeg's name.
pub(crate) fn chroma_name(value: ChromaLocation) -> &'static str {
    match value {
        ChromaLocation::Left => "left",
        ChromaLocation::Center => "center",
        ChromaLocation::TopLeft => "topleft",
    }
}

/// The name under which FFmpeg's scaler knows a matrix; BT.601 is its own default.
pub(crate) fn scale_matrix(matrix: Matrix) -> &'static str {
    match matrix {
        Matrix::Bt709 => "bt709",
        Matrix::Bt2020Ncl => "bt2020",
        Matrix::Other(4) => "fcc",
        Matrix::Other(7) => "smpte240m",
        _ => "bt601",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_map_both_ways() {
        for (number, _) in PRIMARIES {
            assert_eq!(
                primaries(primaries_name(Primaries(*number)).unwrap()),
                Primaries(*number)
            );
        }
        for (number, _) in TRANSFERS {
            assert_eq!(transfer(transfer_name(Transfer(*number)).unwrap()), Transfer(*number));
        }
        for (_, text) in MATRICES {
            assert_eq!(matrix_name(matrix(text)), Some(*text));
        }
        assert_eq!(matrix("unknown"), Matrix::Unspecified);
        assert_eq!(primaries("reserved"), Primaries(2));
    }
}
