//! Confirmation of what can't be undone.

use std::io::Write;

use crate::failure::Failure;

/// Asks; anything but yes is no.
pub(super) fn is_confirmed(warning: &str) -> Result<bool, Failure> {
    let mut stdout = std::io::stdout().lock();
    let question = format!("WARNING! {warning}\nAre you sure you want to continue? [y/N] ");
    stdout.write_all(question.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Output)?;
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.map_err(|source| Failure::Io { doing: "read the answer".to_owned(), source })?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
