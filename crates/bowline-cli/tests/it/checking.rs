//! `check` from outside: exceptions are seen and counted, SARIF goes to code hosts, edits are tried out in virtual time.

use crate::designs;
use crate::world::{Folder, Ports, Ran, Up, bowline, port};
use serde_json::Value;

/// A deadline that its callee cannot keep at best (T01, an error); `annotations` of its policy.
fn impossible(annotations: &str) -> Folder {
    let folder = Folder::new();
    folder.write("design.yaml", &documents(annotations));
    folder
}

fn documents(annotations: &str) -> String {
    format!(
        "kind: Service
metadata: {{ name: payment }}
spec:
  endpoints: [ {{ address: \"127.0.0.1:7102\" }} ]
  operations:
  - {{ name: authorize, http: {{ method: POST, path: /authorizations }}, does: [ {{ work: 400ms }} ] }}
---
kind: Policy
metadata: {{ name: payments{annotations} }}
spec:
  targets: [ {{ operation: payment.authorize }} ]
  deadline: 300ms
"
    )
}

const EXCUSED: &str = ", annotations: { bowline.dev/allow: \"T01: the provider is a stub until May\" }";

fn check(folder: &Folder, more: &[&str]) -> Ran {
    bowline(&[&["check", folder.path().to_str().unwrap()], more].concat())
}

fn json(folder: &Folder, more: &[&str]) -> Value {
    let ran = check(folder, &[more, &["--output", "json"]].concat());
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err))
}

// === exceptions ===

#[test]
fn an_excused_error_is_shown_with_its_reason_and_fails_nothing() {
    let folder = impossible(EXCUSED);
    let ran = check(&folder, &[]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(ran.out.starts_with("excused[T01]: "), "{}", ran.out);
    assert!(ran.out.contains("= because: the provider is a stub until May ("), "{}", ran.out);
    assert!(ran.out.contains("\nno findings, 1 excused in 2 resources"), "{}", ran.out);
    let document = json(&folder, &[]);
    assert_eq!(document["findings"].as_array().unwrap().len(), 0);
    assert_eq!(document["excused"][0]["rule"], "T01");
    assert_eq!(document["excused"][0]["excusedBy"]["reason"], "the provider is a stub until May");
}

#[test]
fn without_exceptions_it_is_an_error_again() {
    let ran = check(&impossible(EXCUSED), &["--no-exceptions"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.starts_with("error[T01]: "), "{}", ran.out);
    assert!(!ran.out.contains("excused"), "{}", ran.out);
}

#[test]
fn an_exception_that_excuses_nothing_is_told_with_its_place() {
    let folder = impossible(", annotations: { bowline.dev/allow: \"T03: it was so once\" }");
    let ran = check(&folder, &[]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("warning[idle-exception]: T03 is excused here, and not found\n"), "{}", ran.out);
    assert!(ran.out.contains("1 exception that excuses nothing in 2 resources"), "{}", ran.out);
    assert_eq!(json(&folder, &[])["idleExceptions"][0]["rule"], "T03");
}

#[test]
fn an_exception_of_no_rule_is_a_mistake() {
    let ran = check(&impossible(", annotations: { bowline.dev/allow: \"T99: why not\" }"), &[]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.starts_with("error[unknown-rule]: found an exception of `T99`\n"), "{}", ran.out);
    assert!(ran.out.ends_with("1 mistake in 1 file; nothing was loaded\n"), "{}", ran.out);
}

#[test]
fn an_excused_error_keeps_nothing_from_starting_and_a_bad_exception_does() {
    let gateway = port();
    let start = |annotations: &str| designs::small(gateway, &format!("---\n{}", documents(annotations)));
    Up::ready(&start(EXCUSED), Ports { gateway, ..Ports::new() }, &[]);
    let folder = start(", annotations: { bowline.dev/allow: T01 }");
    let ran = bowline(&["up", folder.path().to_str().unwrap()]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out.contains("error[bad-exception]: found an exception of T01 without a reason"),
        "{}",
        ran.out
    );
}

// === SARIF ===

#[test]
fn sarif_holds_findings_and_mistakes_and_ends_as_ever() {
    let ran = check(&impossible(""), &["--output", "sarif"]);
    let log: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &log["version"]), (1, &"2.1.0".into()));
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "T01");
    let folder = impossible("");
    folder.edit("design.yaml", "deadline", "deadlin");
    let ran = check(&folder, &["--output", "sarif"]);
    let log: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &log["runs"][0]["results"][0]["ruleId"]), (1, &"unknown-field".into()));
}

#[test]
fn no_other_verb_writes_sarif() {
    let ran = bowline(&["version", "--output", "sarif"]);
    assert_eq!((ran.code, &*ran.out), (2, ""));
    assert!(ran.err.contains("`bowline check` writes it"), "{}", ran.err);
}

// === what an edit would do ===

/// A try that may take as long as the call (T03), against a service of which two in a hundred answers take long;
/// `more` are further documents.
fn long_tries(policy: &str, more: &str) -> Folder {
    let folder = Folder::new();
    folder.write(
        "design.yaml",
        &format!(
            "kind: Service
metadata: {{ name: prices }}
spec:
  endpoints: [ {{ address: \"127.0.0.1:7102\" }} ]
  concurrency: 100
  operations:
  - {{ name: all, http: {{ method: GET, path: /prices }}, takes: {{ p50: 10ms, p99: 150ms }} }}
---
kind: Policy
metadata: {{ name: prices }}
spec:
  targets: [ {{ operation: prices.all }} ]
  deadline: 350ms
  retry: {{ tries: 2, perTry: 350ms, backoff: {{ base: 10ms, max: 20ms }} }}
{policy}
{more}"
        ),
    );
    folder
}

/// Two hundred requests a second, and a service that is slow for a while.
const SALE: &str = "---
kind: Scenario
metadata: { name: sale }
spec:
  load: { operation: prices.all, arrivals: poisson, rate: 200/s, for: 10m }
  faults: [ { at: 60s, for: 10s, service: prices, slow: { factor: 8 } } ]
";

#[test]
fn an_edit_is_simulated_beside_the_design_as_it_is() {
    let folder = long_tries("", SALE);
    let document = json(&folder, &["--simulate"]);
    let ran = &document["simulated"]["ran"][0];
    assert_eq!((&ran["lengthSeconds"], &ran["cutFromSeconds"]), (&60.0.into(), &600.0.into()));
    assert_eq!(ran["seeds"].as_array().unwrap().len(), 5);
    let finding = &document["findings"][0];
    assert_eq!(finding["rule"], "T03");
    let figures = finding["simulated"]["scenarios"][0]["figures"].as_array().unwrap();
    let names: Vec<_> = figures.iter().map(|figure| figure["figure"].as_str().unwrap()).collect();
    assert_eq!(names, ["acknowledged_p99", "failed", "work_per_request", "recovery"]);
    // Shorter tries are asked again: more of them for each request, whatever else comes of it.
    let work = &figures[2];
    let mean = |side: &str| work[side]["mean"].as_f64().unwrap();
    assert!(mean("before") < mean("after"), "{work:#}");
    assert_eq!(work["verdict"], "worse");
    let ran = check(&folder, &["--simulate"]);
    assert!(ran.out.contains("    = with the edit, under sale:\n        acknowledged p99"), "{}", ran.out);
    assert!(
        ran.out.contains("simulated: sale: 60 s of 200/s, prices 8 times as slow 10..20 s, 5 seeds"),
        "{}",
        ran.out
    );
    assert_eq!(ran.err, "", "no bar outside of a terminal");
}

#[test]
fn the_same_figures_come_from_any_number_of_threads() {
    let folder = long_tries("", SALE);
    let of = |threads: &str| json(&folder, &["--simulate", "--seeds", "2", "--threads", threads]);
    assert_eq!(of("1"), of("3"));
}

#[test]
fn where_no_load_is_known_it_says_so() {
    let ran = check(&long_tries("", ""), &["--simulate"]);
    assert!(ran.out.contains("    = not simulated: no load is known"), "{}", ran.out);
}

#[test]
fn a_rate_limit_is_a_load() {
    let folder = long_tries("  rateLimit: { perSecond: 100, burst: 10 }", "");
    let document = json(&folder, &["--simulate"]);
    assert_eq!(document["simulated"]["ran"][0]["load"], "100/s");
    let notes = document["simulated"]["notes"][0].as_str().unwrap();
    assert!(notes.starts_with("the design has no Scenario: "), "{notes}");
}

#[test]
fn what_no_scenario_reaches_is_said_to_be_out_of_reach() {
    let other = SALE.replace("prices", "stock");
    let service = "---
kind: Service
metadata: { name: stock }
spec:
  endpoints: [ { address: \"127.0.0.1:7103\" } ]
  operations: [ { name: all, http: { method: GET, path: /stock }, takes: { p50: 1ms, p99: 5ms } } ]
";
    let ran = check(&long_tries("", &format!("{service}{other}")), &["--simulate"]);
    assert!(
        ran.out.contains("    = not simulated: no scenario reaches what the edit changes"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("million events"), "nothing is run for it: {}", ran.out);
}

/// The shop has no finding; with longer tries it has, and all of its scenarios are simulated.
#[test]
fn the_shops_scenarios_are_simulated_while_one_waits() {
    let folder = Folder::new();
    for file in std::fs::read_dir(designs::repository().join("examples/shop/design")).unwrap() {
        let file = file.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        folder.write(file.file_name().unwrap().to_str().unwrap(), &text);
    }
    folder.edit("policies.yaml", "perTry: 80ms", "perTry: 280ms");
    // One seed, five seconds: what is asked here is that all of it runs.
    let document = json(&folder, &["--simulate", "--seeds", "1", "--for", "5s"]);
    assert_eq!(document["findings"][0]["rule"], "T08");
    assert_eq!(document["findings"][0]["simulated"]["scenarios"].as_array().unwrap().len(), 4);
}

#[test]
fn a_scenario_that_cannot_be_run_is_said_and_keeps_no_finding_back() {
    let missing = SALE.replace("arrivals: poisson, rate: 200/s", "arrivals: { trace: nowhere.txt }");
    let ran = check(&long_tries("", &missing), &["--simulate"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("warning[T03]: "), "{}", ran.out);
    assert!(ran.out.contains("    = not simulated: no scenario of the design can be run\n"), "{}", ran.out);
    assert!(ran.out.contains("simulated: not sale: failed to read the arrivals in "), "{}", ran.out);
}
