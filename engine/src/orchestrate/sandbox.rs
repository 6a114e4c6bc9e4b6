//! A container's networking at netd: asked for when it starts, given back when it has ended.

use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use cnm::Kind;
use cnm::api::{Endpoint, NamespaceRequest, Sandbox, SandboxPut};
use futures::future::{Either, select};
use runtime::spec::Network;

use crate::container::network::NetworkMode;
use crate::container::registry::Registry;
use crate::container::{Container, Containers};
use crate::error::{Error, Result};
use crate::netd::Netd;
use crate::orchestrate::owed;

/// What netd is asked for when a container starts.
pub(crate) fn request(container: &Container, owner: &str, namespace: NamespaceRequest) -> SandboxPut {
    SandboxPut {
        owner: owner.to_owned(),
        name: container.name.clone(),
        labels: container.spec.labels.clone(),
        namespace,
        endpoints: container.endpoints.iter().map(|wanted| wanted.to_request(&container.spec.hostname)).collect(),
        ports: match container.spec.network.mode {
            // In the host's own namespace every port is the host's already.
            NetworkMode::Host | NetworkMode::None | NetworkMode::Container(_) => Vec::new(),
            NetworkMode::Network(_) => container.spec.network.port_requests(),
        },
    }
}

/// Gets a container's sandbox; one that shares another's has none of its own.
#[tracing::instrument(name = "put_sandbox", level = "debug", skip_all, fields(container = container.short_id()))]
pub(crate) async fn put(netd: &Netd, container: &Container) -> Result<Option<Sandbox>> {
    let namespace = match container.spec.network.mode {
        NetworkMode::Container(_) => return Ok(None),
        NetworkMode::Host => NamespaceRequest::Host,
        NetworkMode::Network(_) | NetworkMode::None => NamespaceRequest::New,
    };
    netd.no_older_claims().await;
    let asked = ask_for(netd, container.id.as_str(), &request(container, netd.owner(), namespace)).await;
    asked.map(Some).map_err(networking)
}

/// Asks for a sandbox; a netd that isn't there is started, or waited for.
pub(super) async fn ask_for(netd: &Netd, id: &str, request: &SandboxPut) -> Result<Sandbox> {
    let client = netd.client();
    let reply = match client.put_sandbox(id, request).await {
        Err(error) if error.is_not_running() => {
            netd.ensure().await?;
            client.put_sandbox(id, request).await
        }
        reply => reply,
    };
    Ok(reply?)
}

/// A failure of netd's as one of a container's networking.
pub(super) fn networking(error: Error) -> Error {
    match error {
        Error::Netd(error) => Error::Networking(error),
        other => other,
    }
}

/// Refuses to change the network of a container that runs and has none known at netd: the change would wait for its next start,
/// and who asked for it would take it for done.
pub(super) fn refuse_lost(container: &Container) -> Result<()> {
    match container.has_sandbox() && container.sandbox.is_none() {
        true => Err(Error::conflict(format!(
            "the network of container {} can't be changed: it runs, and netd has no network for it: restart it first",
            container.name
        ))),
        false => Ok(()),
    }
}

/// The namespace that a container's sandbox was asked for in: one that was made again is around the namespace that the
/// container was in already.
pub(super) fn namespace_of(container: &Container) -> NamespaceRequest {
    let path = container.sandbox.as_ref().and_then(|sandbox| sandbox.namespace.as_ref());
    let own = container.state.phase.pid().map(of_process);
    match &container.spec.network.mode {
        NetworkMode::Host => NamespaceRequest::Host,
        _ => own.filter(|own| Some(own) == path).map_or(NamespaceRequest::New, NamespaceRequest::Path),
    }
}

/// The path of a process's network namespace.
pub(crate) fn of_process(pid: i32) -> String {
    format!("/proc/{pid}/ns/net")
}

/// The network that the runtime is to release a container into.
pub(crate) fn network(containers: &Registry, container: &Container, sandbox: Option<&Sandbox>) -> Result<Network> {
    match (&container.spec.network.mode, sandbox.and_then(|sandbox| sandbox.namespace.clone())) {
        (NetworkMode::Host, _) => Ok(Network::Host),
        (NetworkMode::Container(id), _) => {
            let other = containers.find(id.as_str())?.container();
            let pid = other
                .state
                .phase
                .pid()
                .ok_or_else(|| Error::conflict(format!("cannot join network of a non running container: {id}")))?;
            Ok(Network::Namespace(PathBuf::from(of_process(pid))))
        }
        (NetworkMode::Network(_) | NetworkMode::None, Some(path)) => Ok(Network::Namespace(path.into())),
        (NetworkMode::Network(_) | NetworkMode::None, None) => Err(Error::refused(
            Kind::Internal,
            format!("netd made no network namespace for container {}", container.id),
        )),
    }
}

/// Gives the sandbox back. Who waits for the container's end finds its ports free, also when netd has just died: one is
/// started, or waited for. If none comes, or the one that is there answers nobody, that is no reason to keep a container: it is
/// owed.
#[tracing::instrument(name = "remove_sandbox", level = "debug", skip_all, fields(container = container.short_id()))]
pub(crate) async fn remove(netd: &Arc<Netd>, containers: &Arc<Containers>, container: &Container) {
    if matches!(container.spec.network.mode, NetworkMode::Container(_)) {
        return;
    }
    let is_gone = !netd.is_still() && {
        let removal = owed::removal(netd, &container.id);
        match select(removal, pin!(netd.stands_still())).await {
            Either::Left((is_gone, _)) => is_gone,
            Either::Right(((), _)) => false,
        }
    };
    if !is_gone {
        owed::owe(netd, containers, &container.id);
    }
}

/// The container's own addresses, in the order of its interfaces.
pub(crate) fn addresses(sandbox: &Sandbox) -> Vec<IpAddr> {
    sandbox.endpoints.iter().flat_map(addresses_of).collect()
}

/// The addresses of one endpoint.
pub(super) fn addresses_of(endpoint: &Endpoint) -> impl Iterator<Item = IpAddr> {
    endpoint.addresses.iter().map(|held| held.address.ip())
}

/// The host's address as a container reaches it: the gateway of its default route, else the default bridge's address.
pub(crate) async fn host_gateway(netd: &Netd, sandbox: Option<&Sandbox>) -> Result<Option<IpAddr>> {
    let default_route = sandbox.into_iter().flat_map(|sandbox| &sandbox.endpoints).find(|e| e.is_gateway_ipv4);
    let gateways = default_route.into_iter().flat_map(|endpoint| &endpoint.addresses);
    let own = gateways.filter_map(|held| held.gateway).find(IpAddr::is_ipv4);
    if own.is_some() {
        return Ok(own);
    }
    let bridge = netd.client().network("bridge").await?;
    Ok(bridge.pools.iter().filter_map(|pool| pool.gateway).find(IpAddr::is_ipv4))
}

/// The same, if the container's `/etc/hosts` has a line for it: netd isn't asked in vain.
pub(crate) async fn gateway_if_wanted(
    netd: &Netd,
    container: &Container,
    sandbox: Option<&Sandbox>,
) -> Result<Option<IpAddr>> {
    match container.spec.network.extra_hosts.iter().any(|extra| extra.address.is_none()) {
        true => host_gateway(netd, sandbox).await,
        false => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::container::Phase;
    use crate::translate::create::tests::made;

    #[test]
    fn only_who_runs_in_a_network_of_its_own_can_have_lost_it() {
        let other = NetworkMode::Container("0123456789abcdef".parse().unwrap());
        for (mode, phase, has_sandbox) in [
            (NetworkMode::Network("bridge".into()), Phase::Running { pid: 7 }, true),
            (NetworkMode::Host, Phase::Paused { pid: 7 }, true),
            (NetworkMode::None, Phase::Running { pid: 7 }, true),
            (NetworkMode::Network("bridge".into()), Phase::Exited, false),
            (other, Phase::Running { pid: 7 }, false),
        ] {
            let mut container = made(json!({ "Image": "busybox" }));
            container.name = "web".into();
            container.spec.network.mode = mode;
            container.state.phase = phase;
            assert_eq!(container.has_sandbox(), has_sandbox, "{:?} {phase:?}", container.spec.network.mode);
            let refused = refuse_lost(&container).err().map(|error| error.message());
            let said = "the network of container web can't be changed: it runs, and netd has no network for it: restart it first";
            assert_eq!(refused.as_deref(), has_sandbox.then_some(said));
        }
    }
}
