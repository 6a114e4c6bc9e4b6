//! Where layers came from and where they went: which blobs of which repositories they are. With this, a push finds out what
//! need not be sent, and gives an image the manifest that it had. It is knowledge only, and may be out of date.

use std::str::FromStr;

use rusqlite::types::Type;
use rusqlite::{Connection, params};

use super::Store;
use super::database::Durability;
use crate::compression::Compression;
use crate::digest::{ChainId, DiffId, Digest, ImageId};
use crate::error::Error;
use crate::reference::Reference;
use crate::registry::{LayerBlob, Manifest};

/// A layer's blob in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KnownBlob {
    /// The registry: `docker.io`.
    pub(super) domain: String,
    /// The repository in it: `library/busybox`.
    pub(super) path: String,
    pub(super) blob: LayerBlob,
}

impl Store {
    /// Remembers what the layers of an image are in a repository, and by which manifest it is known there.
    pub(super) fn remember(
        &self,
        image: ImageId,
        repository: &Reference,
        manifest: &Manifest,
        layers: impl Iterator<Item = (ChainId, LayerBlob)>,
    ) -> Result<(), Error> {
        let failed = || Error::database("record where an image's layers are");
        // Less than a power cut could take is lost when an image isn't known to be at a registry any more.
        self.change("record where an image's layers are", Durability::ProcessEnd, |connection, _| {
            for (chain_id, blob) in layers {
                insert_blob(connection, &chain_id, repository, &blob).map_err(failed())?;
            }
            insert_manifest(connection, image, manifest).map_err(failed())
        })
    }
}

fn insert_blob(
    connection: &Connection,
    chain_id: &ChainId,
    repository: &Reference,
    LayerBlob { digest, size_bytes, compression }: &LayerBlob,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO blob (layer, domain, path, digest, size_bytes, compression)
             SELECT number, ?2, ?3, ?4, ?5, ?6 FROM layer WHERE chain_id = ?1 ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            chain_id.to_string(),
            repository.domain(),
            repository.path(),
            digest.to_string(),
            i64::try_from(*size_bytes).unwrap_or(i64::MAX),
            compression.name(),
        ])?;
    Ok(())
}

/// Every blob that a layer is known to be, on whatever layers it stands.
pub(super) fn blobs(connection: &Connection, layer: &DiffId) -> rusqlite::Result<Vec<KnownBlob>> {
    let query = "SELECT DISTINCT domain, path, digest, blob.size_bytes, compression FROM blob
                 JOIN layer ON layer.number = blob.layer WHERE diff_id = ?1 ORDER BY blob.rowid";
    let read = |row: &rusqlite::Row<'_>| {
        let compression: String = row.get(4)?;
        let unknown = || rusqlite::Error::InvalidColumnType(4, "compression".to_owned(), Type::Text);
        let blob = LayerBlob {
            digest: digest(row, 2)?,
            size_bytes: u64::try_from(row.get::<_, i64>(3)?).unwrap_or_default(),
            compression: Compression::named(&compression).ok_or_else(unknown)?,
        };
        Ok(KnownBlob { domain: row.get(0)?, path: row.get(1)?, blob })
    };
    connection.prepare_cached(query)?.query_map([layer.to_string()], read)?.collect()
}

fn insert_manifest(connection: &Connection, image: ImageId, manifest: &Manifest) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO manifest (digest, image, media_type, document)
             SELECT ?1, id, ?3, ?4 FROM image WHERE id = ?2 ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            manifest.digest().to_string(),
            image.to_string(),
            manifest.media_type,
            &manifest.document[..]
        ])?;
    Ok(())
}

/// The manifests by which an image is known, the first one first.
pub(super) fn manifests(connection: &Connection, image: &ImageId) -> rusqlite::Result<Vec<Manifest>> {
    let read =
        |row: &rusqlite::Row<'_>| Ok(Manifest { media_type: row.get(0)?, document: row.get::<_, Vec<u8>>(1)?.into() });
    connection
        .prepare_cached("SELECT media_type, document FROM manifest WHERE image = ?1 ORDER BY rowid")?
        .query_map([image.to_string()], read)?
        .collect()
}

fn digest(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    let text: String = row.get(column)?;
    Digest::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}
