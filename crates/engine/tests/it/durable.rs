//! Nothing is lost: whatever fails at whatever step, the same job goes on and ends with the same bytes.

use std::{
    fs::File,
    io::{self, Write},
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use kinora_engine::{
    Block, Control, Cuts, DedupeMode, Disk, DurableJob, EngineError, Event, Events, Found, FrameSource, Halt, Identity,
    JobFolder, JobRecord, JobState, NearLimits, OfflineJob, Opening, PieceMaker, PieceWriter, PieceWritten, Record,
    Report, Store, Who,
};
use kinora_frame::{Frame, Pool};
use kinora_pipeline::{
    Accepts, DependsOn, Descriptor, Item, NoParams, Node, Order, Outputs, Params, Pipeline, Processor, ProcessorError,
    Reset, Restart, Stage, StreamInfo, StreamState,
};
use serde_json::json;

use crate::fakes::{Closure, clock, picture, pipeline, quiet, source, value, work_for};

const LENGTH: u64 = 5;
const FRAMES: u64 = 23;

/// What happens at the n-th call that changes something.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// The process dies before it.
    Kill,
    /// Half of the bytes get through, then the process dies.
    Tear,
    /// The system says this.
    Error(i32),
}

/// The disk with one fault.
struct Faulty {
    calls: AtomicU64,
    at: u64,
    fault: Option<Fault>,
    /// Bytes that are said to be free.
    free: Option<u64>,
    log: Mutex<Vec<&'static str>>,
}

impl Faulty {
    fn new(at: u64, fault: Option<Fault>) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicU64::new(0),
            at,
            fault,
            free: None,
            log: Mutex::default(),
        })
    }

    /// A disk without a fault on which so much is free.
    fn small(free: u64) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicU64::new(0),
            at: 0,
            fault: None,
            free: Some(free),
            log: Mutex::default(),
        })
    }

    fn call(&self, name: &'static str, torn: impl FnOnce()) -> io::Result<()> {
        self.log.lock().unwrap().push(name);
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Some(fault) if number == self.at => match fault {
                Fault::Kill => std::process::abort(),
                Fault::Tear => {
                    torn();
                    std::process::abort()
                }
                Fault::Error(number) => Err(io::Error::from_raw_os_error(number)),
            },
            _ => Ok(()),
        }
    }
}

impl Store for Faulty {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.call("make folder", || {})?;
        Disk.make_folder(path)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.call("append", || Disk.append(path, &bytes[..bytes.len() / 2]).unwrap())?;
        Disk.append(path, bytes)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.call("write", || Disk.write(path, &bytes[..bytes.len() / 2]).unwrap())?;
        Disk.write(path, bytes)
    }

    fn truncate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        self.call("truncate", || {})?;
        Disk.truncate(path, bytes)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.call("sync", || {})?;
        Disk.sync(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.call("sync folder", || {})?;
        Disk.sync_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("rename", || Disk.rename(from, to).unwrap())?;
        Disk.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("rename new", || Disk.rename_new(from, to).unwrap())?;
        Disk.rename_new(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call("remove", || {})?;
        Disk.remove(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.call("remove folder", || {})?;
        Disk.remove_folder(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Disk.read(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(PathBuf, Option<u64>)>> {
        Disk.list(path)
    }

    fn free(&self, path: &Path) -> Option<u64> {
        self.free.or_else(|| Disk.free(path))
    }
}

/// Writes a line a frame.
struct Lines;

struct LinesPiece {
    path: PathBuf,
    file: File,
    frames: u64,
    finished: bool,
}

impl PieceMaker for Lines {
    fn start(&self, path: &Path) -> Result<Box<dyn PieceWriter>, EngineError> {
        Ok(Box::new(LinesPiece {
            path: path.to_path_buf(),
            file: File::create(path).unwrap(),
            frames: 0,
            finished: false,
        }))
    }
}

impl PieceWriter for LinesPiece {
    fn write(&mut self, frame: &Frame) -> Result<(), EngineError> {
        let line = format!("{} {} {}", frame.index, frame.pts.ticks, value(&frame.image));
        writeln!(self.file, "{line}").unwrap();
        self.frames += 1;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<PieceWritten, EngineError> {
        self.finished = true;
        Ok(PieceWritten { frames: self.frames })
    }

    fn halt(&self) -> Halt {
        Arc::new(|| {})
    }
}

impl Drop for LinesPiece {
    fn drop(&mut self) {
        if !self.finished {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What the pictures of the source are: some repeats, no pattern.
fn grey(index: u64) -> u8 {
    (index * index / 3 % 251) as u8
}

fn range_of(range: Range<u64>) -> Result<Box<dyn FrameSource>, EngineError> {
    let end = range.end.min(FRAMES);
    let mut values = source((0..end).map(grey));
    values.at = range.start as usize;
    Ok(Box::new(values))
}

fn job_record(settings: &str) -> JobRecord {
    let identity = Identity::new(json!({"input": "grey", "settings": settings}));
    JobRecord {
        identity: identity.hash(),
        parts: identity.parts().clone(),
        plan: json!({}),
        settings: json!({}),
        version: "0".to_owned(),
        created: "2026".to_owned(),
    }
}

fn who() -> Who {
    Who::this_process("now".to_owned())
}

fn take(
    path: &Path,
    store: Arc<dyn Store>,
    settings: &str,
    opening: &Opening,
) -> Result<(JobFolder, Found), EngineError> {
    JobFolder::open(path, store, &job_record(settings), opening, &who())
}

fn offline(pipeline: Arc<Pipeline>) -> OfflineJob {
    let accepts = Accepts::pixels([kinora_frame::PixelFormat::GRAY8]);
    OfflineJob {
        dedupe: DedupeMode::Exact,
        ..OfflineJob::new(pipeline, accepts, Pool::default())
    }
}

fn halving() -> Closure {
    Closure::new(|_, value| Ok(Some(value / 2)))
}

fn durable(folder: JobFolder, pipeline: Arc<Pipeline>, restart: Restart) -> DurableJob {
    DurableJob {
        offline: offline(pipeline),
        folder: Arc::new(folder),
        cuts: Arc::new(Cuts::counted(LENGTH, 0, Some(FRAMES))),
        maker: Arc::new(Lines),
        restart,
        approximate: false,
        min_free: 0,
        strict_space: false,
        made: json!({}),
    }
}

/// One attempt at the job.
fn attempt(path: &Path, store: Arc<dyn Store>, control: &Control, events: &Events) -> Result<Report, EngineError> {
    let (folder, _) = take(path, store, "a", &Opening::default())?;
    durable(folder, pipeline(halving()), Restart::Stateless).run(&range_of, control, &clock(), events)
}

/// All that the segments hold, in order, and that nothing else lies there.
fn content(path: &Path) -> String {
    let mut names: Vec<String> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("seg-") || name.starts_with("state-"))
        .collect();
    names.sort();
    assert_eq!(names.len() as u64, FRAMES.div_ceil(LENGTH), "{names:?}");
    assert_eq!(std::fs::read_dir(path.join("tmp")).unwrap().count(), 0);
    names
        .iter()
        .map(|name| std::fs::read_to_string(path.join(name)).unwrap())
        .collect()
}

fn clean_run() -> (String, Vec<&'static str>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(0, None);
    let path = folder.path().join("job");
    let report = attempt(&path, store.clone(), &Control::default(), &quiet()).unwrap();
    assert_eq!((report.frames_in, report.frames_out), (FRAMES, FRAMES));
    assert!(report.duplicates > 0);
    let log = store.log.lock().unwrap().clone();
    (content(&path), log)
}

#[test]
fn t36_a_full_or_failing_disk_at_any_step_loses_nothing() {
    let (clean, log) = clean_run();
    // Each segment: sync, rename, sync of the folder, line, sync of the manifest.
    let protocol = ["sync", "rename", "sync folder", "append", "sync"];
    assert!(
        log.windows(5).filter(|calls| *calls == protocol).count() >= 5,
        "{log:?}"
    );
    const ENOSPC: i32 = 28;
    const EIO: i32 = 5;
    for at in 0..log.len() as u64 {
        for number in [ENOSPC, EIO] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("job");
            let fault = Some(Fault::Error(number));
            let found = attempt(&path, Faulty::new(at, fault), &Control::default(), &quiet());
            let error = found.expect_err(&format!("call {at}, {} ended well", log[at as usize]));
            let expected = if number == ENOSPC { "disk.full" } else { "job.io" };
            assert_eq!(error.code(), expected, "call {at}: {error}");
            attempt(&path, Arc::new(Disk), &Control::default(), &quiet()).unwrap();
            assert_eq!(content(&path), clean, "call {at} {number}");
        }
    }
}

/// Runs this test's other half in a process that may die.
fn attempt_elsewhere(path: &Path, at: u64, fault: &str) -> std::process::ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "durable::t35_a_killed_process_loses_nothing", "--nocapture"])
        .env("KINORA_TEST_JOB", path)
        .env("KINORA_TEST_FAULT", format!("{at} {fault}"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap()
}

#[test]
fn t35_a_killed_process_loses_nothing() {
    if let (Some(path), Ok(fault)) = (std::env::var_os("KINORA_TEST_JOB"), std::env::var("KINORA_TEST_FAULT")) {
        let (at, fault) = fault.split_once(' ').unwrap();
        let fault = if fault == "kill" { Fault::Kill } else { Fault::Tear };
        let store = Faulty::new(at.parse().unwrap(), Some(fault));
        let _ = attempt(Path::new(&path), store, &Control::default(), &quiet());
        return;
    }
    let (clean, log) = clean_run();
    for at in 0..log.len() as u64 {
        for fault in ["kill", "tear"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("job");
            assert!(!attempt_elsewhere(&path, at, fault).success(), "call {at} did not kill");
            // And once more while it recovers: the next attempt dies at its own second call.
            attempt_elsewhere(&path, 1, fault);
            attempt(&path, Arc::new(Disk), &Control::default(), &quiet()).unwrap();
            assert_eq!(content(&path), clean, "{fault} at call {at}, {}", log[at as usize]);
        }
    }
}

#[test]
fn t35_a_job_started_twice_says_who_runs_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job");
    let (held, _) = take(&path, Arc::new(Disk), "a", &Opening::default()).unwrap();
    let error = take(&path, Arc::new(Disk), "a", &Opening::default()).unwrap_err();
    assert_eq!(error.code(), "job.locked");
    assert!(
        error.to_string().contains(&format!("process {}", std::process::id())),
        "{error}"
    );
    // A worker of a block does not run beside it either.
    let block = Opening {
        block: Some(Block { k: 0, n: 2 }),
        ..Opening::default()
    };
    assert_eq!(
        take(&path, Arc::new(Disk), "a", &block).unwrap_err().code(),
        "job.locked"
    );
    drop(held);
    let (_worker, _) = take(&path, Arc::new(Disk), "a", &block).unwrap();
    assert_eq!(
        take(&path, Arc::new(Disk), "a", &Opening::default())
            .unwrap_err()
            .code(),
        "job.locked"
    );
    let other = Opening {
        block: Some(Block { k: 1, n: 2 }),
        ..Opening::default()
    };
    take(&path, Arc::new(Disk), "a", &other).unwrap();
}

#[test]
fn another_setting_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job");
    attempt(&path, Arc::new(Disk), &Control::default(), &quiet()).unwrap();
    let error = take(&path, Arc::new(Disk), "b", &Opening::default()).unwrap_err();
    assert_eq!(error.code(), "job.identity");
    assert_eq!(error.cause().unwrap(), "settings   a -> b");
    assert!(error.hint().unwrap().contains("5 finished segments"), "{error:?}");
    let restart = Opening {
        restart: true,
        ..Opening::default()
    };
    let (job, found) = take(&path, Arc::new(Disk), "b", &restart).unwrap();
    assert!(!found.resumed);
    assert!(job.segments().is_empty());
    assert_eq!(content_count(&path), 0);
}

fn content_count(path: &Path) -> usize {
    let entries = std::fs::read_dir(path).unwrap();
    entries
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with("seg-")
        })
        .count()
}

#[test]
fn what_is_not_the_jobs_own_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job");
    std::fs::create_dir_all(path.join("tmp")).unwrap();
    // Somebody's folder is no job, whatever its files are called.
    for foreign in ["notes.txt", "tmp/thesis.doc", "index", "seg-000099.nut"] {
        std::fs::write(path.join(foreign), "x").unwrap();
        let error = take(&path, Arc::new(Disk), "a", &Opening::default()).unwrap_err();
        assert_eq!(error.code(), "job.foreign", "{error}");
        assert!(path.join(foreign).exists());
        std::fs::remove_file(path.join(foreign)).unwrap();
    }
    drop(take(&path, Arc::new(Disk), "a", &Opening::default()).unwrap());
    for name in [
        "notes.txt",
        "seg-1.nut",
        "seg-000099.nut",
        "tmp/seg-000001.7.part.nut",
        "tmp/final.mkv",
        "tmp/mine.txt",
    ] {
        std::fs::write(path.join(name), "x").unwrap();
    }
    let (job, found) = take(&path, Arc::new(Disk), "a", &Opening::default()).unwrap();
    let removed: Vec<&str> = found.removed.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(removed, ["final.mkv", "seg-000001.7.part.nut", "seg-000099.nut"]);
    job.remove().unwrap();
    let left = |path: &Path| -> Vec<String> {
        let names = Disk.list(path).unwrap().into_iter();
        names
            .map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    };
    assert_eq!(left(&path), ["notes.txt", "seg-1.nut", "tmp"]);
    assert_eq!(left(&path.join("tmp")), ["mine.txt"]);
}

#[test]
fn segments_without_a_manifest_are_thrown_away_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job");
    attempt(&path, Arc::new(Disk), &Control::default(), &quiet()).unwrap();
    std::fs::remove_file(path.join("manifest.jsonl")).unwrap();
    let error = take(&path, Arc::new(Disk), "a", &Opening::default()).unwrap_err();
    assert_eq!(error.code(), "job.foreign");
    assert_eq!(content_count(&path), 5);
    let restart = Opening {
        restart: true,
        ..Opening::default()
    };
    take(&path, Arc::new(Disk), "a", &restart).unwrap();
    assert_eq!(content_count(&path), 0);
}

#[test]
fn a_source_that_changes_while_it_is_read_commits_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job");
    let file = folder.path().join("source");
    std::fs::write(&file, "as it was").unwrap();
    let (job, _) = take(&path, Arc::new(Disk), "a", &Opening::default()).unwrap();
    let (changed, from) = (file.clone(), file);
    let work = Closure::new(move |index, value| {
        if index == 12 {
            std::fs::write(&changed, "something else").unwrap();
        }
        Ok(Some(value / 2))
    });
    let open = move |range: Range<u64>| -> Result<Box<dyn FrameSource>, EngineError> {
        let mut values = source((0..range.end.min(FRAMES)).map(grey));
        values.at = range.start as usize;
        values.path.clone_from(&from);
        Ok(Box::new(values))
    };
    let job = durable(job, pipeline(work), Restart::Stateless);
    let error = job.run(&open, &Control::default(), &clock(), &quiet()).unwrap_err();
    assert_eq!(error.code(), "input.changed", "{error}");
    assert!(job.done().0 < 5);
}

#[test]
fn t13_damaged_segments_are_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job");
    let run = || attempt(&path, Arc::new(Disk), &Control::default(), &quiet());
    run().unwrap();
    let clean = content(&path);
    // A shorter file shows by itself, a changed one when hashes are checked.
    std::fs::write(path.join("seg-000001.nut"), "x").unwrap();
    std::fs::remove_file(path.join("seg-000003.nut")).unwrap();
    let report = run().unwrap();
    assert_eq!(report.frames_out, 2 * LENGTH);
    assert_eq!(content(&path), clean);
    let changed = clean.replacen('0', "1", 1);
    std::fs::write(
        path.join("seg-000000.nut"),
        &changed[..std::fs::metadata(path.join("seg-000000.nut")).unwrap().len() as usize],
    )
    .unwrap();
    assert_eq!(run().unwrap().frames_out, 0);
    let verify = Opening {
        verify: true,
        ..Opening::default()
    };
    let (job, found) = take(&path, Arc::new(Disk), "a", &verify).unwrap();
    assert_eq!((found.checked, job.missing(0..5)), (5, std::iter::once(0..1).collect()));
    drop(job);
    run().unwrap();
    assert_eq!(content(&path), clean);
}

#[test]
fn a_damaged_manifest_is_refused_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job");
    attempt(&path, Arc::new(Disk), &Control::default(), &quiet()).unwrap();
    let manifest = path.join("manifest.jsonl");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replacen("\"frames\":5", "\"frames\":6", 1)).unwrap();
    let error = take(&path, Arc::new(Disk), "a", &Opening::default()).unwrap_err();
    assert_eq!(error.code(), "job.manifest");
    assert!(error.to_string().contains("line 3"), "{error}");
}

#[test]
fn a_stop_ends_at_a_cut_and_the_rest_is_made_later() {
    let (clean, _) = clean_run();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job");
    let mut stops = 0;
    loop {
        let control = Control::default();
        let (folder, found) = take(&path, Arc::new(Disk), "a", &Opening::default()).unwrap();
        assert_eq!(found.removed, [], "a stop leaves nothing unfinished");
        let stopper = control.clone();
        let slow = Closure::new(move |index, value| {
            // Once: a second stop would be at once.
            if index % 5 == 2 && stopper.state() == JobState::Running {
                stopper.stop();
            }
            work_for(300);
            Ok(Some(value / 2))
        });
        let job = durable(folder, pipeline(slow), Restart::Stateless);
        match job.run(&range_of, &control, &clock(), &quiet()) {
            Ok(_) => break,
            Err(error) => {
                assert_eq!(error.code(), "job.stopped", "{error}");
                assert!(error.to_string().contains("of 5 segments are safe"), "{error}");
                stops += 1;
            }
        }
        assert!(job.done().0 >= stops, "each stop keeps the segment it was in");
    }
    // What was decoded ahead counts to the segment that is finished.
    assert!(stops >= 1, "{stops}");
    assert_eq!(content(&path), clean);
}

#[test]
fn a_pause_changes_nothing() {
    let (clean, _) = clean_run();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job");
    let control = Control::default();
    let ended = Arc::new(AtomicBool::new(false));
    let (pauser, is_ended) = (control.clone(), Arc::clone(&ended));
    let thread = std::thread::spawn(move || {
        let mut pauses = 0;
        while !is_ended.load(Ordering::SeqCst) {
            pauser.pause();
            work_for(1000);
            pauser.resume();
            work_for(1000);
            pauses += 1;
        }
        pauses
    });
    let (job, _) = take(&path, Arc::new(Disk), "a", &Opening::default()).unwrap();
    let slow = Closure::new(|_, value| {
        work_for(1000);
        Ok(Some(value / 2))
    });
    durable(job, pipeline(slow), Restart::Stateless)
        .run(&range_of, &control, &clock(), &quiet())
        .unwrap();
    ended.store(true, Ordering::SeqCst);
    assert!(thread.join().unwrap() > 2);
    assert_eq!(content(&path), clean);
}

/// A processor whose result depends on all frames before, or on the last two.
struct Sum {
    descriptor: Descriptor,
}

impl Sum {
    fn new(restart: Restart) -> Self {
        let accepts = Accepts::pixels([kinora_frame::PixelFormat::GRAY8]);
        Self {
            descriptor: Descriptor {
                order: Order::InOrder,
                depends_on: DependsOn::History,
                restart,
                ..Descriptor::plain("sum", "a test's own work", Stage::Generation, accepts)
            },
        }
    }
}

struct History {
    all: u64,
    last: [u8; 2],
}

impl StreamState for History {
    fn reset(&mut self, _why: Reset) {
        *self = Self { all: 0, last: [0; 2] };
    }

    fn save(&self) -> Result<Option<Vec<u8>>, ProcessorError> {
        Ok(Some([self.all.to_le_bytes().as_slice(), &self.last].concat()))
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), ProcessorError> {
        self.all = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        self.last = bytes[8..].try_into().unwrap();
        Ok(())
    }
}

impl Processor for Sum {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn open(&self, _stream: &StreamInfo, _params: &Params) -> Result<Box<dyn StreamState>, ProcessorError> {
        Ok(Box::new(History { all: 0, last: [0; 2] }))
    }

    fn process(&self, items: &mut [Item<'_>], out: &mut Outputs) -> Result<(), ProcessorError> {
        for item in items {
            let mut context = item.context.take().unwrap();
            let any: &mut dyn std::any::Any = item.state;
            let history = any.downcast_mut::<History>().unwrap();
            let now = value(&context.frame.image);
            history.all = history.all.wrapping_mul(31).wrapping_add(u64::from(now));
            let recent = now
                .wrapping_add(history.last[0].wrapping_mul(3))
                .wrapping_add(history.last[1]);
            history.last = [now, history.last[0]];
            let shown = match self.descriptor.restart {
                Restart::Saved => history.all as u8,
                _ => recent,
            };
            context.frame.image = picture(shown);
            out.push(item.stream, context);
        }
        Ok(())
    }
}

fn sum(restart: Restart) -> Arc<Pipeline> {
    let params = Params::parse::<NoParams>("sum", &serde_json::Map::new()).unwrap();
    let node = Node {
        id: "sum".to_owned(),
        processor: Arc::new(Sum::new(restart)),
        params,
    };
    Arc::new(Pipeline::new(vec![node]).unwrap())
}

fn run_sum(path: &Path, restart: Restart, block: Option<Block>) -> Result<Report, EngineError> {
    let opening = Opening {
        block,
        ..Opening::default()
    };
    let (folder, _) = take(path, Arc::new(Disk), "sum", &opening)?;
    durable(folder, sum(restart), restart).run(&range_of, &Control::default(), &clock(), &quiet())
}

#[test]
fn one_worker_and_four_make_the_same_segments() {
    let exact = Restart::Warmup { frames: 2, exact: true };
    for restart in [exact, Restart::Saved] {
        let folder = tempfile::tempdir().unwrap();
        let (one, four) = (folder.path().join("one"), folder.path().join("four"));
        run_sum(&one, restart, None).unwrap();
        // Those with a saved state must run in order; the others in any.
        let order = if restart == Restart::Saved {
            [0, 1, 2, 3]
        } else {
            [3, 1, 0, 2]
        };
        for k in order {
            run_sum(&four, restart, Some(Block { k, n: 4 })).unwrap();
        }
        let names = |path: &Path| -> Vec<(String, Vec<u8>)> {
            let files = Disk
                .list(path)
                .unwrap()
                .into_iter()
                .filter(|(_, bytes)| bytes.is_some());
            files
                .map(|(path, _)| {
                    (
                        path.file_name().unwrap().to_string_lossy().into_owned(),
                        std::fs::read(path).unwrap(),
                    )
                })
                .filter(|(name, _)| name.starts_with("seg-") || name.starts_with("state-"))
                .collect()
        };
        assert_eq!(names(&one), names(&four), "{restart:?}");
        // The job's only worker finds nothing left to do in the folder of the four.
        assert_eq!(run_sum(&four, restart, None).unwrap().frames_out, 0);
    }
}

#[test]
fn near_duplicates_do_not_reach_over_a_cut() {
    // Half a level a frame: which frame stands for which depends on where the first one is.
    let ramp = |range: Range<u64>| -> Result<Box<dyn FrameSource>, EngineError> {
        let mut values = source((0..range.end.min(FRAMES)).map(|index| 100 + (index / 2) as u8));
        values.at = range.start as usize;
        Ok(Box::new(values))
    };
    let make = |path: &Path, block: Option<Block>| {
        let opening = Opening {
            block,
            ..Opening::default()
        };
        let (folder, _) = take(path, Arc::new(Disk), "near", &opening).unwrap();
        let mut job = durable(folder, pipeline(halving()), Restart::Stateless);
        job.offline.dedupe = DedupeMode::Near(NearLimits::default());
        job.run(&ramp, &Control::default(), &clock(), &quiet()).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let (one, many) = (folder.path().join("one"), folder.path().join("many"));
    let duplicates = make(&one, None).duplicates;
    let alone: u64 = [4, 2, 0, 3, 1]
        .map(|k| make(&many, Some(Block { k, n: 5 })).duplicates)
        .iter()
        .sum();
    assert_eq!(make(&many, None).frames_out, 0, "nothing is left");
    assert_eq!(content(&one), content(&many));
    assert!(duplicates > FRAMES / 2 && duplicates == alone, "{duplicates} {alone}");
}

#[test]
fn a_worker_says_what_it_waits_for_and_what_it_will_not_do() {
    let folder = tempfile::tempdir().unwrap();
    let second = Some(Block { k: 1, n: 2 });
    let error = run_sum(&folder.path().join("saved"), Restart::Saved, second).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().contains("segment 1")),
        ("job.state", true),
        "{error}"
    );
    let inexact = Restart::Warmup {
        frames: 2,
        exact: false,
    };
    let error = run_sum(&folder.path().join("inexact"), inexact, second).unwrap_err();
    assert_eq!(error.code(), "job.warmup");
}

#[test]
fn records_of_one_segment_that_differ_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job");
    let block = |k| Some(Block { k, n: 2 });
    run_sum(&path, Restart::Warmup { frames: 2, exact: true }, block(0)).unwrap();
    let text = std::fs::read_to_string(path.join("manifest-0000-of-0002.jsonl")).unwrap();
    let (folder, _) = take(
        &path,
        Arc::new(Disk),
        "sum",
        &Opening {
            block: block(1),
            ..Opening::default()
        },
    )
    .unwrap();
    let mut record = folder.segments()[&0].clone();
    record.blake3 = "0".repeat(64);
    folder.commit(record, None, None).unwrap();
    drop(folder);
    assert!(!text.is_empty());
    let error = take(&path, Arc::new(Disk), "sum", &Opening::default()).unwrap_err();
    assert_eq!(error.code(), "job.manifest");
    assert!(error.to_string().contains("segment 0"), "{error}");
}

#[test]
fn a_name_that_leads_out_of_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job");
    let (job, _) = take(&path, Arc::new(Disk), "a", &Opening::default()).unwrap();
    let record = kinora_engine::SegmentRecord {
        index: 0,
        span: [0, 5],
        frames: 5,
        duplicates: 0,
        times: None,
        file: Some("../seg-000000.nut".to_owned()),
        bytes: 0,
        blake3: String::new(),
        state: None,
        made: json!({}),
    };
    job.commit(record, None, None).unwrap();
    drop(job);
    let error = take(&path, Arc::new(Disk), "a", &Opening::default()).unwrap_err();
    assert_eq!(error.code(), "job.manifest");
    assert!(error.to_string().contains("../seg-000000.nut"), "{error}");
}

#[test]
fn events_name_every_segment_and_frames_of_earlier_runs_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job");
    run_sum(
        &path,
        Restart::Warmup { frames: 2, exact: true },
        Some(Block { k: 0, n: 2 }),
    )
    .unwrap();
    let seen: Arc<Mutex<Vec<Event>>> = Arc::default();
    let events: Events = {
        let seen = Arc::clone(&seen);
        Arc::new(move |event| seen.lock().unwrap().push(event))
    };
    let (folder, found) = take(&path, Arc::new(Disk), "sum", &Opening::default()).unwrap();
    assert!(found.resumed);
    let restart = Restart::Warmup { frames: 2, exact: true };
    let job = durable(folder, sum(restart), restart);
    job.tell_resume(0, &events);
    job.run(&range_of, &Control::default(), &clock(), &events).unwrap();
    let seen = seen.lock().unwrap();
    assert!(matches!(
        seen[0],
        Event::Resumed {
            segments_done: 2,
            segments: Some(5),
            frames_done: 10,
            ..
        }
    ));
    let made: Vec<u64> = seen
        .iter()
        .filter_map(|event| match event {
            Event::Segment(record) => Some(record.index),
            _ => None,
        })
        .collect();
    assert_eq!(made, [2, 3, 4]);
    let last = seen.iter().rev().find_map(|event| match event {
        Event::Progress { snapshot, .. } => Some(*snapshot),
        _ => None,
    });
    let last = last.unwrap();
    assert_eq!(
        (last.frames_done, last.frames_total, last.percent),
        (FRAMES, FRAMES, 100.0)
    );
}

#[test]
fn a_job_that_cannot_spare_the_reserve_stops_before_it_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let (job, _) = take(&folder.path().join("job"), Arc::new(Disk), "a", &Opening::default()).unwrap();
    let mut job = durable(job, pipeline(halving()), Restart::Stateless);
    job.min_free = u64::MAX;
    let error = job.run(&range_of, &Control::default(), &clock(), &quiet()).unwrap_err();
    assert_eq!(error.code(), "disk.full");
}

#[test]
fn a_disk_that_will_not_hold_the_job_is_said_once_the_first_segment_is_done() {
    for (free, strict, expected) in [(50, false, "warned"), (50, true, "refused"), (1 << 20, true, "silent")] {
        let folder = tempfile::tempdir().unwrap();
        let store = Faulty::small(free);
        let (job, _) = take(&folder.path().join("job"), store, "a", &Opening::default()).unwrap();
        let mut job = durable(job, pipeline(halving()), Restart::Stateless);
        job.strict_space = strict;
        let warned = Arc::new(AtomicBool::new(false));
        let events: Events = {
            let warned = Arc::clone(&warned);
            Arc::new(move |event| {
                if matches!(event, Event::Warning { code: "disk.short", .. }) {
                    warned.store(true, Ordering::SeqCst);
                }
            })
        };
        let ran = job.run(&range_of, &Control::default(), &clock(), &events);
        let found = match (&ran, warned.load(Ordering::SeqCst)) {
            (Err(error), false) if error.code() == "disk.full" => "refused",
            (Ok(_), true) => "warned",
            (Ok(_), false) => "silent",
            _ => "something else",
        };
        assert_eq!(found, expected, "{ran:?}");
        assert!(job.done().0 > 0);
    }
}

#[test]
fn a_cut_off_source_is_committed_and_said_each_time_until_it_is_salvaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job");
    let cut_off = |range: Range<u64>| -> Result<Box<dyn FrameSource>, EngineError> {
        let mut values = source((0..12).map(grey));
        values.at = range.start as usize;
        values.completeness = kinora_engine::Completeness::Truncated {
            expected: FRAMES,
            at: "0:12".to_owned(),
            total: "0:23".to_owned(),
        };
        Ok(Box::new(values))
    };
    for _ in 0..2 {
        let (folder, _) = take(&path, Arc::new(Disk), "a", &Opening::default()).unwrap();
        let job = durable(folder, pipeline(halving()), Restart::Stateless);
        let error = job.run(&cut_off, &Control::default(), &clock(), &quiet()).unwrap_err();
        assert!(
            matches!(
                error,
                EngineError::Truncated {
                    frames: 12,
                    expected: FRAMES,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(job.done(), (3, Some(3)));
    }
    let (folder, _) = take(&path, Arc::new(Disk), "a", &Opening::default()).unwrap();
    let mut job = durable(folder, pipeline(halving()), Restart::Stateless);
    job.offline.salvage = true;
    assert_eq!(
        job.run(&cut_off, &Control::default(), &clock(), &quiet())
            .unwrap()
            .frames_out,
        0
    );
    assert_eq!(job.folder.segments()[&2].frames, 2);
}

#[test]
fn records_are_read_back_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job");
    attempt(&path, Arc::new(Disk), &Control::default(), &quiet()).unwrap();
    let job = JobFolder::peek(&path, &Disk).unwrap();
    assert_eq!(job, job_record("a"));
    let text = serde_json::to_string(&Record::Job(Box::new(job.clone()))).unwrap();
    assert_eq!(
        serde_json::from_str::<Record>(&text).unwrap(),
        Record::Job(Box::new(job))
    );
    let nothing = JobFolder::peek(folder.path(), &Disk).unwrap_err();
    assert_eq!(nothing.code(), "job.missing");
}
