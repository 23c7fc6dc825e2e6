//! Prints milliseconds a resize of 1080p pictures, best of several runs on one thread, beside `fast_image_resize`.
//!
//! `cargo run --release -p kinora-frame --example resize_speed`
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used)]

use std::time::Instant;

use fast_image_resize as fir;
use kinora_frame::{ColorSpec, Filter, Image, ImageDesc, Layout, PixelFormat, Pool, Size, resize};

fn best_ms(mut run: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    best
}

fn main() {
    let pool = Pool::default();
    let from = Size::new(1920, 1080);
    let layouts = [
        ("rgb24", Layout::Pixels(PixelFormat::RGB24)),
        ("yuv420p", Layout::Pixels(PixelFormat::YUV420P)),
        ("f32 rgb", Layout::RGB_F32),
    ];
    for to in [Size::new(960, 540), Size::new(3840, 2160)] {
        for (name, layout) in layouts {
            let desc = ImageDesc {
                size: from,
                layout,
                color: ColorSpec::BT709,
            };
            let mut buffer = pool.take(layout.bytes(from).unwrap());
            if let Layout::Tensor { .. } = layout {
                let values = buffer.samples_mut::<f32>();
                values
                    .iter_mut()
                    .enumerate()
                    .for_each(|(i, value)| *value = (i * 7 % 251) as f32 / 251.0);
            } else {
                buffer
                    .bytes_mut()
                    .iter_mut()
                    .enumerate()
                    .for_each(|(i, code)| *code = (i * 7 + i / 977) as u8);
            }
            let image = Image::host(desc, buffer.freeze()).unwrap();
            let ms = best_ms(|| drop(resize(&image, to, Filter::Lanczos3, &pool).unwrap()));
            println!("{from} -> {to} {name:<8} lanczos3 {ms:>8.1} ms");
        }
        let source = fir::images::Image::new(from.width, from.height, fir::PixelType::U8x3);
        let mut out = fir::images::Image::new(to.width, to.height, fir::PixelType::U8x3);
        let mut resizer = fir::Resizer::new();
        let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Lanczos3));
        let ms = best_ms(|| resizer.resize(&source, &mut out, &options).unwrap());
        println!("{from} -> {to} rgb24    lanczos3 {ms:>8.1} ms (fast_image_resize)");
        let source = fir::images::Image::new(from.width, from.height, fir::PixelType::F32);
        let mut out = fir::images::Image::new(to.width, to.height, fir::PixelType::F32);
        let ms = best_ms(|| (0..3).for_each(|_| resizer.resize(&source, &mut out, &options).unwrap()));
        println!("{from} -> {to} f32 rgb  lanczos3 {ms:>8.1} ms (fast_image_resize)");
    }
}
