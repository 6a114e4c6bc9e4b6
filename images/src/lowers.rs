//! Lower layers, as overlayfs would show them: what one of them hides isn't there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use crate::files::{Entry, ReadError, Tree, is_opaque};

/// Layers, top first.
pub(crate) struct Lowers(Vec<Tree>);

/// What one layer says about a path.
pub(crate) enum Lookup {
    /// It is there.
    Found {
        /// What it is.
        entry: Entry,
        /// Nothing of the layers below shows through, whatever they have there.
        hides_others: bool,
    },
    /// It isn't there, whatever the layers below have.
    Hidden,
    /// Nothing: ask the next.
    NotHere,
}

impl Lowers {
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, ReadError> {
        let open = |path: &PathBuf| Tree::open(path).map_err(ReadError::at(path));
        Ok(Self(paths.iter().map(open).collect::<Result<_, _>>()?))
    }

    /// What has this path in them.
    pub(crate) fn entry(&self, path: &Path) -> Result<Option<Entry>, ReadError> {
        for layer in &self.0 {
            match lookup(layer, path)? {
                Lookup::Found { entry, .. } => return Ok(Some(entry)),
                Lookup::Hidden => return Ok(None),
                Lookup::NotHere => {}
            }
        }
        Ok(None)
    }

    /// The names in a directory of theirs.
    pub(crate) fn names(&self, path: &Path) -> Result<BTreeSet<OsString>, ReadError> {
        let (mut names, mut hidden) = (BTreeSet::new(), BTreeSet::new());
        for layer in &self.0 {
            match lookup(layer, path)? {
                Lookup::Found { entry, hides_others } if entry.kind() == FileType::Directory => {
                    for name in entry.names().map_err(ReadError::at(path))? {
                        let inside = path.join(&name);
                        let below = layer.entry(&inside).map_err(ReadError::at(&inside))?;
                        if below.is_some_and(|below| below.is_whiteout()) {
                            hidden.insert(name);
                        } else if !hidden.contains(&name) {
                            names.insert(name);
                        }
                    }
                    if hides_others {
                        break;
                    }
                }
                Lookup::Found { .. } | Lookup::Hidden => break,
                Lookup::NotHere => {}
            }
        }
        Ok(names)
    }
}

/// What this layer says about a path.
pub(crate) fn lookup(layer: &Tree, path: &Path) -> Result<Lookup, ReadError> {
    let mut hides_others = false;
    let mut ancestors: Vec<&Path> = path.ancestors().collect();
    // The last is the root: overlayfs asks that for no mark.
    let root = ancestors.pop();
    while let Some(at) = ancestors.pop() {
        let Some(entry) = layer.entry(at).map_err(ReadError::at(at))? else {
            return Ok(if hides_others { Lookup::Hidden } else { Lookup::NotHere });
        };
        if entry.is_whiteout() {
            return Ok(Lookup::Hidden);
        }
        if entry.kind() == FileType::Directory {
            hides_others |= is_opaque(&entry).map_err(ReadError::at(at))?;
        } else if !ancestors.is_empty() {
            return Ok(Lookup::Hidden);
        }
        if ancestors.is_empty() {
            return Ok(Lookup::Found { entry, hides_others });
        }
    }
    let entry = root.map(|root| layer.entry(root).map_err(ReadError::at(root))).transpose()?.flatten();
    Ok(entry.map_or(Lookup::NotHere, |entry| Lookup::Found { entry, hides_others }))
}
