use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kinora_engine::{JobState, LaneReading, SegmentRecord, Snapshot};
use serde_json::json;

use super::{Console, bytes, clock_time, count};
use crate::cli::ProgressStyle;

/// A plain line comes every so many percent, or after so long, whichever is later.
const PLAIN_PERCENT: f64 = 5.0;
const PLAIN_EVERY: Duration = Duration::from_secs(30);
/// At most four JSON objects a second.
const JSON_EVERY: Duration = Duration::from_millis(250);

struct Shown {
    at: Option<Duration>,
    percent: f64,
    last: Option<(Snapshot, Vec<LaneReading>)>,
    state: JobState,
}

/// The progress of one job in the style that was asked for.
pub(crate) struct ProgressView {
    console: Console,
    name: String,
    ascii: bool,
    shown: Mutex<Shown>,
}

impl ProgressView {
    pub(crate) fn new(console: Console, name: String) -> Self {
        let utf8 = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
            .is_some_and(|value| value.to_ascii_lowercase().replace('-', "").contains("utf8"));
        Self {
            console,
            name,
            ascii: !utf8,
            shown: Mutex::new(Shown {
                at: None,
                percent: 0.0,
                last: None,
                state: JobState::Running,
            }),
        }
    }

    pub(crate) fn progress(&self, snapshot: &Snapshot, lanes: &[LaneReading]) {
        let now = self.console.elapsed();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let since = shown.at.map_or(Duration::MAX, |at| now.saturating_sub(at));
        let done = snapshot.percent >= 100.0;
        match self.console.style() {
            ProgressStyle::Bar => {
                let lines = self.bar(snapshot, lanes, shown.state, self.console.width());
                self.console.draw(&lines);
            }
            ProgressStyle::Plain => {
                let enough = snapshot.percent - shown.percent >= PLAIN_PERCENT && since >= PLAIN_EVERY;
                if shown.at.is_some() && !enough {
                    return;
                }
                if shown.at.is_some() {
                    self.console.say(&self.plain(snapshot, lanes));
                }
            }
            ProgressStyle::Json if since >= JSON_EVERY || done => {
                self.json(snapshot, lanes, state_name(shown.state));
            }
            _ => return,
        }
        shown.at = Some(now);
        shown.percent = snapshot.percent;
        shown.last = Some((*snapshot, lanes.to_vec()));
    }

    /// What an earlier run has left.
    pub(crate) fn resumed(&self, segments_done: u64, segments: Option<u64>, frames_done: u64, removed_bytes: u64) {
        if self.console.style() == ProgressStyle::Json {
            let fields = json!({
                "segments_done": segments_done, "frames_done": frames_done, "removed_bytes": removed_bytes,
            });
            self.console.event("resume", &fields);
            return;
        }
        let of = segments.map_or_else(String::new, |all| format!(" of {}", count(all)));
        self.console.say(&format!(
            "  resuming   {}{of} segments found, {} frames are done",
            count(segments_done),
            count(frames_done)
        ));
        if removed_bytes > 0 {
            self.console.say(&format!(
                "  removed    what a killed run left unfinished ({})",
                bytes(removed_bytes)
            ));
        }
    }

    /// A segment is safe.
    pub(crate) fn segment(&self, record: &SegmentRecord) {
        if self.console.style() == ProgressStyle::Json {
            let fields = json!({
                "index": record.index, "first_frame": record.span[0], "last_frame": record.span[1].saturating_sub(1),
                "bytes": record.bytes, "blake3": record.blake3,
            });
            self.console.event("segment", &fields);
        }
    }

    pub(crate) fn state(&self, from: JobState, to: JobState) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.state = to;
        match self.console.style() {
            ProgressStyle::Json => {
                self.console.event(
                    "state",
                    &json!({"from": state_name(from), "to": state_name(to), "reason": "user"}),
                );
            }
            ProgressStyle::Bar if matches!(to, JobState::Paused | JobState::Running) => {
                let (snapshot, lanes) = shown.last.clone().unwrap_or_default();
                self.console
                    .draw(&self.bar(&snapshot, &lanes, to, self.console.width()));
            }
            ProgressStyle::Bar if to == JobState::Stopping => {
                self.console.say("stopping; once more stops at once");
            }
            _ => self.console.say(&format!("{} {}", self.name, state_name(to))),
        }
    }

    /// The bar's lines in `width` columns, the last of which stays free.
    fn bar(&self, snapshot: &Snapshot, lanes: &[LaneReading], state: JobState, width: usize) -> Vec<String> {
        let columns = width.saturating_sub(1);
        let about = if snapshot.exact_total { "" } else { "about " };
        let counts = format!(
            "{} of {about}{}",
            count(snapshot.frames_done),
            count(snapshot.frames_total)
        );
        let counts = format!("  {counts:>12}");
        let fps = format!("   {:>5.1} fps", snapshot.fps);
        let left = snapshot
            .eta
            .map_or_else(String::new, |eta| format!("   {} left", clock_time(eta)));
        let percent = format!("  {:>3.0} %", snapshot.percent.floor());
        let tail = format!("{counts}{fps}{left}");
        // Between the percentage and the counts, with two columns in front.
        let room = columns.saturating_sub(percent.len() + 2 + tail.chars().count()).min(40);
        let line = if room >= 8 {
            format!("{percent}  {}{tail}", self.track(snapshot.percent, room))
        } else {
            // What is still to wait for is dropped last.
            [tail, format!("{counts}{left}"), left]
                .into_iter()
                .map(|tail| format!("{percent}{tail}"))
                .find(|line| line.chars().count() <= columns)
                .unwrap_or(percent)
        };
        if width < 60 {
            return vec![line];
        }
        let second = match state {
            JobState::Paused => "        paused   [p] resume   [q] stop".to_owned(),
            _ => {
                let mut parts: Vec<String> = lanes
                    .iter()
                    .filter(|lane| matches!(lane.name, "network" | "encode" | "decode"))
                    .map(|lane| format!("{} {:.0} %", lane.name, lane.utilisation * 100.0))
                    .collect();
                if snapshot.duplicates > 0 && snapshot.frames_done > 0 {
                    let share = snapshot.duplicates as f64 / snapshot.frames_done as f64 * 100.0;
                    parts.push(format!("duplicates {share:.1} %"));
                }
                parts.push("[p]ause [q]uit".to_owned());
                format!("        {}", parts.join("   "))
            }
        };
        vec![line, second.chars().take(columns).collect()]
    }

    fn track(&self, percent: f64, room: usize) -> String {
        let filled = ((percent / 100.0 * room as f64) as usize).min(room);
        let (full, edge, rest) = if self.ascii {
            ("#", "#", "-")
        } else {
            ("━", "╸", "─")
        };
        let bar = if filled == 0 {
            String::new()
        } else {
            format!("{}{edge}", full.repeat(filled - 1))
        };
        format!("{}{}", self.console.paint("36", &bar), rest.repeat(room - filled))
    }

    fn plain(&self, snapshot: &Snapshot, lanes: &[LaneReading]) -> String {
        let eta = snapshot.eta.map_or_else(|| "unknown".to_owned(), clock_time);
        let busiest = lanes.iter().max_by(|a, b| a.utilisation.total_cmp(&b.utilisation));
        let bottleneck = busiest.map_or_else(String::new, |lane| {
            format!(" bottleneck {} {:.0} %", lane.name, lane.utilisation * 100.0)
        });
        format!(
            "{} {} {:.0} % {}/{} {:.1} fps eta {eta}{bottleneck}",
            utc_now(),
            self.name,
            snapshot.percent.floor(),
            snapshot.frames_done,
            snapshot.frames_total,
            snapshot.fps
        )
    }

    fn json(&self, snapshot: &Snapshot, lanes: &[LaneReading], state: &str) {
        let round = |v: f64, unit: f64| (v * unit).round() / unit;
        let busiest = lanes.iter().max_by(|a, b| a.utilisation.total_cmp(&b.utilisation));
        let stages: Vec<_> = lanes
            .iter()
            .map(|lane| {
                json!({
                    "name": lane.name,
                    "utilisation": round(lane.utilisation, 100.0),
                    "queue": lane.queue.frames,
                    "capacity": lane.queue.capacity,
                })
            })
            .collect();
        let fields = json!({
            "state": state,
            "frames_done": snapshot.frames_done,
            "frames_total": snapshot.frames_total,
            "percent": round(snapshot.percent, 10.0),
            "fps": round(snapshot.fps, 100.0),
            "eta": snapshot.eta.map(|eta| round(eta.as_secs_f64(), 10.0)),
            "elapsed": round(snapshot.elapsed.as_secs_f64(), 1000.0),
            "duplicates": snapshot.duplicates,
            "stages": stages,
            "bottleneck": busiest.map(|lane| lane.name),
        });
        self.console.event("progress", &fields);
    }
}

fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Running => "running",
        JobState::Paused => "paused",
        JobState::Stopping | JobState::Aborting => "stopping",
    }
}

/// RFC 3339, whole seconds, for log lines.
#[allow(
    clippy::disallowed_methods,
    reason = "the command is the outermost loop, and a log line has the time of day"
)]
pub(crate) fn utc_now() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a civil date, after Howard Hinnant's algorithm with years that begin in March.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    /// Text as a terminal shows it, without colour codes.
    fn seen(line: &str) -> String {
        let mut parts = line.split('\u{1b}');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |seen, part| {
            seen + part.split_once('m').map_or("", |(_, text)| text)
        })
    }

    #[test]
    fn the_remaining_time_is_shown_on_a_terminal_of_any_width() {
        let colour = Cli::parse_from(["kinora", "--color", "always"]).global;
        let console = Console::new(&colour, Arc::new(|| Duration::ZERO));
        let view = ProgressView::new(console, "a.mkv".to_owned());
        for (frames_total, exact_total, percent) in [(1440, true, 42.0), (142_010, false, 100.0)] {
            let snapshot = Snapshot {
                frames_done: frames_total / 2,
                frames_total,
                exact_total,
                percent,
                fps: 123.4,
                eta: Some(Duration::from_secs(5923)),
                ..Snapshot::default()
            };
            for width in [20, 40, 59, 60, 80, 103, 200] {
                let lines = view.bar(&snapshot, &[], JobState::Running, width);
                let line = seen(&lines[0]);
                assert!(line.chars().count() < width, "{width}: {line}");
                assert!(width < 30 || line.ends_with("1:38:43 left"), "{width}: {line}");
                assert!(width < 103 || line.contains("fps"), "{width}: {line}");
                assert!(line.contains(&format!("{percent:>3.0} %")), "{width}: {line}");
            }
            // The coloured part is whole: a code that is cut would colour all that follows.
            let lines = view.bar(&snapshot, &[], JobState::Running, 103);
            assert_eq!(lines[0].matches('\u{1b}').count(), 2, "{:?}", lines[0]);
        }
    }

    #[test]
    fn progress_names_the_state_that_the_job_is_in() {
        let quiet = Cli::parse_from(["kinora", "--progress", "none", "--quiet"]).global;
        let view = ProgressView::new(Console::new(&quiet, Arc::new(|| Duration::ZERO)), "a.mkv".to_owned());
        for (to, name) in [
            (JobState::Paused, "paused"),
            (JobState::Running, "running"),
            (JobState::Stopping, "stopping"),
            (JobState::Aborting, "stopping"),
        ] {
            view.state(JobState::Running, to);
            assert_eq!(state_name(view.shown.lock().unwrap().state), name);
        }
    }
}
