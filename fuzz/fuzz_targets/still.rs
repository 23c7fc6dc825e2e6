#![no_main]

// Decoders hold one buffer that they count against their limit of 64 MiB, and another that they do not.
kinora_fuzz::target!(kinora_media::fuzz::still, folder, 192 << 20);
