#![no_main]

kinora_fuzz::target!(kinora_media::fuzz::ffmpeg_log);
