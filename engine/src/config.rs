//! The configuration of berthd: flags over `/etc/berth/berthd.toml` over defaults. The only reader of either.
// Help texts have brackets that lead nowhere, and can't have a backslash before them.
#![allow(rustdoc::broken_intra_doc_links, rustdoc::bare_urls)]

use std::io;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser};
use images::RegistryConfig;
use serde::Deserialize;
use tracing_subscriber::filter::Targets;

/// Read when `--config` names no other file; it may be absent.
const DEFAULT_FILE: &str = "/etc/berth/berthd.toml";

/// The berth engine daemon: serves the Docker Engine API.
///
/// Every option can also stand in the configuration file, as docs/configuration.md says; one that is given here wins.
#[derive(Debug, Default, Parser)]
#[command(name = "berthd", version)]
pub struct Args {
    /// Configuration file [default: /etc/berth/berthd.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// What flags and the file can both say.
#[derive(Debug, Default, Clone, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// Directory of what must survive a reboot [default: /var/lib/berth]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Directory of what lives as long as this boot [default: /run/berth]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Socket to serve the API on [default: RUN_DIR/berth.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Socket of netd [default: RUN_DIR/netd.sock]
    #[arg(long, value_name = "PATH")]
    netd_socket: Option<PathBuf>,
    /// Whether a netd is started when none answers; false where something else starts it, as systemd does [default: true]
    #[arg(long, value_name = "BOOL")]
    start_netd: Option<bool>,
    /// Group that may use the socket [default: berth, if it exists; else root only]
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Cgroup under which containers' cgroups are made [default: /berth]
    #[arg(long, value_name = "PATH")]
    cgroup_parent: Option<String>,
    /// Directory of netd, netd-keeper, berth-shim and berth-monitor [default: where berthd itself is]
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Mirror of Docker Hub to ask before it, as in https://mirror.example; may be given several times
    #[arg(long = "registry-mirror", value_name = "URL")]
    #[serde(default)]
    registry_mirrors: Vec<String>,
    /// Registry that needs no valid certificate: host[:port] or a network; may be given several times
    #[arg(long = "insecure-registry", value_name = "REGISTRY")]
    #[serde(default)]
    insecure_registries: Vec<String>,
    /// Directory of certificates for registries, in HOST[:PORT]: *.crt of authorities, NAME.cert with NAME.key of our own
    /// [default: /etc/docker/certs.d]
    #[arg(long, value_name = "DIR")]
    certificates_dir: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or a list such as info,engine=debug [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read or understood.
    #[error(transparent)]
    File(#[from] settings::Error),
    /// A path is empty, or relative while there is no working directory.
    #[error("the path {path:?} leads nowhere")]
    Path {
        /// As it was given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A socket is named by a URL, as Docker's daemon takes it.
    #[error("the socket {0:?} is no path: give one, as in /run/berth/berth.sock; the API isn't served over TCP")]
    SocketUrl(PathBuf),
    /// A registry isn't named as one.
    #[error(transparent)]
    Registry(#[from] images::ConfigError),
    /// The cgroup parent isn't an absolute path inside the hierarchy.
    #[error("cgroup parent {0:?} must be an absolute path below the root without \"..\", as in /berth")]
    CgroupParent(String),
    /// The filter of the log isn't one.
    #[error("invalid log level {0:?}: levels and targets are expected, as in info or info,engine=debug")]
    LogLevel(String),
    /// Where our programs are can't be found out.
    #[error("finding the directory of berthd's own executable; name it with --bin-dir")]
    OwnExecutable(#[source] io::Error),
}

/// berthd's configuration, complete.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What must survive a reboot.
    pub root: PathBuf,
    /// What lives as long as this boot.
    pub run_dir: PathBuf,
    /// Where the API is served.
    pub socket: PathBuf,
    /// Where netd answers.
    pub netd_socket: PathBuf,
    /// Whether berthd starts a netd when none answers.
    pub start_netd: bool,
    /// Who may use the socket.
    pub group: Group,
    /// The cgroup that containers' cgroups are made in.
    pub cgroup_parent: String,
    /// How registries are reached.
    pub registries: RegistryConfig,
    /// Where our other programs are.
    pub bin_dir: PathBuf,
    /// A `tracing` filter.
    pub log_level: Targets,
    /// What registries are reached through.
    pub proxies: Proxies,
}

/// Proxies by the usual variables of the environment, which the registries' client reads as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http://`.
    pub http: String,
    /// For `https://`.
    pub https: String,
    /// For which hosts there is none.
    pub none: String,
}

impl Proxies {
    fn of_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let either = |name: &str| variable(name).or_else(|| variable(&name.to_ascii_lowercase())).unwrap_or_default();
        Self { http: either("HTTP_PROXY"), https: either("HTTPS_PROXY"), none: either("NO_PROXY") }
    }
}

/// The group that the socket belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// This one, which must exist.
    Named(String),
    /// `berth` where it exists, else root only.
    Default,
}

impl Config {
    /// Flags over the file over defaults.
    pub fn load(args: Args) -> Result<Self, ConfigError> {
        let file = settings::read(args.config.as_deref(), Path::new(DEFAULT_FILE), &Args::command())?;
        Ok(Self { proxies: Proxies::of_environment(), ..Self::combine(args.settings, file)? })
    }

    fn combine(flags: Settings, file: Settings) -> Result<Self, ConfigError> {
        let registries = registries(&flags, &file)?;
        let log_level = flags.log_level.or(file.log_level).unwrap_or_else(|| "info".into());
        let log_level = log_level.parse().map_err(|_| ConfigError::LogLevel(log_level))?;
        let run_dir = path(flags.run_dir.or(file.run_dir), "/run/berth")?;
        let cgroup_parent = flags.cgroup_parent.or(file.cgroup_parent).unwrap_or_else(|| "/berth".into());
        let has_name = cgroup_parent.split('/').any(|part| !matches!(part, "" | "."));
        if !cgroup_parent.starts_with('/') || !has_name || cgroup_parent.split('/').any(|part| part == "..") {
            return Err(ConfigError::CgroupParent(cgroup_parent));
        }
        let socket = flags.socket.or(file.socket);
        if let Some(url) = socket.as_ref().filter(|socket| socket.to_string_lossy().contains("://")) {
            return Err(ConfigError::SocketUrl(url.clone()));
        }
        let bin_dir = match flags.bin_dir.or(file.bin_dir) {
            Some(dir) => path(Some(dir), "")?,
            None => own_directory().map_err(ConfigError::OwnExecutable)?,
        };
        Ok(Self {
            root: path(flags.root.or(file.root), "/var/lib/berth")?,
            socket: path(socket, run_dir.join("berth.sock"))?,
            netd_socket: path(flags.netd_socket.or(file.netd_socket), run_dir.join("netd.sock"))?,
            start_netd: flags.start_netd.or(file.start_netd).unwrap_or(true),
            registries,
            group: flags.group.or(file.group).map_or(Group::Default, Group::Named),
            log_level,
            run_dir,
            cgroup_parent,
            bin_dir,
            proxies: Proxies::default(),
        })
    }
}

/// A path that means the same to the programs that are started, whose working directory is another.
fn path(wanted: Option<PathBuf>, default: impl Into<PathBuf>) -> Result<PathBuf, ConfigError> {
    let path = wanted.unwrap_or_else(|| default.into());
    std::path::absolute(&path).map_err(|source| ConfigError::Path { path, source })
}

fn registries(flags: &Settings, file: &Settings) -> Result<RegistryConfig, images::ConfigError> {
    let mirrors = either(&flags.registry_mirrors, &file.registry_mirrors);
    let insecure = either(&flags.insecure_registries, &file.insecure_registries);
    let mut config = RegistryConfig {
        mirrors: mirrors.iter().map(|mirror| mirror.parse()).collect::<Result<_, _>>()?,
        insecure: insecure.iter().map(|registry| registry.parse()).collect::<Result<_, _>>()?,
        ..RegistryConfig::default()
    };
    if let Some(dir) = flags.certificates_dir.as_ref().or(file.certificates_dir.as_ref()) {
        config.certificates_dir.clone_from(dir);
    }
    Ok(config)
}

/// Flags replace what the file lists.
fn either<'a>(flags: &'a [String], file: &'a [String]) -> &'a [String] {
    if flags.is_empty() { file } else { flags }
}

fn own_directory() -> io::Result<PathBuf> {
    let executable = std::env::current_exe()?;
    Ok(executable.parent().unwrap_or(Path::new("/")).to_owned())
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter;

    use super::*;

    fn flags(words: &[&str]) -> Settings {
        Args::try_parse_from(["berthd"].iter().chain(words)).unwrap().settings
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = toml::from_str("root = \"/a\"\ncgroup-parent = \"/x\"\nlog-level = \"debug\"").unwrap();
        let config = Config::combine(flags(&["--root", "/b", "--run-dir", "/r"]), file).unwrap();
        assert_eq!(config.root, Path::new("/b"));
        assert_eq!(config.socket, Path::new("/r/berth.sock"));
        assert_eq!(config.netd_socket, Path::new("/r/netd.sock"));
        assert_eq!(config.cgroup_parent, "/x");
        assert_eq!(config.log_level.default_level(), Some(LevelFilter::DEBUG));
        let wrong = Config::combine(flags(&["--log-level", "engine=loud"]), Settings::default()).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "invalid log level \"engine=loud\": levels and targets are expected, as in info or info,engine=debug"
        );
        assert_eq!(config.group, Group::Default);
    }

    #[test]
    fn paths_mean_the_same_wherever_they_are_used() {
        let config = Config::combine(flags(&["--root", "r", "--bin-dir", "target"]), Settings::default()).unwrap();
        let here = std::env::current_dir().unwrap();
        assert_eq!((config.root, config.bin_dir), (here.join("r"), here.join("target")));
        assert!(Config::combine(Settings::default(), toml::from_str("root = \"\"").unwrap()).is_err());
    }

    #[test]
    fn netd_is_started_unless_somebody_else_does() {
        let starts = |words: &[&str], file: &str| {
            Config::combine(flags(words), toml::from_str(file).unwrap()).unwrap().start_netd
        };
        assert!(starts(&[], ""));
        assert!(!starts(&["--start-netd=false"], ""));
        assert!(!starts(&[], "start-netd = false"));
        assert!(starts(&["--start-netd=true"], "start-netd = false"));
    }

    #[test]
    fn every_flag_is_a_key_of_the_file_and_counts() {
        let values = "root = '/a'\nrun-dir = '/a'\nsocket = '/a'\nnetd-socket = '/a'\nstart-netd = false\ngroup = 'a'\n\
                      cgroup-parent = '/a'\nbin-dir = '/a'\nregistry-mirrors = ['https://a.example']\n\
                      insecure-registries = ['a.example']\ncertificates-dir = '/a'\nlog-level = 'debug'";
        let mut keys: Vec<String> = settings::keys(&Args::command()).into_iter().map(|key| key.name).collect();
        let config = |file: &str| Config::combine(Settings::default(), toml::from_str(file).unwrap()).unwrap();
        for line in values.lines() {
            let name = line.split_once(" = ").unwrap().0;
            keys.retain(|key| key != name);
            assert_ne!(config(line), config(""), "{line}");
        }
        assert_eq!(keys, Vec::<String>::new(), "keys without a value here");
    }

    #[test]
    fn registries_of_flags_replace_those_of_the_file() {
        let file = "registry-mirrors = ['https://a.example', 'https://b.example']\ninsecure-registries = ['c.example']";
        let config = |words: &[&str]| Config::combine(flags(words), toml::from_str(file).unwrap()).unwrap().registries;
        let (of_file, of_flags) = (config(&[]), config(&["--registry-mirror", "https://d.example"]));
        assert_eq!((of_file.mirrors.len(), of_flags.mirrors.len()), (2, 1));
        assert_eq!(of_flags.insecure, of_file.insecure);
    }

    #[test]
    fn a_cgroup_parent_stays_in_the_hierarchy() {
        for parent in ["berth", "/a/../b", "", "/", "//."] {
            assert!(Config::combine(flags(&["--cgroup-parent", parent]), Settings::default()).is_err(), "{parent}");
        }
    }
}
