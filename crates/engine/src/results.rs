use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use kinora_frame::{FrameIndex, Image};

/// What became of a processed frame.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// Its picture.
    Image(Image),
    /// The last output stands in, for this reason.
    Repeat(String),
}

#[derive(Default)]
struct State {
    ready: BTreeMap<FrameIndex, Outcome>,
    cancelled: bool,
    finished: bool,
}

/// Results by frame, put in any order by the workers and taken in order by the encoder. A result stays as long as
/// a later frame may still be the same.
#[derive(Default)]
pub(crate) struct Results {
    state: Mutex<State>,
    changed: Condvar,
}

impl Results {
    pub(crate) fn put(&self, frame: FrameIndex, outcome: Outcome) {
        self.lock().ready.insert(frame, outcome);
        self.changed.notify_all();
    }

    /// Waits for a frame's result; `None` when the job is cancelled or the result can never come.
    pub(crate) fn wait(&self, frame: FrameIndex) -> Option<Outcome> {
        let mut state = self.lock();
        loop {
            if state.cancelled {
                return None;
            }
            if let Some(outcome) = state.ready.get(&frame) {
                return Some(outcome.clone());
            }
            if state.finished {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Drops results of frames below `oldest`: nobody will ask for them again.
    pub(crate) fn forget_before(&self, oldest: FrameIndex) {
        let mut state = self.lock();
        let kept = state.ready.split_off(&oldest);
        let dropped = std::mem::replace(&mut state.ready, kept);
        drop(state);
        drop(dropped);
    }

    /// No more results will come.
    pub(crate) fn finish(&self) {
        self.lock().finished = true;
        self.changed.notify_all();
    }

    pub(crate) fn cancel(&self) {
        self.lock().cancelled = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
