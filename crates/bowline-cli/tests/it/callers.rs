//! Calls in another language, through the mesh port: payment over gRPC, inventory over HTTP, by a client in Python
//! that knows nothing of Bowline.

use crate::designs::{Shop, repository};
use crate::world::{Ports, Up};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// What the client says, line by line, with the mesh as its proxy.
#[track_caller]
fn python(up: &Up, arguments: &[&str]) -> Vec<Value> {
    let mut command = Command::new("python3");
    command.arg(repository().join("crates/bowline-cli/tests/peers/shop_client.py")).args(arguments);
    let tools = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools");
    command.env("PYTHONPATH", tools.join("python"));
    // Both of its libraries read the small letters.
    command.env("http_proxy", format!("http://127.0.0.1:{}", up.ports.mesh)).env_remove("no_proxy");
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{failed}");
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_client_in_python_pays_over_grpc_and_looks_at_the_stock_over_http() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    for again in [false, true] {
        let said = python(&up, &["authorize", "order-1", "20"]);
        // order_id: "order-1", state: AUTHORIZED.
        let expected = "0a076f726465722d311001";
        assert_eq!(
            (&said[0]["code"], &said[0]["answer"]),
            (&"OK".into(), &expected.into()),
            "again: {again}"
        );
    }
    let effects = crate::http::get(shop.port_of("payment"), "/effects").json();
    assert_eq!(effects["authorized"]["times"], 1, "asked twice under one key");
    assert_eq!(up.metric("bowline_calls_total", &["service=\"payment\"", "operation=\"authorize\""]), 2.0);

    let stock = python(&up, &["stock", "1"]);
    assert_eq!((&stock[0]["status"], &stock[0]["sku"]), (&200.into(), &"A47".into()));
}

#[test]
fn payment_answers_within_300_ms_or_the_caller_hears_that_it_did_not() {
    let shop = Shop::as_it_stands();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    assert_eq!(up.verb(&["fault", "add", "payment.authorize", "--delay", "2s"]).code, 0);
    // It would wait for twenty seconds; the design's policy does not.
    let said = python(&up, &["authorize", "order-1", "20"]);
    assert_eq!(said[0]["code"], "DEADLINE_EXCEEDED", "{said:?}");
    let story = up.verb(&["explain", "last", "--output", "json"]).json();
    assert_eq!((&story["destination"], &story["protocol"]), (&"payment.authorize".into(), &"grpc".into()));
    assert_eq!(story["callee_protocol"], "grpc");
    assert!(story["text"].as_str().unwrap().contains("deadline 300 ms (policy)"), "{story:#}");
    let took = story["took_us"].as_u64().unwrap();
    assert!(took < 1_000_000, "300 ms, and room for a busy machine: {took} us");
}

#[test]
fn the_breaker_opens_at_half_of_twenty_and_the_stock_is_asked_for_no_more() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    assert_eq!(up.verb(&["fault", "add", "inventory.stock-of", "--error", "503"]).code, 0);
    let said = python(&up, &["stock", "25"]);
    assert!(said.iter().all(|answer| answer["status"] == 503), "{said:?}");
    let is_open = |answer: &Value| answer["details"].as_str().unwrap().contains("breaker open");
    assert!(said[..19].iter().all(|answer| !is_open(answer)), "nineteen prove nothing: {said:?}");
    assert!(said[20..].iter().all(is_open), "{said:?}");
    let tries = up.metric("bowline_tries_total", &["service=\"inventory\"", "operation=\"stock-of\""]);
    assert_eq!(tries, 20.0);
}
