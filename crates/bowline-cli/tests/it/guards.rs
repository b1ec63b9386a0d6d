//! Under `bowline up` the library's guards take the design's values, and tell what they did.

use crate::clock::{eventually, until};
use crate::designs::Shop;
use crate::world::{Ports, Up};
use serde_json::Value;

fn allocation(up: &Up, id: &str) -> Value {
    eventually("the story of the allocation", || {
        let story = up.verb(&["explain", "last", "--id", id, "--output", "json"]).json();
        let linked = story["linked"].as_array().unwrap();
        linked.iter().find(|trail| trail["name"] == "inventory.allocate").cloned()
    })
}

#[test]
fn a_guard_takes_the_designs_values_and_explain_says_where_they_stand() {
    let shop = Shop::as_it_stands();
    // The code says three tries of 80 ms in 300 ms; the design, here, two of 70 ms in 250 ms.
    shop.edit(
        "policies.yaml",
        "retry: { tries: 3, perTry: 80ms, backoff: { base: 10ms, max: 20ms } }",
        "retry: { tries: 2, perTry: 70ms, backoff: { base: 10ms, max: 20ms } }",
    );
    shop.edit(
        "policies.yaml",
        "operation: inventory.release } ]\n  deadline: 300ms",
        "operation: inventory.release } ]\n  deadline: 250ms",
    );
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    up.verb(&["fault", "add", "inventory.allocate", "--drop"]);
    let answer = up.order(&["x-bowline-explain: 1"]);
    assert_eq!(answer.status(), 503, "{}", answer.text());
    let trail = allocation(&up, answer.header("x-bowline-explain-id").unwrap());
    assert_eq!(trail["tries"], 2, "{trail:#}");
    assert_eq!(trail["end"], "tries exhausted", "{trail:#}");
    let values = trail["values"].as_str().unwrap();
    let (file, line) = values.rsplit_once(':').expect("file:line");
    assert!(file.ends_with("policies.yaml"), "{values}");
    let text = std::fs::read_to_string(shop.folder.path().join("policies.yaml")).unwrap();
    let line = text.lines().nth(line.parse::<usize>().unwrap() - 1).unwrap().to_owned();
    assert!(line.contains("deadline: 250ms"), "the place is the value's own: {line}");
    let told = trail["decisions"].to_string();
    assert!(told.contains("deadline 250 ms (policy)") && told.contains("70 ms at most"), "{told}");
}

#[test]
fn a_value_that_is_edited_reaches_a_guard_that_runs() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    assert_eq!(up.verb(&["fault", "add", "payment.authorize", "--drop-first", "1"]).code, 0);
    assert_eq!(up.order(&[]).status(), 201, "by the second try");
    shop.edit("policies.yaml", "retry: { tries: 2, perTry: 1200ms", "retry: { tries: 1, perTry: 1200ms");
    until("one try is not enough", || up.order(&[]).status() == 503);
    shop.edit("policies.yaml", "retry: { tries: 1, perTry: 1200ms", "retry: { tries: 2, perTry: 1200ms");
    until("two are", || up.order(&[]).status() == 201);
}

#[test]
fn guards_report_what_they_did() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    up.verb(&["fault", "add", "inventory.allocate", "--drop-first", "1"]);
    for _ in 0..3 {
        assert_eq!(up.order(&[]).status(), 201);
    }
    let own = ["service=\"orders\"", "guard=\"inventory.allocate\""];
    let is = |name: &str, more: &[&str], wanted: f64| {
        until(&format!("{name} {more:?} is {wanted}"), || {
            (up.metric(name, &[&own[..], more].concat()) - wanted).abs() < 0.5
        });
    };
    is("bowline_guard_calls_total", &[], 3.0);
    is("bowline_guard_tries_total", &[], 6.0);
    is("bowline_guard_retries_total", &["reason=\"refused\""], 3.0);
    is("bowline_guard_ends_total", &["reason=\"done\""], 3.0);
    is("bowline_guard_breaker_state", &["state=\"closed\""], 1.0);

    let status = up.status();
    let guards = status["guards"].as_array().unwrap();
    let guard = guards.iter().find(|guard| guard["name"] == "inventory.allocate").unwrap();
    assert_eq!(
        (&guard["service"], &guard["calls"], &guard["tries"]),
        (&"orders".into(), &3.into(), &6.into())
    );
}

#[test]
fn how_long_guarded_calls_take_stands_beside_how_long_requests_do() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    let ends = |family: &str, of: &str| -> Vec<String> {
        let page = crate::http::get(up.ports.api, "/metrics").text();
        let name = format!("{family}_bucket{{");
        let lines = page.lines().filter(|line| line.starts_with(&name) && line.contains(of));
        lines.map(|line| line.split("le=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()).collect()
    };
    // `top` looks twice, and tells of what came in between.
    let row = eventually("a guard's latency in `top`", || {
        assert_eq!(up.order(&[]).status(), 201);
        let top = up.verb(&["top", "--output", "json"]).json();
        let rows = top["services"].as_array().unwrap();
        let row = rows.iter().find(|row| row["name"] == "orders -> inventory.allocate")?.clone();
        row["p50_ms"].is_f64().then_some(row)
    });
    assert!(row["p50_ms"].as_f64() <= row["p99_ms"].as_f64(), "{row}");
    let gateways = ends("bowline_request_seconds", "service=\"orders\"");
    assert_eq!(
        ends("bowline_guard_seconds", "guard=\"inventory.allocate\""),
        gateways,
        "one panel shows both"
    );
}

#[test]
fn a_stranger_without_a_token_is_told_nothing() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    for headers in [&[][..], &["authorization: Bearer 0123"]] {
        let answer =
            crate::http::ask(up.ports.api, "GET", "/v1/link/guards?service=orders", headers, "").unwrap();
        assert_eq!(answer.status(), 401, "{}", answer.text());
    }
}
