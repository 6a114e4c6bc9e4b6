//! `port`: shows where a container's ports are published.

use crate::engine::container;
use crate::engine::reply::{ContainerDetails, PortBinding};
use crate::failure::Failure;
use crate::flags::container::PortFlags;

use super::{Context, DONE, print};

/// Runs the command.
pub(super) async fn port(context: &Context, flags: PortFlags) -> Result<u8, Failure> {
    let request = context.engine.get(container(&flags.container, "/json")?);
    let details: ContainerDetails = request.send().await?.json().await?;
    let ports = details.network_settings.ports;
    let text: String = match &flags.port {
        None => {
            let mut ports: Vec<_> = ports.iter().collect();
            ports.sort_by_key(|(port, _)| port.split_once('/').and_then(|(number, _)| number.parse::<u16>().ok()));
            let line = |port: &str, binding: &PortBinding| format!("{port} -> {}\n", address(binding));
            ports.iter().flat_map(|(port, at)| at.iter().flatten().map(move |binding| line(port, binding))).collect()
        }
        Some(port) => {
            if port.split('/').next().is_none_or(|number| number.parse::<u16>().is_err()) {
                return Err(Failure::Invalid(format!("invalid port '{port}': give PORT[/tcp|udp|sctp], as in 80/tcp")));
            }
            let wanted = if port.contains('/') { port.clone() } else { format!("{port}/tcp") };
            let bindings = ports.get(&wanted).and_then(Option::as_ref).filter(|bindings| !bindings.is_empty());
            let missing = || Failure::Invalid(format!("no public port '{port}' published for {}", flags.container));
            bindings.ok_or_else(missing)?.iter().map(|binding| address(binding) + "\n").collect()
        }
    };
    print(&text)?;
    Ok(DONE)
}

fn address(binding: &PortBinding) -> String {
    let PortBinding { host_ip, host_port } = binding;
    if host_ip.contains(':') { format!("[{host_ip}]:{host_port}") } else { format!("{host_ip}:{host_port}") }
}
