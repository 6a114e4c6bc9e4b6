//! What `cp` copies where: the two sides of its command line, and where things end up, by Docker's rules.

/// Why a copy can't be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CopyError {
    #[error("{0} can not be empty")]
    Empty(&'static str),
    #[error(
        "copying between containers is not supported: copy to a file here first, or pipe: berth cp A:X - | berth cp - B:Y"
    )]
    BetweenContainers,
    #[error("must specify at least one container source: write one side as CONTAINER:PATH")]
    NoContainer,
    #[error("cannot copy directory to {0:?}, which is a file")]
    DirectoryToFile(String),
    #[error("no such directory: {0:?}: make it first, or leave out the slash at its end")]
    NoSuchDirectory(String),
}

/// A file or directory in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerPath {
    pub(crate) container: String,
    pub(crate) path: String,
}

/// A copy as it was typed. `-` for our side is standard input or output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Copy {
    Out { from: ContainerPath, to: String },
    In { from: String, to: ContainerPath },
}

impl Copy {
    pub(crate) fn parse(source: &str, destination: &str) -> Result<Self, CopyError> {
        for (what, text) in [("source", source), ("destination", destination)] {
            if text.is_empty() {
                return Err(CopyError::Empty(what));
            }
        }
        match (container_path(source), container_path(destination)) {
            (Some(_), Some(_)) => Err(CopyError::BetweenContainers),
            (Some(from), None) => Ok(Self::Out { from, to: destination.to_owned() }),
            (None, Some(to)) => Ok(Self::In { from: source.to_owned(), to }),
            (None, None) => Err(CopyError::NoContainer),
        }
    }
}

/// A colon in a path of ours is told apart by a slash or a point before it: `./a:b`.
fn container_path(text: &str) -> Option<ContainerPath> {
    let (container, path) = text.split_once(':')?;
    let is_container = !container.is_empty() && !text.starts_with('/') && !container.starts_with('.');
    is_container.then(|| ContainerPath { container: container.to_owned(), path: path.to_owned() })
}

/// What is at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Directory,
    File,
    Nothing,
}

/// Where an archive is to be extracted, and what its topmost member is to be called there, if not as it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) directory: String,
    pub(crate) name: Option<String>,
}

/// Where something ends up that is copied to `destination`.
pub(crate) fn plan(source_is_directory: bool, destination: &str, existing: Existing) -> Result<Plan, CopyError> {
    let renamed = || {
        let (directory, name) = split(destination);
        Plan { directory, name: Some(name) }
    };
    match existing {
        Existing::Directory => Ok(Plan { directory: destination.to_owned(), name: None }),
        Existing::File if source_is_directory => Err(CopyError::DirectoryToFile(destination.to_owned())),
        Existing::Nothing if !source_is_directory && asserts_directory(destination) => {
            Err(CopyError::NoSuchDirectory(destination.to_owned()))
        }
        Existing::File | Existing::Nothing => Ok(renamed()),
    }
}

/// Whether a path means what is in a directory, and not the directory.
pub(crate) fn means_content(path: &str) -> bool {
    path == "." || path.ends_with("/.")
}

fn asserts_directory(path: &str) -> bool {
    path.ends_with('/') || means_content(path)
}

/// The last component of a path: `.` where its content is meant, `/` for the root.
pub(crate) fn base(path: &str) -> &str {
    if means_content(path) {
        return ".";
    }
    match path.trim_end_matches('/').rsplit('/').next() {
        None | Some("") => "/",
        Some(name) => name,
    }
}

/// The directory that a path is in, and its name there.
fn split(path: &str) -> (String, String) {
    let path = path.strip_suffix("/.").unwrap_or(path).trim_end_matches('/');
    match path.rsplit_once('/') {
        Some(("", name)) => ("/".to_owned(), name.to_owned()),
        Some((directory, name)) => (directory.to_owned(), name.to_owned()),
        None => (".".to_owned(), path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides() {
        let side = |container: &str, path: &str| ContainerPath { container: container.into(), path: path.into() };
        assert_eq!(Copy::parse("web:/etc", "."), Ok(Copy::Out { from: side("web", "/etc"), to: ".".into() }));
        assert_eq!(Copy::parse("./a:b", "web:c:d"), Ok(Copy::In { from: "./a:b".into(), to: side("web", "c:d") }));
        assert_eq!(Copy::parse("/a:b", "web:"), Ok(Copy::In { from: "/a:b".into(), to: side("web", "") }));
        assert_eq!(Copy::parse("a:/b", "c:/d"), Err(CopyError::BetweenContainers));
        assert_eq!(Copy::parse("a", "/b:c"), Err(CopyError::NoContainer));
        assert_eq!(Copy::parse("", "a:b"), Err(CopyError::Empty("source")));
    }

    #[test]
    fn places() {
        let to = |directory: &str, name: Option<&str>| {
            Ok(Plan { directory: directory.into(), name: name.map(str::to_owned) })
        };
        let table = [
            (true, "/a/", Existing::Directory, to("/a/", None)),
            (false, "/a", Existing::Directory, to("/a", None)),
            (false, "/a/b", Existing::File, to("/a", Some("b"))),
            (true, "/a/b", Existing::File, Err(CopyError::DirectoryToFile("/a/b".into()))),
            (true, "/a/b/", Existing::Nothing, to("/a", Some("b"))),
            (true, "b/.", Existing::Nothing, to(".", Some("b"))),
            (false, "b/", Existing::Nothing, Err(CopyError::NoSuchDirectory("b/".into()))),
            (false, "/b", Existing::Nothing, to("/", Some("b"))),
        ];
        for (is_directory, destination, existing, expected) in table {
            assert_eq!(plan(is_directory, destination, existing), expected, "{destination} {existing:?}");
        }
    }

    #[test]
    fn last_components() {
        for (path, name) in [("/", "/"), ("/.", "."), (".", "."), ("a/", "a"), ("/a/b", "b"), ("", "/")] {
            assert_eq!(base(path), name, "{path}");
        }
    }
}
