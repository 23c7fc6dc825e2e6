#![no_main]

kinora_fuzz::target!(kinora_models::fuzz::catalogue);
