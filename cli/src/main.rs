//! `berth`: the command line of the container host.
//!
//! `flags` mirror what is typed; `request` makes validated requests of them, pure; `command` sends those, to berthd with
//! `engine` and to netd with its client; `render` makes text of what comes back, pure; `attach` ties our terminal to a
//! process in a container.
#![forbid(unsafe_code)]

mod attach;
mod build;
mod command;
mod completion;
mod connect;
mod credentials;
mod engine;
mod failure;
mod flags;
mod render;
mod request;
mod terminal;

use std::ffi::OsString;
use std::io::Write;

use failure::Failure;
use flags::container::{Command as ContainerCommand, Verb};
use flags::{Cli, Command, Rejected};

/// Exit status of a program whose output nobody reads any more, as if SIGPIPE had ended it.
const BROKEN_PIPE_STATUS: u8 = 141;

fn main() {
    completion::answer();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let status = match flags::parse(&arguments) {
        Ok(cli) => run(cli, &arguments),
        Err(rejected) => show(&rejected),
    };
    // Not a return: a thread may still be reading from a terminal, and nobody would end its waiting.
    std::process::exit(status.into());
}

/// Commands whose failures have statuses of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StatusRule {
    Run,
    Create,
    Other,
}

fn run(cli: Cli, arguments: &[OsString]) -> u8 {
    let rule = match &cli.command {
        Command::Verb(verb) | Command::Container { command: ContainerCommand::Verb(verb) } => match verb {
            Verb::Run(_) => StatusRule::Run,
            Verb::Create(_) => StatusRule::Create,
            _ => StatusRule::Other,
        },
        _ => StatusRule::Other,
    };
    // One thread: there is more to lose in starting others than to win by them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match &runtime {
        Ok(runtime) => runtime.block_on(command::dispatch(cli)),
        Err(error) => Err(Failure::Invalid(format!("cannot wait for input and output: {error}"))),
    };
    let status = outcome.unwrap_or_else(|failure| report(&failure, rule, arguments));
    if let Ok(runtime) = runtime {
        runtime.shutdown_background();
    }
    status
}

/// Says what went wrong, and with which status to exit.
fn report(failure: &Failure, rule: StatusRule, arguments: &[OsString]) -> u8 {
    let (text, is_flag_syntax) = match failure {
        Failure::Reported => return 1,
        Failure::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return BROKEN_PIPE_STATUS,
        Failure::Request(error) => (failure.text(), error.is_flag_syntax()),
        _ => (failure.text(), false),
    };
    let text = if is_flag_syntax {
        flags::explained(&text, arguments)
    } else if rule == StatusRule::Run {
        flags::complaint(&text) + "\n\nRun 'berth run --help' for more information\n"
    } else {
        flags::complaint(&text) + "\n"
    };
    // When standard error is gone as well, the status still says it.
    let _ = std::io::stderr().write_all(text.as_bytes());
    match (rule, failure) {
        (StatusRule::Run, failure) => failure.run_status(),
        (StatusRule::Create, Failure::Request(_)) => 125,
        (_, failure) => failure.status(),
    }
}

fn show(rejected: &Rejected) -> u8 {
    let _ = match rejected.status {
        0 => std::io::stdout().write_all(rejected.text.as_bytes()),
        _ => std::io::stderr().write_all(rejected.text.as_bytes()),
    };
    rejected.status
}
