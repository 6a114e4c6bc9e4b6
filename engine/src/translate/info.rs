//! `docker info`: what the engine is, what it has and what the host can.

use std::path::Path;

use cnm::api::Info as NetworkInfo;
use images::{Insecure, RegistryConfig};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::config::Proxies;
use crate::host::Host;
use crate::translate::create::RUNTIMES;
use crate::version::{ApiVersion, RELEASE};

/// Docker Hub's address of the days when there was one for all of it; logins of clients are kept under it.
const INDEX_SERVER: &str = "https://index.docker.io/v1/";
/// Reached without a certificate whatever is configured.
const LOOPBACK: [&str; 2] = ["::1/128", "127.0.0.0/8"];

/// Since this version a firewall is told of, and commits aren't compared.
const WITH_FIREWALL: ApiVersion = ApiVersion::new(1, 49);
/// Since this version what depends on br_netfilter isn't told.
const WITHOUT_BRIDGE_FILTERS: ApiVersion = ApiVersion::new(1, 50);

/// How many containers there are.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) running: usize,
    pub(crate) paused: usize,
    pub(crate) stopped: usize,
}

/// What is told of.
pub(crate) struct Facts<'a> {
    pub(crate) id: &'a str,
    pub(crate) root: &'a Path,
    /// The program that runs containers.
    pub(crate) shim: &'a Path,
    pub(crate) counts: Counts,
    pub(crate) images: usize,
    pub(crate) listeners: usize,
    /// Tasks that berthd works on at this moment.
    pub(crate) tasks: usize,
    pub(crate) host: Host,
    pub(crate) network: NetworkInfo,
    pub(crate) registries: &'a RegistryConfig,
    pub(crate) proxies: &'a Proxies,
    /// Kinds of volumes.
    pub(crate) volume_drivers: Vec<String>,
}

/// The reply of `GET /info`.
pub(crate) fn info(facts: &Facts<'_>, now: Timestamp, version: ApiVersion) -> Value {
    let mut shown = Map::new();
    for part in [of_engine(facts, now), of_host(&facts.host, facts.root), of_surroundings(facts), of_others()] {
        if let Value::Object(members) = part {
            shown.extend(members);
        }
    }
    let mut shown = Value::Object(shown);
    of_version(&mut shown, version);
    shown
}

fn of_engine(facts: &Facts<'_>, now: Timestamp) -> Value {
    let counts = &facts.counts;
    let path = json!({ "path": facts.shim });
    let runtimes: Map<String, Value> = RUNTIMES.iter().map(|name| ((*name).to_owned(), path.clone())).collect();
    json!({
        "ID": facts.id,
        "Containers": counts.running + counts.paused + counts.stopped,
        "ContainersRunning": counts.running,
        "ContainersPaused": counts.paused,
        "ContainersStopped": counts.stopped,
        "Images": facts.images,
        "Driver": "overlay2",
        "Debug": false,
        "NFd": facts.host.open_files,
        "NGoroutines": facts.tasks,
        "SystemTime": now.to_string(),
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "NEventsListener": facts.listeners,
        "DockerRootDir": facts.root,
        "Labels": [],
        "ExperimentalBuild": false,
        "ServerVersion": RELEASE,
        "Runtimes": runtimes,
        "DefaultRuntime": RUNTIMES[0],
        "LiveRestoreEnabled": true,
        "InitBinary": "berth-init",
        // There is no containerd; what stands in for runc and for tini is of this release.
        "ContainerdCommit": { "ID": "" },
        "RuncCommit": { "ID": RELEASE },
        "InitCommit": { "ID": RELEASE },
    })
}

fn of_host(host: &Host, root: &Path) -> Value {
    let mut security = vec!["name=seccomp,profile=builtin"];
    if host.unified_cgroups {
        security.push("name=cgroupns");
    }
    json!({
        "DriverStatus": [["Backing Filesystem", host.file_system(root).unwrap_or("unknown")]],
        "MemoryLimit": true,
        "SwapLimit": true,
        "CpuCfsPeriod": true,
        "CpuCfsQuota": true,
        "CPUShares": true,
        "CPUSet": true,
        "PidsLimit": true,
        // Only cgroup v1 can.
        "OomKillDisable": !host.unified_cgroups,
        "IPv4Forwarding": host.ipv4_forwarding,
        "CgroupVersion": if host.unified_cgroups { "2" } else { "1" },
        "KernelVersion": host.kernel_version,
        "OperatingSystem": host.operating_system,
        "OSVersion": host.os_version,
        "OSType": "linux",
        "Architecture": std::env::consts::ARCH,
        "NCPU": host.cpus,
        "MemTotal": host.memory_bytes,
        "Name": host.name,
        "SecurityOptions": security,
    })
}

fn of_surroundings(facts: &Facts<'_>) -> Value {
    let network = &facts.network;
    let pools = network.default_pools.iter().map(|pool| json!({ "Base": pool.base, "Size": pool.size }));
    json!({
        "Plugins": {
            "Volume": facts.volume_drivers,
            "Network": network.drivers,
            "Authorization": null,
            "Log": ["json-file", "none"],
        },
        "IndexServerAddress": INDEX_SERVER,
        "RegistryConfig": registries(facts.registries),
        "HttpProxy": without_password(&facts.proxies.http),
        "HttpsProxy": without_password(&facts.proxies.https),
        "NoProxy": facts.proxies.none,
        "DefaultAddressPools": pools.collect::<Vec<_>>(),
        "Warnings": network.warnings,
    })
}

/// What there is nothing of here, and clients read all the same.
fn of_others() -> Value {
    json!({
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": false,
            "Error": "",
            "RemoteManagers": null,
        },
        "GenericResources": null,
        "Isolation": "",
        "CDISpecDirs": [],
    })
}

fn of_version(shown: &mut Value, version: ApiVersion) {
    if version >= WITH_FIREWALL {
        shown["FirewallBackend"] = json!({ "Driver": "nftables", "Info": [["Table", "inet berth"]] });
    } else {
        for key in ["ContainerdCommit", "RuncCommit", "InitCommit"] {
            shown[key]["Expected"] = shown[key]["ID"].clone();
        }
        shown["RegistryConfig"]["AllowNondistributableArtifactsCIDRs"] = Value::Null;
        shown["RegistryConfig"]["AllowNondistributableArtifactsHostnames"] = Value::Null;
    }
    if version < WITHOUT_BRIDGE_FILTERS {
        shown["BridgeNfIptables"] = false.into();
        shown["BridgeNfIp6tables"] = false.into();
    }
}

/// How registries are reached.
fn registries(config: &RegistryConfig) -> Value {
    let mirrors: Vec<String> = config.mirrors.iter().map(|mirror| format!("{mirror}/")).collect();
    let mut networks: Vec<String> = LOOPBACK.map(str::to_owned).to_vec();
    let mut registries = Map::new();
    let registry = |name: &str, mirrors: &[String], is_hub: bool| json!({ "Name": name, "Mirrors": mirrors, "Secure": is_hub, "Official": is_hub });
    registries.insert("docker.io".to_owned(), registry("docker.io", &mirrors, true));
    for insecure in &config.insecure {
        match insecure {
            Insecure::Network(network) => networks.push(network.to_string()),
            Insecure::Host(host) => drop(registries.insert(host.clone(), registry(host, &[], false))),
        }
    }
    json!({ "InsecureRegistryCIDRs": networks, "IndexConfigs": registries, "Mirrors": mirrors })
}

/// A proxy as everybody may read it.
fn without_password(proxy: &str) -> String {
    let (scheme, rest) = proxy.split_once("://").map_or(("", proxy), |(scheme, rest)| (scheme, rest));
    let (authority, path) =
        rest.split_once('/').map_or((rest, ""), |(authority, _)| (authority, &rest[authority.len()..]));
    match authority.rsplit_once('@') {
        None => proxy.to_owned(),
        Some((_, host)) if scheme.is_empty() => format!("xxxxx:xxxxx@{host}{path}"),
        Some((_, host)) => format!("{scheme}://xxxxx:xxxxx@{host}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(minor: u16) -> Value {
        let registries = RegistryConfig {
            mirrors: vec!["https://mirror.example".parse().expect("a mirror")],
            insecure: ["10.0.0.0/8", "box:5000"].map(|text| text.parse().expect("insecure")).to_vec(),
            ..RegistryConfig::default()
        };
        let proxies = Proxies {
            http: "http://me:secret@proxy.example:3128/".to_owned(),
            https: "proxy.example:3128".to_owned(),
            none: "localhost".to_owned(),
        };
        let pool = cnm::api::DefaultPool { base: "172.20.0.0/14".to_owned(), size: 24 };
        let facts = Facts {
            id: "e1",
            root: Path::new("/var/lib/berth"),
            shim: Path::new("/usr/lib/berth/berth-shim"),
            counts: Counts { running: 2, paused: 1, stopped: 4 },
            images: 3,
            listeners: 1,
            tasks: 9,
            host: Host::read(),
            network: NetworkInfo { default_pools: vec![pool], ..NetworkInfo::default() },
            registries: &registries,
            proxies: &proxies,
            volume_drivers: vec!["local".to_owned()],
        };
        info(&facts, Timestamp::UNIX_EPOCH, ApiVersion::new(1, minor))
    }

    #[test]
    fn what_is_configured_is_told() {
        let shown = shown(52);
        let registry = |name: &str, secure: bool, mirrors: &[&str]| json!({ "Name": name, "Mirrors": mirrors, "Secure": secure, "Official": secure });
        let expected = json!({
            "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8", "10.0.0.0/8"],
            "IndexConfigs": {
                "docker.io": registry("docker.io", true, &["https://mirror.example/"]),
                "box:5000": registry("box:5000", false, &[]),
            },
            "Mirrors": ["https://mirror.example/"],
        });
        assert_eq!(shown["RegistryConfig"], expected);
        assert_eq!(shown["HttpProxy"], "http://xxxxx:xxxxx@proxy.example:3128/");
        assert_eq!((&shown["HttpsProxy"], &shown["NoProxy"]), (&json!("proxy.example:3128"), &json!("localhost")));
        assert_eq!(shown["DefaultAddressPools"], json!([{ "Base": "172.20.0.0/14", "Size": 24 }]));
        assert_eq!((&shown["Containers"], &shown["NGoroutines"]), (&json!(7), &json!(9)));
        assert!(shown["NFd"].as_u64().is_some_and(|files| files > 2), "{shown}");
        assert!(shown["Swarm"].get("RemoteManagers").is_some_and(Value::is_null));
    }

    #[test]
    fn each_version_has_what_it_knows() {
        let has = |minor, key: &str| shown(minor).get(key).is_some();
        assert!(!has(48, "FirewallBackend") && has(49, "FirewallBackend"));
        assert!(has(49, "BridgeNfIptables") && !has(50, "BridgeNfIptables"));
        assert_eq!(shown(48)["RuncCommit"], json!({ "ID": RELEASE, "Expected": RELEASE }));
        assert_eq!(shown(49)["RuncCommit"], json!({ "ID": RELEASE }));
    }
}
