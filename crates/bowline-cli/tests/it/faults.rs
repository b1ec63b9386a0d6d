//! What `bowline fault` breaks, and what `bowline explain` says about it.

use crate::clock::{eventually, until};
use crate::designs::Shop;
use crate::http;
use crate::world::{Ports, Up};
use serde_json::Value;

/// The last recorded order, with what orders told of its call of `guard`.
fn explained(up: &Up, guard: &str) -> (Value, Value) {
    eventually(&format!("the story of {guard}"), || {
        let ran = up.verb(&["explain", "last", "--output", "json"]);
        let story: Value = serde_json::from_str(&ran.out).ok()?;
        let linked = story["linked"].as_array()?;
        let own = linked.iter().find(|trail| trail["name"] == guard)?.clone();
        Some((story, own))
    })
}

fn words(trail: &Value) -> Vec<&str> {
    trail["decisions"].as_array().unwrap().iter().map(|decision| decision["text"].as_str().unwrap()).collect()
}

#[test]
fn two_dropped_tries_make_one_order_by_the_third_and_explain_names_each_reason() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    let added = up.verb(&["fault", "add", "inventory.allocate", "--drop-first", "2"]);
    assert_eq!(added.code, 0, "{added:?}");

    let placed = up.order(&["x-bowline-explain: 1"]);
    assert_eq!(placed.status(), 201, "{}", placed.text());
    let id = placed.header("x-bowline-explain-id").expect("the id of the trail").to_owned();

    // One order: what inventory itself counts, not what somebody believes.
    let effects = http::get(shop.port_of("inventory"), "/effects").json();
    assert_eq!(effects["allocated"], serde_json::json!({"times": 1, "orders": 1}), "{effects}");

    let (story, trail) = explained(&up, "inventory.allocate");
    assert_eq!(story["id"], id);
    assert_eq!(trail["service"], "orders");
    assert_eq!(trail["tries"], 3);
    assert_eq!(trail["outcome"], "succeeded");
    let told = words(&trail).join("\n");
    let in_order = [
        "fault put into try 1: drop",
        "try 1 could not connect",
        "outcome refused",
        "try 2 follows in",
        "nothing happened yet",
        "fault put into try 2: drop",
        "try 2 could not connect",
        "try 3 follows in",
        "try 3 answered 201",
        "outcome succeeded",
    ];
    let mut rest = told.as_str();
    for wanted in in_order {
        rest = rest.split_once(wanted).unwrap_or_else(|| panic!("no `{wanted}` at its place in\n{told}")).1;
    }

    // The same for a person, by its id and as the last one.
    for arguments in [&["explain", "last", "--id", &id][..], &["explain", "last", "--status", "201"]] {
        let ran = up.verb(arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains("POST /orders") && ran.out.contains("201 after"), "{}", ran.out);
        assert!(
            ran.out.contains("orders -> inventory.allocate") && ran.out.contains("policies.yaml:"),
            "{}",
            ran.out
        );
    }
}

#[test]
fn the_gateways_own_tries_are_told_in_the_same_words() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    assert_eq!(up.verb(&["fault", "add", "inventory.stock", "--drop-first", "2"]).code, 0);
    let stock = up.ask("GET", "/inventory/stock", &["x-bowline-explain: 1"], "");
    assert_eq!(stock.status(), 200, "{}", stock.text());
    let id = stock.header("x-bowline-explain-id").expect("the id of the trail");
    let story = up.verb(&["explain", "last", "--id", id, "--output", "json"]).json();
    let told = words(&story).join("\n");
    for wanted in [
        "try 1 could not connect",
        "try 2 follows in",
        "try 2 could not connect",
        "try 3 follows in",
        "try 3 answered 200",
    ] {
        assert!(told.contains(wanted), "no `{wanted}` in\n{told}");
    }
    assert_eq!(story["route"]["name"], "stock");
}

#[test]
fn a_script_that_asks_at_once_gets_the_whole_story() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    for _ in 0..5 {
        let placed = up.order(&["x-bowline-explain: 1"]);
        let story = up.verb(&["explain", "last", "--output", "json"]).json();
        assert_eq!(story["id"], placed.header("x-bowline-explain-id").unwrap());
        assert!(
            story["linked"].as_array().unwrap().iter().any(|trail| trail["name"] == "payment.capture"),
            "{story:#}"
        );
    }
}

#[test]
fn faults_are_listed_and_taken_away() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    let ls = || up.verb(&["fault", "ls", "--output", "json"]).json()["faults"].clone();
    assert!(up.verb(&["fault", "ls"]).out.contains("no faults"));

    assert_eq!(up.verb(&["fault", "add", "inventory", "--error", "503"]).code, 0);
    assert_eq!(up.verb(&["fault", "add", "payment.capture", "--delay", "5ms", "--percent", "10"]).code, 0);
    let faults = ls();
    assert_eq!(faults.as_array().unwrap().len(), 2);
    assert_eq!(
        (&faults[0]["target"], &faults[0]["error"], &faults[0]["percent"]),
        (&"inventory".into(), &503.into(), &100.0.into())
    );
    assert_eq!(
        (&faults[1]["target"], &faults[1]["delay_ms"], &faults[1]["percent"]),
        (&"payment.capture".into(), &5.into(), &10.0.into())
    );
    let table = up.verb(&["fault", "ls"]).out;
    assert!(table.contains("TARGET") && table.contains("payment.capture"), "{table}");

    let broken = up.order(&[]);
    assert_eq!(broken.status(), 503, "{}", broken.text());

    let cleared = up.verb(&["fault", "clear", "inventory"]);
    assert!(cleared.out.starts_with("1 fault taken away"), "{cleared:?}");
    assert_eq!(ls().as_array().unwrap().len(), 1);
    let misspelt = up.verb(&["fault", "clear", "inventry"]);
    assert_ne!(misspelt.code, 0);
    assert!(misspelt.err.contains("no service `inventry`"), "{misspelt:?}");
    assert_eq!(up.verb(&["fault", "clear"]).code, 0);
    assert_eq!(ls().as_array().unwrap().len(), 0);
    assert_eq!(up.order(&[]).status(), 201, "healed at once");
}

#[test]
fn a_fault_on_something_unknown_says_what_there_is() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    let ran = up.verb(&["fault", "add", "stock", "--drop"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("no service `stock`") && ran.err.contains("inventory"), "{ran:?}");
    let ran = up.verb(&["fault", "add", "inventory.alocate", "--drop"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("no operation `alocate`") && ran.err.contains("allocate"), "{ran:?}");
    assert_eq!(up.verb(&["fault", "ls", "--output", "json"]).json()["faults"], serde_json::json!([]));
}

#[test]
fn without_a_running_bowline_a_fault_cannot_be_put_in() {
    let api = format!("127.0.0.1:{}", crate::world::port());
    let ran = crate::world::bowline(&["fault", "ls", "--api", &api]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("bowline up") && ran.err.contains("--api"), "{ran:?}");
}

#[test]
fn a_broken_inventory_is_left_alone_and_taken_back() {
    let shop = Shop::new();
    // Ten times as fast as in the shop, so that a test can watch.
    shop.edit("policies.yaml", "open: 10s, probes: 3", "open: 1s, probes: 3, ramp: 500ms, jitter: 0");
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    let breaker = |state: &str| {
        let labels = ["service=\"orders\"", "guard=\"inventory.allocate\"", &format!("state=\"{state}\"")];
        up.metric("bowline_guard_breaker_state", &labels) > 0.5
    };
    assert_eq!(up.order(&[]).status(), 201);
    assert_eq!(up.verb(&["fault", "add", "inventory.allocate", "--error", "503"]).code, 0);
    until("the breaker opens", || {
        assert_eq!(up.order(&[]).status(), 503);
        breaker("open")
    });
    // One breaker for all calls of inventory: orders takes back what it may have put aside, too.
    let tries = up.metric("bowline_guard_tries_total", &["guard=\"inventory."]);
    assert!(tries >= 20.0, "{tries} tries prove nothing yet");
    let told = up.verb(&["explain", "last", "--status", "503"]).out;
    assert!(told.contains("orders -> inventory.allocate"), "{told}");
    until("calls are refused at once", || {
        up.order(&[]);
        up.metric("bowline_guard_ends_total", &["guard=\"inventory.allocate\"", "reason=\"breaker open\""])
            > 0.5
    });

    assert_eq!(up.verb(&["fault", "clear"]).code, 0);
    until("orders are placed again", || up.order(&[]).status() == 201);
    until("the breaker is closed", || {
        up.order(&[]);
        breaker("closed")
    });
    let effects = http::get(shop.port_of("inventory"), "/effects").json();
    assert_eq!(effects["allocated"]["times"], effects["allocated"]["orders"], "{effects}");
}
