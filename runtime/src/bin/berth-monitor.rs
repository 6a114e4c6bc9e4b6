//! Looks after one running process: its streams, its log, its clients, its end.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::monitor::main(std::env::args_os().skip(1))
}
