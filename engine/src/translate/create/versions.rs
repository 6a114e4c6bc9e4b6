//! What a request means in its API version, put into words of the newest: what the version doesn't know is left out, or refused
//! where who sent it would get something else than they asked for.

use crate::error::{Error, Result};
use crate::version::ApiVersion;
use crate::wire::create::CreateBody;
use crate::wire::models::{Mount, MountType};

/// Puts a request into words of the newest version, and says what its maker should know.
pub(crate) fn adapt(body: &mut CreateBody, version: ApiVersion) -> Result<Vec<String>> {
    let is_below = |minor| version < ApiVersion::new(1, minor);
    let host = &mut body.host;
    if is_below(25) {
        // These clients remove the container themselves.
        host.auto_remove = None;
    }
    if is_below(40) && host.ipc_mode.as_deref().is_none_or(str::is_empty) {
        host.ipc_mode = Some("shareable".to_owned());
    }
    if is_below(42) {
        host.console_size = None;
    }
    if is_below(43) {
        host.annotations = None;
    }
    if is_below(44)
        && let Some(check) = &mut body.config.healthcheck
    {
        check.start_interval = None;
    }
    for mount in host.mounts.iter_mut().flatten() {
        adapt_mount(mount, version)?;
    }
    adapt_endpoints(body, version)?;
    Ok(warnings(body, version))
}

fn adapt_mount(mount: &mut Mount, version: ApiVersion) -> Result<()> {
    let is_below = |minor| version < ApiVersion::new(1, minor);
    if is_below(42) {
        // Options of another kind of mount weren't looked at.
        if mount.typ != Some(MountType::VOLUME) {
            mount.volume_options = None;
        }
        if mount.typ != Some(MountType::TMPFS) {
            mount.tmpfs_options = None;
        }
    }
    if let Some(options) = &mut mount.bind_options {
        if is_below(40) {
            options.non_recursive = None;
        }
        if is_below(42) {
            options.create_mountpoint = None;
        }
        if is_below(44) {
            options.read_only_non_recursive = None;
            if options.read_only_force_recursive == Some(true) {
                return Err(needs("BindOptions.ReadOnlyForceRecursive", "1.44"));
            }
        }
    }
    let subpath = mount.volume_options.as_ref().and_then(|options| options.subpath.as_deref());
    if is_below(45) && subpath.is_some_and(|path| !path.is_empty()) {
        return Err(needs("VolumeOptions.Subpath", "1.45"));
    }
    if is_below(48) && mount.typ == Some(MountType::IMAGE) {
        return Err(needs("Mount type \"Image\"", "1.48"));
    }
    Ok(())
}

fn needs(what: &str, version: &str) -> Error {
    Error::invalid(format!("{what} needs API v{version} or newer"))
}

fn adapt_endpoints(body: &mut CreateBody, version: ApiVersion) -> Result<()> {
    let Some(endpoints) = &mut body.networking.endpoints_config else { return Ok(()) };
    if version < ApiVersion::new(1, 44) {
        if endpoints.len() > 1 {
            let mut names: Vec<&str> = endpoints.keys().map(String::as_str).collect();
            names.sort_unstable();
            return Err(Error::invalid(format!(
                "Container cannot be created with multiple network endpoints: {}",
                names.join(", ")
            )));
        }
        // The container's own address is what counts.
        endpoints.values_mut().for_each(|endpoint| endpoint.mac_address = None);
    }
    if version < ApiVersion::new(1, 48) {
        endpoints.values_mut().for_each(|endpoint| endpoint.gw_priority = None);
    }
    Ok(())
}

fn warnings(body: &CreateBody, version: ApiVersion) -> Vec<String> {
    let mut warnings = Vec::new();
    let is_ambiguous = |mount: &Mount| {
        let options = mount.volume_options.as_ref();
        let own = options.and_then(|options| options.driver_config.as_ref()?.name.as_deref());
        mount.typ == Some(MountType::VOLUME) && own.is_none_or(str::is_empty)
    };
    let names_driver = body.host.volume_driver.as_deref().is_some_and(|driver| !driver.is_empty());
    if version >= ApiVersion::new(1, 48) && names_driver && body.host.mounts.iter().flatten().any(is_ambiguous) {
        warnings.push(
            "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. Use \
             '--mount type=volume,volume-driver=...' instead"
                .to_owned(),
        );
    }
    if version >= ApiVersion::new(1, 44) && body.mac_address.is_some() {
        warnings.push(
            "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
                .to_owned(),
        );
    }
    let bindings = body.host.port_bindings.iter().flatten();
    let mut open: Vec<&str> = bindings
        .filter(|(_, bindings)| bindings.as_ref().is_none_or(Vec::is_empty))
        .map(|(port, _)| port.as_str())
        .collect();
    if version >= ApiVersion::new(1, 52) && !open.is_empty() {
        open.sort_unstable();
        warnings.push(format!(
            "Following container port(s) have an empty list of port-bindings: {}. Starting with API 1.53, such bindings will \
             be discarded.",
            open.join(", ")
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn adapted(body: &Value, minor: u16) -> Result<(CreateBody, Vec<String>)> {
        let mut parsed = CreateBody::parse(body.to_string().as_bytes())?;
        let warnings = adapt(&mut parsed, ApiVersion::new(1, minor))?;
        Ok((parsed, warnings))
    }

    #[test]
    fn older_versions_mean_what_they_meant() {
        let of = |host: Value, minor| adapted(&json!({ "Image": "x", "HostConfig": host }), minor).unwrap().0.host;
        let ipc = |mode: &str, minor| of(json!({ "IpcMode": mode }), minor).ipc_mode;
        assert_eq!((ipc("", 39).as_deref(), ipc("", 40).as_deref()), (Some("shareable"), Some("")));
        assert_eq!(ipc("private", 39).as_deref(), Some("private"));
        let removes = |minor| of(json!({ "AutoRemove": true }), minor).auto_remove;
        assert_eq!((removes(24), removes(25)), (None, Some(true)));
        let size = |minor| of(json!({ "ConsoleSize": [24, 80] }), minor).console_size;
        assert_eq!((size(41), size(42)), (None, Some(vec![24, 80])));
        let foreign = json!({ "Mounts": [{ "Type": "bind", "Target": "/x", "Source": "/y", "VolumeOptions": {} }] });
        let options = |minor| of(foreign.clone(), minor).mounts.unwrap()[0].volume_options.is_some();
        assert_eq!((options(41), options(42)), (false, true));
        let interval = |minor| {
            let body = json!({ "Image": "x", "Healthcheck": { "StartInterval": 1_000_000 } });
            adapted(&body, minor).unwrap().0.config.healthcheck.unwrap().start_interval
        };
        assert_eq!((interval(43), interval(44)), (None, Some(1_000_000)));
    }

    #[test]
    fn endpoints_of_older_versions() {
        let endpoint = json!({ "Image": "x", "NetworkingConfig": { "EndpointsConfig": {
            "front": { "MacAddress": "02:42:ac:00:00:01", "GwPriority": 7 },
        } } });
        let of = |minor| {
            let (body, _) = adapted(&endpoint, minor).unwrap();
            let endpoint = body.networking.endpoints_config.unwrap().remove("front").unwrap();
            (endpoint.mac_address.is_some(), endpoint.gw_priority)
        };
        assert_eq!((of(43), of(44), of(48)), ((false, None), (true, None), (true, Some(7))));
    }

    #[test]
    fn what_would_become_something_else_is_refused() {
        let two = json!({ "Image": "x", "NetworkingConfig": { "EndpointsConfig": { "front": {}, "back": {} } } });
        let mount = |mount: Value| json!({ "Image": "x", "HostConfig": { "Mounts": [mount] } });
        let subpath = mount(json!({ "Type": "volume", "Target": "/x", "VolumeOptions": { "Subpath": "a" } }));
        let forced =
            mount(json!({ "Type": "bind", "Target": "/x", "BindOptions": { "ReadOnlyForceRecursive": true } }));
        let image = mount(json!({ "Type": "image", "Target": "/x", "Source": "busybox" }));
        for (body, since, text) in [
            (two, 44, "Container cannot be created with multiple network endpoints: back, front"),
            (subpath, 45, "VolumeOptions.Subpath needs API v1.45 or newer"),
            (forced, 44, "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer"),
            (image, 48, "Mount type \"Image\" needs API v1.48 or newer"),
        ] {
            assert_eq!(adapted(&body, since - 1).unwrap_err().message(), text);
            assert!(adapted(&body, since).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_its_maker_should_know() {
        let warnings = |body: Value, minor| adapted(&body, minor).unwrap().1;
        let mac = json!({ "Image": "x", "MacAddress": "02:42:ac:00:00:01" });
        assert_eq!((warnings(mac.clone(), 43).len(), warnings(mac, 44).len()), (0, 1));
        let ports = json!({ "Image": "x", "HostConfig": { "PortBindings": { "80/tcp": [], "9/udp": [{}] } } });
        assert_eq!(warnings(ports.clone(), 51), Vec::<String>::new());
        assert!(warnings(ports, 52)[0].contains("port-bindings: 80/tcp. Starting with"));
        let volume = json!({ "Type": "volume", "Target": "/x" });
        let driver = json!({ "Image": "x", "HostConfig": { "VolumeDriver": "far", "Mounts": [volume] } });
        assert_eq!((warnings(driver.clone(), 47).len(), warnings(driver, 48).len()), (0, 1));
    }
}
