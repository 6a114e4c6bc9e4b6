//! All volumes, for whoever does something to one: which there are and who has them, plugins that keep some, and who hears
//! what happens to them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{Registry, Volume};
use crate::blocking::Blocking;
use crate::events::{Bus, ObjectKind};
use crate::store::Store;

/// All volumes.
#[derive(Debug)]
pub struct Volumes {
    /// Which there are, and which containers have them.
    pub registry: Registry,
    /// Where plugins are looked for.
    pub plugins: plugin::Directories,
    /// Their records.
    pub store: Store,
    /// Who hears of them.
    pub(crate) events: Arc<Bus>,
    /// Where parts of volumes are mounted that containers being started want.
    pub(crate) subpaths: PathBuf,
    /// Whether it is known what every container holds mounted: until then, what nobody seems to hold may be somebody's.
    pub(crate) are_mounts_known: AtomicBool,
}

impl Blocking for Arc<Volumes> {}

impl Volumes {
    /// Tells listeners what happened to a volume.
    pub(crate) fn tell<const N: usize>(&self, volume: &Volume, action: &str, more: [(&str, String); N]) {
        let mut attributes = BTreeMap::from([("driver".to_owned(), volume.driver().to_owned())]);
        attributes.extend(more.map(|(key, value)| (key.to_owned(), value)));
        self.events.tell(ObjectKind::Volume, action, volume.name.to_string(), attributes);
    }
}
