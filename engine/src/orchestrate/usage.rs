//! Disk usage of a container: what it has written, and with its image.

use std::path::Path;

use crate::container::{Container, Usage};
use crate::error::{Error, Result};
use crate::image::Images;

/// Walks what the container wrote.
pub(crate) fn of(images: &Images, container: &Container) -> Result<Usage> {
    let rootfs = images.store.rootfs(container.id.as_str())?;
    let written_bytes = tree_size(&rootfs.upper)?;
    let image_bytes = match images.store.get(&container.image.id.to_string()) {
        Ok(image) => image.size_bytes,
        // Removed by force; its layers are still there, but nobody knows their sizes.
        Err(images::Error::NoSuchImage(_)) => 0,
        Err(error) => return Err(error.into()),
    };
    Ok(Usage { written_bytes, total_bytes: written_bytes + image_bytes })
}

/// The bytes of all files below, hard links counted once.
pub(crate) fn tree_size(root: &Path) -> Result<u64> {
    images::files::size(root)
        .map_err(|error| Error::io(format!("measuring {}", root.join(&error.path).display()))(error.source))
}
