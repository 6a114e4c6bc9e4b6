//! `ps`: lists containers.

use crate::engine::reply::ContainerSummary;
use crate::failure::Failure;
use crate::flags::container::ListFlags;
use crate::render::container::{COLUMNS, COLUMNS_WITH_SIZE, row};
use crate::render::format::Format;
use crate::request::filter::Filters;

use super::{Context, DONE, clock, print};

/// Runs the command.
pub(super) async fn ps(context: &Context, flags: ListFlags) -> Result<u8, Failure> {
    let filters = Filters::parse(&flags.filtering.filter)?;
    let columns = if flags.size { &COLUMNS_WITH_SIZE } else { &COLUMNS };
    let format = Format::parse(flags.shape.format.as_deref(), flags.shape.quiet, columns);
    let limit = if flags.latest { 1 } else { flags.last };
    // Sizes are expensive for the engine: only who shows them asks for them.
    let sized = flags.size || flags.shape.format.as_deref().is_some_and(|format| format.contains(".Size"));
    let containers: Vec<ContainerSummary> = context
        .engine
        .get("/containers/json")
        .query_some("all", (flags.all || limit > 0).then_some(1))
        .query_some("limit", (limit > 0).then_some(limit))
        .query_some("size", sized.then_some(1))
        .query_some("filters", filters.to_query())
        .send()
        .await?
        .json()
        .await?;
    let (now, zone) = clock();
    let rows = containers.iter().map(|container| row(container, flags.shape.no_trunc, now, &zone));
    print(&format.render(columns, rows)?)?;
    Ok(DONE)
}
