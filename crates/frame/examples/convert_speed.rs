//! Prints milliseconds a conversion at 720p and 2160p, best of several runs on one thread and on all.
//!
//! `cargo run --release -p kinora-frame --example convert_speed`
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used)]

use std::time::Instant;

use kinora_frame::{ColorSpec, ConvertOptions, Image, ImageDesc, Layout, PixelFormat, Pool, Size, convert_with};

fn best_ms(mut run: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..12 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    best
}

fn main() {
    let pool = Pool::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "{:<34} {:>10} {:>10}",
        "conversion",
        "1 thread",
        format!("{threads} threads")
    );
    for size in [Size::new(1280, 720), Size::new(3840, 2160)] {
        let pixels = |format: PixelFormat| {
            let color = if format.is_yuv() {
                ColorSpec::BT709
            } else {
                ColorSpec::SRGB
            };
            ImageDesc {
                size,
                layout: Layout::Pixels(format),
                color,
            }
        };
        let tensor = ImageDesc {
            size,
            layout: Layout::RGB_F32,
            color: ColorSpec::BT709,
        };
        let rgb = pixels(PixelFormat::RGB24);
        let codes: Vec<u8> = (0..rgb.layout.bytes(size).unwrap())
            .map(|i| (i * 7 + i / 977) as u8)
            .collect();
        let rgb = Image::host(rgb, codes.into()).unwrap();
        let yuv = pixels(PixelFormat::YUV420P);
        let ms = [1, threads].map(|threads| {
            let options = ConvertOptions {
                threads,
                ..ConvertOptions::default()
            };
            best_ms(|| drop(convert_with(&rgb, &yuv, &options, &pool).unwrap()))
        });
        println!(
            "{:<34} {:>7.2} ms {:>7.2} ms",
            format!("{size} rgb24 -> yuv420p"),
            ms[0],
            ms[1]
        );
        let formats = [
            PixelFormat::YUV420P,
            PixelFormat::YUV420P10,
            PixelFormat::YUV444P,
            PixelFormat::RGB24,
            PixelFormat::RGBA64,
        ];
        for format in formats {
            let desc = pixels(format);
            let bytes: Vec<u8> = (0..desc.layout.bytes(size).unwrap())
                .map(|i| {
                    if format.bits == 10 && i % 2 == 1 {
                        1
                    } else {
                        (i * 7 + i / 977) as u8
                    }
                })
                .collect();
            let source = Image::host(desc, bytes.into()).unwrap();
            let back = convert_with(&source, &tensor, &ConvertOptions::default(), &pool).unwrap();
            for (name, from, to) in [
                (format!("{format} -> f32 rgb"), &source, tensor),
                (format!("f32 rgb -> {format}"), &back, desc),
            ] {
                let ms = [1, threads].map(|threads| {
                    let options = ConvertOptions {
                        threads,
                        ..ConvertOptions::default()
                    };
                    best_ms(|| drop(convert_with(from, &to, &options, &pool).unwrap()))
                });
                println!("{:<34} {:>7.2} ms {:>7.2} ms", format!("{size} {name}"), ms[0], ms[1]);
            }
        }
    }
}
