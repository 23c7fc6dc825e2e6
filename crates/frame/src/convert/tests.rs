use proptest::prelude::*;

use super::*;
use crate::{ChromaLocation, ColorModel, ColorRange, ElementType, Matrix, ValueRange};

/// A small generator of bytes, so that a failing case can be made again from its seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

fn picture(format: PixelFormat, size: Size, color: ColorSpec, seed: u64) -> Image {
    let desc = ImageDesc {
        size,
        layout: Layout::Pixels(format),
        color,
    };
    let mut bytes = noise(seed, desc.layout.bytes(size).unwrap());
    if format.sample_bytes() == 2 {
        for pair in bytes.chunks_exact_mut(2) {
            let code = u16::from_le_bytes([pair[0], pair[1]]) & format.max_code() as u16;
            pair.copy_from_slice(&code.to_le_bytes());
        }
    }
    Image::host(desc, bytes.into()).unwrap()
}

fn codes(image: &Image, plane: usize) -> Vec<f64> {
    let (bytes, _) = image.plane(plane).unwrap();
    if image.pixel_format("test").unwrap().sample_bytes() == 1 {
        bytes.iter().map(|code| f64::from(*code)).collect()
    } else {
        bytes
            .chunks_exact(2)
            .map(|pair| f64::from(u16::from_le_bytes([pair[0], pair[1]])))
            .collect()
    }
}

/// The definitions of the module written down pixel by pixel in f64.
mod reference {
    use super::*;

    fn clamped(plane: &[f64], width: usize, x: isize, y: isize) -> f64 {
        let rows = plane.len() / width;
        plane[y.clamp(0, rows as isize - 1) as usize * width + x.clamp(0, width as isize - 1) as usize]
    }

    fn chroma_at(
        plane: &[f64],
        width: usize,
        format: PixelFormat,
        location: ChromaLocation,
        x: usize,
        y: usize,
    ) -> f64 {
        let (shift_x, shift_y) = format.chroma_shift();
        let place = |at: usize, shift: u32, between: bool| match (shift, between) {
            (0, _) => at as f64,
            (_, true) => (at as f64 - 0.5) / 2.0,
            (_, false) => at as f64 / 2.0,
        };
        let px = place(x, shift_x, location == ChromaLocation::Center);
        let py = place(y, shift_y, location != ChromaLocation::TopLeft);
        let (fx, fy) = (px - px.floor(), py - py.floor());
        let (ix, iy) = (px.floor() as isize, py.floor() as isize);
        let row = |dy| clamped(plane, width, ix, iy + dy) * (1.0 - fx) + clamped(plane, width, ix + 1, iy + dy) * fx;
        row(0) * (1.0 - fy) + row(1) * fy
    }

    pub(super) fn rgb(image: &Image, x: usize, y: usize) -> [f64; 3] {
        let format = image.pixel_format("test").unwrap();
        let (width, max) = (image.size().width as usize, f64::from(format.max_code()));
        let step = f64::from(1u32 << (format.bits - 8));
        let luma = |code: f64| match image.color().range {
            ColorRange::Limited => (code / step - 16.0) / 219.0,
            ColorRange::Full => code / max,
        };
        let chroma = |code: f64| match image.color().range {
            ColorRange::Limited => (code / step - 128.0) / 224.0,
            ColorRange::Full => (code - 128.0 * step) / max,
        };
        match format.model {
            ColorModel::Rgb => {
                let channels = if format.alpha { 4 } else { 3 };
                let all = codes(image, 0);
                [0, 1, 2].map(|channel| all[(y * width + x) * channels + channel] / max)
            }
            ColorModel::Gbr => [2, 0, 1].map(|plane| codes(image, plane)[y * width + x] / max),
            ColorModel::Gray => [luma(codes(image, 0)[y * width + x]); 3],
            _ => {
                let (kr, kb) = image.color().matrix.luma_weights().unwrap();
                let value = luma(codes(image, 0)[y * width + x]);
                let columns = width.div_ceil(1 << format.chroma_shift().0);
                let [cb, cr] = [1, 2].map(|plane| {
                    chroma(chroma_at(
                        &codes(image, plane),
                        columns,
                        format,
                        image.color().chroma,
                        x,
                        y,
                    ))
                });
                let (r, b) = (value + 2.0 * (1.0 - kr) * cr, value + 2.0 * (1.0 - kb) * cb);
                [r, (value - kr * r - kb * b) / (1.0 - kr - kb), b]
            }
        }
    }

    /// Codes of every plane of a YUV picture made from RGB rows.
    pub(super) fn yuv(rgb: &[[f64; 3]], target: &ImageDesc) -> Vec<Vec<f64>> {
        let Layout::Pixels(format) = target.layout else {
            unreachable!()
        };
        let (width, height) = (target.size.width as usize, target.size.height as usize);
        let (kr, kb) = target.color.matrix.luma_weights().unwrap();
        let step = f64::from(1u32 << (format.bits - 8));
        let max = f64::from(format.max_code());
        let code = |value: f64| (value + 0.5).floor().clamp(0.0, max);
        let full: Vec<[f64; 3]> = rgb
            .iter()
            .map(|rgb| {
                let [r, g, b] = rgb.map(|value| value.clamp(0.0, 1.0));
                let luma = kr * r + (1.0 - kr - kb) * g + kb * b;
                [luma, (b - luma) / (2.0 * (1.0 - kb)), (r - luma) / (2.0 * (1.0 - kr))]
            })
            .collect();
        let limited = target.color.range == ColorRange::Limited;
        let mut planes = vec![
            full.iter()
                .map(|ycc| {
                    code(if limited {
                        (219.0 * ycc[0] + 16.0) * step
                    } else {
                        ycc[0] * max
                    })
                })
                .collect::<Vec<_>>(),
        ];
        let (shift_x, shift_y) = format.chroma_shift();
        let taps = |shift: u32, between: bool| match (shift, between) {
            (0, _) => vec![(0isize, 1.0)],
            (_, true) => vec![(0, 0.5), (1, 0.5)],
            (_, false) => vec![(-1, 0.25), (0, 0.5), (1, 0.25)],
        };
        let across = taps(shift_x, target.color.chroma == ChromaLocation::Center);
        let down = taps(shift_y, target.color.chroma != ChromaLocation::TopLeft);
        for channel in [1, 2] {
            let plane: Vec<f64> = full.iter().map(|ycc| ycc[channel]).collect();
            let mut out = Vec::new();
            for y in (0..height).step_by(1 << shift_y) {
                for x in (0..width).step_by(1 << shift_x) {
                    let sum: f64 = across
                        .iter()
                        .map(|(dx, wx)| {
                            let row = |dy: isize| clamped(&plane, width, x as isize + dx, y as isize + dy);
                            wx * down.iter().map(|(dy, wy)| wy * row(*dy)).sum::<f64>()
                        })
                        .sum();
                    out.push(code(if limited {
                        (224.0 * sum + 128.0) * step
                    } else {
                        sum * max + 128.0 * step
                    }));
                }
            }
            planes.push(out);
        }
        planes
    }
}

const YUV_MODELS: [ColorModel; 3] = [ColorModel::Yuv420, ColorModel::Yuv422, ColorModel::Yuv444];

fn any_color() -> impl Strategy<Value = ColorSpec> {
    let matrix = prop::sample::select(vec![
        Matrix::Bt601,
        Matrix::Bt709,
        Matrix::Bt2020Ncl,
        Matrix::Other(4),
        Matrix::Other(5),
        Matrix::Other(7),
    ]);
    let range = prop::sample::select(vec![ColorRange::Limited, ColorRange::Full]);
    let chroma = prop::sample::select(vec![
        ChromaLocation::Left,
        ChromaLocation::Center,
        ChromaLocation::TopLeft,
    ]);
    (matrix, range, chroma).prop_map(|(matrix, range, chroma)| ColorSpec {
        matrix,
        range,
        chroma,
        ..ColorSpec::default()
    })
}

fn any_size() -> impl Strategy<Value = Size> {
    prop_oneof![
        Just(Size::new(1, 1)),
        Just(Size::new(7, 9)),
        Just(Size::new(641, 3)),
        (1u32..40, 1u32..24).prop_map(|(width, height)| Size::new(width, height)),
    ]
}

fn any_format() -> impl Strategy<Value = PixelFormat> {
    let model = prop::sample::select(vec![
        ColorModel::Gray,
        ColorModel::Yuv420,
        ColorModel::Yuv422,
        ColorModel::Yuv444,
        ColorModel::Gbr,
        ColorModel::Rgb,
    ]);
    (model, any::<bool>(), prop::sample::select(vec![8u8, 10, 12, 16])).prop_map(|(model, alpha, bits)| PixelFormat {
        model,
        alpha,
        bits: if model == ColorModel::Rgb && bits > 8 { 16 } else { bits },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn every_format_becomes_rgb_as_defined(format in any_format(), size in any_size(), color in any_color(), seed: u64) {
        let pool = Pool::default();
        let image = picture(format, size, color, seed);
        let tensor = to_tensor(&image, &pool).unwrap();
        let values = tensor.host_buffer().unwrap().samples::<f32>();
        let (width, height) = (size.width as usize, size.height as usize);
        for (x, y) in [(0, 0), (width - 1, height - 1), (width / 2, height / 3), (width / 3, height - 1)] {
            let want = reference::rgb(&image, x, y);
            for channel in 0..3 {
                let got = f64::from(values[(channel * height + y) * width + x]);
                prop_assert!((got - want[channel]).abs() < 2e-6, "{x},{y} channel {channel}: {got}, expected {}", want[channel]);
            }
        }
    }

    #[test]
    fn rgb_becomes_every_yuv_format_as_defined(
        model in prop::sample::select(YUV_MODELS.to_vec()),
        bits in prop::sample::select(vec![8u8, 10, 12, 16]),
        size in any_size(), color in any_color(), seed: u64, threads in 1usize..5,
    ) {
        let pool = Pool::default();
        let image = picture(PixelFormat::RGB48, size, ColorSpec::SRGB, seed);
        let target = ImageDesc { size, layout: Layout::Pixels(PixelFormat { model, alpha: false, bits }), color };
        let options = ConvertOptions { threads, ..ConvertOptions::default() };
        let (width, height) = (size.width as usize, size.height as usize);
        let rgb: Vec<_> = (0..height * width).map(|at| {
            let all = codes(&image, 0);
            [0, 1, 2].map(|channel| all[at * 3 + channel] / 65535.0)
        }).collect();
        // From codes in f64, from a tensor in f32.
        let tensor = to_tensor(&image, &pool).unwrap();
        for (source, differing) in [(&image, 0), (&tensor, rgb.len() / 2 + 2)] {
            let got = convert_with(source, &target, &options, &pool).unwrap();
            for (plane, want) in reference::yuv(&rgb, &target).iter().enumerate() {
                let found = codes(&got, plane);
                prop_assert_eq!(found.len(), want.len());
                let mut off = 0;
                for (at, (found, want)) in found.iter().zip(want).enumerate() {
                    prop_assert!((found - want).abs() <= 1.0, "plane {plane} sample {at}: {found}, expected {want}");
                    off += usize::from(found != want);
                }
                prop_assert!(off <= differing, "plane {plane}: {off} samples differ");
            }
        }
    }

    #[test]
    fn bands_do_not_change_a_bit(from in any_format(), to in any_format(), size in any_size(), color in any_color(), seed: u64) {
        let pool = Pool::default();
        let image = picture(from, size, color, seed);
        let target = ImageDesc { size, layout: Layout::Pixels(to), color: ColorSpec { chroma: ChromaLocation::TopLeft, ..color } };
        let [one, many] = [1, 4].map(|threads| {
            convert_with(&image, &target, &ConvertOptions { threads, ..ConvertOptions::default() }, &pool).unwrap()
        });
        prop_assert_eq!(one.host_buffer().unwrap().bytes(), many.host_buffer().unwrap().bytes());
    }

    #[test]
    fn more_depth_and_back_gives_the_same_codes(
        model in prop::sample::select(vec![ColorModel::Gray, ColorModel::Yuv420, ColorModel::Yuv422, ColorModel::Yuv444, ColorModel::Gbr]),
        alpha: bool, size in any_size(), color in any_color(), seed: u64,
    ) {
        let pool = Pool::default();
        let low = PixelFormat { model, alpha, bits: 8 };
        let image = picture(low, size, color, seed);
        for bits in [10, 12, 16] {
            let high = to_pixels(&image, PixelFormat { bits, ..low }, color, &pool).unwrap();
            let back = to_pixels(&high, low, color, &pool).unwrap();
            prop_assert_eq!(back.host_buffer().unwrap().bytes(), image.host_buffer().unwrap().bytes());
        }
    }
}

#[test]
fn rgb_survives_a_trip_through_every_tensor_layout() {
    let pool = Pool::default();
    for format in [PixelFormat::RGB24, PixelFormat::RGBA, PixelFormat::RGBA64] {
        let image = picture(format, Size::new(37, 5), ColorSpec::SRGB, 3);
        for order in [TensorOrder::Chw, TensorOrder::Hwc] {
            for (element, range) in [
                (ElementType::F32, ValueRange::Unit),
                (ElementType::F32, ValueRange::SymmetricUnit),
                (ElementType::F32, ValueRange::Byte),
                (ElementType::F16, ValueRange::Unit),
                (ElementType::U8, ValueRange::Byte),
            ] {
                if format.bits == 16 && element != ElementType::F32 {
                    continue;
                }
                let layout = Layout::Tensor {
                    channels: if format.alpha { 4 } else { 3 },
                    element,
                    order,
                    range,
                };
                let tensor = convert(
                    &image,
                    &ImageDesc {
                        layout,
                        ..*image.desc()
                    },
                    &pool,
                )
                .unwrap();
                let back = convert(&tensor, image.desc(), &pool).unwrap();
                assert_eq!(
                    back.host_buffer().unwrap().bytes(),
                    image.host_buffer().unwrap().bytes(),
                    "{layout}"
                );
            }
        }
    }
}

#[test]
fn a_value_range_is_what_its_name_says() {
    let pool = Pool::default();
    let image = Image::host(
        ImageDesc {
            size: Size::new(2, 1),
            layout: Layout::Pixels(PixelFormat::RGB24),
            color: ColorSpec::SRGB,
        },
        vec![0, 0, 0, 255, 255, 255].into(),
    )
    .unwrap();
    for (range, black, white) in [
        (ValueRange::Unit, 0.0, 1.0),
        (ValueRange::SymmetricUnit, -1.0, 1.0),
        (ValueRange::Byte, 0.0, 255.0),
    ] {
        let layout = Layout::Tensor {
            channels: 3,
            element: ElementType::F32,
            order: TensorOrder::Chw,
            range,
        };
        let tensor = convert(
            &image,
            &ImageDesc {
                layout,
                ..*image.desc()
            },
            &pool,
        )
        .unwrap();
        assert_eq!(tensor.host_buffer().unwrap().samples::<f32>()[..2], [black, white]);
    }
}

#[test]
fn opacity_is_kept_dropped_or_made_opaque() {
    let pool = Pool::default();
    let size = Size::new(9, 7);
    let yuva: PixelFormat = "yuva420p".parse().unwrap();
    let image = picture(PixelFormat::RGBA, size, ColorSpec::SRGB, 1);
    let there = to_pixels(&image, yuva, ColorSpec::BT709, &pool).unwrap();
    let opacity = alpha_plane(&image, &pool).unwrap().unwrap();
    assert_eq!(codes(&there, 3), codes(&opacity, 0));
    let plain = to_pixels(&image, PixelFormat::YUV420P, ColorSpec::BT709, &pool).unwrap();
    assert!(alpha_plane(&plain, &pool).unwrap().is_none());
    let again = to_pixels(&plain, yuva, ColorSpec::BT709, &pool).unwrap();
    assert!(codes(&again, 3).iter().all(|code| *code == 255.0));
    let joined = with_alpha(&plain, &opacity, &pool).unwrap();
    assert_eq!(codes(&joined, 3), codes(&opacity, 0));
    let opaque = to_pixels(&image, PixelFormat::RGB24, ColorSpec::SRGB, &pool).unwrap();
    let rebuilt = with_alpha(&opaque, &opacity, &pool).unwrap();
    assert_eq!(
        rebuilt.host_buffer().unwrap().bytes(),
        image.host_buffer().unwrap().bytes()
    );
}

#[test]
fn codes_outside_the_range_survive_while_the_matrix_stays() {
    let pool = Pool::default();
    let desc = ImageDesc {
        size: Size::new(2, 2),
        layout: Layout::Pixels(PixelFormat::YUV420P),
        color: ColorSpec::BT709,
    };
    let image = Image::host(desc, vec![0, 255, 10, 250, 3, 254].into()).unwrap();
    let deep = to_pixels(&image, PixelFormat::YUV420P10, ColorSpec::BT709, &pool).unwrap();
    assert_eq!(codes(&deep, 0), [0.0, 1020.0, 40.0, 1000.0]);
    assert_eq!(codes(&deep, 1), [12.0]);
    let tensor = to_tensor(&image, &pool).unwrap();
    assert!(
        tensor
            .host_buffer()
            .unwrap()
            .samples::<f32>()
            .iter()
            .any(|value| *value > 1.0)
    );
    let options = ConvertOptions {
        clamp: true,
        ..ConvertOptions::default()
    };
    let clamped = convert_with(&image, tensor.desc(), &options, &pool).unwrap();
    let values = clamped.host_buffer().unwrap();
    assert!(values.samples::<f32>().iter().all(|value| (0.0..=1.0).contains(value)));
}

#[test]
fn a_nan_becomes_black_and_never_a_panic() {
    let pool = Pool::default();
    let desc = ImageDesc {
        size: Size::new(1, 1),
        layout: Layout::RGB_F32,
        color: ColorSpec::SRGB,
    };
    let mut buffer = pool.take(12);
    buffer
        .samples_mut::<f32>()
        .copy_from_slice(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
    let image = Image::host(desc, buffer.freeze()).unwrap();
    let pixels = to_pixels(&image, PixelFormat::RGB24, ColorSpec::SRGB, &pool).unwrap();
    assert_eq!(pixels.host_buffer().unwrap().bytes(), [0, 255, 0]);
}

#[test]
fn what_cannot_be_converted_is_refused_by_name() {
    let pool = Pool::default();
    let image = picture(PixelFormat::YUV420P, Size::new(4, 4), ColorSpec::SRGB, 1);
    let error = to_tensor(&image, &pool).unwrap_err();
    assert!(matches!(error, FrameError::BadParameter { .. }), "{error}");
    assert!(error.to_string().contains("bt709"), "{error}");
    let image = picture(PixelFormat::RGB24, Size::new(4, 4), ColorSpec::SRGB, 1);
    let other = ImageDesc {
        size: Size::new(8, 8),
        ..*image.desc()
    };
    assert!(convert(&image, &other, &pool).is_err());
    let two = Layout::Tensor {
        channels: 2,
        element: ElementType::F32,
        order: TensorOrder::Chw,
        range: ValueRange::Unit,
    };
    assert!(matches!(
        convert(
            &image,
            &ImageDesc {
                layout: two,
                ..*image.desc()
            },
            &pool
        ),
        Err(FrameError::WrongLayout { .. })
    ));
}

#[test]
fn the_frame_path_takes_no_new_memory_after_the_first_frame() {
    let pool = Pool::default();
    let image = picture(PixelFormat::YUV420P, Size::new(64, 36), ColorSpec::BT709, 1);
    for _ in 0..3 {
        let tensor = to_tensor(&image, &pool).unwrap();
        drop(to_pixels(&tensor, PixelFormat::YUV420P10, ColorSpec::BT709, &pool).unwrap());
    }
    let first = pool.stats().allocated;
    for _ in 0..20 {
        let tensor = to_tensor(&image, &pool).unwrap();
        drop(to_pixels(&tensor, PixelFormat::YUV420P10, ColorSpec::BT709, &pool).unwrap());
    }
    assert_eq!(pool.stats().allocated, first);
}
