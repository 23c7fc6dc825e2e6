use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Bounds of a queue: whichever is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most items.
    pub frames: usize,
    /// Most bytes; a single larger item still passes alone.
    pub bytes: usize,
}

/// What a pop gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Pop<T> {
    /// The oldest item.
    Item(T),
    /// The producers are done and nothing is left.
    End,
    /// Everything was cancelled.
    Cancelled,
}

/// A queue's fill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueReading {
    /// Items now.
    pub frames: usize,
    /// Bytes now.
    pub bytes: usize,
    /// Most items allowed.
    pub capacity: usize,
    /// Most items ever.
    pub high_water: usize,
}

struct State<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    producers: usize,
    cancelled: bool,
    high_water: usize,
}

/// A bounded queue between two lanes. A full one blocks its producers, an empty one its consumers; the end of the
/// stream is the last producer's [`Queue::close`]; [`Queue::cancel`] wakes everybody at once.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    limits: Limits,
}

impl<T> Queue<T> {
    /// An empty queue fed by `producers` threads.
    #[must_use]
    pub fn new(limits: Limits, producers: usize) -> Self {
        let state = State {
            items: VecDeque::new(),
            bytes: 0,
            producers,
            cancelled: false,
            high_water: 0,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            limits,
        }
    }

    /// Adds an item, waiting for room. False when the queue was cancelled: the item is dropped.
    pub fn push(&self, item: T, bytes: usize) -> bool {
        let mut state = self.lock();
        while !state.cancelled && !state.items.is_empty() && self.is_full(&state, bytes) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.cancelled {
            return false;
        }
        state.items.push_back((item, bytes));
        state.bytes += bytes;
        state.high_water = state.high_water.max(state.items.len());
        drop(state);
        self.changed.notify_all();
        true
    }

    /// Takes the oldest item, waiting for one.
    pub fn pop(&self) -> Pop<T> {
        let mut state = self.lock();
        loop {
            if state.cancelled {
                return Pop::Cancelled;
            }
            if let Some((item, bytes)) = state.items.pop_front() {
                state.bytes -= bytes;
                drop(state);
                self.changed.notify_all();
                return Pop::Item(item);
            }
            if state.producers == 0 {
                return Pop::End;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes another item if one is there now.
    pub fn try_pop(&self) -> Option<T> {
        let mut state = self.lock();
        let (item, bytes) = state.items.pop_front()?;
        state.bytes -= bytes;
        drop(state);
        self.changed.notify_all();
        Some(item)
    }

    /// One producer has given its last item.
    pub fn close(&self) {
        let mut state = self.lock();
        state.producers = state.producers.saturating_sub(1);
        drop(state);
        self.changed.notify_all();
    }

    /// Drops what is queued and refuses everything from now on.
    pub fn cancel(&self) {
        let mut state = self.lock();
        state.cancelled = true;
        let dropped = std::mem::take(&mut state.items);
        state.bytes = 0;
        drop(state);
        self.changed.notify_all();
        drop(dropped);
    }

    /// The fill now.
    pub fn reading(&self) -> QueueReading {
        let state = self.lock();
        QueueReading {
            frames: state.items.len(),
            bytes: state.bytes,
            capacity: self.limits.frames,
            high_water: state.high_water,
        }
    }

    fn is_full(&self, state: &State<T>, more: usize) -> bool {
        state.items.len() >= self.limits.frames || state.bytes.saturating_add(more) > self.limits.bytes
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // The list of items is consistent between any two statements, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    #[test]
    fn a_full_queue_blocks_and_nothing_is_lost_or_reordered() {
        let queue = Arc::new(Queue::new(Limits { frames: 3, bytes: 1000 }, 1));
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                for item in 0..500 {
                    assert!(queue.push(item, 10));
                }
                queue.close();
            })
        };
        let mut seen = Vec::new();
        while let Pop::Item(item) = queue.pop() {
            seen.push(item);
        }
        producer.join().unwrap();
        assert_eq!(seen, (0..500).collect::<Vec<_>>());
        assert!(queue.reading().high_water <= 3);
    }

    #[test]
    fn bytes_bound_a_queue_but_one_large_item_passes() {
        let queue = Queue::new(Limits { frames: 10, bytes: 100 }, 1);
        assert!(queue.push(1, 1_000_000));
        assert_eq!(queue.pop(), Pop::Item(1));
        assert!(queue.push(2, 60));
        assert!(!queue.is_full(&queue.lock(), 40));
        assert!(queue.is_full(&queue.lock(), 41));
    }

    #[test]
    fn cancelling_wakes_a_blocked_producer_and_a_blocked_consumer() {
        let queue = Arc::new(Queue::new(Limits { frames: 1, bytes: 10 }, 1));
        assert!(queue.push(0, 1));
        let blocked = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(1, 1))
        };
        queue.cancel();
        assert!(!blocked.join().unwrap());
        assert_eq!(queue.pop(), Pop::<i32>::Cancelled);
    }

    #[test]
    fn the_end_comes_after_the_last_item_of_the_last_producer() {
        let queue = Queue::new(Limits { frames: 4, bytes: 10 }, 2);
        queue.close();
        assert!(queue.push(7, 1));
        queue.close();
        assert_eq!((queue.pop(), queue.pop()), (Pop::Item(7), Pop::End));
    }
}
