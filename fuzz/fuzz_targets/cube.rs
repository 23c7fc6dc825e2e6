#![no_main]

kinora_fuzz::target!(kinora_frame::fuzz::cube);
