//! A loaded network runs on borrowed memory, checks what it is given, can be cancelled, and keeps its memory.

use std::sync::mpsc;
use std::time::Duration;

use kinora_nn::{
    DType, DeviceChoice, Elements, Executable, ExecutableCache, ExecutablePool, LoadOptions, NetBuilder, Precision,
    TensorView, TensorViewMut, Weight, WeightCache, WeightWriter, WeightsMode,
};

use crate::support::{conv_net, distance, net, noise, on_cpu, picture_shape, run, runtime};

#[test]
fn what_was_chosen_is_read_back() {
    let Some(runtime) = runtime() else { return };
    let executable = Executable::load(&runtime, &conv_net(16, 3), &on_cpu()).unwrap();
    let report = executable.report();
    assert_eq!(
        (report.device, report.precision, report.threads),
        (DeviceChoice::Cpu, Precision::F32, 2)
    );
    assert!(!report.spinning);
    assert_eq!(
        report.nodes.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["CPUExecutionProvider"]
    );
    assert!(report.nodes[0].1 >= 3, "{report:?}");
    assert_eq!(report.library_path, runtime.path());
    assert_eq!(
        report.to_string(),
        format!("cpu f32, weights fast, 2 threads, ONNX Runtime {}", runtime.version())
    );
    let json = serde_json::to_value(report).unwrap();
    assert_eq!(
        (&json["device"], &json["precision"], &json["weights"]),
        (&"cpu".into(), &"f32".into(), &"fast".into())
    );
    let bf16 = LoadOptions {
        precision: Precision::Bf16,
        ..on_cpu()
    };
    let error = Executable::load(&runtime, &conv_net(16, 3), &bf16).unwrap_err();
    assert_eq!(
        error.to_string(),
        "bf16 is not available: the device cpu computes in f32 only; openvino has bf16"
    );
    if !runtime.has_openvino() {
        let vino = LoadOptions {
            device: DeviceChoice::OpenVino,
            ..on_cpu()
        };
        assert_eq!(
            Executable::load(&runtime, &conv_net(16, 3), &vino).unwrap_err().code(),
            "device.unavailable"
        );
    }
}

#[test]
fn wrong_inputs_and_outputs_are_named_and_nothing_is_written() {
    let Some(runtime) = runtime() else { return };
    let mut executable = Executable::load(&runtime, &conv_net(8, 2), &on_cpu()).unwrap();
    let x = vec![0.0; 48];
    let bytes = vec![0u8; 48];
    let mut y = vec![7.0; 48];
    let good = [1, 3, 4, 4];
    let four = [1, 4, 4, 3];
    let mut expect = |input: TensorView<'_>, out: &[usize], want: &str| {
        let error = executable
            .run(&[input], &mut [TensorViewMut::f32(out, &mut y)])
            .unwrap_err();
        assert_eq!(error.to_string(), want);
    };
    expect(
        TensorView::f32(&four, &x),
        &good,
        "input `x`: expected x f32 [batch, 3, height, width], got f32 [1, 4, 4, 3] with 48 elements",
    );
    expect(
        TensorView {
            shape: &good,
            data: Elements::U8(&bytes),
        },
        &good,
        "input `x`: expected x f32 [batch, 3, height, width], got u8 [1, 3, 4, 4] with 48 elements",
    );
    expect(
        TensorView::f32(&good, &x[..40]),
        &good,
        "input `x`: expected x f32 [batch, 3, height, width], got f32 [1, 3, 4, 4] with 40 elements",
    );
    let error = executable
        .run(
            &[TensorView::f32(&good, &x)],
            &mut [TensorViewMut::f32(&[1, 3, 2, 8], &mut y)],
        )
        .unwrap_err();
    assert_eq!(
        error.code(),
        "nn.run",
        "an output of another shape is refused by the runtime"
    );
    assert!(y.iter().all(|v| *v == 7.0));
    let error = executable.run(&[], &mut []).unwrap_err();
    assert_eq!(error.to_string(), "network `test`: expected 1 inputs, got 0");
    assert!(
        run(&mut executable, &good, &x).iter().all(|v| v.is_finite()),
        "it still runs"
    );
}

#[test]
fn a_cancelled_executable_runs_in_no_way_until_it_is_resumed() {
    let Some(runtime) = runtime() else { return };
    let mut executable = Executable::load(&runtime, &conv_net(4, 2), &on_cpu()).unwrap();
    let (shape, x) = ([1, 3, 8, 8], noise(3 * 8 * 8, 0.5));
    let view = [TensorView::f32(&shape, &x)];
    executable.canceller().cancel();
    assert_eq!(executable.run_sized(&view).map_err(|e| e.code()), Err("run.cancelled"));
    let mut y = vec![0.0; x.len()];
    let result = executable.run(&view, &mut [TensorViewMut::f32(&shape, &mut y)]);
    assert_eq!(result.map_err(|e| e.code()), Err("run.cancelled"));
    executable.resume();
    assert_eq!(executable.run_sized(&view).unwrap()[0].0, shape);
}

#[test]
fn a_run_is_cancelled_from_another_thread_within_a_fraction_of_its_time() {
    let Some(runtime) = runtime() else { return };
    let mut executable = Executable::load(&runtime, &conv_net(64, 24), &on_cpu()).unwrap();
    let canceller = executable.canceller();
    let shape = [1, 3, 540, 960];
    let (started, begin) = mpsc::channel();
    let (done, end) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        let x = noise(shape.iter().product(), 0.5);
        let mut y = vec![0.0; x.len()];
        started.send(()).unwrap();
        let result = executable.run(
            &[TensorView::f32(&shape, &x)],
            &mut [TensorViewMut::f32(&shape, &mut y)],
        );
        done.send(result.map_err(|e| e.code())).unwrap();
        executable.resume();
        let small = [1, 3, 8, 8];
        run(&mut executable, &small, &x[..192])
    });
    begin.recv().unwrap();
    // The run takes seconds; it is ended in its midst.
    assert!(
        end.recv_timeout(Duration::from_millis(300)).is_err(),
        "the run is too short for this test"
    );
    canceller.cancel();
    let result = end.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(result, Err("run.cancelled"));
    assert!(
        worker.join().unwrap().iter().all(|v| v.is_finite()),
        "after resume it runs again"
    );
}

#[test]
fn memory_does_not_grow_from_run_to_run() {
    let Some(runtime) = runtime() else { return };
    let private = || -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|l| l.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let mut executable = Executable::load(&runtime, &conv_net(32, 4), &on_cpu()).unwrap();
    let shape = [1, 3, 96, 96];
    let x = noise(shape.iter().product(), 0.5);
    let mut y = vec![0.0; x.len()];
    let mut go = |times: usize| {
        for _ in 0..times {
            executable
                .run(
                    &[TensorView::f32(&shape, &x)],
                    &mut [TensorViewMut::f32(&shape, &mut y)],
                )
                .unwrap();
        }
    };
    go(20);
    let before = private();
    go(300);
    let after = private();
    assert!(after < before + 4096, "{before} kB before, {after} kB after 300 runs");
}

#[test]
fn weights_in_a_file_lean_or_packed_give_the_same_numbers() {
    let Some(runtime) = runtime() else { return };
    let dir = tempfile::tempdir().unwrap();
    let writer = WeightWriter::new(vec![("w".into(), vec![96, 64]), ("b".into(), vec![96])]);
    let values = [noise(96 * 64, 0.2), noise(96, 0.1)];
    let store = WeightCache::new(dir.path())
        .get_or_write("k", &writer, |i| Ok(values[i].as_slice().into()))
        .unwrap();
    let mut b = NetBuilder::new("linear");
    let x = b
        .input("x", DType::F32, &[kinora_nn::Dim::symbol("batch"), 5.into(), 64.into()])
        .unwrap();
    let (weight, bias) = (store.get("w").unwrap(), store.get("b").unwrap());
    let y = b
        .linear(
            x,
            kinora_nn::Linear {
                weight,
                bias: Some(bias),
                activation: Default::default(),
            },
        )
        .unwrap();
    b.output("y", y).unwrap();
    let network = b.build().unwrap();
    let shape = [2, 5, 64];
    let x = noise(640, 1.0);
    let mut want = vec![0.0f32; 960];
    for (row, out) in x.chunks_exact(64).zip(want.chunks_exact_mut(96)) {
        for (o, out) in out.iter_mut().enumerate() {
            *out = values[1][o] + (0..64).map(|i| row[i] * values[0][o * 64 + i]).sum::<f32>();
        }
    }
    for weights in [WeightsMode::Fast, WeightsMode::Lean, WeightsMode::Packed] {
        let options = LoadOptions {
            weights,
            cache: Some(dir.path().join("packed")),
            ..on_cpu()
        };
        let mut executable = Executable::load(&runtime, &network, &options).unwrap();
        let memory = executable.report().memory;
        assert_eq!(executable.report().weights, weights);
        let counts = [
            memory.private_bytes > 0,
            memory.mapped_bytes > 0,
            memory.packed_bytes > 0,
        ];
        let place = [WeightsMode::Fast, WeightsMode::Lean, WeightsMode::Packed].map(|w| w == weights);
        assert_eq!(counts, place, "{weights}: {memory:?}");
        assert!(distance(&run(&mut executable, &shape, &x), &want) < 1e-5, "{weights}");
    }
}

#[test]
fn taps_are_read_without_changing_the_result() {
    let Some(runtime) = runtime() else { return };
    let mut b = NetBuilder::new("taps");
    let x = b.input("x", DType::F32, &picture_shape(2)).unwrap();
    let a = b
        .binary(kinora_nn::BinaryOp::Mul, x, kinora_nn::Operand::Scalar(2.0))
        .unwrap();
    b.tap("block.0", a).unwrap();
    let y = b
        .binary(kinora_nn::BinaryOp::Add, a, kinora_nn::Operand::Scalar(1.0))
        .unwrap();
    b.output("y", y).unwrap();
    let network = b.build().unwrap();
    let tapped = network.with_taps(&["block.0"]).unwrap();
    let mut executable = Executable::load(&runtime, &tapped, &on_cpu()).unwrap();
    let shape = [1, 2, 1, 2];
    let (mut y, mut tap) = ([0.0; 4], [0.0; 4]);
    let mut outputs = [TensorViewMut::f32(&shape, &mut y), TensorViewMut::f32(&shape, &mut tap)];
    executable
        .run(&[TensorView::f32(&shape, &[1.0, 2.0, 3.0, 4.0])], &mut outputs)
        .unwrap();
    assert_eq!((y, tap), ([3.0, 5.0, 7.0, 9.0], [2.0, 4.0, 6.0, 8.0]));
    let error = network.with_taps(&["block.9"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the network has no tap named `block.9`; it has block.0"
    );
}

#[test]
fn a_dump_holds_the_text_the_model_and_the_optimised_graph() {
    let Some(runtime) = runtime() else { return };
    let dir = tempfile::tempdir().unwrap();
    let options = LoadOptions {
        dump: Some(dir.path().join("dump")),
        ..on_cpu()
    };
    let executable = Executable::load(&runtime, &conv_net(16, 2), &options).unwrap();
    let read = |name: &str| std::fs::read(dir.path().join("dump").join(name)).unwrap();
    let text = String::from_utf8(read("test.net.txt")).unwrap();
    assert!(
        text.starts_with("net test\n  %0 = input x: f32 [batch, 3, height, width]\n"),
        "{text}"
    );
    let has = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).any(|w| w == word);
    assert!(has(&read("test.cpu.onnx"), b"LeakyRelu"));
    assert!(
        has(&read("test.optimised.onnx"), b"com.microsoft.nchwc"),
        "the blocked layout shows"
    );
    assert_eq!(executable.name(), "test");
}

#[test]
fn streams_share_the_executables_of_one_network() {
    let Some(runtime) = runtime() else { return };
    let cache = ExecutableCache::new();
    let options = LoadOptions {
        workers: 2,
        threads: 1,
        ..on_cpu()
    };
    let first = cache.get(&runtime, &conv_net(8, 2), &options).unwrap();
    let second = cache.get(&runtime, &conv_net(8, 2), &options).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &second));
    let other = cache.get(&runtime, &conv_net(9, 2), &options).unwrap();
    assert!(!std::sync::Arc::ptr_eq(&first, &other));
    let lent: Vec<_> = (0..2).map(|_| first.lease()).collect();
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _third = first.lease();
            sender.send(()).unwrap();
        });
        assert!(
            receiver.recv_timeout(Duration::from_millis(50)).is_err(),
            "all are lent"
        );
        drop(lent);
        receiver.recv_timeout(Duration::from_secs(20)).unwrap();
    });
    assert_eq!(first.workers(), 2);
}

#[test]
fn a_network_the_runtime_refuses_is_an_error_with_its_words() {
    let Some(runtime) = runtime() else { return };
    let file = |bytes: &[u8]| kinora_nn::OnnxFile {
        name: "broken".into(),
        bytes: bytes.into(),
        folder: None,
        weights_hash: 0,
        weights_bytes: 0,
    };
    for bytes in [b"".as_slice(), b"garbage", &[0x3a, 0x00]] {
        let error = ExecutablePool::load(&runtime, &file(bytes), &on_cpu()).unwrap_err();
        assert_eq!(error.code(), "nn.load");
        assert!(
            error
                .to_string()
                .starts_with("the runtime refused the network `broken`: "),
            "{error}"
        );
    }
    let missing = net(2, |b, x| b.prelu(x, Weight::inline("s", &[2], vec![0.5, 3.0])?));
    assert!(Executable::load(&runtime, &missing, &on_cpu()).is_ok());
}
