//! Where netd keeps things, what it listens on and its defaults: built in, then `netd.toml`, then flags.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::Parser;
use cnm::ipam::DefaultPool;
use ipnetwork::IpNetwork;
use serde::Deserialize;

use crate::Error;

/// Read when `--config` isn't given and it exists.
const DEFAULT_FILE: &str = "/etc/berth/netd.toml";

/// The network daemon of berth: networks, endpoints, sandboxes and published ports.
///
/// Every default works; any number of netd can run on one machine, each with a --root and a --run-dir of its own and
/// in a network namespace of its own.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "netd", version)]
pub struct Flags {
    /// Configuration file [default: /etc/berth/netd.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What outlives a reboot is kept here [default: /var/lib/berth]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// What a reboot makes void is kept here: the socket, pinned namespaces, sandboxes [default: /run/berth]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// The socket to serve [default: netd.sock in the run directory]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Whose members may use the socket; only root may when the group doesn't exist [default: berth]
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Subnets of new networks are cut from here, as in 10.64.0.0/12/24: base, then the length of each (repeatable)
    #[arg(long = "default-pool", value_name = "CIDR/LENGTH")]
    pub default_pools: Vec<String>,
    /// Whether to drop forwarded packets that are neither ours nor were forwarded before, once netd has switched
    /// forwarding on [default: true]
    #[arg(long, value_name = "BOOL")]
    pub forwarding_drop: Option<bool>,
    /// What to log, as tracing's filters say it: info, debug, netd=trace,… [default: info]
    #[arg(long, value_name = "FILTER", env = "NETD_LOG")]
    pub log: Option<String>,
    /// How to log: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
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

/// What `netd.toml` may hold; each key has a flag of the same name that wins over it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    root: Option<PathBuf>,
    run_dir: Option<PathBuf>,
    socket: Option<PathBuf>,
    group: Option<String>,
    #[serde(default)]
    default_pools: Vec<String>,
    forwarding_drop: Option<bool>,
    log: Option<String>,
    log_format: Option<LogFormat>,
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
    /// See [`Flags::forwarding_drop`].
    pub forwarding_drop: bool,
    /// See [`Flags::log`].
    pub log: String,
    /// See [`Flags::log_format`].
    pub log_format: LogFormat,
}

impl Config {
    /// Puts flags over the file's settings over the defaults.
    ///
    /// # Errors
    /// When the file can't be read or understood, or a pool makes no sense.
    pub fn load(flags: Flags) -> Result<Self, Error> {
        let (path, required) = match &flags.config {
            Some(path) => (path.as_path(), true),
            None => (Path::new(DEFAULT_FILE), false),
        };
        let file = read(path, required)?;
        Self::merge(flags, file)
    }

    fn merge(flags: Flags, file: File) -> Result<Self, Error> {
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

fn read(path: &Path, required: bool) -> Result<File, Error> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !required => return Ok(File::default()),
        Err(source) => return Err(Error::ReadConfig { path: path.to_owned(), source }),
    };
    toml::from_str(&text).map_err(|source| Error::ParseConfig { path: path.to_owned(), source: Box::new(source) })
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
        let file: File = toml::from_str("run-dir = '/run/a'\ngroup = 'staff'\nforwarding-drop = false").expect("toml");
        let flags = Flags { group: Some("wheel".to_owned()), ..Flags::default() };
        let config = Config::merge(flags, file).expect("a configuration");
        assert_eq!(config.socket, Path::new("/run/a/netd.sock"));
        assert_eq!(config.group, "wheel");
        assert!(!config.forwarding_drop);
        assert_eq!(config.root, Path::new("/var/lib/berth"));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = toml::from_str::<File>("fowarding-drop = false").expect_err("a typo");
        assert!(error.to_string().contains("fowarding-drop"), "{error}");
    }
}
