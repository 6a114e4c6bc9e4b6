//! Binds, volumes, tmpfs.

use super::*;
use crate::volume::ANONYMOUS_LABEL;

fn shown(mount: &MountPoint) -> String {
    let kind = match &mount.kind {
        MountPointKind::Bind { source, create_source, .. } => format!("bind {} {create_source}", source.display()),
        MountPointKind::Volume { anonymous: true, no_copy: false, .. } => "volume".to_owned(),
        MountPointKind::Volume { name, no_copy, subpath, .. } => format!("volume {name} {no_copy} {subpath:?}"),
        MountPointKind::Tmpfs { size_bytes, permissions, options } => {
            format!("tmpfs {size_bytes:?} {permissions:?} {}", options.join(","))
        }
    };
    format!("{} {kind} ro={}", mount.destination.display(), mount.readonly)
}

#[test]
fn mounts_of_all_kinds() {
    let container = translate_with(
        json!({ "Cmd": ["x"], "Volumes": { "/data": {}, "/srv": {} } }),
        &json!({ "Image": "x", "HostConfig": {
            "Binds": ["/srv/www:/srv:ro,rslave"],
            "Tmpfs": { "/run": "size=1m,mode=1777,exec,rprivate,shared" },
            "Mounts": [
                { "Type": "bind", "Source": "/etc", "Target": "/host/etc/", "ReadOnly": true },
                { "Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": { "SizeBytes": 4096, "Mode": 448 } },
                { "Type": "volume", "Target": "/cache" },
            ],
        } }),
    )
    .unwrap()
    .container;
    let shown: Vec<String> = container.spec.mounts.iter().map(shown).collect();
    assert_eq!(
        shown,
        [
            "/srv bind /srv/www true ro=true",
            "/host/etc bind /etc false ro=true",
            "/tmp tmpfs Some(4096) Some(448) noexec,nosuid,nodev ro=false",
            "/cache volume ro=false",
            "/run tmpfs Some(1048576) Some(1023) nosuid,nodev,exec,rprivate,shared ro=false",
            "/data volume ro=false",
        ]
    );
}

#[test]
fn volumes_by_name_and_anonymous_ones() {
    let translated = translate(&json!({ "Image": "x", "Volumes": { "/own": {} }, "HostConfig": {
        "Binds": ["data:/data:ro,nocopy", "data:/again"],
        "VolumeDriver": "local",
        "Mounts": [{ "Type": "volume", "Source": "logs", "Target": "/logs", "VolumeOptions": {
            "NoCopy": true, "Subpath": "./web/", "Labels": { "tier": "web" },
            "DriverConfig": { "Options": { "type": "tmpfs", "device": "tmpfs" } },
        } }],
    } }))
    .unwrap();
    let mounts: Vec<String> = translated.container.spec.mounts.iter().map(shown).collect();
    assert_eq!(
        mounts,
        [
            "/data volume data true None ro=true",
            "/again volume data false None ro=false",
            "/logs volume logs true Some(\"web\") ro=false",
            "/own volume ro=false",
        ]
    );
    let [data, logs, own] = &translated.volumes[..] else { panic!("{:?}", translated.volumes) };
    assert_eq!((data.name.as_str(), data.driver.as_deref()), ("data", Some("local")));
    assert_eq!((logs.name.as_str(), logs.driver.as_deref(), logs.options.len()), ("logs", None, 2));
    assert_eq!(logs.labels["tier"], "web");
    assert!(own.labels.contains_key(ANONYMOUS_LABEL) && own.name.as_str() == "cd".repeat(32));
}

#[test]
fn anothers_volumes_come_after_ones_own_and_before_the_images() {
    let translated = translate_with(
        json!({ "Cmd": ["x"], "Volumes": { "/cache": {} } }),
        &json!({ "Image": "x", "HostConfig": { "Binds": ["mine:/data"], "VolumesFrom": ["web:ro"] } }),
    )
    .unwrap();
    let mounts: Vec<String> = translated.container.spec.mounts.iter().map(shown).collect();
    assert_eq!(mounts, ["/data volume mine false None ro=false", "/cache volume ro=true"]);
    let names: Vec<&str> = translated.volumes.iter().map(|volume| volume.name.as_str()).collect();
    assert_eq!(names, ["mine", "abab"]);
}
