use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{EngineError, Halt};

/// A steady clock, handed in by the outermost loop.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The time one lane has worked, over all of its threads.
#[derive(Default)]
pub(crate) struct Busy(AtomicU64);

impl Busy {
    /// Runs `work` and counts its time.
    pub(crate) fn during<T>(&self, clock: &Clock, work: impl FnOnce() -> T) -> T {
        let began = clock();
        let result = work();
        let spent = clock().saturating_sub(began);
        self.0
            .fetch_add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        result
    }

    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// The first error of a job, and the way to end every lane once there is one.
pub(crate) struct Failure {
    first: Mutex<Option<EngineError>>,
    cancel: Halt,
}

impl Failure {
    pub(crate) fn new(cancel: Halt) -> Self {
        Self {
            first: Mutex::new(None),
            cancel,
        }
    }

    /// Keeps the first error and ends everything. Later ones are what the ending itself causes.
    pub(crate) fn report(&self, error: EngineError) {
        self.first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
        (self.cancel)();
    }

    pub(crate) fn take(&self) -> Option<EngineError> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Runs a lane's body on its own thread. An error or a panic in it becomes the job's error; it never hangs.
pub(crate) fn spawn<'scope, 'env>(
    scope: &'scope thread::Scope<'scope, 'env>,
    lane: &'static str,
    failure: &'env Failure,
    body: impl FnOnce() -> Result<(), EngineError> + Send + 'scope,
) {
    let started =
        thread::Builder::new()
            .name(format!("kinora-{lane}"))
            .spawn_scoped(scope, move || match catch_unwind(AssertUnwindSafe(body)) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failure.report(error),
                Err(panic) => failure.report(EngineError::Panic {
                    lane,
                    message: words(panic.as_ref()),
                }),
            });
    if let Err(error) = started {
        failure.report(EngineError::Thread {
            lane,
            cause: error.to_string(),
        });
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "no message".to_owned())
}

/// Bounds the frames between admission and encoder, so that fast workers do not fill the memory.
pub(crate) struct Credits {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Credits {
    pub(crate) fn new(credits: usize) -> Self {
        Self {
            state: Mutex::new((credits.max(1), false)),
            changed: Condvar::new(),
        }
    }

    /// Waits for a credit; false when the job was cancelled.
    pub(crate) fn take(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.0 == 0 && !state.1 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.1 {
            return false;
        }
        state.0 -= 1;
        true
    }

    pub(crate) fn give(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
        self.changed.notify_all();
    }

    pub(crate) fn cancel(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.changed.notify_all();
    }
}
