//! A layer of files that are here already: packed and unpacked again as any other, so that its tar can be made again.

use std::io::{self, PipeWriter};
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use super::Store;
use super::layers::NewLayer;
use crate::digest::{ChainId, DiffId, HashingReader};
use crate::error::Error;
use crate::files::PackError;
use crate::unpack;

impl Store {
    /// Unpacks the tar that `write` writes, meanwhile, as a layer on top of `parent`; `work` is a directory for it. Also
    /// answers what `write` does.
    pub(super) fn make_layer<T: Send>(
        &self,
        parent: Option<ChainId>,
        work: &Path,
        write: impl FnOnce(PipeWriter) -> Result<T, PackError> + Send,
    ) -> Result<(NewLayer, T), Error> {
        let dir = work.join("layer");
        std::fs::create_dir(&dir).map_err(Error::file("make directory", &dir))?;
        let (reader, writer) = io::pipe().map_err(Error::file("make a pipe for", &dir))?;
        let (answer, (unpacked, tar)) = thread::scope(|scope| {
            let writing = scope.spawn(move || write(writer));
            // The reader is gone when this fails: a writer that still writes hears of it.
            let unpacked = unpack::unpack(HashingReader::new(reader), &dir, self.limits);
            let written = writing.join().unwrap_or_else(|panic| resume_unwind(panic));
            match (written, unpacked) {
                (Ok(answer), Ok(unpacked)) => Ok((answer, unpacked)),
                (Err(error), Err(cause)) if error.is_reader_gone() => Err(Error::MakeLayer(cause)),
                (Err(error), _) => Err(Error::Pack(error)),
                (Ok(_), Err(error)) => Err(Error::MakeLayer(error)),
            }
        })?;
        unpack::inherit(&dir.join("diff"), &unpacked.implied, &self.lowers(parent)?).map_err(Error::MakeLayer)?;
        let diff_id = DiffId(tar.finish());
        let chain_id = ChainId::on(parent, diff_id);
        Ok((NewLayer { chain_id, diff_id, parent, size_bytes: unpacked.size_bytes, dir }, answer))
    }
}
