//! `search`: searches a registry's index for repositories.

use crate::credentials;
use crate::engine::reply::FoundRepository;
use crate::failure::Failure;
use crate::flags::registry::SearchFlags;
use crate::render::format::Format;
use crate::render::search::{COLUMNS, row};
use crate::request::filter::Filters;
use crate::request::image_name::domain_and_path;

use super::{Context, DONE, print};

/// Runs the command.
pub(super) async fn search(context: &Context, flags: SearchFlags) -> Result<u8, Failure> {
    let filters = Filters::parse(&flags.filtering.filter)?;
    let format = Format::parse(flags.format.as_deref(), false, &COLUMNS);
    let (domain, _) = domain_and_path(&flags.term);
    let found: Vec<FoundRepository> = context
        .engine
        .get("/images/search")
        .query("term", &flags.term)
        .query_some("limit", flags.limit)
        .query_some("filters", filters.to_query())
        .header_some("X-Registry-Auth", credentials::header(domain).await?)
        .send()
        .await?
        .json()
        .await?;
    print(&format.render(&COLUMNS, found.iter().map(|found| row(found, flags.no_trunc)))?)?;
    Ok(DONE)
}
