//! Prints milliseconds a frame of the duplicate test at 1080p, the median of many frames on one thread.
//!
//! `cargo run --profile ci -p kinora-engine --example dedupe_speed`
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used)]

use std::time::Instant;

use kinora_engine::{Decision, Dedupe, DedupeMode, DedupeWindow, NearLimits};
use kinora_frame::{ColorSpec, Image, ImageDesc, Layout, PixelFormat, Size};

const FRAMES: u32 = 120;

/// A busy picture; `noise` moves every seventh code by one, `moved` moves each picture's codes by so many.
fn frame(format: PixelFormat, number: u32, noise: bool, moved: u32) -> Image {
    let desc = ImageDesc {
        size: Size::new(1920, 1080),
        layout: Layout::Pixels(format),
        color: ColorSpec::BT709,
    };
    let step = format.sample_bytes();
    let bytes: Vec<u8> = (0..desc.layout.bytes(desc.size).unwrap())
        .map(|at| {
            let (sample, is_high) = ((at / step) as u32, at % step == 1);
            let noise = u32::from(noise && sample.wrapping_mul(2_654_435_761).wrapping_add(number) % 7 == 0);
            let code = (sample / 977 + sample * 7 % 13 + number * moved) % 200 + 20 + noise;
            let code = code << (format.bits - 8);
            if is_high { (code >> 8) as u8 } else { code as u8 }
        })
        .collect();
    Image::host(desc, bytes.into()).unwrap()
}

fn main() {
    let exact = DedupeMode::Exact;
    let near = DedupeMode::Near(NearLimits::default());
    let formats = [PixelFormat::YUV420P, PixelFormat::YUV420P10, PixelFormat::RGB24];
    println!(
        "{:<14}{:<8}{:<22}{:>8}{:>12}",
        "format", "mode", "frames", "kept", "ms a frame"
    );
    for format in formats {
        for (mode, what, noise, moved) in [
            (exact, "the same", false, 0),
            (exact, "all different", false, 31),
            (near, "the same", false, 0),
            (near, "the same and noise", true, 0),
            (near, "brighter by 8", false, 8),
            (near, "all different", false, 31),
        ] {
            let frames: Vec<Image> = (0..8).map(|number| frame(format, number, noise, moved)).collect();
            let mut dedupe = Dedupe::new(mode, DedupeWindow { frames: 4 });
            let mut kept = 0;
            let mut ms: Vec<f64> = (0..FRAMES)
                .map(|number| {
                    let frame = &frames[number as usize % frames.len()];
                    let start = Instant::now();
                    let decision = dedupe.decide(u64::from(number), frame).unwrap();
                    let ms = start.elapsed().as_secs_f64() * 1e3;
                    kept += u32::from(decision == Decision::Process);
                    ms
                })
                .collect();
            ms.sort_by(f64::total_cmp);
            let mode = mode.to_string();
            let name = mode.split('=').next().unwrap_or_default();
            let format = format.to_string();
            println!("{format:<14}{name:<8}{what:<22}{kept:>8}{:>9.2} ms", ms[ms.len() / 2]);
        }
    }
}
