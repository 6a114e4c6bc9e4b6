//! The commands and their flags, as they are typed: nothing is checked beyond their number.
//!
//! `request` makes requests of these. [`parse`] makes clap read a command line as Docker's CLI does.
// Help texts have brackets that lead nowhere, and can't have a backslash before them.
#![allow(rustdoc::broken_intra_doc_links)]

pub(crate) mod build;
pub(crate) mod container;
pub(crate) mod create;
pub(crate) mod files;
mod help;
pub(crate) mod image;
mod limits;
pub(crate) mod list;
pub(crate) mod network;
mod pflag;
pub(crate) mod port;
pub(crate) mod prune;
pub(crate) mod registry;
pub(crate) mod system;
pub(crate) mod update;
pub(crate) mod volume;

use clap::{Args, Parser, Subcommand};

pub(crate) use limits::{BlkioFlags, CgroupFlags, ContainerLimitFlags};
pub(crate) use pflag::{Rejected, adapt_arguments, complaint, explained, parse, unadapted};

const EXAMPLES: &str = "Examples:
  berth load -i busybox.tar                  an image from an archive
  berth run --rm -it busybox sh              a shell in a new container
  berth run -d --name web -p 4000:80 IMAGE   a server on port 4000 of this host
  berth ps                                   what is running
  berth logs -f web                          what it says
  berth net create --subnet 10.9.0.0/24 lab  a network of one's own

Every command has examples: berth COMMAND --help

The daemon is berthd, which starts netd for the networks: 'systemctl start berthd' or 'sudo berthd'. Its API is Docker's, so that docker and compose work as well: export DOCKER_HOST=unix:///run/berth/berth.sock";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "berth",
    about = "Run containers, with networking as the first concern",
    after_help = EXAMPLES,
    version,
    disable_version_flag = true,
    propagate_version = false,
    args_override_self = true,
    infer_long_args = false,
    override_usage = "berth [OPTIONS] COMMAND"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) sockets: Sockets,

    /// Print the version and quit
    #[arg(short = 'v', long = "version", action = clap::ArgAction::Version)]
    version: Option<bool>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the daemons are.
#[derive(Debug, Args)]
pub(crate) struct Sockets {
    /// Socket of berthd: unix:///path or a path [default: unix:///run/berth/berth.sock]
    #[arg(short = 'H', long, value_name = "SOCKET", env = "BERTH_HOST", hide_env_values = true)]
    pub(crate) host: Option<String>,

    /// Socket of netd, which 'berth net' talks to [default: the one that berthd has]
    #[arg(long, value_name = "SOCKET", env = "BERTH_NETD", hide_env_values = true)]
    pub(crate) netd_socket: Option<String>,
}

/// The commands of the top level.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Verb(container::Verb),
    /// List containers
    #[command(after_help = container::LIST_EXAMPLES)]
    Ps(container::ListFlags),
    /// List images
    #[command(after_help = image::LIST_EXAMPLES)]
    Images(image::ListFlags),
    /// Remove images
    #[command(after_help = image::REMOVE_EXAMPLES)]
    Rmi(image::RemoveFlags),
    #[command(flatten)]
    ImageVerb(image::Verb),
    /// Search a registry for images
    #[command(after_help = registry::SEARCH_EXAMPLES)]
    Search(registry::SearchFlags),
    /// Log in to a registry
    #[command(after_help = registry::LOGIN_EXAMPLES)]
    Login(registry::LoginFlags),
    /// Forget a registry's password
    #[command(after_help = registry::LOGOUT_EXAMPLES)]
    Logout(registry::LogoutFlags),
    /// Build an image from a Dockerfile
    #[command(after_help = build::EXAMPLES)]
    Build(Box<build::BuildFlags>),
    /// Manage the build cache
    Builder {
        #[command(subcommand)]
        command: build::Command,
    },
    /// Show containers, images, networks and volumes in detail
    #[command(after_help = system::INSPECT_EXAMPLES)]
    Inspect(system::InspectFlags),
    /// Stream events
    #[command(after_help = system::EVENTS_EXAMPLES)]
    Events(system::EventsFlags),
    /// Show what the engine knows about itself and this host
    #[command(after_help = system::INFO_EXAMPLES)]
    Info(system::InfoFlags),
    /// Show the versions of berth and of the engine
    #[command(after_help = system::VERSION_EXAMPLES)]
    Version(system::VersionFlags),
    /// Manage containers
    Container {
        #[command(subcommand)]
        command: container::Command,
    },
    /// Manage images
    Image {
        #[command(subcommand)]
        command: image::Command,
    },
    /// Manage networks, asking netd itself
    #[command(visible_alias = "network")]
    Net {
        #[command(subcommand)]
        command: network::Command,
    },
    /// Manage volumes
    Volume {
        #[command(subcommand)]
        command: volume::Command,
    },
    /// Manage the engine
    System {
        #[command(subcommand)]
        command: system::Command,
    },
    /// Print a script that completes commands, flags and names in a shell
    #[command(after_help = COMPLETION_EXAMPLES)]
    Completion {
        /// bash, zsh, fish or elvish
        shell: clap_complete::Shell,
    },
    /// Write the manual's pages, one for each command
    #[command(after_help = MAN_PAGES_EXAMPLES)]
    ManPages {
        /// Directory to write them to
        directory: std::path::PathBuf,
    },
}

const MAN_PAGES_EXAMPLES: &str = "Examples:
  berth man-pages ~/.local/share/man/man1

The directory is made if it isn't there.";
const COMPLETION_EXAMPLES: &str = "Examples:
  berth completion bash > /etc/bash_completion.d/berth
  echo 'source <(berth completion zsh)' >> ~/.zshrc
  berth completion fish > ~/.config/fish/completions/berth.fish

Commands and flags are completed, and the names of containers, images, networks and volumes. Print the script again when berth is replaced by another version.";
