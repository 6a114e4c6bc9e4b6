//! Files that are no layer, for who works on them in a directory: unpacked, or copied.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Store;
use crate::files::{Tree, pack_tree};
use crate::piped::piped;
use crate::unpack::{self, UnpackError};

impl Store {
    /// Unpacks a tar whose names mean what they say, to its end. Answers the directory below `dir` that its files are in, and
    /// that is made for them.
    ///
    /// # Errors
    /// It is cut short, leads out of its root, or becomes more than a layer may.
    pub fn unpack_files(&self, tar: impl Read, dir: &Path) -> Result<PathBuf, UnpackError> {
        unpack::unpack_plain(tar, dir, self.limits)?;
        Ok(dir.join("diff"))
    }

    /// Copies a tree under this name: its top, which needn't be a directory, with all below it. Answers the directory below
    /// `dir` that the copy is in, and that is made for it.
    ///
    /// # Errors
    /// It can't be read, or there is no room for it.
    pub fn copy_files(&self, tree: &Tree, name: &OsStr, dir: &Path) -> io::Result<PathBuf> {
        let (packed, unpacked) =
            piped(|pipe| pack_tree(tree, name, io::BufWriter::new(pipe)), |pipe| self.unpack_files(pipe, dir))?;
        match packed {
            Err(error) if !error.is_reader_gone() => Err(io::Error::other(error)),
            _ => unpacked.map_err(io::Error::other),
        }
    }
}
