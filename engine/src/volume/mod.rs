//! Volumes: files that outlive the containers that use them. Pure values, and who uses which.

pub mod name;
pub mod options;
mod record;
pub mod registry;
mod volumes;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use name::VolumeName;
pub use options::LocalMount;
pub use record::{VolumeRecordError, from_record, to_record};
pub use registry::Registry;
pub use volumes::Volumes;

/// The driver that is berthd itself.
pub const LOCAL: &str = "local";

/// Docker's mark of a volume that nobody named.
pub const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";

/// A volume. It doesn't change from its making to its removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Unique, whatever its driver.
    pub name: VolumeName,
    /// When it was made.
    pub created: Timestamp,
    /// As its maker set them.
    pub labels: BTreeMap<String, String>,
    /// Where its files are.
    pub backing: Backing,
}

/// Where a volume's files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Backing {
    /// In a directory of berthd's.
    Directory,
    /// In what is mounted on a directory of berthd's while containers use it.
    Mount(LocalMount),
    /// Where a plugin says.
    Plugin {
        /// The plugin's name.
        driver: String,
        /// As they were given to it.
        options: BTreeMap<String, String>,
        /// Other hosts see the same volume.
        is_global: bool,
    },
}

impl Volume {
    /// The name of its driver.
    pub fn driver(&self) -> &str {
        match &self.backing {
            Backing::Directory | Backing::Mount(_) => LOCAL,
            Backing::Plugin { driver, .. } => driver,
        }
    }

    /// The plugin that it is in, if it isn't berthd's own.
    pub fn plugin(&self) -> Option<&str> {
        match &self.backing {
            Backing::Directory | Backing::Mount(_) => None,
            Backing::Plugin { driver, .. } => Some(driver),
        }
    }

    /// Docker's word for who sees it.
    pub fn scope(&self) -> &'static str {
        match &self.backing {
            Backing::Plugin { is_global: true, .. } => "global",
            Backing::Plugin { .. } | Backing::Directory | Backing::Mount(_) => "local",
        }
    }

    /// The options that its driver was given, as inspect shows them.
    pub fn options(&self) -> BTreeMap<String, String> {
        match &self.backing {
            Backing::Directory => BTreeMap::new(),
            Backing::Mount(mount) => mount.to_options(),
            Backing::Plugin { options, .. } => options.clone(),
        }
    }

    /// Nobody gave it a name.
    pub fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS_LABEL)
    }
}

/// A volume that a request needs: made if there is none of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeRequest {
    /// Its name; drawn, if the request has none.
    pub name: VolumeName,
    /// The driver, if the request names one: a volume that is there must have it, too.
    pub driver: Option<String>,
    /// For the driver.
    pub options: BTreeMap<String, String>,
    /// Of a new one.
    pub labels: BTreeMap<String, String>,
}

impl VolumeRequest {
    /// Any volume of that name; a new one is a plain directory.
    pub fn named(name: VolumeName) -> Self {
        Self { name, driver: None, options: BTreeMap::new(), labels: BTreeMap::new() }
    }

    /// A new one that goes with its container.
    pub fn anonymous(name: VolumeName) -> Self {
        let labels = [(ANONYMOUS_LABEL.to_owned(), String::new())].into();
        Self { labels, ..Self::named(name) }
    }
}
