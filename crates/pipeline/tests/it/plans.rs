//! A plan has the fewest conversions and crossings, and a runner does what it says.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use kinora_frame::{ColorSpec, Frame, Image, ImageDesc, Layout, PixelFormat, Pool, Rational, Size, Timestamp};
use kinora_pipeline::{
    Accepts, Context, DependsOn, Descriptor, HostOnly, Order, Pipeline, PipelineError, Plan, Port, PortKind, Residency,
    Restart, Runner, Stage, StepKind, StreamId, StreamInfo,
};

use crate::{
    device::{Counts, FakeDevice, fake},
    nodes::Pass,
};

fn input(format: PixelFormat) -> ImageDesc {
    ImageDesc {
        size: Size::new(6, 4),
        layout: Layout::Pixels(format),
        color: ColorSpec::BT709,
    }
}

fn descriptor(name: &'static str, stage: Stage, accepts: Accepts) -> Descriptor {
    Descriptor::plain(name, "a test's node", stage, accepts)
}

fn on_device(name: &'static str) -> Pass {
    let accepts = Accepts {
        layouts: vec![Layout::RGB_F32],
        residency: Residency::Device(fake()),
    };
    let mut about = descriptor(name, Stage::Generation, accepts);
    about.devices = vec![fake()];
    Pass::new(about)
}

fn kinds(plan: &Plan) -> Vec<StepKind> {
    plan.steps.iter().map(|step| step.kind.clone()).collect()
}

fn sink() -> Accepts {
    Accepts::pixels([PixelFormat::YUV420P])
}

fn runner(pipeline: Pipeline, plan: Plan, counts: &Arc<Counts>) -> Result<Runner, PipelineError> {
    let info = StreamInfo {
        id: StreamId(1),
        image: plan.input,
        frame_rate: Some(Rational::ONE),
    };
    let steps = plan.steps.len();
    let devices = Arc::new(FakeDevice(Arc::clone(counts)));
    Runner::open(
        Arc::new(pipeline),
        Arc::new(plan),
        0..steps,
        &info,
        devices,
        Pool::default(),
    )
}

fn frame(desc: ImageDesc, index: u64) -> Context {
    let bytes = vec![u8::try_from(40 + index).unwrap(); desc.layout.bytes(desc.size).unwrap()];
    let frame = Frame {
        image: Image::host(desc, bytes.into()).unwrap(),
        pts: Timestamp::new(index as i64, Rational::ONE),
        duration: None,
        index,
        key: false,
        side_data: Arc::default(),
    };
    Context::new(frame, Arc::from([]))
}

const NOW: &dyn Fn() -> Duration = &|| Duration::ZERO;

#[test]
fn networks_in_a_row_cross_to_the_device_once() {
    let pipeline = Pipeline::new(vec![on_device("first").node(), on_device("second").node()]).unwrap();
    let plan = Plan::new(&pipeline, input(PixelFormat::YUV420P), &sink()).unwrap();
    let expected = [
        StepKind::Convert,
        StepKind::Upload(fake()),
        StepKind::Node(0),
        StepKind::Node(1),
        StepKind::Download,
        StepKind::Convert,
    ];
    assert_eq!(kinds(&plan), expected);
    assert_eq!((plan.crossings(), plan.conversions()), (2, 2));

    let counts = Arc::new(Counts::default());
    let desc = plan.input;
    let mut runner = runner(pipeline, plan, &counts).unwrap();
    let out = runner
        .run(vec![frame(desc, 0), frame(desc, 1), frame(desc, 2)], NOW)
        .unwrap();
    assert_eq!(out.len(), 3);
    assert_eq!(out[2].frame.image.desc().layout, Layout::Pixels(PixelFormat::YUV420P));
    assert_eq!(
        (
            counts.uploads.load(Ordering::SeqCst),
            counts.downloads.load(Ordering::SeqCst)
        ),
        (3, 3)
    );
    assert_eq!(runner.meters()[2].reading().count, 3);
}

#[test]
fn a_host_node_between_two_device_nodes_costs_a_round_trip() {
    let host = Pass::new(descriptor("host", Stage::Generation, Accepts::host(Layout::RGB_F32)));
    let pipeline = Pipeline::new(vec![on_device("a").node(), host.node(), on_device("b").node()]).unwrap();
    let plan = Plan::new(&pipeline, input(PixelFormat::YUV420P), &sink()).unwrap();
    assert_eq!((plan.crossings(), plan.conversions()), (4, 2));
}

#[test]
fn nothing_is_converted_where_everybody_agrees() {
    let any = Pass::new(descriptor("any", Stage::Preprocessing, Accepts::anything()));
    let pipeline = Pipeline::new(vec![any.node()]).unwrap();
    let plan = Plan::new(&pipeline, input(PixelFormat::YUV420P), &sink()).unwrap();
    assert_eq!(kinds(&plan), [StepKind::Node(0)]);
    assert!(plan.one_to_one && plan.order == Order::Any && plan.restart == Restart::Stateless);
    let empty = Plan::new(&Pipeline::default(), input(PixelFormat::RGB24), &sink()).unwrap();
    assert_eq!(kinds(&empty), [StepKind::Convert]);
}

#[test]
fn sizes_follow_the_nodes_and_the_widest_dependence_wins() {
    let mut twice = Pass::new(descriptor("twice", Stage::Generation, Accepts::anything()));
    twice.scale = 2;
    let mut late = Pass::new(descriptor("late", Stage::Postprocessing, Accepts::anything()));
    late.descriptor.depends_on = DependsOn::Time;
    late.descriptor.restart = Restart::Warmup { frames: 3, exact: true };
    let pipeline = Pipeline::new(vec![twice.node(), late.node()]).unwrap();
    let plan = Plan::new(&pipeline, input(PixelFormat::YUV420P), &sink()).unwrap();
    assert_eq!(plan.output.size, Size::new(12, 8));
    assert_eq!(plan.depends_on, DependsOn::Time);
    assert_eq!(plan.restart, Restart::Warmup { frames: 3, exact: true });
}

#[test]
fn impossible_plans_say_why() {
    let mut needs = Pass::new(descriptor("needs", Stage::Generation, Accepts::anything()));
    needs.descriptor.requires = vec![Port {
        name: "depth",
        kind: PortKind::Image,
        optional: false,
    }];
    let pipeline = Pipeline::new(vec![needs.node()]).unwrap();
    let error = Plan::new(&pipeline, input(PixelFormat::YUV420P), &sink()).unwrap_err();
    assert!(matches!(error, PipelineError::MissingArtifact { artifact, .. } if artifact == "depth"));

    let four = Layout::Tensor {
        channels: 4,
        element: kinora_frame::ElementType::F32,
        order: kinora_frame::TensorOrder::Chw,
        range: kinora_frame::ValueRange::Unit,
    };
    let latent = Pass::new(descriptor("latent", Stage::Generation, Accepts::host(four)));
    let pipeline = Pipeline::new(vec![latent.node()]).unwrap();
    let error = Plan::new(&pipeline, input(PixelFormat::YUV420P), &sink()).unwrap_err();
    assert_eq!(error.code(), "pipeline.no_conversion");

    let first = Pass::new(descriptor("grade", Stage::Postprocessing, Accepts::anything()));
    let second = Pass::new(descriptor("canny", Stage::Preprocessing, Accepts::anything()));
    let error = Pipeline::new(vec![first.node(), second.node()]).err().unwrap();
    assert_eq!(error.code(), "pipeline.stage_order");
}

#[test]
fn the_end_of_the_stream_flushes_every_node_in_turn() {
    let mut hold = Pass::new(descriptor("hold", Stage::Generation, Accepts::anything()));
    (hold.hold, hold.descriptor.lookahead) = (2, 2);
    hold.descriptor.order = Order::InOrder;
    let mut hold_more = Pass::new(descriptor("hold_more", Stage::Postprocessing, Accepts::anything()));
    (hold_more.hold, hold_more.descriptor.lookahead) = (1, 1);
    hold_more.descriptor.order = Order::InOrder;
    let pipeline = Pipeline::new(vec![hold.node(), hold_more.node()]).unwrap();
    let desc = input(PixelFormat::YUV420P);
    let plan = Plan::new(&pipeline, desc, &sink()).unwrap();
    let mut runner = runner(pipeline, plan, &Arc::default()).unwrap();
    let mut indices = Vec::new();
    for index in 0..5 {
        indices.extend(
            runner
                .run(vec![frame(desc, index)], NOW)
                .unwrap()
                .iter()
                .map(|c| c.frame.index),
        );
    }
    assert_eq!(indices, [0, 1]);
    indices.extend(runner.finish(NOW).unwrap().iter().map(|c| c.frame.index));
    assert_eq!(indices, [0, 1, 2, 3, 4]);
}

#[test]
fn a_node_that_loses_a_frame_breaks_its_word_aloud() {
    let mut loses = Pass::new(descriptor("loses", Stage::Generation, Accepts::anything()));
    (loses.hold, loses.loses, loses.descriptor.order) = (1, true, Order::InOrder);
    loses.descriptor.lookahead = 1;
    let pipeline = Pipeline::new(vec![loses.node()]).unwrap();
    let desc = input(PixelFormat::YUV420P);
    let plan = Plan::new(&pipeline, desc, &sink()).unwrap();
    let mut runner = runner(pipeline, plan, &Arc::default()).unwrap();
    runner.run(vec![frame(desc, 0), frame(desc, 1)], NOW).unwrap();
    let error = runner.finish(NOW).unwrap_err();
    assert!(
        matches!(error, PipelineError::RatioBroken { taken: 2, given: 1, .. }),
        "{error}"
    );
}

#[test]
fn opacity_is_set_aside_for_networks_and_put_back_enlarged() {
    let mut twice = Pass::new(descriptor("twice", Stage::Generation, Accepts::host(Layout::RGB_F32)));
    twice.scale = 1;
    let pipeline = Pipeline::new(vec![twice.node()]).unwrap();
    let desc = input(PixelFormat::RGBA);
    let plan = Plan::new(&pipeline, desc, &Accepts::pixels([PixelFormat::RGBA])).unwrap();
    assert_eq!(plan.conversions(), 2);
    let steps = plan.steps.len();
    let info = StreamInfo {
        id: StreamId(1),
        image: plan.input,
        frame_rate: Some(Rational::ONE),
    };
    let mut runner = Runner::open(
        Arc::new(pipeline),
        Arc::new(plan),
        0..steps,
        &info,
        Arc::new(HostOnly),
        Pool::default(),
    )
    .unwrap();
    let mut context = frame(desc, 0);
    let bytes: Vec<u8> = (0..96u8).collect();
    context.frame.image = Image::host(desc, bytes.clone().into()).unwrap();
    let out = runner.run(vec![context], NOW).unwrap();
    assert_eq!(out[0].frame.image.host_buffer().unwrap().bytes(), bytes);
}

#[test]
fn artifacts_are_typed_and_have_one_giver() {
    let port = |kind| Port {
        name: "depth",
        kind,
        optional: false,
    };
    let gives = |name, kind| {
        let mut pass = Pass::new(descriptor(name, Stage::Preprocessing, Accepts::anything()));
        pass.descriptor.gives = vec![port(kind)];
        pass
    };
    let needs = || {
        let mut pass = Pass::new(descriptor("needs", Stage::Generation, Accepts::anything()));
        pass.descriptor.requires = vec![port(PortKind::Image)];
        pass
    };
    let plan = |nodes| Plan::new(&Pipeline::new(nodes).unwrap(), input(PixelFormat::YUV420P), &sink());
    assert!(plan(vec![gives("depth", PortKind::Image).node(), needs().node()]).is_ok());
    let error = plan(vec![gives("words", PortKind::Text).node(), needs().node()]).unwrap_err();
    assert!(matches!(
        error,
        PipelineError::ArtifactKind {
            found: PortKind::Text,
            ..
        }
    ));
    let twice = vec![gives("a", PortKind::Image).node(), gives("b", PortKind::Image).node()];
    assert!(matches!(plan(twice).unwrap_err(), PipelineError::ArtifactTwice { .. }));
}

#[test]
fn a_node_with_a_state_may_not_take_several_frames() {
    let mut both = Pass::new(descriptor("both", Stage::Generation, Accepts::anything()));
    both.descriptor.batch.max = 4;
    let pipeline = Pipeline::new(vec![both.node()]).unwrap();
    let plan = Plan::new(&pipeline, input(PixelFormat::YUV420P), &sink()).unwrap();
    let error = runner(pipeline, plan, &Arc::default()).err().unwrap();
    assert!(matches!(error, PipelineError::StateInBatches { .. }));
}

#[test]
fn a_frame_that_is_swallowed_in_the_middle_is_named_at_once() {
    let mut holds = Pass::new(descriptor("holds", Stage::Generation, Accepts::anything()));
    // It keeps one frame back and promises to keep none.
    (holds.hold, holds.descriptor.lookahead) = (1, 0);
    let pipeline = Pipeline::new(vec![holds.node()]).unwrap();
    let desc = input(PixelFormat::YUV420P);
    let plan = Plan::new(&pipeline, desc, &sink()).unwrap();
    let mut runner = runner(pipeline, plan, &Arc::default()).unwrap();
    let error = runner.run(vec![frame(desc, 0)], NOW).unwrap_err();
    assert!(matches!(error, PipelineError::RatioBroken { taken: 1, given: 0, .. }));
}
