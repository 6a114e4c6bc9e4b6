//! The root of a stage or an image as its steps see it: all layers in one tree, read-only.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{Mode, OFlags};

use super::Tree;

/// Opens the tree of these layers, top first. `place` is an empty directory to mount it on, where nobody else sees it.
///
/// # Errors
/// A layer isn't there, or the kernel doesn't mount them.
pub fn view(lowers: &[PathBuf], place: &Path) -> io::Result<Tree> {
    if let [only] = lowers {
        return Tree::open(only);
    }
    // A thread of its own: it gets a mount namespace and a working directory of its own. What it opened stays when both
    // end with it, and goes when it is closed.
    thread::scope(|scope| {
        let opened = scope.spawn(|| mounted(lowers, place)).join();
        opened.unwrap_or_else(|_| Err(io::Error::other("the thread that mounts a view ended without an answer")))
    })
}

fn mounted(lowers: &[PathBuf], place: &Path) -> io::Result<Tree> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)?;
    // Options of a mount are one page: many layers have room by their names only, from their own directory.
    if let Some(directory) = lowers.first().and_then(|lower| lower.parent()) {
        nix::unistd::chdir(directory)?;
    }
    let names: Vec<_> = lowers.iter().filter_map(|lower| lower.file_name()?.to_str()).collect();
    let options = format!("lowerdir={}", names.join(":"));
    mount(Some("overlay"), place, Some("overlay"), MsFlags::MS_RDONLY, Some(options.as_str()))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(Tree::new(rustix::fs::open(place, flags, Mode::empty())?))
}
