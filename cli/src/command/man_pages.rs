//! `man-pages`: writes the manual, a page for each command, from what its help is made of.

use std::path::Path;

use crate::failure::Failure;
use crate::flags;

use super::DONE;

/// Runs the command.
pub(super) fn man_pages(directory: &Path) -> Result<u8, Failure> {
    let commands = flags::unadapted().disable_help_subcommand(true);
    clap_mangen::generate_to(commands, directory)
        .map_err(|source| Failure::Io { doing: format!("write the manual to {}", directory.display()), source })?;
    Ok(DONE)
}
