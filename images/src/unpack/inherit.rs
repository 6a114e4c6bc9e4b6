//! Directories that a layer's tar only implies.
//!
//! A tar may hold `tmp/x` without a member for `tmp`. In overlayfs the topmost layer's directory decides about owner and
//! mode, so the directory made on the way must look like the one in the layers below, or `/tmp` loses its 1777.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::UnpackError;
use super::attributes;
use super::tree::open_within;

/// Gives each implied directory of the layer in `diff` the looks that it has in the layers below (top first).
pub(crate) fn inherit(diff: &Path, implied: &BTreeSet<PathBuf>, lowers: &[PathBuf]) -> Result<(), UnpackError> {
    let lowers: Vec<File> = lowers.iter().map(|lower| open_root(lower)).collect::<Result<_, _>>()?;
    let root = open_root(diff)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    for path in implied {
        let failed = |source: std::io::Error| UnpackError::Member {
            doing: "copy the owner and mode to",
            path: path.display().to_string(),
            source,
        };
        for lower in &lowers {
            match open_within(lower, path, flags) {
                Ok(model) => {
                    let own = open_within(&root, path, flags).map_err(|e| failed(e.into()))?;
                    attributes::copy(model.as_fd(), own.as_fd()).map_err(failed)?;
                    break;
                }
                Err(Errno::NOENT) => {}
                // Hidden or something else there: what is further down doesn't show.
                Err(_) => break,
            }
        }
    }
    Ok(())
}

fn open_root(path: &Path) -> Result<File, UnpackError> {
    File::open(path).map_err(|source| UnpackError::Directory { doing: "open", path: path.to_owned(), source })
}
