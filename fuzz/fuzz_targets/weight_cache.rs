#![no_main]

kinora_fuzz::target!(kinora_nn::fuzz::weight_cache, folder);
