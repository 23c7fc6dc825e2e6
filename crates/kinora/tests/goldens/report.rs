//! Runs the cases and prints what came of them.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    case::Case,
    compare::compare,
    discover::{self, Found},
    expected,
    pending::{self, Pending},
    rule::Rule,
    runners::{self, End},
};

/// What became of one case.
pub enum Outcome {
    /// Passed: the worst error over tolerance, and the taps that the runner does not expose.
    Passed {
        error: f64,
        untapped: usize,
    },
    Failed(String),
    /// The case itself is not as the format says: a failure even where it is pending.
    Broken(String),
    /// Not run: the files are not here. Holds the command that fetches them.
    Skipped(String),
    /// Nobody computes this component.
    NoRunner,
}

/// Runs one case.
pub fn run_case(found: &Found) -> Outcome {
    let runner = runners::find(&found.set, &found.component);
    // Traces have no case.json; their own runner reads them.
    if found.set == "flight_buffer" {
        return match &found.broken {
            Some(broken) => Outcome::Broken(broken.clone()),
            None => Outcome::NoRunner,
        };
    }
    let case = match Case::load(found) {
        Ok(case) => case,
        Err(message) => return Outcome::Broken(message),
    };
    let Some(runner) = runner else { return Outcome::NoRunner };
    match attempt(&found.set, &case, &runner) {
        Ok((error, untapped)) => Outcome::Passed { error, untapped },
        Err(End::Failed(message)) => Outcome::Failed(message),
        Err(End::Skipped(command)) => Outcome::Skipped(command),
    }
}

fn attempt(set: &str, case: &Case, runner: &runners::Runner) -> Result<(f64, usize), End> {
    let answer = (runner.run)(case)?;
    case.check_used(runner.silent)?;
    let mut worst = 0.0f64;
    if let Some(name) = answer.outputs.keys().find(|name| !case.outputs.contains_key(*name)) {
        return Err(End::Failed(format!(
            "the runner gave {name}, which the case does not ask for"
        )));
    }
    for (name, want) in &case.outputs {
        let got = answer
            .outputs
            .get(name)
            .ok_or_else(|| format!("output {name} is missing"))?;
        let rule = case.rules.of(name, want)?;
        worst = worst.max(compare(want, got, &rule).map_err(|error| format!("output {name}: {error}"))?);
    }
    let mut untapped = 0;
    for (name, want) in &case.taps {
        let Some(got) = answer.taps.get(name) else {
            if set == "vsr" && name.starts_with("state.") {
                return Err(End::Failed(format!("mid.{name} is missing")));
            }
            untapped += 1;
            continue;
        };
        let name = format!("mid.{name}");
        let rule = case.rules.of(&name, want)?;
        worst = worst.max(compare(want, got, &rule).map_err(|error| format!("{name}: {error}"))?);
    }
    if let Some(want) = &case.expected {
        let got = answer
            .expected
            .ok_or_else(|| "the runner gave nothing for `expected`".to_owned())?;
        // A runner that judges its own scalars (error classes, PSNR bars) answers with the wanted value.
        worst = worst
            .max(expected::compare(want, &got, &case.rules.of_values()).map_err(|error| format!("expected{error}"))?);
    }
    if let Some(want) = &case.data {
        let got = answer
            .data
            .ok_or_else(|| "the runner gave nothing for data.json".to_owned())?;
        let given = case.rules.of_values();
        let rule = Rule::near(given.abs.unwrap_or(0.0).max(2e-6), given.rel.unwrap_or(0.0).max(1e-5));
        worst = worst.max(expected::compare(want, &got, &rule).map_err(|error| format!("data{error}"))?);
    }
    Ok((worst, untapped))
}

#[derive(Default)]
struct Line {
    passed: usize,
    total: usize,
    pending: usize,
    skipped: usize,
    untapped: usize,
    worst: f64,
    command: String,
    issues: Vec<String>,
}

impl Line {
    fn text(&self, name: &str) -> String {
        let judged = self.total - self.pending - self.skipped;
        let mut text = format!("{name}: {}/{judged}", self.passed);
        if self.passed > 0 {
            text += &format!(", worst {:.3}", self.worst);
        }
        if self.skipped > 0 {
            text += &format!(", {} skipped ({})", self.skipped, self.command);
        }
        if self.untapped > 0 {
            text += &format!(", {} intermediates not exposed", self.untapped);
        }
        if self.pending > 0 {
            let word = if self.issues.len() == 1 { "issue" } else { "issues" };
            text += &format!(", {} pending ({word} {})", self.pending, self.issues.join(", "));
        }
        text
    }
}

/// What is known of a line of `pending.txt` after the run.
#[derive(Default)]
struct Standing {
    own: usize,
    left: usize,
    run: usize,
}

/// Totals of a run.
#[derive(Default)]
pub struct Totals {
    passed: usize,
    pending: usize,
    lines: BTreeMap<String, Line>,
    standings: BTreeMap<String, Standing>,
    failures: Vec<String>,
}

impl Totals {
    /// Counts the outcome of one case.
    pub fn add(&mut self, case: &Found, pending: Option<&Pending>, outcome: Outcome) {
        let line = self.lines.entry(case.line()).or_default();
        line.total += 1;
        if let Outcome::Broken(message) = outcome {
            self.failures.push(format!("{}: {message}", case.full_name()));
            return;
        }
        if let Some(pending) = pending {
            // A pending case is run where it can be, only to notice that its line must go.
            let standing = self.standings.entry(pending.what.clone()).or_default();
            standing.own += usize::from(case.own);
            standing.run += 1;
            standing.left += usize::from(!matches!(outcome, Outcome::Passed { .. }));
            if !pending.is_group() || matches!(outcome, Outcome::NoRunner) {
                line.pending += 1;
                self.pending += 1;
                if !line.issues.contains(&pending.issue) {
                    line.issues.push(pending.issue.clone());
                }
                return;
            }
        }
        match outcome {
            Outcome::Passed { error, untapped } => {
                line.passed += 1;
                line.untapped += untapped;
                line.worst = line.worst.max(error);
                self.passed += 1;
            }
            Outcome::Skipped(command) => {
                line.skipped += 1;
                line.command = command;
            }
            Outcome::Broken(message) | Outcome::Failed(message) => {
                self.failures.push(format!("{}: {message}", case.full_name()));
            }
            Outcome::NoRunner => self.failures.push(format!(
                "{}: nobody computes the component {:?}, and it does not stand in pending.txt",
                case.full_name(),
                case.component
            )),
        }
    }

    /// Judges the lines of `pending.txt`; `whole` where no filter hid cases, `own` where the project's own goldens ran.
    pub fn check_pending(&mut self, pending: &[Pending], whole: bool, own: bool) {
        for line in pending {
            let standing = self.standings.remove(&line.what).unwrap_or_default();
            if whole && own && standing.own == 0 {
                self.failures.push(format!(
                    "pending.txt: {} matches no case of the project's goldens",
                    line.what
                ));
            } else if whole && standing.run > 0 && standing.left == 0 {
                self.failures.push(format!(
                    "pending.txt: every case of {} passes: take the line out",
                    line.what
                ));
            }
        }
    }

    fn print(&self) {
        for (name, line) in &self.lines {
            println!("{}", line.text(name));
        }
        for failure in &self.failures {
            println!("FAILED {failure}");
        }
        println!(
            "goldens: {} passed, {} failed, {} pending",
            self.passed,
            self.failures.len(),
            self.pending
        );
    }

    pub fn failures(&self) -> &[String] {
        &self.failures
    }
}

/// The test: every case of every root.
///
/// # Errors
/// How many things failed; they were printed.
pub fn run() -> Result<(), String> {
    let filter = std::env::var("KINORA_GOLDENS_FILTER").unwrap_or_default();
    let roots = discover::roots();
    let mut totals = Totals::default();
    let pending = match pending::read(&discover::own_root().join("pending.txt")) {
        Ok(pending) => pending,
        Err(error) => {
            totals.failures.push(error);
            Vec::new()
        }
    };
    let mut cases = Vec::new();
    for root in &roots {
        match discover::cases(root) {
            Ok(found) => cases.extend(found),
            Err(error) => totals.failures.push(error),
        }
    }
    let own = cases.iter().any(|case| case.own);
    let before = cases.len();
    cases.retain(|case| format!("{}/{}", case.group, case.name).contains(&filter));
    if cases.is_empty() && before > 0 {
        totals
            .failures
            .push(format!("no case of {} matches the filter {filter:?}", shown(&roots)));
    }
    for case in &cases {
        let line = Pending::of(&pending, case);
        totals.add(case, line, run_case(case));
    }
    totals.check_pending(&pending, filter.is_empty(), own);
    totals.print();
    match totals.failures.len() {
        0 => Ok(()),
        failed => Err(format!("{failed} failed")),
    }
}

fn shown(roots: &[PathBuf]) -> String {
    let shown: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
    shown.join(", ")
}
