//! What of a layer depends on its lower layers.
//!
//! A tar may hold `tmp/x` without a member for `tmp`. In overlayfs the topmost layer's directory decides about owner and
//! mode, so the directory made on the way must look like the one in the layers below, or `/tmp` loses its 1777.
//!
//! A tar may also hide everything that is below. Overlayfs doesn't ask a layer's root for such a mark, so that each name has
//! to be hidden by itself.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};

use super::UnpackError;
use super::attributes::{self, set_opaque};
use super::tree::{Kind, kind_of, make_whiteout, open_within};
use crate::files::{Tree, is_opaque};
use crate::lowers::{Lookup, Lowers, lookup};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Gives each implied directory of the layer in `diff` the looks that it has in the layers below (top first), as far as
/// those aren't hidden, and hides what is in their root if the layer says so.
pub(crate) fn apply_lower_layers(
    diff: &Path,
    implied: &BTreeSet<PathBuf>,
    lowers: &[PathBuf],
) -> Result<(), UnpackError> {
    let lowers = Lowers::open(lowers).map_err(io::Error::other).map_err(unreadable(diff))?;
    let root = File::open(diff).map_err(unreadable(diff))?;
    let own = Tree::open(diff).map_err(unreadable(diff))?;
    let is_alone = own.entry(Path::new("")).and_then(|root| root.as_ref().map_or(Ok(false), is_opaque));
    let is_alone = is_alone.map_err(unreadable(diff))?;
    if is_alone {
        hide_all(&root, &lowers)?;
    }
    for path in implied.iter().filter(|_| !is_alone) {
        let failed = |source| member("copy the owner and mode to", path, source);
        if matches!(
            lookup(&own, path).map_err(|error| failed(io::Error::other(error)))?,
            Lookup::Found { hides_others: true, .. }
        ) {
            continue;
        }
        let model = lowers.entry(path).map_err(|error| failed(io::Error::other(error)))?;
        let Some(model) = model.filter(|model| model.kind() == FileType::Directory) else { continue };
        let model = rustix::fs::openat(&model, ".", DIRECTORY, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        let own = open_within(&root, path, DIRECTORY).map_err(|errno| failed(errno.into()))?;
        attributes::copy(model, own).map_err(failed)?;
    }
    Ok(())
}

fn hide_all(root: &File, lowers: &Lowers) -> Result<(), UnpackError> {
    for name in
        lowers.names(Path::new("")).map_err(|error| member("look below", Path::new("."), io::Error::other(error)))?
    {
        let path = Path::new(&name);
        let hide = || match kind_of(root.as_fd(), name.as_encoded_bytes())? {
            None => make_whiteout(root.as_fd(), &name),
            Some(Kind::Directory) => set_opaque(open_within(root, path, DIRECTORY)?),
            Some(_) => Ok(()),
        };
        hide().map_err(|errno| member("hide what is below", path, errno.into()))?;
    }
    Ok(())
}

fn member(doing: &'static str, path: &Path, source: io::Error) -> UnpackError {
    UnpackError::Member { doing, path: path.display().to_string(), source }
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> UnpackError {
    let path = path.to_owned();
    move |source| UnpackError::Directory { doing: "read", path: path.clone(), source }
}
