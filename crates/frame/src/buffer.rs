use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use crate::FrameError;

/// A device as users name it: `cpu`, `cuda:0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(pub String);

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes that live on a device. Implemented by the crate that owns the device; pixels cross to the host by
/// [`DeviceBuffer::download`] only, so crossings can be counted.
pub trait DeviceBuffer: Send + Sync + fmt::Debug {
    /// The device that holds the bytes.
    fn device(&self) -> DeviceId;
    /// Length in bytes.
    fn len(&self) -> usize;
    /// True for a buffer of no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// True once the work that writes these bytes has finished; a download waits for it.
    fn is_ready(&self) -> bool;
    /// Copies the bytes to the host.
    ///
    /// # Errors
    /// [`FrameError::Download`] with the device's own words.
    fn download(&self, into: &mut [u8]) -> Result<(), FrameError>;
}

/// Storage aligned for every sample type (u8, u16, f32), filled once and shared afterwards.
struct Words {
    words: Vec<u64>,
    bytes: usize,
}

impl Words {
    fn with_len(bytes: usize) -> Self {
        Self {
            words: vec![0; bytes.div_ceil(8)],
            bytes,
        }
    }

    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.bytes]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.bytes]
    }
}

/// What a pool has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Buffers taken from the system.
    pub allocated: u64,
    /// Buffers handed out again after use.
    pub reused: u64,
    /// Buffers that lie idle now.
    pub idle: usize,
}

#[derive(Default)]
struct PoolState {
    idle: Vec<Words>,
    stats: PoolStats,
}

/// Host buffers for the frame path: handed out, shared, and taken back when the last owner drops them.
#[derive(Clone)]
pub struct Pool {
    state: Arc<Mutex<PoolState>>,
    keep: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(64)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

fn locked(state: &Mutex<PoolState>) -> MutexGuard<'_, PoolState> {
    // A panic elsewhere cannot leave a list of idle buffers half changed.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A pool that keeps at most `keep` idle buffers.
    #[must_use]
    pub fn new(keep: usize) -> Self {
        Self {
            state: Arc::default(),
            keep,
        }
    }

    /// A buffer of `bytes` bytes for writing. Its content is whatever the last user left: write all of it.
    #[must_use]
    pub fn take(&self, bytes: usize) -> HostBufferMut {
        let found = {
            let mut state = locked(&self.state);
            let position = state
                .idle
                .iter()
                .rposition(|words| words.words.len() == bytes.div_ceil(8));
            let found = position.map(|at| state.idle.swap_remove(at));
            if found.is_some() {
                state.stats.reused += 1;
            } else {
                state.stats.allocated += 1;
            }
            found
        };
        let words = match found {
            Some(mut words) => {
                words.bytes = bytes;
                words
            }
            None => Words::with_len(bytes),
        };
        HostBufferMut {
            words,
            pool: Arc::downgrade(&self.state),
            keep: self.keep,
        }
    }

    /// Counts so far.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        let state = locked(&self.state);
        PoolStats {
            idle: state.idle.len(),
            ..state.stats
        }
    }
}

/// A host buffer that one owner may still write.
pub struct HostBufferMut {
    words: Words,
    pool: Weak<Mutex<PoolState>>,
    keep: usize,
}

impl HostBufferMut {
    /// A buffer outside every pool, zeroed.
    #[must_use]
    pub fn unpooled(bytes: usize) -> Self {
        Self {
            words: Words::with_len(bytes),
            pool: Weak::new(),
            keep: 0,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.words.bytes()
    }

    /// The bytes, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.words.bytes_mut()
    }

    /// The bytes as samples, to write. The buffer is aligned for them; a length that is no multiple loses its tail.
    pub fn samples_mut<T: bytemuck::Pod>(&mut self) -> &mut [T] {
        let bytes = self.words.bytes_mut();
        let whole = bytes.len() - bytes.len() % size_of::<T>();
        bytemuck::cast_slice_mut(&mut bytes[..whole])
    }

    /// Ends writing: from here on the bytes are shared and read-only.
    #[must_use]
    pub fn freeze(self) -> HostBuffer {
        HostBuffer(Arc::new(self))
    }
}

impl Drop for HostBufferMut {
    fn drop(&mut self) {
        if let Some(state) = self.pool.upgrade() {
            let words = std::mem::replace(
                &mut self.words,
                Words {
                    words: Vec::new(),
                    bytes: 0,
                },
            );
            let mut state = locked(&state);
            if state.idle.len() < self.keep {
                state.idle.push(words);
            }
        }
    }
}

impl fmt::Debug for HostBufferMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostBufferMut({} bytes)", self.words.bytes)
    }
}

/// Shared, read-only host bytes; a clone is a reference.
#[derive(Clone, Debug)]
pub struct HostBuffer(Arc<HostBufferMut>);

impl HostBuffer {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// The bytes as samples. The buffer is aligned for them; a length that is no multiple loses its tail.
    #[must_use]
    pub fn samples<T: bytemuck::Pod>(&self) -> &[T] {
        let bytes = self.bytes();
        bytemuck::cast_slice(&bytes[..bytes.len() - bytes.len() % size_of::<T>()])
    }

    /// True when both are the same memory.
    #[must_use]
    pub fn same_memory(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl From<Vec<u8>> for HostBuffer {
    fn from(bytes: Vec<u8>) -> Self {
        let mut buffer = HostBufferMut::unpooled(bytes.len());
        buffer.bytes_mut().copy_from_slice(&bytes);
        buffer.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_last_owner_drops_it() {
        let pool = Pool::new(4);
        let first = pool.take(100).freeze();
        let second = first.clone();
        drop(first);
        assert_eq!(pool.stats().idle, 0);
        drop(second);
        assert_eq!(pool.stats().idle, 1);
        drop(pool.take(97));
        assert_eq!(
            pool.stats(),
            PoolStats {
                allocated: 1,
                reused: 1,
                idle: 1
            }
        );
    }

    #[test]
    fn samples_are_aligned_views_of_the_bytes() {
        let mut buffer = Pool::new(1).take(10);
        buffer.samples_mut::<u16>().copy_from_slice(&[1, 2, 3, 4, 5]);
        assert_eq!(buffer.freeze().samples::<f32>().len(), 2);
    }
}
