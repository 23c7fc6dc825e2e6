//! The first error ends the job, once, and never as a hang.

use std::sync::atomic::Ordering;

use kinora_engine::{Completeness, Control, EngineError, OfflineJob, OnFrameError};
use kinora_pipeline::ProcessorError;

use crate::fakes::{Closure, Collect, Seen, job, quiet, run, run_into, source};

fn fails_at(frame: u64) -> Closure {
    Closure::new(move |index, value| {
        if index == frame {
            Err(ProcessorError::new("test.bad", "no luck"))
        } else {
            Ok(Some(value))
        }
    })
}

#[test]
fn t37_a_processor_error_names_the_frame_and_leaves_no_output() {
    let seen = Seen::default();
    let error = run(&job(fails_at(20)), source(0..200), &seen, &Control::default()).unwrap_err();
    assert_eq!(error.code(), "test.bad");
    let text = error.to_string();
    assert!(text.contains("frame 20") && text.contains("no luck"), "{text}");
    assert!(!seen.finished.load(Ordering::SeqCst));
}

#[test]
#[allow(clippy::panic)]
fn t37_a_panic_becomes_the_jobs_error() {
    let panics = Closure::new(|index, value| {
        if index == 5 {
            panic!("out of cheese")
        } else {
            Ok(Some(value))
        }
    });
    let error = run(&job(panics), source(0..200), &Seen::default(), &Control::default()).unwrap_err();
    assert!(matches!(&error, EngineError::Panic { lane: "network", message } if message == "out of cheese"));
}

#[test]
fn t37_a_failing_frame_is_stood_in_for_by_policy() {
    for (policy, expected) in [
        (OnFrameError::Source, [0, 1, 2, 3]),
        (OnFrameError::Repeat, [0, 1, 1, 3]),
    ] {
        let job = OfflineJob {
            on_frame_error: policy,
            ..job(fails_at(2))
        };
        let seen = Seen::default();
        let report = run(&job, source(0..4), &seen, &Control::default()).unwrap();
        assert_eq!(seen.values(), expected);
        assert_eq!(report.faults.len(), 1);
        assert_eq!(report.faults[0].frame, 2);
    }
}

#[test]
fn a_processor_that_swallows_a_frame_is_an_error_and_not_a_hang() {
    let mut swallows = Closure::new(|_, value| Ok(Some(value)));
    swallows.swallows = Some(30);
    let error = run(&job(swallows), source(0..200), &Seen::default(), &Control::default()).unwrap_err();
    assert_eq!(error.code(), "pipeline.ratio");
}

#[test]
fn in_a_failing_batch_the_frame_to_blame_is_named_and_the_others_go_on() {
    let mut batches = fails_at(7);
    batches.descriptor.batch.max = 4;
    let policy = OfflineJob {
        batch: 4,
        on_frame_error: OnFrameError::Repeat,
        ..job(batches)
    };
    let seen = Seen::default();
    let report = run(&policy, source(0..20), &seen, &Control::default()).unwrap();
    assert_eq!(report.faults.iter().map(|fault| fault.frame).collect::<Vec<_>>(), [7]);
    let expected: Vec<u8> = (0..20).map(|value| if value == 7 { 6 } else { value }).collect();
    assert_eq!(seen.values(), expected);

    let mut batches = fails_at(7);
    batches.descriptor.batch.max = 4;
    let fail = OfflineJob {
        batch: 4,
        ..job(batches)
    };
    let error = run(&fail, source(0..20), &Seen::default(), &Control::default()).unwrap_err();
    assert!(error.to_string().contains("frame 7"), "{error}");
}

#[test]
fn a_first_frame_that_fails_is_stood_in_for_by_the_source() {
    let job = OfflineJob {
        on_frame_error: OnFrameError::Repeat,
        ..job(fails_at(0))
    };
    let seen = Seen::default();
    run(&job, source([5, 6]), &seen, &Control::default()).unwrap();
    assert_eq!(seen.values(), [5, 6]);
}

/// Peak resident memory of this process so far, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn t41_ten_times_as_many_frames_take_no_more_memory() {
    let run_frames = |frames: usize| {
        let values = (0..frames).map(|at| (at * 7 % 251) as u8);
        run(
            &job(fails_at(u64::MAX)),
            source(values),
            &Seen::without_pictures(),
            &Control::default(),
        )
        .unwrap();
        peak_memory()
    };
    let short = run_frames(20_000);
    let long = run_frames(200_000);
    // The test's own list of what the sink saw is 24 bytes a frame.
    let own = 200_000 * 24 * 2;
    assert!(long < short + short / 20 + own, "{short} bytes, then {long}");
}

#[test]
fn errors_of_source_and_sink_end_the_job() {
    let broken = crate::fakes::Values {
        fail_at: Some(7),
        ..source(0..50)
    };
    let error = run(&job(fails_at(999)), broken, &Seen::default(), &Control::default()).unwrap_err();
    assert!(error.to_string().contains("source"));

    let seen = Seen::default();
    let sink = Collect {
        seen: seen.clone(),
        fail_at: Some(3),
        on_write: None,
    };
    let error = run_into(&job(fails_at(999)), source(0..200), sink, &Control::default(), &quiet()).unwrap_err();
    assert!(error.to_string().contains("sink"));
    assert!(!seen.finished.load(Ordering::SeqCst));
}

#[test]
fn t01_a_truncated_source_is_named_and_only_salvage_writes_it() {
    let short = || {
        let completeness = Completeness::Truncated {
            expected: 100,
            at: "0:00:01.000".into(),
            total: "0:00:04.000".into(),
        };
        crate::fakes::Values {
            completeness,
            ..source(0..25)
        }
    };
    let seen = Seen::default();
    let error = run(&job(fails_at(999)), short(), &seen, &Control::default()).unwrap_err();
    assert_eq!(error.code(), "input.truncated");
    assert!(error.hint().unwrap().contains("--salvage"));
    assert!(!seen.finished.load(Ordering::SeqCst));

    let salvage = OfflineJob {
        salvage: true,
        ..job(fails_at(999))
    };
    let report = run(&salvage, short(), &seen, &Control::default()).unwrap();
    assert!(report.truncated && report.frames_out == 25);
}

#[test]
fn a_source_without_frames_is_an_error() {
    let error = run(&job(fails_at(999)), source([]), &Seen::default(), &Control::default()).unwrap_err();
    assert_eq!(error.code(), "input.empty");
}

#[test]
fn t41_a_hundred_jobs_leave_no_thread_behind() {
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    for at in 0..100 {
        let _ = run(
            &job(fails_at(at % 7)),
            source(0..20),
            &Seen::default(),
            &Control::default(),
        );
    }
    // A thread's entry may outlive its end by a moment.
    let mut tries = 0;
    while threads() > before && tries < 500 {
        crate::fakes::work_for(10_000);
        tries += 1;
    }
    assert!(threads() <= before, "{before} threads before, {} after", threads());
}
