//! A models folder that several processes share holds whole models only, whoever is killed when.

use crate::made_up::{MadeUp, quiet};
use kinora_models::zoo::{Catalogue, Folders, Progress, PullOptions, pull_from};
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::process::{Child, ChildStdout, Command, Stdio};

const COPY: &str = "cp \"$archive\" \"$dest\"";

/// Starts this test binary again as a process that pulls `one-x2` and tells what happens, a line each.
fn puller(made: &MadeUp, client: &str) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "pulling_at_once::a_process_that_pulls",
            "--ignored",
            "--nocapture",
        ])
        .env("KINORA_TEST_CATALOGUE", made.root.path().join("catalogue.json"))
        .env("KINORA_TEST_MODELS", made.folders().own())
        .env("KINORA_TEST_CLIENT", made.client(client)[1].clone())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    (child, lines)
}

fn wait_for(lines: &mut BufReader<ChildStdout>, word: &str) -> String {
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        if line.contains(word) {
            return line;
        }
        line.clear();
    }
    panic!("the process ended without saying '{word}'");
}

#[test]
#[ignore = "a process that other tests start"]
fn a_process_that_pulls() {
    let Some(catalogue) = std::env::var_os("KINORA_TEST_CATALOGUE") else {
        return;
    };
    let catalogue = Catalogue::from_json(&std::fs::read_to_string(catalogue).unwrap()).unwrap();
    let folders = Folders::new(std::env::var_os("KINORA_TEST_MODELS").unwrap());
    let client = vec!["sh".into(), std::env::var_os("KINORA_TEST_CLIENT").unwrap()];
    let options = PullOptions {
        client: Some(client),
        ..PullOptions::default()
    };
    let mut tell = |event: Progress<'_>| {
        match event {
            Progress::Fetching { .. } => println!("fetching"),
            Progress::Done { pulled } => println!("done fetched={}", pulled.fetched),
            Progress::Model { .. } | Progress::Checking { .. } => {}
        }
        ControlFlow::Continue(())
    };
    pull_from(&catalogue, &["one-x2"], &folders, &options, &mut tell).unwrap();
}

#[test]
fn t13_processes_that_pull_one_model_at_once_fetch_it_once() {
    let made = MadeUp::new();
    let slow = format!("sleep 0.5; {COPY}");
    let mut processes: Vec<_> = (0..4).map(|_| puller(&made, &slow)).collect();
    let fetched = processes
        .iter_mut()
        .filter_map(|(child, lines)| {
            let line = wait_for(lines, "done");
            assert!(child.wait().unwrap().success());
            line.contains("fetched=true").then_some(())
        })
        .count();
    assert_eq!((fetched, made.starts().len()), (1, 1));
    assert_eq!(made.installed().len(), 3);
}

#[test]
fn t13_a_killed_holder_frees_its_lock_and_what_it_left_is_cleared() {
    let made = MadeUp::new();
    let (mut child, mut lines) = puller(&made, "head -c 50 \"$archive\" > \"$dest/part.whl\"; exec sleep 5");
    wait_for(&mut lines, "fetching");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        made.installed().iter().any(|name| name.starts_with(".partial/")),
        "{:?}",
        made.installed()
    );
    let options = PullOptions {
        client: Some(made.client(COPY)),
        ..PullOptions::default()
    };
    pull_from(&made.catalogue, &["one-x2"], &made.folders(), &options, &mut quiet).unwrap();
    let installed = made.installed();
    assert_eq!(installed.len(), 3, "{installed:?}");
    assert!(installed.iter().all(|name| name.starts_with("upscale/one-x2/")));
}

#[test]
fn t13_a_running_pull_of_another_process_is_not_cleared() {
    let made = MadeUp::new();
    let (mut child, mut lines) = puller(&made, &format!("sleep 1; {COPY}"));
    wait_for(&mut lines, "fetching");
    let options = made.options(COPY);
    pull_from(&made.catalogue, &["two-x2"], &made.folders(), &options, &mut quiet).unwrap();
    assert!(wait_for(&mut lines, "done").contains("fetched=true"));
    assert!(child.wait().unwrap().success());
    assert_eq!(made.installed().len(), 6);
}
