//! Disk usage.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::engine::reply::{DiskUsage, VolumeSummary};

use super::format::{Columns, Format, Row};
use super::template::FormatError;
use super::{container, human, image};

/// Fields of the summary.
pub(crate) const COLUMNS: Columns = Columns {
    headings: &[
        ("Type", "TYPE"),
        ("TotalCount", "TOTAL"),
        ("Active", "ACTIVE"),
        ("Size", "SIZE"),
        ("Reclaimable", "RECLAIMABLE"),
    ],
    table: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    quiet: "{{.Type}}",
};

const IMAGE_COLUMNS: Columns = Columns {
    table: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
    ..image::COLUMNS
};
const CONTAINER_COLUMNS: Columns = Columns {
    table: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}",
    ..container::COLUMNS
};
const VOLUME_COLUMNS: Columns = Columns {
    headings: &[("Name", "VOLUME NAME"), ("Links", "LINKS"), ("Size", "SIZE")],
    table: "{{.Name}}\t{{.Links}}\t{{.Size}}",
    quiet: "{{.Name}}",
};

/// The summary: a line for each type of object.
pub(crate) fn summary(usage: &DiskUsage) -> Vec<Row> {
    let is_active = |state: &str| matches!(state, "running" | "paused" | "restarting");
    let idle = usage.containers.iter().filter(|container| !is_active(&container.state));
    let used_images = usage.images.iter().filter(|image| image.containers > 0);
    let used_volumes = usage.volumes.iter().filter(|volume| volume.usage_data.ref_count > 0);
    let used_bytes: i64 = used_images.clone().map(|image| image.size - image.shared_size.max(0)).sum();
    let cache = usage.build_cache.iter().filter(|piece| !piece.shared);
    vec![
        row("Images", usage.images.len(), used_images.count(), usage.layers_size, usage.layers_size - used_bytes),
        row(
            "Containers",
            usage.containers.len(),
            usage.containers.iter().filter(|container| is_active(&container.state)).count(),
            usage.containers.iter().map(|container| container.size_rw).sum(),
            idle.map(|container| container.size_rw).sum(),
        ),
        row(
            "Local Volumes",
            usage.volumes.len(),
            used_volumes.count(),
            usage.volumes.iter().map(volume_bytes).sum(),
            usage.volumes.iter().filter(|volume| volume.usage_data.ref_count == 0).map(volume_bytes).sum(),
        ),
        row(
            "Build Cache",
            usage.build_cache.len(),
            usage.build_cache.iter().filter(|piece| piece.in_use).count(),
            cache.clone().map(|piece| piece.size).sum(),
            cache.filter(|piece| !piece.in_use).map(|piece| piece.size).sum(),
        ),
    ]
}

/// Each object, in a table for each type.
///
/// # Errors
/// None in practice: the tables' own templates are right.
pub(crate) fn verbose(usage: &DiskUsage, now: Timestamp, zone: &TimeZone) -> Result<String, FormatError> {
    let table = |columns: &Columns, rows: Vec<Row>| Format::parse(None, false, columns).render(columns, rows);
    let images = usage.images.iter().flat_map(|image| image::rows(image, false, now, zone)).collect();
    let containers = usage.containers.iter().map(|one| container::row(one, false, now, zone)).collect();
    let volumes = usage.volumes.iter().map(volume_row).collect();
    Ok(format!(
        "Images space usage:\n\n{}\nContainers space usage:\n\n{}\nLocal Volumes space usage:\n\n{}",
        table(&IMAGE_COLUMNS, images)?,
        table(&CONTAINER_COLUMNS, containers)?,
        table(&VOLUME_COLUMNS, volumes)?,
    ))
}

fn row(kind: &str, total: usize, active: usize, size: i64, reclaimable: i64) -> Row {
    let reclaimable = reclaimable.clamp(0, size.max(0));
    let share = if size > 0 { format!(" ({}%)", 100 * reclaimable / size) } else { String::new() };
    Row::new([
        ("Type", kind.to_owned()),
        ("TotalCount", total.to_string()),
        ("Active", active.to_string()),
        ("Size", human::precise_size(size)),
        ("Reclaimable", human::precise_size(reclaimable) + &share),
    ])
}

/// The engine says -1 for a size that it doesn't know.
fn volume_bytes(volume: &VolumeSummary) -> i64 {
    volume.usage_data.size.max(0)
}

fn volume_row(volume: &VolumeSummary) -> Row {
    Row::new([
        ("Name", volume.name.clone()),
        ("Links", volume.usage_data.ref_count.to_string()),
        ("Size", human::size(volume.usage_data.size)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries() {
        let usage: DiskUsage = serde_json::from_value(serde_json::json!({
            "LayersSize": 10_000_000,
            "Images": [{"Id": "sha256:1", "Size": 4_000_000, "SharedSize": 0, "Containers": 1}, {"Id": "sha256:2", "Size": 6_000_000, "Containers": 0}],
            "Containers": [{"Id": "c1", "State": "running", "SizeRw": 12}, {"Id": "c2", "State": "exited", "SizeRw": 36}],
            "Volumes": null,
        }))
        .unwrap();
        insta::assert_snapshot!(Format::parse(None, false, &COLUMNS).render(&COLUMNS, summary(&usage)).unwrap(), @r"
        TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE
        Images          2         1         10MB      6MB (60%)
        Containers      2         1         48B       36B (75%)
        Local Volumes   0         0         0B        0B
        Build Cache     0         0         0B        0B
        ");
        assert!(verbose(&usage, Timestamp::UNIX_EPOCH, &TimeZone::UTC).unwrap().contains("REPOSITORY"));
    }
}
