//! X01, and graphs that are made to explode.

use crate::support::{check, design, every_edit_mends, findings};
use std::fmt::Write;

/// Services of one operation each, which make these calls.
fn graph(names: &[&str], calls: &[(&str, &str)]) -> String {
    let mut yaml = String::new();
    for name in names {
        let does: String = calls
            .iter()
            .filter(|(from, _)| from == name)
            .map(|(_, to)| format!("\n    - call: {to}.run"))
            .collect();
        let does = if does.is_empty() { String::new() } else { format!("\n    does:{does}") };
        let _ = write!(
            yaml,
            "---
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: {name} }}
spec:
  endpoints: [ {{ address: \"127.0.0.1:7102\" }} ]
  operations:
  - name: run
    http: {{ method: GET, path: /{name} }}{does}
"
        );
    }
    yaml
}

#[test]
fn x01_operations_that_wait_for_each_other() {
    let found = check(
        &graph(&["a", "b", "c"], &[("a", "b"), ("b", "c"), ("c", "a")]),
        &["X01 error spec.operations[0].does[0].call: a.run and b.run and c.run wait for each other"],
    );
    assert_eq!(found[0].path, ["a.run", "b.run", "c.run", "a.run"]);
    assert_eq!(&*found[0].place.resource, "Service default/c");
    assert_eq!(
        found[0].formula,
        "each request holds a place in every one of 3, and takes a second one in a.run"
    );
}

#[test]
fn x01_an_operation_that_calls_itself() {
    let found = check(
        &graph(&["a"], &[("a", "a")]),
        &["X01 error spec.operations[0].does[0].call: a.run calls itself and waits"],
    );
    assert_eq!(found[0].path, ["a.run", "a.run"]);
}

#[test]
fn x01_a_diamond_is_no_cycle() {
    check(&graph(&["a", "b", "c", "d"], &[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]), &[]);
}

#[test]
fn x01_two_cycles_of_one_length_are_two_findings() {
    check(
        &graph(&["a", "b", "c"], &[("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")]),
        &[
            "X01 error spec.operations[0].does[0].call: a.run and b.run wait for each other",
            "X01 error spec.operations[0].does[0].call: b.run and c.run wait for each other",
        ],
    );
}

#[test]
fn x01_a_call_that_is_made_twice_is_opened_twice() {
    let found = check(
        &graph(&["a", "b"], &[("a", "b"), ("b", "a"), ("b", "a")]),
        &["X01 error spec.operations[0].does[0].call: a.run and b.run wait for each other"],
    );
    assert_eq!(found[0].edits.len(), 2);
}

#[test]
fn x01_a_cycle_below_a_gateway_is_closed_by_the_call_that_leads_back() {
    let entry = "---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: door }
spec: { servers: [ { port: { number: 8080, name: http, protocol: HTTP }, hosts: [ \"*\" ] } ] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: door }
spec: { hosts: [ \"*\" ], gateways: [ door ], http: [ { route: [ { destination: { host: c } } ] } ] }
";
    let found = check(
        &(graph(&["a", "b", "c"], &[("a", "c"), ("c", "b"), ("b", "a")]) + entry),
        &["X01 error spec.operations[0].does[0].call: c.run and b.run and a.run wait for each other"],
    );
    assert_eq!(&*found[0].place.resource, "Service default/a");
}

/// Sixty operations, each of which calls all that come after it, twice: more paths than atoms in a hand,
/// and each call is retried.
fn dense(calls_back: bool) -> String {
    let names: Vec<String> = (0..60).map(|i| format!("s{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut calls = Vec::new();
    for (i, from) in names.iter().enumerate() {
        for (j, to) in names.iter().enumerate() {
            if i < j || calls_back && i != j {
                calls.extend([(*from, *to), (*from, *to)]);
            }
        }
    }
    let mut yaml = graph(&names, &calls);
    for name in names {
        let _ = write!(
            yaml,
            "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: {name} }}
spec:
  hosts: [ {name} ]
  http: [ {{ route: [ {{ destination: {{ host: {name} }} }} ], timeout: 9s, retries: {{ attempts: 2, perTryTimeout: 2s, retryOn: 5xx }} }} ]
"
        );
    }
    yaml
}

#[test]
fn a_dense_graph_of_sixty_operations_takes_no_time() {
    let texts = [design(&dense(false))];
    let found = findings(&texts);
    let count = |rule| found.iter().filter(|finding| finding.rule == rule).count();
    assert_eq!((count("X01"), count("R02") > 50, count("R01") > 0), (0, true, true));
    let worst = found.iter().find(|finding| finding.what.contains("more than a million"));
    assert!(worst.is_some(), "{:?}", found.iter().map(|finding| &finding.what).collect::<Vec<_>>());
}

#[test]
fn a_dense_graph_full_of_cycles_takes_no_time() {
    let found = findings(&[design(&dense(true))]);
    let cycles: Vec<_> = found.into_iter().filter(|finding| finding.rule == "X01").collect();
    // Every call to one of the operations before: of 60, 60 x 59 / 2.
    assert_eq!(cycles.len(), 1_770);
}

#[test]
fn a_chain_of_two_thousand_operations_overflows_no_stack() {
    let names: Vec<String> = (0..2_000).map(|i| format!("s{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let calls: Vec<(&str, &str)> = names.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let texts = [design(&graph(&names, &calls))];
    let found = findings(&texts);
    assert_eq!(found.iter().map(|finding| finding.rule).collect::<Vec<_>>(), ["X02"]);
    every_edit_mends(&texts, &found);
}
