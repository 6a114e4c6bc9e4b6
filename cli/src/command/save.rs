//! `save`: writes images into an archive.

use std::fs::OpenOptions;

use futures::StreamExt as _;

use crate::engine::Response;
use crate::failure::Failure;
use crate::flags::image::SaveFlags;
use crate::terminal;

use super::{Context, DONE};

/// Runs the command.
pub(super) async fn save(context: &Context, flags: SaveFlags) -> Result<u8, Failure> {
    if flags.output.is_none() && terminal::is_stdout_terminal() {
        let advice = "give a file with -o, or send standard output elsewhere";
        return Err(Failure::Invalid(format!("standard output is a terminal, and an archive is no text: {advice}")));
    }
    let mut request = context.engine.get("/images/get");
    for image in &flags.images {
        request = request.query("names", image);
    }
    // Asked before the file is touched: what isn't there leaves no empty archive.
    let reply = request.send().await?;
    let Some(path) = &flags.output else {
        receive(reply, &mut std::io::stdout().lock()).await?;
        return Ok(DONE);
    };
    let failed = |source| Failure::Io { doing: format!("write {}", path.display()), source };
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        // A pipe or a device stays what it is.
        let mut file = OpenOptions::new().write(true).open(path).map_err(failed)?;
        receive(reply, &mut file).await?;
        return Ok(DONE);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    // Under its own name only when it is whole.
    let mut file = tempfile::NamedTempFile::new_in(directory.unwrap_or(".".as_ref())).map_err(failed)?;
    receive(reply, &mut file).await?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(DONE)
}

async fn receive(reply: Response, output: &mut impl std::io::Write) -> Result<(), Failure> {
    let mut pieces = reply.chunks();
    while let Some(piece) = pieces.next().await {
        output.write_all(&piece?).map_err(Failure::Output)?;
    }
    output.flush().map_err(Failure::Output)
}
