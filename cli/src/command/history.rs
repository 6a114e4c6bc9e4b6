//! `history`: shows the history of an image.

use crate::engine::image;
use crate::engine::reply::HistoryItem;
use crate::failure::Failure;
use crate::flags::image::HistoryFlags;
use crate::render::format::Format;
use crate::render::image::{EXACT_HISTORY_COLUMNS, HISTORY_COLUMNS, history_row};

use super::load::platform;
use super::{Context, DONE, clock, print};

/// Runs the command.
pub(super) async fn history(context: &Context, flags: HistoryFlags) -> Result<u8, Failure> {
    let columns = if flags.human { &HISTORY_COLUMNS } else { &EXACT_HISTORY_COLUMNS };
    let format = Format::parse(flags.shape.format.as_deref(), flags.shape.quiet, columns);
    let platform = platform(flags.platform.as_deref())?;
    let request = context.engine.get(image(&flags.image, "/history")?).query_some("platform", platform);
    let steps: Vec<HistoryItem> = request.send().await?.json().await?;
    let (now, zone) = clock();
    let rows = steps.iter().map(|step| history_row(step, flags.shape.no_trunc, flags.human, now, &zone));
    print(&format.render(columns, rows)?)?;
    Ok(DONE)
}
