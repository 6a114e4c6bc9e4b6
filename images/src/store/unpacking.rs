//! Unpacks one layer's stream, compressed or not, into a directory, and checks it against its image.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::compression::Decoder;
use crate::digest::{DiffId, Digest, HashingReader};
use crate::error::Error;
use crate::tarball::TarError;
use crate::unpack::{self, Limits, UnpackError, Unpacked};

/// Unpacks a layer below `dir`, which it makes. `digest` is that of the stream as it is; whoever made the stream has seen
/// to it, or will when it has been read to its end.
pub(super) fn unpack(
    stream: impl Read,
    digest: Digest,
    dir: &Path,
    diff_id: DiffId,
    limits: Limits,
) -> Result<Unpacked, Error> {
    let failed = |source| Error::Layer { layer: diff_id, source };
    fs::create_dir(dir).map_err(Error::file("make directory", dir))?;
    let stream = Decoder::new(stream).map_err(|error| failed(UnpackError::Tar(TarError::Read(error))))?;
    if stream.is_plain() {
        // It needn't be unpacked to be found wrong, nor be hashed again.
        check(diff_id, digest)?;
        return Ok(unpack::unpack(stream, dir, limits).map_err(failed)?.0);
    }
    let (unpacked, stream) = unpack::unpack(HashingReader::new(stream), dir, limits).map_err(failed)?;
    check(diff_id, stream.finish())?;
    Ok(unpacked)
}

fn check(layer: DiffId, found: Digest) -> Result<(), Error> {
    match found == layer.0 {
        true => Ok(()),
        false => Err(Error::Layer { layer, source: UnpackError::WrongDigest { expected: layer.0, found } }),
    }
}
