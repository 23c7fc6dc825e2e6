//! What a run says of itself: the lanes' readings on the way and the report at the end.

use std::{
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

use kinora_pipeline::{Order, StepKind};

use super::{LANES, Run};
use crate::{LaneReading, LaneReport, QueueReading, Report, StepReport, report::seconds};

impl Run<'_> {
    pub(super) fn busy_now(&self) -> [Duration; 5] {
        [0, 1, 2, 3, 4].map(|lane| self.busy[lane].total())
    }

    fn threads(&self, lane: usize) -> usize {
        match lane {
            2 if self.plan.order == Order::Any => self.job.workers.max(1),
            3 => self.job.finishers.max(1),
            _ => 1,
        }
    }

    fn queue(&self, lane: usize) -> QueueReading {
        match lane {
            1 => self.decoded.reading(),
            2 => self.prepared.reading(),
            3 => self.computed.reading(),
            4 => self.slots.reading(),
            _ => QueueReading::default(),
        }
    }

    pub(super) fn readings(&self, since: Duration, before: &[Duration; 5]) -> Vec<LaneReading> {
        let now = self.busy_now();
        let share = |lane: usize| {
            let spent = now[lane].saturating_sub(before[lane]).as_secs_f64();
            (spent / since.as_secs_f64().max(1e-9) / self.threads(lane) as f64).min(1.0)
        };
        (0..LANES.len())
            .map(|lane| LaneReading {
                name: LANES[lane],
                utilisation: share(lane),
                queue: self.queue(lane),
            })
            .collect()
    }

    pub(super) fn report(
        &self,
        snapshot: &crate::Snapshot,
        sink: crate::SinkReport,
        shortfall: Option<crate::Shortfall>,
        wall: Duration,
    ) -> Report {
        let lanes: Vec<LaneReport> = (0..LANES.len())
            .map(|lane| {
                let busy = self.busy[lane].total().as_secs_f64();
                LaneReport {
                    name: LANES[lane],
                    threads: self.threads(lane),
                    seconds: seconds(self.busy[lane].total()),
                    utilisation: (busy / wall.as_secs_f64().max(1e-9) / self.threads(lane) as f64).min(1.0),
                    queue_high_water: self.queue(lane).high_water,
                }
            })
            .collect();
        let each = |lane: &LaneReport| lane.seconds / lane.threads as f64;
        // Decode and encode also wait for their neighbours inside one call, so the stages decide where they tie.
        let slowest = lanes.iter().max_by(|a, b| each(a).total_cmp(&each(b)));
        let meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let steps = self.plan.steps.iter().zip(meters.iter()).map(|(step, meter)| {
            let reading = meter.reading();
            let ms = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
            StepReport {
                name: match &step.kind {
                    StepKind::Node(_) => step.node.clone(),
                    StepKind::Convert => format!("convert {} to {}", step.input.layout, step.output.layout),
                    StepKind::Upload(device) => format!("upload to {device}"),
                    StepKind::Download => "download".to_owned(),
                },
                frames: reading.count,
                seconds: seconds(reading.busy),
                p50_ms: ms(reading.p50),
                p95_ms: ms(reading.p95),
                bytes: reading.bytes,
            }
        });
        Report {
            frames_in: self.frames_in.load(Ordering::Relaxed),
            frames_out: self.encoded.load(Ordering::Relaxed),
            duplicates: snapshot.duplicates,
            dedupe: self.dedupe,
            rejected: self.rejected.load(Ordering::Relaxed),
            faults: self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            seconds: seconds(wall),
            bottleneck: slowest.map_or("decode", |lane| lane.name),
            predicted_seconds: slowest.map_or(0.0, each),
            steps: steps.collect(),
            lanes,
            truncated: shortfall.is_some(),
            shortfall,
            sink,
        }
    }
}
