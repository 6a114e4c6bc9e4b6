//! Binds, volumes, tmpfs.

use super::*;
use crate::container::mount::MountPointKind;

#[test]
fn mounts_of_all_kinds() {
    let container = translate_with(
        json!({ "Cmd": ["x"], "Volumes": { "/data": {}, "/srv": {} } }),
        &json!({ "Image": "x", "HostConfig": {
            "Binds": ["/srv/www:/srv:ro,rslave"],
            "Tmpfs": { "/run": "size=1m,mode=1777,exec" },
            "Mounts": [
                { "Type": "bind", "Source": "/etc", "Target": "/host/etc/", "ReadOnly": true },
                { "Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": { "SizeBytes": 4096, "Mode": 448 } },
                { "Type": "volume", "Target": "/cache" },
            ],
        } }),
    )
    .unwrap()
    .container;
    let shown: Vec<String> = container
        .spec
        .mounts
        .iter()
        .map(|mount| {
            let kind = match &mount.kind {
                MountPointKind::Bind { source, create_source, .. } => {
                    format!("bind {} {create_source}", source.display())
                }
                MountPointKind::AnonymousVolume { .. } => "volume".to_owned(),
                MountPointKind::Tmpfs { size_bytes, permissions, options } => {
                    format!("tmpfs {size_bytes:?} {permissions:?} {}", options.join(","))
                }
            };
            format!("{} {kind} ro={}", mount.destination.display(), mount.readonly)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "/srv bind /srv/www true ro=true",
            "/host/etc bind /etc false ro=true",
            "/tmp tmpfs Some(4096) Some(448) noexec,nosuid,nodev ro=false",
            "/cache volume ro=false",
            "/run tmpfs Some(1048576) Some(1023) nosuid,nodev,exec ro=false",
            "/data volume ro=false",
        ]
    );
}
