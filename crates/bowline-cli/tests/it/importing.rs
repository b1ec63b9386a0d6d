//! `bowline import` from outside: what it writes is checked and simulated by the program itself.

use crate::world::{Folder, Ran, bowline, bowline_reading};
use serde_json::json;

const GRAPH: &str = "services:
- name: shelf
  errorRate: 0.5%
  script: [ { sleep: 3ms } ]
- name: front
  isEntrypoint: true
  memoryUsage: 80%
  script:
  - sleep: 1ms
  - call: { service: shelf, probability: 40 }
";

/// 200 requests, ten a second, of which each asks another service.
fn traces() -> String {
    let mut lines = String::new();
    for n in 0..200_u64 {
        let span = |id: u64, parent: &str, kind: u8, from: u64, to: u64| {
            json!({"traceId": format!("{:032x}", n + 1), "spanId": format!("{id:016x}"), "parentSpanId": parent,
                "name": "work", "kind": kind, "startTimeUnixNano": ((100 * n + 1_000 + from) * 1_000_000).to_string(),
                "endTimeUnixNano": ((100 * n + 1_000 + to) * 1_000_000).to_string()})
        };
        let of = |service: &str, spans: &[serde_json::Value]| {
            json!({"resourceSpans": [{"resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": service}}]}, "scopeSpans": [{"spans": spans}]}]})
        };
        let front = [span(1, "", 2, 0, 20 + n % 5), span(2, "0000000000000001", 3, 5, 15)];
        lines += &format!("{}\n", of("front", &front));
        lines += &format!("{}\n", of("shelf", &[span(3, "0000000000000002", 2, 6, 14)]));
    }
    lines
}

/// Imports a file, checks and simulates what comes of it; what the import said.
fn imported_and_run(from: &str, text: &str) -> (Ran, String) {
    let folder = Folder::new();
    folder.write("in", text);
    let (file, to) = (folder.path().join("in"), folder.path().join("design.yaml"));
    let (file, to) = (file.to_str().unwrap(), to.to_str().unwrap());
    let ran = bowline(&["import", from, file, "--to", to]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let checked = bowline(&["check", to, "--syntax"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let checked = bowline(&["check", to]);
    assert!(!checked.out.contains("error["), "{checked:?}");
    let page = folder.path().join("page.html");
    let simulated = bowline(&["simulate", to, "--seeds", "2", "--report", page.to_str().unwrap()]);
    assert_eq!(simulated.code, 0, "{simulated:?}");
    let again = bowline(&["import", from, file, "--to", to]);
    assert_eq!(again.code, 2, "nothing is written over: {again:?}");
    assert!(again.err.contains("name another file"), "{again:?}");
    (ran, std::fs::read_to_string(to).unwrap())
}

#[test]
fn an_isotope_graph_becomes_a_design_that_is_checked_and_simulated() {
    let (ran, design) = imported_and_run("isotope", GRAPH);
    assert!(ran.err.contains("in:7:3: memoryUsage: not read"), "{ran:?}");
    assert!(ran.err.contains("2 services, 2 operations, 1 scenario in "), "{ran:?}");
    assert!(design.contains("weight: 0.4"), "{design}");
    assert!(design.contains("percent: 0.5"), "{design}");
}

#[test]
fn traces_become_a_design_that_is_checked_and_simulated() {
    let (ran, design) = imported_and_run("otlp", &traces());
    assert!(ran.err.contains("note: concurrency: "), "{ran:?}");
    assert!(design.contains("takes: { p50: 12ms, p99: 14ms, samples: 200 }"), "{design}");
    assert!(design.contains("rate: 10/s, for: 1m }   # 200 requests in 19.9 s"), "{design}");
    assert!(design.contains("network: { latency: 1ms }"), "{design}");
}

#[test]
fn standard_input_goes_in_and_the_design_alone_comes_out() {
    let ran = bowline_reading(&["import", "otlp", "-"], &traces());
    assert_eq!(ran.code, 0, "{ran:?}");
    let checked = bowline_reading(&["check", "-", "--syntax"], &ran.out);
    assert_eq!(checked.code, 0, "{checked:?}");
    let ran = bowline_reading(&["import", "isotope", "-", "--output", "json"], GRAPH);
    let document = ran.json();
    assert_eq!((ran.code, document["services"].as_u64()), (0, Some(2)));
    let notes = document["notes"].as_array().unwrap();
    let field = notes.iter().find(|note| note["subject"] == "memoryUsage").unwrap();
    assert_eq!((field["place"]["line"].as_u64(), field["count"].as_u64()), (Some(7), Some(1)));
}

#[test]
fn what_cannot_be_imported_ends_with_one_and_says_where() {
    let ran =
        bowline_reading(&["import", "isotope", "-"], "services:\n- name: a\n  script: [ { call: b } ]\n");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.out.is_empty() && ran.err.contains("stdin:3:") && ran.err.contains("nothing was written"),
        "{ran:?}"
    );
    let ran = bowline_reading(&["import", "otlp", "-", "--output", "json"], "{\"resourceSpans\": [");
    assert_eq!((ran.code, ran.json()["mistakes"].as_array().unwrap().len()), (1, 1));
    let ran = bowline(&["import", "otlp", "no-such-file.json"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}
