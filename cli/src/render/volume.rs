//! Lists of volumes.

use crate::engine::reply::VolumeSummary;

use super::format::{Columns, Row};

/// Fields of a volume in a list.
pub(crate) const COLUMNS: Columns = Columns {
    headings: &[
        ("Driver", "DRIVER"),
        ("Name", "VOLUME NAME"),
        ("Scope", "SCOPE"),
        ("Mountpoint", "MOUNTPOINT"),
        ("Labels", "LABELS"),
    ],
    table: "{{.Driver}}\t{{.Name}}",
    quiet: "{{.Name}}",
};

/// A volume as a line of a list.
pub(crate) fn row(volume: &VolumeSummary) -> Row {
    Row::new([
        ("Driver", volume.driver.clone()),
        ("Name", volume.name.clone()),
        ("Scope", volume.scope.clone()),
        ("Mountpoint", volume.mountpoint.clone()),
    ])
    .with_labels(&volume.labels)
}
