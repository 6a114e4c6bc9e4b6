//! `prune` of containers, images, volumes, the build cache and the whole system: removes what is unused.

use crate::credentials;
use crate::engine::reply::{CachePrune, ContainerPrune, ImagePrune, NetworkPrune, VolumePrune};
use crate::failure::Failure;
use crate::flags::prune::{BuilderFlags, ImageFlags, PruneFlags, SystemFlags, VolumeFlags};
use crate::render::human;
use crate::request::filter::Filters;

use super::confirm::is_confirmed;
use super::rmi::lines;
use super::{Context, DONE, print};

/// The filters that are given, and those that the docker client's configuration has for every prune.
pub(super) fn filters(given: &[String]) -> Result<Filters, Failure> {
    Ok(Filters::parse(given)?.with_configured(&credentials::prune_filters()?))
}

/// Runs `container prune`.
pub(super) async fn containers(context: &Context, flags: PruneFlags) -> Result<u8, Failure> {
    let filters = filters(&flags.filter)?;
    if !flags.force && !is_confirmed("This will remove all stopped containers.")? {
        return Ok(DONE);
    }
    let reclaimed = prune_containers(context, &filters).await?;
    tell_reclaimed(reclaimed)
}

/// Runs `image prune`.
pub(super) async fn images(context: &Context, flags: ImageFlags) -> Result<u8, Failure> {
    let filters = filters(&flags.prune.filter)?;
    let warning = match flags.all {
        true => "This will remove all unused images.",
        false => "This will remove all dangling images.",
    };
    if !flags.prune.force && !is_confirmed(warning)? {
        return Ok(DONE);
    }
    let reclaimed = prune_images(context, filters, flags.all).await?;
    tell_reclaimed(reclaimed)
}

/// Runs `volume prune`.
pub(super) async fn volumes(context: &Context, flags: VolumeFlags) -> Result<u8, Failure> {
    let mut filters = filters(&flags.prune.filter)?;
    if flags.all {
        filters.add("all", "true");
    }
    let warning = match flags.all {
        true => "This will remove all unused volumes.",
        false => "This will remove all unused anonymous volumes.",
    };
    if !flags.prune.force && !is_confirmed(warning)? {
        return Ok(DONE);
    }
    let reclaimed = prune_volumes(context, &filters).await?;
    tell_reclaimed(reclaimed)
}

/// Runs `builder prune`.
pub(super) async fn build_cache(context: &Context, flags: BuilderFlags) -> Result<u8, Failure> {
    let filters = filters(&flags.prune.filter)?;
    let warning = match flags.all {
        true => "This will remove all build cache.",
        false => "This will remove all build cache that no image or container uses.",
    };
    if !flags.prune.force && !is_confirmed(warning)? {
        return Ok(DONE);
    }
    let reclaimed = prune_build_cache(context, &filters, flags.all).await?;
    tell_reclaimed(reclaimed)
}

/// Runs `system prune`.
pub(super) async fn system(context: &Context, flags: SystemFlags) -> Result<u8, Failure> {
    let filters = filters(&flags.prune.filter)?;
    if flags.volumes && filters.iter().any(|(name, _)| name == "until") {
        return Err(Failure::Invalid("volumes have no age: leave out --volumes, or the filter 'until'".to_owned()));
    }
    if !flags.prune.force && !is_confirmed(&warning(&flags))? {
        return Ok(DONE);
    }
    // Containers first: they keep the others.
    let mut reclaimed = prune_containers(context, &filters).await?;
    let networks: NetworkPrune = post(context, "/networks/prune", &filters).await?;
    tell_deleted("Networks", networks.networks_deleted)?;
    if flags.volumes {
        reclaimed += prune_volumes(context, &filters).await?;
    }
    // Steps of builds have an age and no labels.
    let until = filters.only("until");
    let has_labels = filters.iter().any(|(name, _)| name != "until");
    reclaimed += prune_images(context, filters, flags.all).await?;
    if !has_labels {
        reclaimed += prune_build_cache(context, &until, flags.all).await?;
    }
    tell_reclaimed(reclaimed)
}

async fn prune_build_cache(context: &Context, filters: &Filters, all: bool) -> Result<i64, Failure> {
    let request = context.engine.post("/build/prune").query_some("all", all.then_some("1"));
    let pruned: CachePrune = request.query_some("filters", filters.to_query()).send().await?.json().await?;
    tell_deleted("build cache objects", pruned.caches_deleted)?;
    Ok(pruned.space_reclaimed)
}

fn warning(flags: &SystemFlags) -> String {
    let images = match flags.all {
        true => "all unused images",
        false => "all dangling images",
    };
    let mut things = vec!["all stopped containers", "all unused networks"];
    things.extend(flags.volumes.then_some("all unused anonymous volumes"));
    things.push(images);
    things.push(match flags.all {
        true => "all build cache",
        false => "all build cache that nothing uses",
    });
    let things: String = things.iter().map(|thing| format!("\n  - {thing}")).collect();
    format!("This will remove:{things}\n")
}

async fn prune_containers(context: &Context, filters: &Filters) -> Result<i64, Failure> {
    let pruned: ContainerPrune = post(context, "/containers/prune", filters).await?;
    tell_deleted("Containers", pruned.containers_deleted)?;
    Ok(pruned.space_reclaimed)
}

async fn prune_images(context: &Context, mut filters: Filters, all: bool) -> Result<i64, Failure> {
    filters.add("dangling", if all { "false" } else { "true" });
    let pruned: ImagePrune = post(context, "/images/prune", &filters).await?;
    tell_deleted("Images", pruned.images_deleted.iter().flat_map(lines).collect())?;
    Ok(pruned.space_reclaimed)
}

async fn prune_volumes(context: &Context, filters: &Filters) -> Result<i64, Failure> {
    let pruned: VolumePrune = post(context, "/volumes/prune", filters).await?;
    tell_deleted("Volumes", pruned.volumes_deleted)?;
    Ok(pruned.space_reclaimed)
}

async fn post<T: serde::de::DeserializeOwned>(
    context: &Context,
    path: &'static str,
    filters: &Filters,
) -> Result<T, Failure> {
    Ok(context.engine.post(path).query_some("filters", filters.to_query()).send().await?.json().await?)
}

/// Lists what was removed, if anything was.
pub(super) fn tell_deleted(what: &str, deleted: Vec<String>) -> Result<(), Failure> {
    match deleted.is_empty() {
        true => Ok(()),
        false => print(&format!("Deleted {what}:\n{}\n\n", deleted.join("\n"))),
    }
}

fn tell_reclaimed(bytes: i64) -> Result<u8, Failure> {
    print(&format!("Total reclaimed space: {}\n", human::precise_size(bytes)))?;
    Ok(DONE)
}
