#![no_main]

kinora_fuzz::target!(kinora_pipeline::fuzz::params);
