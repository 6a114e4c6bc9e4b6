//! `images`: lists images.

use crate::engine::reply::ImageSummary;
use crate::failure::Failure;
use crate::flags::image::ListFlags;
use crate::render::format::Format;
use crate::render::image::{COLUMNS, COLUMNS_WITH_DIGEST, rows};
use crate::request::filter::Filters;

use super::{Context, DONE, clock, print};

/// Runs the command.
pub(super) async fn images(context: &Context, flags: ListFlags) -> Result<u8, Failure> {
    let mut filters = Filters::parse(&flags.filtering.filter)?;
    if let Some(reference) = &flags.reference {
        filters.add("reference", reference);
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
    let (now, zone) = clock();
    if flags.shape.quiet {
        // An image with two names is still one.
        images.iter_mut().for_each(|image| image.repo_tags.truncate(1));
    }
    let rows = images.iter().flat_map(|image| rows(image, flags.shape.no_trunc, now, &zone));
    print(&format.render(columns, rows)?)?;
    Ok(DONE)
}
