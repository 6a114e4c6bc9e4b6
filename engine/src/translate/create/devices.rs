//! `--device` and `--device-cgroup-rule`.

use std::path::Path;

use runtime::spec::{Device, DeviceKind, DeviceRule};

use super::Machine;
use crate::container::mount::MountPoint;
use crate::error::{Error, Result};
use crate::wire::models::HostConfig;

/// The devices asked for; a privileged container has all of them anyway.
pub(super) fn devices(host: &HostConfig, mounts: &[MountPoint], machine: &Machine<'_>) -> Result<Vec<Device>> {
    if host.privileged.unwrap_or_default() {
        return Ok(Vec::new());
    }
    let wanted = host.devices.iter().flatten();
    wanted
        .map(|mapping| {
            let source = mapping.path_on_host.as_deref().unwrap_or_default();
            let path = mapping.path_in_container.as_deref().filter(|path| !path.is_empty()).unwrap_or(source);
            check_place(path, mounts)?;
            let node = (machine.device)(source)?;
            Ok(Device {
                path: path.into(),
                kind: node.kind,
                major: node.major,
                minor: node.minor,
                mode: node.mode,
                uid: node.uid,
                gid: node.gid,
                access: access(mapping.cgroup_permissions.as_deref().unwrap_or_default())?,
            })
        })
        .collect()
}

/// The kernel's limits of a path, with room for where the container's root is, and of a name in it.
const PATH_MAX_BYTES: usize = 3072;
const NAME_MAX_BYTES: usize = 255;

/// Nodes are made below the container's own `/dev`, which nobody else can change meanwhile: not in what is mounted there.
fn check_place(path: &str, mounts: &[MountPoint]) -> Result<()> {
    let shown: String = path.chars().take(64).collect();
    let refuse = |why: &str| Err(Error::invalid(format!("invalid device path in the container {shown:?}: {why}")));
    let Some(below) = path.strip_prefix("/dev/").filter(|below| !below.is_empty()) else {
        return refuse("give a path below /dev");
    };
    if !below.split('/').all(|part| !["", ".", ".."].contains(&part)) {
        return refuse("give a path without empty, . and .. parts");
    }
    if path.len() > PATH_MAX_BYTES || below.split('/').any(|part| part.len() > NAME_MAX_BYTES) {
        return refuse("it is longer than the kernel's limit");
    }
    let asked = mounts.iter().map(|mount| mount.destination.as_path()).filter(|place| *place != Path::new("/dev"));
    let own = ["/dev/mqueue", "/dev/pts", "/dev/shm"].map(Path::new);
    match asked.chain(own).find(|place| Path::new(path).starts_with(place)) {
        Some(place) => refuse(&format!("it is in what is mounted on {}", place.display())),
        None => Ok(()),
    }
}

fn access(text: &str) -> Result<String> {
    match text {
        "" => Ok("rwm".to_owned()),
        text if text.bytes().all(|letter| b"rwm".contains(&letter)) => {
            Ok(["r", "w", "m"].into_iter().filter(|letter| text.contains(letter)).collect())
        }
        text => Err(Error::invalid(format!("invalid device mode {text:?}: use some of the letters r, w and m"))),
    }
}

/// Rules such as `c 1:3 mr` or `a *:* rwm`.
pub(super) fn rules(host: &HostConfig) -> Result<Vec<DeviceRule>> {
    host.device_cgroup_rules.iter().flatten().map(|rule| parse_rule(rule)).collect()
}

fn parse_rule(text: &str) -> Result<DeviceRule> {
    let invalid = || Error::invalid(format!("invalid device cgroup rule format: '{text}'"));
    let mut words = text.split(' ');
    let (Some(kind), Some(numbers), Some(letters), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(invalid());
    };
    let number = |text: &str| match text {
        "*" => Ok(None),
        digits => digits.parse().map(Some).map_err(|_| invalid()),
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(invalid)?;
    if letters.is_empty() {
        return Err(invalid());
    }
    Ok(DeviceRule {
        allow: true,
        kind: match kind {
            "a" => None,
            "b" => Some(DeviceKind::Block),
            "c" => Some(DeviceKind::Character),
            _ => return Err(invalid()),
        },
        major: number(major)?,
        minor: number(minor)?,
        access: access(letters).map_err(|_| invalid())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_grammar() {
        let good = parse_rule("c 1:* rw").unwrap();
        assert_eq!((good.kind, good.major, good.minor), (Some(DeviceKind::Character), Some(1), None));
        assert_eq!(parse_rule("a *:* rwm").unwrap().kind, None);
        for bad in ["", "c 1:3", "d 1:3 r", "c 1 r", "c 1:3 x", "c 1:3 ", "c a:3 r", "c 1:3 r w", "c -1:3 r"] {
            assert!(parse_rule(bad).is_err(), "{bad}");
        }
    }
}
