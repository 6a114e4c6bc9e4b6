//! Copies the image's files into a new volume.

use std::io;
use std::path::{Path, PathBuf};

use super::super::files::make_directory;
use crate::error::{Error, Result};
use crate::file_deletion::remove_tree;

/// Which volume is to be filled.
pub(super) struct Filling {
    /// Its files.
    pub(super) data: PathBuf,
    /// Where to fill it so that it is filled at once or not at all; in place without it.
    pub(super) beside: Option<PathBuf>,
}

/// Fills a volume that is empty by what `copy` copies into a directory.
pub(super) fn fill(job: &Filling, copy: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let doing = || Error::io(format!("reading {}", job.data.display()));
    // A part of a volume may be a file.
    if !job.data.is_dir() {
        return Ok(());
    }
    if std::fs::read_dir(&job.data).map_err(doing())?.next().is_some() {
        return Ok(());
    }
    let Some(beside) = &job.beside else { return copy(&job.data) };
    remove_tree(beside)?;
    make_directory(beside, 0o755)?;
    copy(beside)?;
    match std::fs::rename(beside, &job.data) {
        // Somebody on the host was faster.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => remove_tree(beside),
        renamed => renamed.map_err(Error::io(format!("filling the volume {}", job.data.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filling(dir: &Path, beside: bool) -> Filling {
        let data = dir.join("_data");
        std::fs::create_dir(&data).unwrap();
        Filling { data, beside: beside.then(|| dir.join("filling")) }
    }

    #[test]
    fn a_volume_is_filled_in_place_or_beside_it() {
        for beside in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let job = filling(dir.path(), beside);
            fill(&job, |into| {
                std::fs::write(into.join("file"), "of the image").unwrap();
                Ok(())
            })
            .unwrap();
            assert_eq!(std::fs::read_to_string(job.data.join("file")).unwrap(), "of the image");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
        }
    }

    #[test]
    fn what_fails_beside_it_leaves_it_empty_for_the_next_try() {
        let dir = tempfile::tempdir().unwrap();
        let job = filling(dir.path(), true);
        fill(&job, |into| {
            std::fs::write(into.join("half"), "").unwrap();
            Err(Error::invalid("no more"))
        })
        .unwrap_err();
        fill(&job, |into| {
            std::fs::write(into.join("whole"), "").unwrap();
            Ok(())
        })
        .unwrap();
        assert!(job.data.join("whole").exists() && !job.data.join("half").exists());
    }

    #[test]
    fn what_has_files_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let job = filling(dir.path(), false);
        std::fs::write(job.data.join("mine"), "").unwrap();
        fill(&job, |_| panic!("the image is of no concern")).unwrap();
        assert_eq!(std::fs::read_dir(job.data).unwrap().count(), 1);
    }
}
