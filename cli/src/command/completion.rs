//! `completion`: prints a script that completes commands and flags in a shell.

use clap_complete::Shell;

use crate::failure::Failure;
use crate::flags;

use super::{DONE, print};

/// Runs the command.
pub(super) fn completion(shell: Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut flags::command(), "berth", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(DONE)
}
