//! `images`: lists images.

use crate::engine::reply::{ContainerSummary, ImageSummary};
use crate::failure::Failure;
use crate::flags::image::ListFlags;
use crate::render::format::Format;
use crate::render::image::{COLUMNS, COLUMNS_WITH_DIGEST, rows, tree};
use crate::request::filter::Filters;

use super::{Context, DONE, clock, print};

/// Runs the command.
pub(super) async fn images(context: &Context, flags: ListFlags) -> Result<u8, Failure> {
    let mut filters = Filters::parse(&flags.filtering.filter)?;
    if let Some(reference) = &flags.reference {
        filters.add("reference", reference);
    }
    if flags.tree {
        refuse_beside_tree(&flags)?;
    }
    let columns = if flags.digests { &COLUMNS_WITH_DIGEST } else { &COLUMNS };
    let format = Format::parse(flags.shape.format.as_deref(), flags.shape.quiet, columns);
    let mut images: Vec<ImageSummary> = context
        .engine
        .get("/images/json")
        .query_some("all", flags.all.then_some(1))
        .query_some("filters", filters.to_query())
        .send()
        .await?
        .json()
        .await?;
    images.sort_by_key(|image| std::cmp::Reverse(image.created));
    if flags.tree {
        let request = context.engine.get("/containers/json").query("all", 1);
        let containers: Vec<ContainerSummary> = request.send().await?.json().await?;
        let is_used = |id: &str| containers.iter().any(|container| container.image_id == id);
        print(&tree(&images, is_used))?;
        return Ok(DONE);
    }
    let (now, zone) = clock();
    if flags.shape.quiet {
        // An image with two names is still one.
        images.iter_mut().for_each(|image| image.repo_tags.truncate(1));
    }
    let rows = images.iter().flat_map(|image| rows(image, flags.shape.no_trunc, now, &zone));
    print(&format.render(columns, rows)?)?;
    Ok(DONE)
}

/// The tree has a form of its own.
fn refuse_beside_tree(flags: &ListFlags) -> Result<(), Failure> {
    let beside = [
        (flags.shape.quiet, "--quiet"),
        (flags.shape.no_trunc, "--no-trunc"),
        (flags.digests, "--digests"),
        (flags.shape.format.is_some(), "--format"),
    ];
    match beside.into_iter().find(|(given, _)| *given) {
        Some((_, flag)) => Err(Failure::Invalid(format!("{flag} is not supported with --tree: leave one of them out"))),
        None => Ok(()),
    }
}
