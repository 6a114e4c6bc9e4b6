//! A new volume begins with what the image has at its place.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use images::Rootfs;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;

use super::super::files::make_directory;
use super::super::remove::remove_tree;
use crate::error::{Error, Result};

/// Which volume is to be filled, and with what.
pub(super) struct Filling {
    /// Its files.
    pub(super) data: PathBuf,
    /// Where to fill it so that it is filled at once or not at all; in place without it.
    pub(super) beside: Option<PathBuf>,
    /// Where to look at the image.
    pub(super) view: PathBuf,
    /// The place in the image.
    pub(super) destination: PathBuf,
}

/// Fills a volume that is empty: owner, permissions and attributes of the place come along.
pub(super) fn fill(job: &Filling, rootfs: impl FnOnce() -> Result<Rootfs>) -> Result<()> {
    let doing = || Error::io(format!("reading {}", job.data.display()));
    if std::fs::read_dir(&job.data).map_err(doing())?.next().is_some() {
        return Ok(());
    }
    let rootfs = rootfs()?;
    let target = match &job.beside {
        Some(beside) => {
            remove_tree(beside)?;
            make_directory(beside, 0o755)?;
            beside
        }
        None => &job.data,
    };
    make_directory(&job.view, 0o755)?;
    // A thread of its own: it gets a mount namespace and a working directory of its own, which end with it.
    let copied = std::thread::scope(|scope| {
        scope
            .spawn(|| copy(&rootfs, &job.view, &job.destination, target))
            .join()
            .map_err(|_| Error::Interrupted { doing: "filling a volume from the image" })
    });
    copied??;
    // The mount on it went with the thread.
    std::fs::remove_dir(&job.view).map_err(Error::io(format!("removing {}", job.view.display())))?;
    let Some(beside) = &job.beside else { return Ok(()) };
    match std::fs::rename(beside, &job.data) {
        // Somebody on the host was faster.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => remove_tree(beside),
        renamed => renamed.map_err(Error::io(format!("filling the volume {}", job.data.display()))),
    }
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

    use super::*;

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

    fn filled(dir: &Path, destination: &str, beside: bool) -> PathBuf {
        let volume = dir.join("volumes").join(&destination[1..]);
        let data = volume.join("_data");
        std::fs::create_dir_all(&data).unwrap();
        let beside = beside.then(|| volume.join("filling"));
        let job = Filling { data: data.clone(), beside, view: dir.join("view"), destination: destination.into() };
        fill(&job, || Ok(layers(dir))).unwrap();
        data
    }

    #[test]
    fn a_volume_has_what_all_layers_have_there_and_its_owner() {
        for beside in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let data = filled(dir.path(), "/data", beside);
            assert_eq!(std::fs::read_to_string(data.join("one")).unwrap(), "1");
            assert_eq!(std::fs::read_to_string(data.join("two")).unwrap(), "2");
            assert_eq!(data.metadata().unwrap().uid(), 999);
            assert_eq!(std::fs::read_dir(data.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
        }
    }

    #[test]
    fn what_has_files_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("volumes/data/_data")).unwrap();
        std::fs::write(dir.path().join("volumes/data/_data/mine"), "").unwrap();
        let data = dir.path().join("volumes/data/_data");
        let job = Filling { data: data.clone(), beside: None, view: dir.path().join("v"), destination: "/data".into() };
        fill(&job, || panic!("the image is of no concern")).unwrap();
        assert_eq!(std::fs::read_dir(data).unwrap().count(), 1);
    }

    #[test]
    fn links_do_not_lead_out_of_the_image() {
        let dir = tempfile::tempdir().unwrap();
        let data = filled(dir.path(), "/out", true);
        assert_eq!(std::fs::read_dir(data).unwrap().count(), 0, "the image has no /etc");
    }
}
