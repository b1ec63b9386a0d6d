//! Graphs of the shapes that isotope ships, written anew and small: a chain, a tree, a star, a diamond, services
//! in other namespaces and clusters.

use crate::{does, loaded, noted};
use bowline_design::{Mistake, Text};
use bowline_import::{Imported, isotope};

fn text(graph: &str) -> Text {
    Text { name: "graph.yaml".into(), text: graph.to_owned() }
}

#[track_caller]
fn imported(graph: &str) -> Imported {
    isotope(&text(graph)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// The mistakes of a graph: line, and what was found.
#[track_caller]
fn refused(graph: &str) -> Vec<(u32, String)> {
    let mistakes: Vec<Mistake> = isotope(&text(graph)).expect_err("it is refused");
    mistakes.into_iter().map(|mistake| (mistake.place.line, mistake.found)).collect()
}

#[test]
fn a_diamond_keeps_what_goes_on_at_once_and_what_does_not() {
    let design = imported(
        "defaults: { requestSize: 2 KB }
services:
- name: store
- name: cache
- name: shelf
  script: [ { call: store }, { call: cache } ]
- name: front
  isEntrypoint: true
  script:
  - [ { call: store }, { call: shelf } ]
  - sleep: 10ms
  - call: cache
",
    );
    let loaded = loaded(&design);
    assert_eq!(
        does(&loaded, "front", "serve"),
        "[call store.serve | call shelf.serve]; work 10ms; call cache.serve"
    );
    assert_eq!(does(&loaded, "shelf", "serve"), "call store.serve; call cache.serve");
    assert_eq!(loaded.scenarios.len(), 1);
    assert_eq!(design.scenarios, ["load"]);
    assert_eq!(
        noted(&design, "requestSize", "sizes are not modelled").place.as_ref().map(|p| p.line),
        Some(1)
    );
    noted(&design, "load", "100/s");
}

#[test]
fn chains_trees_and_stars_of_any_size_load() {
    let chain: String =
        (0..40).map(|n| format!("- name: s-{n}\n  script: [ {{ call: s-{} }} ]\n", n + 1)).collect();
    let chain = loaded(&imported(&format!("services:\n{chain}- name: s-40\n")));
    assert_eq!((chain.services.len(), does(&chain, "s-7", "serve")), (41, "call s-8.serve".to_owned()));

    let calls =
        |n: usize| (1..=3).map(|k| format!("{{ call: t-{} }}", 3 * n + k)).collect::<Vec<_>>().join(", ");
    let tree: String = (0..13)
        .map(|n| match n {
            0..4 => format!("- name: t-{n}\n  script: [ [ {} ] ]\n", calls(n)),
            _ => format!("- name: t-{n}\n"),
        })
        .collect();
    let tree = loaded(&imported(&format!("services:\n{tree}")));
    assert_eq!(does(&tree, "t-1", "serve"), "[call t-4.serve | call t-5.serve | call t-6.serve]");

    let star: String = (0..500).map(|n| format!("- {{ name: end-{n}, numReplicas: 2 }}\n")).collect();
    let calls: String = (0..500).map(|n| format!("  - call: end-{n}\n")).collect();
    let star = imported(&format!("services:\n{star}- name: hub\n  isEntrypoint: true\n  script:\n{calls}"));
    assert_eq!(loaded(&star).services.len(), 501);
}

#[test]
fn defaults_hold_where_a_service_does_not_say() {
    let design = imported(
        "defaults: { type: grpc, numReplicas: 3, errorRate: 1%, script: [ { sleep: 5ms } ] }
services:
- name: a
- { name: b, type: http, numReplicas: 1, errorRate: 0.002, script: [ { call: a } ] }
",
    );
    assert!(design.design.contains("{ at: 0s, service: a, error: { status: 500, percent: 1 } }"));
    assert!(design.design.contains("{ at: 0s, service: b, error: { status: 500, percent: 0.2 } }"));
    let loaded = loaded(&design);
    assert_eq!(does(&loaded, "a", "serve"), "work 5ms");
    let replicas: Vec<u32> = loaded.services.iter().map(|service| service.replicas.value).collect();
    assert_eq!(replicas, [3, 1]);
}

#[test]
fn a_probability_is_a_percent_and_none_is_always() {
    let design = imported(
        "services:
- name: b
- name: a
  script:
  - call: { service: b, probability: 30 }
  - call: { service: b, probability: 0 }
  - call: { service: b, probability: 100, size: 3K, hostname: \"b.far:8080\" }
",
    );
    let loaded = loaded(&design);
    assert_eq!(does(&loaded, "a", "serve"), "{0.30: call b.serve, 0.70: }; call b.serve; call b.serve");
    noted(&design, "probability", "0 means always");
    noted(&design, "hostname", "not written");
}

#[test]
fn sleeps_are_durations_of_gos_or_distributions() {
    let design = imported(
        r#"services:
- name: a
  script:
  - sleep: 1m2.5s
  - sleep: { type: static, data: { time: 10ms } }
  - sleep: { type: histogram, data: { 50ms: 25, 100ms: 75 } }
  - sleep: '{"SleepCommand": [{"Load": {"Min": 0, "Max": 9}, "Type": "static", "Data": {"time": "7ms"}}]}'
- name: b
  script: [ { sleep: { type: dist, data: { dist: normal, mean: 20, sigma: 2 } } } ]
"#,
    );
    let loaded = loaded(&design);
    assert_eq!(
        does(&loaded, "a", "serve"),
        "work 1m2.5s; work 10ms; {0.25: work 50ms, 0.75: work 100ms}; work 7ms"
    );
    // Ten spans, half of them below the mean.
    let normal = does(&loaded, "b", "serve");
    assert_eq!(normal.matches("0.10: work 1").count(), 5, "{normal}");
    noted(&design, "sleep", "ten equally likely spans");
}

#[test]
fn what_is_not_acted_on_is_noted_by_name_and_place() {
    let design = imported(
        "apiVersion: v1alpha1
kind: MockServiceGraph
default: { type: grpc }
services:
- name: a
  namespace: demo
  cluster: west
  memoryUsage: 80%
  responseSize: 1 KB
",
    );
    let lines = |subject: &str| noted(&design, subject, "").place.as_ref().map(|place| place.line);
    assert_eq!(
        ["default", "namespace", "cluster", "memoryUsage", "responseSize"].map(lines),
        [3, 6, 7, 8, 9].map(Some)
    );
    noted(&design, "isEntrypoint", "no service has it");
}

#[test]
fn what_isotope_refuses_is_refused_with_its_place() {
    let of = |script: &str| refused(&format!("services:\n- name: a\n  script:\n  - {script}\n"));
    assert_eq!(of("call: c"), [(4, "a call to `c`, which is no service of the graph".to_owned())]);
    assert_eq!(of("[ [ { call: a } ] ]"), [(4, "a list at once within a list at once".to_owned())]);
    assert_eq!(of("wait: 3s"), [(4, "the command `wait`".to_owned())]);
    assert_eq!(of("sleep: 10"), [(4, "`10`".to_owned())]);
    assert_eq!(of("{ sleep: 1s, call: a }").len(), 1);
    assert_eq!(of("sleep: { type: dist, data: { dist: weibull, k: 2 } }").len(), 1);
    assert_eq!(of("call: { service: a, probability: -1 }").len(), 1);
    assert_eq!(refused("services: []\n").len(), 1);
    assert_eq!(
        refused("services:\n- { name: a }\n- { name: a }\n"),
        [(3, "a second service `a`".to_owned())]
    );
    assert_eq!(refused("services:\n- { type: http }\n").len(), 1);
    assert_eq!(refused("- a\n").len(), 1);
    assert_eq!(refused("").len(), 1);
    assert_eq!(refused("services: [ { name: a, errorRate: 120% } ]\n").len(), 1);
}

#[test]
fn names_that_a_design_cannot_have_are_given_others() {
    let design =
        imported("services:\n- name: Order_Service\n- name: b\n  script: [ { call: Order_Service } ]\n");
    assert_eq!(does(&loaded(&design), "b", "serve"), "call order-service.serve");
    noted(&design, "Order_Service", "called `order-service`");
}
