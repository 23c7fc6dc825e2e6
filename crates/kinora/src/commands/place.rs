use kinora_frame::Pool;
use kinora_nn::{LoadOptions, UnknownChoice};
use kinora_pipeline::Resources;

use crate::{
    app::App,
    cli::{AutoNumber, DeviceFlags, PlaceFlags},
    failure::Failure,
};

/// Where and with how much a job runs, after every `auto` is settled.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) threads: usize,
    pub(crate) workers: usize,
    pub(crate) batch: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) pool: Pool,
}

/// Bytes of RAM, as far as the system tells.
pub(crate) fn ram_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    (info.totalram as u64).saturating_mul(u64::from(info.mem_unit))
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// How a network is to run; what this version does not know is refused before anything is loaded.
pub(crate) fn load_options(flags: &DeviceFlags) -> Result<LoadOptions, Failure> {
    let unknown = |error: UnknownChoice| Failure::usage(error.to_string()).hint("kinora upscale --help");
    Ok(LoadOptions {
        device: flags.device.parse().map_err(|_: UnknownChoice| {
            Failure::new("device.unavailable", format!("device '{}' is not there", flags.device))
                .hint("this version runs networks on cpu and openvino; kinora list devices")
        })?,
        precision: flags.precision.parse().map_err(unknown)?,
        weights: flags.weights.parse().map_err(unknown)?,
        threads: flags.threads.map_or_else(cores, |threads| threads as usize),
        ..LoadOptions::default()
    })
}

/// Memory of this machine, or of the group of processes it is held to (cgroup v2), whichever is less.
fn memory_there() -> u64 {
    let group = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = group
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .unwrap_or_default();
    let limit = std::fs::read_to_string(format!("/sys/fs/cgroup/{path}/memory.max"));
    let limit = limit.ok().and_then(|text| text.trim().parse().ok());
    ram_bytes().min(limit.unwrap_or(u64::MAX))
}

impl Place {
    /// Settles the flags. Networks on the CPU share its cores, so one runs at a time unless the user says otherwise.
    pub(crate) fn new(flags: &PlaceFlags) -> Result<Self, Failure> {
        load_options(&flags.on)?;
        let number = |number: AutoNumber| match number {
            AutoNumber::Auto => 1,
            AutoNumber::Number(n) => n,
        };
        let workers = number(flags.workers);
        let threads = flags.on.threads.map_or_else(cores, |threads| threads as usize);
        Ok(Self {
            threads,
            workers,
            batch: number(flags.batch),
            memory_bytes: flags
                .memory
                .map_or_else(|| (memory_there() / 4).clamp(1 << 28, 4 << 30), |bytes| bytes.0),
            pool: Pool::default(),
        })
    }

    /// What processors are made with.
    pub(crate) fn resources(&self, app: &App, flags: &PlaceFlags) -> Resources {
        Resources {
            pool: self.pool.clone(),
            device: flags.on.device.clone(),
            precision: flags.on.precision.clone(),
            weights: flags.on.weights.clone(),
            threads: (self.threads / self.workers).max(1),
            workers: self.workers,
            tile: flags.tile.clone(),
            tile_overlap: flags.tile_overlap,
            cache: app.cache(),
            memory_bytes: self.memory_bytes,
        }
    }
}
