#![no_main]

kinora_fuzz::target!(kinora_engine::fuzz::manifest);
