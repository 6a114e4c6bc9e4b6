//! `events`: streams events.

use crate::engine::reply::Event;
use crate::failure::Failure;
use crate::flags::system::EventsFlags;
use crate::render::event;
use crate::render::inspect::{Documents, View};
use crate::request::filter::Filters;
use crate::request::time;

use super::{Context, DONE, clock, print, view};

/// Runs the command.
pub(super) async fn events(context: &Context, flags: EventsFlags) -> Result<u8, Failure> {
    let filters = Filters::parse(&flags.filtering.filter)?;
    let view = view(flags.format.as_deref())?;
    let (now, zone) = clock();
    let time = |text: Option<&str>| {
        let parsed = text.map(|text| time::parse(text, now, &zone)).transpose();
        parsed.map(|timestamp| timestamp.map(time::to_query)).map_err(Failure::Invalid)
    };
    let request = context
        .engine
        .get("/events")
        .query_some("since", time(flags.since.as_deref())?)
        .query_some("until", time(flags.until.as_deref())?)
        .query_some("filters", filters.to_query());
    let mut lines = request.send().await?.lines::<Event>();
    while let Some(event) = lines.next().await? {
        let text = match &view {
            View::Indented => event::line(&event, &zone),
            view => Documents::of(&event).render(view).map_err(Failure::Template)?,
        };
        print(&text)?;
    }
    Ok(DONE)
}
