//! Names of containers' images in lists: a name may stand for another image by now.

use std::collections::HashMap;

use images::ImageId;

use crate::container::Container;
use crate::error::Result;
use crate::image::Images;

/// What names of images stand for, each looked up once.
#[derive(Debug, Default)]
pub(crate) struct ImageNames(HashMap<String, Option<ImageId>>);

impl ImageNames {
    /// The name that the container was made by; the image's id if the name has moved on.
    pub(crate) fn of(&mut self, images: &Images, container: &Container) -> Result<String> {
        let (id, reference) = (container.image.id, &container.image.reference);
        if !self.0.contains_key(reference) {
            self.0.insert(reference.clone(), images.store.resolve(reference)?);
        }
        let is_named = self.0.get(reference).copied().flatten() == Some(id);
        Ok(if is_named { reference.clone() } else { id.to_string() })
    }
}
