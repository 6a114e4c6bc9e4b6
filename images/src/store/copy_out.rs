//! Copies a directory of a container's image to where a volume begins with it.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::FileType;

use super::Store;
use crate::error::Error;
use crate::files::{self, Extraction, ReadError};
use crate::piped::piped;
use crate::unpack;

impl Store {
    /// Copies what the image of a container has in a directory into another one, which looks like it then. Links lead
    /// nowhere but into the image. Without such a directory, nothing is done.
    ///
    /// # Errors
    /// The image can't be read, or `into` can't be written to.
    pub fn copy_out(&self, container_id: &str, directory: &Path, into: &Path) -> Result<(), Error> {
        let failed = || Error::file("read from the image", directory);
        let lowers = self.rootfs(container_id)?.lowers;
        let place = self.work_dir()?;
        let root = files::view(&lowers, place.path()).map_err(failed())?;
        let real = root.real(directory).map_err(failed())?;
        let Some(found) = root.entry(&real).map_err(failed())? else { return Ok(()) };
        if found.kind() != FileType::Directory {
            return Ok(());
        }
        let target = File::open(into).map_err(Error::file("open", into))?;
        let here = Extraction { directory: "/".into(), keep_kinds: false, owner: None };
        let copied = piped(
            |pipe| files::pack_root(&found, io::BufWriter::new(pipe)),
            |pipe| files::extract(&target, pipe, &here),
        );
        match copied.map_err(Error::file("make a pipe for", into))? {
            (Err(error), _) if !error.is_reader_gone() => Err(Error::Pack(error)),
            (_, extracted) => extracted.map_err(|source| Error::CopyOut { directory: directory.to_owned(), source }),
        }?;
        // At the end: it may be a directory that nobody else could write to.
        let model = found.open_file().map_err(ReadError::at(directory)).map_err(|error| Error::Pack(error.into()))?;
        unpack::copy_looks(&model, &target).map_err(Error::file("set owner and mode of", into))
    }
}
