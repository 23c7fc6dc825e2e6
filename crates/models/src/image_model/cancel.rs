//! Ending the runs of one model and of no other, though models of one network share its executables.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kinora_nn::{Canceller, Executable, NnError};

use crate::error::Result;

/// The runs of a model that are in progress, and whether it was cancelled.
#[derive(Debug, Default)]
pub(super) struct Runs {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cancelled: bool,
    next: u64,
    running: Vec<(u64, Canceller)>,
}

/// A run in progress; taken off the list when it ends in any way.
struct Run<'a> {
    runs: &'a Runs,
    executable: &'a mut Executable,
    number: u64,
}

impl Runs {
    /// Ends the runs in progress and refuses those to come.
    pub(super) fn cancel(&self) {
        let mut state = self.state();
        state.cancelled = true;
        for (_, canceller) in &state.running {
            canceller.cancel();
        }
    }

    /// Takes runs again.
    pub(super) fn resume(&self) {
        self.state().cancelled = false;
    }

    /// # Errors
    /// [`NnError::Cancelled`] once the model was cancelled.
    pub(super) fn check(&self) -> Result<()> {
        if self.state().cancelled {
            return Err(NnError::Cancelled.into());
        }
        Ok(())
    }

    /// Calls `work` so that [`Runs::cancel`] ends it. The executable is fit for its next user afterwards.
    pub(super) fn run<T>(
        &self,
        executable: &mut Executable,
        work: impl FnOnce(&mut Executable) -> Result<T>,
    ) -> Result<T> {
        let number = {
            let mut state = self.state();
            if state.cancelled {
                return Err(NnError::Cancelled.into());
            }
            state.next += 1;
            let number = state.next;
            state.running.push((number, executable.canceller()));
            number
        };
        let run = Run {
            runs: self,
            executable,
            number,
        };
        work(run.executable)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let mut state = self.runs.state();
        state.running.retain(|(number, _)| *number != self.number);
        // No cancel of this model can reach the executable any more: what reached it is taken back.
        self.executable.resume();
    }
}
