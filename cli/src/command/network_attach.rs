//! `net connect` and `disconnect`: of containers through the engine, so that it knows; of other sandboxes through netd.

use bollard_stubs::models::{EndpointIpamConfig, EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest};
use cnm::api::{EndpointRequest, Sandbox};

use crate::engine::{EngineError, network};
use crate::failure::Failure;
use crate::flags::network::{ConnectFlags, DisconnectFlags};
use crate::request::attachment::{ipv4, ipv6, some};
use crate::request::error::refused;
use crate::request::pairs;

use super::{Context, DONE};

/// Runs `net connect`.
pub(super) async fn connect(context: &Context, flags: ConnectFlags) -> Result<u8, Failure> {
    for (name, value, check) in
        [("--ip", &flags.ip, ipv4 as fn(&str) -> Result<String, String>), ("--ip6", &flags.ip6, ipv6)]
    {
        if let Some(value) = value {
            check(value).map_err(|reason| refused(name, value, reason))?;
        }
    }
    let request = context.engine.post(network(&flags.network, "/connect")?).json(&connect_request(&flags));
    let refusal = match request.send().await {
        Ok(reply) => return Ok(reply.done().await.map(|()| DONE)?),
        Err(error) => error,
    };
    let sandbox = sandbox_instead(context, &flags.container, refusal).await?;
    let netd = context.netd().await?.of_owner(&sandbox.owner);
    netd.connect_endpoint(&sandbox.id, &endpoint_request(&flags)).await?;
    Ok(DONE)
}

/// Runs `net disconnect`.
pub(super) async fn disconnect(context: &Context, flags: DisconnectFlags) -> Result<u8, Failure> {
    let body = NetworkDisconnectRequest { container: flags.container.clone(), force: Some(flags.force) };
    let request = context.engine.post(network(&flags.network, "/disconnect")?).json(&body);
    let refusal = match request.send().await {
        Ok(reply) => return Ok(reply.done().await.map(|()| DONE)?),
        Err(error) => error,
    };
    let sandbox = sandbox_instead(context, &flags.container, refusal).await?;
    let netd = context.netd().await?.of_owner(&sandbox.owner);
    let id = netd.network(&flags.network).await?.id;
    let endpoint = sandbox.endpoints.iter().find(|endpoint| endpoint.network == id).ok_or_else(|| {
        Failure::Invalid(format!("sandbox {} is not connected to network {}", flags.container, flags.network))
    })?;
    netd.disconnect_endpoint(&sandbox.id, &endpoint.id).await?;
    Ok(DONE)
}

/// The sandbox of that id, when the engine has no such container or doesn't run; else the engine's own refusal stands.
async fn sandbox_instead(context: &Context, name: &str, refusal: EngineError) -> Result<Sandbox, Failure> {
    if !refusal.is_not_found() && !matches!(refusal, EngineError::Connect(_)) {
        return Err(refusal.into());
    }
    let Ok(netd) = context.netd().await else { return Err(refusal.into()) };
    netd.sandbox(name).await.map_err(|_| refusal.into())
}

fn connect_request(flags: &ConnectFlags) -> NetworkConnectRequest {
    let fixed = flags.ip.is_some() || flags.ip6.is_some() || !flags.link_local_ip.is_empty();
    let ipam = fixed.then(|| EndpointIpamConfig {
        ipv4_address: flags.ip.clone(),
        ipv6_address: flags.ip6.clone(),
        link_local_ips: some(flags.link_local_ip.clone()),
    });
    let settings = EndpointSettings {
        ipam_config: ipam,
        aliases: some(flags.alias.clone()),
        links: some(flags.link.clone()),
        driver_opts: Some(pairs::map(&flags.driver_opt)).filter(|options| !options.is_empty()),
        gw_priority: Some(i64::from(flags.gw_priority)).filter(|priority| *priority != 0),
        ..EndpointSettings::default()
    };
    NetworkConnectRequest { container: flags.container.clone(), endpoint_config: Some(settings) }
}

fn endpoint_request(flags: &ConnectFlags) -> EndpointRequest {
    EndpointRequest {
        network: flags.network.clone(),
        ipv4: flags.ip.clone(),
        ipv6: flags.ip6.clone(),
        aliases: flags.alias.clone(),
        gateway_priority: flags.gw_priority,
        options: pairs::sorted_map(&flags.driver_opt),
        ..EndpointRequest::default()
    }
}
