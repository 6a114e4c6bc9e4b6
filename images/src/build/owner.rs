//! `--chown`: names are those of the image that is copied to.

use super::StepError;
use crate::files::Tree;

/// User and group in numbers, of `user[:group]` by names or numbers.
pub(super) fn ids(text: &str, read: ReadFile<'_>) -> Result<(u32, u32), StepError> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let (uid, own_gid) = match number(user) {
        Some(uid) => (uid, Some(uid)),
        None => user_ids(user, read)?,
    };
    let gid = match group.filter(|group| !group.is_empty()) {
        None => own_gid.unwrap_or(uid),
        Some(group) => match number(group) {
            Some(gid) => gid,
            None => group_id(group, read)?,
        },
    };
    Ok((uid, gid))
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

type ReadFile<'a> = &'a dyn Fn(&str) -> Result<Option<String>, StepError>;

fn user_ids(name: &str, read: ReadFile<'_>) -> Result<(u32, Option<u32>), StepError> {
    let passwd = read("etc/passwd")?.unwrap_or_default();
    let entry = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == name);
    let ids = entry.and_then(|fields| Some((number(fields.get(2)?)?, number(fields.get(3)?))));
    ids.ok_or_else(|| StepError::Invalid(format!("unable to find user {name}: no matching entries in passwd file")))
}

fn group_id(name: &str, read: ReadFile<'_>) -> Result<u32, StepError> {
    let group = read("etc/group")?.unwrap_or_default();
    let entry = group.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == name);
    let id = entry.and_then(|fields| number(fields.get(2)?));
    id.ok_or_else(|| StepError::Invalid(format!("unable to find group {name}: no matching entries in group file")))
}

/// Reads files of an image's root.
pub(super) fn reader(tree: &Tree) -> impl Fn(&str) -> Result<Option<String>, StepError> + '_ {
    |path| tree.text(std::path::Path::new(path)).map_err(StepError::file(format!("read /{path} of the image")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_images() {
        let read = |path: &str| {
            Ok(Some(match path {
                "etc/passwd" => "root:x:0:0::/root:/bin/sh\nguest:x:1000:1001::/:/bin/sh\nbroken\n".to_owned(),
                _ => "wheel:x:10:guest\n".to_owned(),
            }))
        };
        for (text, expected) in [
            ("55", Some((55, 55))),
            ("55:7", Some((55, 7))),
            ("guest", Some((1000, 1001))),
            ("guest:wheel", Some((1000, 10))),
            ("0:wheel", Some((0, 10))),
            ("nobody", None),
            ("guest:none", None),
            ("broken", None),
        ] {
            assert_eq!(ids(text, &read).ok(), expected, "{text}");
        }
    }
}
