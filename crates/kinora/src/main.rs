//! The `kinora` command.
//!
//! It reads flags and environment, puts registry, media and engine together, and speaks. All work is done below.

mod app;
mod cli;
mod commands;
mod failure;
mod keys;
mod show;
mod usage;

use std::{process::ExitCode, sync::Arc, time::Instant};

use clap::Parser;

use app::App;
use cli::{Cli, Command};
use show::Console;

#[allow(
    clippy::disallowed_methods,
    reason = "the command is the outermost loop: it owns the clock"
)]
fn main() -> ExitCode {
    keep_the_runtime_silent();
    let began = Instant::now();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::report(&error),
    };
    let console = Console::new(&cli.global, Arc::new(move || began.elapsed()));
    let Some(command) = cli.command else {
        return usage::overview();
    };
    let app = App::new(cli.global, console.clone());
    let result = match command {
        Command::Upscale(flags) => commands::upscale::run(&app, &flags),
        Command::Run(flags) => commands::run::run(&app, &flags),
        Command::Infer(flags) => commands::infer::run(&app, &flags),
        Command::Plan(flags) => commands::run::plan(&app, &flags),
        Command::Join(flags) => commands::join::run(&app, &flags),
        Command::List(flags) => commands::list::run(&app, &flags),
        Command::Describe(flags) => commands::describe::run(&app, &flags),
        Command::Models(flags) => commands::models::run(&app, flags.command),
        Command::Doctor(flags) => commands::doctor::run(&app, &flags),
        Command::Completions { shell } => {
            commands::completions(&console, shell);
            Ok(())
        }
    };
    ExitCode::from(console.end(result))
}

/// ONNX Runtime reports its use over the network, whatever the API is told, unless this variable is set.
#[allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "the variable must be there before the library is loaded, and only a process can set it"
)]
fn keep_the_runtime_silent() {
    // SAFETY: called first in `main`, while no other thread exists that could read the environment.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}
