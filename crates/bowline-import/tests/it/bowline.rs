//! What Bowline itself recorded: the services it stands between are found, though they record nothing.

use crate::otlp::{imported, span, takes, with};
use crate::traces::document;
use crate::{does, loaded, noted};
use bowline_design::Design;
use serde_json::Value;
use std::time::Duration;

const TRACED_SHOP: &str = include_str!("../fixtures/traced-shop.jsonl");

/// A try of Bowline's, sent to `destination`.
fn tried(span: Value, destination: &str, number: &str, end: &str) -> Value {
    let told = [
        ("bowline.destination", destination),
        ("bowline.try", number),
        ("bowline.end", end),
        ("http.request.method", "GET"),
        ("server.address", "127.0.0.1"),
    ];
    with(span, &told)
}

/// A request that came in by `listener`.
fn came_in(span: Value, listener: &str, destination: &str) -> Value {
    let told = [("bowline.listener", listener), ("bowline.destination", destination)];
    with(span, &told)
}

fn services(design: &Design) -> Vec<&str> {
    let mut names: Vec<&str> = design.services.iter().map(|service| &*service.name).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_shop_that_bowline_traced_is_found_again_with_all_its_services() {
    let imported = imported(TRACED_SHOP);
    let found = loaded(&imported);
    assert_eq!(services(&found), ["gateway", "inventory", "orders", "payment"], "{}", imported.design);
    assert_eq!(does(&found, "gateway", "post-place-order"), "call orders.place");
    assert_eq!(does(&found, "gateway", "get-stock"), "call inventory.stock");
    assert_eq!(does(&found, "orders", "place"), "call payment.authorize; call inventory.allocate");
    assert_eq!(does(&found, "inventory", "allocate"), "");
    // The median of the six tries in the file, and of six others without what went on by the mesh below them.
    assert_eq!(takes(&found, "payment", "authorize").0, Duration::from_nanos(51_750_454));
    assert_eq!(takes(&found, "orders", "place").0, Duration::from_nanos(89_340_529));
    assert_eq!(noted(&imported, "retries", "for a Policy to say").count, 2);
    noted(&imported, "inventory.allocate", "2 of 8 failed");
    assert!(imported.notes.iter().all(|note| note.subject != "CLIENT spans"), "{:#?}", imported.notes);
    assert_eq!(
        imported.scenarios,
        ["load-gateway-post-place-order", "load-gateway-get-stock", "load-gateway-get"]
    );
}

#[test]
fn services_that_record_their_own_spans_answer_for_themselves() {
    let bowline = [
        came_in(span(1, 0, 2, "GET show", 0, 100), "default/shop", "orders.show"),
        tried(span(2, 1, 3, "GET orders.show", 1, 99), "orders.show", "1", "answered"),
        came_in(span(5, 4, 2, "GET default", 21, 59), "mesh", "stock.count"),
        tried(span(6, 5, 3, "GET stock.count", 22, 58), "stock.count", "1", "answered"),
    ];
    let orders = [span(3, 2, 2, "show", 10, 90), span(4, 3, 3, "GET", 20, 60)];
    let stock = [span(7, 6, 2, "count", 30, 50)];
    let text = [document("edge", &bowline), document("orders", &orders), document("stock-service", &stock)];
    let imported = imported(&text.map(|document| document.to_string()).concat());
    let found = loaded(&imported);
    assert_eq!(services(&found), ["edge", "orders", "stock-service"], "{}", imported.design);
    assert_eq!(does(&found, "edge", "get-show"), "call orders.show");
    assert_eq!(does(&found, "orders", "show"), "call stock-service.count");
    assert_eq!(takes(&found, "stock-service", "count").0, Duration::from_millis(20));
}

#[test]
fn a_try_that_reached_nobody_is_no_answer_and_one_that_asks_again_is_no_second_call() {
    let bowline = [
        came_in(span(1, 0, 2, "GET show", 0, 100), "default/shop", "orders"),
        tried(span(2, 1, 3, "GET orders", 1, 2), "orders", "1", "connect failed"),
        tried(span(3, 1, 3, "GET orders", 3, 40), "orders", "2", "timed out"),
        tried(span(4, 1, 3, "GET orders", 50, 90), "orders", "3", "answered"),
    ];
    let imported = imported(&document("bowline", &bowline).to_string());
    let found = loaded(&imported);
    assert_eq!(takes(&found, "orders", "get").0, Duration::from_millis(37));
    assert!(imported.design.contains("samples: 2"), "{}", imported.design);
    assert_eq!(does(&found, "gateway", "get-show"), "call orders.get");
    assert_eq!(noted(&imported, "retries", "for a Policy to say").count, 1);
    noted(&imported, "CLIENT spans", "counted as own time");
}
