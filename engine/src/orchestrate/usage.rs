//! How much of the disk a container takes: what it has written, and with its image.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// What a container takes of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Written by the container.
    pub(crate) written_bytes: u64,
    /// That and the image.
    pub(crate) total_bytes: u64,
}

/// Walks what the container wrote.
pub(crate) fn of(engine: &Engine, container: &Container) -> Result<Usage> {
    let rootfs = engine.images.rootfs(container.id.as_str())?;
    let written_bytes = tree_size(&rootfs.upper)?;
    let image_bytes = match engine.images.get(&container.image.id.to_string()) {
        Ok(image) => image.size_bytes,
        // Removed by force; its layers are still there, but nobody knows their sizes.
        Err(images::Error::NoSuchImage(_)) => 0,
        Err(error) => return Err(error.into()),
    };
    Ok(Usage { written_bytes, total_bytes: written_bytes + image_bytes })
}

/// The bytes of all files below, hard links counted once. What vanishes meanwhile counts nothing.
pub(crate) fn tree_size(root: &Path) -> Result<u64> {
    let doing = |path: &Path| Error::io(format!("measuring {}", path.display()));
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let (mut total, mut seen) = (0, BTreeSet::new());
    let mut pending: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Err(error) if gone(&error) => continue,
            entries => entries.map_err(doing(&directory))?,
        };
        for entry in entries {
            let path = entry.map_err(doing(&directory))?.path();
            let metadata = match path.symlink_metadata() {
                Err(error) if gone(&error) => continue,
                metadata => metadata.map_err(doing(&path))?,
            };
            if metadata.is_dir() {
                pending.push(path);
            } else if metadata.nlink() == 1 || seen.insert((metadata.dev(), metadata.ino())) {
                total += metadata.len();
            }
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_links_count_once_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("one"), [0; 100]).unwrap();
        std::fs::hard_link(dir.path().join("one"), dir.path().join("sub/two")).unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("sub/x")).unwrap();
        assert_eq!(tree_size(dir.path()).unwrap(), 100 + 1);
        assert_eq!(tree_size(&dir.path().join("absent")).unwrap(), 0);
    }
}
