//! Every input frame leaves exactly once, in order, with its own time.

use std::sync::{Arc, Mutex, atomic::Ordering};

use kinora_engine::{Control, DedupeMode, Event, OfflineJob};
use kinora_pipeline::DependsOn;

use crate::fakes::{Closure, Collect, Seen, job, pts, run, run_into, source, work_for};

fn plus_one() -> Closure {
    Closure::new(|_, value| Ok(Some(value.wrapping_add(1))))
}

#[test]
fn short_clips_take_the_same_path() {
    for frames in [1usize, 2, 3, 10] {
        let seen = Seen::default();
        let report = run(&job(plus_one()), source(0..frames as u8), &seen, &Control::default()).unwrap();
        let expected: Vec<_> = (0..frames).map(|i| (i as u64, pts(i), i as u8 + 1)).collect();
        assert_eq!(*seen.frames.lock().unwrap(), expected);
        assert_eq!((report.frames_in, report.frames_out), (frames as u64, frames as u64));
        assert!(seen.finished.load(Ordering::SeqCst));
    }
}

#[test]
fn workers_that_finish_out_of_order_do_not_change_the_output() {
    let jittery = Closure::new(|index, value| {
        work_for(index * 7919 % 13 * 150);
        Ok(Some(value))
    });
    let job = OfflineJob {
        workers: 4,
        finishers: 2,
        ..job(jittery)
    };
    let seen = Seen::default();
    run(&job, source((0..200).map(|i| i as u8)), &seen, &Control::default()).unwrap();
    assert_eq!(seen.values(), (0..200).map(|i| i as u8).collect::<Vec<_>>());
}

#[test]
fn duplicates_share_one_result_and_keep_their_own_times() {
    let processor = plus_one();
    let calls = Arc::clone(&processor.calls);
    let values = [5, 5, 5, 9, 5, 9, 7, 7];
    let seen = Seen::default();
    let report = run(&job(processor), source(values), &seen, &Control::default()).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    assert_eq!(report.duplicates, 5);
    assert_eq!(seen.values(), [6, 6, 6, 10, 6, 10, 8, 8]);
    let times: Vec<_> = seen.frames.lock().unwrap().iter().map(|(_, pts, _)| *pts).collect();
    assert_eq!(times, (0..8).map(pts).collect::<Vec<_>>());
    let images = seen.images.lock().unwrap();
    let memory = |at: usize| images[at].host_buffer().unwrap().clone();
    assert!(memory(0).same_memory(&memory(4)), "the result is shared, not copied");
}

#[test]
fn a_node_that_depends_on_time_or_history_sees_every_frame() {
    for depends_on in [DependsOn::Time, DependsOn::History] {
        let mut grain = Closure::new(|index, value| Ok(Some(value.wrapping_add(index as u8))));
        grain.descriptor.depends_on = depends_on;
        let job = job(grain);
        assert_eq!(job.effective_dedupe(&job.plan(&source([1])).unwrap()), DedupeMode::Off);
        let seen = Seen::default();
        run(&job, source([3; 6]), &seen, &Control::default()).unwrap();
        assert_eq!(seen.values(), [3, 4, 5, 6, 7, 8]);
    }
}

#[test]
fn a_rejected_frame_is_stood_for_by_the_last_output() {
    let picky = Closure::new(|_, value| Ok((value != 2).then_some(value)));
    let seen = Seen::default();
    let report = run(&job(picky), source([1, 2, 3, 2]), &seen, &Control::default()).unwrap();
    assert_eq!(seen.values(), [1, 1, 3, 3]);
    assert_eq!(report.rejected, 1, "the second 2 is a duplicate of the first");
}

#[test]
fn batches_hold_several_frames_and_change_nothing() {
    let mut processor = Closure::new(|_, value| {
        work_for(300);
        Ok(Some(value))
    });
    processor.descriptor.batch.max = 4;
    let largest = Arc::clone(&processor.largest_batch);
    let job = OfflineJob {
        batch: 4,
        ..job(processor)
    };
    let seen = Seen::default();
    run(&job, source(0..50), &seen, &Control::default()).unwrap();
    assert_eq!(seen.values(), (0..50).collect::<Vec<_>>());
    assert!((2..=4).contains(&largest.load(Ordering::SeqCst)));
}

#[test]
fn progress_counts_encoded_frames_and_never_falls() {
    let percents = Arc::new(Mutex::new(Vec::new()));
    let slow = Closure::new(|_, value| {
        work_for(4000);
        Ok(Some(value))
    });
    let events = {
        let percents = Arc::clone(&percents);
        Arc::new(move |event: Event| {
            if let Event::Progress { snapshot, .. } = event {
                percents.lock().unwrap().push(snapshot.percent);
            }
        }) as kinora_engine::Events
    };
    let sink = Collect {
        seen: Seen::default(),
        fail_at: None,
        on_write: None,
    };
    run_into(&job(slow), source(0..100), sink, &Control::default(), &events).unwrap();
    let percents = percents.lock().unwrap();
    assert!(percents.len() >= 3 && percents.is_sorted(), "{percents:?}");
    assert_eq!(
        percents.iter().filter(|&&p| p >= 100.0).count(),
        1,
        "100 once, at the end"
    );
}

#[test]
fn lanes_overlap_so_that_the_slowest_decides() {
    // 40 frames x 5 ms in the network and 5 ms in the sink: one after the other would be 400 ms.
    let slow = Closure::new(|_, value| {
        work_for(5000);
        Ok(Some(value))
    });
    let sink = Collect {
        seen: Seen::default(),
        fail_at: None,
        on_write: Some(Box::new(|_| work_for(5000))),
    };
    let report = run_into(
        &job(slow),
        source(0..40),
        sink,
        &Control::default(),
        &crate::fakes::quiet(),
    )
    .unwrap();
    let lane = |name| report.lanes.iter().find(|lane| lane.name == name).unwrap().seconds;
    assert!(report.seconds < 0.9 * (lane("network") + lane("encode")), "{report:?}");
}

#[test]
fn the_first_frame_passes_every_filter() {
    let picky = Closure::new(|_, value| Ok((value > 2).then_some(value)));
    let seen = Seen::default();
    let report = run(&job(picky), source([1, 2, 3, 2]), &seen, &Control::default()).unwrap();
    assert_eq!(seen.values(), [1, 1, 3, 3]);
    assert_eq!(report.frames_out, 4);
}
