//! Lists of containers.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::engine::reply::ContainerSummary;

use super::format::{Columns, Row};
use super::{ellipsis, human, ports, shown_id};

/// Fields of a container in a list.
pub(crate) const COLUMNS: Columns = Columns {
    headings: &[
        ("ID", "CONTAINER ID"),
        ("Names", "NAMES"),
        ("Image", "IMAGE"),
        ("ImageID", "IMAGE ID"),
        ("Command", "COMMAND"),
        ("CreatedAt", "CREATED AT"),
        ("RunningFor", "CREATED"),
        ("Ports", "PORTS"),
        ("State", "STATE"),
        ("Status", "STATUS"),
        ("Size", "SIZE"),
        ("Labels", "LABELS"),
        ("Mounts", "MOUNTS"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Networks", "NETWORKS"),
    ],
    table: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
    quiet: "{{.ID}}",
};

/// The same with sizes.
pub(crate) const COLUMNS_WITH_SIZE: Columns = Columns {
    table: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}",
    ..COLUMNS
};

/// Characters of a command that a list shows.
const COMMAND_LENGTH: usize = 20;
/// Characters of a mount's source that a list shows.
const MOUNT_LENGTH: usize = 15;

/// A container as a line of a list.
pub(crate) fn row(container: &ContainerSummary, whole: bool, now: Timestamp, zone: &TimeZone) -> Row {
    let command = if whole { container.command.clone() } else { ellipsis(&container.command, COMMAND_LENGTH) };
    let networks: Vec<&str> = container.network_settings.networks.keys().map(String::as_str).collect();
    let volumes = container.mounts.iter().filter(|mount| mount.kind == "volume").count();
    Row::new([
        ("ID", shown_id(&container.id, whole)),
        ("Names", names(container, whole)),
        ("Image", image(container, whole)),
        ("ImageID", shown_id(&container.image_id, whole)),
        ("Command", format!("{command:?}")),
        ("CreatedAt", human::timestamp(container.created, zone)),
        ("RunningFor", human::ago(container.created, now)),
        ("Ports", ports::line(&container.ports)),
        ("State", container.state.clone()),
        ("Status", container.status.clone()),
        ("Size", size(container)),
        ("Mounts", mounts(container, whole)),
        ("LocalVolumes", volumes.to_string()),
        ("Networks", networks.join(",")),
    ])
    .with_labels(&container.labels)
}

/// Names without their slash; a name with another slash in it is a link's.
fn names(container: &ContainerSummary, whole: bool) -> String {
    let names = container.names.iter().map(|name| name.strip_prefix('/').unwrap_or(name));
    let shown: Vec<&str> = names.filter(|name| whole || !name.contains('/')).collect();
    shown.join(",")
}

/// An image that has no name any more is shown by the beginning of its id.
fn image(container: &ContainerSummary, whole: bool) -> String {
    match container.image.as_str() {
        "" => "<no image>".to_owned(),
        image if !whole && image.starts_with("sha256:") => super::short_id(image),
        image => image.to_owned(),
    }
}

fn mounts(container: &ContainerSummary, whole: bool) -> String {
    let mounts = container.mounts.iter().map(|mount| if mount.name.is_empty() { &mount.source } else { &mount.name });
    let shown = mounts.map(|name| if whole { name.clone() } else { ellipsis(name, MOUNT_LENGTH) });
    shown.collect::<Vec<_>>().join(",")
}

fn size(container: &ContainerSummary) -> String {
    let written = human::size(container.size_rw);
    match container.size_root_fs {
        1.. => format!("{written} (virtual {})", human::size(container.size_root_fs)),
        _ => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::format::Format;

    fn containers() -> Vec<ContainerSummary> {
        serde_json::from_value(serde_json::json!([
            {
                "Id": "0123456789abcdef", "Names": ["/web", "/db/web"], "Image": "friendlyname", "ImageID": "sha256:feed",
                "Command": "httpd -f -p 80 -h /var/www", "Created": 1_767_366_005, "State": "running",
                "Status": "Up 4 minutes",
                "Ports": [
                    {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 4000, "Type": "tcp"},
                    {"IP": "::", "PrivatePort": 80, "PublicPort": 4000, "Type": "tcp"},
                ],
                "Labels": {"tier": "web,front", "a": "b"}, "Mounts": [{"Type": "bind", "Source": "/a/rather/long/path"}],
                "NetworkSettings": {"Networks": {"bridge": {"NetworkID": "1"}}}, "SizeRw": 12, "SizeRootFs": 4_270_000,
            },
            {"Id": "fedcba9876543210", "Names": ["/idle"], "Image": "sha256:0123456789abcdef", "Command": "true",
             "Created": 1_767_366_245, "State": "created", "Status": "Created", "Ports": null, "Labels": null},
        ]))
        .unwrap()
    }

    fn list(format: Option<&str>, columns: &Columns) -> String {
        let now = Timestamp::from_second(1_767_366_245).unwrap();
        let rows = containers().iter().map(|container| row(container, false, now, &TimeZone::UTC)).collect::<Vec<_>>();
        Format::parse(format, false, columns).render(columns, rows).unwrap()
    }

    #[test]
    fn tables() {
        insta::assert_snapshot!(list(None, &COLUMNS), @r#"
        CONTAINER ID   IMAGE          COMMAND                  CREATED                  STATUS         PORTS                                     NAMES
        0123456789ab   friendlyname   "httpd -f -p 80 -h /…"   4 minutes ago            Up 4 minutes   0.0.0.0:4000->80/tcp, [::]:4000->80/tcp   web
        fedcba987654   0123456789ab   "true"                   Less than a second ago   Created                                                  idle
        "#);
        insta::assert_snapshot!(list(Some("table {{.Names}}\t{{.Size}}\t{{.Label \"com.example.tier\"}}"), &COLUMNS), @r"
        NAMES     SIZE                   TIER
        web       12B (virtual 4.27MB)
        idle      0B
        ");
    }

    #[test]
    fn templates() {
        assert_eq!(
            list(Some("{{.Label \"tier\"}}|{{.Networks}}|{{.Mounts}}"), &COLUMNS),
            "web,front|bridge|/a/rather/long…\n||\n"
        );
        assert_eq!(list(Some("{{json .}}"), &COLUMNS), list(Some("json"), &COLUMNS));
        insta::assert_snapshot!(list(Some("json"), &COLUMNS), @r#"
        {"Command":"\"httpd -f -p 80 -h /…\"","CreatedAt":"2026-01-02 15:00:05 +0000 UTC","ID":"0123456789ab","Image":"friendlyname","ImageID":"feed","Labels":"a=b,tier=web,front","LocalVolumes":"0","Mounts":"/a/rather/long…","Names":"web","Networks":"bridge","Ports":"0.0.0.0:4000->80/tcp, [::]:4000->80/tcp","RunningFor":"4 minutes ago","Size":"12B (virtual 4.27MB)","State":"running","Status":"Up 4 minutes"}
        {"Command":"\"true\"","CreatedAt":"2026-01-02 15:04:05 +0000 UTC","ID":"fedcba987654","Image":"0123456789ab","ImageID":"","Labels":"","LocalVolumes":"0","Mounts":"","Names":"idle","Networks":"","Ports":"","RunningFor":"Less than a second ago","Size":"0B","State":"created","Status":"Created"}
        "#);
    }
}
