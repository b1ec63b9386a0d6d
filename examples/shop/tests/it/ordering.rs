//! One order, and what goes wrong with it.

use crate::town::Town;
use axum::http::StatusCode;
use axum::routing::{Router, post};
use serde_json::json;
use shop::Service;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

const STOCK: u64 = 1_000_000;

#[tokio::test]
async fn an_order_is_confirmed_paid_and_put_aside() {
    let town = Town::new().await;
    let answer = town.order("A47", None).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.body["status"], "confirmed");
    assert_eq!(answer.body["total"], json!({ "value": 4_200, "currency": "EUR" }));

    let shown = town.settled(answer.order_id()).await;
    assert_eq!(shown, answer.body);
    assert_eq!(town.effects(&town.payment, "captured").await, (1, 1));
    let stock = town.get(town.address(&town.inventory), "/stock/A47").await;
    assert_eq!(stock["quantity"], STOCK - 2);
}

#[tokio::test]
async fn what_is_out_of_stock_is_not_paid() {
    let town = Town::new().await;
    let answer = town.order("Z99", None).await;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.body["status"], "failed");
    assert!(answer.body["error"].as_str().unwrap().contains("out of stock"), "{}", answer.body);

    town.settled(answer.order_id()).await;
    assert_eq!(town.effects(&town.payment, "authorized").await, (1, 1));
    assert_eq!(town.effects(&town.payment, "reversed").await, (1, 1));
    assert_eq!(town.effects(&town.payment, "captured").await, (0, 0));
}

#[tokio::test]
async fn what_is_too_dear_is_declined_and_leaves_nothing_to_undo() {
    let town = Town::new().await;
    let body = r#"{"items":[{"sku":"C03","qty":900}]}"#;
    let answer = town.post(town.address(&town.orders), "/orders", None, body).await;
    assert_eq!(answer.status, 402);
    assert_eq!(answer.body["owes"], json!([]));
    assert_eq!(town.effects(&town.inventory, "allocated").await, (0, 0));
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_by_what_to_do() {
    let town = Town::new().await;
    let orders = town.address(&town.orders);
    for body in ["", "{}", r#"{"items":[]}"#, r#"{"item":[]}"#, r#"{"items":[{"sku":"A47","qty":-1}]}"#] {
        let answer = town.post(orders, "/orders", None, body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.body["error"].is_string() && answer.body["do"].is_string(), "{}", answer.body);
    }
    assert_eq!(town.get(orders, "/effects").await, json!({}), "nothing was begun");
}

#[tokio::test]
async fn without_inventory_the_order_fails_and_the_money_is_let_go() {
    let mut town = Town::new().await;
    town.inventory.take().unwrap().stop().await;
    let answer = town.order("A47", None).await;
    assert_eq!(answer.status, 503);

    // Refused connections had surely no effect, so inventory is owed nothing while it is away.
    town.settled(answer.order_id()).await;
    assert_eq!(town.effects(&town.payment, "reversed").await, (1, 1));
}

#[tokio::test]
async fn without_payment_the_order_fails_and_owes_nothing() {
    let mut town = Town::new().await;
    town.payment.take().unwrap().stop().await;
    let answer = town.order("A47", None).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body["owes"], json!([]));
}

#[tokio::test]
async fn a_payment_that_hangs_is_given_up_by_the_deadline_and_what_may_be_held_is_reversed() {
    let mut town = Town::new().await;
    let payment = town.payment.take().unwrap();
    let address = payment.address();
    payment.stop().await;
    // Accepts connections and says nothing.
    let silent = tokio::net::TcpListener::bind(address).await.unwrap();

    let answer = town.order("A47", None).await;
    assert_eq!(answer.status, 504, "{}", answer.body);
    assert_eq!(answer.body["owes"], json!(["reversal"]), "the money may be held");

    drop(silent);
    town.payment = Some(town.start(Service::Payment, address).await);
    town.settled(answer.order_id()).await;
    assert_eq!(town.effects(&town.payment, "authorized").await, (0, 0));
}

#[tokio::test]
async fn without_notification_the_order_is_confirmed_all_the_same() {
    let mut town = Town::new().await;
    town.notification.take().unwrap().stop().await;
    assert_eq!(town.order("A47", None).await.status, 201);
}

#[tokio::test]
async fn an_inventory_that_hangs_is_given_up_by_the_deadline_and_released_when_it_is_back() {
    let mut town = Town::new().await;
    let inventory = town.inventory.take().unwrap();
    let address = inventory.address();
    inventory.stop().await;
    // Accepts connections and says nothing.
    let silent = tokio::net::TcpListener::bind(address).await.unwrap();

    let answer = town.order("A47", None).await;
    assert_eq!(answer.status, 504, "{}", answer.body);
    assert_eq!(answer.body["status"], "failed");

    drop(silent);
    town.inventory = Some(town.start(Service::Inventory, address).await);
    town.settled(answer.order_id()).await;
    assert_eq!(town.effects(&town.payment, "reversed").await, (1, 1));
    // The allocation never arrived; if it comes now, it is refused.
    let late = format!(r#"{{"order_id":"{}","items":[{{"sku":"A47","qty":2}}]}}"#, answer.order_id());
    let late = town.post(address, "/allocations", Some(answer.order_id()), &late).await;
    assert_eq!(late.status, 409);
    let stock = town.get(address, "/stock/A47").await;
    assert_eq!(stock["quantity"], STOCK);
}

#[tokio::test]
async fn a_customers_deadline_reaches_through_orders() {
    let mut town = Town::new().await;
    let inventory = town.inventory.take().unwrap();
    let address = inventory.address();
    inventory.stop().await;
    let _silent = tokio::net::TcpListener::bind(address).await.unwrap();

    let began = Instant::now();
    let answer = town.order_within("A47", Duration::from_millis(100)).await;
    assert_eq!(answer.status, 504, "{}", answer.body);
    // The policy alone would wait 300 ms. The rest is room for a busy machine.
    assert!(began.elapsed() < Duration::from_millis(250), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_inventory_that_only_fails_is_left_alone() {
    let mut town = Town::new().await;
    let inventory = town.inventory.take().unwrap();
    let address = inventory.address();
    inventory.stop().await;
    let asked = Arc::new(AtomicU32::new(0));
    let _broken = broken(address, Arc::clone(&asked)).await;

    // Three tries an order: the breaker has its twenty calls after seven orders.
    for _ in 0..10 {
        let answer = town.order("A47", None).await;
        assert_eq!(answer.status, 503, "{}", answer.body);
    }
    let before = asked.load(Ordering::Relaxed);
    let last = town.order("A47", None).await;
    assert!(last.body["error"].as_str().unwrap().contains("breaker open"), "{}", last.body);
    assert_eq!(asked.load(Ordering::Relaxed), before, "nothing was sent");
    assert!((20..30).contains(&before), "{before}");
}

/// Answers every allocation by a 503, and counts them.
async fn broken(address: SocketAddr, asked: Arc<AtomicU32>) -> JoinSet<()> {
    let count = move || {
        asked.fetch_add(1, Ordering::Relaxed);
        async { StatusCode::SERVICE_UNAVAILABLE }
    };
    let app = Router::new().route("/allocations", post(count));
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let mut server = JoinSet::new(); // ends with the test
    server.spawn(async move { axum::serve(listener, app).await.unwrap() });
    server
}
