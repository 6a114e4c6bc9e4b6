//! Mount points that are made in a step's root only to be mounted on: it is no part of the layer.

use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};

use images::ChainId;
use images::files::{self, Tree};
use rustix::fs::{AtFlags, FileType};

use super::schedule::Build;
use super::{StepError, StepMount};

/// Where the kernel's own files are: what is mounted over them hides what shields them (CVE-2019-16884).
const OF_THE_KERNEL: [&str; 2] = ["proc", "sys"];

/// What isn't there yet of the paths that something will be mounted on, with those above: by whoever runs the step, and by
/// what the step asks for.
pub(super) fn missing(
    build: &Build<'_>,
    top: Option<ChainId>,
    (fixed, asked): (&[&str], &[StepMount]),
    place: &Path,
) -> Result<Vec<PathBuf>, StepError> {
    let trouble = || StepError::file("look at the file system that the step begins with");
    let mount_on = place.join("view");
    std::fs::create_dir(&mount_on).map_err(StepError::file(format!("make directory {}", mount_on.display())))?;
    let tree = files::view(&build.store.lowers(top)?, &mount_on).map_err(trouble())?;
    for StepMount { target, .. } in asked {
        let real = tree.real(target).map_err(trouble())?;
        if OF_THE_KERNEL.iter().any(|directory| real.starts_with(directory)) {
            return Err(StepError::Invalid(format!(
                "{} can't be mounted over: it leads to /{}, where the kernel's own files are; choose another target",
                target.display(),
                real.display()
            )));
        }
    }
    let mut missing = Vec::new();
    for target in fixed.iter().map(Path::new).chain(asked.iter().map(|mount| mount.target.as_path())) {
        for path in target.ancestors().filter(|path| path.parent().is_some()) {
            let real = tree.real(path).map_err(trouble())?;
            // What can't be looked at is no directory of ours.
            if matches!(tree.entry(&real), Ok(None)) {
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
        // By the directory that it was seen in: the step may have put links to elsewhere in the way (CVE-2024-23652).
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
        let (Some(entry), Some(parent)) = (tree.entry(path)?, tree.entry(parent)?) else { continue };
        let flags = match entry.kind() {
            FileType::Directory if entry.names()?.is_empty() => AtFlags::REMOVEDIR,
            FileType::RegularFile if entry.stat.st_size == 0 => AtFlags::empty(),
            _ => continue,
        };
        rustix::fs::unlinkat(parent, name, flags)?;
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
        let top = Tree::open(upper).unwrap().entry(Path::new("")).unwrap().unwrap();
        assert_eq!(top.names().unwrap(), ["cache", "kept"]);
    }
}
