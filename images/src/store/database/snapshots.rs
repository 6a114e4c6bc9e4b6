//! Which container's files stand on which layer.

use rusqlite::{Connection, params};

use crate::digest::{ChainId, ImageId};

/// `false` if there is one already.
pub(in crate::store) fn insert_snapshot(
    connection: &Connection,
    container_id: &str,
    image: &ImageId,
) -> rusqlite::Result<bool> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO snapshot (container_id, top_layer)
             SELECT ?1, top_layer FROM image WHERE id = ?2 ON CONFLICT DO NOTHING",
        )?
        .execute([container_id, &image.to_string()])?;
    Ok(inserted == 1)
}

/// The same on top of a layer; `false` if there is one already.
pub(in crate::store) fn insert_snapshot_on(
    connection: &Connection,
    container_id: &str,
    top: Option<&ChainId>,
) -> rusqlite::Result<bool> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO snapshot (container_id, top_layer)
             VALUES (?1, (SELECT number FROM layer WHERE chain_id = ?2)) ON CONFLICT DO NOTHING",
        )?
        .execute(params![container_id, top.map(ChainId::to_string)])?;
    Ok(inserted == 1)
}

pub(in crate::store) fn delete_snapshot(connection: &Connection, container_id: &str) -> rusqlite::Result<bool> {
    let deleted = connection.execute("DELETE FROM snapshot WHERE container_id = ?1", [container_id])?;
    Ok(deleted == 1)
}

pub(in crate::store) fn snapshots(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT container_id FROM snapshot ORDER BY container_id")?
        .query_map([], |row| row.get(0))?
        .collect()
}
