//! Directories, the network namespace and the socket: what is claimed before anything else, so that one netd works in one
//! place.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write as _},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    },
    path::{Path, PathBuf},
};

use listenfd::ListenFd;
use nix::unistd::Group;
use tokio::net::UnixListener;

use crate::Error;

/// `sun_path` holds 108 bytes with the NUL (unix(7)).
const SOCKET_PATH_BYTES: usize = 107;

/// The directories of one netd, locked for as long as this lives. The kernel drops the locks of a killed process.
#[derive(Debug)]
pub(crate) struct Directories {
    _locks: [File; 2],
}

impl Directories {
    /// Makes and locks both directories.
    pub(crate) fn claim(root: &Path, run_dir: &Path) -> Result<Self, Error> {
        // Others may look up names in the run directory: members of the group connect to the socket in it.
        Ok(Self { _locks: [claim(root, 0o700)?, claim(run_dir, 0o755)?] })
    }
}

fn claim(directory: &Path, mode: u32) -> Result<File, Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(directory)
        .map_err(Error::file("create the directory", directory))?;
    lock(&directory.join("netd.lock"))?.ok_or_else(|| Error::InUse { path: directory.to_owned() })
}

/// A lock on a file, which is made unless it is there; none if another process has it.
fn lock(path: &Path) -> Result<Option<File>, Error> {
    // Whoever may read it may lock it.
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let file = file.map_err(Error::file("create", path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(Error::File { doing: "lock", path: path.to_owned(), source }),
    }
}

/// Where network namespaces are claimed. Not the run directory: another netd has another one, and not the network
/// namespace itself: what can be had there (an abstract socket) can be had by any container with `--network host`.
const CLAIMS: &str = "/run";

/// The network namespace of one netd, for as long as this lives: two would each take the other's rules for damage.
#[derive(Debug)]
pub(crate) struct NetworkNamespace {
    _claim: File,
}

impl NetworkNamespace {
    /// Claims the one that this process is in, by a lock on a file that is called by it. The file stays: who removed it
    /// would let two have a lock each.
    pub(crate) fn claim() -> Result<Self, Error> {
        let namespace =
            fs::metadata("/proc/thread-self/ns/net").map_err(Error::file("look at", "/proc/thread-self/ns/net"))?;
        Self::claim_in(Path::new(CLAIMS), namespace.ino())
    }

    fn claim_in(directory: &Path, namespace: u64) -> Result<Self, Error> {
        let path = directory.join(format!("berth-netns-{namespace}.lock"));
        let Some(mut claim) = lock(&path)? else {
            let holder = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
            let holder = if holder.is_empty() { "just started" } else { holder.trim_end() };
            return Err(Error::NetworkInUse { holder: holder.to_owned(), path });
        };
        let held = claim.set_len(0).and_then(|()| writeln!(claim, "process {}", std::process::id()));
        held.map_err(Error::file("write", &path))?;
        Ok(Self { _claim: claim })
    }
}

/// The socket that a service manager hands in (`LISTEN_FDS`), if one does. To be called before there are threads: it takes
/// the word of it out of the environment.
///
/// # Errors
/// When it isn't one Unix socket.
pub fn inherited() -> Result<Option<std::os::unix::net::UnixListener>, Error> {
    let mut sockets = ListenFd::from_env();
    if sockets.len() > 1 {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "netd serves one; see ListenStream= in netd.socket");
        return Err(Error::file("take", "the sockets that were handed in (LISTEN_FDS)")(source));
    }
    sockets.take_unix_listener(0).map_err(Error::file("take", "the socket that was handed in (LISTEN_FDS)"))
}

/// Serves a socket that was handed in.
pub(crate) fn adopt(listener: std::os::unix::net::UnixListener, path: &Path) -> Result<UnixListener, Error> {
    let adopted = listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
    adopted.map_err(Error::file("serve", path))
}

/// A socket of ours; its file goes when this is dropped.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove the socket");
        }
    }
}

/// Binds the socket with mode 0660 for root and the group, or 0600 where the group doesn't exist. A socket that a
/// killed netd left is replaced: the directories' locks say that nobody serves it.
pub(crate) fn bind(path: &Path, group: &str) -> Result<(UnixListener, SocketFile), Error> {
    // It is made under another name and moved into place: it is never there with a mode that is too wide.
    let hatching = with_suffix(path, ".new");
    if hatching.as_os_str().as_bytes().len() > SOCKET_PATH_BYTES {
        return Err(Error::SocketPathTooLong { path: path.to_owned() });
    }
    if let Ok(metadata) = fs::symlink_metadata(path)
        && !std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type())
    {
        let source = io::Error::new(io::ErrorKind::AlreadyExists, "it exists and is not a socket");
        return Err(Error::File { doing: "bind the socket", path: path.to_owned(), source });
    }
    match fs::remove_file(&hatching) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::file("remove", hatching)(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&hatching).map_err(Error::file("bind the socket", path))?;
    admit(&hatching, group)?;
    fs::rename(&hatching, path).map_err(Error::file("bind the socket", path))?;
    Ok((listener, SocketFile(path.to_owned())))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn admit(path: &Path, group: &str) -> Result<(), Error> {
    let group = Group::from_name(group).map_err(|errno| Error::File {
        doing: "look up the group for",
        path: path.to_owned(),
        source: errno.into(),
    })?;
    let mode = match group {
        Some(group) => {
            chown(path, None, Some(group.gid.as_raw())).map_err(Error::file("set the group of", path))?;
            0o660
        }
        None => 0o600,
    };
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Error::file("set the mode of", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_netd_is_refused_by_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let (root, run_dir) = (directory.path().join("root"), directory.path().join("run"));
        let first = Directories::claim(&root, &run_dir).expect("free directories");
        let lock = fs::metadata(run_dir.join("netd.lock")).expect("the lock");
        assert_eq!(lock.mode() & 0o077, 0, "whoever may read it may lock it");
        let message = Directories::claim(&root, &directory.path().join("other")).expect_err("taken").to_string();
        assert!(message.contains(root.to_str().expect("UTF-8")), "{message}");
        drop(first);
        Directories::claim(&root, &run_dir).expect("free again");
    }

    #[test]
    fn a_network_namespace_has_one_netd_and_its_claim_is_closed_to_others() {
        let directory = tempfile::tempdir().expect("a directory");
        let first = NetworkNamespace::claim_in(directory.path(), 7).expect("free");
        let lock = fs::metadata(directory.path().join("berth-netns-7.lock")).expect("the lock");
        assert_eq!(lock.mode() & 0o077, 0, "whoever may read it may lock it");
        let message = NetworkNamespace::claim_in(directory.path(), 7).expect_err("taken").to_string();
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
        NetworkNamespace::claim_in(directory.path(), 8).expect("another one is free");
        drop(first);
        NetworkNamespace::claim_in(directory.path(), 7).expect("free again");
    }

    #[tokio::test]
    async fn the_socket_replaces_a_stale_one_and_is_closed_to_others() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("netd.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a stale socket"));
        let (_listener, file) = bind(&path, "root").expect("a socket");
        let metadata = fs::metadata(&path).expect("the socket");
        assert_eq!((metadata.mode() & 0o777, metadata.gid()), (0o660, 0));
        tokio::net::UnixStream::connect(&path).await.expect("a connection");
        drop(file);
        assert!(!path.exists());
        let (_listener, _file) = bind(&path, "no-such-group-anywhere").expect("a socket");
        assert_eq!(fs::metadata(&path).expect("the socket").mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_file_in_the_way_or_a_long_path_is_refused_by_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("netd.sock");
        fs::write(&path, "mine").expect("a file");
        let message = bind(&path, "root").expect_err("a file is in the way").chain();
        assert!(message.contains("netd.sock") && message.contains("not a socket"), "{message}");
        assert_eq!(fs::read_to_string(&path).expect("the file"), "mine");
        let message = bind(&directory.path().join("x".repeat(108)), "root").expect_err("too long").to_string();
        assert!(message.contains("at most 107 bytes"), "{message}");
    }
}
