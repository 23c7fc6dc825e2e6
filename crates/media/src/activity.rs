//! Whether a silent child is at work: processor time and bytes of its process group.

use std::time::Duration;

/// Windows of the stall limit through which a child may use the processor without moving one byte; then it goes in circles.
/// An hour at the usual limit: the slowest encoders take minutes for a picture.
const BUSY_WINDOWS: u32 = 120;
/// Share of a window that counts as work: a process that hangs still wakes up now and then.
const BUSY_SHARE: u32 = 100;

/// What a process group has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Done {
    cpu: Duration,
    /// Read and written, by whatever way.
    bytes: u64,
}

/// Watches a process group from the moment it was made on.
#[derive(Debug)]
pub(crate) struct Activity {
    group: u32,
    last: Option<Done>,
    busy: u32,
}

impl Activity {
    pub(crate) fn of(group: u32) -> Self {
        Self {
            group,
            last: done(group),
            busy: 0,
        }
    }

    /// True when the group has worked in the `window` since it was last asked. Where the system does not tell, it counts as
    /// busy.
    pub(crate) fn goes_on(&mut self, window: Duration) -> bool {
        let now = done(self.group);
        let last = std::mem::replace(&mut self.last, now);
        self.judge(last, now, window)
    }

    fn judge(&mut self, last: Option<Done>, now: Option<Done>, window: Duration) -> bool {
        if let (Some(last), Some(now)) = (last, now) {
            if now.bytes != last.bytes {
                self.busy = 0;
                return true;
            }
            let used = now.cpu.saturating_sub(last.cpu);
            if used.is_zero() || used < window / BUSY_SHARE {
                return false;
            }
        }
        self.busy += 1;
        self.busy <= BUSY_WINDOWS
    }
}

#[cfg(target_os = "linux")]
fn done(group: u32) -> Option<Done> {
    let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
    let mut sum: Option<Done> = None;
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let folder = entry.path();
        let is_process = entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if !is_process {
            continue;
        }
        // A process that ended meanwhile has its processor time in its parent's.
        let Some((of, ticks)) = std::fs::read_to_string(folder.join("stat"))
            .ok()
            .as_deref()
            .and_then(stat)
        else {
            continue;
        };
        if of != group {
            continue;
        }
        let bytes = std::fs::read_to_string(folder.join("io")).map_or(0, |text| moved(&text));
        let sum = sum.get_or_insert_default();
        sum.cpu += Duration::from_millis(ticks.saturating_mul(1000) / ticks_per_second);
        sum.bytes = sum.bytes.wrapping_add(bytes);
    }
    sum
}

#[cfg(not(target_os = "linux"))]
fn done(_group: u32) -> Option<Done> {
    None
}

/// Process group and clock ticks, own and of children that ended, of a `/proc/PID/stat`. See proc(5).
#[cfg(target_os = "linux")]
fn stat(text: &str) -> Option<(u32, u64)> {
    // The name in brackets may hold anything.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = fields
        .get(11..15)?
        .iter()
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Some((fields.get(2)?.parse().ok()?, ticks))
}

/// Bytes that a `/proc/PID/io` counts.
#[cfg(target_os = "linux")]
fn moved(text: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.strip_prefix("rchar: ").or(line.strip_prefix("wchar: ")))
        .filter_map(|number| number.trim().parse::<u64>().ok())
        .fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);

    fn at(millis: u64, bytes: u64) -> Option<Done> {
        Some(Done {
            cpu: Duration::from_millis(millis),
            bytes,
        })
    }

    #[test]
    fn processor_time_and_bytes_are_work_and_a_waking_now_and_then_is_none() {
        let mut activity = Activity::of(0);
        assert!(activity.judge(at(0, 5), at(5000, 5), WINDOW));
        assert!(activity.judge(at(0, 5), at(0, 6), WINDOW));
        assert!(!activity.judge(at(0, 5), at(20, 5), WINDOW));
        assert!(!activity.judge(at(0, 5), at(0, 5), WINDOW));
    }

    #[test]
    fn a_child_that_goes_in_circles_is_not_waited_for_for_ever() {
        for (last, now) in [(at(0, 5), at(30_000, 5)), (None, None)] {
            let mut activity = Activity::of(0);
            let windows = (0..1000).take_while(|_| activity.judge(last, now, WINDOW)).count();
            assert_eq!(windows, BUSY_WINDOWS as usize);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_with_brackets_and_blanks_does_not_move_the_fields() {
        let text = "7 (a) b (c) S 1 42 42 0 -1 4194560 9 9 0 0 100 20 3 4 20 0 1 0 5 6 7";
        assert_eq!(stat(text), Some((42, 127)));
        assert_eq!(moved("rchar: 10\nwchar: 5\nsyscr: 7\nread_bytes: 9\n"), 15);
    }
}
