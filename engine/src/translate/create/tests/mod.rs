//! What requests become, and which are refused with which words.

mod bounds;
mod mounts;
mod network;
mod process;
mod refusals;

use serde_json::{Value, json};

use super::*;
use crate::container::mount::MountPointKind;
use crate::container::spec::LogSpec;

const ID: &str = "4ecb1f0e2ac2a8b6c7c6f2f0c1d6a1c9b0d7e5f4a3b2c1d0e9f8a7b6c5d4e3f2";

fn image(config: Value) -> Image {
    let document = json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] }, "config": config,
    });
    Image {
        id: format!("sha256:{}", "ab".repeat(32)).parse().unwrap(),
        references: vec![],
        config: serde_json::from_value(document).unwrap(),
        layers: vec![],
        size_bytes: 0,
        loaded_at: Timestamp::UNIX_EPOCH,
    }
}

fn busybox() -> Value {
    json!({ "Cmd": ["sh"], "Env": ["PATH=/bin", "LANG=C"] })
}

fn translate_with(image_config: Value, body: &Value) -> Result<Translated> {
    let device = |path: &str| match path {
        "/dev/fuse" => Ok(DeviceNode {
            kind: runtime::spec::DeviceKind::Character,
            major: 10,
            minor: 229,
            mode: 0o666,
            uid: 0,
            gid: 0,
        }),
        _ => Err(Error::invalid(format!("no device {path}"))),
    };
    let container = |reference: &str| match reference {
        "web" => Ok(Joined {
            id: "web0".parse().unwrap(),
            name: "web".into(),
            hostname: "webhost".into(),
            domainname: "lan".into(),
        }),
        _ => Err(Error::not_found(format!("No such container: {reference}"))),
    };
    let mounts = |reference: &str| match reference {
        "web" => {
            let volume = |name: &str, anonymous| MountPointKind::Volume {
                name: name.parse().unwrap(),
                anonymous,
                no_copy: false,
                subpath: None,
                of: None,
            };
            let tmpfs = MountPointKind::Tmpfs { size_bytes: None, permissions: None, options: vec![] };
            let mounts = [
                ("/data", volume("web-data", false), ""),
                ("/cache", volume("abab", true), ""),
                ("/run", tmpfs, "size=1m"),
            ];
            let point = |(destination, kind, mode): (&str, MountPointKind, &str)| MountPoint {
                destination: destination.into(),
                readonly: destination == "/cache",
                mode: mode.into(),
                kind,
            };
            Ok(mounts.into_iter().map(point).collect())
        }
        _ => Err(Error::invalid(format!("No such container: {reference}"))),
    };
    let context = CreateContext {
        machine: Machine { cpus: 4, memory_nodes: 1, device: &device },
        private_cgroups: false,
        host_name: "harbour",
        container: &container,
        mounts: &mounts,
        random_id: &|| "cd".repeat(32),
    };
    let identity = Identity { id: ID.parse().unwrap(), name: "calm_cog".into(), created: Timestamp::UNIX_EPOCH };
    super::container(identity, CreateBody::parse(body.to_string().as_bytes())?, &image(image_config), &context)
}

fn translate(body: &Value) -> Result<Translated> {
    translate_with(busybox(), body)
}

/// The container that a request makes of busybox.
pub(crate) fn made(body: Value) -> Container {
    translate(&body).unwrap().container
}

fn host(host: Value) -> Container {
    made(json!({ "Image": "busybox", "HostConfig": host }))
}

#[test]
fn a_container_that_asks_for_nothing() {
    let container = made(json!({ "Image": "busybox" }));
    let spec = &container.spec;
    assert_eq!(spec.process.args, ["sh"]);
    assert_eq!(spec.process.env, ["HOSTNAME=4ecb1f0e2ac2", "PATH=/bin", "LANG=C"]);
    assert_eq!((spec.process.cwd.as_str(), spec.hostname.as_str()), ("/", "4ecb1f0e2ac2"));
    assert_eq!(spec.process.capabilities.bits(), 0xa804_25fb);
    assert_eq!(spec.log, log(json!({})));
    assert_eq!(spec.stop, StopSpec { signal: 15, timeout_seconds: 10 });
    assert_eq!(container.endpoints.len(), 1);
    assert_eq!(container.endpoints[0].network, "bridge");
    assert!(spec.masked_paths.iter().any(|path| path == "/proc/kcore") && !spec.privileged);
    assert_eq!(container.asked.host.text("NetworkMode"), "bridge");
}

fn log(options: Value) -> LogSpec {
    host(json!({ "LogConfig": { "Type": "json-file", "Config": options } })).spec.log
}

#[test]
fn logs_as_they_are_asked_for() {
    let plain = |max_size_bytes, max_files, buffer_bytes| {
        let attributes = Default::default();
        LogSpec::JsonFile { max_size_bytes, max_files, compress: false, attributes, buffer_bytes }
    };
    let buffered = |bytes| plain(None, 1, Some(bytes));
    for (options, expected) in [
        (json!({}), plain(None, 1, None)),
        (json!({ "max-size": "1k", "max-file": "7" }), plain(Some(1000), 7, None)),
        // No machine has so many files.
        (json!({ "max-file": "4294967296" }), plain(None, u32::MAX, None)),
        (json!({ "max-file": "99999999999999999999" }), plain(None, u32::MAX, None)),
        (json!({ "mode": "blocking" }), plain(None, 1, None)),
        (json!({ "mode": "" }), plain(None, 1, None)),
        (json!({ "mode": "non-blocking" }), buffered(1_000_000)),
        (json!({ "mode": "non-blocking", "max-buffer-size": "4m" }), buffered(4 * 1024 * 1024)),
    ] {
        assert_eq!(log(options.clone()), expected, "{options}");
    }
    for options in [json!({ "mode": "blocking" }), json!({ "mode": "non-blocking", "max-buffer-size": "1k" })] {
        assert_eq!(host(json!({ "LogConfig": { "Type": "none", "Config": options } })).spec.log, LogSpec::None);
    }
}

#[test]
fn an_image_brings_its_health_check() {
    let image =
        || json!({ "Cmd": ["x"], "Healthcheck": { "Test": ["CMD-SHELL", "ok"], "Retries": 2 }, "Shell": ["/ash"] });
    let container = translate_with(image(), &json!({ "Image": "x" })).unwrap().container;
    let health = container.spec.health.expect("a check");
    assert_eq!((health.command, health.retries), (vec!["/ash".to_owned(), "ok".to_owned()], 2));
    let config = serde_json::to_value(&container.asked.config).unwrap();
    assert!(config["Healthcheck"].is_object(), "inspect shows it");
    let off = translate_with(image(), &json!({ "Image": "x", "Healthcheck": { "Test": ["NONE"] } })).unwrap();
    assert_eq!(off.container.spec.health, None);
}

#[test]
fn what_runs_it_has_names_of_docker_s_as_well() {
    for name in RUNTIMES {
        assert_eq!(host(json!({ "Runtime": name })).asked.host.text("Runtime"), name);
    }
    let none = serde_json::to_value(host(json!({ "PidsLimit": 0, "MemorySwappiness": -1 })).asked.host).unwrap();
    assert!(none["PidsLimit"].is_null() && none["MemorySwappiness"].is_null());
}
