//! A volume as the database keeps it: JSON with a version.

use serde::{Deserialize, Serialize};

use super::Volume;
use crate::store::StoredVolume;

/// The version of records written by this build.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Outgoing<'a> {
    v: u32,
    volume: &'a Volume,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Deserialize)]
struct Incoming {
    volume: Volume,
}

/// Why a record can't be understood.
#[derive(Debug, thiserror::Error)]
pub enum VolumeRecordError {
    /// Another release wrote it.
    #[error(
        "the record of volume {name} has version {found}, this berthd knows {VERSION}: use the berthd that wrote it"
    )]
    Version {
        /// The volume.
        name: String,
        /// The version found.
        found: u32,
    },
    /// It isn't what a record looks like.
    #[error("the record of volume {name} is damaged")]
    Damaged {
        /// The volume.
        name: String,
        /// Where.
        source: serde_json::Error,
    },
}

/// The record of a volume.
pub fn to_record(volume: &Volume) -> StoredVolume {
    let record = serde_json::to_string(&Outgoing { v: VERSION, volume })
        .expect("a volume's keys are strings and its values have JSON forms");
    StoredVolume { name: volume.name.to_string(), record }
}

/// The volume of a record.
pub fn from_record(stored: &StoredVolume) -> Result<Volume, VolumeRecordError> {
    let damaged = |source| VolumeRecordError::Damaged { name: stored.name.clone(), source };
    let Version { v } = serde_json::from_str(&stored.record).map_err(damaged)?;
    if v != VERSION {
        return Err(VolumeRecordError::Version { name: stored.name.clone(), found: v });
    }
    let Incoming { volume } = serde_json::from_str(&stored.record).map_err(damaged)?;
    Ok(volume)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::volume::{Backing, LocalMount};

    #[test]
    fn records_come_back_and_newer_ones_are_refused() {
        let options = [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")];
        let options = options.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let volume = Volume {
            name: "cache".parse().unwrap(),
            created: Timestamp::UNIX_EPOCH,
            labels: [("tier".to_owned(), "db".to_owned())].into(),
            backing: Backing::Mount(LocalMount::from_options(&options).unwrap().unwrap()),
        };
        let mut stored = to_record(&volume);
        assert_eq!(from_record(&stored).unwrap(), volume);
        stored.record = stored.record.replacen("\"v\":1", "\"v\":2", 1);
        let said = from_record(&stored).unwrap_err().to_string();
        assert!(said.contains("volume cache has version 2"), "{said}");
    }
}
