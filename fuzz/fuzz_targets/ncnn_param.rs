#![no_main]

kinora_fuzz::target!(kinora_models::fuzz::ncnn_param);
