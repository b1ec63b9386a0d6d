//! Files that mean no good, or are none: an answer each time, with line and byte, and never a hang.

use crate::loaded;
use crate::traces::document;
use bowline_design::{Mistake, Text};
use bowline_import::{isotope, otlp};
use proptest::prelude::*;
use serde_json::json;

fn refused(text: &str) -> Mistake {
    let mistakes = otlp("traces.json", &mut text.as_bytes(), &mut |_| {}).expect_err("it is refused");
    mistakes.into_iter().next().expect("a mistake")
}

#[test]
fn what_is_no_json_says_line_and_byte() {
    let mistake = refused("{\"resourceSpans\": []}\n{\"resourceSpans\": [}\n");
    assert_eq!((mistake.code, mistake.place.line), ("syntax", 2));
    assert!(mistake.found.contains("(byte ") && mistake.hint.is_some(), "{mistake:?}");
}

#[test]
fn what_is_cut_off_says_so() {
    let mistake = refused("{\"resourceSpans\": [{\"scopeSpans\": [{\"spans\": [{\"name\": \"x\"");
    assert!(mistake.found.starts_with("the end within a document"), "{mistake:?}");
    assert!(mistake.hint.is_some_and(|hint| hint.contains("cut off")));
}

#[test]
fn what_is_another_json_has_no_spans() {
    assert_eq!(refused("").code, "no-spans");
    assert_eq!(refused("{\"data\": [{\"traceID\": \"1\"}]}").code, "no-spans");
    assert_eq!(refused("[1, 2]").code, "syntax");
    assert_eq!(refused("{\"resourceSpans\": 3}").code, "syntax");
}

#[test]
fn depth_is_refused_and_not_followed() {
    let deep = format!("{{\"x\": {}", "[".repeat(100_000));
    assert_eq!(refused(&deep).code, "syntax");
}

#[test]
fn names_without_an_end_are_refused_with_what_to_do() {
    let spans: Vec<_> = (1..=10_001)
        .map(|n| {
            json!({"traceId": format!("{n:032x}"), "spanId": "01", "name": format!("GET /orders/{n}"), "kind": 2,
                   "startTimeUnixNano": "5", "endTimeUnixNano": "9"})
        })
        .collect();
    let mistake = refused(&document("a", &spans).to_string());
    assert_eq!(mistake.code, "too-large");
    assert!(mistake.found.starts_with("more than 10000 different operations"), "{mistake:?}");
    assert!(mistake.expected.contains("http.route"), "{mistake:?}");
}

#[test]
fn a_thousand_levels_and_a_row_of_twenty_thousand_calls_end() {
    let span = |n: u64, parent: u64, kind: u8| {
        json!({"traceId": "01", "spanId": format!("{n:016x}"), "name": "x", "kind": kind,
               "parentSpanId": if parent == 0 { String::new() } else { format!("{parent:016x}") },
               "startTimeUnixNano": (1_000 + n).to_string(), "endTimeUnixNano": "900000000"})
    };
    let deep: Vec<_> = (1..=3_000).map(|n| span(n, n - 1, 2)).collect();
    let imported = otlp("t", &mut document("a", &deep).to_string().as_bytes(), &mut |_| {}).expect("it ends");
    assert!(imported.notes.iter().any(|note| note.text.contains("levels deep")), "{:?}", imported.notes);
    let wide: Vec<_> = (1..=20_000).map(|n| span(n, u64::from(n > 1), 2)).collect();
    let imported = otlp("t", &mut document("a", &wide).to_string().as_bytes(), &mut |_| {}).expect("it ends");
    assert!(imported.notes.iter().any(|note| note.subject == "calls"), "{:?}", imported.notes);
}

#[test]
fn names_that_mean_something_to_yaml_mean_nothing() {
    let names =
        ["true", "123", "null", "a: b", "- x", "\"", "# no", "x\ny", "\u{85}", "{a}", "&a", "*a", "~", "é"];
    for (service, operation) in names.iter().flat_map(|a| names.iter().map(move |b| (a, b))) {
        let span = json!({"traceId": "01", "spanId": "02", "name": operation, "kind": 2,
            "startTimeUnixNano": "1000", "endTimeUnixNano": "9000", "status": {"code": 2},
            "attributes": [{"key": "http.request.method", "value": {"stringValue": "GET"}},
                           {"key": "http.route", "value": {"stringValue": format!("/{operation}")}}]});
        let text = document(service, &[span]).to_string();
        loaded(&otlp("t", &mut text.as_bytes(), &mut |_| {}).expect("a design"));
    }
}

/// Spans that hang together by chance: few ids, so that parents, circles and duplicates happen.
fn any_span() -> impl Strategy<Value = serde_json::Value> {
    (0_u8..3, 0_u64..12, 0_u64..12, 0_u8..7, "[a-zA-Z0-9 /{}:#'\"-]{0,12}", 0_u64..50, 0_u64..50, 0_usize..5).prop_map(
        |(trace, id, parent, kind, name, start, length, attribute)| {
            let key = ["http.route", "rpc.method", "peer.service", "messaging.destination.name", "x"][attribute];
            json!({"traceId": format!("{trace:x}"), "spanId": format!("{id:x}"), "parentSpanId": format!("{parent:x}"),
                "name": name, "kind": kind, "startTimeUnixNano": start.to_string(),
                "endTimeUnixNano": (start + length).to_string(),
                "attributes": [{"key": "http.request.method", "value": {"stringValue": "GET"}},
                               {"key": key, "value": {"stringValue": name}}]})
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_hangs_together_loads_or_is_refused(spans in prop::collection::vec((0_usize..3, any_span()), 1..40)) {
        let service = ["a", "B b", "1"];
        let text: String =
            spans.iter().map(|(at, span)| document(service[*at], std::slice::from_ref(span)).to_string()).collect();
        match otlp("t", &mut text.as_bytes(), &mut |_| {}) {
            Ok(imported) => drop(loaded(&imported)),
            Err(mistakes) => prop_assert!(!mistakes.is_empty()),
        }
    }

    #[test]
    fn whatever_bytes_come_there_is_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(mistakes) = otlp("t", &mut bytes.as_slice(), &mut |_| {}) {
            prop_assert!(!mistakes.is_empty());
        }
        let text = Text { name: "g".into(), text: String::from_utf8_lossy(&bytes).into_owned() };
        if let Err(mistakes) = isotope(&text) {
            prop_assert!(!mistakes.is_empty());
        }
    }

    #[test]
    fn whatever_a_script_says_it_loads_or_is_refused(
        script in "((\n  - (call: [abc]|sleep: [0-9]{1,2}(ms|s)?|\\[ \\{ call: [ab] \\}, \\{ sleep: 1s \\} \\]|call: \\{ service: [ab], probability: [0-9]{1,3} \\}))){0,6}"
    ) {
        let graph = format!("services:\n- name: a\n- name: b\n- name: c\n  script:{script}\n");
        match isotope(&Text { name: "g".into(), text: graph }) {
            Ok(imported) => drop(loaded(&imported)),
            Err(mistakes) => prop_assert!(!mistakes.is_empty()),
        }
    }
}
