//! What is made in a step's root only for something to be mounted on: it is no part of the layer.

use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};

use super::StepError;
use super::schedule::Build;
use crate::digest::ChainId;
use crate::error::Error;
use crate::tree::{Tree, is_dir, is_file};
use crate::view;

/// What isn't there yet of the paths that something will be mounted on, with those above.
pub(super) fn missing(
    build: &Build<'_>,
    top: Option<ChainId>,
    targets: impl Iterator<Item = PathBuf>,
    place: &Path,
) -> Result<Vec<PathBuf>, StepError> {
    let trouble = || StepError::file("look at the file system that the step begins with");
    let mount_on = place.join("view");
    std::fs::create_dir(&mount_on).map_err(Error::file("make directory", &mount_on))?;
    let tree = view::open(&build.store.lowers(top)?, &mount_on).map_err(trouble())?;
    let mut missing = Vec::new();
    for target in targets {
        for path in target.ancestors().filter(|path| path.parent().is_some()) {
            let real = tree.real(path).map_err(trouble())?;
            // What can't be looked at is no directory of ours.
            if matches!(tree.stat(&real), Ok(None)) {
                missing.push(real);
            }
        }
    }
    Ok(missing)
}

/// Takes it away from what the step wrote, if it is as empty as it was made.
pub(super) fn remove(upper: &Path, made: &[PathBuf]) -> io::Result<()> {
    let tree = Tree::open(upper)?;
    // The deepest first: what is then empty was made for it.
    let mut made: Vec<&PathBuf> = made.iter().collect();
    made.sort_by_key(|path| Reverse(path.components().count()));
    for path in made {
        let Some(stat) = tree.stat(path).ok().flatten() else { continue };
        let whole = upper.join(path);
        if is_dir(&stat) && tree.names(path)?.is_empty() {
            std::fs::remove_dir(whole)?;
        } else if is_file(&stat) && stat.st_size == 0 {
            std::fs::remove_file(whole)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_go_when_nothing_is_in_them() {
        let dir = tempfile::tempdir().unwrap();
        let upper = dir.path();
        for path in ["run/secrets", "cache"] {
            std::fs::create_dir_all(upper.join(path)).unwrap();
        }
        for (path, content) in [("run/secrets/key", ""), ("hosts", ""), ("kept", "x"), ("cache/x", "")] {
            std::fs::write(upper.join(path), content).unwrap();
        }
        let made = ["run", "run/secrets", "run/secrets/key", "hosts", "kept", "cache", "missing/x"].map(PathBuf::from);
        remove(upper, &made).unwrap();
        let left: Vec<_> = Tree::open(upper).unwrap().names(Path::new("")).unwrap();
        assert_eq!(left, ["cache", "kept"]);
    }
}
