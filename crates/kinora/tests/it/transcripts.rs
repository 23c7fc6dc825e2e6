//! What the command says, held word for word. `KINORA_BLESS=1` writes the files anew, to be read by a person.

use std::{fs, path::Path};

use crate::command::{clip, finished, kinora, root, run};

/// Replaces what differs from run to run: times, rates, sizes, versions of tools.
fn settled(text: &str, home: &Path) -> String {
    let text = text.replace(&home.display().to_string(), "HOME");
    let mut out = String::new();
    for line in text.lines() {
        let words: Vec<String> = line
            .split(' ')
            .map(|word| {
                let bare = word.trim_matches(|c: char| "(),;".contains(c));
                let number = !bare.is_empty()
                    && bare.chars().any(|c| c.is_ascii_digit())
                    && bare.chars().all(|c| c.is_ascii_digit() || ".:".contains(c));
                if number && (bare.contains('.') || bare.contains(':')) {
                    word.replace(bare, "N")
                } else {
                    word.to_owned()
                }
            })
            .collect();
        out.push_str(words.join(" ").trim_end());
        out.push('\n');
    }
    out
}

fn holds(name: &str, found: &str) {
    let path = root()
        .join("crates/kinora/tests/it/transcripts")
        .join(format!("{name}.txt"));
    if std::env::var_os("KINORA_BLESS").is_some() {
        fs::write(&path, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == found, "{} differs; found:\n{found}", path.display());
}

#[test]
fn overview_help_and_lists() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    for (name, args) in [
        ("overview", vec![]),
        ("upscale-short-help", vec!["upscale", "-h"]),
        ("upscale-help", vec!["upscale", "--help"]),
        ("run-help", vec!["run", "--help"]),
        ("models-help", vec!["models", "--help"]),
        ("describe-upscale", vec!["describe", "upscale"]),
        ("describe-resize", vec!["describe", "resize"]),
        ("describe-resize-json", vec!["describe", "resize", "--json"]),
        ("list-processors", vec!["list", "processors"]),
        ("list-presets", vec!["list", "presets"]),
    ] {
        let ran = run(home, &args);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{args:?}");
        holds(name, &ran.stdout);
    }
}

#[test]
fn a_job_on_a_log_file() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    clip(home, "reel.mp4", 48);
    let ran = run(home, ["run", "reel.mp4", "-p", "resize", "--set", "resize.scale=2"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{}", ran.stderr);
    let text = settled(&ran.stderr, home);
    // Which lane is slowest depends on the machine of the day.
    let steady: Vec<&str> = text.lines().filter(|line| !line.contains("slowest")).collect();
    let steady = steady.join("\n").replace(" kB", " BYTES").replace(" MB", " BYTES");
    let digits = steady.lines().map(|line| match line.split_once("fps), ") {
        Some((head, _)) => format!("{head}fps), BYTES"),
        None => line.to_owned(),
    });
    holds("job-plain", &(digits.collect::<Vec<_>>().join("\n") + "\n"));
}

#[test]
fn colour_only_where_it_is_wanted() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let red = "\u{1b}[31m";
    let colored = |env: Option<(&str, &str)>, args: &[&str]| {
        let mut command = kinora(home);
        if let Some((key, value)) = env {
            command.env(key, value);
        }
        finished(command.args(args).output().unwrap()).stderr.contains(red)
    };
    let fails = ["describe", "nothing"];
    assert!(!colored(None, &fails), "stderr is no terminal");
    assert!(colored(Some(("CLICOLOR_FORCE", "1")), &fails));
    assert!(colored(None, &["describe", "nothing", "--color", "always"]));
    assert!(!colored(
        Some(("CLICOLOR_FORCE", "1")),
        &["describe", "nothing", "--color", "never"]
    ));
}

#[test]
fn completions_are_made_for_every_shell() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(home.path(), ["completions", shell]);
        assert_eq!(ran.code, Some(0));
        assert!(ran.stdout.contains("upscale"), "{shell}");
    }
}
