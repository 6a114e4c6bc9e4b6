//! `network connect` and `disconnect`: an endpoint more or less, now if the container runs, and at its next start.

use std::sync::Arc;

use cnm::Kind;
use cnm::api::{Network, Sandbox};
use netd_client::Client;

use crate::container::WantedEndpoint;
use crate::container::network::NetworkMode;
use crate::container::owned::Owned;
use crate::error::{Error, Result, chain};
use crate::netd::Netd;
use crate::orchestrate::{change, files, sandbox};
use crate::translate::endpoints::is_on;

const ONLY_NONE: &str =
    "container cannot be connected to multiple networks with one of the networks in private (none) mode";

/// Attaches the container to a network; `wanted.network` is the name or id that the request has.
pub(crate) async fn connect(netd: &Arc<Netd>, owned: &mut Owned, mut wanted: WantedEndpoint) -> Result<()> {
    let network = netd.network(&wanted.network).await?;
    refuse_mode(&owned.container.spec.network.mode, &network, Change::Connect)?;
    if network.driver == "null" && !owned.container.endpoints.is_empty() {
        return Err(Error::invalid(ONLY_NONE));
    }
    // netd refuses it as well, once the container runs.
    if network.predefined && (wanted.ipv4.is_some() || wanted.ipv6.is_some()) {
        return Err(Error::invalid(format!(
            "user specified IP address is supported on user defined networks only: {} is predefined",
            network.name
        )));
    }
    if owned.container.endpoints.iter().any(|endpoint| names(endpoint, &network)) {
        return Err(Error::refused(
            Kind::Forbidden,
            format!("endpoint with name {} already exists in network {}", owned.container.name, network.name),
        ));
    }
    sandbox::refuse_lost(&owned.container)?;
    wanted.network.clone_from(&network.name);
    let before = owned.container.clone();
    let mut live = None;
    if owned.container.sandbox.is_some() {
        let request = wanted.to_request(&owned.container.spec.hostname);
        let (client, id) = (netd.client().clone(), owned.container.id.to_string());
        let path = format!("POST /v1/sandboxes/{id}/endpoints");
        let asked = async move {
            client.connect_endpoint(&id, &request).await?;
            changed(&client, &id).await
        };
        live = Some(change::ask(netd, owned, &path, asked).await?);
    }
    owned.container.endpoints.push(wanted);
    take_over(netd, owned, live).await;
    change::store(netd, owned, before).await
}

/// Detaches the container from a network, by the name or id that the request has. `force` does it for a network that
/// netd no longer knows.
pub(crate) async fn disconnect(netd: &Arc<Netd>, owned: &mut Owned, reference: &str, force: bool) -> Result<()> {
    let known = netd.network(reference).await;
    let network = match known {
        Ok(network) => Some(network),
        Err(error) if force && error.kind() == Kind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(network) = &network {
        refuse_mode(&owned.container.spec.network.mode, network, Change::Disconnect)?;
    }
    let name = network.as_ref().map_or(reference, |network| &network.name);
    let is_it = |endpoint: &WantedEndpoint| match &network {
        Some(network) => names(endpoint, network),
        None => endpoint.network == reference,
    };
    let Some(place) = owned.container.endpoints.iter().position(is_it) else {
        let container = &owned.container.name;
        return Err(Error::refused(
            Kind::Forbidden,
            format!("container {container} is not connected to the network {name}"),
        ));
    };
    if !force {
        sandbox::refuse_lost(&owned.container)?;
    }
    let before = owned.container.clone();
    let mut live = before.sandbox.iter().flat_map(|sandbox| &sandbox.endpoints);
    let endpoint = live.find(|endpoint| is_on(endpoint, name)).map(|endpoint| endpoint.id.clone());
    let mut live = None;
    if let Some(endpoint) = endpoint {
        let (client, id) = (netd.client().clone(), owned.container.id.to_string());
        let path = format!("DELETE /v1/sandboxes/{id}/endpoints/{endpoint}");
        let asked = async move {
            client.disconnect_endpoint(&id, &endpoint).await?;
            changed(&client, &id).await
        };
        live = Some(change::ask(netd, owned, &path, asked).await?);
    }
    owned.container.endpoints.remove(place);
    take_over(netd, owned, live).await;
    change::store(netd, owned, before).await
}

/// What netd has made of a sandbox. That this can't be had doesn't say that nothing was changed.
async fn changed(client: &Client, id: &str) -> Result<Sandbox> {
    Ok(client.sandbox(id).await.map_err(|error| match error {
        error if error.is_given_up() => error,
        error => {
            netd_client::Error::Interrupted { request: format!("GET /v1/sandboxes/{id}"), source: Box::new(error) }
        }
    })?)
}

/// Whether a wanted endpoint is on this network, whatever it was called when it was asked for.
fn names(endpoint: &WantedEndpoint, network: &Network) -> bool {
    let named = endpoint.network.as_str();
    named == network.name || (named.len() >= 12 && network.id.starts_with(named))
}

/// What is asked of a container's networks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Connect,
    Disconnect,
}

fn refuse_mode(mode: &NetworkMode, network: &Network, change: Change) -> Result<()> {
    match (mode, change) {
        (NetworkMode::Host, Change::Disconnect) if network.driver == "host" => Err(Error::invalid(
            "cannot disconnect container from host network - container was created in host network mode",
        )),
        (NetworkMode::Container(_) | NetworkMode::Host, Change::Connect) => Err(Error::invalid(
            "container sharing network namespace with another container or host cannot be connected to any other network",
        )),
        (NetworkMode::Network(_) | NetworkMode::None, Change::Connect) if network.driver == "host" => Err(
            Error::invalid("cannot connect container to host network - container must be created in host network mode"),
        ),
        (NetworkMode::None, _) => Err(Error::invalid(ONLY_NONE)),
        // Whoever shares a network namespace isn't connected to anything that it could be disconnected from.
        _ => Ok(()),
    }
}

/// Takes over how netd has it now (the default route may have moved) and tells the container's `/etc/hosts`.
async fn take_over(netd: &Netd, owned: &mut Owned, now: Option<Sandbox>) {
    let Some(now) = now else { return };
    let told = files::refresh_hosts(netd, &owned.containers, &owned.container, &now).await;
    owned.container.sandbox = Some(now);
    if let Err(error) = told {
        tracing::warn!(container = %owned.container.id, "its /etc/hosts isn't told of its networks: {}", chain(&error));
    }
}
