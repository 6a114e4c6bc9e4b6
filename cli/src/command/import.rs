//! `import`: makes an image of a filesystem in a tar archive.

use crate::engine::reply::Progress;
use crate::failure::Failure;
use crate::flags::image::ImportFlags;

use super::archive::Archive;
use super::{Context, DONE, print};

/// Runs the command.
pub(super) async fn import(context: &Context, flags: ImportFlags) -> Result<u8, Failure> {
    if flags.source.starts_with("http://") || flags.source.starts_with("https://") {
        let advice = format!("fetch it first: curl -sL {} | berth import - NAME", flags.source);
        return Err(Failure::Invalid(format!("berth doesn't fetch archives: {advice}")));
    }
    let archive = Archive::open(Some(flags.source.as_str()).filter(|source| *source != "-"), false).await?;
    let bar = archive.progress();
    let mut request = context
        .engine
        .post("/images/create")
        .query("fromSrc", "-")
        .query_some("repo", flags.reference)
        .query_some("message", flags.message)
        .query_some("platform", flags.platform);
    for change in &flags.change {
        request = request.query("changes", change);
    }
    let reply = request.stream(archive.into_stream()).send().await?;
    bar.set_message("unpacking");
    let mut lines = reply.lines::<Progress>();
    let mut id = None;
    while let Some(line) = lines.next().await? {
        if let Some(error) = line.error {
            bar.finish_and_clear();
            return Err(Failure::Invalid(error));
        }
        id = line.status.or(id);
    }
    bar.finish_and_clear();
    print(&format!("{}\n", id.unwrap_or_default()))?;
    Ok(DONE)
}
