//! The mounts that a container is asked to have, made by descriptors: neither a link in an image or a volume, nor whoever
//! changes one meanwhile, leads a mount out of the container or to what the kernel shows it.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, fchownat};

use crate::in_root::{DIRECTORY, open_in_root, patiently};
use crate::shim::mount_fd::{Attributes, copy_mount, move_mount};
use crate::spec::{BindPropagation, Mount, MountKind};
use crate::{Error, Result};

/// Where a container has file systems of the kernel's. Whoever wants to mount something there says so: it isn't reached by
/// a link.
const KERNEL_DIRECTORIES: [&str; 3] = ["/dev", "/proc", "/sys"];

/// As many links as the kernel follows for a path.
const LINKS_MAX: usize = 40;

/// Where nothing can be made.
const CIRCLE: &str = "in a circle or into a process's files";

/// What a bind mounts, as a mount that is nowhere yet.
#[derive(Debug)]
pub(crate) struct Bind {
    pub(crate) mount: OwnedFd,
    pub(crate) is_directory: bool,
}

/// Mounts what was asked for below a root directory.
pub(crate) fn attach(root: &OwnedFd, asked: &Mount) -> Result<()> {
    match &asked.kind {
        MountKind::Bind { .. } => {
            if let Some(bind) = bind(asked)? {
                let place = place_for(root, &asked.destination, bind.is_directory)?;
                move_mount(&bind.mount, &place).map_err(failed(asked))?;
            }
            Ok(())
        }
        MountKind::Tmpfs { size_bytes, mode, options } => {
            let place = place_for(root, &asked.destination, true)?;
            let (flags, mut data) = tmpfs_options(options);
            data.extend(size_bytes.map(|size| format!("size={size}")));
            data.extend(mode.map(|mode| format!("mode={mode:o}")));
            let flags = if asked.readonly { flags | MsFlags::MS_RDONLY } else { flags };
            let place = format!("/proc/self/fd/{}", place.as_raw_fd());
            mount(Some("tmpfs"), place.as_str(), Some("tmpfs"), flags, Some(data.join(",").as_str()))
                .map_err(failed(asked))
        }
    }
}

/// A bind with all that was asked of it; `None` for what isn't one.
pub(crate) fn bind(asked: &Mount) -> Result<Option<Bind>> {
    let MountKind::Bind { source, propagation, non_recursive } = &asked.kind else { return Ok(None) };
    let opened = open_source(source)?;
    let kind = fstat(&opened).map_err(failed(asked))?.st_mode & SFlag::S_IFMT.bits();
    let mount = copy_mount(&opened, !non_recursive).map_err(failed(asked))?;
    // Since Docker 25, what is mounted below a read-only bind is read-only too.
    let readonly = Attributes { readonly: asked.readonly, propagation: MsFlags::empty(), recursive: !non_recursive };
    readonly.set(&mount).map_err(failed(asked))?;
    // The mount namespaces of shims are slaves of the host's, and so is everything that is copied there.
    let (propagation, recursive) = match propagation {
        BindPropagation::Rprivate => (MsFlags::MS_PRIVATE, true),
        BindPropagation::Private => (MsFlags::MS_PRIVATE, false),
        BindPropagation::Rslave | BindPropagation::Slave => (MsFlags::empty(), false),
    };
    Attributes { readonly: false, propagation, recursive }.set(&mount).map_err(failed(asked))?;
    Ok(Some(Bind { mount, is_directory: kind == SFlag::S_IFDIR.bits() }))
}

fn failed<E: Into<io::Error>>(asked: &Mount) -> impl FnOnce(E) -> Error {
    Error::io(format!("mount {} for the container", asked.destination.display()))
}

/// Refuses to bind what a link leads to that the kernel makes up in `/proc`: it leads into the files of a process, and what
/// its text says is somewhere else. What isn't there is somebody else's to refuse.
///
/// # Errors
/// There is such a link in the path of the source.
pub fn check_source(source: &Path) -> Result<()> {
    match open_source(source) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => opened.map(drop),
    }
}

/// Opens what is to be bound. Links of the host lead where they say.
pub(crate) fn open_source(source: &Path) -> Result<OwnedFd> {
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    patiently(|| openat2(AT_FDCWD, source, how)).map_err(|errno| match errno {
        Errno::ELOOP => Error::Invalid {
            what: "bind source",
            value: source.display().to_string(),
            reason: "it leads through a link of /proc to the files of a process, or in a circle; \
                     give the path that the files have on the host"
                .to_owned(),
        },
        errno => Error::io(format!("open {} to bind it", source.display()))(errno),
    })
}

/// Where something is to be mounted; made if it isn't there, as root's.
pub(crate) fn place_for(root: &OwnedFd, destination: &Path, is_directory: bool) -> Result<OwnedFd> {
    let action = || format!("make a place for the mount on {}", destination.display());
    let found = match open_in_root(root, destination, OFlag::O_PATH) {
        Err(Errno::ENOENT) => {
            make_place(root, destination, is_directory)?;
            open_in_root(root, destination, OFlag::O_PATH)
        }
        found => found,
    };
    let found = found.map_err(|errno| match errno {
        Errno::ENOENT => led_away(destination, "to where there is nothing"),
        Errno::ELOOP => led_away(destination, CIRCLE),
        errno => Error::io(action())(errno),
    })?;
    check_real_place(root, &found, Path::new(""), destination)?;
    Ok(found)
}

/// Makes what isn't there on the way, wherever links lead within the root: each one is followed here, and what it leads to
/// is made there.
fn make_place(root: &OwnedFd, destination: &Path, is_directory: bool) -> Result<()> {
    let failed = || Error::io(format!("make a place for the mount on {}", destination.display()));
    // As far as it is known to be there, without links; and what is to come, the next first.
    let mut walked = PathBuf::from("/");
    let mut ahead: Vec<OsString> = names(destination).collect();
    ahead.reverse();
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            walked.pop();
            continue;
        }
        let parent = open_in_root(root, &walked, DIRECTORY).map_err(failed())?;
        let name = Path::new(&name);
        let found = fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        let is_link = found.is_ok_and(|found| found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFLNK.bits());
        if !is_link && found != Err(Errno::ENOENT) {
            walked.push(name);
            continue;
        }
        check_real_place(root, &parent, name, destination)?;
        if is_link {
            links += 1;
            if links > LINKS_MAX {
                return Err(led_away(destination, CIRCLE));
            }
            let target = PathBuf::from(readlinkat(&parent, name).map_err(failed())?);
            if target.is_absolute() {
                walked = PathBuf::from("/");
            }
            let mut further: Vec<OsString> = names(&target).collect();
            further.reverse();
            ahead.extend(further);
            continue;
        }
        walked.push(name);
        if !ahead.is_empty() || is_directory {
            mkdirat(&parent, name, Mode::from_bits_truncate(0o755)).map_err(failed())?;
        } else {
            let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
            openat(&parent, name, flags, Mode::from_bits_truncate(0o644)).map_err(failed())?;
        }
        // A process that has its user already makes it as that user's.
        let root_user = (Some(Uid::from_raw(0)), Some(Gid::from_raw(0)));
        fchownat(&parent, name, root_user.0, root_user.1, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(failed())?;
    }
    Ok(())
}

/// The names in a path, and `..`.
fn names(path: &Path) -> impl Iterator<Item = OsString> {
    let is_step = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(is_step).map(|part| part.as_os_str().to_owned())
}

/// Refuses a place that a link leads to, if it is the kernel's. The name is of something in it, if it isn't empty.
fn check_real_place(root: &OwnedFd, place: &OwnedFd, name: &Path, destination: &Path) -> Result<()> {
    let real = path_below(root, place).map_err(Error::io(format!("find out where {} is", destination.display())))?;
    let real = real.join(name);
    let led = KERNEL_DIRECTORIES.iter().any(|kernel| real.starts_with(kernel) && !destination.starts_with(kernel));
    match led {
        true => Err(led_away(destination, &format!("to {}, which is the kernel's", real.display()))),
        false => Ok(()),
    }
}

fn led_away(destination: &Path, whither: &str) -> Error {
    Error::Invalid {
        what: "mount path",
        value: destination.display().to_string(),
        reason: format!("a link in the image or in another mount leads it {whither}; choose another path"),
    }
}

/// The path of an open file as whoever has this root directory sees it.
fn path_below(root: &OwnedFd, file: &OwnedFd) -> io::Result<PathBuf> {
    let path = |fd: &OwnedFd| -> io::Result<PathBuf> {
        Ok(readlinkat(own_proc()?, Path::new(&format!("self/fd/{}", fd.as_raw_fd())))?.into())
    };
    let (root, file) = (path(root)?, path(file)?);
    let below = file.strip_prefix(&root).map_err(|_| io::Error::from(Errno::EXDEV))?;
    Ok(Path::new("/").join(below))
}

/// The `/proc` that this process had when it first asked. One on its way into a container may find another there, which
/// doesn't know it.
pub(crate) fn own_proc() -> io::Result<&'static OwnedFd> {
    static PROC: OnceLock<OwnedFd> = OnceLock::new();
    match PROC.get() {
        Some(proc) => Ok(proc),
        None => {
            let opened = open("/proc", DIRECTORY, Mode::empty())?;
            Ok(PROC.get_or_init(|| opened))
        }
    }
}

/// How what is mounted in a tmpfs spreads, by the option that says so. It is memory of the container's own, of which nobody
/// else has a copy to learn from: as a slave it is private.
pub(crate) fn tmpfs_propagation(option: &str) -> Option<MsFlags> {
    match option {
        "shared" | "rshared" => Some(MsFlags::MS_SHARED),
        "private" | "rprivate" | "slave" | "rslave" => Some(MsFlags::MS_PRIVATE),
        "unbindable" | "runbindable" => Some(MsFlags::MS_UNBINDABLE),
        _ => None,
    }
}

/// Options of a tmpfs as mount(2) takes them: flags, and what is for the file system itself.
fn tmpfs_options(options: &[String]) -> (MsFlags, Vec<String>) {
    let mut flags = MsFlags::empty();
    let mut data = Vec::new();
    for option in options.iter().filter(|option| tmpfs_propagation(option).is_none()) {
        let (flag, sets) = match option.as_str() {
            "noexec" => (MsFlags::MS_NOEXEC, true),
            "exec" => (MsFlags::MS_NOEXEC, false),
            "nosuid" => (MsFlags::MS_NOSUID, true),
            "suid" => (MsFlags::MS_NOSUID, false),
            "nodev" => (MsFlags::MS_NODEV, true),
            "dev" => (MsFlags::MS_NODEV, false),
            "sync" => (MsFlags::MS_SYNCHRONOUS, true),
            "async" => (MsFlags::MS_SYNCHRONOUS, false),
            "noatime" => (MsFlags::MS_NOATIME, true),
            "atime" => (MsFlags::MS_NOATIME, false),
            "nodiratime" => (MsFlags::MS_NODIRATIME, true),
            "diratime" => (MsFlags::MS_NODIRATIME, false),
            "relatime" => (MsFlags::MS_RELATIME, true),
            "strictatime" => (MsFlags::MS_STRICTATIME, true),
            other => {
                data.push(other.to_owned());
                continue;
            }
        };
        flags.set(flag, sets);
    }
    (flags, data)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn options_of_a_tmpfs_are_flags_or_its_own() {
        let words = ["noexec", "nosuid", "nodev", "exec", "uid=7", "rshared", "nr_inodes=9"].map(str::to_owned);
        let (flags, data) = tmpfs_options(&words);
        assert_eq!(flags, MsFlags::MS_NOSUID | MsFlags::MS_NODEV);
        assert_eq!(data, ["uid=7", "nr_inodes=9"]);
    }

    #[test]
    fn no_link_of_proc_is_a_source() {
        for source in ["/proc/self/root", "/proc/self/root/etc", "/proc/self/cwd", "/proc/thread-self/fd/0"] {
            let error = open_source(Path::new(source)).expect_err("refused");
            assert!(error.to_string().starts_with(&format!("invalid bind source {source:?}: it leads")), "{error}");
        }
        open_source(Path::new("/proc/self/status")).expect("no such link is in it");
    }

    #[test]
    fn places_are_made_within_the_root_and_not_where_the_kernel_is() {
        let top = tempfile::tempdir().expect("a directory");
        let (inside, outside) = (top.path().join("root"), top.path().join("outside"));
        for directory in [inside.join("proc"), outside.clone()] {
            fs::create_dir_all(directory).expect("made");
        }
        let links = [
            ("up", "../../../outside"),
            ("at", outside.to_str().expect("text")),
            ("x", "/proc"),
            ("y", "./z/../../proc/new"),
            ("first", "second"),
            ("second", "/new/./third/../file"),
            ("round", "/about"),
            ("about", "round"),
        ];
        for (link, target) in links {
            std::os::unix::fs::symlink(target, inside.join(link)).expect("linked");
        }
        let root = open(&inside, DIRECTORY, Mode::empty()).expect("opened");
        // Where a link leads to is made, within the root.
        for (destination, made) in
            [("/up/a", inside.join("outside/a")), ("/at/b/c", inside.join(&links[1].1[1..]).join("b/c"))]
        {
            place_for(&root, Path::new(destination), true).expect(destination);
            assert!(made.is_dir(), "{destination}");
        }
        place_for(&root, Path::new("/first"), false).expect("made");
        assert!(inside.join("new/file").is_file() && inside.join("first").is_symlink());
        assert_eq!(fs::read_dir(&outside).expect("read").count(), 0);
        let said = place_for(&root, Path::new("/round/a"), true).expect_err("refused").to_string();
        assert!(said.contains("/round/a") && said.contains("leads it in a circle"), "{said}");
        for destination in ["/x", "/x/keys", "/x/new/directory", "/y"] {
            let said = place_for(&root, Path::new(destination), true).expect_err("refused").to_string();
            assert!(said.contains(destination) && said.contains("leads it to /proc"), "{said}");
        }
        assert_eq!(fs::read_dir(inside.join("proc")).expect("read").count(), 0);
        place_for(&root, Path::new("/a/b/c"), false).expect("made");
        assert!(inside.join("a/b/c").is_file());
    }
}
