//! Pause, stop and abort take hold at once and lose nothing that they should not.

use std::sync::{Arc, atomic::Ordering};

use kinora_engine::{Control, EngineError, JobState};

use crate::fakes::{Closure, Collect, Seen, job, quiet, run_into, source, work_for};

fn slow() -> Closure {
    Closure::new(|_, value| {
        work_for(500);
        Ok(Some(value))
    })
}

/// Calls `act` when the sink has taken `at` frames.
fn acting(seen: &Seen, at: usize, act: impl Fn() + Send + 'static) -> Collect {
    let on_write = Box::new(move |count: usize| {
        if count == at {
            act();
        }
    });
    Collect {
        seen: seen.clone(),
        fail_at: None,
        on_write: Some(on_write),
    }
}

#[test]
fn pausing_ten_times_changes_nothing_in_the_output() {
    let control = Control::default();
    let seen = Seen::default();
    let on_write = {
        let control = control.clone();
        Box::new(move |count: usize| {
            if count.is_multiple_of(10) {
                control.pause();
                let control = control.clone();
                std::thread::spawn(move || {
                    work_for(3000);
                    control.resume();
                });
            }
        })
    };
    let sink = Collect {
        seen: seen.clone(),
        fail_at: None,
        on_write: Some(on_write),
    };
    run_into(&job(slow()), source(0..100), sink, &control, &quiet()).unwrap();
    assert_eq!(seen.values(), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_paused_job_starts_no_new_batch() {
    let control = Control::default();
    let seen = Seen::default();
    let processor = slow();
    let calls = Arc::clone(&processor.calls);
    let (told, verdict) = std::sync::mpsc::channel();
    let sink = acting(&seen, 5, {
        let control = control.clone();
        move || {
            control.pause();
            let (control, calls, told) = (control.clone(), Arc::clone(&calls), told.clone());
            std::thread::spawn(move || {
                work_for(5_000);
                let before = calls.load(Ordering::SeqCst);
                work_for(20_000);
                told.send(calls.load(Ordering::SeqCst) - before).unwrap();
                control.resume();
            });
        }
    });
    run_into(&job(processor), source(0..60), sink, &control, &quiet()).unwrap();
    assert_eq!(seen.values().len(), 60);
    assert_eq!(verdict.recv().unwrap(), 0, "no batch began while the job was paused");
}

#[test]
fn a_stop_after_the_last_frame_throws_nothing_away() {
    let control = Control::default();
    let seen = Seen::default();
    let sink = acting(&seen, 20, {
        let control = control.clone();
        move || control.stop()
    });
    // All frames are decoded long before the last one is written.
    let report = run_into(&job(slow()), source(0..20), sink, &control, &quiet());
    assert_eq!(report.unwrap().frames_out, 20);
    assert!(seen.finished.load(Ordering::SeqCst));
}

#[test]
fn stop_drops_what_no_file_would_keep() {
    let control = Control::default();
    let seen = Seen::default();
    let sink = acting(&seen, 10, {
        let control = control.clone();
        move || control.stop()
    });
    let error = run_into(
        &job(slow()),
        source((0..5000).map(|i| i as u8)),
        sink,
        &control,
        &quiet(),
    )
    .unwrap_err();
    assert!(
        matches!(error, EngineError::Stopped { frames, kept: false, .. } if (10..200).contains(&frames)),
        "{error:?}"
    );
    assert!(!seen.finished.load(Ordering::SeqCst));
}

#[test]
fn abort_ends_a_paused_job_too() {
    let control = Control::default();
    let seen = Seen::default();
    let sink = acting(&seen, 3, {
        let control = control.clone();
        move || {
            control.pause();
            let control = control.clone();
            std::thread::spawn(move || {
                work_for(2000);
                control.stop();
                control.stop();
            });
        }
    });
    let error = run_into(
        &job(slow()),
        source((0..5000).map(|i| i as u8)),
        sink,
        &control,
        &quiet(),
    )
    .unwrap_err();
    assert!(matches!(error, EngineError::Stopped { .. }));
    assert_eq!(control.state(), JobState::Aborting);
}
