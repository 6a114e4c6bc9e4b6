//! Layers that are on disk, and the stacks that they make.

use rusqlite::{Connection, OptionalExtension, params};

use super::parsed;
use crate::digest::{ChainId, DiffId, ImageId};

/// A layer that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct LayerRow {
    pub(in crate::store) number: i64,
    pub(in crate::store) chain_id: ChainId,
    pub(in crate::store) size_bytes: u64,
}

pub(in crate::store) fn layer(connection: &Connection, chain_id: &ChainId) -> rusqlite::Result<Option<LayerRow>> {
    connection
        .prepare_cached("SELECT number, chain_id, size_bytes FROM layer WHERE chain_id = ?1")?
        .query_row([chain_id.to_string()], layer_row)
        .optional()
}

pub(in crate::store) fn insert_layer(
    connection: &Connection,
    chain_id: &ChainId,
    diff_id: &DiffId,
    parent: Option<&ChainId>,
    size_bytes: u64,
) -> rusqlite::Result<LayerRow> {
    connection
        .prepare_cached(
            "INSERT INTO layer (chain_id, diff_id, parent, size_bytes)
             VALUES (?1, ?2, (SELECT number FROM layer WHERE chain_id = ?3), ?4)
             RETURNING number, chain_id, size_bytes",
        )?
        .query_row(
            params![
                chain_id.to_string(),
                diff_id.to_string(),
                parent.map(ChainId::to_string),
                i64::try_from(size_bytes).unwrap_or(i64::MAX),
            ],
            layer_row,
        )
}

/// All layers that nothing stands on: no layer, no image, no container.
pub(in crate::store) fn unused_layers(connection: &Connection) -> rusqlite::Result<Vec<LayerRow>> {
    rows(
        connection,
        "SELECT number, chain_id, size_bytes FROM layer
         WHERE number NOT IN (SELECT parent FROM layer WHERE parent IS NOT NULL)
           AND number NOT IN (SELECT top_layer FROM image WHERE top_layer IS NOT NULL)
           AND number NOT IN (SELECT top_layer FROM snapshot WHERE top_layer IS NOT NULL)
           AND number NOT IN (SELECT layer FROM build_step WHERE layer IS NOT NULL)",
        [],
    )
}

/// Every layer, in no particular order.
pub(in crate::store) fn layers(connection: &Connection) -> rusqlite::Result<Vec<LayerRow>> {
    rows(connection, "SELECT number, chain_id, size_bytes FROM layer", [])
}

/// The layers of images and containers, in no particular order; what only builds keep is in none of them.
pub(in crate::store) fn held_layers(connection: &Connection) -> rusqlite::Result<Vec<LayerRow>> {
    rows(
        connection,
        "WITH RECURSIVE held (number) AS (
             SELECT top_layer FROM image UNION SELECT top_layer FROM snapshot
             UNION
             SELECT layer.parent FROM held JOIN layer USING (number)
         )
         SELECT number, chain_id, size_bytes FROM held JOIN layer USING (number)",
        [],
    )
}

pub(in crate::store) fn delete_layer(connection: &Connection, number: i64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM layer WHERE number = ?1", [number])?;
    Ok(())
}

/// An image's layers, top first.
pub(in crate::store) fn image_layers(connection: &Connection, image: &ImageId) -> rusqlite::Result<Vec<LayerRow>> {
    let top = connection
        .prepare_cached("SELECT top_layer FROM image WHERE id = ?1")?
        .query_row([image.to_string()], |row| row.get(0))
        .optional()?;
    stack(connection, top.flatten())
}

/// A container's layers, top first; `None` if it has no snapshot.
pub(in crate::store) fn snapshot_layers(
    connection: &Connection,
    container_id: &str,
) -> rusqlite::Result<Option<Vec<LayerRow>>> {
    let top: Option<Option<i64>> = connection
        .prepare_cached("SELECT top_layer FROM snapshot WHERE container_id = ?1")?
        .query_row([container_id], |row| row.get(0))
        .optional()?;
    top.map(|top| stack(connection, top)).transpose()
}

/// A layer that is there and all below it, top first.
pub(in crate::store) fn layers_from(connection: &Connection, top: &ChainId) -> rusqlite::Result<Vec<LayerRow>> {
    let top = layer(connection, top)?.map(|layer| layer.number);
    stack(connection, top)
}

/// A layer and all below it, top first.
fn stack(connection: &Connection, top: Option<i64>) -> rusqlite::Result<Vec<LayerRow>> {
    rows(
        connection,
        "WITH RECURSIVE stack (number, depth) AS (
             SELECT ?1, 0
             UNION ALL
             SELECT layer.parent, depth + 1 FROM stack JOIN layer USING (number)
         )
         SELECT layer.number, layer.chain_id, layer.size_bytes
         FROM stack JOIN layer USING (number) ORDER BY depth",
        [top],
    )
}

fn rows(connection: &Connection, query: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<Vec<LayerRow>> {
    connection.prepare_cached(query)?.query_map(parameters, layer_row)?.collect()
}

fn layer_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<LayerRow> {
    Ok(LayerRow {
        number: row.get(0)?,
        chain_id: parsed(row, 1)?,
        size_bytes: u64::try_from(row.get::<_, i64>(2)?).unwrap_or_default(),
    })
}
