//! The table of orders.

use super::order::{Debt, Order, Problem, State};
use crate::inventory::Item;
use crate::money::Amount;
use crate::once::{Key, note};
use crate::store::{Store, StoreError};
use axum::body::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::sleep;

/// The tables. The customer's key stands in the order's own row: the order and the memory of the key
/// are one write.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY, key TEXT UNIQUE, body BLOB NOT NULL,
    items TEXT NOT NULL, total TEXT NOT NULL, state TEXT NOT NULL, owes TEXT NOT NULL, problem TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS owing ON orders (id) WHERE owes <> '[]';
";

/// How long to wait for a busy database: about ten of its syncs.
const AGAIN: Duration = Duration::from_millis(10);

/// The table's operations.
#[derive(Clone)]
pub struct Book(Store);

/// What came of beginning an order.
pub enum Begun {
    /// It is new.
    New(Order),
    /// The key has made this order before.
    Known(Order),
    /// The key has made an order before, from another body.
    AnotherBody,
}

impl Book {
    /// The book in `store`.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self(store)
    }

    /// The database itself.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.0
    }

    /// Writes a new order down, before anybody is asked for anything.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn begin(
        &self,
        key: Option<Key>,
        body: Bytes,
        items: Vec<Item>,
        total: Amount,
    ) -> Result<Begun, StoreError> {
        self.0
            .run(move |db| {
                let key = key.as_ref().map(Key::as_str);
                if let Some((order, first_body)) = find_by(db, "key", key)? {
                    return Ok(if first_body == body { Begun::Known(order) } else { Begun::AnotherBody });
                }
                // 64 random bits: a name that cannot be guessed or counted.
                let id = db.query_row("SELECT lower(hex(randomblob(8)))", [], |row| row.get(0))?;
                let order = Order { id, items, total, state: State::Placing, owes: vec![], problem: None };
                db.prepare_cached("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?.execute(params![
                    order.id,
                    key,
                    &body[..],
                    text(&order.items),
                    text(&order.total),
                    order.state.word(),
                    text(&order.owes),
                    text(&order.problem)
                ])?;
                Ok(Begun::New(order))
            })
            .await
    }

    /// Writes down how far an order got and what it owes. New orders are turned away when the database
    /// is busy; one that was begun waits for its turn instead.
    ///
    /// # Errors
    /// See [`StoreError`]; never [`StoreError::Busy`].
    pub async fn save(&self, order: &Order) -> Result<(), StoreError> {
        loop {
            let order = order.clone();
            match self.0.run(move |db| update(db, &order)).await {
                Err(StoreError::Busy) => sleep(AGAIN).await,
                other => return other,
            }
        }
    }

    /// The order of this name.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn find(&self, id: &str) -> Result<Option<Order>, StoreError> {
        let id = id.to_owned();
        self.0.run(move |db| Ok(find_by(db, "id", Some(&id))?.map(|(order, _)| order))).await
    }

    /// Up to `limit` orders that owe one of these.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn owing(&self, debts: &'static [Debt], limit: u32) -> Result<Vec<Order>, StoreError> {
        // The first condition is the index's.
        let which = "owes <> '[]' AND EXISTS (SELECT 1 FROM json_each(owes) AS debt, json_each(?1) AS asked
            WHERE debt.value = asked.value) ORDER BY random() LIMIT ?2";
        self.0.run(move |db| select(db, which, params![text(&debts), limit])).await
    }

    /// After a start: what was cut off owes whatever it may have begun. Answers how many there were.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn recover(&self) -> Result<usize, StoreError> {
        self.0
            .run(|db| {
                let cut_off = select(db, "owes = '[]' AND state IN ('placing', 'capturing')", [])?;
                for order in &cut_off {
                    update(db, &order.clone().cut_off())?;
                }
                Ok(cut_off.len())
            })
            .await
    }
}

impl Order {
    /// The order after a crash: before the point of no return everything may have begun and goes back,
    /// after it the capture is asked for again.
    fn cut_off(self) -> Self {
        match self.state {
            State::Placing => {
                let problem = Problem {
                    status: 503,
                    error: "orders was stopped while placing this".into(),
                    hint: "order again, with a new key".into(),
                };
                self.failed(problem, vec![Debt::Release, Debt::Reversal])
            }
            State::Capturing => Self { owes: vec![Debt::Capture], ..self },
            State::Confirmed | State::Failed => self,
        }
    }
}

const COLUMNS: &str = "SELECT id, items, total, state, owes, problem, body FROM orders WHERE ";

fn find_by(db: &Connection, column: &str, value: Option<&str>) -> rusqlite::Result<Option<(Order, Vec<u8>)>> {
    db.prepare_cached(&format!("{COLUMNS} {column} = ?"))?
        .query_row([value], |row| Ok((order(row)?, row.get(6)?)))
        .optional()
}

fn select(db: &Connection, which: &str, limit: impl rusqlite::Params) -> rusqlite::Result<Vec<Order>> {
    db.prepare_cached(&format!("{COLUMNS} {which}"))?.query_map(limit, order)?.collect()
}

/// Writes an order's state, and an end that it reached into the journal of effects.
fn update(db: &Connection, order: &Order) -> rusqlite::Result<()> {
    let moved_on = db
        .prepare_cached(
            "UPDATE orders SET state = ?2, owes = ?3, problem = ?4 WHERE id = ?1 AND state <> ?2",
        )?
        .execute(params![order.id, order.state.word(), text(&order.owes), text(&order.problem)])?;
    if moved_on == 0 {
        db.prepare_cached("UPDATE orders SET owes = ?2 WHERE id = ?1")?
            .execute(params![order.id, text(&order.owes)])?;
        return Ok(());
    }
    match order.state {
        State::Confirmed => note(db, "confirmed", &order.id),
        State::Failed => note(db, "failed", &order.id),
        State::Placing | State::Capturing => Ok(()),
    }
}

fn order(row: &Row<'_>) -> rusqlite::Result<Order> {
    Ok(Order {
        id: row.get(0)?,
        items: value(row, 1)?,
        total: value(row, 2)?,
        state: State::from_word(row.get_ref(3)?.as_str()?).ok_or(rusqlite::Error::InvalidQuery)?,
        owes: value(row, 4)?,
        problem: value(row, 5)?,
    })
}

/// A value as the column keeps it: JSON, which the columns' types know how to read and write.
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn value<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}
