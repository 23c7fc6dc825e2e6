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
