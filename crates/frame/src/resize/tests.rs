use super::*;
use crate::ColorSpec;

fn gray(size: Size, code: impl Fn(u32, u32) -> u8) -> Image {
    let bytes: Vec<u8> = (0..size.height)
        .flat_map(|y| (0..size.width).map(move |x| (x, y)))
        .map(|(x, y)| code(x, y))
        .collect();
    let desc = ImageDesc {
        size,
        layout: Layout::Pixels(PixelFormat::GRAY8),
        color: ColorSpec::SRGB,
    };
    Image::host(desc, bytes.into()).unwrap()
}

const FILTERS: [Filter; 6] = [
    Filter::Box,
    Filter::Bilinear,
    Filter::Hamming,
    Filter::Bicubic,
    Filter::Lanczos3,
    Filter::Mitchell,
];

#[test]
fn a_flat_picture_stays_flat_under_every_method_and_format() {
    let pool = Pool::default();
    let methods = FILTERS.map(Resample::Filter).into_iter().chain([
        Resample::Nearest,
        Resample::NearestExact,
        Resample::Linear,
        Resample::LinearCorners,
        Resample::Cubic,
        Resample::Area,
        Resample::OpenCvArea,
        Resample::Lanczos4,
    ]);
    for method in methods {
        for name in [
            "gray",
            "yuv420p",
            "yuv422p10",
            "yuva444p16",
            "rgb24",
            "rgba64",
            "gbrp12",
        ] {
            let format: PixelFormat = name.parse().unwrap();
            for (from, to) in [
                ((1, 1), (5, 3)),
                ((7, 9), (20, 4)),
                ((31, 17), (8, 8)),
                ((8, 8), (1, 1)),
            ] {
                let size = Size::new(from.0, from.1);
                let desc = ImageDesc {
                    size,
                    layout: Layout::Pixels(format),
                    color: ColorSpec::BT709,
                };
                let code = format.max_code() as u16 - 3;
                let sample = &code.to_le_bytes()[..format.sample_bytes()];
                let bytes = sample.repeat(desc.layout.bytes(size).unwrap() / sample.len());
                let image = Image::host(desc, bytes.into()).unwrap();
                let out = resize(&image, Size::new(to.0, to.1), method, &pool).unwrap();
                let bytes = out.host_buffer().unwrap().bytes();
                assert!(
                    bytes.chunks_exact(sample.len()).all(|found| found == sample),
                    "{method:?} {name} {from:?} {to:?}"
                );
            }
        }
    }
}

#[test]
fn chroma_keeps_its_place_beside_the_luma_for_every_siting() {
    // A ramp across: after resizing, luma and chroma must still describe the same ramp.
    let pool = Pool::default();
    for chroma in [ChromaLocation::Left, ChromaLocation::Center, ChromaLocation::TopLeft] {
        let (from, to) = (Size::new(64, 4), Size::new(160, 10));
        let place = |column: f64| {
            if chroma == ChromaLocation::Center {
                2.0 * column + 1.0
            } else {
                2.0 * column + 0.5
            }
        };
        let desc = ImageDesc {
            size: from,
            layout: Layout::Pixels(PixelFormat {
                bits: 16,
                ..PixelFormat::YUV420P
            }),
            color: ColorSpec {
                chroma,
                ..ColorSpec::BT709
            },
        };
        let row = |width: u32, place: &dyn Fn(f64) -> f64| -> Vec<u8> {
            (0..width)
                .flat_map(|x| ((place(f64::from(x)) * 1000.0) as u16).to_le_bytes())
                .collect()
        };
        let mut bytes = row(64, &|x| x + 0.5).repeat(4);
        bytes.extend(row(32, &place).repeat(4));
        let out = resize(&Image::host(desc, bytes.into()).unwrap(), to, Filter::Bilinear, &pool).unwrap();
        let (luma, _) = out.plane(0).unwrap();
        let (u, layout) = out.plane(1).unwrap();
        let at = |bytes: &[u8], x: usize| f64::from(u16::from_le_bytes([bytes[2 * x], bytes[2 * x + 1]]));
        for x in 8..layout.row_samples - 8 {
            let want = place(x as f64) * 400.0;
            assert!(
                (at(u, x) - want).abs() < 2.0,
                "{chroma:?} column {x}: {}, expected {want}",
                at(u, x)
            );
            assert!((at(luma, x) - (x as f64 + 0.5) * 400.0).abs() < 2.0);
        }
    }
}

#[test]
fn an_enlargement_by_nearest_repeats_pixels() {
    let pool = Pool::default();
    let image = gray(Size::new(3, 2), |x, y| (10 * x + 100 * y) as u8);
    let out = resize(&image, Size::new(6, 4), Resample::Nearest, &pool).unwrap();
    let row = [0u8, 0, 10, 10, 20, 20];
    let bytes = out.host_buffer().unwrap().bytes();
    assert_eq!(bytes[..12], [row, row].concat()[..]);
    assert_eq!(bytes[12..18], row.map(|code| code + 100));
}

#[test]
fn overshoot_is_clamped_in_codes() {
    let pool = Pool::default();
    let image = gray(Size::new(16, 1), |x, _| if x < 8 { 0 } else { 255 });
    let out = resize(&image, Size::new(64, 1), Filter::Lanczos3, &pool).unwrap();
    let bytes = out.host_buffer().unwrap().bytes();
    assert!(bytes.windows(2).all(|pair| pair[1] >= pair[0].saturating_sub(40)));
    assert_eq!((bytes[0], bytes[63]), (0, 255));
}

#[test]
fn a_size_that_cannot_be_is_refused() {
    let pool = Pool::default();
    let image = gray(Size::new(3, 2), |_, _| 0);
    assert!(matches!(
        resize(&image, Size::new(0, 4), Filter::Box, &pool),
        Err(FrameError::BadSize { .. })
    ));
    assert!(contain(Size::new(0, 1), Size::new(4, 4)).is_err());
    let mut out = [0u8; 3];
    assert!(
        resize_samples(
            &[0u8; 4],
            Size::new(2, 2),
            1,
            &mut out,
            Size::new(2, 2),
            Filter::Box,
            &pool
        )
        .is_err()
    );
}
