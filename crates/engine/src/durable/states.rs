use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// States of nodes at the ends of segments, on their way from the network to the commit.
#[derive(Debug, Default)]
pub struct SavedStates(Mutex<BTreeMap<u64, Vec<u8>>>);

impl SavedStates {
    /// Keeps the state after a segment.
    pub fn put(&self, segment: u64, bytes: Vec<u8>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(segment, bytes);
    }

    /// Takes the state after a segment.
    #[must_use]
    pub fn take(&self, segment: u64) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&segment)
    }
}
