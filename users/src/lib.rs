//! Looks up users and groups, by the `/etc/passwd` and `/etc/group` of an image or a container: for
//! `--user`, `USER`, `--group-add`, `--chown` and copies, so that all of them mean the same by it.
//!
//! The files come from strangers. What isn't a line of them is passed over, and what is a number in the text is never
//! looked up as a name: an image that calls somebody `1000` and gives that one uid 0 would else have whoever asks for
//! 1000 be root (CVE-2016-3697).
#![forbid(unsafe_code)]

mod files;
#[cfg(test)]
mod tests;

use files::{Group, Passwd};
pub use files::{Unreadable, read};

/// The largest uid or gid. Beyond it, some callers of the kernel take a number for a negative one, and -1 tells the kernel
/// to leave an id as it is, which is root's (CVE-2024-40635).
pub const LARGEST_ID: u32 = i32::MAX.unsigned_abs();

/// Where the files are, from the root directory.
pub const PASSWD: &str = "etc/passwd";
/// See [`PASSWD`].
pub const GROUP: &str = "etc/group";

const ROOT: &str = "root";

/// Nobody can be meant by a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number that no id can have, in the text or in what it leads to.
    #[error("uids and gids must be in range 0-{LARGEST_ID}: {0} is not")]
    OutOfRange(String),
    /// No such name.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    UnknownUser(String),
    /// No such name.
    #[error("unable to find group {0}: no matching entries in group file")]
    UnknownGroup(String),
}

/// A user in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The main group.
    pub gid: u32,
    /// All groups, sorted, the main one among them: a setgid program would else be a way to shed it, and whatever denies
    /// the group access with it (CVE-2022-36109).
    pub additional_gids: Vec<u32>,
    /// The home directory.
    pub home: String,
}

/// A user or a group as text means it.
enum Named<'a> {
    Id(u32),
    Name(&'a str),
}

impl<'a> Named<'a> {
    fn parse(text: &'a str) -> Result<Self, Error> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Name(text));
        }
        // A sign doesn't make a name of a number.
        text.parse().map_err(|_| Error::OutOfRange(text.to_owned())).and_then(in_range).map(Self::Id)
    }
}

fn in_range(id: u32) -> Result<u32, Error> {
    if id <= LARGEST_ID { Ok(id) } else { Err(Error::OutOfRange(id.to_string())) }
}

/// `user` and `user:group`; a group that is left empty is none.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    }
}

/// The user that `user[:group]` means, each by name or number, with further groups. Without a user it is root; a number
/// that the files don't have is itself, in group 0.
///
/// # Errors
/// A name isn't there, or a number is out of range.
pub fn find(text: &str, further_groups: &[String], passwd: &str, group: &str) -> Result<User, Error> {
    let (user, group_text) = split(text);
    let groups: Vec<Group<'_>> = Group::all(group).collect();
    let (uid, entry) = match Named::parse(user)? {
        Named::Name("") => (0, Passwd::all(passwd).find(|entry| entry.uid == 0)),
        Named::Id(uid) => (uid, Passwd::all(passwd).find(|entry| entry.uid == uid)),
        Named::Name(name) => {
            let entry = find_user(name, passwd)?;
            (entry.uid, Some(entry))
        }
    };
    let gid = match (group_text, &entry) {
        (Some(text), _) => find_group(text, &groups)?,
        (None, entry) => entry.as_ref().map_or(0, |entry| entry.gid),
    };
    let mut additional_gids = vec![gid];
    // A group that is named is meant alone, as with Docker.
    if let (Some(entry), None) = (&entry, group_text) {
        additional_gids.extend(groups.iter().filter(|group| group.has(entry.name)).map(|group| group.gid));
    }
    for text in further_groups {
        additional_gids.push(find_group(text, &groups)?);
    }
    additional_gids.sort_unstable();
    additional_gids.dedup();
    if let Some(&largest) = additional_gids.last() {
        in_range(largest)?;
    }
    let home = entry.map(|entry| entry.home).filter(|home| !home.is_empty());
    let home = home.unwrap_or(if uid == 0 { "/root" } else { "/" }).to_owned();
    Ok(User { uid: in_range(uid)?, gid, additional_gids, home })
}

/// Whose the copies of `--chown=user[:group]` are. A number without a group stands for both, a name brings its main group,
/// also where it is given as a group and none is called so. Root is root where nothing says who is, as it is without a user.
/// `text_of` gives [`PASSWD`] or [`GROUP`], and is asked for what is needed only.
///
/// # Errors
/// As with [`find`], and what `text_of` fails with.
pub fn owner<E: From<Error>>(text: &str, text_of: impl Fn(&str) -> Result<String, E>) -> Result<(u32, u32), E> {
    let (user, group) = split(text);
    let (uid, own_gid) = match Named::parse(user)? {
        Named::Id(uid) => (uid, uid),
        Named::Name("") if group.is_some() => (0, 0),
        Named::Name(name) => match find_user(name, &text_of(PASSWD)?) {
            Ok(entry) => (entry.uid, entry.gid),
            Err(_) if name == ROOT => (0, 0),
            Err(error) => return Err(error.into()),
        },
    };
    let gid = match group.map(Named::parse).transpose()? {
        None => own_gid,
        Some(Named::Id(gid)) => gid,
        Some(Named::Name(name)) => match find_group(name, &Group::all(&text_of(GROUP)?).collect::<Vec<_>>()) {
            Ok(gid) => gid,
            Err(_) if name == ROOT => 0,
            Err(_) if name == user => own_gid,
            Err(error) => return Err(error.into()),
        },
    };
    Ok((in_range(uid)?, in_range(gid)?))
}

fn find_user<'a>(name: &str, passwd: &'a str) -> Result<Passwd<'a>, Error> {
    Passwd::all(passwd).find(|entry| entry.name == name).ok_or_else(|| Error::UnknownUser(name.to_owned()))
}

fn find_group(text: &str, groups: &[Group<'_>]) -> Result<u32, Error> {
    match Named::parse(text)? {
        Named::Id(gid) => Ok(gid),
        Named::Name(name) => {
            let found = groups.iter().find(|group| group.name == name).map(|group| group.gid);
            found.ok_or_else(|| Error::UnknownGroup(name.to_owned()))
        }
    }
}
