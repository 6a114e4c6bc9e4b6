//! Images, and their names.

use rusqlite::{Connection, OptionalExtension, params};

use super::parsed;
use crate::digest::{ChainId, ImageId};
use crate::reference::Reference;

/// An image as it is stored.
pub(in crate::store) struct ImageRow {
    pub(in crate::store) id: ImageId,
    pub(in crate::store) document: Vec<u8>,
    pub(in crate::store) loaded_at_milliseconds: i64,
}

pub(in crate::store) fn insert_image(
    connection: &Connection,
    image: &ImageRow,
    top: Option<&ChainId>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO image (id, document, top_layer, loaded_at_milliseconds)
             VALUES (?1, ?2, (SELECT number FROM layer WHERE chain_id = ?3), ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            image.id.to_string(),
            image.document,
            top.map(ChainId::to_string),
            image.loaded_at_milliseconds,
        ])?;
    Ok(())
}

pub(in crate::store) fn image(connection: &Connection, id: &ImageId) -> rusqlite::Result<Option<ImageRow>> {
    connection
        .prepare_cached("SELECT id, document, loaded_at_milliseconds FROM image WHERE id = ?1")?
        .query_row([id.to_string()], image_row)
        .optional()
}

pub(in crate::store) fn images(connection: &Connection) -> rusqlite::Result<Vec<ImageRow>> {
    connection
        .prepare_cached("SELECT id, document, loaded_at_milliseconds FROM image")?
        .query_map([], image_row)?
        .collect()
}

/// The ids that begin with these hexadecimal digits, two of them at most.
pub(in crate::store) fn ids_with_prefix(connection: &Connection, digits: &str) -> rusqlite::Result<Vec<ImageId>> {
    connection
        .prepare_cached("SELECT id FROM image WHERE id GLOB 'sha256:' || ?1 || '*' LIMIT 2")?
        .query_map([digits], |row| parsed(row, 0))?
        .collect()
}

pub(in crate::store) fn delete_image(connection: &Connection, id: &ImageId) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM image WHERE id = ?1", [id.to_string()])?;
    Ok(())
}

pub(in crate::store) fn named(connection: &Connection, reference: &Reference) -> rusqlite::Result<Option<ImageId>> {
    connection
        .prepare_cached("SELECT image FROM name WHERE reference = ?1")?
        .query_row([reference.to_string()], |row| parsed(row, 0))
        .optional()
}

/// Gives a name to an image; answers the one that had it.
pub(in crate::store) fn set_name(
    connection: &Connection,
    reference: &Reference,
    image: &ImageId,
) -> rusqlite::Result<Option<ImageId>> {
    let before = named(connection, reference)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO name (reference, image) VALUES (?1, ?2)")?
        .execute([reference.to_string(), image.to_string()])?;
    Ok(before.filter(|other| other != image))
}

/// The tags of a repository, given in full, and their images.
pub(in crate::store) fn tags_of(
    connection: &Connection,
    repository: &str,
) -> rusqlite::Result<Vec<(Reference, ImageId)>> {
    // What follows a repository is a tag's colon; its own port's comes earlier.
    connection
        .prepare_cached("SELECT reference, image FROM name WHERE substr(reference, 1, length(?1) + 1) = ?1 || ':'")?
        .query_map([repository], |row| Ok((parsed(row, 0)?, parsed(row, 1)?)))?
        .collect()
}

pub(in crate::store) fn delete_name(connection: &Connection, reference: &Reference) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM name WHERE reference = ?1", [reference.to_string()])?;
    Ok(())
}

pub(in crate::store) fn names(connection: &Connection, image: &ImageId) -> rusqlite::Result<Vec<Reference>> {
    connection
        .prepare_cached("SELECT reference FROM name WHERE image = ?1 ORDER BY reference")?
        .query_map([image.to_string()], |row| parsed(row, 0))?
        .collect()
}

fn image_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<ImageRow> {
    Ok(ImageRow { id: parsed(row, 0)?, document: row.get(1)?, loaded_at_milliseconds: row.get(2)? })
}
