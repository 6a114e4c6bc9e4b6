//! Builds one container or runs one exec, then becomes its monitor.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::shim::main(std::env::args_os().skip(1))
}
