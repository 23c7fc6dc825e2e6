//! Names in a job folder: only these are ever removed.

use std::path::Path;

use super::Block;

const MANIFEST: &str = "manifest";
pub(super) const LOCK: &str = "lock";
const TMP: &str = "tmp";

pub(super) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

pub(super) fn is_manifest(path: &Path) -> bool {
    let name = name_of(path);
    name == "manifest.jsonl" || (name.starts_with("manifest-") && name.ends_with(".jsonl"))
}

pub(super) fn is_tmp(name: &str) -> bool {
    name == TMP || name.starts_with("tmp-")
}

/// Names in `tmp`: `seg-000000.PID.nut`, `state-000000.bin`, `final.mkv`, and what their makers write meanwhile.
pub(super) fn is_unfinished(name: &str) -> bool {
    let numbered = |start: &str, end: &str| {
        let rest = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
        rest.is_some_and(|rest| rest.len() >= 6 && rest.bytes().take(6).all(|byte| byte.is_ascii_digit()))
    };
    numbered("seg-", ".nut") || numbered("state-", ".bin") || name.starts_with("final.")
}

/// `seg-000000.nut` and `state-000000.bin`.
pub(super) fn is_numbered(name: &str) -> bool {
    let number = name
        .strip_prefix("seg-")
        .and_then(|name| name.strip_suffix(".nut"))
        .or_else(|| name.strip_prefix("state-").and_then(|name| name.strip_suffix(".bin")));
    number.is_some_and(|number| number.len() >= 6 && number.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(super) fn segment_name(index: u64) -> String {
    format!("seg-{index:06}.nut")
}

pub(super) fn state_name(index: u64) -> String {
    format!("state-{index:06}.bin")
}

fn of_block(block: Option<Block>) -> String {
    block.map_or_else(String::new, |Block { k, n }| format!("-{k:04}-of-{n:04}"))
}

pub(super) fn manifest_name(block: Option<Block>) -> String {
    format!("{MANIFEST}{}.jsonl", of_block(block))
}

pub(super) fn lock_name(block: Option<Block>) -> String {
    format!("{LOCK}{}", of_block(block))
}

pub(super) fn tmp_name(block: Option<Block>) -> String {
    format!("{TMP}{}", of_block(block))
}
