//! Names of models, as people and files write them.
//!
//! Compared without case, with `_` = `-`, with or without the scale in front or behind, the extension and the iteration
//! suffix (`_200k`, `_130k_net_g`). The stricter form wins; what fits several models is a list.

use super::{Catalogue, ModelRecord, ZooError};

/// Extensions that files of models have.
const EXTENSIONS: [&str; 10] = [
    ".param",
    ".bin",
    ".onnx",
    ".pth",
    ".pt",
    ".ckpt",
    ".safetensors",
    ".tflite",
    ".gguf",
    ".pkl",
];

/// The forms of one name, strictest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forms {
    /// Lower case, `-` for `_` and spaces, without extension.
    pub(crate) plain: String,
    /// Without the iteration suffix; the scale, wherever it was, in front as `4x-`.
    pub(crate) scaled: String,
    /// Without scale.
    pub(crate) bare: String,
}

impl Forms {
    pub(crate) fn of(name: &str) -> Self {
        let mut plain: String = name
            .trim()
            .chars()
            .map(|c| if matches!(c, '_' | ' ') { '-' } else { c })
            .collect();
        plain.make_ascii_lowercase();
        if let Some(extension) = EXTENSIONS.iter().find(|extension| plain.ends_with(**extension)) {
            plain.truncate(plain.len() - extension.len());
        }
        let short = without_iterations(&plain);
        let (scale, bare) = split_scale(short);
        let scaled = scale.map_or_else(|| bare.clone(), |scale| format!("{scale}x-{bare}"));
        Self { plain, scaled, bare }
    }

    fn at(&self, level: usize) -> &str {
        match level {
            0 => &self.plain,
            1 => &self.scaled,
            _ => &self.bare,
        }
    }
}

/// Cuts `-200k`, `-130k-net-g`, `-180000-g`, `-latest` off the end.
fn without_iterations(name: &str) -> &str {
    let mut short = name;
    for tail in ["-net-g", "-g", "-latest"] {
        if let Some(cut) = short.strip_suffix(tail) {
            short = cut;
            break;
        }
    }
    if let Some((head, last)) = short.rsplit_once('-') {
        let digits = last.strip_suffix('k').unwrap_or(last);
        let counts = digits.bytes().all(|b| b.is_ascii_digit());
        // `-27k` and `-180000` count iterations; `-25` may be a version.
        if counts && !head.is_empty() && (last.len() > digits.len() && !digits.is_empty() || digits.len() >= 4) {
            return head;
        }
    }
    if short.len() < name.len() && without_iterations(short).len() == short.len() {
        // `-g` alone belongs to the name.
        return name;
    }
    short
}

/// Splits `4x-name`, `4xname`, `x4-name`, `name-x4`, `name-4x`, `namex4`, `name4x` into scale and rest.
fn split_scale(name: &str) -> (Option<u32>, String) {
    let small = |digits: &str| digits.parse::<u32>().ok().filter(|scale| (1..=16).contains(scale));
    let leading = name.bytes().take_while(u8::is_ascii_digit).count();
    if let (digits, Some(rest)) = (&name[..leading], name[leading..].strip_prefix('x'))
        && let Some(scale) = small(digits)
        && !rest.trim_start_matches('-').is_empty()
    {
        return (Some(scale), rest.trim_start_matches('-').to_owned());
    }
    if let Some(rest) = name.strip_prefix('x') {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if let (Some(scale), Some(rest)) = (small(&rest[..digits]), rest[digits..].strip_prefix('-')) {
            return (Some(scale), rest.to_owned());
        }
    }
    let trailing = name.len() - name.bytes().rev().take_while(u8::is_ascii_digit).count();
    if let (Some(scale), Some(rest)) = (small(&name[trailing..]), name[..trailing].strip_suffix('x'))
        && !rest.trim_end_matches('-').is_empty()
    {
        return (Some(scale), rest.trim_end_matches('-').to_owned());
    }
    if let Some(rest) = name.strip_suffix('x') {
        let start = rest.len() - rest.bytes().rev().take_while(u8::is_ascii_digit).count();
        if let Some(scale) = small(&rest[start..])
            && !rest[..start].trim_end_matches('-').is_empty()
        {
            return (Some(scale), rest[..start].trim_end_matches('-').to_owned());
        }
    }
    (None, name.to_owned())
}

/// The scale that a name carries.
pub(crate) fn scale_of(name: &str) -> Option<u32> {
    split_scale(&Forms::of(name).scaled).0
}

/// Indices of the candidates that fit, at the strictest level where any does. Each candidate has several names.
pub(crate) fn matches<'a>(asked: &str, candidates: &(impl Iterator<Item = Vec<&'a str>> + Clone)) -> Vec<usize> {
    let wanted = scale_of(asked);
    let asked = Forms::of(asked);
    for level in 0..3 {
        // A scale may be left out; another scale is another model.
        let same_scale = |name: &str| level < 2 || wanted.is_none() || scale_of(name).is_none_or(|s| Some(s) == wanted);
        let fits = |names: &Vec<&str>| {
            names
                .iter()
                .any(|name| Forms::of(name).at(level) == asked.at(level) && same_scale(name))
        };
        let found: Vec<usize> = candidates
            .clone()
            .enumerate()
            .filter(|(_, n)| fits(n))
            .map(|(i, _)| i)
            .collect();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// Every name of a record.
pub(crate) fn of_record(record: &ModelRecord) -> Vec<&str> {
    std::iter::once(record.id.as_str())
        .chain(record.aliases.iter().map(String::as_str))
        .collect()
}

/// The model of the catalogue that a name means.
///
/// # Errors
/// [`ZooError::Unknown`] with near names, [`ZooError::Ambiguous`] with all that fit.
pub(crate) fn in_catalogue<'a>(catalogue: &'a Catalogue, name: &str) -> Result<&'a ModelRecord, ZooError> {
    if let Some(record) = catalogue.get(name.trim()) {
        return Ok(record);
    }
    let found = matches(name, &catalogue.models.iter().map(of_record));
    match found.as_slice() {
        [] => Err(ZooError::Unknown {
            name: name.to_owned(),
            nearest: nearest(name, catalogue.models.iter().map(|m| m.id.as_str())),
        }),
        [one] => catalogue.models.get(*one).ok_or(ZooError::Unknown {
            name: name.to_owned(),
            nearest: Vec::new(),
        }),
        many => Err(ZooError::Ambiguous {
            name: name.to_owned(),
            candidates: many
                .iter()
                .filter_map(|i| catalogue.models.get(*i))
                .map(|m| m.id.clone())
                .collect(),
        }),
    }
}

/// Up to three names near to one that fits nothing: few edits apart, or one within the other.
pub(crate) fn nearest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let asked = Forms::of(asked);
    let limit = (asked.plain.chars().count() / 4).clamp(1, 3);
    let mut ranked: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let form = Forms::of(name);
            let edits = edit_distance(&asked.plain, &form.plain).min(edit_distance(&asked.bare, &form.bare));
            let within =
                asked.bare.len() >= 3 && (form.plain.contains(&asked.bare) || asked.plain.contains(&form.bare));
            (edits <= limit)
                .then_some((edits, name))
                .or(within.then_some((limit + 1, name)))
        })
        .collect();
    ranked.sort();
    ranked.dedup();
    ranked.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

/// Letters to insert, delete or replace between two words (Levenshtein). Words beyond 64 letters count as far apart.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().max(b.len()) > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (to, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let up = *cell;
            left = (left + 1).min(up + 1).min(diagonal + usize::from(from != to));
            diagonal = up;
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_scale_is_another_model() {
        let names = || [vec!["waifu2x-photo-x2"], vec!["span-x2"], vec!["span-x4"]].into_iter();
        assert_eq!(matches("waifu2x-photo-x3", &names()), Vec::<usize>::new());
        assert_eq!(matches("waifu2x-photo", &names()), [0]);
        assert_eq!(matches("4x_SPAN", &names()), [2]);
        assert_eq!(matches("span-x8", &names()), Vec::<usize>::new());
    }

    #[test]
    fn names_in_the_wild_come_down_to_scale_and_bare_name() {
        for (name, scaled, bare) in [
            ("4x_NMKD-Siax_200k.pth", "4x-nmkd-siax", "nmkd-siax"),
            ("4x-UltraSharp.pth", "4x-ultrasharp", "ultrasharp"),
            ("RealESRGAN_x4plus.pth", "realesrgan-x4plus", "realesrgan-x4plus"),
            (
                "realesr-animevideov3-x2",
                "2x-realesr-animevideov3",
                "realesr-animevideov3",
            ),
            ("BSRGANx2", "2x-bsrgan", "bsrgan"),
            ("1xBaldrickVHSFix_180000_G", "1x-baldrickvhsfix", "baldrickvhsfix"),
            ("x1_something_130k_net_g.pth", "1x-something", "something"),
            ("2xHFA2kSPAN_27k.param", "2x-hfa2kspan", "hfa2kspan"),
            ("ClearReality4x", "4x-clearreality", "clearreality"),
            ("model-G", "model-g", "model-g"),
            ("4x", "4x", "4x"),
            ("x4", "x4", "x4"),
            ("", "", ""),
        ] {
            let forms = Forms::of(name);
            assert_eq!((forms.scaled.as_str(), forms.bare.as_str()), (scaled, bare), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_name_and_spelling_it_otherwise_changes_nothing(name in "\\PC{0,40}") {
            let forms = Forms::of(&name);
            proptest::prop_assert_eq!(&Forms::of(&forms.plain.to_uppercase().to_lowercase().replace('-', "_")).bare, &Forms::of(&forms.plain.to_uppercase().to_lowercase()).bare);
            let _ = (scale_of(&name), nearest(&name, ["span-x4", "é4x", ""].into_iter()));
        }
    }

    #[test]
    fn the_catalogue_is_found_under_every_spelling_people_use() {
        let catalogue = Catalogue::embedded().unwrap();
        for (name, id) in [
            ("span-x4", "span-x4"),
            ("SPAN_X4", "span-x4"),
            ("4x-span", "span-x4"),
            ("spanx4_ch48.param", "span-x4"),
            ("spanx4_ch52", "span-x4-ch52"),
            ("RealESRGAN_x4plus.pth", "realesrgan-x4plus"),
            ("RealESRGAN_x4plus_anime_6B", "realesrgan-x4plus-anime"),
            ("realesr-animevideov3", "realesr-animevideov3-x4"),
            ("2x_realesr-animevideov3", "realesr-animevideov3-x2"),
            ("models-cunet/scale2.0x_model", "waifu2x-cunet-x2"),
            ("cunet", "waifu2x-cunet-x2"),
            ("models-se/up2x-no-denoise", "realcugan-se-x2"),
            ("bigbuckbunny.mp4", "clip-bigbuckbunny"),
            ("openvino", "onnxruntime-openvino"),
        ] {
            assert_eq!(in_catalogue(catalogue, name).unwrap().id, id, "{name}");
        }
    }

    #[test]
    fn a_name_that_fits_several_models_is_answered_with_the_list() {
        let error = in_catalogue(Catalogue::embedded().unwrap(), "span").unwrap_err();
        assert_eq!(error.code(), "model.ambiguous");
        assert_eq!(error.to_string(), "'span' fits several models: span-x2, span-x4");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let catalogue = Catalogue::embedded().unwrap();
        for (name, near) in [
            ("spam-x4", "span-x4"),
            ("realcugan", "realcugan-nose-x2"),
            ("wiafu2x-photo-x2", "waifu2x-photo-x2"),
        ] {
            let ZooError::Unknown { nearest, .. } = in_catalogue(catalogue, name).unwrap_err() else {
                panic!("{name} was found")
            };
            assert!(nearest.iter().any(|n| n == near), "{name}: {nearest:?}");
        }
        let ZooError::Unknown { nearest, .. } = in_catalogue(catalogue, "film-grain-of-yore").unwrap_err() else {
            panic!("found")
        };
        assert!(nearest.is_empty());
    }
}
