//! What is said about a command line that cannot be read.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{
    CommandFactory,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    cli::{Cli, NOT_YET},
    failure::Failure,
    show::unwritable,
};

/// The overview that `kinora` alone prints, on stdout.
pub(crate) fn overview() -> ExitCode {
    print(&Cli::command().render_help().to_string())
}

/// Text on stdout, before there is a console.
fn print(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => complain(&unwritable(&error)),
        _ => ExitCode::SUCCESS,
    }
}

/// An error on stderr; nobody may be left to read it.
fn complain(failure: &Failure) -> ExitCode {
    let _ = writeln!(io::stderr(), "{}", failure.text());
    ExitCode::from(failure.exit())
}

/// Help and version go to stdout with 0; everything else is an error in kinora's own voice.
pub(crate) fn report(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return print(&error.render().to_string());
    }
    complain(&explain(error))
}

fn explain(error: &clap::Error) -> Failure {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let command = std::env::args_os()
        .nth(1)
        .and_then(|word| word.into_string().ok())
        .filter(|word| Cli::command().find_subcommand(word).is_some())
        .map_or_else(|| "kinora".to_owned(), |word| format!("kinora {word}"));
    let help = format!("{command} --help");
    let flag = text(ContextKind::InvalidArg).unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let hint = match text(ContextKind::SuggestedArg) {
                Some(near) => format!("did you mean {near}? {help}"),
                None => help,
            };
            Failure::new("usage.flag", format!("unknown flag '{flag}'")).hint(hint)
        }
        ErrorKind::InvalidSubcommand => {
            let word = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            if NOT_YET.contains(&word.as_str()) {
                return Failure::new("usage.not_yet", format!("'kinora {word}' is not part of this version"))
                    .hint("kinora shows what is");
            }
            let hint = match text(ContextKind::SuggestedSubcommand) {
                Some(near) => format!("did you mean {near}? kinora shows all commands"),
                None => "kinora shows all commands".to_owned(),
            };
            Failure::new("usage.command", format!("unknown command '{word}'")).hint(hint)
        }
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let value = text(ContextKind::InvalidValue).unwrap_or_default();
            let allowed = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(values)) if !values.is_empty() => {
                    format!(": it takes {}", values.join(", "))
                }
                _ => std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}")),
            };
            let name = flag.split_whitespace().next().unwrap_or_default().to_owned();
            if value.is_empty() {
                return Failure::usage(format!("{name} needs a value{allowed}")).hint(help);
            }
            Failure::usage(format!("'{value}' does not suit {name}{allowed}")).hint(help)
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::Strings(names)) => names.join(", "),
                _ => flag,
            };
            Failure::new("usage.missing", format!("{missing} is missing")).hint(help)
        }
        ErrorKind::ArgumentConflict => {
            let other = text(ContextKind::PriorArg).unwrap_or_default();
            Failure::new("usage.conflict", format!("{flag} and {other} exclude each other")).hint(help)
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Failure::new("usage.command", format!("{command} needs a command")).hint(help)
        }
        _ => {
            let first = error.to_string();
            let first = first
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned();
            Failure::new("usage.flag", first).hint(help)
        }
    }
}
