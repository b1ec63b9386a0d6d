//! How far groups are: one cursor for each group and partition, written whole by the partition's owner.

use crate::error::{Error, Reason};
use crate::format;
use crate::record::PartitionId;
use bowline_lane::Cursor;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

/// The group's cursor in a partition.
pub(crate) fn cursor(db: &Connection, group: &str, partition: PartitionId) -> Result<Option<Cursor>, Error> {
    let doing = |e| Error::sqlite("read a cursor", e);
    let select = r#"SELECT body FROM cursor WHERE "group" = ?1 AND partition = ?2"#;
    let mut select = db.prepare_cached(select).map_err(doing)?;
    let body = select.query_row(params![group, partition.0], |row| row.get(0)).optional().map_err(doing)?;
    decode(group, body.flatten())
}

/// What the column says.
pub(crate) fn decode(group: &str, body: Option<Vec<u8>>) -> Result<Option<Cursor>, Error> {
    let Some(body) = body else { return Ok(None) };
    let cursor = format::decode_cursor(&Bytes::from(body));
    cursor
        .map(Some)
        .map_err(|e| Error::failed(Reason::Corrupt, format!("the cursor of `{group}` {e}; verify the store")))
}
