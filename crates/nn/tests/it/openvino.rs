//! OpenVINO computes in the precision that was asked for, proved by a probe, with every node on it. The library is
//! another one than the plain runtime, so each test is a process of its own; `ORT_OPENVINO_DYLIB_PATH` names it.

use kinora_nn::{
    Activation, Conv, DeviceChoice, Executable, LoadOptions, OnnxFile, Precision, Proof, Runtime, Sides, TensorView,
    Weight, WeightsMode, has_bf16,
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
        assert!(report.proof.difference().unwrap() < 1e-5, "{report:?}");
        assert!(distance(&run(&mut f32, &shape, &x), &want) < 1e-4);
        let bf16 = Executable::load(&runtime, &network, &options(Precision::Bf16));
        if !has_bf16() {
            assert_eq!(bf16.unwrap_err().code(), "device.precision-not-proved");
            return;
        }
        let mut bf16 = bf16.unwrap();
        assert!(
            (1e-3..0.1).contains(&bf16.report().proof.difference().unwrap()),
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

fn varint(mut n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// A length-delimited field.
fn field(number: usize, content: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(content.len()), content.to_vec()].concat()
}

fn int(number: usize, n: usize) -> Vec<u8> {
    [varint(number << 3), varint(n)].concat()
}

/// A node; its attributes are of whole numbers, one or several.
fn node(op: &str, domain: &str, inputs: &[&str], output: &str, attributes: &[(&str, &[usize])]) -> Vec<u8> {
    let mut all: Vec<u8> = inputs.iter().flat_map(|name| field(1, name.as_bytes())).collect();
    all.extend(
        [
            field(2, output.as_bytes()),
            field(4, op.as_bytes()),
            field(7, domain.as_bytes()),
        ]
        .concat(),
    );
    for (name, values) in attributes {
        let mut attribute = field(1, name.as_bytes());
        match values {
            [one] => attribute.extend([int(3, *one), int(20, 2)].concat()),
            several => {
                attribute.extend(several.iter().flat_map(|n| int(8, *n)));
                attribute.extend(int(20, 7));
            }
        }
        all.extend(field(5, &attribute));
    }
    field(1, &all)
}

/// A weight of floats.
fn weight(name: &str, shape: &[usize], values: &[f32]) -> Vec<u8> {
    let mut tensor: Vec<u8> = shape.iter().flat_map(|n| int(1, *n)).collect();
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor.extend([int(2, 1), field(8, name.as_bytes()), field(9, &bytes)].concat());
    field(5, &tensor)
}

/// An input (11) or output (12) of an element type: 1 for f32, 2 for u8, 7 for i64. A side of 0 is free.
fn face(number: usize, name: &str, element: usize, shape: &[usize]) -> Vec<u8> {
    let sides: Vec<u8> = shape
        .iter()
        .flat_map(|n| field(1, &if *n == 0 { field(2, b"side") } else { int(1, *n) }))
        .collect();
    let tensor = field(1, &[int(1, element), field(2, &sides)].concat());
    field(number, &[field(1, name.as_bytes()), field(2, &tensor)].concat())
}

fn model(name: &str, graph: &[Vec<u8>]) -> OnnxFile {
    let opsets = [
        field(8, &int(2, 20)),
        field(8, &[field(1, b"com.microsoft"), int(2, 1)].concat()),
    ]
    .concat();
    OnnxFile {
        name: name.into(),
        bytes: [int(1, 10), field(7, &[graph.concat(), field(2, b"g")].concat()), opsets]
            .concat()
            .into(),
        folder: None,
        weights_hash: 0,
        weights_bytes: 0,
    }
}

/// The inverse of a 2x2 matrix.
fn inverse() -> OnnxFile {
    let graph = [
        node("Inverse", "com.microsoft", &["x"], "y", &[]),
        face(11, "x", 1, &[2, 2]),
        face(12, "y", 1, &[2, 2]),
    ];
    model("inverse", &graph)
}

/// Two convolutions from bytes to bytes.
fn bytes_to_bytes() -> OnnxFile {
    let same: (&str, &[usize]) = ("pads", &[1, 1, 1, 1]);
    let graph = [
        node("Cast", "", &["x"], "x.f", &[("to", &[1])]),
        node("Mul", "", &["x.f", "level"], "a", &[]),
        node("Conv", "", &["a", "w1"], "b", &[same]),
        node("Relu", "", &["b"], "c", &[]),
        node("Conv", "", &["c", "w2"], "d", &[same]),
        node("Sigmoid", "", &["d"], "e", &[]),
        node("Mul", "", &["e", "levels"], "f", &[]),
        node("Cast", "", &["f"], "y", &[("to", &[2])]),
        weight("level", &[1], &[1.0 / 255.0]),
        weight("levels", &[1], &[255.0]),
        weight("w1", &[32, 3, 3, 3], &noise(864, 0.4)),
        weight("w2", &[3, 32, 3, 3], &noise(864, 0.2)),
        face(11, "x", 2, &[1, 3, 0, 0]),
        face(12, "y", 2, &[1, 3, 0, 0]),
    ];
    model("bytes", &graph)
}

#[test]
fn a_network_of_bytes_is_probed_too() {
    alone("openvino::a_network_of_bytes_is_probed_too", || {
        let Some(runtime) = openvino() else { return };
        let file = bytes_to_bytes();
        let f32 = Executable::load(&runtime, &file, &options(Precision::F32)).unwrap();
        let difference = f32.report().proof.difference().unwrap();
        assert!(difference < 1e-4, "{:?}", f32.report());
        let bf16 = Executable::load(&runtime, &file, &options(Precision::Bf16));
        if has_bf16() {
            let found = bf16.unwrap().report().proof.difference().unwrap();
            assert!(found > 5.0 * difference && found < 0.1, "{found} {difference}");
        } else {
            assert_eq!(bf16.unwrap_err().code(), "device.precision-not-proved");
        }
    });
}

#[test]
fn what_cannot_be_probed_is_said_and_no_bf16() {
    alone("openvino::what_cannot_be_probed_is_said_and_no_bf16", || {
        let Some(runtime) = openvino() else { return };
        // Whatever comes in, nothing comes out that could differ.
        let file = net(3, |b, x| {
            let weight = Weight::inline("w", &[3, 3, 3, 3], vec![0.0; 81])?;
            b.conv(x, Conv::new(weight, None))
        });
        let f32 = Executable::load(&runtime, &file, &options(Precision::F32)).unwrap();
        assert_eq!(f32.report().proof, Proof::Impossible);
        assert!(
            f32.report().to_string().contains("f32 could not be probed"),
            "{}",
            f32.report()
        );
        let error = Executable::load(&runtime, &file, &options(Precision::Bf16)).unwrap_err();
        assert_eq!(error.code(), "device.precision-not-probed", "{error}");
    });
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
