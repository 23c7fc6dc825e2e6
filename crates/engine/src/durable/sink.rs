use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use kinora_frame::{Frame, Timestamp};
use serde_json::Value as Json;

use super::{Cuts, JobFolder, PieceMaker, PieceWriter, SavedStates, SegmentRecord, SegmentTimes};
use crate::{EngineError, Event, Events, FrameSink, Halt, SinkReport};

/// What all segments of a run have in common.
pub(super) struct Segments {
    pub(super) folder: Arc<JobFolder>,
    pub(super) cuts: Arc<Cuts>,
    pub(super) maker: Arc<dyn PieceMaker>,
    /// States at the ends of segments, where a node needs one to go on.
    pub(super) states: Option<Arc<SavedStates>>,
    /// Bytes that stay free on the disk.
    pub(super) min_free: u64,
    /// An estimate above what is free is an error.
    pub(super) strict_space: bool,
    pub(super) events: Events,
    /// The source's file as it was when the run began.
    pub(super) source: Option<(PathBuf, Stamp)>,
    /// Device and batch.
    pub(super) made: Json,
}

/// Length and time of the last change of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u64, Option<std::time::SystemTime>);

impl Stamp {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let about = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some(Self(about.len(), about.modified().ok()))
    }
}

/// Frames into segments, each committed as soon as it is whole, while the next one is being encoded.
pub(super) struct SegmentSink {
    about: Arc<Segments>,
    /// Segments that are wanted; frames before them are there for warming up.
    wanted: Range<u64>,
    next: u64,
    open: Option<Open>,
    committing: Option<JoinHandle<Result<(), EngineError>>>,
    halts: Arc<Halts>,
    frames: u64,
    bytes: Arc<AtomicU64>,
}

/// The segment that is being written.
struct Open {
    segment: u64,
    path: PathBuf,
    writer: Box<dyn PieceWriter>,
    frames: u64,
    duplicates: u64,
    first: Timestamp,
    last: Timestamp,
}

/// Everything that may block, of one or two encoders.
#[derive(Default)]
struct Halts {
    halted: AtomicBool,
    all: Mutex<Vec<Halt>>,
}

impl Halts {
    fn add(&self, halt: Halt) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // One being written and one being ended at most.
        if all.len() > 1 {
            all.remove(0);
        }
        if self.halted.load(Ordering::Acquire) {
            halt();
        }
        all.push(halt);
    }

    fn halt(&self) {
        self.halted.store(true, Ordering::Release);
        for halt in self.all.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            halt();
        }
    }
}

impl SegmentSink {
    pub(super) fn new(about: Arc<Segments>, wanted: Range<u64>) -> Self {
        Self {
            about,
            next: wanted.start,
            wanted,
            open: None,
            committing: None,
            halts: Arc::default(),
            frames: 0,
            bytes: Arc::default(),
        }
    }

    fn begin(&mut self, segment: u64, frame: &Frame) -> Result<Open, EngineError> {
        let Segments {
            folder,
            maker,
            min_free,
            ..
        } = self.about.as_ref();
        if let Some(free) = folder.store().free(folder.path())
            && free < *min_free
        {
            return Err(EngineError::DiskReserve {
                folder: folder.path().to_path_buf(),
                segment,
                free,
                keep: *min_free,
            });
        }
        // The name is this process's own: an encoder that outlives a killed one writes into another file.
        let path = folder
            .tmp()
            .join(format!("seg-{segment:06}.{}.nut", std::process::id()));
        let writer = maker.start(&path)?;
        self.halts.add(writer.halt());
        Ok(Open {
            segment,
            path,
            writer,
            frames: 0,
            duplicates: 0,
            first: frame.pts,
            last: frame.pts,
        })
    }

    /// Ends the open segment and commits it on a thread of its own. One at a time: a disk that is slower than the
    /// network holds the network back.
    fn close(&mut self) -> Result<(), EngineError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        self.settle()?;
        self.next = open.segment + 1;
        let about = Arc::clone(&self.about);
        let bytes = Arc::clone(&self.bytes);
        let name = "kinora-commit".to_owned();
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || commit(&about, open, &bytes));
        self.committing = Some(thread.map_err(|error| EngineError::Thread {
            lane: "commit",
            cause: error.to_string(),
        })?);
        Ok(())
    }

    /// Waits for the commit under way.
    fn settle(&mut self) -> Result<(), EngineError> {
        let Some(thread) = self.committing.take() else {
            return Ok(());
        };
        thread.join().unwrap_or_else(|_| {
            Err(EngineError::Panic {
                lane: "commit",
                message: "a segment could not be put in its place".to_owned(),
            })
        })
    }

    /// Records segments in which no frame decoded.
    fn skip_to(&mut self, segment: u64) -> Result<(), EngineError> {
        if self.next < segment {
            self.settle()?;
        }
        for empty in self.next..segment {
            let state = self.about.states.as_ref().and_then(|states| states.take(empty));
            let record = record(&self.about, empty, 0, 0, None);
            let record = self.about.folder.commit(record, None, state.as_deref())?;
            (self.about.events)(Event::Segment(record));
        }
        self.next = self.next.max(segment);
        Ok(())
    }
}

fn record(about: &Segments, index: u64, frames: u64, duplicates: u64, times: Option<SegmentTimes>) -> SegmentRecord {
    let span = about.cuts.frames(index);
    SegmentRecord {
        index,
        span: [span.start, span.end],
        frames,
        duplicates,
        times,
        file: None,
        bytes: 0,
        blake3: String::new(),
        state: None,
        made: about.made.clone(),
    }
}

fn commit(about: &Segments, open: Open, bytes: &AtomicU64) -> Result<(), EngineError> {
    let Open {
        segment,
        path,
        writer,
        frames,
        duplicates,
        first,
        last,
    } = open;
    let written = writer.finish()?;
    if let Some((source, stamp)) = &about.source
        && Stamp::of(source) != Some(*stamp)
    {
        return Err(EngineError::InputChanged { path: source.clone() });
    }
    if written.frames != frames {
        return Err(EngineError::Count {
            taken: frames,
            given: written.frames,
            planned: frames,
        });
    }
    let times = SegmentTimes {
        first: first.ticks,
        last: last.ticks,
        base: [first.base.num(), first.base.den()],
    };
    let record = record(about, segment, frames, duplicates, Some(times));
    let state = about.states.as_ref().and_then(|states| states.take(segment));
    let record = about.folder.commit(record, Some(&path), state.as_deref())?;
    if bytes.fetch_add(record.bytes, Ordering::Relaxed) == 0 {
        check_space(about, &record)?;
    }
    (about.events)(Event::Segment(record));
    Ok(())
}

/// From the first segment of a run: whether the rest, and the final file beside the segments, will find room.
fn check_space(about: &Segments, first: &SegmentRecord) -> Result<(), EngineError> {
    let (folder, cuts) = (&about.folder, &about.cuts);
    let (Some(free), Some(end)) = (folder.store().free(folder.path()), cuts.end()) else {
        return Ok(());
    };
    let all = end.saturating_sub(cuts.first());
    let done: u64 = folder.segments().values().map(|record| record.frames).sum();
    let frames = all.saturating_sub(done).saturating_add(all);
    // A third more: later scenes may be busier.
    let needed = u128::from(frames) * u128::from(first.bytes) * 4 / 3 / u128::from(first.frames.max(1));
    let needed = u64::try_from(needed).unwrap_or(u64::MAX).saturating_add(about.min_free);
    if needed <= free {
        return Ok(());
    }
    if about.strict_space {
        return Err(EngineError::DiskShort {
            folder: folder.path().to_path_buf(),
            needed,
            free,
        });
    }
    (about.events)(Event::Warning {
        code: "disk.short",
        message: format!(
            "the disk may not hold this job: about {needed} bytes are needed where {} lies, {free} are free",
            folder.path().display()
        ),
    });
    Ok(())
}

impl FrameSink for SegmentSink {
    fn write(&mut self, frame: &Frame, repeats: bool) -> Result<(), EngineError> {
        let segment = self.about.cuts.of(frame.index, frame.pts);
        if !self.wanted.contains(&segment) {
            return Ok(());
        }
        if self.committing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.settle()?;
        }
        if self.open.as_ref().is_some_and(|open| open.segment != segment) {
            self.close()?;
        }
        if self.open.is_none() {
            self.skip_to(segment)?;
            self.open = Some(self.begin(segment, frame)?);
        }
        if let Some(open) = &mut self.open {
            open.writer.write(frame)?;
            open.frames += 1;
            open.duplicates += u64::from(repeats);
            open.last = frame.pts;
            self.frames += 1;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<SinkReport, EngineError> {
        self.close()?;
        self.settle()?;
        Ok(SinkReport {
            path: self.about.folder.path().to_path_buf(),
            frames: self.frames,
            bytes: self.bytes.load(Ordering::Relaxed),
            notes: Vec::new(),
        })
    }

    fn keeps_pieces(&self) -> bool {
        true
    }

    fn halt(&self) -> Halt {
        let halts = Arc::clone(&self.halts);
        Arc::new(move || halts.halt())
    }
}

impl Drop for SegmentSink {
    fn drop(&mut self) {
        // The open one is lost; the one that is being committed is whole, and waited for.
        drop(self.open.take());
        let _ = self.settle();
    }
}
