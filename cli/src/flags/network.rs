//! Commands on networks and their flags.

use clap::{Args, Subcommand};

use super::list::{Filtering, ListShape, ObjectShape};
use super::prune;

const CREATE_EXAMPLES: &str = "Examples:
  berth net create lab
  berth net create --subnet 10.9.0.0/24 --ip-range 10.9.0.128/25 lab
  berth net create --internal --label tier=db backend
  berth net create -o com.docker.network.bridge.enable_icc=false strict

Without --subnet one is chosen that no route of this host overlaps; without --gateway it is the subnet's first address.

Options of the driver bridge: com.docker.network.bridge.name, .enable_icc (whether containers reach each other), .enable_ip_masquerade, com.docker.network.driver.mtu, com.docker.network.container_iface_prefix.";
pub(crate) const LIST_EXAMPLES: &str = "Examples:
  berth net ls
  berth net ls -q --filter driver=bridge --filter label=tier
  berth net ls --format '{{.Name}} {{.Driver}}'

Filters: id, name, driver, scope, type (builtin or custom), label, dangling.

Fields of --format: ID, Name, Driver, Scope, IPv4, IPv6, Internal, Labels, CreatedAt, Subnets, and .Label \"NAME\".";
pub(crate) const PS_EXAMPLES: &str = "Examples:
  berth net ps
  berth net ps lab
  berth net ps --format '{{.Container}} {{.Addresses}}' lab

Fields of --format: Network, NetworkID, Container, ContainerID, Addresses, MacAddress, Interface, Names, Ports.";
const INSPECT_EXAMPLES: &str = "Examples:
  berth net inspect bridge
  berth net inspect -v lab
  berth net inspect -f '{{range .Containers}}{{.Name}} {{end}}' lab";
const REMOVE_EXAMPLES: &str = "Examples:
  berth net rm lab backend
  berth net rm -f maybe      no error when it isn't there";
const CONNECT_EXAMPLES: &str = "Examples:
  berth net connect lab web
  berth net connect --ip 10.9.0.7 --alias db lab web";
const DISCONNECT_EXAMPLES: &str = "Examples:
  berth net disconnect lab web
  berth net disconnect -f lab gone";

/// Commands under `net`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a network
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateFlags),
    /// List networks
    #[command(visible_alias = "list", after_help = LIST_EXAMPLES)]
    Ls(ListFlags),
    /// List who is on which network: addresses, names and published ports
    #[command(after_help = PS_EXAMPLES)]
    Ps(PsFlags),
    /// Show networks in detail
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(InspectFlags),
    /// Remove networks
    #[command(visible_alias = "remove", after_help = REMOVE_EXAMPLES)]
    Rm(RemoveFlags),
    /// Connect a container to one more network
    #[command(after_help = CONNECT_EXAMPLES)]
    Connect(ConnectFlags),
    /// Disconnect a container from a network
    #[command(after_help = DISCONNECT_EXAMPLES)]
    Disconnect(DisconnectFlags),
    /// Remove unused networks
    #[command(after_help = prune::NETWORK_EXAMPLES)]
    Prune(prune::PruneFlags),
}

/// Flags of `net create`.
#[derive(Debug, Default, Args)]
pub(crate) struct CreateFlags {
    /// Kind of network: bridge. Of the kinds host and null there is one each already: host and none
    #[arg(short, long, value_name = "DRIVER", default_value = "bridge")]
    pub(crate) driver: String,
    /// Subnet, as in 10.9.0.0/24
    #[arg(long, value_name = "CIDR")]
    pub(crate) subnet: Vec<String>,
    /// Address of the gateway, which is this host's in the subnet
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) gateway: Vec<String>,
    /// Part of the subnet that containers' addresses are chosen from, as in 10.9.0.128/25
    #[arg(long, value_name = "CIDR")]
    pub(crate) ip_range: Vec<String>,
    /// Address that is never handed out, as in router=10.9.0.2
    #[arg(long, value_name = "NAME=ADDRESS")]
    pub(crate) aux_address: Vec<String>,
    /// Internal: reached from this host only, with no default gateway
    #[arg(long)]
    pub(crate) internal: bool,
    /// Give containers IPv4 addresses, as every network does so far
    #[arg(long, value_name = "bool", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, hide_possible_values = true)]
    pub(crate) ipv4: Option<bool>,
    /// Give containers IPv6 addresses; refused so far
    #[arg(long, value_name = "bool", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, hide_possible_values = true)]
    pub(crate) ipv6: Option<bool>,
    /// Let single containers be attached, as every network does
    #[arg(long)]
    pub(crate) attachable: bool,
    /// Make the ingress network of a swarm
    #[arg(long)]
    pub(crate) ingress: bool,
    /// Scope of the network: local
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<String>,
    /// Only keep the settings, for networks made with --config-from
    #[arg(long)]
    pub(crate) config_only: bool,
    /// Take the settings of this network
    #[arg(long, value_name = "NETWORK")]
    pub(crate) config_from: Option<String>,
    /// What chooses the addresses; netd itself when absent
    #[arg(long, value_name = "DRIVER", default_value = "default", hide_default_value = true)]
    pub(crate) ipam_driver: String,
    /// Option of the IPAM driver
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) ipam_opt: Vec<String>,
    /// Option of the driver, as listed below
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) opt: Vec<String>,
    /// Set a label
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) label: Vec<String>,
    /// Name of the network
    #[arg(value_name = "NETWORK")]
    pub(crate) name: String,
}

/// Flags of `net ls`.
#[derive(Debug, Args)]
pub(crate) struct ListFlags {
    #[command(flatten)]
    pub(crate) filtering: Filtering,
    #[command(flatten)]
    pub(crate) shape: ListShape,
}

/// Flags of `net inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectFlags {
    #[command(flatten)]
    pub(crate) shape: ObjectShape,
    /// Also what the containers have on it beyond addresses: gateways, options, ports
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Networks, by name, id or the beginning of an id
    #[arg(value_name = "NETWORK", required = true)]
    pub(crate) networks: Vec<String>,
}

/// Flags of `net ps`.
#[derive(Debug, Args)]
pub(crate) struct PsFlags {
    #[command(flatten)]
    pub(crate) shape: ListShape,
    /// Only on these networks, by name or id; all when absent
    #[arg(value_name = "NETWORK")]
    pub(crate) networks: Vec<String>,
}

/// Flags of `net rm`.
#[derive(Debug, Args)]
pub(crate) struct RemoveFlags {
    /// No error for a network that isn't there
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Networks, by name, id or the beginning of an id
    #[arg(value_name = "NETWORK", required = true)]
    pub(crate) networks: Vec<String>,
}

/// Flags of `net connect`.
#[derive(Debug, Args)]
pub(crate) struct ConnectFlags {
    /// Another name for the container on the network
    #[arg(long, value_name = "NAME")]
    pub(crate) alias: Vec<String>,
    /// Link to another container on the network, under an alias
    #[arg(long, value_name = "CONTAINER[:NAME]")]
    pub(crate) link: Vec<String>,
    /// Fixed IPv4 address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: Option<String>,
    /// Fixed IPv6 address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip6: Option<String>,
    /// Further link-local address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) link_local_ip: Vec<String>,
    /// Option of the endpoint
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) driver_opt: Vec<String>,
    /// The network with the highest provides the default gateway
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub(crate) gw_priority: i32,
    /// The network
    pub(crate) network: String,
    /// The container
    pub(crate) container: String,
}

/// Flags of `net disconnect`.
#[derive(Debug, Args)]
pub(crate) struct DisconnectFlags {
    /// Also when the container is gone or doesn't answer
    #[arg(short, long)]
    pub(crate) force: bool,
    /// The network
    pub(crate) network: String,
    /// The container
    pub(crate) container: String,
}
