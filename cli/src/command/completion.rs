//! `completion`: prints a script that completes commands, flags and names in a shell.

use clap_complete::Shell;

use crate::completion;
use crate::failure::Failure;

use super::{DONE, print};

/// Runs the command.
pub(super) fn completion(shell: Shell) -> Result<u8, Failure> {
    let script = completion::script(&shell.to_string()).map_err(Failure::Output)?;
    print(&String::from_utf8_lossy(&script))?;
    Ok(DONE)
}
