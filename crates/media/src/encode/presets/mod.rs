//! Encoder presets: one file each, one line of registration in [`ALL`].

mod amd;
mod av1;
mod ffv1;
mod gif;
mod h264;
mod h265;
mod nvenc;
mod prores;
mod qsv;
mod vaapi;
mod videotoolbox;
mod vp9;
mod webp;

use super::container::Container;

/// Every encoder, in the order in which a codec's name chooses among them.
pub static ALL: &[&EncoderPreset] = &[
    &h264::X264,
    &h265::X265,
    &av1::SVT_AV1,
    &vp9::VP9,
    &prores::PRORES,
    &ffv1::FFV1,
    &gif::GIF,
    &webp::WEBP,
    &nvenc::H264,
    &nvenc::HEVC,
    &nvenc::AV1,
    &qsv::H264,
    &qsv::HEVC,
    &qsv::AV1,
    &vaapi::H264,
    &vaapi::HEVC,
    &vaapi::AV1,
    &videotoolbox::H264,
    &videotoolbox::HEVC,
    &amd::H264,
    &amd::HEVC,
    &amd::AV1,
];

/// How an encoder takes a constant quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// A flag with a number in a range, and the number used when the user names none.
    Flag {
        /// `-crf`, `-cq`, `-global_quality`.
        flag: &'static str,
        /// Smallest number.
        least: u32,
        /// Largest number.
        most: u32,
        /// Number used without a setting.
        usual: u32,
    },
    /// It has none: lossless, or fixed by its profile.
    None,
}

/// How an encoder takes HDR10 facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HdrParameters {
    /// `-x265-params`.
    X265,
    /// `-svtav1-params`.
    SvtAv1,
    /// It cannot: they are lost, and the notes say so.
    None,
}

/// One encoder: its name at FFmpeg, what it takes, and how settings become arguments.
#[derive(Debug)]
pub struct EncoderPreset {
    /// Name that `--codec` takes.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// FFmpeg's encoder.
    pub encoder: &'static str,
    /// FFmpeg's codec, as a probe of the output names it.
    pub codec: &'static str,
    /// Pixel formats, the ones it does best first.
    pub formats: &'static [&'static str],
    /// True where 4:2:0 and 4:2:2 need even sides.
    pub even_sides: bool,
    /// Containers that hold it, the usual one first.
    pub containers: &'static [Container],
    /// Constant quality.
    pub quality: Quality,
    /// The flag of its speed setting and its usual value.
    pub speed: Option<(&'static str, &'static str)>,
    /// True where `-b:v` gives a bit rate.
    pub bitrate: bool,
    /// The flag of its own `key=value:...` parameters.
    pub parameters: Option<&'static str>,
    /// HDR10 facts.
    pub hdr: HdrParameters,
    /// Arguments that are always given.
    pub always: &'static [&'static str],
    /// Filters after the conversion to its pixel format.
    pub filters: &'static [&'static str],
    /// Arguments before the inputs: hardware devices.
    pub device: &'static [&'static str],
}

/// What most presets share.
pub(crate) const PLAIN: EncoderPreset = EncoderPreset {
    name: "",
    aliases: &[],
    encoder: "",
    codec: "",
    formats: &[],
    even_sides: true,
    containers: &[
        Container::Matroska,
        Container::Mp4,
        Container::Mov,
        Container::MpegTs,
        Container::Nut,
    ],
    quality: Quality::None,
    speed: None,
    bitrate: true,
    parameters: None,
    hdr: HdrParameters::None,
    always: &[],
    filters: &[],
    device: &[],
};

/// The preset of this name: `h264`, `hevc`, `h264_nvenc`, or FFmpeg's own name of the encoder.
#[must_use]
pub fn find(name: &str) -> Option<&'static EncoderPreset> {
    ALL.iter()
        .copied()
        .find(|preset| preset.name == name || preset.encoder == name || preset.aliases.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_format_and_container_is_known() {
        let mut names = std::collections::BTreeSet::new();
        for preset in ALL {
            for name in preset.aliases.iter().chain([&preset.name]) {
                assert!(names.insert(*name), "{name} stands for two encoders");
            }
            assert!(
                !preset.formats.is_empty() && !preset.containers.is_empty(),
                "{}",
                preset.name
            );
            assert!(std::ptr::eq(find(preset.encoder).unwrap(), *preset) || preset.encoder == preset.name);
        }
        assert_eq!(find("hevc").unwrap().encoder, "libx265");
        assert!(find("h263").is_none());
    }
}
