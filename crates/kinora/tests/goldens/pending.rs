//! `goldens/pending.txt`: what is not built yet, one line `set/group[/component]  issue`.

use std::path::Path;

use crate::discover::Found;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    pub what: String,
    pub issue: String,
}

impl Pending {
    /// True for a line of a whole group: it covers the components that nobody computes, no others.
    pub fn is_group(&self) -> bool {
        self.what.matches('/').count() == 1
    }

    /// The line that holds for a case: that of its component before that of its group.
    pub fn of<'a>(lines: &'a [Self], case: &Found) -> Option<&'a Self> {
        let mut matching = lines.iter().filter(|line| line.matches(case));
        let first = matching.next()?;
        Some(if first.is_group() {
            matching.next().unwrap_or(first)
        } else {
            first
        })
    }

    /// True where the case belongs to this line. Components may hold dots, never slashes.
    pub fn matches(&self, case: &Found) -> bool {
        let line = case.line();
        match self.what.strip_prefix(&line) {
            Some("") => true,
            Some(rest) => rest.strip_prefix('/') == Some(case.component.as_str()),
            None => false,
        }
    }
}

/// Reads the file; an absent one is an empty one.
///
/// # Errors
/// A line that is not two words, or one that stands twice.
pub fn read(path: &Path) -> Result<Vec<Pending>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// # Errors
/// As [`read`].
pub fn parse(text: &str) -> Result<Vec<Pending>, String> {
    let mut lines: Vec<Pending> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        let pending = match words[..] {
            [] => continue,
            [what, issue] if (1..=2).contains(&what.matches('/').count()) => Pending {
                what: what.to_owned(),
                issue: issue.to_owned(),
            },
            _ => {
                return Err(format!(
                    "pending.txt line {}: expected set/group[/component] and an issue",
                    index + 1
                ));
            }
        };
        if lines.iter().any(|other| other.what == pending.what) {
            return Err(format!("pending.txt line {}: {} stands twice", index + 1, pending.what));
        }
        lines.push(pending);
    }
    Ok(lines)
}
