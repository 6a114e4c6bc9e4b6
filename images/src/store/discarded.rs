//! Directories that belong to nothing any more: out of sight in one step, deleted when there is time for it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::layers::remove;
use super::{Store, between_steps};
use crate::error::Error;

/// Files that belong to nothing any more and are out of everybody's way. Deleting them can take a while: whoever waits for
/// the removal need not wait for that. What a process that ends meanwhile leaves is deleted by [`Store::open`].
#[derive(Debug, Default)]
#[must_use = "dropping it deletes the files, and tells the log alone of errors"]
pub struct Discarded(Vec<DiscardedDirectory>);

impl Discarded {
    /// Deletes them.
    pub fn delete(self) -> Result<(), Error> {
        for directory in self.0 {
            between_steps();
            directory.delete()?;
        }
        Ok(())
    }

    /// Where they are until then.
    pub(super) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|directory| directory.0.as_path())
    }
}

impl Extend<Self> for Discarded {
    fn extend<T: IntoIterator<Item = Self>>(&mut self, more: T) {
        self.0.extend(more.into_iter().flat_map(|discarded| discarded.0));
    }
}

/// A directory under a name that nobody looks for. It goes when this is dropped.
#[derive(Debug)]
struct DiscardedDirectory(PathBuf);

impl DiscardedDirectory {
    fn delete(mut self) -> Result<(), Error> {
        let path = std::mem::take(&mut self.0);
        remove(&path)
    }
}

impl Drop for DiscardedDirectory {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty()
            && let Err(error) = remove(&self.0)
        {
            tracing::warn!("what is left of a removal is deleted when berthd starts: {error}");
        }
    }
}

impl Store {
    /// Takes a directory out of sight in one step; nothing is discarded where there is none. Deleting what this answers can
    /// take its time, without the lock.
    pub(super) fn discard(&self, path: &Path) -> Result<Discarded, Error> {
        if path.symlink_metadata().is_err() {
            return Ok(Discarded::default());
        }
        between_steps();
        let mut unused_name = tempfile::Builder::new();
        let moved = unused_name.prefix("discarded-").make_in(self.tmp_dir(), |aside| {
            renameat_with(CWD, path, CWD, aside, RenameFlags::NOREPLACE).map_err(io::Error::from)
        });
        between_steps();
        match moved.and_then(|moved| Ok(moved.into_temp_path().keep()?)) {
            Ok(aside) => Ok(Discarded(vec![DiscardedDirectory(aside)])),
            // There is no room for a name: it is deleted here and now, which makes some.
            Err(error) if error.kind() == ErrorKind::StorageFull => {
                remove(path)?;
                Ok(Discarded::default())
            }
            Err(error) => Err(Error::file("discard", path)(error)),
        }
    }
}
