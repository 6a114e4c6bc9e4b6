//! A program that enters containers, as a file that nobody can change: not even root, through `/proc/PID/exe`.
//!
//! What runs in a container may execute, open and keep the program that entered it; were that the file on the host's disk,
//! it could write to it once nobody runs it, and the next container's start would run what it wrote (CVE-2019-5736). So
//! the program is copied, once, into a file system in memory that is then made read-only and mounted nowhere. Compared
//! with a sealed memfd, nobody can change its mode, its owner or its attributes either (before Linux 6.3 a memfd can't be
//! sealed against that, and a program without a mode to execute ends every further start), and `vm.memfd_noexec` doesn't
//! count.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, fsconfig_create, fsconfig_reconfigure, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, fspick,
};

use crate::{Error, Result};

/// The copy, for as long as this lives and then for as long as it runs.
#[derive(Debug)]
pub(crate) struct SealedProgram {
    mount: OwnedFd,
    name: String,
}

impl SealedProgram {
    /// Copies a program.
    pub(crate) fn copy(program: &Path) -> Result<Self> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let action = || format!("copy {} to where nobody can change it", program.display());
        let mount = File::open(program).and_then(|mut file| sealed(&mut file, &name)).map_err(Error::io(action()))?;
        Ok(Self { mount, name })
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A path that leads to it in this process and in what it forks, until that executes something.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{}", self.mount.as_raw_fd(), self.name))
    }
}

/// A file system with this one file, as a mount that is nowhere.
fn sealed(content: &mut File, name: &str) -> io::Result<OwnedFd> {
    let memory = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&memory, "mode", "0700")?;
    fsconfig_create(&memory)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let mount = fsmount(&memory, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut copy = File::from(openat(&mount, name, flags, Mode::RUSR | Mode::XUSR)?);
    io::copy(content, &mut copy)?;
    // A file that is open for writing can't be executed, and keeps its file system writable.
    drop(copy);
    // The file system, not the mount: whoever may mount could make another mount of it.
    let again = fspick(&mount, "", FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH)?;
    fsconfig_set_flag(&again, "ro")?;
    fsconfig_reconfigure(&again)?;
    Ok(mount)
}

#[cfg(test)]
mod tests {
    use std::fs::{OpenOptions, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_runs_from_it_can_be_read_and_not_changed() {
        assert!(nix::unistd::geteuid().is_root(), "these tests mount: run them as root (scripts/test)");
        let sealed = SealedProgram::copy(Path::new("/bin/cat")).expect("copied");
        let mut running = Command::new(sealed.path()).stdin(Stdio::piped()).spawn().expect("it runs");
        let program = PathBuf::from(format!("/proc/{}/exe", running.id()));
        assert_eq!(std::fs::read(&program).expect("readable"), std::fs::read("/bin/cat").expect("readable"));
        let opened = File::open(&program).expect("readable");
        drop(running.stdin.take());
        assert!(running.wait().expect("its end").success());

        // Nobody runs it now, and whoever has it open is root.
        let kept = format!("/proc/self/fd/{}", opened.as_raw_fd());
        let refused = [
            OpenOptions::new().write(true).open(&kept).map(drop),
            OpenOptions::new().append(true).open(sealed.path()).map(drop),
            std::fs::set_permissions(&kept, Permissions::from_mode(0o000)),
            chown(&kept, Some(1), Some(1)),
            std::fs::remove_file(sealed.path()),
            std::fs::write(sealed.path().with_file_name("another"), "x"),
        ];
        for attempt in refused {
            let error = attempt.expect_err("it can't be changed");
            assert_eq!(error.raw_os_error(), Some(libc::EROFS), "{error}");
        }
        let again = Command::new(sealed.path()).stdin(Stdio::null()).status().expect("it still runs");
        assert!(again.success());
    }
}
