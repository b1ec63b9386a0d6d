//! Payment: holds money (authorize), takes it (capture) or lets it go (reverse). It speaks gRPC.
//!
//! Its one hard case: the caller gave up on an authorization that is still on its way, and sends the
//! reversal. The reversal arrives first and finds nothing. Answering "not found" would be a trap: the
//! authorization would then arrive and hold the money for ever. So a reversal is remembered even if there
//! is nothing to reverse, and the late authorization is refused.
//!
//! - [`generated`]: what `proto/bowline/shop/v1/payment.proto` says, as Rust
//! - [`status`]: an answer as it is stored, as gRPC says it

#[expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes,
    reason = "the .proto file is where it is documented, and the generator has its own style"
)]
#[rustfmt::skip]
pub mod generated;
pub mod status;

use crate::money::{Amount, Currency};
use crate::once::{self, Key, note, once};
use crate::reply::Reply;
use crate::store::Store;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{Router, get};
use generated::payment_server::{Payment, PaymentServer};
use generated::{AuthorizeRequest, CaptureRequest, PaymentState, ReverseRequest};
use prost::Message;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use tonic::{Request, Response, Status, async_trait};

/// The tables.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS payments (
    order_id TEXT PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('authorized', 'captured', 'reversed')),
    amount TEXT
) STRICT, WITHOUT ROWID;
";

/// The most one order may cost. More is declined, as a card with a limit would.
const LIMIT: Amount = Amount::euro_cents(1_000_000);

/// The largest message: a key, an amount, an order's name.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// The service's routes: gRPC, and beside it what every service shows over HTTP.
pub fn routes(store: Store) -> Router {
    let till = Till { store: store.clone() };
    let grpc = PaymentServer::new(till).max_decoding_message_size(MESSAGE_BYTES_MAX);
    Router::new()
        .route_service("/bowline.shop.v1.Payment/{method}", grpc)
        .route("/effects", get(effects))
        .with_state(store)
}

/// Where the money is.
#[derive(Clone)]
struct Till {
    store: Store,
}

#[async_trait]
impl Payment for Till {
    /// Holds the money of one order.
    async fn authorize(&self, request: Request<AuthorizeRequest>) -> Result<Response<PaymentState>, Status> {
        let (key, wish) = read(request)?;
        let Some(amount) = wish.amount.and_then(known) else {
            return Err(Status::invalid_argument("no amount in EUR; send whole cents and CURRENCY_EUR"));
        };
        let body = wish.encode_to_vec();
        self.answer(move |db| {
            once(db, "authorize", &key, &body, |db| match state(db, &wish.order_id)?.as_deref() {
                Some("reversed") => Ok(conflict("reversed before it arrived: nothing was authorized")),
                Some(_) => Ok(conflict("this order is already paid under another key")),
                None if amount.value > LIMIT.value => Ok(declined(amount)),
                None => {
                    db.prepare_cached("INSERT INTO payments VALUES (?, 'authorized', ?)")?
                        .execute(params![wish.order_id, json!(amount).to_string()])?;
                    note(db, "authorized", &wish.order_id)?;
                    Ok(changed(&wish.order_id, "authorized"))
                }
            })
        })
        .await
    }

    /// Takes the money that was held.
    async fn capture(&self, request: Request<CaptureRequest>) -> Result<Response<PaymentState>, Status> {
        let (key, wish) = read(request)?;
        let body = wish.encode_to_vec();
        self.answer(move |db| {
            once(db, "capture", &key, &body, |db| match state(db, &wish.order_id)?.as_deref() {
                Some("authorized") => change(db, &wish.order_id, "captured"),
                Some("captured") => Ok(conflict("already captured under another key")),
                _ => Ok(conflict("there is no authorization to capture")),
            })
        })
        .await
    }

    /// Lets go of what was held, or forbids what has not arrived yet.
    async fn reverse(&self, request: Request<ReverseRequest>) -> Result<Response<PaymentState>, Status> {
        let (key, wish) = read(request)?;
        let body = wish.encode_to_vec();
        self.answer(move |db| {
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
        })
        .await
    }
}

impl Till {
    /// Does `work` in a transaction, and says what came of it.
    async fn answer(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<Reply> + Send + 'static,
    ) -> Result<Response<PaymentState>, Status> {
        let reply = self.store.run(work).await.unwrap_or_else(Reply::from);
        status::of_reply(&reply)
    }
}

/// The key of a request, and what it asks for.
fn read<T>(request: Request<T>) -> Result<(Key, T), Status> {
    let (metadata, _, wish) = request.into_parts();
    let key = Key::demand(&metadata.into_headers()).map_err(|reply| status::refused(&reply))?;
    Ok((key, wish))
}

/// An amount in a currency that the shop takes.
fn known(amount: generated::Amount) -> Option<Amount> {
    let currency = match amount.currency() {
        generated::Currency::Eur => Currency::Eur,
        generated::Currency::Unspecified => return None,
    };
    Some(Amount { value: amount.value, currency })
}

/// What payment's clients send for an amount.
impl From<Amount> for generated::Amount {
    fn from(amount: Amount) -> Self {
        let Currency::Eur = amount.currency;
        Self { value: amount.value, currency: generated::Currency::Eur.into() }
    }
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
