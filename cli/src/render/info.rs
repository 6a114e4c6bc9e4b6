//! What the engine knows about itself and its host.

use bollard_stubs::models::SystemInfo;

use super::human;

/// For people; fields that the engine doesn't say are left out.
pub(crate) fn text(info: &SystemInfo) -> String {
    let mut lines = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            lines.push(format!(" {name}: {value}"));
        }
    };
    let number = |value: Option<i64>| value.map(|value| value.to_string());
    add("Containers", number(info.containers));
    add(" Running", number(info.containers_running));
    add(" Paused", number(info.containers_paused));
    add(" Stopped", number(info.containers_stopped));
    add("Images", number(info.images));
    add("Server Version", info.server_version.clone());
    add("Storage Driver", info.driver.clone());
    for pair in info.driver_status.iter().flatten() {
        if let [name, value] = &pair[..] {
            add(&format!(" {name}"), Some(value.clone()));
        }
    }
    add("Logging Driver", info.logging_driver.clone());
    add("Cgroup Driver", info.cgroup_driver.map(|driver| driver.to_string()));
    add("Cgroup Version", info.cgroup_version.map(|version| version.to_string()));
    add("Network Drivers", plugins(info));
    add("Default Runtime", info.default_runtime.clone());
    add("Security Options", info.security_options.as_ref().map(|options| options.join(", ")));
    add("Kernel Version", info.kernel_version.clone());
    add("Operating System", info.operating_system.clone());
    add("OSType", info.os_type.clone());
    add("Architecture", info.architecture.clone());
    add("CPUs", number(info.ncpu));
    add("Total Memory", info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).map(human::binary_size));
    add("Name", info.name.clone());
    add("ID", info.id.clone());
    add("Root Dir", info.docker_root_dir.clone());
    add("Firewall", info.firewall_backend.as_ref().and_then(|firewall| firewall.driver.clone()));
    format!("Client: berth {}\n\nServer:\n{}\n", env!("CARGO_PKG_VERSION"), lines.join("\n"))
}

/// What an administrator should know, a line each.
pub(crate) fn warnings(info: &SystemInfo) -> String {
    info.warnings.iter().flatten().map(|warning| format!("{warning}\n")).collect()
}

fn plugins(info: &SystemInfo) -> Option<String> {
    info.plugins.as_ref()?.network.as_ref().map(|names| names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_shown() {
        let info = serde_json::from_value(serde_json::json!({
            "Containers": 3, "ContainersRunning": 1, "Images": 2, "ServerVersion": "0.1.0", "Driver": "overlay2",
            "DriverStatus": [["Backing Filesystem", "extfs"]], "CgroupDriver": "cgroupfs", "CgroupVersion": "1",
            "NCPU": 2, "MemTotal": 25_769_803_776_i64, "Plugins": {"Network": ["bridge", "host", "null"]},
            "Warnings": ["WARNING: a foreign chain drops forwarded packets"],
        }))
        .unwrap();
        insta::assert_snapshot!(text(&info).replace(env!("CARGO_PKG_VERSION"), "VERSION"), @r"
        Client: berth VERSION

        Server:
         Containers: 3
          Running: 1
         Images: 2
         Server Version: VERSION
         Storage Driver: overlay2
          Backing Filesystem: extfs
         Cgroup Driver: cgroupfs
         Cgroup Version: 1
         Network Drivers: bridge host null
         CPUs: 2
         Total Memory: 24GiB
        ");
        assert_eq!(warnings(&info), "WARNING: a foreign chain drops forwarded packets\n");
    }
}
