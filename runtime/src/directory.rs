//! What is where in the directory of a container or exec, and how its files are stored: as JSON with a version, put in
//! place in one step, so that a reader never sees half a file.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The version of the files that this release writes.
const VERSION: u32 = 1;

/// The directory of a container or an exec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory(PathBuf);

/// A file in it that is stored as versioned JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    /// [`crate::ContainerSpec`] or [`crate::ExecSpec`].
    Spec,
    /// [`crate::Started`], there once the process runs.
    Started,
    /// [`crate::Exit`], there once it has ended.
    Exit,
}

impl File {
    fn name(self) -> &'static str {
        match self {
            Self::Spec => "spec.json",
            Self::Started => "started.json",
            Self::Exit => "exit.json",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Stored<T> {
    v: u32,
    #[serde(flatten)]
    content: T,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

impl Directory {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes it, for root only.
    pub(crate) fn create(&self) -> io::Result<()> {
        std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700).create(&self.0)
    }

    pub(crate) fn exists(&self) -> bool {
        self.0.is_dir()
    }

    /// Where the shim mounts the root filesystem, in its own mount namespace: at the same place for all containers,
    /// because removing a directory that is a mount point elsewhere makes the kernel take that mount down first. The name
    /// is no id.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.0.with_file_name(".rootfs")
    }

    /// The filter of system calls, compiled.
    pub(crate) fn filter(&self) -> PathBuf {
        self.0.join("seccomp.bpf")
    }

    /// libcontainer's own state.
    pub(crate) fn libcontainer(&self) -> PathBuf {
        self.0.join("libcontainer")
    }

    /// The OCI runtime configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("config.json")
    }

    /// The lock that the shim, and then the monitor, holds for as long as it lives.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// The directory of an exec in this container.
    pub(crate) fn exec(&self, id: &str) -> Self {
        Self(self.execs().join(id))
    }

    /// The directories of all execs.
    pub(crate) fn execs(&self) -> PathBuf {
        self.0.join("execs")
    }

    /// Stores a file.
    pub(crate) fn write<T: Serialize>(&self, file: File, content: &T) -> Result<()> {
        let path = self.0.join(file.name());
        let json = serde_json::to_vec(&Stored { v: VERSION, content })
            .expect("what is stored has string keys only, which JSON can hold");
        replace(&path, &json).map_err(Error::io(format!("write {}", path.display())))
    }

    /// Reads a file; `None` when it isn't there.
    pub(crate) fn read<T: DeserializeOwned>(&self, file: File) -> Result<Option<T>> {
        let path = self.0.join(file.name());
        let json = match fs::read(&path) {
            Ok(json) => json,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(Error::io(format!("read {}", path.display()))(error)),
        };
        let damaged = |error: serde_json::Error| Error::Stored { path: path.clone(), reason: error.to_string() };
        let Version { v } = serde_json::from_slice(&json).map_err(damaged)?;
        if v != VERSION {
            let reason = format!("it has version {v}, and this release reads version {VERSION}");
            return Err(Error::Stored { path, reason });
        }
        let Stored { content, .. } = serde_json::from_slice(&json).map_err(damaged)?;
        Ok(Some(content))
    }

    /// Makes the monitor's socket.
    pub(crate) fn listen(&self) -> io::Result<UnixListener> {
        let (_open, path) = self.socket()?;
        UnixListener::bind(path)
    }

    /// Connects to the monitor's socket.
    pub(crate) fn connect(&self) -> io::Result<UnixStream> {
        let (_open, path) = self.socket()?;
        UnixStream::connect(path)
    }

    /// The socket's path by way of an open directory: the kernel takes at most 107 bytes, and directories may be deep.
    fn socket(&self) -> io::Result<(fs::File, PathBuf)> {
        let open = fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(&self.0)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/monitor.sock", open.as_raw_fd()));
        Ok((open, path))
    }

    /// Removes it with all that is in it.
    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.0) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io(format!("remove {}", self.0.display()))(error)),
        }
    }
}

/// Puts a file in place in one step. Nothing is synced: after a power cut, the containers are gone as well.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    fs::write(&temporary, content)?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Started;

    #[test]
    fn files_are_versioned_and_whole() {
        let temporary = tempfile::tempdir().expect("temporary directory");
        let directory = Directory::new(temporary.path().join("c"));
        assert_eq!(directory.read::<Started>(File::Started).expect("absent"), None);
        directory.create().expect("made");
        let started = Started { pid: 7, at: jiff::Timestamp::UNIX_EPOCH };
        directory.write(File::Started, &started).expect("written");
        assert_eq!(directory.read(File::Started).expect("read"), Some(started));

        let path = directory.path().join("started.json");
        for (text, complaint) in [("{\"v\":2}", "version 2"), ("{\"v\":1,", "EOF")] {
            fs::write(&path, text).expect("overwritten");
            let error = directory.read::<Started>(File::Started).expect_err("refused");
            assert!(error.to_string().contains(complaint), "{error}");
        }
    }

    #[test]
    fn sockets_work_however_deep_the_directory() {
        let temporary = tempfile::tempdir().expect("temporary directory");
        let directory = Directory::new(temporary.path().join("x".repeat(150)));
        directory.create().expect("made");
        let listener = directory.listen().expect("listens");
        directory.connect().expect("connects");
        listener.accept().expect("accepted");
    }
}
