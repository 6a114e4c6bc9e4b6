//! The images of this host, for whoever brings, makes or removes one: where they are kept, where they come from, and who
//! hears what happens to them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use images::ImageId;

use crate::blocking::Blocking;
use crate::events::{Bus, ObjectKind};

/// The images of this host.
pub struct Images {
    /// Images and the root file systems of containers.
    pub store: images::Store,
    /// Where images come from.
    pub registries: images::Registries,
    /// Who hears of them.
    pub(crate) events: Arc<Bus>,
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images").finish_non_exhaustive()
    }
}

impl Blocking for Arc<Images> {}

impl Images {
    /// Tells listeners what happened to an image, which they may know by its labels; `name` is what it is called in this.
    /// Reads the image: not for the threads of requests.
    pub(crate) fn tell(&self, action: &str, image: ImageId, name: impl Into<String>) {
        self.tell_of(action, image.to_string(), name.into(), self.labels(image));
    }

    /// The labels of an image, none if it is gone.
    pub(crate) fn labels(&self, image: ImageId) -> BTreeMap<String, String> {
        self.store.get(&image.to_string()).map(|image| image.config.config.labels).unwrap_or_default()
    }

    /// As [`Images::tell`], for what Docker calls by something else than the image's id, and for images that are gone.
    pub(crate) fn tell_of(&self, action: &str, id: String, name: String, labels: BTreeMap<String, String>) {
        let mut attributes = labels;
        attributes.insert("name".to_owned(), name);
        self.events.tell(ObjectKind::Image, action, id, attributes);
    }
}
