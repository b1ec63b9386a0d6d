//! Orders: takes an order and sees it through three other services.
//!
//! There is no transaction over four databases. What there is instead:
//! - [`order`]: an order, the states it goes through, and what it still *owes* the others
//! - [`book`]: the table of orders; a row is written before the first call, so that nothing is forgotten
//! - [`peers`]: the calls to the other services, each behind a guard of the library
//! - [`place`]: the way forward: authorize, allocate, capture
//! - [`settle`]: the way out: debts are paid until none is left, now or after the next start; [`rest`]: when
//!   those who gave no answer are asked again
//!
//! This is a saga written by hand.

pub mod book;
pub mod order;
pub mod peers;
pub mod place;
pub mod prices;
pub mod rest;
pub mod settle;

pub use book::SCHEMA;
pub use settle::settle_for_ever;

use crate::once::{self, Key, another_body};
use crate::reply::{self, Reply};
use crate::settings;
use crate::store::Store;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{Router, get, post};
use book::{Begun, Book};
use peers::Peers;
use rest::Rests;
use std::sync::Arc;
use tokio::sync::Notify;

/// What the service works with; clones share it.
#[derive(Clone)]
pub struct Shop {
    book: Book,
    peers: Arc<Peers>,
    /// Woken when an order owes something.
    debts: Arc<Notify>,
    /// Who is left alone, and how long.
    rests: Arc<Rests>,
}

impl Shop {
    /// Opens the book, and hands what a crash cut off to [`settle`].
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn open(store: Store, peers: settings::Peers) -> Result<Self, String> {
        let book = Book::new(store);
        let interrupted = book.recover().await.map_err(|error| format!("cannot recover: {error:?}"))?;
        if interrupted > 0 {
            eprintln!("orders: {interrupted} orders were cut off by the last stop and will be settled");
        }
        Ok(Self { book, peers: Arc::new(Peers::new(peers)), debts: Arc::default(), rests: Arc::default() })
    }
}

/// The service's routes.
pub fn routes(shop: Shop) -> Router {
    Router::new()
        .route("/orders", post(take))
        .route("/orders/{id}", get(show))
        .route("/effects", get(effects))
        .with_state(shop)
}

/// Takes an order and answers what became of it.
async fn take(State(shop): State<Shop>, headers: HeaderMap, body: Bytes) -> Result<Reply, Reply> {
    let key = Key::find(&headers)?;
    let wish: order::Wish = reply::read(&body, r#"{"items": [{"sku": "A47", "qty": 2}]}"#)?;
    let total = prices::total(&wish.items)?;
    match shop.book.begin(key, body, wish.items, total).await? {
        Begun::New(order) => Ok(place::see_through(shop, order).await?.reply()),
        Begun::Known(order) => Ok(Reply { replayed: true, ..order.reply() }),
        Begun::AnotherBody => Err(another_body()),
    }
}

/// Shows an order as it stands.
async fn show(State(shop): State<Shop>, Path(id): Path<String>) -> Result<Reply, Reply> {
    match shop.book.find(&id).await? {
        Some(order) => Ok(Reply::new(StatusCode::OK, &order.shown())),
        None => Err(Reply::problem(
            StatusCode::NOT_FOUND,
            format!("there is no order {id}"),
            "POST /orders makes one",
        )),
    }
}

async fn effects(State(shop): State<Shop>) -> Result<Reply, Reply> {
    Ok(shop.book.store().run(once::effects).await?)
}
