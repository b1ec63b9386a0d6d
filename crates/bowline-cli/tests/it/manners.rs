//! How every verb behaves: help, exit codes, JSON, pipes.

use crate::designs::{self, Shop};
use crate::world::{Ports, Ran, Up, bowline, bowline_reading, port};
use serde_json::Value;
use std::path::Path;

fn shop() -> String {
    designs::repository().join("examples/shop").display().to_string()
}

/// A design with one mistake.
const MISTAKEN: &str = "apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: { name: orders }
spec: { protocl: http }
";

/// A design in which four tries of 2 s have 3 s.
const TOO_LITTLE_TIME: &str = r#"apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ratings, namespace: bookinfo }
spec:
  hosts: [ ratings ]
  http:
  - route: [ { destination: { host: ratings } } ]
    timeout: 3s
    retries: { attempts: 3, perTryTimeout: 2s }
"#;

#[test]
fn every_verb_has_an_example_in_its_help() {
    let verbs: [&[&str]; 15] = [
        &["up"],
        &["check"],
        &["explain"],
        &["test"],
        &["import"],
        &["import", "isotope"],
        &["import", "otlp"],
        &["schema"],
        &["fault"],
        &["fault", "add"],
        &["fault", "ls"],
        &["fault", "clear"],
        &["top"],
        &["version"],
        &[],
    ];
    for verb in verbs {
        let ran = bowline(&[verb, &["--help"]].concat());
        assert_eq!(ran.code, 0, "{verb:?}");
        let example = if verb.is_empty() { "Start here:\n  bowline up" } else { "Example:\n  bowline " };
        assert!(ran.out.contains(example), "{verb:?}: {}", ran.out);
        assert!(!ran.out.contains('\u{1b}'), "colour in a pipe: {verb:?}");
    }
    assert!(!bowline(&["--help"]).out.contains("child"), "what is not for people is hidden");
}

#[test]
fn exit_codes_tell_findings_wrong_use_and_what_cannot_be_reached_apart() {
    let folder = designs::small(port(), "");
    folder.write("mistaken.yaml", MISTAKEN);
    let mistaken = folder.path().join("mistaken.yaml").display().to_string();
    let nobody = format!("127.0.0.1:{}", port());
    let table: [(i32, &[&str]); 14] = [
        (0, &["check", &shop()]),
        (0, &["test", &shop()]),
        (0, &["version"]),
        (0, &["schema"]),
        (0, &["explain", &shop(), "POST", "http://127.0.0.1:8080/orders"]),
        (1, &["check", &mistaken]),
        (1, &["up", &mistaken]),
        (2, &["check", "no/such/design"]),
        (2, &["up", "no/such/design"]),
        (2, &["chekc"]),
        (2, &["check", "--explain", "T99"]),
        (2, &["up", &shop(), "--only", "everything"]),
        (3, &["explain", "last", "--api", &nobody]),
        (3, &["top", "--once", "--api", &nobody]),
    ];
    for (code, arguments) in table {
        let ran = bowline(arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "colour in a pipe: {ran:?}");
        let silent = ran.out.is_empty() && ran.err.is_empty();
        assert!(!silent, "{arguments:?} says nothing");
        if code >= 2 {
            assert!(ran.out.is_empty(), "errors go to standard error: {ran:?}");
        }
    }
}

#[test]
fn every_verb_prints_json_that_parses() {
    let shop_copy = Shop::new();
    let up = Up::ready(&shop_copy.folder, Ports::new(), &[]);
    up.order(&["x-bowline-explain: 1"]);
    let parse = |ran: Ran| -> Value { ran.json() };

    assert_eq!(parse(bowline(&["version", "--output", "json"]))["name"], "bowline");
    assert_eq!(parse(bowline(&["check", &shop(), "--output", "json"]))["mistakes"], serde_json::json!([]));
    assert!(
        parse(bowline(&["check", "--syntax", &shop(), "--output", "json"]))["documents"].as_u64().unwrap()
            > 5
    );
    assert_eq!(parse(bowline(&["check", "--explain", "T08", "--output", "json"]))["rule"], "T08");
    let tests = parse(bowline(&["test", &shop(), "--output", "json"]));
    assert_eq!(tests["failed"], 0);
    assert!(tests["passed"].as_u64().unwrap() > 0);
    parse(bowline(&["explain", &shop(), "GET", "http://localhost:8080/inventory/stock", "--output", "json"]));
    assert_eq!(parse(up.verb(&["explain", "last", "--output", "json"]))["status"], 201);
    parse(up.verb(&["fault", "ls", "--output", "json"]));
    parse(up.verb(&["fault", "add", "inventory", "--drop", "--output", "json"]));
    parse(up.verb(&["fault", "clear", "--output", "json"]));
    let top = parse(up.verb(&["top", "--once", "--output", "json"]));
    let rows = top["services"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["name"] == "orders" && row["state"] == "ready"), "{top:#}");
    assert!(up.events().iter().all(|event| event["event"].is_string()));

    let mistaken = bowline_reading(&["check", "-", "--output", "json"], MISTAKEN);
    assert_eq!(mistaken.code, 1);
    assert!(mistaken.json()["mistakes"][0].to_string().contains("protocl"));
    let failed = bowline(&["check", "no/such/design", "--output", "json"]);
    let error: Value = serde_json::from_str(&failed.err).unwrap();
    assert!(error["error"].as_str().unwrap().contains("no/such/design"));
}

#[test]
fn top_shows_services_guards_and_faults_once_in_a_pipe() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    up.verb(&["fault", "add", "notification", "--drop"]);
    up.order(&[]);
    crate::clock::until("orders reported", || up.metric("bowline_guard_calls_total", &[]) > 0.0);
    let ran = up.verb(&["top"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for wanted in ["NAME", "inventory", "orders -> payment.capture", "fault in: notification"] {
        assert!(ran.out.contains(wanted), "no `{wanted}`:\n{}", ran.out);
    }
    assert!(!ran.out.contains('\u{1b}'), "{}", ran.out);
}

#[test]
fn check_reads_standard_input_and_names_it() {
    let ran = bowline_reading(&["check", "-"], MISTAKEN);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("stdin:4:") && ran.out.contains("protocl"), "{}", ran.out);
    assert!(ran.out.contains("protocol"), "what was meant: {}", ran.out);

    let ran = bowline_reading(&["check", "-"], TOO_LITTLE_TIME);
    assert!(ran.out.contains("info[T08]") && ran.out.contains("stdin:"), "{}", ran.out);
    assert!(ran.out.contains("--explain T08"), "{}", ran.out);
    assert_eq!(ran.code, 0, "what is told is no error");
}

#[test]
fn syntax_alone_looks_up_no_names() {
    // A policy for a service that is not there.
    let alone = designs::policy("elsewhere", "  deadline: 1s\n");
    let ran = bowline_reading(&["check", "-"], &alone);
    assert_eq!(ran.code, 1, "{ran:?}");
    let ran = bowline_reading(&["check", "--syntax", "-"], &alone);
    assert_eq!((ran.code, ran.out.as_str()), (0, "1 document read, no mistakes\n"));
    assert_eq!(bowline_reading(&["check", "--syntax", "-"], MISTAKEN).code, 1);
}

#[test]
fn a_rule_is_explained_at_length() {
    let ran = bowline(&["check", "--explain", "T08"]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.starts_with("T08") && ran.out.lines().count() >= 3, "{}", ran.out);
    assert_eq!(bowline(&["check", "--explain", "t08"]).code, 0, "typed as people type");
}

#[test]
fn the_schema_is_a_json_schema_of_our_kinds() {
    let ran = bowline(&["schema"]);
    let schema = ran.json();
    assert!(schema["$schema"].as_str().unwrap().starts_with("https://json-schema.org/"));
    let text = schema.to_string();
    for kind in ["Service", "Policy"] {
        assert!(text.contains(kind), "no {kind}");
    }
}

#[test]
fn a_failing_route_test_fails_the_run_and_says_what_came_instead() {
    let copy = Shop::new();
    let design = copy.folder.path().display().to_string();
    let ran = bowline(&["test", &design]);
    assert_eq!(ran.code, 0, "{ran:?}");
    copy.edit(
        "tests.yaml",
        "route: [ { destination: { host: inventory } } ]",
        "route: [ { destination: { host: payment } } ]",
    );
    let ran = bowline(&["test", &design]);
    assert_eq!(ran.code, 1);
    let failed = ran.out.lines().find(|line| line.starts_with("FAIL")).expect("a failure");
    assert!(failed.contains("stock is read from inventory"), "{}", ran.out);
    assert!(ran.out.contains("payment") && ran.out.contains("inventory"), "{}", ran.out);
    assert!(!ran.out.ends_with(" 0 failed\n"), "{}", ran.out);
}

#[test]
fn explain_says_which_rule_matches_and_where_each_value_stands() {
    let ran = bowline(&["explain", &shop(), "post", "http://127.0.0.1:8080/orders"]);
    assert_eq!(ran.code, 0);
    for wanted in ["place-order", "routes.yaml:", "1.2s"] {
        assert!(ran.out.contains(wanted), "no `{wanted}`:\n{}", ran.out);
    }
}

#[test]
fn a_design_with_errors_is_not_started_unless_told_to() {
    let gateway = port();
    let rules = designs::rules("  - route: [ { destination: { host: stock } } ]\n    timeout: 1s\n");
    let slow = designs::service(
        "stock",
        port(),
        "  operations:\n  - { name: read, http: { method: GET, path: / }, needs: { answerWithin: 10ms }, does: [ { work: 1m } ] }\n",
    );
    let folder = designs::small(gateway, &(rules + &slow));
    let design = folder.path().display().to_string();
    let checked = bowline(&["check", &design]);
    assert_eq!(checked.code, 1, "the design has an error: {checked:?}");
    let ran = bowline(&["up", &design]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("check") && ran.err.contains("--despite-errors"), "{ran:?}");
    Up::ready(&folder, Ports { gateway, ..Ports::new() }, &["--despite-errors"]);
}

#[test]
fn what_nobody_reads_any_more_ends_quietly() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(crate::world::PROGRAM)
        .arg("schema")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{:?}", output.status);
    assert!(Path::new(crate::world::PROGRAM).exists());
}
