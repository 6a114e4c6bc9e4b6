//! `net create`, `ls`, `ps`, `inspect`, `rm`, `prune`: asked of netd itself.

use cnm::Kind;
use cnm::api::{NetworkQuery, PruneRequest};

use crate::engine::reply::Identified;
use crate::failure::Failure;
use crate::flags::network::{CreateFlags, InspectFlags, ListFlags, PsFlags, RemoveFlags};
use crate::flags::prune::PruneFlags;
use crate::render::attachment;
use crate::render::format::Format;
use crate::render::inspect::Documents;
use crate::render::network::{COLUMNS, details, row};
use crate::request::error::{RequestError, refused};
use crate::request::filter::Filters;
use crate::request::network::{engine_create, network_create};
use crate::request::network_filter::NetworkFilter;
use crate::request::time;

use super::confirm::is_confirmed;
use super::prune::{filters, tell_deleted};
use super::{Context, DONE, clock, complain, for_each, print, view};

/// Runs `net create`.
pub(super) async fn create(context: &Context, flags: CreateFlags) -> Result<u8, Failure> {
    let id = match engine_create(&flags)? {
        Some(request) => {
            let created: Identified =
                context.engine.post("/networks/create").json(&request).send().await?.json().await?;
            created.id
        }
        None => {
            let request = network_create(&flags)?;
            context.netd().await?.create_network(&request).await?.id
        }
    };
    print(&format!("{id}\n"))?;
    Ok(DONE)
}

/// Runs `net ls`.
pub(super) async fn list(context: &Context, flags: ListFlags) -> Result<u8, Failure> {
    let filter = NetworkFilter::parse(&Filters::parse(&flags.filtering.filter)?)?;
    let query = NetworkQuery { endpoints: filter.needs_endpoints() };
    let networks = context.netd().await?.networks(&query).await?;
    let format = Format::parse(flags.shape.format.as_deref(), flags.shape.quiet, &COLUMNS);
    let rows =
        networks.iter().filter(|network| filter.matches(network)).map(|network| row(network, flags.shape.no_trunc));
    print(&format.render(&COLUMNS, rows)?)?;
    Ok(DONE)
}

/// Runs `net ps`.
pub(super) async fn attached(context: &Context, flags: PsFlags) -> Result<u8, Failure> {
    let netd = context.netd().await?;
    let mut wanted = Vec::new();
    for name in &flags.networks {
        wanted.push(netd.network(name).await?.id);
    }
    let sandboxes = netd.sandboxes().await?;
    let format = Format::parse(flags.shape.format.as_deref(), flags.shape.quiet, &attachment::COLUMNS);
    let shown = |id: &str| wanted.is_empty() || wanted.iter().any(|network| network == id);
    print(&format.render(&attachment::COLUMNS, attachment::rows(&sandboxes, shown, flags.shape.no_trunc))?)?;
    Ok(DONE)
}

/// Runs `net inspect`: shows what is found, and then says what isn't.
pub(super) async fn inspect(context: &Context, flags: InspectFlags) -> Result<u8, Failure> {
    let view = view(flags.shape.format.as_deref())?;
    let mut documents = Documents::default();
    let mut missing = Vec::new();
    let netd = context.netd().await?;
    let sandboxes = if flags.verbose { netd.sandboxes().await? } else { Vec::new() };
    for name in &flags.networks {
        match netd.network(name).await {
            Ok(network) => documents.add(&details(&network, &sandboxes)),
            Err(error) if error.kind() == Kind::NotFound => missing.push(Failure::from(error)),
            Err(error) => return Err(error.into()),
        }
    }
    if flags.shape.format.is_none() || documents.len() > 0 {
        print(&documents.render(&view).map_err(Failure::Template)?)?;
    }
    missing.iter().for_each(|failure| complain(&failure.text()));
    if missing.is_empty() { Ok(DONE) } else { Err(Failure::Reported) }
}

/// Runs `net rm`.
pub(super) async fn remove(context: &Context, flags: RemoveFlags) -> Result<u8, Failure> {
    let (force, netd) = (flags.force, &context.netd().await?);
    for_each(&flags.networks, |name| async move {
        match netd.remove_network(&name).await {
            Err(error) if force && error.kind() == Kind::NotFound => {
                complain(&error.to_string());
                Ok(None)
            }
            removed => Ok(removed.map(|()| Some(name))?),
        }
    })
    .await
}

/// Runs `net prune`.
pub(super) async fn prune(context: &Context, flags: PruneFlags) -> Result<u8, Failure> {
    let request = prune_request(&filters(&flags.filter)?)?;
    if !flags.force && !is_confirmed("This will remove all unused networks.")? {
        return Ok(DONE);
    }
    let pruned = context.netd().await?.prune(&request).await?;
    tell_deleted("Networks", pruned.networks)?;
    Ok(DONE)
}

fn prune_request(filters: &Filters) -> Result<PruneRequest, Failure> {
    let (now, zone) = clock();
    let mut request = PruneRequest::default();
    for (key, values) in filters.iter() {
        let owned = values.iter().map(|&value| value.to_owned());
        match (key, &values[..]) {
            ("label", _) => request.labels.extend(owned),
            ("label!", _) => request.labels_not.extend(owned),
            ("until", [until]) => {
                let parsed = time::parse(until, now, &zone).map_err(|reason| refused("--filter", until, reason))?;
                request.until = Some(parsed);
            }
            ("until", _) => {
                return Err(RequestError::Conflict("more than one until filter specified".to_owned()).into());
            }
            _ => return Err(refused("--filter", key, "invalid filter: use until, label or label!").into()),
        }
    }
    Ok(request)
}
