//! How an effect happens once, however often it is asked for.
//!
//! The caller gives each wish a key. The effect and the answer to it are written **in one transaction**:
//! either both are there or neither, so a repeated wish finds its answer and does nothing. Keeping the
//! keys anywhere else (a cache, another database) would leave a moment between the two.

use crate::reply::Reply;
use axum::http::{HeaderMap, StatusCode};
use rusqlite::{Connection, OptionalExtension, params};

/// The table of answers and the journal of effects, part of every callee's schema.
///
/// The example keeps keys for ever. A real service forgets them once no caller can ask again.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS answers (
    operation TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, status INTEGER NOT NULL, answer TEXT NOT NULL,
    PRIMARY KEY (operation, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS effects (kind TEXT NOT NULL, order_id TEXT NOT NULL) STRICT;
";

/// The longest key that is stored.
const KEY_BYTES_MAX: usize = 255;

/// The caller's name for one wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The `Idempotency-Key` of a request, if it has one.
    ///
    /// # Errors
    /// A 400 for a key that is empty, too long or not printable.
    pub fn find(headers: &HeaderMap) -> Result<Option<Self>, Reply> {
        let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
        match value.to_str() {
            Ok(key) if (1..=KEY_BYTES_MAX).contains(&key.len()) => Ok(Some(Self(key.to_owned()))),
            _ => Err(Reply::problem(
                StatusCode::BAD_REQUEST,
                "the Idempotency-Key is empty, too long or not printable",
                "send 1 to 255 printable characters, a new key for each new wish",
            )),
        }
    }

    /// The key of a request that must have one.
    ///
    /// # Errors
    /// A 400 if it has none, or a bad one.
    pub fn demand(headers: &HeaderMap) -> Result<Self, Reply> {
        Self::find(headers)?.ok_or_else(|| {
            Reply::problem(
                StatusCode::BAD_REQUEST,
                "there is no Idempotency-Key",
                "send one: without it a repeated request could not be told from a second one",
            )
        })
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Does `effect` if `operation` has not yet answered `key`; says the stored answer otherwise.
///
/// # Errors
/// What SQLite says; the transaction around is then rolled back, and nothing happened.
pub fn once(
    db: &Connection,
    operation: &str,
    key: &Key,
    body: &[u8],
    effect: impl FnOnce(&Connection) -> rusqlite::Result<Reply>,
) -> rusqlite::Result<Reply> {
    let stored = db
        .prepare_cached("SELECT body, status, answer FROM answers WHERE operation = ? AND key = ?")?
        .query_row(params![operation, key.as_str()], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, u16>(1)?, row.get::<_, String>(2)?))
        })
        .optional()?;
    if let Some((first_body, status, answer)) = stored {
        return Ok(if first_body == body { replay(status, answer) } else { another_body() });
    }
    let reply = effect(db)?;
    db.prepare_cached("INSERT INTO answers VALUES (?, ?, ?, ?, ?)")?.execute(params![
        operation,
        key.as_str(),
        body,
        reply.status.as_u16(),
        reply.body
    ])?;
    Ok(reply)
}

/// The refusal of a key that was used for another wish: one of the two would silently not happen.
#[must_use]
pub fn another_body() -> Reply {
    Reply::problem(
        StatusCode::UNPROCESSABLE_ENTITY,
        "this Idempotency-Key was used with another body",
        "use a new key for a new wish, or repeat the first body unchanged",
    )
}

/// Notes that an effect happened. The journal has no unique index on purpose: if a bug did something
/// twice, it would show here, in [`effects`].
///
/// # Errors
/// What SQLite says.
pub fn note(db: &Connection, kind: &str, order_id: &str) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO effects VALUES (?, ?)")?.execute([kind, order_id]).map(drop)
}

/// For each kind of effect, how often it happened and for how many orders. Where the two differ,
/// something happened twice.
///
/// # Errors
/// What SQLite says.
pub fn effects(db: &Connection) -> rusqlite::Result<Reply> {
    let mut counts = serde_json::Map::new();
    let mut query = db.prepare_cached(
        "SELECT kind, count(*), count(DISTINCT order_id) FROM effects GROUP BY kind ORDER BY kind",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (times, orders): (i64, i64) = (row.get(1)?, row.get(2)?);
        counts.insert(row.get(0)?, serde_json::json!({ "times": times, "orders": orders }));
    }
    Ok(Reply::new(StatusCode::OK, &counts))
}

fn replay(status: u16, body: String) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Reply { status, body, location: None, replayed: true }
}
