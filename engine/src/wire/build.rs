//! `POST /build`: its query, its headers, and the lines of its reply.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use bytes::Bytes;
use images::Credentials;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::query::{flag, is_yes, pairs};
use super::{body, registry_auth};
use crate::error::{Error, Result};
use crate::wire::models::HostConfig;

const REGISTRIES: &str = "X-Registry-Config";
/// Ours: what `berth build --secret` gives, by id, each in base64.
pub(crate) const SECRETS: &str = "X-Berth-Build-Secrets";
/// Docker Hub's name in clients' password files.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Query of `POST /build`, as it was sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct BuildQuery {
    pub(crate) dockerfile: String,
    /// Ours: what messages call the Dockerfile, where it comes from outside of the context.
    pub(crate) dockerfile_name: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) target: String,
    pub(crate) platform: String,
    pub(crate) build_args: BTreeMap<String, Option<String>>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) cache_from: Vec<String>,
    pub(crate) is_quiet: bool,
    pub(crate) no_cache: bool,
    pub(crate) pull: bool,
    /// What is said of the containers of steps: their limits, their network, and what else they are given.
    pub(crate) host: HostConfig,
}

impl BuildQuery {
    /// Reads a query. What can't be done is refused by its name.
    pub(crate) fn parse(query: &str) -> Result<Self> {
        let mut parsed = Self::default();
        for (name, value) in pairs(query, &["t"]) {
            parsed.take(&name, &value)?;
        }
        Ok(parsed)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<()> {
        let text = || Some(value.to_owned()).filter(|text| !text.is_empty());
        match name {
            _ if value.is_empty() => {}
            "dockerfile" => self.dockerfile = value.to_owned(),
            "berth-dockerfile-name" => self.dockerfile_name = text(),
            "t" => self.tags.push(value.to_owned()),
            "target" => self.target = value.to_owned(),
            "platform" => self.platform = value.to_owned(),
            "buildargs" => self.build_args = json(name, value)?,
            "labels" => self.labels = json(name, value)?,
            "cachefrom" => self.cache_from = json(name, value)?,
            "q" => self.is_quiet = is_yes(value),
            "nocache" => self.no_cache = is_yes(value),
            "pull" => self.pull = is_yes(value),
            "networkmode" => self.host.network_mode = text().filter(|network| network != "default"),
            "extrahosts" => self.host.extra_hosts.get_or_insert_default().extend(list(value)),
            "securityopt" => self.host.security_opt = json(name, value)?,
            "ulimits" => self.host.ulimits = json(name, value)?,
            "memory" => self.host.memory = number(name, value)?,
            "memswap" => self.host.memory_swap = number(name, value)?,
            "cpushares" => self.host.cpu_shares = number(name, value)?,
            "cpuperiod" => self.host.cpu_period = number(name, value)?,
            "cpuquota" => self.host.cpu_quota = number(name, value)?,
            "shmsize" => self.host.shm_size = number(name, value)?,
            "cpusetcpus" => self.host.cpuset_cpus = text(),
            "cpusetmems" => self.host.cpuset_mems = text(),
            "cgroupparent" => self.host.cgroup_parent = text(),
            // A step's container is always removed; there is none to be kept.
            "rm" | "forcerm" => {}
            // The classic builder, which this is.
            "version" if value == "1" => {}
            "version" => {
                return Err(refused("BuildKit (DOCKER_BUILDKIT=1)", "set DOCKER_BUILDKIT=0, or use berth build"));
            }
            "squash" if is_yes(value) => {
                return Err(refused("squashing (--squash)", "copy into a stage from scratch instead"));
            }
            "squash" => {}
            "remote" => return Err(refused("a context that the daemon fetches (remote)", "send it as a tar")),
            "isolation" if matches!(value, "default") => {}
            "isolation" => return Err(refused("isolation technologies (--isolation)", "only Windows has them")),
            "outputs" => {
                return Err(refused("other outputs than an image (--output)", "save the image, or copy out of it"));
            }
            "session" | "buildid" => {
                return Err(refused("BuildKit sessions", "set DOCKER_BUILDKIT=0, or use berth build"));
            }
            other => return Err(Error::invalid(format!("unknown parameter {other:?} of a build"))),
        }
        Ok(())
    }
}

fn refused(what: &str, instead: &str) -> Error {
    Error::not_implemented(format!("{what}: not supported by berth: {instead}"))
}

fn number(name: &str, value: &str) -> Result<Option<i64>> {
    let number =
        value.parse().map_err(|_| Error::invalid(format!("invalid value {value:?} for {name}: not a number")))?;
    Ok(Some(number).filter(|number| *number != 0))
}

fn json<T: DeserializeOwned>(name: &str, value: &str) -> Result<T> {
    body::parse(value.as_bytes())
        .map_err(|error| Error::invalid(format!("invalid value for {name}: {}", error.message())))
}

/// One, or a JSON list of them: clients differ.
fn list(value: &str) -> Vec<String> {
    serde_json::from_str(value).unwrap_or_else(|_| value.split(',').map(str::to_owned).collect())
}

/// Who the sender of a build is at which registry.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegistryPasswords(BTreeMap<String, Credentials>);

impl RegistryPasswords {
    /// Reads the header, if there is one.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Self {
        Self(registry_auth::several(headers, REGISTRIES))
    }

    /// Who one is at a registry.
    pub(crate) fn of(&self, domain: &str) -> Option<Credentials> {
        let key = if domain == "docker.io" { HUB_KEY } else { domain };
        self.0.get(key).or_else(|| self.0.get(domain)).cloned()
    }
}

/// The secrets that a request brings, by id.
pub(crate) fn secrets(headers: &HeaderMap) -> Result<BTreeMap<String, Vec<u8>>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let Some(value) = headers.get(SECRETS).filter(|value| !value.is_empty()) else { return Ok(BTreeMap::new()) };
    let malformed = || Error::invalid(format!("invalid {SECRETS} header: it isn't a JSON object of texts in base64"));
    let secrets: BTreeMap<String, String> = serde_json::from_slice(value.as_bytes()).map_err(|_| malformed())?;
    secrets.into_iter().map(|(id, text)| Ok((id, STANDARD.decode(text).map_err(|_| malformed())?))).collect()
}

/// Query of `POST /build/prune`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PruneQuery {
    /// Steps that images have go, too.
    #[serde(deserialize_with = "flag")]
    pub(crate) all: bool,
    pub(crate) filters: Option<String>,
    #[serde(rename = "keep-storage")]
    pub(crate) keep_storage: Option<i64>,
    #[serde(rename = "reserved-space")]
    pub(crate) reserved_space: Option<i64>,
    #[serde(rename = "max-used-space")]
    pub(crate) max_used_space: Option<i64>,
    #[serde(rename = "min-free-space")]
    pub(crate) min_free_space: Option<i64>,
}

impl PruneQuery {
    /// Refuses what can't be done.
    pub(crate) fn check(&self) -> Result<()> {
        let asked = [
            ("keep-storage", self.keep_storage),
            ("reserved-space", self.reserved_space),
            ("max-used-space", self.max_used_space),
            ("min-free-space", self.min_free_space),
        ];
        match asked.into_iter().find(|(_, bytes)| bytes.is_some_and(|bytes| bytes != 0)) {
            Some((name, _)) => {
                Err(refused(&format!("keeping part of the build cache ({name})"), "use --filter until=24h"))
            }
            None => Ok(()),
        }
    }
}

/// Reply of `POST /build/prune`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PrunedView {
    pub(crate) caches_deleted: Vec<String>,
    pub(crate) space_reclaimed: u64,
}

/// One line of the reply.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum BuildLine {
    /// Text for a terminal.
    Text {
        /// With its line end.
        stream: String,
    },
    /// The image, for programs.
    Aux { aux: Built },
    /// It went wrong.
    Failed {
        #[serde(rename = "errorDetail")]
        detail: Failure,
        error: String,
    },
}

/// What a build led to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Built {
    /// The image's id.
    #[serde(rename = "ID")]
    pub(crate) id: String,
}

/// Why a build failed.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    /// What a step's command ended with; clients end with it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
    message: String,
}

impl BuildLine {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text { stream: text.into() }
    }

    pub(crate) fn built(id: String) -> Self {
        Self::Aux { aux: Built { id } }
    }

    pub(crate) fn failed(message: String, code: Option<u8>) -> Self {
        Self::Failed { detail: Failure { code, message: message.clone() }, error: message }
    }

    /// The line, its end included.
    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut line = serde_json::to_vec(self).expect("texts and numbers have JSON forms");
        line.extend_from_slice(b"\r\n");
        line.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_counts_once_but_tags() {
        let query = BuildQuery::parse("t=a&t=b&target=one&target=two").unwrap();
        assert_eq!((query.tags.len(), query.target.as_str()), (2, "one"));
    }

    #[test]
    fn yes_and_no_are_docker_s() {
        let query = BuildQuery::parse("q=maybe&nocache=FALSE&pull=No&squash=none").unwrap();
        assert_eq!((query.is_quiet, query.no_cache, query.pull), (true, false, false));
        assert!(BuildQuery::parse("squash=t").is_err());
    }
}
