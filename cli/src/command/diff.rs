//! `diff`: shows which files a container has changed.

use crate::engine::container;
use crate::engine::reply::FileChange;
use crate::failure::Failure;
use crate::flags::files::DiffFlags;

use super::{Context, DONE, print};

/// Runs the command.
pub(super) async fn diff(context: &Context, flags: DiffFlags) -> Result<u8, Failure> {
    let request = context.engine.get(container(&flags.container, "/changes")?);
    let changes: Option<Vec<FileChange>> = request.send().await?.json().await?;
    print(&changes.unwrap_or_default().iter().map(line).collect::<String>())?;
    Ok(DONE)
}

fn line(change: &FileChange) -> String {
    let kind = match change.kind {
        0 => 'C',
        1 => 'A',
        2 => 'D',
        // A kind that this release doesn't know is still a change.
        _ => '?',
    };
    format!("{kind} {}\n", change.path)
}
