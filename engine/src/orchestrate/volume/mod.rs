//! Volumes: made with the containers that name them or by themselves, mounted and filled when one starts, removed.

mod fill;
mod mount;
mod obtain;
mod plugin;
pub(crate) mod plugin_volumes;
mod recover;
mod remove;
mod size;

pub(crate) use mount::{mount_all, release, unbind_subpaths};
pub(crate) use obtain::{create, obtain};
pub(crate) use plugin::ask;
pub(crate) use recover::{know, load, sweep};
pub(crate) use remove::{leave, remove};
pub(crate) use size::{size, usage};

use std::path::Path;

use nix::mount::{MntFlags, umount2};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

use crate::error::{Error, Result};

/// Whether something is mounted there.
fn is_mounted(path: &Path) -> Result<bool> {
    match statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, StatxFlags::empty()) {
        Ok(found) => Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(errno) => Err(Error::io(format!("looking at {}", path.display()))(errno.into())),
    }
}

/// Takes away whatever is mounted there, however often.
fn unmount(path: &Path) -> Result<()> {
    while is_mounted(path)? {
        umount2(path, MntFlags::UMOUNT_NOFOLLOW)
            .map_err(|errno| Error::io(format!("unmounting {}", path.display()))(errno.into()))?;
    }
    Ok(())
}
