//! Child processes with an owner: started from a list of arguments, watched, and ended when the owner is dropped.

use std::{
    collections::VecDeque,
    ffi::OsString,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, poll};

use crate::{MediaError, activity::Activity};

/// Bytes of stderr that are kept: the last ones.
pub(crate) const LOG_BYTES: usize = 64 << 10;
/// Lines of stderr that an error shows.
const LAST_LINES: usize = 20;
/// Pipe size asked for; the kernel may give less.
const PIPE_BYTES: usize = 1 << 20;
/// Environment that a child keeps; everything else is cleared. Besides programs and libraries it is where temporary files
/// go and which device and driver a hardware encoder takes.
const KEPT_ENVIRONMENT: [&str; 11] = [
    "PATH",
    "HOME",
    "LD_LIBRARY_PATH",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "LIBVA_DRIVER_NAME",
    "LIBVA_DRIVERS_PATH",
    "ROCR_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
];

/// Messages and numbers are read: always those of the C locale.
const LOCALE: (&str, &str) = ("LC_ALL", "C");

/// Tells glibc to keep what a child frees: a raw picture is megabytes, and giving each back to the kernel and faulting the
/// next one in costs more than copying it. Other allocators do not read these.
const KEEP_FREED_MEMORY: [(&str, &str); 2] = [
    ("MALLOC_MMAP_THRESHOLD_", "1073741824"),
    ("MALLOC_TRIM_THRESHOLD_", "268435456"),
];

/// The whole environment of a child, from what `ours` answers.
fn environment(ours: impl Fn(&str) -> Option<OsString>) -> Vec<(&'static str, OsString)> {
    let kept = KEPT_ENVIRONMENT.iter().filter_map(|name| Some((*name, ours(name)?)));
    let fixed = KEEP_FREED_MEMORY.iter().chain([&LOCALE]);
    kept.chain(fixed.map(|(name, value)| (*name, (*value).into())))
        .collect()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends work from another thread: kills every child process that was started under it, and refuses new ones.
/// A clone is the same handle; one may serve a decoder, an encoder or a whole job.
#[derive(Clone, Default, Debug)]
pub struct Stop(Arc<StopState>);

#[derive(Default, Debug)]
struct StopState {
    stopped: AtomicBool,
    children: Mutex<Vec<Weak<Owned>>>,
}

impl Stop {
    /// Ends all work under this handle. Idempotent; returns at once.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        for child in locked(&self.0.children).drain(..) {
            if let Some(child) = child.upgrade() {
                child.kill();
            }
        }
    }

    /// True once [`Stop::stop`] was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    fn adopt(&self, child: &Arc<Owned>) {
        let mut children = locked(&self.0.children);
        children.retain(|child| child.strong_count() > 0);
        children.push(Arc::downgrade(child));
        drop(children);
        if self.is_stopped() {
            child.kill();
        }
    }
}

/// The process itself: killed only while it is not yet reaped, so that its number cannot have been given away.
#[derive(Debug)]
struct Owned {
    pid: u32,
    child: Mutex<Option<Child>>,
    log: Mutex<Log>,
}

impl Owned {
    fn kill(&self) {
        let mut child = locked(&self.child);
        if let Some(child) = child.as_mut() {
            if let Some(group) = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw) {
                // The whole group: whatever the child started ends with it. It may have ended by itself.
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = child.kill();
        }
    }

    fn reap(&self) -> Option<ExitStatus> {
        locked(&self.child).take()?.wait().ok()
    }
}

/// The last bytes of a child's stderr.
#[derive(Debug, Default)]
struct Log {
    bytes: VecDeque<u8>,
    keep: usize,
}

impl Log {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let excess = self.bytes.len().saturating_sub(self.keep);
        self.bytes.drain(..excess);
    }

    fn text(&self) -> String {
        let (front, back) = self.bytes.as_slices();
        String::from_utf8_lossy(&[front, back].concat()).into_owned()
    }
}

/// Called with each line of a child's stderr; a line it answers `false` to is not kept.
pub(crate) type LineFilter = Box<dyn FnMut(&str) -> bool + Send>;

/// What to start.
pub(crate) struct Start<'a> {
    pub(crate) program: &'a Path,
    pub(crate) args: Vec<OsString>,
    /// For error texts.
    pub(crate) task: &'static str,
    pub(crate) stdin: bool,
    pub(crate) stop: &'a Stop,
    /// Longest time without a byte from or to the child.
    pub(crate) stall: Duration,
    /// A child that is at work by its processor time and bytes may be silent for longer: one that encodes, or that copies a
    /// whole film.
    pub(crate) patient: bool,
    pub(crate) log_bytes: usize,
    pub(crate) lines: Option<LineFilter>,
    /// Most bytes of address space, where the system can hold a process to it.
    pub(crate) memory: Option<u64>,
}

impl<'a> Start<'a> {
    pub(crate) fn new(program: &'a Path, task: &'static str, stop: &'a Stop, stall: Duration) -> Self {
        Self {
            program,
            args: Vec::new(),
            task,
            stdin: false,
            stop,
            stall,
            patient: false,
            log_bytes: LOG_BYTES,
            lines: None,
            memory: None,
        }
    }

    pub(crate) fn spawn(self) -> Result<ChildProcess, MediaError> {
        if self.stop.is_stopped() {
            return Err(MediaError::Stopped);
        }
        let mut command = Command::new(self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(environment(|name| std::env::var_os(name)))
            .stdin(if self.stdin { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().map_err(|source| MediaError::ToolBroken {
            path: self.program.to_path_buf(),
            cause: source.to_string(),
        })?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let owned = Arc::new(Owned {
            pid: child.id(),
            child: Mutex::new(Some(child)),
            log: Mutex::new(Log {
                bytes: VecDeque::new(),
                keep: self.log_bytes,
            }),
        });
        if let Some(bytes) = self.memory {
            limit_memory(owned.pid, bytes);
        }
        self.stop.adopt(&owned);
        let log = stderr.map(|stderr| {
            let owned = Arc::clone(&owned);
            let lines = self.lines;
            std::thread::spawn(move || drain(stderr, &owned, lines))
        });
        let patience = Patience {
            stall: self.stall,
            group: self.patient.then_some(owned.pid),
        };
        Ok(ChildProcess {
            stdin: stdin.map(|pipe| Pipe::new(pipe, patience)),
            stdout: stdout.map(|pipe| Pipe::new(pipe, patience)),
            owned,
            log,
            task: self.task,
            patience,
            stop: self.stop.clone(),
        })
    }

    /// Runs to the end with stdout collected up to `most` bytes.
    pub(crate) fn capture(self, most: usize) -> Result<Captured, MediaError> {
        let mut child = self.spawn()?;
        let mut stdout = Vec::new();
        if let Some(pipe) = child.stdout.as_mut()
            && let Err(source) = pipe.take(most as u64).read_to_end(&mut stdout)
        {
            return Err(child.failure(&source));
        }
        child.stdout = None;
        let status = child.finish()?;
        Ok(Captured {
            status,
            stdout,
            log: child.log_text(),
        })
    }
}

#[cfg(target_os = "linux")]
fn limit_memory(pid: u32, bytes: u64) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let limit = Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    // A limit that the system refuses leaves the child as it is: the pixel limit was checked before.
    let _ = prlimit(i32::try_from(pid).ok().and_then(Pid::from_raw), Resource::As, limit);
}

#[cfg(not(target_os = "linux"))]
fn limit_memory(_pid: u32, _bytes: u64) {}

/// What a finished child left.
pub(crate) struct Captured {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) log: String,
}

fn drain(mut stderr: impl Read, owned: &Owned, mut lines: Option<LineFilter>) {
    let mut chunk = [0u8; 4096];
    let mut line = Vec::new();
    loop {
        match stderr.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                let Some(filter) = lines.as_mut() else {
                    locked(&owned.log).push(&chunk[..count]);
                    continue;
                };
                for &byte in &chunk[..count] {
                    line.push(byte);
                    // A line that never ends is cut, so that a flood takes no memory.
                    if byte == b'\n' || line.len() >= LOG_BYTES {
                        if filter(&String::from_utf8_lossy(&line)) {
                            locked(&owned.log).push(&line);
                        }
                        line.clear();
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    if lines
        .as_mut()
        .is_none_or(|filter| filter(&String::from_utf8_lossy(&line)))
    {
        locked(&owned.log).push(&line);
    }
}

/// A running child process. Dropping it kills its process group and reaps it.
pub(crate) struct ChildProcess {
    pub(crate) stdin: Option<Pipe<ChildStdin>>,
    pub(crate) stdout: Option<Pipe<ChildStdout>>,
    owned: Arc<Owned>,
    log: Option<JoinHandle<()>>,
    task: &'static str,
    patience: Patience,
    stop: Stop,
}

impl ChildProcess {
    /// Waits for the end and reaps; after it the log is whole.
    pub(crate) fn finish(&mut self) -> Result<ExitStatus, MediaError> {
        self.stdin = None;
        if !wait_exit(self.owned.pid, self.patience) {
            self.owned.kill();
            self.reap();
            return Err(self.stalled());
        }
        match self.reap() {
            _ if self.stop.is_stopped() => Err(MediaError::Stopped),
            Some(status) => Ok(status),
            None => Err(self.failed("no status".to_owned())),
        }
    }

    /// Kills the process group and reaps.
    pub(crate) fn kill(&mut self) {
        self.owned.kill();
        self.reap();
    }

    fn reap(&mut self) -> Option<ExitStatus> {
        let status = self.owned.reap();
        if let Some(log) = self.log.take() {
            let _ = log.join();
        }
        status
    }

    /// The typed error of a failed read or write on a pipe of this child, which it ends.
    pub(crate) fn failure(&mut self, source: &io::Error) -> MediaError {
        if self.stop.is_stopped() {
            self.kill();
            return MediaError::Stopped;
        }
        if source.kind() == io::ErrorKind::TimedOut {
            self.kill();
            return self.stalled();
        }
        // A broken pipe means that the child has ended or is about to: its status and last lines tell why.
        match self.finish() {
            Ok(status) => self.failed(status.to_string()),
            Err(error) => error,
        }
    }

    pub(crate) fn failed(&self, status: String) -> MediaError {
        MediaError::ToolFailed {
            task: self.task,
            status,
            last_lines: self.last_lines(),
        }
    }

    fn stalled(&self) -> MediaError {
        MediaError::ToolStalled {
            task: self.task,
            seconds: self.patience.stall.as_secs(),
            last_lines: self.last_lines(),
        }
    }

    pub(crate) fn log_text(&self) -> String {
        locked(&self.owned.log).text()
    }

    pub(crate) fn last_lines(&self) -> String {
        last_lines(&self.log_text())
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.stdin = None;
        self.stdout = None;
        self.kill();
    }
}

/// The last lines of a log, without the addresses that FFmpeg puts before them.
pub(crate) fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

#[cfg(target_os = "linux")]
fn wait_exit(pid: u32, patience: Patience) -> bool {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return true;
    };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => patience.wait(handle.as_fd(), PollFlags::IN).unwrap_or(true),
        // It has been reaped, or the kernel is too old to say: waiting in the ordinary way ends either.
        Err(_) => true,
    }
}

#[cfg(not(target_os = "linux"))]
fn wait_exit(_pid: u32, _patience: Patience) -> bool {
    true
}

/// How long to wait for a child.
#[derive(Clone, Copy)]
struct Patience {
    stall: Duration,
    /// Process group that is waited for as long as it works.
    group: Option<u32>,
}

impl Patience {
    /// False when the time is up.
    fn wait(self, fd: BorrowedFd<'_>, flags: PollFlags) -> io::Result<bool> {
        let Some(group) = self.group else {
            return ready(fd, flags, self.stall);
        };
        // Most waits are over at once: what the group does is looked at only after a while.
        if ready(fd, flags, self.stall / 8)? {
            return Ok(true);
        }
        let mut activity = Activity::of(group);
        loop {
            if ready(fd, flags, self.stall)? {
                return Ok(true);
            }
            if !activity.goes_on(self.stall) {
                return Ok(false);
            }
        }
    }
}

fn ready(fd: BorrowedFd<'_>, flags: PollFlags, limit: Duration) -> io::Result<bool> {
    let limit = rustix::time::Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(fd, flags)], Some(&limit)) {
            Ok(count) => return Ok(count > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Our end of a pipe: never blocks longer than the stall limit, or than a patient child works, so that no clock and no
/// watching thread is needed.
pub(crate) struct Pipe<P> {
    pipe: P,
    patience: Patience,
}

impl<P: AsFd> Pipe<P> {
    fn new(pipe: P, patience: Patience) -> Self {
        if let Ok(flags) = rustix::fs::fcntl_getfl(&pipe) {
            // Both may be refused: then reads block in the ordinary way, and the pipe is smaller.
            let _ = rustix::fs::fcntl_setfl(&pipe, flags | rustix::fs::OFlags::NONBLOCK);
        }
        #[cfg(target_os = "linux")]
        let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE_BYTES);
        Self { pipe, patience }
    }

    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        if self.patience.wait(self.pipe.as_fd(), flags)? {
            Ok(())
        } else {
            Err(io::ErrorKind::TimedOut.into())
        }
    }
}

impl<P: AsFd + Read> Read for Pipe<P> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.pipe.read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::IN)?,
                other => return other,
            }
        }
    }
}

impl<P: AsFd + Write> Write for Pipe<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.pipe.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::OUT)?,
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_keeps_its_device_and_its_folders_and_never_our_locale() {
        let ours = |name: &str| Some(OsString::from(format!("our {name}")));
        let found = environment(ours);
        for name in [
            "PATH",
            "TMPDIR",
            "XDG_RUNTIME_DIR",
            "CUDA_VISIBLE_DEVICES",
            "NVIDIA_VISIBLE_DEVICES",
            "LIBVA_DRIVER_NAME",
            "LIBVA_DRIVERS_PATH",
            "ROCR_VISIBLE_DEVICES",
            "HIP_VISIBLE_DEVICES",
        ] {
            assert!(found.contains(&(name, format!("our {name}").into())), "{name}");
        }
        assert!(found.contains(&("LC_ALL", "C".into())));
        assert!(!found.iter().any(|(name, _)| *name == "LANG"));
        assert!(!environment(|_| None).iter().any(|(name, _)| *name == "TMPDIR"));
    }

    #[test]
    fn nothing_else_reaches_a_child() {
        let stop = Stop::default();
        let start = Start::new(Path::new("/usr/bin/env"), "test", &stop, Duration::from_secs(30));
        let said = String::from_utf8(start.capture(1 << 20).unwrap().stdout).unwrap();
        let allowed = environment(|_| Some(OsString::new()));
        for line in said.lines() {
            let name = line.split('=').next().unwrap();
            assert!(allowed.iter().any(|(allowed, _)| *allowed == name), "{line}");
        }
        assert!(said.contains("LC_ALL=C\n"), "{said}");
    }
}
