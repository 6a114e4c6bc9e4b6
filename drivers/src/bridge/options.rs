//! Options of driver `bridge`, by Docker's label names.

use std::net::IpAddr;

use cnm::{Error, firewall::GatewayMode, id::LinkName, spec::NetworkSpec};

use crate::options::{invalid, parse_bool, unknown, unsupported};

/// What options of this driver begin with.
const OWN: &str = "com.docker.network.bridge.";

pub(super) const NAME: &str = "com.docker.network.bridge.name";

/// RFC 791: every IPv4 link carries datagrams of 68 bytes. The other end is the longest IP packet.
const MTU_BYTES: std::ops::RangeInclusive<u32> = 68..=65535;

/// A network's options, parsed; what is absent wasn't given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) name: Option<LinkName>,
    pub(super) default_bridge: bool,
    pub(super) masquerade: bool,
    pub(super) inter_container: bool,
    pub(super) gateway_mode_ipv4: GatewayMode,
    pub(super) gateway_mode_ipv6: GatewayMode,
    pub(super) inhibit_ipv4: bool,
    pub(super) host_binding: Option<IpAddr>,
    pub(super) mtu_bytes: Option<u32>,
    pub(super) interface_prefix: String,
}

impl Options {
    pub(super) fn parse(spec: &NetworkSpec) -> Result<Self, Error> {
        let mut options = Self {
            name: None,
            default_bridge: false,
            masquerade: true,
            inter_container: true,
            gateway_mode_ipv4: GatewayMode::Nat,
            gateway_mode_ipv6: GatewayMode::Nat,
            inhibit_ipv4: false,
            host_binding: None,
            mtu_bytes: None,
            interface_prefix: "eth".to_owned(),
        };
        for (option, value) in &spec.options {
            options.set(option, value, spec)?;
        }
        Ok(options)
    }

    fn set(&mut self, option: &str, value: &str, spec: &NetworkSpec) -> Result<(), Error> {
        match option {
            NAME => {
                let name = value.parse().map_err(|error: Error| invalid(option, value, &error.message))?;
                self.name = Some(name);
            }
            "com.docker.network.bridge.default_bridge" => {
                self.default_bridge = parse_bool(option, value)?;
                if self.default_bridge && spec.name.as_str() != "bridge" {
                    return Err(invalid(option, value, "the default bridge is the one of the predefined network"));
                }
            }
            "com.docker.network.bridge.enable_ip_masquerade" => self.masquerade = parse_bool(option, value)?,
            "com.docker.network.bridge.enable_icc" => self.inter_container = parse_bool(option, value)?,
            "com.docker.network.bridge.gateway_mode_ipv4" => {
                self.gateway_mode_ipv4 = parse_gateway_mode(option, value, spec.internal)?;
            }
            "com.docker.network.bridge.gateway_mode_ipv6" => {
                self.gateway_mode_ipv6 = parse_gateway_mode(option, value, spec.internal)?;
            }
            "com.docker.network.bridge.inhibit_ipv4" => self.inhibit_ipv4 = parse_bool(option, value)?,
            "com.docker.network.bridge.host_binding_ipv4" => self.host_binding = parse_host_binding(option, value)?,
            "com.docker.network.driver.mtu" => self.mtu_bytes = parse_mtu(option, value)?,
            "com.docker.network.container_iface_prefix" => {
                self.interface_prefix = parse_interface_prefix(option, value)?;
            }
            "com.docker.network.bridge.trusted_host_interfaces" => {
                return Err(unsupported(option, "containers' own addresses are closed on every interface of the host"));
            }
            "com.docker.network.host_ipv4" | "com.docker.network.host_ipv6" => {
                return Err(unsupported(
                    option,
                    "outgoing traffic gets the address of the interface that it leaves by",
                ));
            }
            _ => unknown("bridge", OWN, option)?,
        }
        Ok(())
    }
}

fn parse_gateway_mode(option: &str, value: &str, internal: bool) -> Result<GatewayMode, Error> {
    match value {
        "" | "nat" => Ok(GatewayMode::Nat),
        "routed" => Ok(GatewayMode::Routed),
        "isolated" if internal => Ok(GatewayMode::Isolated),
        "isolated" => Err(invalid(option, value, "gateway mode 'isolated' can only be used for an internal network")),
        "nat-unprotected" => Err(unsupported(option, "gateway mode nat-unprotected would open every port")),
        _ => Err(invalid(option, value, "nat, routed or isolated is expected")),
    }
}

fn parse_host_binding(option: &str, value: &str) -> Result<Option<IpAddr>, Error> {
    let address: IpAddr = value.parse().map_err(|_| invalid(option, value, "an address of this host is expected"))?;
    if address.is_multicast() {
        return Err(invalid(option, value, "ports can't be published on multicast"));
    }
    // What stands for every IPv4 address is what nobody asking for anything gets, but without IPv6.
    Ok(Some(address.to_canonical()))
}

fn parse_mtu(option: &str, value: &str) -> Result<Option<u32>, Error> {
    let mtu_bytes: u32 = value.parse().map_err(|_| invalid(option, value, "a number of bytes is expected"))?;
    if mtu_bytes == 0 {
        return Ok(None);
    }
    if !MTU_BYTES.contains(&mtu_bytes) {
        let why = format!("{} to {} bytes are expected", MTU_BYTES.start(), MTU_BYTES.end());
        return Err(invalid(option, value, &why));
    }
    Ok(Some(mtu_bytes))
}

/// Leaves room for a number of four digits: names of links have at most 15 bytes.
fn parse_interface_prefix(option: &str, value: &str) -> Result<String, Error> {
    let fits = (1..=11).contains(&value.len()) && value.parse::<LinkName>().is_ok() && value != "lo";
    if fits {
        return Ok(value.to_owned());
    }
    Err(invalid(option, value, "the beginning of an interface name, 1 to 11 characters, is expected"))
}
