use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::Halt;

/// What a job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Frames flow.
    Running,
    /// No new batch starts.
    Paused,
    /// Nothing new comes in; what is in flight is finished.
    Stopping,
    /// Everything is dropped at once.
    Aborting,
}

/// What a job wants called when it is told to end, from the thread that tells it.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    /// Unblocks the source, so that nothing new comes in.
    pub(crate) stop: Option<Halt>,
    /// Wakes and ends everything.
    pub(crate) abort: Option<Halt>,
}

/// Told of every change of state: before, after.
pub type Observer = Arc<dyn Fn(JobState, JobState) + Send + Sync>;

struct Inner {
    state: Mutex<JobState>,
    changed: Condvar,
    hooks: Mutex<Hooks>,
    observer: Mutex<Option<Observer>>,
}

/// The one way to steer a job: keys, signals, pages and programs all call this. A clone steers the same job.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

impl Default for Control {
    fn default() -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(JobState::Running),
            changed: Condvar::new(),
            hooks: Mutex::default(),
            observer: Mutex::default(),
        }))
    }
}

impl Control {
    /// The state now.
    #[must_use]
    pub fn state(&self) -> JobState {
        *self.lock()
    }

    /// Pauses a running job.
    pub fn pause(&self) {
        self.change(|state| {
            if state == JobState::Running {
                JobState::Paused
            } else {
                state
            }
        });
    }

    /// Lets a paused job go on.
    pub fn resume(&self) {
        self.change(|state| {
            if state == JobState::Paused {
                JobState::Running
            } else {
                state
            }
        });
    }

    /// Pauses or resumes.
    pub fn toggle_pause(&self) {
        self.change(|state| match state {
            JobState::Running => JobState::Paused,
            JobState::Paused => JobState::Running,
            other => other,
        });
    }

    /// Stops: the first call finishes what is in flight, the second drops it.
    pub fn stop(&self) {
        self.change(|state| match state {
            JobState::Stopping | JobState::Aborting => JobState::Aborting,
            JobState::Running | JobState::Paused => JobState::Stopping,
        });
    }

    /// Drops everything at once.
    pub fn abort(&self) {
        self.change(|_| JobState::Aborting);
    }

    /// Waits while the job is paused; gives the state that ended the wait.
    pub(crate) fn gate(&self) -> JobState {
        let mut state = self.lock();
        while *state == JobState::Paused {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        *state
    }

    /// Tells `observer` of every change from now on, on the thread that makes it.
    pub fn observe(&self, observer: Observer) {
        *self.0.observer.lock().unwrap_or_else(PoisonError::into_inner) = Some(observer);
    }

    /// Installs what a running job wants called; an empty set takes it away.
    pub(crate) fn install(&self, hooks: Hooks) {
        *self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner) = hooks;
        self.call_hooks(self.state());
    }

    fn change(&self, next: impl FnOnce(JobState) -> JobState) {
        let mut state = self.lock();
        let before = *state;
        *state = next(before);
        let after = *state;
        drop(state);
        self.0.changed.notify_all();
        if after != before {
            let observer = self.0.observer.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(observer) = observer {
                observer(before, after);
            }
            self.call_hooks(after);
        }
    }

    fn call_hooks(&self, state: JobState) {
        let hooks = self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let hook = match state {
            JobState::Running | JobState::Paused => None,
            JobState::Stopping => hooks.stop,
            JobState::Aborting => hooks.abort,
        };
        if let Some(hook) = hook {
            hook();
        }
    }

    fn lock(&self) -> MutexGuard<'_, JobState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_stop_is_at_once_and_nothing_leaves_it() {
        let control = Control::default();
        control.pause();
        assert_eq!(control.state(), JobState::Paused);
        control.stop();
        assert_eq!(control.gate(), JobState::Stopping);
        control.toggle_pause();
        assert_eq!(control.state(), JobState::Stopping);
        control.stop();
        control.resume();
        assert_eq!(control.state(), JobState::Aborting);
    }
}
