//! Paths and file kinds of `cp` in Docker's words.

use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use images::files::FileStat;
use nix::libc;

use crate::error::{Error, Result};
use crate::wire::archive::PathStat;

/// Go's `os.FileMode` has bits of its own for what isn't a permission.
const GO_KINDS: [(u32, u32); 6] = [
    (libc::S_IFDIR, 1 << 31),
    (libc::S_IFLNK, 1 << 27),
    (libc::S_IFBLK, 1 << 26),
    (libc::S_IFCHR, 1 << 26 | 1 << 21),
    (libc::S_IFIFO, 1 << 25),
    (libc::S_IFSOCK, 1 << 24),
];
const GO_SPECIAL: [(u32, u32); 3] = [(libc::S_ISUID, 1 << 23), (libc::S_ISGID, 1 << 22), (libc::S_ISVTX, 1 << 20)];

/// A path of a request, from the root. `..` is resolved in the text, as Docker does; a slash or `/.` at the end stays, since
/// what a link leads to is meant then.
pub(crate) fn path(text: &str) -> Result<PathBuf> {
    if text.is_empty() {
        return Err(Error::invalid("bad parameter: path cannot be empty"));
    }
    if text.contains('\0') {
        return Err(Error::invalid(format!("bad parameter: {text:?} has a NUL byte in it and is no path")));
    }
    let mut path = PathBuf::from("/");
    for component in Path::new(text).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => {
                path.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let root = path == Path::new("/");
    let mut path = path.into_os_string();
    if text.ends_with("/.") || text == "." {
        path.push(if root { "." } else { "/." });
    } else if text.ends_with('/') && !root {
        path.push("/");
    }
    Ok(path.into())
}

/// The value of `X-Docker-Container-Path-Stat`.
pub(crate) fn stat_header(stat: &FileStat) -> String {
    let stat = PathStat {
        name: stat.name.to_string_lossy().into_owned(),
        size: stat.size_bytes,
        mode: go_mode(stat.mode),
        mtime: stat.modified.to_string(),
        link_target: stat.link_target.as_deref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default(),
    };
    STANDARD.encode(serde_json::to_vec(&stat).expect("texts and numbers"))
}

fn go_mode(mode: u32) -> u32 {
    let kind = GO_KINDS.iter().find(|(kind, _)| mode & libc::S_IFMT == *kind).map_or(0, |(_, bits)| *bits);
    let special = GO_SPECIAL.iter().filter(|(bit, _)| mode & bit != 0).fold(0, |all, (_, bits)| all | bits);
    kind | special | (mode & 0o777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_from_the_root_and_keep_their_end() {
        let table = [
            ("etc/passwd", "/etc/passwd"),
            ("/a/../../b", "/b"),
            ("/a/", "/a/"),
            ("/a/.", "/a/."),
            ("/a/./b", "/a/b"),
            ("/", "/"),
            (".", "/."),
            ("/.", "/."),
            ("..", "/"),
        ];
        for (text, expected) in table {
            assert_eq!(path(text).unwrap().as_os_str(), expected, "{text}");
        }
        assert_eq!(path("").unwrap_err().message(), "bad parameter: path cannot be empty");
    }

    #[test]
    fn modes_are_go_s() {
        let table = [
            (0o100644, 0o644),
            (0o104755, 1 << 23 | 0o755),
            (0o041777, 1 << 31 | 1 << 20 | 0o777),
            (0o120777, 1 << 27 | 0o777),
            (0o020666, 1 << 26 | 1 << 21 | 0o666),
            (0o140755, 1 << 24 | 0o755),
        ];
        for (mode, expected) in table {
            assert_eq!(go_mode(mode), expected, "{mode:o}");
        }
    }
}
