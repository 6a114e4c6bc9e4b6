//! `volume create`, `ls`, `rm`.

use serde_json::{Value, json};

use crate::engine;
use crate::engine::reply::{VolumeList, VolumeSummary};
use crate::failure::Failure;
use crate::flags::volume::{CreateFlags, ListFlags, RemoveFlags};
use crate::render::format::Format;
use crate::render::volume::{COLUMNS, row};
use crate::request::filter::Filters;
use crate::request::pairs;

use super::{Context, DONE, for_each, print, print_error};

/// Runs `volume create`.
pub(super) async fn create(context: &Context, flags: CreateFlags) -> Result<u8, Failure> {
    let request = create_request(&flags)?;
    let made: VolumeSummary = context.engine.post("/volumes/create").json(&request).send().await?.json().await?;
    print(&format!("{}\n", made.name))?;
    Ok(DONE)
}

fn create_request(flags: &CreateFlags) -> Result<Value, Failure> {
    flags.label.iter().try_for_each(|label| pairs::check_label("--label", label))?;
    Ok(json!({
        "Name": flags.name.as_deref().unwrap_or_default(),
        "Driver": flags.driver,
        "DriverOpts": pairs::sorted_map(&flags.opt),
        "Labels": pairs::sorted_map(&flags.label),
    }))
}

/// Runs `volume ls`.
pub(super) async fn list(context: &Context, flags: ListFlags) -> Result<u8, Failure> {
    let filters = Filters::parse(&flags.filtering.filter)?;
    let request = context.engine.get("/volumes").query_some("filters", filters.to_query());
    let mut list: VolumeList = request.send().await?.json().await?;
    list.volumes.sort_by(|a, b| a.name.cmp(&b.name));
    let format = Format::parse(flags.format.as_deref(), flags.quiet, &COLUMNS);
    print(&format.render(&COLUMNS, list.volumes.iter().map(row))?)?;
    list.warnings.iter().for_each(|warning| print_error(&format!("WARNING: {warning}")));
    Ok(DONE)
}

/// Runs `volume rm`.
pub(super) async fn remove(context: &Context, flags: RemoveFlags) -> Result<u8, Failure> {
    let force = flags.force;
    for_each(&flags.volumes, |name| async move {
        let request = context.engine.delete(engine::volume(&name)?).query("force", u8::from(force));
        request.send().await?.done().await?;
        Ok(Some(name))
    })
    .await
}
