//! One file a command.

mod clip;
pub(crate) mod describe;
pub(crate) mod doctor;
mod durable;
pub(crate) mod infer;
mod job;
pub(crate) mod join;
pub(crate) mod list;
pub(crate) mod models;
mod output_name;
mod place;
mod range;
pub(crate) mod run;
mod stills;
mod telling;
pub(crate) mod upscale;

use clap::CommandFactory;

use crate::{cli::Cli, show::Console};

/// Prints a completion script, made from the same definition as the flags.
pub(crate) fn completions(console: &Console, shell: clap_complete::Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kinora", &mut script);
    console.result(String::from_utf8_lossy(&script).trim_end());
}
