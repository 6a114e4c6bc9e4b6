//! `port`: where a container's ports are published, and the commands below it that change that.

use clap::{Args, Subcommand};

pub(crate) const EXAMPLES: &str = "Examples:
  berth port web
  berth port web 80/tcp
  berth port add web 8080:80
  berth port rm web 8080

A container that is called add, rm or remove is named by its id.";
const ADD_EXAMPLES: &str = "Examples:
  berth port add web 8080:80
  berth port add web 127.0.0.1:8443:443 5353:53/udp
  berth port add web 80                               a port that berth chooses

Of a container that doesn't run they are published from its next start on.";
const RM_EXAMPLES: &str = "Examples:
  berth port rm web 8080
  berth port rm web 5353/udp
  berth port rm web 127.0.0.1:8443 6000-6009

Ports are those of the host, with the address that they were published on where there are several.";

/// Arguments of `port`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, disable_help_subcommand = true)]
pub(crate) struct PortFlags {
    /// The container
    #[arg(required = true)]
    pub(crate) container: Option<String>,
    /// Only this port of the container: PORT[/PROTOCOL]
    #[arg(value_name = "PORT")]
    pub(crate) port: Option<String>,
    #[command(subcommand)]
    pub(crate) change: Option<Change>,
}

/// Commands below `port`.
#[derive(Debug, Subcommand)]
pub(crate) enum Change {
    /// Publish ports of a container, also while it runs
    #[command(after_help = ADD_EXAMPLES)]
    Add(AddFlags),
    /// Publish ports of a container no longer, also while it runs
    #[command(visible_alias = "remove", after_help = RM_EXAMPLES)]
    Rm(RemoveFlags),
}

/// Arguments of `port add`.
#[derive(Debug, Args)]
pub(crate) struct AddFlags {
    /// The container
    pub(crate) container: String,
    /// As behind `run -p`: [[IP:]HOST-PORT:]PORT[/PROTOCOL], each of them a range as well
    #[arg(value_name = "PORT", required = true)]
    pub(crate) ports: Vec<String>,
}

/// Arguments of `port rm`.
#[derive(Debug, Args)]
pub(crate) struct RemoveFlags {
    /// The container
    pub(crate) container: String,
    /// Ports of the host: [IP:]PORT[-END][/PROTOCOL]
    #[arg(value_name = "HOST-PORT", required = true)]
    pub(crate) ports: Vec<String>,
}
