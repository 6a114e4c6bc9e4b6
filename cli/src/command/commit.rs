//! `commit`: makes an image of a container.

use crate::engine::reply::Identified;
use crate::failure::Failure;
use crate::flags::files::CommitFlags;
use crate::request::image_name::name_and_tag;

use super::{Context, DONE, print};

/// Runs the command.
pub(super) async fn commit(context: &Context, flags: CommitFlags) -> Result<u8, Failure> {
    let (repository, tag) = match flags.reference.as_deref().map(name_and_tag) {
        Some((repository, tag)) => (Some(repository.to_owned()), tag.map(str::to_owned)),
        None => (None, None),
    };
    let mut request = context
        .engine
        .post("/commit")
        .query("container", &flags.container)
        .query("pause", u8::from(flags.pause))
        .query_some("repo", repository)
        .query_some("tag", tag)
        .query_some("author", flags.author)
        .query_some("comment", flags.message);
    for change in &flags.change {
        request = request.query("changes", change);
    }
    let made: Identified = request.send().await?.json().await?;
    print(&format!("{}\n", made.id))?;
    Ok(DONE)
}
