//! Inventory: puts goods aside for an order (allocate) and puts them back (release).
//!
//! As in `payment`, a release that comes before its allocation is remembered, and the late allocation
//! is refused.

use crate::once::{self, Key, note, once};
use crate::reply::{self, Reply};
use crate::store::Store;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{Router, get, post};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The tables, and the first delivery: plenty of most things, and one that is sold out.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS stock (
    sku TEXT PRIMARY KEY, quantity INTEGER NOT NULL CHECK (quantity >= 0)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO stock VALUES ('A47', 1000000), ('B12', 1000000), ('C03', 5), ('Z99', 0);
CREATE TABLE IF NOT EXISTS allocations (
    order_id TEXT PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('allocated', 'released')), items TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// So many of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Which thing.
    pub sku: String,
    /// How many.
    pub qty: u32,
}

/// The service's routes.
pub fn routes(store: Store) -> Router {
    Router::new()
        .route("/allocations", post(allocate))
        .route("/releases", post(release))
        .route("/stock", get(stock))
        .route("/stock/{sku}", get(stock_of))
        .route("/effects", get(effects))
        .with_state(store)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allocation {
    order_id: String,
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    order_id: String,
}

/// Puts all items of an order aside, or none of them.
async fn allocate(State(store): State<Store>, headers: HeaderMap, body: Bytes) -> Result<Reply, Reply> {
    let key = Key::demand(&headers)?;
    let wish: Allocation = reply::read(&body, r#"{"order_id": "..", "items": [{"sku": "A47", "qty": 2}]}"#)?;
    let reply = store.run(move |db| {
        once(db, "allocate", &key, &body, |db| match allocation(db, &wish.order_id)? {
            Some((state, _)) if state == "released" => {
                Ok(conflict("released before it arrived: nothing was allocated"))
            }
            Some(_) => Ok(conflict("this order is already allocated under another key")),
            None => match missing(db, &wish.items)? {
                Some(problem) => Ok(problem),
                None => {
                    move_stock(db, &wish.items, "UPDATE stock SET quantity = quantity - ? WHERE sku = ?")?;
                    db.prepare_cached("INSERT INTO allocations VALUES (?, 'allocated', ?)")?
                        .execute(params![wish.order_id, json!(wish.items).to_string()])?;
                    note(db, "allocated", &wish.order_id)?;
                    Ok(done(&wish.order_id, "allocated"))
                }
            },
        })
    });
    Ok(reply.await?)
}

/// Puts the items of an order back, or forbids an allocation that has not arrived yet.
async fn release(State(store): State<Store>, headers: HeaderMap, body: Bytes) -> Result<Reply, Reply> {
    let key = Key::demand(&headers)?;
    let wish: Which = reply::read(&body, r#"{"order_id": ".."}"#)?;
    let reply = store.run(move |db| {
        once(db, "release", &key, &body, |db| {
            match allocation(db, &wish.order_id)? {
                Some((state, items)) if state == "allocated" => {
                    move_stock(db, &items, "UPDATE stock SET quantity = quantity + ? WHERE sku = ?")?;
                    db.prepare_cached("UPDATE allocations SET state = 'released' WHERE order_id = ?")?
                        .execute([&wish.order_id])?;
                    note(db, "released", &wish.order_id)?;
                }
                Some(_) => {}
                None => {
                    db.prepare_cached("INSERT INTO allocations VALUES (?, 'released', '[]')")?
                        .execute([&wish.order_id])?;
                }
            }
            Ok(done(&wish.order_id, "released"))
        })
    });
    Ok(reply.await?)
}

/// What is there of everything.
async fn stock(State(store): State<Store>) -> Result<Reply, Reply> {
    let all = store.run(|db| {
        db.prepare_cached("SELECT sku, quantity FROM stock ORDER BY sku")?
            .query_map([], |row| {
                Ok(json!({ "sku": row.get::<_, String>(0)?, "quantity": row.get::<_, i64>(1)? }))
            })?
            .collect::<rusqlite::Result<Vec<Value>>>()
    });
    Ok(Reply::new(StatusCode::OK, &json!({ "stock": all.await? })))
}

/// What is there of one thing.
async fn stock_of(State(store): State<Store>, Path(sku): Path<String>) -> Result<Reply, Reply> {
    let asked = sku.clone();
    match store.run(move |db| quantity(db, &asked)).await? {
        Some(quantity) => Ok(Reply::new(StatusCode::OK, &json!({ "sku": sku, "quantity": quantity }))),
        None => Err(unknown(&sku)),
    }
}

async fn effects(State(store): State<Store>) -> Result<Reply, Reply> {
    Ok(store.run(once::effects).await?)
}

/// Why the items cannot be put aside, if they cannot. A thing that is asked for twice in one order is
/// counted together: each line alone might fit where both do not.
fn missing(db: &Connection, items: &[Item]) -> rusqlite::Result<Option<Reply>> {
    for item in items {
        let Some(there) = quantity(db, &item.sku)? else { return Ok(Some(unknown(&item.sku))) };
        let asked: i64 =
            items.iter().filter(|other| other.sku == item.sku).map(|other| i64::from(other.qty)).sum();
        if there < asked {
            let why = format!("out of stock: {asked} of {} asked for, {there} there", item.sku);
            return Ok(Some(Reply::problem(
                StatusCode::CONFLICT,
                why,
                "order less of it, or something else",
            )));
        }
    }
    Ok(None)
}

fn quantity(db: &Connection, sku: &str) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT quantity FROM stock WHERE sku = ?")?
        .query_row([sku], |row| row.get(0))
        .optional()
}

fn move_stock(db: &Connection, items: &[Item], change: &str) -> rusqlite::Result<()> {
    let mut change = db.prepare_cached(change)?;
    items.iter().try_for_each(|item| change.execute(params![item.qty, item.sku]).map(drop))
}

fn allocation(db: &Connection, order_id: &str) -> rusqlite::Result<Option<(String, Vec<Item>)>> {
    db.prepare_cached("SELECT state, items FROM allocations WHERE order_id = ?")?
        .query_row([order_id], |row| {
            let items: String = row.get(1)?;
            Ok((row.get(0)?, serde_json::from_str(&items).unwrap_or_default()))
        })
        .optional()
}

fn done(order_id: &str, state: &str) -> Reply {
    Reply::new(StatusCode::CREATED, &json!({ "order_id": order_id, "state": state }))
}

fn conflict(why: &str) -> Reply {
    Reply::problem(StatusCode::CONFLICT, why, "do not repeat this: the answer stays the same")
}

fn unknown(sku: &str) -> Reply {
    Reply::problem(StatusCode::NOT_FOUND, format!("there is no {sku}"), "GET /stock lists what there is")
}
