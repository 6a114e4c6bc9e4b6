//! `port`: shows where a container's ports are published, and changes that.

use bollard_stubs::models::PortMap;
use serde::{Deserialize, Serialize};

use crate::engine::container;
use crate::engine::reply::{ContainerDetails, PortBinding, PublishedPorts};
use crate::failure::Failure;
use crate::flags::port::{AddFlags, Change, PortFlags, RemoveFlags};
use crate::request::port::Ports;

use super::{Context, DONE, print};

/// Runs the command.
pub(super) async fn port(context: &Context, flags: PortFlags) -> Result<u8, Failure> {
    match flags.change {
        Some(Change::Add(flags)) => add(context, flags).await,
        Some(Change::Rm(flags)) => remove(context, flags).await,
        None => show(context, &flags.container.unwrap_or_default(), flags.port.as_deref()).await,
    }
}

async fn show(context: &Context, name: &str, port: Option<&str>) -> Result<u8, Failure> {
    let request = context.engine.get(container(name, "/json")?);
    let details: ContainerDetails = request.send().await?.json().await?;
    let ports = details.network_settings.ports;
    let text: String = match port {
        None => lines(&ports, |_| true),
        Some(port) => {
            if port.split('/').next().is_none_or(|number| number.parse::<u16>().is_err()) {
                return Err(Failure::Invalid(format!("invalid port '{port}': give PORT[/tcp|udp|sctp], as in 80/tcp")));
            }
            let wanted = if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") };
            let bindings = ports.get(&wanted).and_then(Option::as_ref).filter(|bindings| !bindings.is_empty());
            let missing = || Failure::Invalid(format!("no public port '{port}' published for {name}"));
            bindings.ok_or_else(missing)?.iter().map(|binding| address(binding) + "\n").collect()
        }
    };
    print(&text)?;
    Ok(DONE)
}

/// Body of `POST /berth/containers/{id}/ports`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    add: Option<PortMap>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remove: Vec<String>,
}

/// Its reply.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeReply {
    ports: PublishedPorts,
}

/// Runs `port add`: prints where the ports are published now; nothing where that is only at the next start.
async fn add(context: &Context, flags: AddFlags) -> Result<u8, Failure> {
    let ports = Ports::parse(&flags.ports, &[])?.bindings();
    let request = ChangeRequest { add: Some(ports.clone()), ..ChangeRequest::default() };
    let there = change(context, &flags.container, &request).await?;
    print(&lines(&there, |port| ports.contains_key(port)))?;
    Ok(DONE)
}

async fn remove(context: &Context, flags: RemoveFlags) -> Result<u8, Failure> {
    let request = ChangeRequest { remove: flags.ports, ..ChangeRequest::default() };
    change(context, &flags.container, &request).await?;
    Ok(DONE)
}

async fn change(context: &Context, name: &str, change: &ChangeRequest) -> Result<PublishedPorts, Failure> {
    let path = format!("/berth{}", container(name, "/ports")?);
    let reply: ChangeReply = context.engine.post(path).json(change).send().await?.json().await?;
    Ok(reply.ports)
}

/// `80/tcp -> 0.0.0.0:8080`, by the container's ports.
fn lines(ports: &PublishedPorts, is_wanted: impl Fn(&str) -> bool) -> String {
    let mut ports: Vec<_> = ports.iter().filter(|(port, _)| is_wanted(port)).collect();
    ports.sort_by_key(|(port, _)| port.split_once('/').and_then(|(number, _)| number.parse::<u16>().ok()));
    let line = |port: &str, binding: &PortBinding| format!("{port} -> {}\n", address(binding));
    ports.iter().flat_map(|(port, at)| at.iter().flatten().map(move |binding| line(port, binding))).collect()
}

fn address(binding: &PortBinding) -> String {
    let PortBinding { host_ip, host_port } = binding;
    if host_ip.contains(':') { format!("[{host_ip}]:{host_port}") } else { format!("{host_ip}:{host_port}") }
}
