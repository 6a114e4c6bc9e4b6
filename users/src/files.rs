//! Lines of `/etc/passwd` and `/etc/group`.

use std::io::{self, Read};

/// A file of users that is larger than this is not one.
const LARGEST_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// A file that can't be read as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It goes on and on.
    #[error("it is larger than {} MiB, which no file of users is", LARGEST_FILE_BYTES >> 20)]
    TooLarge,
    /// The system's refusal.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The text of a file of users. What isn't UTF-8 in it belongs to no name that anybody can ask for.
///
/// # Errors
/// It is too large, or can't be read.
pub fn read(file: impl Read) -> Result<String, Unreadable> {
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE_BYTES {
        return Err(Unreadable::TooLarge);
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// The lines that can be somebody's. `+` and `-` begin what once asked another host for users; a NUL ends a string in every
/// program that reads the file, but not in ours.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '+', '-']) && !line.contains('\0'))
}

/// A user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passwd<'a> {
    pub(crate) name: &'a str,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: &'a str,
}

impl<'a> Passwd<'a> {
    /// Everybody in the file.
    pub(crate) fn all(text: &'a str) -> impl Iterator<Item = Self> {
        lines(text).filter_map(Self::parse)
    }

    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let (uid, gid) = (number(fields.nth(1)?)?, number(fields.next()?)?);
        Some(Self { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
    }
}

/// A group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group<'a> {
    pub(crate) name: &'a str,
    pub(crate) gid: u32,
    members: &'a str,
}

impl<'a> Group<'a> {
    /// Every group in the file.
    pub(crate) fn all(text: &'a str) -> impl Iterator<Item = Self> {
        lines(text).filter_map(Self::parse)
    }

    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        Some(Self { name, gid: number(fields.nth(1)?)?, members: fields.next().unwrap_or_default() })
    }

    pub(crate) fn has(&self, user: &str) -> bool {
        self.members.split(',').any(|member| member == user)
    }
}

/// Digits alone: `parse` would take a sign as well.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
