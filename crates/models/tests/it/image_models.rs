//! An image model takes any picture and gives `scale` times its size, whatever its network needs around it.

use std::path::Path;

use kinora_models::image_model::{CHANNELS, ImageModel, PictureSize};
use kinora_models::tiling::{TileScratch, Tiling, run_tiled};
use kinora_models::{ImageModelSpec, ModelSource};
use kinora_nn::{
    Activation, BinaryOp, Conv, ConvTranspose, DType, Dim, Net, NetBuilder, Operand, Runtime, Sides, Value, Weight,
};

use crate::support::{distance, noise, on_cpu, picture, runtime, small_net};

fn model(runtime: &Runtime, net: Net, spec: &ImageModelSpec) -> ImageModel {
    ImageModel::from_net(net, Path::new("test"), spec, runtime, &on_cpu()).unwrap()
}

fn run(model: &ImageModel, x: &[f32], height: usize, width: usize) -> Vec<f32> {
    let size = PictureSize {
        batch: x.len() / (CHANNELS * height * width),
        height,
        width,
    };
    let mut y = vec![f32::NAN; model.output_len(size).unwrap()];
    model.run(x, size, &mut y).unwrap();
    y
}

fn conv(b: &mut NetBuilder, x: Value, name: &str, [out, into, k]: [usize; 3], stride: usize, pad: usize) -> Value {
    let weight = Weight::inline(name, &[out, into, k, k], noise(out * into * k * k, 0.2)).unwrap();
    let pads = Sides::all(pad);
    b.conv(
        x,
        Conv {
            pads,
            stride: [stride; 2],
            activation: Activation::Relu,
            ..Conv::new(weight, None)
        },
    )
    .unwrap()
}

/// A network that halves its picture, doubles it again and adds what it had: it takes even sizes only, and loses two
/// pixels at each side.
fn small_u_net() -> Net {
    let mut b = NetBuilder::new("u");
    let shape = [
        Dim::symbol("batch"),
        3.into(),
        Dim::symbol("height"),
        Dim::symbol("width"),
    ];
    let x = b.input("x", DType::F32, &shape).unwrap();
    let a = conv(&mut b, x, "a", [4, 3, 3], 1, 0);
    let down = conv(&mut b, a, "down", [4, 4, 2], 2, 0);
    let weight = Weight::inline("up", &[4, 4, 2, 2], noise(64, 0.2)).unwrap();
    let up = ConvTranspose {
        weight,
        bias: None,
        stride: [2, 2],
        dilation: [1, 1],
        pads: Sides::default(),
        output_padding: [0, 0],
        groups: 1,
        activation: Activation::None,
    };
    let up = b.conv_transpose(down, up).unwrap();
    let sum = b.add(a, up).unwrap();
    let y = conv(&mut b, sum, "c", [3, 4, 3], 1, 0);
    b.output("y", y).unwrap();
    b.build().unwrap()
}

#[test]
fn sizes_that_a_network_does_not_take_are_made_up_and_cut_off_again() {
    let Some(runtime) = runtime() else { return };
    let net = small_u_net();
    assert!(
        net.output_shapes(&[&[1, 3, 33, 36]]).is_err(),
        "the network itself refuses odd sizes"
    );
    let model = model(
        &runtime,
        net,
        &ImageModelSpec {
            pad: 4,
            ..Default::default()
        },
    );
    assert_eq!(model.scale(), 1);
    let (h, w) = (33, 35);
    let x = picture(3 * h * w);
    let y = run(&model, &x, h, w);
    // The same picture as a part of a larger one of even size, far from whose borders both agree.
    let (h2, w2) = (48, 48);
    let mut large = vec![0.5; 3 * h2 * w2];
    for c in 0..3 {
        for row in 0..h {
            large[(c * h2 + row) * w2..][..w].copy_from_slice(&x[(c * h + row) * w..][..w]);
        }
    }
    let want = run(&model, &large, h2, w2);
    for c in 0..3 {
        for row in 6..h - 8 {
            let (got, want) = (&y[(c * h + row) * w..][..w], &want[(c * h2 + row) * w2..][..w]);
            assert!(
                distance(&got[6..w - 8], &want[6..w - 8]) < 1e-5,
                "row {row} of channel {c}"
            );
        }
    }
}

#[test]
fn a_network_that_halves_its_picture_is_exact_in_tiles_too() {
    let Some(runtime) = runtime() else { return };
    let model = model(
        &runtime,
        small_u_net(),
        &ImageModelSpec {
            pad: 2,
            ..Default::default()
        },
    );
    assert_eq!(model.alignment(), 2);
    let radius = model.receptive_radius().unwrap();
    for (h, w) in [(54, 61), (47, 80)] {
        let x = picture(3 * h * w);
        let whole = run(&model, &x, h, w);
        let size = PictureSize {
            batch: 1,
            height: h,
            width: w,
        };
        let tiling = Tiling::square(25, 2 * radius);
        let mut tiled = vec![f32::NAN; whole.len()];
        run_tiled(&model, &x, size, &tiling, &mut TileScratch::default(), &mut tiled).unwrap();
        assert!(distance(&tiled, &whole) < 2e-6, "{w}x{h}: {}", distance(&tiled, &whole));
    }
}

#[test]
fn a_picture_of_one_pixel_is_mirrored_as_far_as_the_network_needs() {
    let Some(runtime) = runtime() else { return };
    let model = model(
        &runtime,
        small_u_net(),
        &ImageModelSpec {
            pad: 18,
            ..Default::default()
        },
    );
    for (h, w) in [(1, 1), (1, 7), (3, 2)] {
        let y = run(&model, &picture(3 * h * w), h, w);
        assert!(y.iter().all(|v| v.is_finite()), "{w}x{h}");
    }
    let flat = run(&model, &[0.25; 3], 1, 1);
    let large = run(&model, &[0.25; 3 * 40 * 40], 40, 40);
    for c in 0..3 {
        assert!(
            (flat[c] - large[c * 1600 + 20 * 40 + 20]).abs() < 1e-6,
            "one pixel is a flat picture"
        );
    }
}

#[test]
fn a_network_of_one_channel_sees_red_green_and_blue_apart() {
    let Some(runtime) = runtime() else { return };
    let model = model(&runtime, small_net(1, 2), &ImageModelSpec::default());
    assert_eq!((model.channels(), model.scale()), (1, 2));
    let gray = picture(20 * 24);
    let mut x = vec![0.0; 3 * 20 * 24];
    x[480..960].copy_from_slice(&gray);
    let y = run(&model, &x, 20, 24);
    let same = run(&model, &gray.repeat(3), 20, 24);
    assert_eq!(y[1920..3840], same[..1920], "green is as if it were alone");
    assert_ne!(y[..1920], y[1920..3840]);
}

#[test]
fn the_nearest_enlargement_is_added_where_the_spec_says_so() {
    let Some(runtime) = runtime() else { return };
    let plain = model(&runtime, small_net(3, 4), &ImageModelSpec::default());
    let residual = model(
        &runtime,
        small_net(3, 4),
        &ImageModelSpec {
            add_nearest: true,
            ..Default::default()
        },
    );
    let x = picture(2 * 3 * 5 * 6);
    let (a, b) = (run(&plain, &x, 5, 6), run(&residual, &x, 5, 6));
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        let (plane, y, column) = (i / 480, i % 480 / 24, i % 24);
        let want = a + x[plane * 30 + y / 4 * 6 + column / 4];
        assert_eq!(*b, want, "plane {plane} row {y} column {column}");
    }
}

#[test]
fn a_network_of_bytes_is_fed_bytes() {
    let Some(runtime) = runtime() else { return };
    let mut b = NetBuilder::new("bytes");
    let shape = [
        Dim::symbol("batch"),
        3.into(),
        Dim::symbol("height"),
        Dim::symbol("width"),
    ];
    let x = b.input("x", DType::U8, &shape).unwrap();
    let x = b.cast(x, DType::F32).unwrap();
    let y = b.binary(BinaryOp::Mul, x, Operand::Scalar(-1.0)).unwrap();
    let y = b.binary(BinaryOp::Add, y, Operand::Scalar(255.0)).unwrap();
    let y = b.cast(y, DType::U8).unwrap();
    b.output("y", y).unwrap();
    let model = model(&runtime, b.build().unwrap(), &ImageModelSpec::default());
    let x = picture(3 * 6 * 7);
    let y = run(&model, &x, 6, 7);
    for (x, y) in x.iter().zip(&y) {
        let byte = (x * 255.0 + 0.5).floor();
        assert!(((255.0 - byte) / 255.0 - y).abs() < 1e-6, "{x} {y}");
    }
}

#[test]
fn a_wrong_scale_padding_or_buffer_is_refused_before_anything_runs() {
    let Some(runtime) = runtime() else { return };
    let open = |spec: ImageModelSpec| ImageModel::from_net(small_u_net(), Path::new("u"), &spec, &runtime, &on_cpu());
    let error = open(ImageModelSpec {
        scale: Some(4),
        pad: 4,
        ..Default::default()
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "u is no image-to-image network: expected scale 4, as the model's description says, got scale 1"
    );
    let error = open(ImageModelSpec::default()).unwrap_err();
    assert!(error.to_string().contains("a padding of at least 2 pixels"), "{error}");
    let model = model(&runtime, small_net(3, 2), &ImageModelSpec::default());
    let size = PictureSize {
        batch: 1,
        height: 4,
        width: 4,
    };
    let short = model.run(&[0.0; 48], size, &mut [0.0; 10]).unwrap_err();
    assert_eq!(short.to_string(), "output: expected 192 values, got 10");
    let empty = model
        .run(
            &[],
            PictureSize {
                batch: 1,
                height: 0,
                width: 4,
            },
            &mut [],
        )
        .unwrap_err();
    assert_eq!(empty.code(), "model.bad-input");
}

#[test]
fn workers_run_at_once_and_agree() {
    let Some(runtime) = runtime() else { return };
    let options = kinora_nn::LoadOptions {
        workers: 3,
        threads: 1,
        ..on_cpu()
    };
    let spec = ImageModelSpec {
        pad: 1,
        ..Default::default()
    };
    let model = ImageModel::from_net(small_net(3, 2), Path::new("small"), &spec, &runtime, &options).unwrap();
    assert_eq!(model.workers(), 3);
    let x = picture(3 * 30 * 31);
    let want = run(&model, &x, 30, 31);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| (0..10).for_each(|_| assert_eq!(run(&model, &x, 30, 31), want)));
        }
    });
    model.cancel();
    let size = PictureSize {
        batch: 1,
        height: 30,
        width: 31,
    };
    let error = model.run(&x, size, &mut vec![0.0; want.len()]).unwrap_err();
    assert_eq!(error.code(), "run.cancelled");
}

#[test]
fn a_second_open_maps_what_the_first_has_made() {
    let Some(runtime) = runtime() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ncnn/srvgg_x4_fp16");
    let source = ModelSource::Ncnn {
        param: folder.join("model.param"),
        bin: folder.join("model.bin"),
    };
    let cache = tempfile::tempdir().unwrap();
    let open = || ImageModel::open(&source, &ImageModelSpec::default(), &runtime, &on_cpu(), cache.path()).unwrap();
    let first = open();
    assert!(first.report().packed_built, "{}", first.report());
    let second = open();
    assert!(
        !second.report().packed_built && second.report().memory.packed_bytes > 0,
        "{:?}",
        second.report()
    );
    let x = picture(3 * 9 * 8);
    assert_eq!(run(&first, &x, 9, 8), run(&second, &x, 9, 8));
}
