#![no_main]

kinora_fuzz::target!(kinora_media::fuzz::nut);
