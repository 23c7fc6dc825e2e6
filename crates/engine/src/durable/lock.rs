use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::EngineError;

/// Who works on a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Name of the machine.
    pub host: String,
    /// Number of the process.
    pub pid: u32,
    /// Number of the machine's present run; empty where there is none.
    pub boot: String,
    /// Since when, UTC.
    pub since: String,
}

impl Who {
    /// This process; `since` is the time now.
    #[must_use]
    pub fn this_process(since: String) -> Self {
        #[cfg(target_os = "linux")]
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        #[cfg(not(target_os = "linux"))]
        let boot = String::new();
        Self {
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            pid: std::process::id(),
            boot: boot.trim().to_owned(),
            since,
        }
    }
}

/// A lock of the operating system: it ends with the process that holds it, however that ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock, or says who has it.
    pub(super) fn take(path: &Path, who: &Who) -> Result<Self, EngineError> {
        let fault = |source| EngineError::job_io("locking", path, source);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(fault)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Its holder may be writing it just now; then nobody is named.
                let _ = file.read_to_string(&mut text);
                return Err(EngineError::Locked {
                    folder: path.parent().unwrap_or(path).to_path_buf(),
                    by: serde_json::from_str(&text).ok(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(fault(source)),
        }
        let text = serde_json::to_vec(who).unwrap_or_default();
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(&text))
            .map_err(fault)?;
        Ok(Self(file))
    }

    /// True when somebody else holds the lock of this name.
    pub(super) fn is_held(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would end it as well.
        let _ = self.0.unlock();
    }
}
