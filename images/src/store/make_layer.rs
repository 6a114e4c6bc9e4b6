//! A layer of files that are here already: packed and unpacked again as any other, so that its tar can be made again.

use std::io::PipeWriter;
use std::path::Path;

use super::Store;
use super::layers::NewLayer;
use crate::digest::{ChainId, DiffId, HashingReader};
use crate::error::Error;
use crate::files::PackError;
use crate::piped::piped;
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
        let made = piped(write, |pipe| unpack::unpack(HashingReader::new(pipe), &dir, self.limits));
        let (answer, (unpacked, tar)) = match made.map_err(Error::file("make a pipe for", &dir))? {
            (Ok(answer), Ok(unpacked)) => (answer, unpacked),
            (Err(error), Err(cause)) if error.is_reader_gone() => return Err(Error::MakeLayer(cause)),
            (Err(error), _) => return Err(Error::Pack(error)),
            (Ok(_), Err(error)) => return Err(Error::MakeLayer(error)),
        };
        unpack::apply_lower_layers(&dir.join("diff"), &unpacked.implied, &self.lowers(parent)?)
            .map_err(Error::MakeLayer)?;
        let diff_id = DiffId(tar.finish());
        let chain_id = ChainId::on(parent, diff_id);
        Ok((NewLayer { chain_id, diff_id, parent, size_bytes: unpacked.size_bytes, dir }, answer))
    }
}
