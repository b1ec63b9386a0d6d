//! Traces to a design: what is known of the system they come from is found again.

use crate::traces::{Maker, document};
use crate::{does, loaded, noted};
use bowline_design::{Design, Text};
use bowline_import::{Imported, otlp};
use serde_json::{Value, json};
use std::time::Duration;

#[track_caller]
pub(crate) fn imported(text: &str) -> Imported {
    otlp("traces.json", &mut text.as_bytes(), &mut |_| {}).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn design(yaml: &str) -> Design {
    let texts = [Text { name: "design.yaml".into(), text: yaml.to_owned() }];
    bowline_design::resolve(&bowline_design::read(&texts)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// A span in milliseconds: service, id, parent, kind, begin, end.
pub(crate) fn span(id: u64, parent: u64, kind: u8, name: &str, from: u64, to: u64) -> Value {
    let parent = if parent == 0 { Value::Null } else { json!(format!("{parent:016x}")) };
    json!({
        "traceId": format!("{:032x}", 7), "spanId": format!("{id:016x}"), "parentSpanId": parent,
        "name": name, "kind": kind,
        "startTimeUnixNano": (1_000_000_000_000 + from * 1_000_000).to_string(),
        "endTimeUnixNano": (1_000_000_000_000 + to * 1_000_000).to_string(),
    })
}

pub(crate) fn with(mut span: Value, attributes: &[(&str, &str)]) -> Value {
    let attribute = |(key, value): &(&str, &str)| json!({"key": key, "value": {"stringValue": value}});
    span["attributes"] = attributes.iter().map(attribute).collect();
    span
}

fn in_trace(mut span: Value, trace: u64) -> Value {
    span["traceId"] = json!(format!("{trace:032x}"));
    span
}

pub(crate) fn takes(design: &Design, service: &str, operation: &str) -> (Duration, Duration) {
    let service = design.services.iter().find(|known| *known.name == *service).expect(service);
    let operation = &service.operations[service.operation_named(operation).expect(operation)];
    let takes = operation.takes.as_ref().expect("times");
    (takes.value.p50, takes.value.p99)
}

#[track_caller]
fn close(found: Duration, expected_ms: f64, tolerance: f64) {
    let found = found.as_secs_f64() * 1e3;
    assert!((found / expected_ms - 1.0).abs() < tolerance, "{found} ms instead of {expected_ms} ms");
}

/// The example's services, as they stand in its design.
const SHOP: &str = include_str!("../../../../examples/shop/design/services.yaml");

#[test]
fn the_shop_is_found_again_in_the_traces_it_would_leave() {
    let shop = design(SHOP);
    let mut maker = Maker::of(&shop, 11);
    maker.wire = 250_000;
    maker.requests("orders", "place", 2_000, 5_000_000);
    let imported = imported(&maker.lines());
    let found = loaded(&imported);
    assert_eq!(
        does(&found, "orders", "post-orders"),
        "call payment.authorize; call inventory.post-allocations; call payment.capture; \
         call notification.post-notifications"
    );
    for (service, operation, p50, p99) in [
        ("orders", "post-orders", 2.0, 2.0),
        ("payment", "authorize", 8.0, 40.0),
        ("payment", "capture", 8.0, 40.0),
        ("inventory", "post-allocations", 3.5, 11.6),
        ("notification", "post-notifications", 5.0, 25.0),
    ] {
        let (found_p50, found_p99) = takes(&found, service, operation);
        close(found_p50, p50, 0.06);
        close(found_p99, p99, 0.15);
    }
    // 2000 in 10 s.
    assert!(imported.design.contains("rate: 200/s"), "{}", imported.design);
    assert!(imported.design.contains("network: { latency: 250us }"), "{}", imported.design);
    noted(&imported, "concurrency", "nothing queues");
}

#[test]
fn shares_and_what_goes_on_at_once_are_learned_and_each_way_in_has_its_load() {
    let system = design(
        "kind: Service
metadata: { name: front }
spec:
  operations:
  - { name: sometimes, http: { method: GET, path: /some }, takes: { p50: 2ms, p99: 4ms },
      does: [ { choice: [ { weight: 0.25, does: [ { call: back.one } ] }, { weight: 0.75 } ] } ] }
  - { name: both, http: { method: GET, path: \"/both/{id}\" }, takes: { p50: 1ms, p99: 5ms },
      does: [ { parallel: [ { call: back.one }, { call: back.two } ] } ] }
---
kind: Service
metadata: { name: back }
spec:
  operations:
  - { name: one, http: { method: GET, path: /one }, takes: { p50: 8ms, p99: 9ms } }
  - { name: two, http: { method: GET, path: /two }, takes: { p50: 8ms, p99: 9ms } }
",
    );
    let mut some = Maker::of(&system, 21);
    some.requests("front", "sometimes", 1_000, 5_000_000);
    let mut both = Maker::of(&system, 22);
    both.requests("front", "both", 200, 40_000_000);
    // Ids of traces begin again with each maker.
    let text = some.lines() + &both.lines().replace("\"traceId\":\"0", "\"traceId\":\"f");
    let imported = imported(&text);
    let found = loaded(&imported);
    let sometimes = does(&found, "front", "get-some");
    let share: f64 = sometimes[1..5].parse().expect("a share");
    assert!((0.21..0.29).contains(&share) && sometimes.contains(": call back.get-one, 0.7"), "{sometimes}");
    let at_once = does(&found, "front", "get-both-id");
    assert!(at_once.starts_with('[') && at_once.contains(" | "), "{at_once}");
    assert!(imported.design.contains("rate: 200/s"), "{}", imported.design);
    assert!(imported.design.contains("rate: 25/s"), "{}", imported.design);
    assert_eq!(imported.scenarios, ["load-front-get-some", "load-front-get-both-id"]);
    noted(&imported, "load", "one scenario for each way in");
}

#[test]
fn one_document_and_one_a_line_say_the_same() {
    let spans = [span(1, 0, 2, "GET /a", 0, 10), span(2, 1, 1, "inside", 2, 4)];
    let lines: String =
        spans.iter().map(|span| format!("{}\n", document("a", std::slice::from_ref(span)))).collect();
    let whole = serde_json::to_string_pretty(&document("a", &spans)).unwrap();
    assert_eq!(imported(&lines).design, imported(&whole).design);
}

#[test]
fn numbers_words_and_order_of_fields_are_the_exporters_own() {
    let text = r#"{"resource_spans":[{"scopeSpans":[{"spans":[
        {"kind":"SPAN_KIND_SERVER","name":"x","end_time_unix_nano":20000000,"startTimeUnixNano":1e7,
         "attributes":[{"value":{"stringValue":"Add"},"key":"rpc.method"},{"key":"rpc.service","value":{"stringValue":"shop.Cart"}}],
         "spanId":"AQIDBAUGBwg=","traceId":"AQIDBAUGBwgJCgsMDQ4PEA==","links":[{"traceId":"00"}],"flags":257}]}],
        "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"Cart Service"}}],"droppedAttributesCount":0}}]}"#;
    let imported = imported(text);
    assert!(imported.design.contains("grpc: \"shop.Cart/Add\""), "{}", imported.design);
    let found = loaded(&imported);
    assert_eq!(takes(&found, "cart-service", "add").0, Duration::from_millis(10));
}

#[test]
fn own_time_is_without_the_union_of_what_is_waited_for() {
    // 100 ms, of which two calls that overlap cover 10..50, and one more 60..70.
    let a = [
        span(1, 0, 2, "a", 0, 100),
        span(2, 1, 3, "call", 10, 40),
        span(3, 1, 3, "call", 30, 50),
        span(4, 1, 1, "inside", 55, 75),
        span(5, 4, 3, "call", 60, 70),
    ];
    let b = [span(12, 2, 2, "b", 12, 39), span(13, 3, 2, "c", 31, 50), span(15, 5, 2, "d", 61, 69)];
    let text = format!("{}{}", document("a", &a), document("b", &b));
    let imported = imported(&text);
    let found = loaded(&imported);
    assert_eq!(takes(&found, "a", "a").0, Duration::from_millis(50));
    assert_eq!(does(&found, "a", "a"), "[call b.b | call b.c]; call b.d");
    assert!(imported.design.contains("# the slowest of 1 stands for p99"), "{}", imported.design);
}

#[test]
fn calls_that_stand_for_one_another_are_one_choice() {
    let mut spans = (Vec::new(), Vec::new());
    for n in 0..100_u64 {
        let which = if n % 4 == 0 { "left" } else { "right" };
        spans.0.push(in_trace(span(1, 0, 2, "a", n * 100, n * 100 + 20), n + 1));
        spans.1.push(in_trace(span(2, 1, 2, which, n * 100 + 5, n * 100 + 15), n + 1));
    }
    let imported = imported(&format!("{}{}", document("a", &spans.0), document("b", &spans.1)));
    let does = does(&loaded(&imported), "a", "a");
    assert!(
        does == "{0.25: call b.left, 0.75: call b.right}"
            || does == "{0.75: call b.right, 0.25: call b.left}",
        "{does}"
    );
}

#[test]
fn records_become_a_topic_and_who_takes_them_a_subscription() {
    let topic = ("messaging.destination.name", "orders.placed");
    let a = [span(1, 0, 2, "a", 0, 10), with(span(2, 1, 4, "send", 2, 3), &[topic])];
    let b = [with(span(3, 2, 5, "process", 50, 60), &[topic, ("messaging.consumer.group.name", "billing")])];
    let imported = imported(&format!("{}{}", document("a", &a), document("b", &b)));
    let found = loaded(&imported);
    assert_eq!(does(&found, "a", "a"), "publish orders-placed");
    let subscription = &found.subscriptions[0];
    assert_eq!(&*subscription.group, "billing");
    assert_eq!(takes(&found, "a", "a").0, Duration::from_millis(9));
    assert_eq!(imported.scenarios, ["load"], "a record is no way in");
    noted(&imported, "Broker", "not in traces");
}

#[test]
fn who_has_no_spans_of_its_own_is_a_service_all_the_same() {
    let a = [
        span(1, 0, 2, "a", 0, 100),
        with(span(2, 1, 3, "SELECT", 10, 40), &[("db.system.name", "postgresql")]),
    ];
    let imported = imported(&document("a", &a).to_string());
    let found = loaded(&imported);
    assert_eq!(does(&found, "a", "a"), "call postgresql.call");
    assert_eq!(takes(&found, "postgresql", "call").0, Duration::from_millis(30));
    assert_eq!(takes(&found, "a", "a").0, Duration::from_millis(70));
    noted(&imported, "postgresql", "without spans of its own");
}

#[test]
fn what_does_not_fit_is_counted_and_noted() {
    let a = [
        span(1, 0, 2, "a", 0, 100),
        span(2, 1, 3, "call", 10, 40),
        span(2, 1, 3, "call", 10, 40),
        with(span(3, 1, 3, "call", 50, 60), &[("http.request.resend_count", "1")]),
        span(4, 1, 3, "call", 70, 80),
        // They cause one another.
        span(6, 7, 1, "x", 0, 1),
        span(7, 6, 1, "y", 0, 1),
        span(8, 1, 2, "backwards", 9, 3),
    ];
    let b = [
        span(12, 2, 2, "b", 5, 42),
        span(13, 3, 2, "b", 51, 59),
        // Its caller is not there.
        span(20, 99, 2, "b", 0, 10),
    ];
    let mut failed = span(1, 0, 2, "a", 0, 1);
    failed["status"] = json!({"code": 2});
    let a: Vec<Value> = a.into_iter().chain([in_trace(failed, 8)]).collect();
    let imported = imported(&format!("{}{}", document("a", &a), document("b", &b)));
    loaded(&imported);
    noted(&imported, "spans", "a second one with the same id");
    noted(&imported, "spans", "orphans");
    assert_eq!(noted(&imported, "spans", "in a circle").count, 2);
    noted(&imported, "spans", "with an end before it");
    noted(&imported, "retries", "not written as calls");
    noted(&imported, "CLIENT spans", "counted as own time");
    noted(&imported, "a -> b", "outside the call by up to 5ms");
    noted(&imported, "a.a", "1 of 2 failed");
}

#[test]
fn instances_are_replicas_and_paths_of_frameworks_are_paths() {
    let of = |instance: &str, trace: u64| {
        let path = [("http.method", "GET"), ("http.route", "/users/:id/<part>")];
        let mut document = document("a", &[in_trace(with(span(1, 0, 2, "x", 0, 5), &path), trace)]);
        let attribute = json!({"key": "service.instance.id", "value": {"stringValue": instance}});
        document["resourceSpans"][0]["resource"]["attributes"].as_array_mut().unwrap().push(attribute);
        document.to_string()
    };
    let imported = imported(&(of("one", 1) + &of("two", 2) + &of("one", 3)));
    let found = loaded(&imported);
    assert_eq!(found.services[0].replicas.value, 2);
    assert!(imported.design.contains("path: \"/users/{id}/{part}\""), "{}", imported.design);
}

#[test]
fn one_name_in_two_namespaces_is_two_services() {
    let of = |namespace: Option<&str>, trace: u64, to: u64| {
        let mut document = document("cart", &[in_trace(span(1, 0, 2, "add", 0, to), trace)]);
        let attribute = json!({"key": "service.namespace", "value": {"stringValue": namespace}});
        document["resourceSpans"][0]["resource"]["attributes"].as_array_mut().unwrap().push(attribute);
        document.to_string()
    };
    let imported = imported(&(of(Some("shop"), 1, 5) + &of(Some("test"), 2, 50) + &of(None, 3, 500)));
    let found = loaded(&imported);
    for (service, ms) in [("shop-cart", 5), ("test-cart", 50), ("cart", 500)] {
        assert_eq!(takes(&found, service, "add").0, Duration::from_millis(ms));
    }
    noted(&imported, "cart", "in 3 namespaces");
}

#[test]
fn a_name_of_one_namespace_alone_stays_as_it_is() {
    let mut document = document("cart", &[span(1, 0, 2, "add", 0, 5)]);
    let attribute = json!({"key": "service.namespace", "value": {"stringValue": "shop"}});
    document["resourceSpans"][0]["resource"]["attributes"].as_array_mut().unwrap().push(attribute);
    assert_eq!(&*loaded(&imported(&document.to_string())).services[0].name, "cart");
}
