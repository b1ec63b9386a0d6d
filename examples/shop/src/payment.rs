//! Payment: holds money (authorize), takes it (capture) or lets it go (reverse).
//!
//! Its one hard case: the caller gave up on an authorization that is still on its way, and sends the
//! reversal. The reversal arrives first and finds nothing. Answering "not found" would be a trap: the
//! authorization would then arrive and hold the money for ever. So a reversal is remembered even if there
//! is nothing to reverse, and the late authorization is refused.

use crate::money::Amount;
use crate::once::{self, Key, note, once};
use crate::reply::{self, Reply};
use crate::store::Store;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{Router, get, post};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use serde_json::json;

/// The tables.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS payments (
    order_id TEXT PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('authorized', 'captured', 'reversed')),
    amount TEXT
) STRICT, WITHOUT ROWID;
";

/// The most one order may cost. More is declined, as a card with a limit would.
const LIMIT: Amount = Amount::euro_cents(1_000_000);

/// The service's routes.
pub fn routes(store: Store) -> Router {
    Router::new()
        .route("/authorizations", post(authorize))
        .route("/captures", post(capture))
        .route("/reversals", post(reverse))
        .route("/effects", get(effects))
        .with_state(store)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorization {
    order_id: String,
    amount: Amount,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    order_id: String,
}

/// Holds the money of one order.
async fn authorize(State(store): State<Store>, headers: HeaderMap, body: Bytes) -> Result<Reply, Reply> {
    let key = Key::demand(&headers)?;
    let wish: Authorization =
        reply::read(&body, r#"{"order_id": "..", "amount": {"value": 4200, "currency": "EUR"}}"#)?;
    let reply = store.run(move |db| {
        once(db, "authorize", &key, &body, |db| match state(db, &wish.order_id)?.as_deref() {
            Some("reversed") => Ok(conflict("reversed before it arrived: nothing was authorized")),
            Some(_) => Ok(conflict("this order is already paid under another key")),
            None if wish.amount.value > LIMIT.value => Ok(declined(wish.amount)),
            None => {
                db.prepare_cached("INSERT INTO payments VALUES (?, 'authorized', ?)")?
                    .execute(params![wish.order_id, json!(wish.amount).to_string()])?;
                note(db, "authorized", &wish.order_id)?;
                let body = json!({ "order_id": wish.order_id, "state": "authorized", "amount": wish.amount });
                Ok(Reply::new(StatusCode::CREATED, &body))
            }
        })
    });
    Ok(reply.await?)
}

/// Takes the money that was held.
async fn capture(State(store): State<Store>, headers: HeaderMap, body: Bytes) -> Result<Reply, Reply> {
    let key = Key::demand(&headers)?;
    let wish: Which = reply::read(&body, r#"{"order_id": ".."}"#)?;
    let reply = store.run(move |db| {
        once(db, "capture", &key, &body, |db| match state(db, &wish.order_id)?.as_deref() {
            Some("authorized") => change(db, &wish.order_id, "captured"),
            Some("captured") => Ok(conflict("already captured under another key")),
            _ => Ok(conflict("there is no authorization to capture")),
        })
    });
    Ok(reply.await?)
}

/// Lets go of what was held, or forbids what has not arrived yet.
async fn reverse(State(store): State<Store>, headers: HeaderMap, body: Bytes) -> Result<Reply, Reply> {
    let key = Key::demand(&headers)?;
    let wish: Which = reply::read(&body, r#"{"order_id": ".."}"#)?;
    let reply = store.run(move |db| {
        once(db, "reverse", &key, &body, |db| match state(db, &wish.order_id)?.as_deref() {
            Some("authorized") => change(db, &wish.order_id, "reversed"),
            Some("captured") => Ok(conflict("already captured: this needs a refund, not a reversal")),
            // Nothing there (yet): remember the wish, so that what arrives late is refused.
            _ => {
                db.prepare_cached("INSERT OR IGNORE INTO payments VALUES (?, 'reversed', NULL)")?
                    .execute([&wish.order_id])?;
                Ok(changed(&wish.order_id, "reversed"))
            }
        })
    });
    Ok(reply.await?)
}

async fn effects(State(store): State<Store>) -> Result<Reply, Reply> {
    Ok(store.run(once::effects).await?)
}

fn state(db: &Connection, order_id: &str) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("SELECT state FROM payments WHERE order_id = ?")?
        .query_row([order_id], |row| row.get(0))
        .optional()
}

fn change(db: &Connection, order_id: &str, state: &str) -> rusqlite::Result<Reply> {
    db.prepare_cached("UPDATE payments SET state = ? WHERE order_id = ?")?.execute([state, order_id])?;
    note(db, state, order_id)?;
    Ok(changed(order_id, state))
}

fn changed(order_id: &str, state: &str) -> Reply {
    Reply::new(StatusCode::CREATED, &json!({ "order_id": order_id, "state": state }))
}

fn conflict(why: &str) -> Reply {
    Reply::problem(StatusCode::CONFLICT, why, "do not repeat this: the answer stays the same")
}

fn declined(amount: Amount) -> Reply {
    let why = format!("declined: {amount} is over the limit of {LIMIT}");
    Reply::problem(StatusCode::PAYMENT_REQUIRED, why, "order for less")
}
