//! An archive from the engine on its way to a file or to standard output.

use std::fs::OpenOptions;
use std::path::Path;

use futures::StreamExt as _;

use crate::engine::Response;
use crate::failure::Failure;
use crate::terminal;

/// Refuses to fill a terminal with an archive.
pub(super) fn check(output: Option<&Path>) -> Result<(), Failure> {
    if output.is_none() && terminal::is_stdout_terminal() {
        let advice = "give a file with -o, or send standard output elsewhere";
        return Err(Failure::Invalid(format!("standard output is a terminal, and an archive is no text: {advice}")));
    }
    Ok(())
}

/// Writes a reply to a file, or to standard output for none. A file has its name only when it is whole.
pub(super) async fn write(reply: Response, output: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = output else {
        return receive(reply, &mut std::io::stdout().lock()).await;
    };
    let failed = |source| Failure::Io { doing: format!("write {}", path.display()), source };
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        // A pipe or a device stays what it is.
        let mut file = OpenOptions::new().write(true).open(path).map_err(failed)?;
        return receive(reply, &mut file).await;
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(directory.unwrap_or(".".as_ref())).map_err(failed)?;
    receive(reply, &mut file).await?;
    file.persist(path).map(drop).map_err(|error| failed(error.error))
}

async fn receive(reply: Response, output: &mut impl std::io::Write) -> Result<(), Failure> {
    let mut pieces = reply.chunks();
    while let Some(piece) = pieces.next().await {
        output.write_all(&piece?).map_err(Failure::Output)?;
    }
    output.flush().map_err(Failure::Output)
}
