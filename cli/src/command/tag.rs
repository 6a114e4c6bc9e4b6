//! `tag`: gives an image another name.

use crate::engine::image;
use crate::failure::Failure;
use crate::flags::image::TagFlags;

use super::{Context, DONE};

/// Runs the command.
pub(super) async fn tag(context: &Context, flags: TagFlags) -> Result<u8, Failure> {
    let (repository, tag) = split(&flags.target);
    let request = context.engine.post(image(&flags.source, "/tag")?).query("repo", repository);
    request.query("tag", tag.unwrap_or("latest")).send().await?.done().await?;
    Ok(DONE)
}

/// A colon before the last slash belongs to a registry's port.
pub(super) fn split(reference: &str) -> (&str, Option<&str>) {
    match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (reference, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_registries_are_no_tags() {
        assert_eq!(split("a:1"), ("a", Some("1")));
        assert_eq!(split("localhost:5000/a"), ("localhost:5000/a", None));
        assert_eq!(split("localhost:5000/a:1"), ("localhost:5000/a", Some("1")));
    }
}
