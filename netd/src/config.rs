//! Where netd keeps things, what it listens on and its defaults: built in, then `netd.toml`, then flags.

use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser};
use cnm::ipam::DefaultPool;
use ipnetwork::IpNetwork;
use serde::Deserialize;

use crate::Error;

/// Read when `--config` isn't given and it exists.
const DEFAULT_FILE: &str = "/etc/berth/netd.toml";

/// The network daemon of berth: networks, endpoints, sandboxes and published ports.
///
/// Every default works; any number of netd can run on one machine, each with a --root and a --run-dir of its own and
/// in a network namespace of its own. Every option can also stand in the configuration file, as docs/configuration.md
/// says; one that is given here wins.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "netd", version)]
pub struct Flags {
    /// Configuration file [default: /etc/berth/netd.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// What flags and the file can both say.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// What outlives a reboot is kept here [default: /var/lib/berth]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// What a reboot makes void is kept here: the socket, pinned namespaces, sandboxes [default: /run/berth]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// The socket to serve [default: netd.sock in the run directory]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Whose members may use the socket; only root may when the group doesn't exist [default: berth]
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Subnets of new networks are cut from here, as in 10.64.0.0/12/24: base, then the length of each; may be given
    /// several times [default: 172.18.0.0 to 172.31.255.255 and 192.168.0.0/16, in subnets of 24 bits]
    #[arg(long = "default-pool", value_name = "CIDR/LENGTH")]
    #[serde(default)]
    default_pools: Vec<String>,
    /// Whether to drop forwarded packets that are neither ours nor were forwarded before, once netd has switched
    /// forwarding on [default: true]
    #[arg(long, value_name = "BOOL")]
    forwarding_drop: Option<bool>,
    /// What to log, as tracing's filters say it: info, debug, netd=trace,… [default: info]
    #[arg(long, value_name = "FILTER", env = "NETD_LOG")]
    log: Option<String>,
    /// How to log: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object a line.
    Json,
}

/// Everything decided, before anything is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What outlives a reboot.
    pub root: PathBuf,
    /// What a reboot makes void.
    pub run_dir: PathBuf,
    /// The socket to serve.
    pub socket: PathBuf,
    /// Whose members may use it.
    pub group: String,
    /// Where subnets of new networks are cut from; empty for the built-in ones.
    pub default_pools: Vec<DefaultPool>,
    /// Whether forwarded packets of others are dropped once netd has switched forwarding on.
    pub forwarding_drop: bool,
    /// A filter of `tracing`.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

impl Config {
    /// Puts flags over the file's settings over the defaults.
    ///
    /// # Errors
    /// When the file can't be read or understood, or a pool makes no sense.
    pub fn load(flags: Flags) -> Result<Self, Error> {
        let file = settings::read(flags.config.as_deref(), Path::new(DEFAULT_FILE), &Flags::command())?;
        Self::merge(flags.settings, file)
    }

    fn merge(flags: Settings, file: Settings) -> Result<Self, Error> {
        let run_dir = flags.run_dir.or(file.run_dir).unwrap_or_else(|| "/run/berth".into());
        let pools = if flags.default_pools.is_empty() { file.default_pools } else { flags.default_pools };
        Ok(Self {
            root: flags.root.or(file.root).unwrap_or_else(|| "/var/lib/berth".into()),
            socket: flags.socket.or(file.socket).unwrap_or_else(|| run_dir.join("netd.sock")),
            run_dir,
            group: flags.group.or(file.group).unwrap_or_else(|| "berth".to_owned()),
            default_pools: pools.iter().map(|text| parse_pool(text)).collect::<Result<_, _>>()?,
            forwarding_drop: flags.forwarding_drop.or(file.forwarding_drop).unwrap_or(true),
            log: flags.log.or(file.log).unwrap_or_else(|| "info".to_owned()),
            log_format: flags.log_format.or(file.log_format).unwrap_or_default(),
        })
    }
}

/// `BASE/LENGTH/SIZE`, as in `10.64.0.0/12/24`; whether they make sense together is for [`cnm::ipam::DefaultPools`].
fn parse_pool(text: &str) -> Result<DefaultPool, Error> {
    let parse = || {
        let (base, size) = text.rsplit_once('/')?;
        // A bare address would parse as a prefix of full length.
        let base: IpNetwork = base.contains('/').then(|| base.parse().ok())??;
        Some(DefaultPool { base, size: size.parse().ok()? })
    };
    parse().ok_or_else(|| Error::DefaultPool { pool: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_a_base_and_a_length() {
        let pool = parse_pool("10.64.0.0/12/24").expect("a pool");
        assert_eq!((pool.base.to_string().as_str(), pool.size), ("10.64.0.0/12", 24));
        for text in ["10.64.0.0/12", "10.64.0.0", "ten/12/24", "10.64.0.0/12/x", "10.64.0.0/40/44", ""] {
            let message = parse_pool(text).expect_err(text).to_string();
            assert!(message.contains(&format!("{text:?}")), "{message}");
        }
    }

    #[test]
    fn flags_win_over_the_file() {
        let file: Settings =
            toml::from_str("run-dir = '/run/a'\ngroup = 'staff'\nforwarding-drop = false").expect("toml");
        let flags = Settings { group: Some("wheel".to_owned()), ..Settings::default() };
        let config = Config::merge(flags, file).expect("a configuration");
        assert_eq!(config.socket, Path::new("/run/a/netd.sock"));
        assert_eq!(config.group, "wheel");
        assert!(!config.forwarding_drop);
        assert_eq!(config.root, Path::new("/var/lib/berth"));
    }

    #[test]
    fn pools_of_flags_replace_those_of_the_file() {
        let pools = |flags: &[&str]| {
            let flags =
                Settings { default_pools: flags.iter().map(|&pool| pool.to_owned()).collect(), ..Settings::default() };
            let file: Settings =
                toml::from_str("default-pools = ['10.64.0.0/12/24', '10.80.0.0/12/24']").expect("toml");
            let config = Config::merge(flags, file).expect("a configuration");
            config.default_pools.iter().map(|pool| pool.base.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(pools(&[]), ["10.64.0.0/12", "10.80.0.0/12"]);
        assert_eq!(pools(&["10.96.0.0/12/24"]), ["10.96.0.0/12"]);
    }

    #[test]
    fn every_flag_is_a_key_of_the_file_and_counts() {
        let values = "root = '/a'\nrun-dir = '/a'\nsocket = '/a'\ngroup = 'a'\ndefault-pools = ['10.64.0.0/12/24']\n\
                      forwarding-drop = false\nlog = 'debug'\nlog-format = 'json'";
        let mut keys: Vec<String> = settings::keys(&Flags::command()).into_iter().map(|key| key.name).collect();
        let config = |file: &str| {
            Config::merge(Settings::default(), toml::from_str(file).expect("toml")).expect("a configuration")
        };
        for line in values.lines() {
            let (name, _) = line.split_once(" = ").expect("a key and its value");
            keys.retain(|key| key != name);
            assert_ne!(config(line), config(""), "{line}");
        }
        assert_eq!(keys, Vec::<String>::new(), "keys without a value here");
    }
}
