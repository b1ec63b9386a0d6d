//! Notification: tells the customer. Deliberately **not** idempotent.
//!
//! A message that left the house cannot be called back, and this service keeps no keys: asked twice, it
//! sends twice. The design says so (`idempotent: false`), and so nobody asks again unless it is sure that
//! the first request did not arrive. Not told is better than told twice.

use crate::once::{self, note};
use crate::reply::{self, Reply};
use crate::store::Store;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{Router, get, post};
use serde::Deserialize;
use serde_json::json;

/// The table: what was sent, in place of a mail server.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS sent (order_id TEXT NOT NULL, text TEXT NOT NULL) STRICT;
";

/// The service's routes.
pub fn routes(store: Store) -> Router {
    Router::new().route("/notifications", post(send)).route("/effects", get(effects)).with_state(store)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Notification {
    order_id: String,
    text: String,
}

async fn send(State(store): State<Store>, body: Bytes) -> Result<Reply, Reply> {
    let wish: Notification = reply::read(&body, r#"{"order_id": "..", "text": ".."}"#)?;
    let reply = store.run(move |db| {
        db.prepare_cached("INSERT INTO sent VALUES (?, ?)")?.execute([&wish.order_id, &wish.text])?;
        note(db, "sent", &wish.order_id)?;
        Ok(Reply::new(StatusCode::CREATED, &json!({ "order_id": wish.order_id, "state": "sent" })))
    });
    Ok(reply.await?)
}

async fn effects(State(store): State<Store>) -> Result<Reply, Reply> {
    Ok(store.run(once::effects).await?)
}
