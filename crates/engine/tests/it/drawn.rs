//! Clips of 24 frames that a test draws, each a trap for a duplicate test.

use kinora_frame::{ColorSpec, Image, ImageDesc, Layout, PixelFormat, Size};

pub(crate) const FRAMES: usize = 24;
pub(crate) const SIZE: Size = Size::new(640, 360);

/// A colour at a place: Y, U, V (or G, B, R) and opacity in levels of 8 bits, not yet rounded.
pub(crate) type Picture<'a> = &'a dyn Fn(f64, f64) -> [f64; 4];

/// A face of soft shapes on a ground with a fine pattern.
pub(crate) fn scene(x: f64, y: f64) -> [f64; 4] {
    let (dx, dy) = ((x - 320.0) / 110.0, (y - 180.0) / 130.0);
    let face = 1.0 / (1.0 + (8.0 * (dx * dx + dy * dy - 1.0)).exp());
    let ground = 90.0 + 35.0 * (x / 37.0).sin() + 25.0 * (y / 29.0).cos() + 6.0 * (x / 3.0 + y / 5.0).sin();
    let skin = 165.0 + 20.0 * (x / 50.0).cos();
    [
        ground + face * (skin - ground),
        128.0 + 20.0 * (y / 61.0).sin() - 14.0 * face,
        128.0 + 15.0 * (x / 83.0).cos() + 22.0 * face,
        200.0 + 40.0 * (x / 91.0).sin(),
    ]
}

/// Rounds a picture into an image. `noise` is added before rounding, an independent number a sample.
pub(crate) fn draw(size: Size, format: PixelFormat, picture: Picture<'_>, mut noise: impl FnMut() -> f64) -> Image {
    let desc = ImageDesc {
        size,
        layout: Layout::Pixels(format),
        color: ColorSpec::BT709,
    };
    let channels = format.plane(size, 0).unwrap().row_samples / size.width as usize;
    let scale = f64::from(1u32 << (format.bits - 8));
    let mut codes = Vec::new();
    for plane in 0..format.planes() {
        let layout = format.plane(size, plane).unwrap();
        // The last plane of a format with opacity is the opacity.
        let first = if format.alpha && plane == format.planes() - 1 {
            3
        } else {
            plane
        };
        let (wide, high) = (layout.row_samples / channels, layout.rows);
        let step = (
            f64::from(size.width) / wide as f64,
            f64::from(size.height) / high as f64,
        );
        for y in 0..high {
            for x in 0..wide {
                let color = picture(x as f64 * step.0, y as f64 * step.1);
                for channel in 0..channels {
                    let value = if channels == 1 { color[first] } else { color[channel] };
                    // Halves go to the even code, as in NumPy.
                    let code = ((value + noise()) * scale).round_ties_even();
                    codes.push(code.clamp(0.0, f64::from(format.max_code())) as u16);
                }
            }
        }
    }
    let bytes: Vec<u8> = match format.sample_bytes() {
        1 => codes.iter().map(|&code| code as u8).collect(),
        _ => codes.iter().flat_map(|code| code.to_le_bytes()).collect(),
    };
    Image::host(desc, bytes.into()).unwrap()
}

pub(crate) fn still() -> f64 {
    0.0
}

/// Gaussian numbers of a standard deviation, the same ones for the same seed.
pub(crate) fn gaussian(sigma: f64, seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    move || sigma * (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
}

/// A clip of 640x360 in yuv420p: what each frame shows.
pub(crate) fn clip(frame: impl Fn(usize) -> Image) -> Vec<Image> {
    (0..FRAMES).map(frame).collect()
}

fn plain(picture: Picture<'_>) -> Image {
    draw(SIZE, PixelFormat::YUV420P, picture, still)
}

/// The scene as 8-bit levels: what a fade or a noise is added to.
fn rounded(x: f64, y: f64) -> [f64; 4] {
    scene(x, y).map(f64::round)
}

pub(crate) fn identical() -> Vec<Image> {
    clip(|_| plain(&scene))
}

pub(crate) fn noisy(sigma: f64) -> Vec<Image> {
    clip(|at| draw(SIZE, PixelFormat::YUV420P, &rounded, gaussian(sigma, at as u64 + 1)))
}

/// A mouth of 12x6 pixels, dark by as much as it is open; no two frames are equal.
pub(crate) fn mouth() -> Vec<Image> {
    clip(|at| {
        let dark = if at % 2 == 0 { at as f64 } else { 100.0 + at as f64 };
        plain(&|x, y| {
            let [luma, rest @ ..] = rounded(x, y);
            let is_mouth = (315.0..327.0).contains(&x) && (230.0..236.0).contains(&y);
            let [u, v, a] = rest;
            [if is_mouth { luma - dark } else { luma }, u, v, a]
        })
    })
}

pub(crate) fn fade_from_black() -> Vec<Image> {
    clip(|at| {
        let share = at as f64 / (FRAMES - 1) as f64;
        plain(&|x, y| {
            let [luma, u, v, a] = scene(x, y);
            let toward = |black: f64, value: f64| black + share * (value - black);
            [toward(16.0, luma), toward(128.0, u), toward(128.0, v), a]
        })
    })
}

pub(crate) fn slow_fade() -> Vec<Image> {
    clip(|at| {
        plain(&|x, y| {
            let [luma, u, v, a] = rounded(x, y);
            [luma + 0.5 * at as f64, u, v, a]
        })
    })
}

pub(crate) fn pan(pixels_a_frame: f64) -> Vec<Image> {
    clip(|at| plain(&|x, y| scene(x + pixels_a_frame * at as f64, y)))
}

pub(crate) fn flash() -> Vec<Image> {
    clip(|at| {
        plain(&|_, _| {
            if at % 2 == 0 {
                [16.0, 128.0, 128.0, 255.0]
            } else {
                [235.0, 128.0, 128.0, 255.0]
            }
        })
    })
}
