//! OpenVINO computes in the precision that was asked for, proved by a probe, with every node on it. The library is
//! another one than the plain runtime, so each test is a process of its own; `ORT_OPENVINO_DYLIB_PATH` names it.

use kinora_nn::{
    Activation, Conv, DeviceChoice, Executable, LoadOptions, OnnxFile, Precision, Runtime, Sides, TensorView, Weight,
    WeightsMode,
};

use crate::support::{alone, conv_net, distance, library, net, noise, on_cpu, run};

fn openvino() -> Option<Runtime> {
    library("ORT_OPENVINO_DYLIB_PATH", "runtime/onnxruntime-openvino")
}

fn options(precision: Precision) -> LoadOptions {
    LoadOptions {
        device: DeviceChoice::OpenVino,
        precision,
        ..on_cpu()
    }
}

/// Whether this CPU multiplies bf16.
fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[test]
fn f32_is_f32_and_bf16_is_bf16() {
    alone("openvino::f32_is_f32_and_bf16_is_bf16", || {
        let Some(runtime) = openvino() else { return };
        let network = conv_net(32, 6);
        let shape = [1, 3, 40, 56];
        let x = noise(3 * 40 * 56, 0.5);
        let want = run(
            &mut Executable::load(&runtime, &network, &on_cpu()).unwrap(),
            &shape,
            &x,
        );
        let mut f32 = Executable::load(&runtime, &network, &options(Precision::F32)).unwrap();
        let report = f32.report();
        assert_eq!(report.provider, "OpenVINOExecutionProvider");
        assert!(report.nodes.len() == 1 && report.form == "plain", "{report:?}");
        assert!(report.probe.unwrap() < 1e-5, "{report:?}");
        assert!(distance(&run(&mut f32, &shape, &x), &want) < 1e-4);
        let bf16 = Executable::load(&runtime, &network, &options(Precision::Bf16));
        if !has_bf16() {
            assert_eq!(bf16.unwrap_err().code(), "device.precision-not-proved");
            return;
        }
        let mut bf16 = bf16.unwrap();
        assert!(
            (1e-3..0.1).contains(&bf16.report().probe.unwrap()),
            "{:?}",
            bf16.report()
        );
        let off = distance(&run(&mut bf16, &shape, &x), &want);
        assert!(off > 1e-4 && off < 0.2, "{off}");
    });
}

#[test]
fn auto_moves_on_to_the_cpu_and_says_why_but_not_for_a_precision_it_lacks() {
    alone(
        "openvino::auto_moves_on_to_the_cpu_and_says_why_but_not_for_a_precision_it_lacks",
        || {
            let Some(runtime) = openvino() else { return };
            // A matrix inverse is an operator of the runtime's own that OpenVINO does not take.
            let file = inverse();
            let error = Executable::load(&runtime, &file, &options(Precision::F32)).unwrap_err();
            assert_eq!(error.code(), "device.provider-mismatch", "{error}");
            let auto = LoadOptions {
                device: DeviceChoice::Auto,
                ..on_cpu()
            };
            let mut executable = Executable::load(&runtime, &file, &auto).unwrap();
            assert_eq!(executable.report().device, DeviceChoice::Cpu);
            assert_eq!(executable.report().note, Some(format!("openvino: {error}")));
            let result = executable
                .run_sized(&[TensorView::f32(&[2, 2], &[2.0, 0.0, 0.0, 4.0])])
                .unwrap();
            assert_eq!(result, [(vec![2, 2], vec![0.5, 0.0, 0.0, 0.25])]);
            let bf16 = LoadOptions {
                precision: Precision::Bf16,
                ..auto
            };
            assert_eq!(
                Executable::load(&runtime, &file, &bf16).unwrap_err().code(),
                "device.provider-mismatch"
            );
        },
    );
}

/// A model of one node: the inverse of a 2x2 matrix.
fn inverse() -> OnnxFile {
    let field = |number: u8, content: &[u8]| [&[number << 3 | 2, content.len() as u8], content].concat();
    let int = |number: u8, n: u8| vec![number << 3, n];
    let side = field(1, &int(1, 2));
    let matrix = field(
        2,
        &field(1, &[int(1, 1), field(2, &[side.clone(), side].concat())].concat()),
    );
    let node = [
        field(1, b"x"),
        field(2, b"y"),
        field(4, b"Inverse"),
        field(7, b"com.microsoft"),
    ]
    .concat();
    let graph = [
        field(1, &node),
        field(2, b"g"),
        field(11, &[field(1, b"x"), matrix.clone()].concat()),
        field(12, &[field(1, b"y"), matrix].concat()),
    ]
    .concat();
    let opsets = [
        field(8, &int(2, 20)),
        field(8, &[field(1, b"com.microsoft"), int(2, 1)].concat()),
    ]
    .concat();
    OnnxFile {
        name: "inverse".into(),
        bytes: [int(1, 10), field(7, &graph), opsets].concat().into(),
        folder: None,
        weights_hash: 0,
        weights_bytes: 0,
    }
}

#[test]
fn packing_to_a_file_is_refused_when_asked_for_and_auto_says_fast() {
    alone(
        "openvino::packing_to_a_file_is_refused_when_asked_for_and_auto_says_fast",
        || {
            let Some(runtime) = openvino() else { return };
            let dir = tempfile::tempdir().unwrap();
            let cache = Some(dir.path().to_path_buf());
            let packed = LoadOptions {
                weights: WeightsMode::Packed,
                cache: cache.clone(),
                ..options(Precision::F32)
            };
            let error = Executable::load(&runtime, &conv_net(8, 2), &packed).unwrap_err();
            assert_eq!(error.code(), "device.unavailable");
            let auto = LoadOptions {
                device: DeviceChoice::Auto,
                cache,
                ..on_cpu()
            };
            let executable = Executable::load(&runtime, &conv_net(8, 2), &auto).unwrap();
            assert_eq!(
                executable.report().device,
                DeviceChoice::OpenVino,
                "auto is the first of openvino, cpu"
            );
            assert_eq!(executable.report().weights, WeightsMode::Fast);
        },
    );
}

#[test]
fn per_channel_slopes_agree_with_the_cpu_provider() {
    alone("openvino::per_channel_slopes_agree_with_the_cpu_provider", || {
        let Some(runtime) = openvino() else { return };
        let network = net(3, |b, x| {
            let weight = Weight::inline("w", &[16, 3, 3, 3], noise(432, 0.3))?;
            let y = b.conv(
                x,
                Conv {
                    pads: Sides::all(1),
                    ..Conv::new(weight, None)
                },
            )?;
            let y = b.prelu(y, Weight::inline("slopes", &[16], noise(16, 1.5))?)?;
            b.activation(y, Activation::Silu)
        });
        let shape = [2, 3, 17, 23];
        let x = noise(2 * 3 * 17 * 23, 1.0);
        let cpu = run(
            &mut Executable::load(&runtime, &network, &on_cpu()).unwrap(),
            &shape,
            &x,
        );
        let vino = run(
            &mut Executable::load(&runtime, &network, &options(Precision::F32)).unwrap(),
            &shape,
            &x,
        );
        assert!(distance(&cpu, &vino) < 1e-5);
    });
}
