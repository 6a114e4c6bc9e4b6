//! The configuration of registries: mirrors of Docker Hub, hosts that may be talked to without
//! certificates, and certificates of one's own.

use std::fmt;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use ipnetwork::IpNetwork;

use super::endpoint::{RegistryHost, Scheme};

/// Docker Hub's name in references.
pub(super) const HUB: &str = "docker.io";
/// The host that serves it.
const HUB_HOST: &str = "registry-1.docker.io";
/// The host that knows what there is.
pub(super) const HUB_INDEX_HOST: &str = "index.docker.io";

/// How registries are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryConfig {
    /// Asked for Docker Hub's images before Docker Hub is, in this order.
    pub mirrors: Vec<Mirror>,
    /// May be talked to with a certificate that nobody vouches for, or with none; besides this host itself, which always
    /// may.
    pub insecure: Vec<Insecure>,
    /// Has a directory for each `host[:port]` with certificates that are trusted for it (`*.crt`) or
    /// shown to it (`NAME.cert` with `NAME.key`).
    pub certificates_dir: PathBuf,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { mirrors: Vec::new(), insecure: Vec::new(), certificates_dir: "/etc/docker/certs.d".into() }
    }
}

/// A copy of Docker Hub: `https://mirror.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    scheme: Scheme,
    host: String,
}

/// Registries without certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Insecure {
    /// `host[:port]`, as it stands in references.
    Host(String),
    /// All hosts with an address in it.
    Network(IpNetwork),
}

/// A setting isn't what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A mirror.
    #[error("invalid registry mirror {0:?}: write it as http://host[:port] or https://host[:port]")]
    Mirror(String),
    /// An insecure registry.
    #[error("invalid insecure registry {0:?}: write it as host[:port] or as a network, for example 10.0.0.0/8")]
    Insecure(String),
    /// A registry to log in to.
    #[error("invalid registry {0:?}: write it as host[:port]")]
    Server(String),
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)
    }
}

impl FromStr for Mirror {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let malformed = || ConfigError::Mirror(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(malformed)?;
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(malformed()),
        };
        let host = rest.strip_suffix('/').unwrap_or(rest);
        if !is_host(host) {
            return Err(malformed());
        }
        Ok(Self { scheme, host: host.to_owned() })
    }
}

impl FromStr for Insecure {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if text.contains('/') {
            return text.parse().map(Self::Network).map_err(|_| ConfigError::Insecure(text.to_owned()));
        }
        match is_host(text) {
            true => Ok(Self::Host(text.to_owned())),
            false => Err(ConfigError::Insecure(text.to_owned())),
        }
    }
}

/// `host[:port]`
pub(super) fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
}

impl RegistryConfig {
    /// Where to ask for images of a reference's domain, in this order.
    pub(super) fn places(&self, domain: &str) -> Vec<RegistryHost> {
        let mut places = Vec::new();
        if domain == HUB {
            for Mirror { scheme, host } in &self.mirrors {
                let is_insecure = self.is_insecure(host);
                places.push(RegistryHost { scheme: *scheme, host: host.clone(), is_insecure, is_mirror: true });
            }
            let host = HUB_HOST.to_owned();
            places.push(RegistryHost { scheme: Scheme::Https, host, is_insecure: false, is_mirror: false });
            return places;
        }
        let is_insecure = self.is_insecure(domain);
        let place = |scheme| RegistryHost { scheme, host: domain.to_owned(), is_insecure, is_mirror: false };
        places.push(place(Scheme::Https));
        if is_insecure {
            places.push(place(Scheme::Http));
        }
        places
    }

    fn is_insecure(&self, host: &str) -> bool {
        if self.insecure.iter().any(|insecure| matches!(insecure, Insecure::Host(known) if known == host)) {
            return true;
        }
        addresses(host).iter().any(|address| {
            address.is_loopback()
                || self
                    .insecure
                    .iter()
                    .any(|insecure| matches!(insecure, Insecure::Network(network) if network.contains(*address)))
        })
    }
}

/// The addresses of a host; none when nobody knows it, which whoever connects will be told.
fn addresses(host: &str) -> Vec<IpAddr> {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let found = if has_port { host.to_socket_addrs() } else { format!("{host}:443").to_socket_addrs() };
    found.map(|addresses| addresses.map(|address| address.ip()).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_or_refused() {
        let mirror: Mirror = "http://mirror.example:5000/".parse().expect("a mirror");
        assert_eq!(mirror, Mirror { scheme: Scheme::Http, host: "mirror.example:5000".to_owned() });
        for wrong in
            ["", "mirror.example", "ftp://mirror.example", "https://", "https://mirror.example/path", "http://u@h"]
        {
            assert_eq!(wrong.parse::<Mirror>(), Err(ConfigError::Mirror(wrong.to_owned())));
        }
        assert_eq!("10.0.0.0/8".parse(), Ok(Insecure::Network("10.0.0.0/8".parse().expect("a network"))));
        assert_eq!("registry:5000".parse(), Ok(Insecure::Host("registry:5000".to_owned())));
        for wrong in ["", "10.0.0.0/33", "http://host", "a b"] {
            assert_eq!(wrong.parse::<Insecure>(), Err(ConfigError::Insecure(wrong.to_owned())));
        }
    }

    #[test]
    fn places_in_their_order() {
        let config = RegistryConfig {
            mirrors: vec!["https://192.0.2.1".parse().expect("a mirror")],
            insecure: ["10.0.0.0/8", "192.0.2.7:80"].map(|text| text.parse().expect("insecure")).to_vec(),
            ..RegistryConfig::default()
        };
        let places = |domain| {
            let text = |place: &RegistryHost| {
                let marks = [(place.is_insecure, " insecure"), (place.is_mirror, " mirror")];
                let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
                format!("{place}{marks}")
            };
            config.places(domain).iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(places("docker.io"), ["https://192.0.2.1 mirror", "https://registry-1.docker.io"]);
        assert_eq!(places("192.0.2.1"), ["https://192.0.2.1"]);
        assert_eq!(places("10.1.2.3:5000"), ["https://10.1.2.3:5000 insecure", "http://10.1.2.3:5000 insecure"]);
        assert_eq!(places("192.0.2.7:80"), ["https://192.0.2.7:80 insecure", "http://192.0.2.7:80 insecure"]);
        assert_eq!(places("127.0.0.1:5000").len(), 2, "this host itself always may");
    }
}
