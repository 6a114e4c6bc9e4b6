//! Who `--user` means, by the container's own `/etc/passwd` and `/etc/group`.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::path::Path;

use nix::fcntl::OFlag;
use users::Unreadable;
/// A user in numbers.
pub(crate) use users::User as ResolvedUser;

use crate::in_root::open_in_root;
use crate::spec::UserSpec;
use crate::{Error, Result};

/// Looks a user up in the files of a root filesystem. Links in it are followed as the container would see them, so none
/// leads out.
pub(crate) fn resolve_in(rootfs: &Path, user: &UserSpec) -> Result<ResolvedUser> {
    resolve_at(File::open(rootfs).map_err(Error::io(format!("open {}", rootfs.display())))?, user)
}

/// As [`resolve_in`], by the descriptor of the root directory.
pub(crate) fn resolve_at(root: impl AsFd, user: &UserSpec) -> Result<ResolvedUser> {
    let start = |message: String| Error::Start { message, exit_code: 125 };
    let read = |path: &str| match read_within(&root, Path::new(path)) {
        Ok(text) => Ok(text),
        Err(Unreadable::Io(error)) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(String::new())
        }
        Err(error) => Err(start(format!("can't read the container's /{path}: {error}"))),
    };
    let (passwd, group) = (read(users::PASSWD)?, read(users::GROUP)?);
    users::find(&user.user, &user.additional_groups, &passwd, &group).map_err(|error| start(error.to_string()))
}

fn read_within(root: impl AsFd, path: &Path) -> std::result::Result<String, Unreadable> {
    // O_NONBLOCK: the image may have put a FIFO there.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = File::from(open_in_root(root, path, flags).map_err(io::Error::from)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::NotFound, "not a regular file").into());
    }
    users::read(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eve() -> UserSpec {
        UserSpec { user: "eve".to_owned(), additional_groups: Vec::new() }
    }

    #[test]
    fn links_do_not_lead_out_of_the_root_filesystem() {
        let outside = tempfile::tempdir().expect("temporary directory");
        std::fs::write(outside.path().join("passwd"), "eve:x:666:666::/:\n").expect("written");
        let rootfs = tempfile::tempdir().expect("temporary directory");
        std::os::unix::fs::symlink(outside.path(), rootfs.path().join("etc")).expect("linked");
        let error = resolve_in(rootfs.path(), &eve()).expect_err("not found within");
        assert_eq!(error.to_string(), "unable to find user eve: no matching entries in passwd file");
    }

    #[test]
    fn a_file_without_an_end_is_refused() {
        let rootfs = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir(rootfs.path().join("etc")).expect("made");
        let passwd = File::create(rootfs.path().join("etc/passwd")).expect("made");
        passwd.set_len(1 << 40).expect("a sparse file");
        let error = resolve_in(rootfs.path(), &eve()).expect_err("too large");
        assert_eq!(
            error.to_string(),
            "can't read the container's /etc/passwd: it is larger than 16 MiB, which no file of users is"
        );
        assert_eq!(error.exit_code(), 125);
    }
}
