#![no_main]

kinora_fuzz::target!(kinora_engine::fuzz::block);
