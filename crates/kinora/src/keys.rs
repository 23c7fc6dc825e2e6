//! Keys on the terminal and signals: both steer a job through the same calls.

use std::{
    io::{self, IsTerminal},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crossterm::{
    event::{Event, KeyCode, KeyEventKind, KeyModifiers, poll, read},
    terminal::{disable_raw_mode, enable_raw_mode},
};
use kinora_engine::Control;
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1},
    flag,
    iterator::{Handle, Signals},
};

use crate::show::Console;

static RAW: AtomicBool = AtomicBool::new(false);

/// True while keys are read one by one; lines then need a carriage return.
pub(crate) fn raw_mode_is_on() -> bool {
    RAW.load(Ordering::Relaxed)
}

/// Set once the process is told to end, for work that looks up now and then. The second signal ends it at once.
pub(crate) fn told_to_end() -> Arc<AtomicBool> {
    let told = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the first signal finds the flag still unset.
        let _ = flag::register_conditional_default(signal, Arc::clone(&told));
        let _ = flag::register(signal, Arc::clone(&told));
    }
    told
}

/// Set once a pause is asked for. Unless somebody listens to it, the signal would end the process; what comes while
/// networks load is kept for the job.
pub(crate) fn asked_to_pause() -> Arc<AtomicBool> {
    let asked = Arc::new(AtomicBool::new(false));
    let _ = flag::register(SIGUSR1, Arc::clone(&asked));
    asked
}

/// Listens for as long as it lives, and gives the terminal back as it was, also on a panic.
pub(crate) struct Steering {
    signals: Option<(Handle, JoinHandle<()>)>,
    keys: Option<Arc<AtomicBool>>,
}

impl Steering {
    /// Signals always; keys where a bar is shown on a terminal that is also typed on.
    pub(crate) fn new(control: &Control, console: &Console, keys: bool) -> Self {
        let signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1])
            .ok()
            .and_then(|mut signals| {
                let handle = signals.handle();
                let control = control.clone();
                let thread = thread::Builder::new().name("kinora-signals".to_owned()).spawn(move || {
                    for signal in signals.forever() {
                        if signal == SIGUSR1 {
                            control.toggle_pause();
                        } else {
                            control.stop();
                        }
                    }
                });
                thread.ok().map(|thread| (handle, thread))
            });
        let keys = keys && io::stdin().is_terminal() && io::stderr().is_terminal();
        let keys = if keys && enable_raw_mode().is_ok() {
            RAW.store(true, Ordering::Relaxed);
            let ended = Arc::new(AtomicBool::new(false));
            let (control, console, flag) = (control.clone(), console.clone(), Arc::clone(&ended));
            let thread = thread::Builder::new()
                .name("kinora-keys".to_owned())
                .spawn(move || listen(&control, &console, &flag));
            thread.ok().map(|_| ended)
        } else {
            None
        };
        Self { signals, keys }
    }
}

impl Drop for Steering {
    fn drop(&mut self) {
        // The thread may be inside a read of a terminal that gives half a key: nobody waits for it.
        if let Some(ended) = self.keys.take() {
            ended.store(true, Ordering::Relaxed);
        }
        if RAW.swap(false, Ordering::Relaxed) {
            let _ = disable_raw_mode();
        }
        if let Some((handle, thread)) = self.signals.take() {
            handle.close();
            let _ = thread.join();
        }
    }
}

/// Waits a moment for a key; false once the terminal is closed.
fn wait_for_terminal() -> bool {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    // The wait bounds how long the end of a job waits for this thread.
    let wait = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    match rustix::event::poll(&mut fds, Some(&wait)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(_) => return false,
    }
    !fds[0]
        .revents()
        .intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
}

fn listen(control: &Control, console: &Console, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        if !wait_for_terminal() {
            // Nobody is left to see the job or to stop it; crossterm would read a closed terminal without end.
            control.stop();
            return;
        }
        match poll(Duration::ZERO) {
            Ok(true) => {}
            Ok(false) => continue,
            // The terminal is gone: there is nobody to listen to.
            Err(_) => return,
        }
        let Ok(Event::Key(key)) = read() else { continue };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        // A plain letter only: a terminal that closes may send control characters.
        let plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => control.stop(),
            KeyCode::Char('q') if plain => control.stop(),
            KeyCode::Char('p') if plain => control.toggle_pause(),
            KeyCode::Char('?') if plain => console.say("p pause or resume, q stop (twice: at once), ? these keys"),
            _ => {}
        }
    }
}
