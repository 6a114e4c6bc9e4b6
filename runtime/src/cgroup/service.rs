//! Cgroups for processes that outlive the service that berthd is: a service manager that stops it ends whatever is in its cgroup.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::layout::mount_table;
use crate::{Error, Result};

/// Where shims, monitors and netd are, below the parent of the containers; no id begins with an underscore.
const LEAF: &str = "_daemons";

/// Moves a process out of the service that the caller belongs to, so that it outlives that; `parent` is the cgroup below
/// which those of containers are made. Does nothing when the caller belongs to no service.
pub fn leave_service(pid: i32, parent: &Path) -> Result<()> {
    DaemonCgroups::from_own_service(parent)?.move_in(pid)
}

/// The cgroups to go to, one in each hierarchy by which a service manager knows its services' processes: cgroup v2, and
/// v1's `name=systemd`. Limits that the service has on v1 are left with it; those of a container are its cgroup's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DaemonCgroups(Vec<PathBuf>);

impl DaemonCgroups {
    /// Where the calling process has to go. Nowhere when it belongs to no service.
    pub(crate) fn from_own_service(parent: &Path) -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).map_err(Error::io(format!("read {path}")));
        Ok(Self::of(&read("/proc/self/cgroup")?, mount_table()?, parent))
    }

    fn of(own_cgroups: &str, mountinfo: &str, parent: &Path) -> Self {
        let leaf = parent.strip_prefix("/").unwrap_or(parent).join(LEAF);
        let tracked = own_cgroups.lines().filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (tree, path) = rest.split_once(':')?;
            let path = Path::new(path.strip_prefix('/')?);
            let tracks = matches!(tree, "" | "name=systemd");
            // In the root nobody owns it, and where we sent an earlier shim it is right already.
            (tracks && path != Path::new("") && path != leaf).then_some(tree)
        });
        let roots = tracked.filter_map(|tree| root_of(tree, mountinfo));
        Self(roots.map(|root| root.join(&leaf)).collect())
    }

    /// Moves a process there; that it has ended meanwhile is fine.
    pub(crate) fn move_in(&self, pid: i32) -> Result<()> {
        for directory in &self.0 {
            fs::create_dir_all(directory).map_err(Error::io(format!("make cgroup {}", directory.display())))?;
            match fs::write(directory.join("cgroup.procs"), pid.to_string()) {
                Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => {}
                // The service manager's hierarchy can be another's, mounted for reading only; then it isn't ours to leave.
                Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => {}
                moved => moved.map_err(Error::io(format!("move process {pid} to cgroup {}", directory.display())))?,
            }
        }
        Ok(())
    }
}

/// Where a hierarchy's root is mounted.
fn root_of(tree: &str, mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, mount) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let (kind, options) = (after.next()?, after.nth(1)?);
        let is_it = match tree {
            "" => kind == "cgroup2",
            name => kind == "cgroup" && options.split(',').any(|option| option == name),
        };
        (is_it && root == "/").then(|| mount.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "26 25 0:23 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw\n\
                          27 25 0:24 / /sys/fs/cgroup/systemd rw shared:5 - cgroup cgroup rw,xattr,name=systemd\n\
                          28 25 0:25 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

    #[test]
    fn only_what_tracks_a_service_is_left() {
        let table: [(&str, &[&str]); 5] = [
            ("3:memory:/\n1:name=systemd:/\n0::/\n", &[]),
            (
                "3:memory:/system.slice/berthd.service\n1:name=systemd:/system.slice/berthd.service\n\
                 0::/system.slice/berthd.service\n",
                &["/sys/fs/cgroup/systemd/berth/_daemons", "/sys/fs/cgroup/unified/berth/_daemons"],
            ),
            ("3:memory:/other\n0::/\n", &[]),
            ("0::/berth/_daemons\n", &[]),
            ("2:name=elogind:/1\n0::/user.slice\n", &["/sys/fs/cgroup/unified/berth/_daemons"]),
        ];
        for (own, expected) in table {
            let expected = DaemonCgroups(expected.iter().map(PathBuf::from).collect());
            assert_eq!(DaemonCgroups::of(own, HYBRID, Path::new("/berth")), expected, "{own}");
        }
    }
}
