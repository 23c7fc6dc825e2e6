use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kinora_engine::Control;
use serde_json::{Map, Value as Json, json};

use crate::{
    cli::{ColorChoice, Global, ProgressStyle},
    failure::{Failure, write_code},
};

/// Why results go nowhere any more.
#[derive(Clone, Debug)]
enum Ended {
    /// Whoever read them has enough.
    ReaderLeft,
    /// They cannot be written.
    Refused(Failure),
}

/// The command's two streams and how it speaks on them.
#[derive(Clone)]
pub(crate) struct Console {
    style: ProgressStyle,
    color: bool,
    quiet: bool,
    verbose: u8,
    clock: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// A bar that stands on the last lines of the terminal and must be wiped before anything else is written.
    bar: Arc<Mutex<usize>>,
    /// Why nothing more goes to stdout.
    ended: Arc<Mutex<Option<Ended>>>,
    /// The job that runs.
    job: Arc<Mutex<Option<Control>>>,
}

impl Console {
    pub(crate) fn new(global: &Global, clock: Arc<dyn Fn() -> Duration + Send + Sync>) -> Self {
        let terminal = io::stderr().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let style = match global.progress {
            ProgressStyle::Auto if global.quiet => ProgressStyle::None,
            ProgressStyle::Auto if terminal && !dumb => ProgressStyle::Bar,
            ProgressStyle::Auto => ProgressStyle::Plain,
            other => other,
        };
        let color = match global.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => set("CLICOLOR_FORCE") || (terminal && !dumb && !set("NO_COLOR")),
        };
        Self {
            style,
            color,
            quiet: global.quiet,
            verbose: global.verbose,
            clock,
            bar: Arc::default(),
            ended: Arc::default(),
            job: Arc::default(),
        }
    }

    pub(crate) fn style(&self) -> ProgressStyle {
        self.style
    }

    /// Seconds since the command started.
    pub(crate) fn elapsed(&self) -> Duration {
        (self.clock)()
    }

    pub(crate) fn clock(&self) -> Arc<dyn Fn() -> Duration + Send + Sync> {
        Arc::clone(&self.clock)
    }

    /// A line for people.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet && self.style != ProgressStyle::Json {
            self.write_err(&format!("{line}\n"));
        }
    }

    /// A line that is only of use to somebody who asked for more.
    pub(crate) fn detail(&self, line: &str) {
        if self.verbose > 0 {
            self.say(line);
        }
    }

    /// Something the user should know, once.
    pub(crate) fn warn(&self, code: &str, message: &str, hint: Option<&str>) {
        if self.style == ProgressStyle::Json {
            self.event("warning", &json!({"code": code, "message": message, "hint": hint}));
            return;
        }
        if !self.quiet {
            let word = self.paint("33", "warning");
            let hint = hint.map(|hint| format!("\n  hint   {hint}")).unwrap_or_default();
            self.write_err(&format!("{word}[{code}]: {message}{hint}\n"));
        }
    }

    /// Why the command ends.
    pub(crate) fn fail(&self, failure: &Failure) {
        if self.style == ProgressStyle::Json {
            self.event("error", &failure.json());
        }
        let text = failure.text();
        let text = match text.split_once(']') {
            Some((head, rest)) if self.color => {
                format!("{}]{rest}", head.replacen("error", &self.paint("31", "error"), 1))
            }
            _ => text,
        };
        self.write_err(&format!("{text}\n"));
    }

    /// One JSON line on stdout, with `v`, `t` and `event` first.
    pub(crate) fn event(&self, event: &str, fields: &Json) {
        let mut line = Map::new();
        line.insert("v".to_owned(), 1.into());
        let seconds = (self.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        line.insert("t".to_owned(), seconds.into());
        line.insert("event".to_owned(), event.into());
        if let Json::Object(fields) = fields {
            line.extend(fields.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        self.result(&Json::Object(line).to_string());
    }

    /// A result on stdout. A reader that has gone away ends the command quietly, by way of the job where one runs, so
    /// that nothing of it is left behind; a disk that is full does not go unsaid.
    #[allow(clippy::exit, reason = "nobody reads results any more, wherever that is noticed")]
    pub(crate) fn result(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        let written = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.write_all(b"\n"))
            .and_then(|()| stdout.flush());
        drop(stdout);
        let Err(error) = written else { return };
        let ended = if error.kind() == io::ErrorKind::BrokenPipe {
            Ended::ReaderLeft
        } else {
            Ended::Refused(unwritable(&error))
        };
        {
            let mut known = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            if known.is_some() {
                return;
            }
            *known = Some(ended);
        }
        let job = self.job.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match job {
            // From a thread of its own: whoever writes this line may hold what the abort's observer needs.
            Some(control) => drop(std::thread::spawn(move || control.abort())),
            None => std::process::exit(self.end(Ok(())).into()),
        }
    }

    /// The job that is ended when nobody reads stdout any more; `None` when it is over.
    pub(crate) fn follow(&self, job: Option<&Control>) {
        *self.job.lock().unwrap_or_else(PoisonError::into_inner) = job.cloned();
    }

    /// Says what a command came to; gives its exit code. Results that could not be written are an error whatever the
    /// command did, a reader that left is none.
    pub(crate) fn end(&self, result: Result<(), Failure>) -> u8 {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let failure = match (ended, result) {
            (Some(Ended::Refused(failure)), _) => failure,
            (None, Err(failure)) => failure,
            (Some(Ended::ReaderLeft), _) | (None, Ok(())) => return 0,
        };
        self.fail(&failure);
        failure.exit()
    }

    /// Draws a bar of some lines over the last one.
    pub(crate) fn draw(&self, lines: &[String]) {
        let mut shown = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = wipe(*shown);
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        *shown = lines.len();
        emit(&text);
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.draw(&[]);
    }

    /// Text in a colour, where colour is used.
    pub(crate) fn paint(&self, code: &str, text: &str) -> String {
        if self.color {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// Columns of the terminal.
    pub(crate) fn width(&self) -> usize {
        crossterm::terminal::size()
            .map_or(100, |(columns, _)| usize::from(columns))
            .clamp(20, 400)
    }

    fn write_err(&self, text: &str) {
        let mut shown = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let text = format!("{}{text}", wipe(*shown));
        *shown = 0;
        emit(&text);
    }
}

/// Why results cannot be written to stdout.
pub(crate) fn unwritable(error: &io::Error) -> Failure {
    Failure::new(write_code(error), "the results cannot be written to stdout").cause(error.to_string())
}

/// Text on stderr. In raw mode a new line alone does not go back to the first column.
fn emit(text: &str) {
    let text = if crate::keys::raw_mode_is_on() {
        text.replace('\n', "\r\n")
    } else {
        text.to_owned()
    };
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn wipe(lines: usize) -> String {
    if lines == 0 {
        String::new()
    } else {
        format!("\r\u{1b}[{lines}A\u{1b}[J")
    }
}
