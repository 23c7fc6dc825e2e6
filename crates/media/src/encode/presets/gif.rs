use super::{Container, EncoderPreset, PLAIN};

/// GIF with a palette for every frame, so that length costs no memory.
pub(super) static GIF: EncoderPreset = EncoderPreset {
    name: "gif",
    aliases: &[],
    encoder: "gif",
    codec: "gif",
    formats: &["rgba", "rgb24"],
    even_sides: false,
    containers: &[Container::Gif],
    bitrate: false,
    filters: &[
        "split[kinora_a][kinora_b];[kinora_a]palettegen=stats_mode=single[kinora_p];[kinora_b][kinora_p]paletteuse=new=1",
    ],
    ..PLAIN
};
