//! What counts as a duplicate: no more than was asked for, and the error of each within its bound.

use std::sync::{Arc, atomic::Ordering};

use kinora_engine::{Control, Decision, Dedupe, DedupeMode, DedupeWindow, NEAR_MAX_RUN, NearLimits, OfflineJob};
use kinora_frame::{ColorModel, ColorSpec, Image, PixelFormat, Size};
use kinora_pipeline::DependsOn;

use crate::{
    drawn::{
        FRAMES, Picture, draw, fade_from_black, flash, gaussian, identical, mouth, noisy, pan, scene, slow_fade, still,
    },
    fakes::{Closure, Seen, job, run, source},
};

const WINDOW: DedupeWindow = DedupeWindow { frames: 32 };
/// The frame before only.
const PREVIOUS: DedupeWindow = DedupeWindow { frames: 1 };

fn near() -> DedupeMode {
    DedupeMode::Near(NearLimits::default())
}

/// For each frame, the one whose result it shows.
fn shown(mode: DedupeMode, window: DedupeWindow, clip: &[Image]) -> Vec<usize> {
    let mut dedupe = Dedupe::new(mode, window);
    let decide = |(at, image): (usize, &Image)| match dedupe.decide(at as u64, image).unwrap() {
        Decision::Process => at,
        Decision::SameAs(index) => index as usize,
    };
    clip.iter().enumerate().map(decide).collect()
}

fn kept(shown: &[usize]) -> usize {
    shown.iter().enumerate().filter(|(at, shows)| at == *shows).count()
}

/// Levels of 8 bits that two pictures are apart.
#[derive(Clone, Copy, Debug, Default)]
struct Apart {
    /// Mean of the worst channel.
    mean: f64,
    /// Mean of the worst block of up to 8x8 samples.
    block: f64,
}

/// Measured sample by sample, by no code of the engine.
fn apart(a: &Image, b: &Image) -> Apart {
    let format = a.pixel_format("test").unwrap();
    let scale = f64::from(1u32 << (format.bits - 8));
    let mut found = Apart::default();
    for plane in 0..format.planes() {
        let ((a, layout), (b, _)) = (a.plane(plane).unwrap(), b.plane(plane).unwrap());
        let codes = |bytes: &[u8]| -> Vec<f64> {
            match format.sample_bytes() {
                1 => bytes.iter().map(|&v| f64::from(v)).collect(),
                _ => bytes
                    .chunks(2)
                    .map(|v| f64::from(u16::from_le_bytes([v[0], v[1]])))
                    .collect(),
            }
        };
        let (a, b) = (codes(a), codes(b));
        let channels = match format.model {
            ColorModel::Rgb => 3 + usize::from(format.alpha),
            _ => 1,
        };
        let (wide, high) = (layout.row_samples / channels, layout.rows);
        for channel in 0..channels {
            let at = |x: usize, y: usize| {
                let at = (y * wide + x) * channels + channel;
                (a[at] - b[at]).abs() / scale
            };
            let mean_of = |x: usize, y: usize, right: usize, bottom: usize| {
                let sum: f64 = (y..bottom)
                    .flat_map(|y| (x..right).map(move |x| (x, y)))
                    .map(|(x, y)| at(x, y))
                    .sum();
                sum / ((right - x) * (bottom - y)) as f64
            };
            found.mean = found.mean.max(mean_of(0, 0, wide, high));
            for y in (0..high).step_by(8) {
                for x in (0..wide).step_by(8) {
                    // The last block is as large as it can be, not what is left over.
                    let (x, y) = (x.min(wide.saturating_sub(8)), y.min(high.saturating_sub(8)));
                    let block = mean_of(x, y, (x + 8).min(wide), (y + 8).min(high));
                    found.block = found.block.max(block);
                }
            }
        }
    }
    found
}

/// The largest error of any frame against the one that it shows.
fn worst(shown: &[usize], clip: &[Image]) -> Apart {
    let errors = shown
        .iter()
        .enumerate()
        .map(|(at, &shows)| apart(&clip[shows], &clip[at]));
    errors.fold(Apart::default(), |worst, error| Apart {
        mean: worst.mean.max(error.mean),
        block: worst.block.max(error.block),
    })
}

/// Frames that near and exact keep of a clip, with the bounds of both asserted.
fn keeps(clip: &[Image]) -> (usize, usize) {
    let exact = shown(DedupeMode::Exact, PREVIOUS, clip);
    let error = worst(&exact, clip);
    assert_eq!((error.mean, error.block), (0.0, 0.0), "exact means exact");
    let near = shown(near(), WINDOW, clip);
    let error = worst(&near, clip);
    // 98 of 100 blocks at most 1 level, the others at most 3.
    assert!(
        error.mean <= 0.98 + 0.02 * 3.0 && error.block <= 3.0 + 8.0 / 64.0,
        "{error:?}"
    );
    assert!(
        near.iter()
            .zip(0..)
            .all(|(&shows, at)| shows <= at && near[shows] == shows)
    );
    (kept(&exact), kept(&near))
}

#[test]
fn identical_frames_are_one() {
    assert_eq!(keeps(&identical()), (1, 1));
}

#[test]
fn faint_noise_is_near_and_visible_noise_is_not() {
    assert_eq!(keeps(&noisy(0.7)), (24, 1));
    assert_eq!(keeps(&noisy(1.5)), (24, 24));
}

#[test]
fn a_mouth_that_opens_and_closes_is_kept() {
    assert_eq!(keeps(&mouth()), (24, 24));
}

#[test]
fn a_fade_from_black_is_kept() {
    assert_eq!(keeps(&fade_from_black()), (24, 24));
}

#[test]
fn a_slow_fade_is_followed_and_its_error_does_not_add_up() {
    // Half a level a frame: every other one is more than a level away. (Halves go to the even code, so a flat part moves
    // by a whole level at a time.)
    assert_eq!(keeps(&slow_fade()), (24, 12));
}

#[test]
fn a_pan_is_followed_as_slowly_as_it_is() {
    assert_eq!(keeps(&pan(0.1)), (24, 6));
    assert_eq!(keeps(&pan(1.0)), (24, 24));
}

#[test]
fn black_and_white_are_never_the_same() {
    let clip = flash();
    assert_eq!(keeps(&clip), (24, 24));
    // Equal pixels do give equal results: the window finds both again. A near test begins anew at each cut.
    assert_eq!(kept(&shown(DedupeMode::Exact, WINDOW, &clip)), 2);
}

#[test]
fn a_cut_forgets_what_was_before_it_and_a_small_change_does_not() {
    let grey = |level: f64| {
        draw(
            Size::new(64, 36),
            PixelFormat::YUV420P,
            &|_, _| [level, 128.0, 128.0, 0.0],
            still,
        )
    };
    let clip = [40.0, 45.0, 40.0, 120.0, 40.0].map(grey);
    assert_eq!(shown(near(), WINDOW, &clip), [0, 1, 0, 3, 4]);
    assert_eq!(shown(DedupeMode::Exact, WINDOW, &clip), [0, 1, 0, 3, 0]);
}

#[test]
fn a_frame_stands_for_at_most_48_others_that_are_not_the_same() {
    let of = |noise: bool, count: usize| -> Vec<Image> {
        let size = Size::new(16, 16);
        (0..count)
            .map(|at| {
                draw(
                    size,
                    PixelFormat::GRAY8,
                    &scene,
                    gaussian(if noise { 0.4 } else { 0.0 }, at as u64),
                )
            })
            .collect()
    };
    let run = NEAR_MAX_RUN as usize;
    let noisy = shown(near(), WINDOW, &of(true, 2 * run + 4));
    assert_eq!(noisy[run], 0);
    assert_eq!(noisy[run + 1], run + 1, "one is processed anyway");
    assert_eq!(noisy[2 * run + 2..], [2 * run + 2, 2 * run + 2]);
    // What is the same needs no second look, however long it stays.
    assert_eq!(kept(&shown(near(), WINDOW, &of(false, 3 * run))), 1);
}

/// Changes a corner of every channel beyond the limits, and the whole picture within them.
fn is_tested_to_its_last_sample(format: PixelFormat, size: Size) {
    let base = draw(size, format, &scene, still);
    let (right, bottom) = (f64::from(size.width) - 5.0, f64::from(size.height) - 5.0);
    let opacity = format.alpha.then_some(3);
    for channel in (0..format.color_channels()).chain(opacity) {
        for (left, top) in [(true, true), (true, false), (false, true), (false, false)] {
            let changed: Picture<'_> = &|x, y| {
                let mut color = scene(x, y);
                let (beside, above) = (
                    if left { x < 4.0 } else { x > right },
                    if top { y < 4.0 } else { y > bottom },
                );
                if beside && above {
                    color[channel] += if color[channel] > 128.0 { -120.0 } else { 120.0 };
                }
                color
            };
            let far = draw(size, format, changed, still);
            assert_eq!(
                shown(near(), WINDOW, &[base.clone(), base.clone(), far.clone(), far]),
                [0, 0, 2, 2],
                "{format} {size} channel {channel} left {left} top {top}"
            );
        }
    }
    let brighter = |by: f64| draw(size, format, &|x, y| scene(x, y).map(|value| value + by), still);
    let clip = [base, brighter(1.0), brighter(2.0)];
    assert_eq!(shown(near(), WINDOW, &clip), [0, 0, 2], "{format} {size}");
}

#[test]
fn every_format_is_tested_to_its_last_sample() {
    for name in [
        "yuv420p",
        "yuv422p",
        "yuv420p10",
        "yuva420p",
        "yuva444p12",
        "gray",
        "gray16",
        "ya8",
        "rgb24",
        "rgba",
        "rgba64",
        "gbrp",
        "gbrap10",
    ] {
        for (width, height) in [(1, 1), (7, 9), (9, 7), (17, 4)] {
            is_tested_to_its_last_sample(name.parse().unwrap(), Size::new(width, height));
        }
    }
}

#[test]
fn a_large_odd_picture_is_tested_to_its_last_sample() {
    for format in [PixelFormat::YUV420P, PixelFormat::RGB24] {
        is_tested_to_its_last_sample(format, Size::new(641, 361));
    }
}

#[test]
fn another_size_format_or_colour_is_another_frame() {
    let picture = |size, format| draw(size, format, &|_, _| [64.0, 64.0, 64.0, 64.0], still);
    let base = picture(Size::new(8, 4), PixelFormat::GRAY8);
    let clip = [
        base.clone(),
        picture(Size::new(4, 8), PixelFormat::GRAY8),
        picture(Size::new(8, 4), PixelFormat::YUV444P),
        base.clone().with_color(ColorSpec::SRGB),
        base,
    ];
    for mode in [DedupeMode::Exact, near()] {
        assert_eq!(shown(mode, WINDOW, &clip), [0, 1, 2, 3, 0]);
    }
}

#[test]
fn wider_limits_keep_fewer_frames() {
    let clip = slow_fade();
    let of = |hi, lo, frac| {
        kept(&shown(
            DedupeMode::Near(NearLimits::new(hi, lo, frac).unwrap()),
            WINDOW,
            &clip,
        ))
    };
    assert_eq!(of(0, 0, 0.0), 24, "no difference at all is what exact finds");
    assert!(of(400, 256, 0.02) < of(192, 64, 0.02));
    assert_eq!(of(NearLimits::MAX_SUM, NearLimits::MAX_SUM, 1.0), 1, "within one scene");
    // Half of the blocks at 1.5 levels.
    let half = |level: f64| {
        draw(
            Size::new(64, 64),
            PixelFormat::GRAY8,
            &|x, _| [if x < 30.0 { 100.0 } else { 100.0 + level }; 4],
            still,
        )
    };
    let limits = |frac| DedupeMode::Near(NearLimits::new(192, 64, frac).unwrap());
    assert_eq!(shown(limits(0.2), WINDOW, &[half(0.0), half(2.0)]), [0, 1]);
    assert_eq!(shown(limits(0.6), WINDOW, &[half(0.0), half(2.0)]), [0, 0]);
}

#[test]
fn the_decision_depends_on_nothing_but_the_frames() {
    let clip = noisy(0.7);
    assert_eq!(shown(near(), WINDOW, &clip), shown(near(), WINDOW, &clip));
    let alone = shown(near(), WINDOW, &clip[7..]);
    assert!(
        alone.iter().all(|&shows| shows == 0),
        "a clip that begins later has its own reference"
    );
}

#[test]
fn near_duplicates_show_the_result_of_their_reference_at_either_end_of_a_clip() {
    let doubles = || Closure::new(|_, value| Ok(Some(value.wrapping_mul(2))));
    for (values, expected, calls) in [
        (vec![10, 11, 11, 20], vec![20, 20, 20, 40], 2),
        (vec![10, 20, 21, 19, 20], vec![20, 40, 40, 40, 40], 2),
        (vec![10, 12, 11, 10], vec![20, 24, 24, 20], 2),
        (vec![10], vec![20], 1),
        (vec![10, 11], vec![20, 20], 1),
    ] {
        let processor = doubles();
        let called = Arc::clone(&processor.calls);
        let job = OfflineJob {
            dedupe: near(),
            ..job(processor)
        };
        let seen = Seen::default();
        let report = run(&job, source(values.clone()), &seen, &Control::default()).unwrap();
        assert_eq!(seen.values(), expected, "{values:?}");
        assert_eq!(called.load(Ordering::SeqCst), calls, "{values:?}");
        assert_eq!(report.duplicates, values.len() as u64 - calls);
        assert_eq!(report.dedupe, near());
    }
}

#[test]
fn near_duplicates_are_off_where_an_output_depends_on_more_than_pixels() {
    for depends_on in [DependsOn::Time, DependsOn::History] {
        let mut grain = Closure::new(|index, value| Ok(Some(value.wrapping_add(index as u8))));
        grain.descriptor.depends_on = depends_on;
        let job = OfflineJob {
            dedupe: near(),
            ..job(grain)
        };
        let seen = Seen::default();
        let report = run(&job, source([3; FRAMES]), &seen, &Control::default()).unwrap();
        assert_eq!((report.duplicates, report.dedupe), (0, DedupeMode::Off));
        assert_eq!(seen.values(), (3..3 + FRAMES as u8).collect::<Vec<_>>());
    }
}
