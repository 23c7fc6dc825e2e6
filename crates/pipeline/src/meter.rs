use std::time::Duration;

const SUB_BUCKETS: u32 = 8;
const BUCKETS: usize = 64 * SUB_BUCKETS as usize;

/// Durations of one step, fed from outside: count, sum and a histogram whose buckets are 1/8 of an octave wide,
/// so a percentile is right to 9 %. Fixed memory, no clock.
#[derive(Clone)]
pub struct Meter {
    count: u64,
    busy: Duration,
    bytes: u64,
    buckets: Box<[u32; BUCKETS]>,
}

/// What a meter has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeterReading {
    /// Events.
    pub count: u64,
    /// Sum of all durations.
    pub busy: Duration,
    /// Median duration.
    pub p50: Duration,
    /// 95th percentile.
    pub p95: Duration,
    /// Bytes given.
    pub bytes: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            count: 0,
            busy: Duration::ZERO,
            bytes: 0,
            buckets: Box::new([0; BUCKETS]),
        }
    }
}

impl Meter {
    /// Adds `frames` events that took `spent` together and gave `bytes` bytes.
    pub fn add(&mut self, frames: u64, spent: Duration, bytes: u64) {
        if frames == 0 {
            self.busy += spent;
            return;
        }
        self.count += frames;
        self.busy += spent;
        self.bytes += bytes;
        let each = u64::try_from(spent.as_nanos() / u128::from(frames)).unwrap_or(u64::MAX);
        let bucket = &mut self.buckets[bucket_of(each)];
        *bucket = bucket.saturating_add(u32::try_from(frames).unwrap_or(u32::MAX));
    }

    /// Adds what another meter has seen.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.busy += other.busy;
        self.bytes += other.bytes;
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets.iter()) {
            *mine = mine.saturating_add(*theirs);
        }
    }

    /// The reading now.
    #[must_use]
    pub fn reading(&self) -> MeterReading {
        MeterReading {
            count: self.count,
            busy: self.busy,
            p50: self.percentile(50),
            p95: self.percentile(95),
            bytes: self.bytes,
        }
    }

    fn percentile(&self, percent: u64) -> Duration {
        let total: u64 = self.buckets.iter().map(|&n| u64::from(n)).sum();
        let rank = (total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (index, &n) in self.buckets.iter().enumerate() {
            seen += u64::from(n);
            if seen >= rank {
                return Duration::from_nanos(middle_of(index));
            }
        }
        Duration::ZERO
    }
}

fn bucket_of(nanos: u64) -> usize {
    let nanos = nanos.max(1);
    let octave = nanos.ilog2();
    let within = if octave >= 3 {
        (nanos >> (octave - 3)) & 7
    } else {
        (nanos << (3 - octave)) & 7
    };
    octave as usize * SUB_BUCKETS as usize + within as usize
}

fn middle_of(bucket: usize) -> u64 {
    let octave = bucket / SUB_BUCKETS as usize;
    let within = (bucket % SUB_BUCKETS as usize) as f64;
    ((octave as f64).exp2() * (1.0 + (within + 0.5) / f64::from(SUB_BUCKETS))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_a_bucket() {
        let mut meter = Meter::default();
        for ms in 1..=100 {
            meter.add(1, Duration::from_millis(ms), 10);
        }
        let reading = meter.reading();
        assert_eq!((reading.count, reading.bytes), (100, 1000));
        assert!((reading.p50.as_secs_f64() / 0.050 - 1.0).abs() < 0.09, "{reading:?}");
        assert!((reading.p95.as_secs_f64() / 0.095 - 1.0).abs() < 0.09, "{reading:?}");
    }

    #[test]
    fn an_idle_meter_reads_zero_and_extremes_do_not_panic() {
        assert_eq!(Meter::default().reading(), MeterReading::default());
        let mut meter = Meter::default();
        meter.add(1, Duration::ZERO, 0);
        meter.add(1, Duration::MAX / 4, 0);
        assert_eq!(meter.reading().count, 2);
    }
}
