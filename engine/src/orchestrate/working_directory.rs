//! A new container's working directory: it is there before the container runs, for whoever copies files into it.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use images::Rootfs;
use runtime::Scope;
use runtime::spec::KernelPlace;

use crate::container::Container;
use crate::container::mount::VolumeSources;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::orchestrate::view;

/// Makes the working directory if the image has none at that place.
pub(super) fn make(engine: &Engine, container: &Container) -> Result<()> {
    let path = Path::new(&container.spec.process.cwd);
    // What the kernel has there is known when the container runs.
    if KernelPlace::of(path).is_some() || has(&engine.images.store.rootfs(container.id.as_str())?, path) {
        return Ok(());
    }
    // Its processes may be kept from writing; it isn't they who write.
    let mut writable = container.clone();
    writable.spec.readonly_rootfs = false;
    let root = view::mount(engine, &writable, VolumeSources::default(), Scope::RootfsOnly)?;
    images::files::make_directory(&root, path).map_err(|error| {
        let path = path.display();
        Error::invalid(match error.kind() {
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => format!("Cannot mkdir: {path} is not a directory"),
            _ => format!("Cannot mkdir: {path}: {error}"),
        })
    })
}

/// Whether one of the image's layers has a directory there. Mounting them all would tell for sure, and takes longer than all
/// else of a creation; one that a later layer takes away is made when the container starts.
fn has(rootfs: &Rootfs, path: &Path) -> bool {
    let itself: PathBuf = path.join(".");
    let in_layer = |layer: &PathBuf| File::open(layer).is_ok_and(|root| images::files::stat(&root, &itself).is_ok());
    path == Path::new("/") || rootfs.lowers.iter().any(in_layer)
}
