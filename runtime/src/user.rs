//! Who `--user` means, by the container's own `/etc/passwd` and `/etc/group`.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::AsFd;
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use crate::spec::UserSpec;
use crate::{Error, Result};

/// A file of users that is larger than this is not one.
const LARGEST_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// A user in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResolvedUser {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) additional_gids: Vec<u32>,
    pub(crate) home: String,
}

/// Looks a user up in the files of a root filesystem. Links in it are followed as the container would see them, so none
/// leads out.
pub(crate) fn resolve_in(rootfs: &Path, user: &UserSpec) -> Result<ResolvedUser> {
    resolve_at(File::open(rootfs).map_err(Error::io(format!("open {}", rootfs.display())))?, user)
}

/// As [`resolve_in`], by the descriptor of the root directory.
pub(crate) fn resolve_at(root: impl AsFd, user: &UserSpec) -> Result<ResolvedUser> {
    let read = |path: &str| match read_within(&root, Path::new(path)) {
        Ok(text) => Ok(text),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(String::new()),
        Err(error) => Err(Error::io(format!("read the container's /{path}"))(error)),
    };
    resolve(user, &read("etc/passwd")?, &read("etc/group")?)
}

fn read_within(root: impl AsFd, path: &Path) -> io::Result<String> {
    // O_NONBLOCK: the image may have put a FIFO there.
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = File::from(openat2(root, path, how)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::NotFound, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

struct Passwd<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> Passwd<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.trim().split(':');
        let name = fields.next()?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Self { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
    }
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl<'a> Group<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.trim().split(':');
        let name = fields.next()?;
        Some(Self { name, gid: fields.nth(1)?.parse().ok()?, members: fields.next().unwrap_or_default() })
    }
}

fn resolve(user: &UserSpec, passwd: &str, group: &str) -> Result<ResolvedUser> {
    let (name, group_name) = match user.user.split_once(':') {
        Some((name, group)) => (name, Some(group).filter(|group| !group.is_empty())),
        None => (user.user.as_str(), None),
    };
    let number = parse_id(name)?;
    let groups: Vec<Group<'_>> = group.lines().filter_map(Group::parse).collect();
    let entry = passwd.lines().filter_map(Passwd::parse).find(|entry| match (name, number) {
        ("", _) => entry.uid == 0,
        (_, Some(uid)) => entry.uid == uid || entry.name == name,
        (_, None) => entry.name == name,
    });
    let uid = match (&entry, name, number) {
        (Some(entry), ..) => entry.uid,
        (None, "", _) => 0,
        (None, _, Some(uid)) => uid,
        (None, _, None) => return Err(unknown("user", name, "passwd")),
    };
    let gid = match group_name {
        Some(group) => find_group(group, &groups)?,
        None => entry.as_ref().map_or(0, |entry| entry.gid),
    };
    // With its main group: a setgid program would else be a way to shed that, and whatever denies the group access
    // with it (CVE-2022-36109).
    let mut additional_gids = vec![gid];
    // A group that is named is meant alone, as with Docker.
    if let (Some(entry), None) = (&entry, group_name) {
        let member = |group: &&Group<'_>| group.members.split(',').any(|member| member == entry.name);
        additional_gids.extend(groups.iter().filter(member).map(|group| group.gid));
    }
    for group in &user.additional_groups {
        additional_gids.push(find_group(group, &groups)?);
    }
    additional_gids.sort_unstable();
    additional_gids.dedup();
    let home = entry.map(|entry| entry.home).filter(|home| !home.is_empty());
    let home = home.unwrap_or(if uid == 0 { "/root" } else { "/" }).to_owned();
    Ok(ResolvedUser { uid, gid, additional_gids, home })
}

fn find_group(name: &str, groups: &[Group<'_>]) -> Result<u32> {
    let number = parse_id(name)?;
    groups
        .iter()
        .find(|group| group.name == name)
        .map(|group| group.gid)
        .or(number)
        .ok_or_else(|| unknown("group", name, "group"))
}

/// A number in the range of ids, or none when it is a name.
fn parse_id(text: &str) -> Result<Option<u32>> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(id) if i32::try_from(id).is_ok() => Ok(Some(id)),
        _ => Err(Error::Start {
            message: format!("uids and gids must be in range 0-{}: {text} is not", i32::MAX),
            exit_code: 125,
        }),
    }
}

fn unknown(what: &str, name: &str, file: &str) -> Error {
    Error::Start {
        message: format!("unable to find {what} {name}: no matching entries in {file} file"),
        exit_code: 125,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# a comment\nalice:x:1000:100:Alice:/home/alice:/bin/sh\n\
                          bob:x:1001:1001::\n7:x:700:700::/seven:\nbroken:x:y\n";
    const GROUP: &str = "root:x:0:\nusers:x:100:bob\nwheel:x:10:alice,bob\nnumeric:x:5:\n";

    fn lookup(user: &str, additional: &[&str]) -> Result<ResolvedUser> {
        let additional_groups = additional.iter().map(|&group| group.to_owned()).collect();
        resolve(&UserSpec { user: user.to_owned(), additional_groups }, PASSWD, GROUP)
    }

    #[test]
    fn users_are_found_as_docker_finds_them() {
        type Row = (&'static str, &'static [&'static str], (u32, u32, &'static [u32], &'static str));
        let table: &[Row] = &[
            ("", &[], (0, 0, &[0], "/root")),
            ("root", &["wheel"], (0, 0, &[0, 10], "/root")),
            ("alice", &[], (1000, 100, &[10, 100], "/home/alice")),
            ("1000", &[], (1000, 100, &[10, 100], "/home/alice")),
            ("alice:wheel", &[], (1000, 10, &[10], "/home/alice")),
            ("alice:55", &["5", "users"], (1000, 55, &[5, 55, 100], "/home/alice")),
            ("bob", &["10"], (1001, 1001, &[10, 100, 1001], "/")),
            ("4711", &[], (4711, 0, &[0], "/")),
            ("4711:4712", &[], (4711, 4712, &[4712], "/")),
            ("7", &[], (700, 700, &[700], "/seven")),
            (":users", &[], (0, 100, &[100], "/root")),
        ];
        for (user, additional, (uid, gid, additional_gids, home)) in table {
            let found = lookup(user, additional).unwrap_or_else(|error| panic!("{user}: {error}"));
            let expected = ResolvedUser {
                uid: *uid,
                gid: *gid,
                additional_gids: additional_gids.to_vec(),
                home: (*home).to_owned(),
            };
            assert_eq!(found, expected, "{user}");
        }
    }

    #[test]
    fn who_isn_t_there_is_named() {
        let table = [
            ("carol", "unable to find user carol: no matching entries in passwd file"),
            ("alice:staff", "unable to find group staff: no matching entries in group file"),
            ("4294967295", "uids and gids must be in range 0-2147483647: 4294967295 is not"),
        ];
        for (user, message) in table {
            assert_eq!(lookup(user, &[]).expect_err("unknown").to_string(), message);
        }
    }

    #[test]
    fn links_do_not_lead_out_of_the_root_filesystem() {
        let outside = tempfile::tempdir().expect("temporary directory");
        std::fs::write(outside.path().join("passwd"), "eve:x:666:666::/:\n").expect("written");
        let rootfs = tempfile::tempdir().expect("temporary directory");
        std::os::unix::fs::symlink(outside.path(), rootfs.path().join("etc")).expect("linked");
        let eve = UserSpec { user: "eve".to_owned(), additional_groups: Vec::new() };
        let error = resolve_in(rootfs.path(), &eve).expect_err("not found within");
        assert_eq!(error.to_string(), "unable to find user eve: no matching entries in passwd file");
    }
}
