//! What orders owe, while those whom they owe it are not there.

use crate::town::Town;
use axum::http::{StatusCode, header};
use axum::routing::{Router, post};
use serde_json::json;
use shop::Service;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn a_broken_inventory_is_asked_ever_less_for_what_it_is_owed_and_all_is_settled_when_it_is_back() {
    let mut town = Town::new().await;
    let inventory = town.inventory.take().unwrap();
    let address = inventory.address();
    inventory.stop().await;
    let releases = Arc::new(AtomicU32::new(0));
    let mut broken = broken(address, Arc::clone(&releases)).await;

    // Five: three tries each are too few for the breaker, which would hide how often we ask.
    let mut orders = Vec::new();
    for _ in 0..5 {
        let answer = town.order("A47", None).await;
        assert_eq!(answer.status, 503);
        orders.push(answer.order_id().to_owned());
    }
    sleep(Duration::from_secs(3)).await;
    // At once, after half a second at least, and after another second at least: three questions of three
    // tries, and room for two orders in the first. Each order each second would be five times as many.
    let asked = releases.load(Ordering::Relaxed);
    assert!((6..=12).contains(&asked), "{asked}");
    for id in &orders {
        let order = town.get(town.address(&town.orders), &format!("/orders/{id}")).await;
        assert_eq!(order["owes"], json!(["release"]), "payment is well, and what it is owed does not wait");
    }

    broken.shutdown().await;
    town.inventory = Some(town.start(Service::Inventory, address).await);
    let back = Instant::now();
    for id in &orders {
        town.settled(id).await;
    }
    // The fourth question comes four seconds after the third at the latest. The rest is room for a busy
    // machine.
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
}

/// Answers everything by a 503 on a connection of its own, and counts the releases.
async fn broken(address: SocketAddr, releases: Arc<AtomicU32>) -> JoinSet<()> {
    let no = || async { (StatusCode::SERVICE_UNAVAILABLE, [(header::CONNECTION, "close")]) };
    let count = move || {
        releases.fetch_add(1, Ordering::Relaxed);
        no()
    };
    let app = Router::new().route("/releases", post(count)).route("/allocations", post(no));
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let mut server = JoinSet::new(); // ends with the test
    server.spawn(async move { axum::serve(listener, app).await.unwrap() });
    server
}
