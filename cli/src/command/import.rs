//! `import`: makes an image of a filesystem in a tar archive.

use crate::engine::reply::Progress;
use crate::failure::Failure;
use crate::flags::image::ImportFlags;

use super::archive::{Archive, progress};
use super::{Context, DONE, print};

/// Runs the command.
pub(super) async fn import(context: &Context, flags: ImportFlags) -> Result<u8, Failure> {
    let is_url = flags.source.starts_with("http://") || flags.source.starts_with("https://");
    let archive = match is_url {
        // The engine fetches it.
        true => None,
        false => Some(Archive::open(Some(flags.source.as_str()).filter(|source| *source != "-"), false).await?),
    };
    let bar = archive.as_ref().map_or_else(|| progress(None, false), Archive::progress);
    let mut request = context
        .engine
        .post("/images/create")
        .query("fromSrc", if is_url { flags.source.as_str() } else { "-" })
        .query_some("repo", flags.reference)
        .query_some("message", flags.message)
        .query_some("platform", flags.platform);
    for change in &flags.change {
        request = request.query("changes", change);
    }
    if let Some(archive) = archive {
        request = request.stream(archive.into_stream());
    }
    let reply = request.send().await?;
    bar.set_message(if is_url { "downloading" } else { "unpacking" });
    let mut lines = reply.lines::<Progress>();
    let mut id = None;
    while let Some(line) = lines.next().await? {
        if let Some(error) = line.error {
            bar.finish_and_clear();
            return Err(Failure::Invalid(error));
        }
        match line.detail.current {
            Some(current) => bar.set_position(current),
            None => id = line.status.or(id),
        }
    }
    bar.finish_and_clear();
    print(&format!("{}\n", id.unwrap_or_default()))?;
    Ok(DONE)
}
