//! `volume create`, `ls`, `rm`, `prune`.

use serde_json::{Value, json};

use crate::engine;
use crate::engine::reply::{VolumeList, VolumePrune, VolumeSummary};
use crate::failure::Failure;
use crate::flags::volume::{CreateFlags, ListFlags, PruneFlags, RemoveFlags};
use crate::render::format::Format;
use crate::render::human;
use crate::render::volume::{COLUMNS, row};
use crate::request::filter::Filters;
use crate::request::pairs;

use super::confirm::is_confirmed;
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

/// Runs `volume prune`.
pub(super) async fn prune(context: &Context, flags: PruneFlags) -> Result<u8, Failure> {
    let mut filters = Filters::parse(&flags.filter)?;
    if flags.all {
        filters.add("all", "true");
    }
    let warning = match flags.all {
        true => "This will remove all volumes that no container has.",
        false => "This will remove all volumes without a name that no container has.",
    };
    if !flags.force && !is_confirmed(warning)? {
        return Ok(DONE);
    }
    let request = context.engine.post("/volumes/prune").query_some("filters", filters.to_query());
    let pruned: VolumePrune = request.send().await?.json().await?;
    if !pruned.volumes_deleted.is_empty() {
        print(&format!("Deleted Volumes:\n{}\n\n", pruned.volumes_deleted.join("\n")))?;
    }
    print(&format!("Total reclaimed space: {}\n", human::precise_size(pruned.space_reclaimed)))?;
    Ok(DONE)
}
