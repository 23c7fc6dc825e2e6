use std::{collections::VecDeque, time::Duration};

/// Window of the frame rate that is shown.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// What a progress line needs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Frames encoded.
    pub frames_done: u64,
    /// Frames planned.
    pub frames_total: u64,
    /// True when the total is a count, false when the container says so.
    pub exact_total: bool,
    /// 0 to 100, never falling; 100 only after [`Progress::complete`].
    pub percent: f64,
    /// Frames a second over the last five seconds.
    pub fps: f64,
    /// Seconds left; `None` while nothing can be said.
    pub eta: Option<Duration>,
    /// Time since the start.
    pub elapsed: Duration,
    /// Frames that shared another's result.
    pub duplicates: u64,
}

/// Counts encoded frames. Time is an argument.
#[derive(Clone, Debug)]
pub struct Progress {
    began: Duration,
    total: u64,
    exact_total: bool,
    done: u64,
    computed: u64,
    duplicates: u64,
    paused: Duration,
    recent: VecDeque<(Duration, u64)>,
    shown_percent: f64,
    complete: bool,
    /// Frames of earlier runs.
    before: u64,
}

impl Progress {
    /// Nothing done yet, at `now`.
    #[must_use]
    pub fn new(total: u64, exact_total: bool, now: Duration) -> Self {
        Self {
            began: now,
            total,
            exact_total,
            done: 0,
            computed: 0,
            duplicates: 0,
            paused: Duration::ZERO,
            recent: VecDeque::from([(now, 0)]),
            shown_percent: 0.0,
            complete: false,
            before: 0,
        }
    }

    /// The same with frames that an earlier run has encoded: done, but no part of any rate.
    #[must_use]
    pub fn after(mut self, frames: u64) -> Self {
        self.before = frames;
        self
    }

    /// A frame was encoded.
    pub fn encoded(&mut self, duplicate: bool, now: Duration) {
        self.done += 1;
        if duplicate {
            self.duplicates += 1;
        } else {
            self.computed += 1;
        }
        self.recent.push_back((now, self.done));
        while self.recent.len() > 2
            && self
                .recent
                .front()
                .is_some_and(|(t, _)| now.saturating_sub(*t) > RATE_WINDOW)
        {
            self.recent.pop_front();
        }
    }

    /// How long the job has stood still so far: not counted where a rate or a time left is worked out.
    pub fn paused(&mut self, total: Duration) {
        if total > self.paused {
            self.paused = total;
            self.recent.clear();
        }
    }

    /// The output stands under its final name.
    pub fn complete(&mut self) {
        self.complete = true;
    }

    /// Frames encoded so far.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done
    }

    /// The line now.
    pub fn snapshot(&mut self, now: Duration) -> Snapshot {
        let elapsed = now.saturating_sub(self.began);
        let percent = if self.complete {
            100.0
        } else if self.total == 0 {
            0.0
        } else {
            ((self.before + self.done) as f64 / self.total as f64 * 100.0).min(99.9)
        };
        self.shown_percent = self.shown_percent.max(percent);
        let fps = match (self.recent.front(), self.recent.back()) {
            (Some((from, first)), Some((_, last))) if now > *from && last > first => {
                (last - first) as f64 / now.saturating_sub(*from).as_secs_f64()
            }
            _ => 0.0,
        };
        Snapshot {
            frames_done: self.before + self.done,
            frames_total: self.total,
            exact_total: self.exact_total,
            percent: self.shown_percent,
            fps,
            eta: self.eta(now),
            elapsed,
            duplicates: self.duplicates,
        }
    }

    /// From the rate of computed frames and the share of duplicates so far.
    fn eta(&self, now: Duration) -> Option<Duration> {
        let working = now.saturating_sub(self.began).saturating_sub(self.paused);
        if self.complete {
            return Some(Duration::ZERO);
        }
        if self.computed < 2 || working.is_zero() {
            return None;
        }
        let left = self.total.saturating_sub(self.before + self.done) as f64 * self.computed as f64 / self.done as f64;
        Some(working.mul_f64(left / self.computed as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_never_falls_and_is_100_only_at_the_end() {
        let mut progress = Progress::new(10, false, Duration::ZERO);
        let mut last = 0.0;
        for frame in 0..12u64 {
            let now = Duration::from_millis(100 * (frame + 1));
            progress.encoded(frame % 2 == 1, now);
            let snapshot = progress.snapshot(now);
            assert!(snapshot.percent >= last && snapshot.percent < 100.0);
            last = snapshot.percent;
        }
        progress.complete();
        assert_eq!(progress.snapshot(Duration::from_secs(2)).percent, 100.0);
    }

    #[test]
    fn a_pause_counts_neither_in_the_rate_nor_in_the_time_left() {
        let mut progress = Progress::new(100, true, Duration::ZERO);
        let mut now = Duration::ZERO;
        for frame in 1..=50u64 {
            now += Duration::from_millis(100);
            if frame == 26 {
                now += Duration::from_secs(600);
                progress.paused(Duration::from_secs(600));
            }
            progress.encoded(false, now);
        }
        let snapshot = progress.snapshot(now);
        assert!((snapshot.fps - 10.0).abs() < 0.5, "{snapshot:?}");
        assert_eq!(snapshot.eta.unwrap().as_secs(), 5);
    }

    #[test]
    fn the_rate_and_the_time_left_follow_the_work() {
        let mut progress = Progress::new(100, true, Duration::ZERO);
        for frame in 1..=50u64 {
            progress.encoded(false, Duration::from_millis(100 * frame));
        }
        let snapshot = progress.snapshot(Duration::from_secs(5));
        assert!((snapshot.fps - 10.0).abs() < 0.3, "{snapshot:?}");
        assert_eq!(snapshot.eta.unwrap().as_secs(), 5);
    }
}
