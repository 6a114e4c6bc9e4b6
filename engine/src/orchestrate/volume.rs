//! Anonymous volumes: made at a container's first start, with what its image has at that place.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;

use images::Rootfs;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;

use crate::container::Container;
use crate::container::mount::{MountPoint, volume_data};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::orchestrate::files::make_directory;
use crate::orchestrate::remove::remove_tree;

/// Makes the anonymous volumes that aren't there yet. Not with the container: a volume outlives it unless told otherwise,
/// so that one left by half a create couldn't be told from one that somebody wants.
pub(crate) fn make_missing(engine: &Engine, container: &Container, rootfs: &Rootfs) -> Result<()> {
    for mount in &container.spec.mounts {
        if let Some(name) = mount.volume() {
            let data = volume_data(&engine.volumes_directory(), name);
            if !data.exists() {
                make(&data, mount, rootfs)?;
            }
        }
    }
    Ok(())
}

/// A volume is there when it is complete: it is filled under another name.
fn make(data: &Path, mount: &MountPoint, rootfs: &Rootfs) -> Result<()> {
    let directory = data.parent().unwrap_or(data);
    let (filling, merged) = (directory.join("filling"), directory.join("image"));
    remove_tree(&filling)?;
    make_directory(&filling, 0o755)?;
    make_directory(&merged, 0o755)?;
    // A thread of its own: it gets a mount namespace and a working directory of its own, which end with it.
    let copied = std::thread::scope(|scope| {
        scope
            .spawn(|| copy(rootfs, &merged, &mount.destination, &filling))
            .join()
            .map_err(|_| Error::Interrupted { doing: "filling a volume from the image" })
    });
    copied??;
    // The mount on it went with the thread.
    std::fs::remove_dir(&merged).map_err(Error::io(format!("removing {}", merged.display())))?;
    std::fs::rename(&filling, data).map_err(Error::io(format!("making the volume {}", data.display())))
}

fn copy(rootfs: &Rootfs, merged: &Path, destination: &Path, filling: &Path) -> Result<()> {
    let doing = || Error::io(format!("reading {} of the image", destination.display()));
    let root = image_root(rootfs, merged).map_err(|errno| doing()(errno.into()))?;
    // Links of the image lead nowhere but into the image.
    let inside = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_DIRECTORY).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    let source = match openat2(&root, destination, inside) {
        Ok(source) => source,
        Err(nix::Error::ENOENT | nix::Error::ENOTDIR) => return Ok(()),
        Err(errno) => return Err(doing()(errno.into())),
    };
    let from = format!("/proc/{}/fd/{}/.", std::process::id(), source.as_raw_fd());
    let status = Command::new("cp")
        .args([OsStr::new("-a"), OsStr::new("--"), from.as_ref(), filling.as_os_str()])
        .status()
        .map_err(Error::io("starting cp to fill a volume"))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::refused(
        cnm::Kind::Internal,
        format!("filling the volume at {} from the image: cp ended with {status}", destination.display()),
    ))
}

/// The image's file system: its only layer, or all of them in an overlay that this thread alone sees.
fn image_root(rootfs: &Rootfs, merged: &Path) -> nix::Result<File> {
    let root = match rootfs.lowers.as_slice() {
        [only] => only.as_path(),
        layers => {
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)?;
            // Options of a mount are one page: many layers have room by their names only, from their own directory.
            // The namespace brought a working directory of this thread's own.
            if let Some(directory) = layers.first().and_then(|layer| layer.parent()) {
                nix::unistd::chdir(directory)?;
            }
            let names: Vec<_> = layers.iter().filter_map(|layer| layer.file_name()?.to_str()).collect();
            let options = format!("lowerdir={}", names.join(":"));
            mount(Some("overlay"), merged, Some("overlay"), MsFlags::MS_RDONLY, Some(options.as_str()))?;
            merged
        }
    };
    let opened = open(root, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    Ok(File::from(opened))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};
    use std::path::PathBuf;

    use super::*;
    use crate::container::mount::MountPointKind;

    fn layers(dir: &Path) -> Rootfs {
        assert!(nix::unistd::geteuid().is_root(), "this test mounts an overlay: run it as root (scripts/test)");
        let (lower, upper) = (dir.join("l/1"), dir.join("l/2"));
        for layer in [&lower, &upper] {
            std::fs::create_dir_all(layer.join("data")).unwrap();
        }
        std::fs::write(lower.join("data/one"), "1").unwrap();
        std::fs::write(upper.join("data/two"), "2").unwrap();
        std::os::unix::fs::chown(upper.join("data"), Some(999), Some(999)).unwrap();
        symlink("/etc", upper.join("out")).unwrap();
        Rootfs { lowers: vec![upper, lower], upper: PathBuf::new(), work: PathBuf::new() }
    }

    fn made(dir: &Path, destination: &str) -> PathBuf {
        let kind = MountPointKind::AnonymousVolume { name: "v".into() };
        let mount = MountPoint { destination: destination.into(), readonly: false, mode: String::new(), kind };
        let data = dir.join("volumes").join(&destination[1..]).join("_data");
        make(&data, &mount, &layers(dir)).unwrap();
        data
    }

    #[test]
    fn a_volume_has_what_all_layers_have_there_and_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let data = made(dir.path(), "/data");
        assert_eq!(std::fs::read_to_string(data.join("one")).unwrap(), "1");
        assert_eq!(std::fs::read_to_string(data.join("two")).unwrap(), "2");
        assert_eq!(data.metadata().unwrap().uid(), 999);
        assert_eq!(std::fs::read_dir(data.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn links_do_not_lead_out_of_the_image() {
        let dir = tempfile::tempdir().unwrap();
        let data = made(dir.path(), "/out");
        assert_eq!(std::fs::read_dir(data).unwrap().count(), 0, "the image has no /etc");
    }
}
