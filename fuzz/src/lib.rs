//! What every fuzz target has: a bound on the memory that an input may take, and a folder for readers of files.
//!
//! The bodies stand in the crates themselves (`src/fuzz.rs`), where the tests call them too.
// Sound: every call goes to the system's allocator as it came; beside it only numbers are counted.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub use libfuzzer_sys;

/// Memory that any input may take, unless a target says otherwise: buffers of fixed size and tables.
pub const FLOOR: usize = 16 << 20;
/// Memory that each byte of an input may take beyond that.
const PER_BYTE: usize = 256;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grown(by: usize) {
    PEAK.fetch_max(LIVE.fetch_add(by, Relaxed) + by, Relaxed);
}

// SAFETY: forwards to `System` with the caller's own arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grown(size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A folder of this process; `scripts/fuzz.py` says where temporary folders go, and removes them.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("kinora-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the inputs");
    folder
});

/// Runs a body on an input and compares the memory it took with the bound.
pub fn run(bytes: &[u8], floor: usize, body: impl FnOnce(&[u8], &Path)) {
    let folder = FOLDER.as_path();
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    body(bytes, folder);
    let took = PEAK.load(Relaxed).saturating_sub(before);
    let bound = floor + PER_BYTE * bytes.len();
    assert!(took <= bound, "{took} bytes were taken for an input of {}", bytes.len());
}

/// The `main` of a target: a body that takes bytes, or bytes and a folder; then the memory that any input may take.
#[macro_export]
macro_rules! target {
    ($body:path) => {
        $crate::target!(@ $crate::FLOOR, |bytes, _folder| $body(bytes));
    };
    ($body:path, folder) => {
        $crate::target!($body, folder, $crate::FLOOR);
    };
    ($body:path, folder, $floor:expr) => {
        $crate::target!(@ $floor, |bytes, folder| $body(bytes, folder));
    };
    (@ $floor:expr, |$bytes:ident, $folder:ident| $call:expr) => {
        $crate::libfuzzer_sys::fuzz_target!(|input: &[u8]| $crate::run(input, $floor, |$bytes, $folder| $call));
    };
}
