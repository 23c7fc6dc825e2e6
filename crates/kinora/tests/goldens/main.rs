//! The test `goldens`: recorded reference cases, found by folder, run by component, compared by the case's own rule.
//!
//! `KINORA_GOLDENS` is a list of roots (default: the project's `goldens/`), `KINORA_GOLDENS_FILTER` a substring of
//! `group/case`. One line a group, the failures, and last `goldens: N passed, M failed, K pending`.
//!
//! The target has no test harness, so that its lines are its output; it speaks the part of the harness' language that
//! `cargo test` and `cargo nextest` use (`--list --format terse`, `--exact NAME`, `--ignored`).
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its lines are its result")]
#![allow(unreachable_pub, reason = "a test target has no outside")]

mod case;
mod checks;
mod compare;
mod discover;
mod expected;
mod pending;
mod report;
mod rule;
mod runners;
mod tensor;
mod weights;

use std::process::ExitCode;

/// Names of the tests of this target: the comparer's own promises, then the cases.
fn tests() -> Vec<(&'static str, checks::Check)> {
    let mut tests = checks::all();
    tests.push(("goldens", report::run));
    tests
}

#[derive(Default)]
struct Arguments {
    list: bool,
    exact: bool,
    ignored: bool,
    filters: Vec<String>,
    skip: Vec<String>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Self {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--list" => arguments.list = true,
                "--exact" => arguments.exact = true,
                "--ignored" => arguments.ignored = true,
                "--skip" => arguments.skip.extend(words.next()),
                // Options of the harness with a value that changes nothing here.
                "--format" | "--test-threads" | "--color" | "--logfile" | "-Z" => drop(words.next()),
                _ if word.starts_with('-') => {}
                _ => arguments.filters.push(word),
            }
        }
        arguments
    }

    fn selects(&self, name: &str) -> bool {
        let matches = |filter: &String| {
            if self.exact {
                name == filter
            } else {
                name.contains(filter.as_str())
            }
        };
        // Nothing here is ignored.
        !self.ignored && (self.filters.is_empty() || self.filters.iter().any(matches)) && !self.skip.iter().any(matches)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse(std::env::args().skip(1));
    let selected = tests().into_iter().filter(|(name, _)| arguments.selects(name));
    if arguments.list {
        for (name, _) in selected {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let mut failed = false;
    for (name, test) in selected {
        if let Err(message) = test() {
            failed = true;
            eprintln!("FAILED {name}: {message}");
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
