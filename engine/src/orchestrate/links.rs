//! `--link` on the default network: containers in each other's `/etc/hosts`.

use std::net::IpAddr;
use std::sync::Arc;

use crate::container::registry::Registry;
use crate::container::{Container, Containers, Phase};
use crate::error::{Error, Result, chain};
use crate::netd::Netd;
use crate::orchestrate::{files, sandbox};
use crate::translate::endpoints::is_on;

/// Whoever a container is linked to must run when it starts. One that is gone since is linked to no longer.
pub(super) fn check(containers: &Registry, container: &Container) -> Result<()> {
    for link in &container.spec.network.links {
        let Ok(other) = containers.find(link.container.as_str()) else { continue };
        let other = other.container();
        if !matches!(other.state.phase, Phase::Running { .. }) {
            return Err(Error::conflict(format!(
                "Cannot link to a non running container: /{} AS /{}/{}",
                other.name, container.name, link.alias
            )));
        }
    }
    Ok(())
}

/// The addresses of those who are linked to and run, each with its names.
pub(super) fn addresses(containers: &Registry, container: &Container) -> Vec<(IpAddr, String)> {
    let mut all = Vec::new();
    for link in &container.spec.network.links {
        let Ok(other) = containers.find(link.container.as_str()) else { continue };
        let other = other.container();
        let mut names = vec![link.alias.as_str()];
        for name in [other.short_id(), other.name.as_str()] {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let endpoints = other.sandbox.iter().flat_map(|sandbox| &sandbox.endpoints);
        let on_default = endpoints.filter(|endpoint| is_on(endpoint, "bridge"));
        all.extend(on_default.flat_map(sandbox::addresses_of).map(|address| (address, names.join(" "))));
    }
    all
}

/// Tells those who are linked to a container that it runs, with the address that it has now.
pub(super) async fn tell(netd: &Netd, containers: &Arc<Containers>, container: &Container) {
    for handle in containers.registry.linked_to(&container.id) {
        let linked = handle.container();
        let Some(sandbox) = &linked.sandbox else { continue };
        if let Err(error) = files::refresh_hosts(netd, containers, &linked, sandbox).await {
            tracing::warn!(container = %linked.id, "its /etc/hosts isn't told of {}: {}", container.name, chain(&error));
        }
    }
}
