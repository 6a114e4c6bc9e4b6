//! The build context: the files that a client sent, as a directory.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use dockerignore::Patterns;
use images::files::{Tree, plain};
use images::{Store, TarError, UnpackError, decompressed};
use tempfile::TempDir;

use super::tree_search::{WalkDecision, find};
use super::{Error, between_steps};

const DOCKERFILE: &str = "Dockerfile";
const IGNORE_FILE: &str = ".dockerignore";

/// The files of a build, and what will be of use to nobody after it.
#[derive(Debug)]
pub struct Context {
    work: TempDir,
    root: PathBuf,
    tree: Tree,
}

impl Context {
    /// Takes in a build's context: a tar, plain or compressed. As long as it is needed, its files are in the store's directory.
    ///
    /// # Errors
    /// It is cut short, or leads out of its root.
    pub fn receive(store: &Store, tar: impl Read) -> Result<Self, Error> {
        let work = store.work_dir()?;
        let unreadable = |error| Error::Context(UnpackError::Tar(TarError::Read(error)));
        let tar = decompressed(tar).map_err(unreadable)?;
        let dir = work.path().join("context");
        std::fs::create_dir(&dir).map_err(images::Error::file("make directory", &dir))?;
        between_steps();
        let root = store.unpack_files(tar, &dir).map_err(Error::Context)?;
        let tree = Tree::open(&root).map_err(images::Error::file("open", &root))?;
        Ok(Self { work, root, tree })
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Where its files are.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A directory for what the build needs besides.
    pub(super) fn work_dir(&self) -> &Path {
        self.work.path()
    }

    /// The Dockerfile's text. `name` is its path; `Dockerfile`, or `dockerfile`, if that is empty.
    pub(super) fn dockerfile(&self, name: &str) -> Result<Vec<u8>, Error> {
        let bytes = |name: &str| self.tree.bytes(Path::new(name)).map_err(images::Error::file("read", name));
        let found = match name {
            "" => match bytes(DOCKERFILE)? {
                Some(found) => Some(found),
                None => bytes(&DOCKERFILE.to_lowercase())?,
            },
            name => bytes(name)?,
        };
        found.ok_or_else(|| Error::NoDockerfile(if name.is_empty() { DOCKERFILE } else { name }.to_owned()))
    }

    /// Takes away a file that came along and isn't one of the context's, unless `.dockerignore` did. The context's links
    /// lead nowhere but into it.
    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        let real = self.tree.real(&plain(name)).map_err(images::Error::file("read", name))?;
        match std::fs::remove_file(self.root().join(real)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(images::Error::file("delete", name)(error).into()),
            _ => Ok(()),
        }
    }

    /// Takes away what `.dockerignore` leaves out, also if the client sent it. A Dockerfile may have one of its own.
    pub(super) fn apply_ignore_file(&self, dockerfile: &str) -> Result<(), Error> {
        let read = |name: &str| self.tree.text(Path::new(name)).map_err(images::Error::file("read", name));
        let own = format!("{}{IGNORE_FILE}", if dockerfile.is_empty() { DOCKERFILE } else { dockerfile });
        let text = match read(&own)? {
            Some(text) => Some(text),
            None => read(IGNORE_FILE)?,
        };
        let Some(text) = text else { return Ok(()) };
        let patterns = Patterns::parse(&text).map_err(Error::Ignore)?;
        if patterns.is_empty() {
            return Ok(());
        }
        let mut excluded = |path: &Path, _| match path.as_os_str().is_empty() {
            true => WalkDecision::Below,
            false if patterns.excludes(&path.to_string_lossy()) => WalkDecision::It,
            false => WalkDecision::Below,
        };
        let gone = find(&self.tree, Path::new(""), &mut excluded).map_err(images::Error::file("read", self.root()))?;
        // What is in a directory goes before it; one that holds exceptions stays.
        for found in gone.iter().rev() {
            let path = self.root().join(&found.path);
            let removed = match found.is_dir() {
                true => std::fs::remove_dir(&path),
                false => std::fs::remove_file(&path),
            };
            match removed {
                Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => {
                    return Err(images::Error::file("delete", path)(error).into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use images::testing::Tar;

    use super::*;

    const SENT: &str = ".dockerfile.sent";

    #[test]
    fn a_dockerfile_that_came_along_goes_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("root"), &dir.path().join("run")).unwrap();
        let outside = dir.path().join("outside");
        std::fs::write(&outside, "kept").unwrap();
        for ignored in ["", "other", "*", "**", ".*", "*\n!x", "*\n!x/**/*.txt", "*\n!.dockerfile*"] {
            let tar = Tar::new().file(".dockerignore", ignored).file(SENT, "FROM scratch").file("x/y.txt", "");
            let context = Context::receive(&store, &tar.finish()[..]).unwrap();
            context.apply_ignore_file(SENT).unwrap();
            context.remove(SENT).unwrap();
            assert!(!context.root().join(SENT).exists(), "{ignored:?}");
        }
        let tar = Tar::new().symlink("up", dir.path().to_str().unwrap()).finish();
        Context::receive(&store, &tar[..]).unwrap().remove("up/outside").unwrap();
        assert_eq!(std::fs::read_to_string(outside).unwrap(), "kept");
    }
}
