//! `system df`: shows disk usage.

use crate::engine::reply::DiskUsage;
use crate::failure::Failure;
use crate::flags::system::DfFlags;
use crate::render::disk::{COLUMNS, summary, verbose};
use crate::render::format::Format;

use super::{Context, DONE, clock, print};

/// Runs the command.
pub(super) async fn disk_usage(context: &Context, flags: DfFlags) -> Result<u8, Failure> {
    if flags.verbose && flags.format.is_some() {
        return Err(Failure::Invalid("--verbose has tables of its own: leave out --format".to_owned()));
    }
    let usage: DiskUsage = context.engine.get("/system/df").send().await?.json().await?;
    let (now, zone) = clock();
    let text = if flags.verbose {
        verbose(&usage, now, &zone)?
    } else {
        Format::parse(flags.format.as_deref(), false, &COLUMNS).render(&COLUMNS, summary(&usage))?
    };
    print(&text)?;
    Ok(DONE)
}
