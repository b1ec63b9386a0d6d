//! T04 to T07: timeouts that are too short, too long, and told to nobody.

use crate::deadlines::chain;
use crate::support::check;

/// 99 of 100 answers take 180 ms.
const TAKES: &str = "takes: { p50: 20ms, p99: 180ms }";

// ---- T04

#[test]
fn t04_a_try_below_the_99th_percentile_cuts_off_healthy_answers() {
    let found = check(
        &chain("", "does: [ { call: b.run } ]", "deadline: 1s\n  retry: { tries: 3, perTry: 100ms }", TAKES),
        &["T04 warning spec.retry.perTry: 4.4 % of all tries of b.run are cut off although nothing is wrong"],
    );
    assert_eq!(
        found[0].formula,
        "p50 20 ms, p99 180 ms, log-normal: 4.4 % take longer than 100 ms, and 4.6 % more calls are made for it"
    );
    assert_eq!(found[0].advice, "raise perTry to 180ms");
}

#[test]
fn t04_at_the_99th_percentile_and_without_one_nothing_is_said() {
    let with = |per_try: &str, takes: &str| {
        chain(
            "",
            "does: [ { call: b.run } ]",
            &format!("deadline: 1s\n  retry: {{ tries: 3, perTry: {per_try} }}"),
            takes,
        )
    };
    check(&with("180ms", TAKES), &[]);
    check(&with("100ms", ""), &[]);
    check(&with("100ms", "takes: { p50: 20ms }"), &[]);
}

#[test]
fn t04_what_more_than_half_miss_is_t01s() {
    let found = check(
        &chain("", "does: [ { call: b.run } ]", "deadline: 1s\n  retry: { tries: 2, perTry: 19ms }", TAKES),
        &[
            "T01 error spec.retry.perTry: a.run gives a try of b.run 19 ms, and b.run takes 20 ms or more in half of all calls: \
             at best every other call is in time",
        ],
    );
    assert_eq!(found.len(), 1);
}

#[test]
fn t04_a_deadline_counts_as_a_try_does() {
    check(
        &chain("", "does: [ { call: b.run } ]", "deadline: 150ms", TAKES),
        &["T04 warning spec.deadline: 1.6 % of all calls of b.run are cut off although nothing is wrong"],
    );
}

#[test]
fn t04_the_edit_keeps_the_tries_within_the_deadline() {
    let of = |deadline: &str, tries: u32| {
        let policy = format!("deadline: {deadline}\n  retry: {{ tries: {tries}, perTry: 100ms }}");
        let yaml = chain("", "does: [ { call: b.run } ]", &policy, TAKES);
        let expected = "T04 warning spec.retry.perTry: 4.4 % of all tries of b.run are cut off although nothing is wrong";
        let found = check(&yaml, &[expected]);
        let mended = found[0].mended(&[crate::support::design(&yaml)]).unwrap();
        check(&mended[0].text, &[]);
        found[0].advice.clone()
    };
    assert_eq!(of("400ms", 3), "raise perTry to 180ms, and allow 2 tries: more do not fit into 400 ms");
    assert_eq!(of("375ms", 3), "raise perTry to 180ms, and allow 1 try: more do not fit into 375 ms");
}

#[test]
fn t04_where_no_try_less_can_be_written_the_deadline_grows_too() {
    let routes = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: b }
spec:
  hosts: [ b ]
  http: [ { route: [ { destination: { host: b } } ], timeout: 300ms, retries: { attempts: 1, perTryTimeout: 100ms } } ]
";
    let yaml = chain("", "", "", TAKES) + routes;
    let found = check(
        &yaml,
        &[
            "T04 warning spec.http[0].retries.perTryTimeout: 4.4 % of all tries of b.run are cut off although nothing is wrong",
        ],
    );
    assert_eq!(
        found[0].advice,
        "raise perTryTimeout to 180ms and the deadline to 385ms, so that all tries fit"
    );
    let mended = found[0].mended(&[crate::support::design(&yaml)]).unwrap();
    check(&mended[0].text, &[]);
}

// ---- T05

/// The chain under a load of b that is known.
fn loaded(rate: u32, a: &str, to_b: &str, b: &str) -> String {
    chain("deadline: 10s", a, to_b, b)
        + &format!(
            "---
apiVersion: bowline.dev/v1alpha1
kind: Scenario
metadata: {{ name: busy }}
spec: {{ load: {{ operation: a.run, arrivals: poisson, rate: {rate}/s, for: 10m }} }}
"
        )
}

const QUICK: &str = "takes: { p50: 5ms, p99: 20ms }";

#[test]
fn t05_a_callee_that_hangs_takes_all_places_of_a_bulkhead() {
    let found = check(
        &loaded(100, "does: [ { call: b.run } ]", "deadline: 2s\n  bulkhead: { concurrent: 50 }", QUICK),
        &[
            "T05 warning spec.deadline: a b.run that hangs is noticed after 2 s, and by then it holds all places of the bulkhead \
             of b under Scenario busy",
        ],
    );
    assert_eq!(found[0].formula, "2 s > 10 x 31.53 ms; 100/s x 2 s = 200 at once >= 50");
    assert_eq!(found[0].advice, "lower deadline to 490ms: nearly every answer is there by then");
}

#[test]
fn t05_the_concurrency_of_the_caller_is_places_too() {
    let a = "does: [ { call: b.run } ]";
    let of = |replicas: u32| {
        loaded(100, a, "deadline: 2s", QUICK).replacen(
            "operations:",
            &format!("concurrency: 100\n  replicas: {replicas}\n  queue: 50\n  operations:"),
            1,
        )
    };
    check(
        &of(1),
        &[
            "T05 warning spec.deadline: a b.run that hangs is noticed after 2 s, and by then it holds all places of a under \
             Scenario busy",
        ],
    );
    check(&of(3), &[]);
}

#[test]
fn t05_room_a_short_limit_and_callees_that_call_others_are_no_finding() {
    let a = "does: [ { call: b.run } ]";
    check(&loaded(100, a, "deadline: 2s\n  bulkhead: { concurrent: 300 }", QUICK), &[]);
    check(&loaded(100, a, "deadline: 300ms\n  bulkhead: { concurrent: 10 }", QUICK), &[]);
    check(&loaded(100, a, "deadline: 2s\n  bulkhead: { concurrent: 50 }", ""), &[]);
    check(&loaded(100, a, "deadline: 2s", QUICK), &[]);
}

#[test]
fn t05_no_edit_cuts_off_healthy_answers() {
    let found = check(
        &loaded(1_000, "does: [ { call: b.run } ]", "deadline: 2s\n  bulkhead: { concurrent: 20 }", QUICK),
        &[
            "T05 warning spec.deadline: a b.run that hangs is noticed after 2 s, and by then it holds all places of the bulkhead \
             of b under Scenario busy (no edit)",
        ],
    );
    assert!(found[0].advice.starts_with("allow more at once, or put a breaker"), "{}", found[0].advice);
}

// ---- T06

/// Three services in a row; the second does not hand on what the first gave it.
fn row(to_b: &str, to_c: &str, b: &str) -> String {
    let c = "---
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: { name: c }
spec:
  operations: [ { name: run, http: { method: GET, path: /c } } ]
---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: { name: to-c }
spec:
  targets: [ { operation: c.run } ]
";
    let calls = format!("does: [ {{ call: c.run }} ]\n  {b}");
    chain("deadline: 9s", "does: [ { call: b.run } ]\n  forwards: true", to_b, &calls)
        + c
        + &format!("  {to_c}\n")
}

const ORPHANS: &str = "T06 warning spec: a.run waits 300 ms for b.run, which does not hand that on: c.run may work for up to 2 s, \
                       for nobody";

#[test]
fn t06_a_callee_that_outlasts_its_callers_caller_works_for_nobody() {
    let found = check(&row("deadline: 300ms", "deadline: 2s", ""), &[ORPHANS]);
    assert_eq!(found[0].formula, "2 s > 300 ms that are left");
    assert_eq!(found[0].path, ["a.run", "b.run", "c.run"]);
    check(&row("deadline: 300ms", "deadline: 2s", "forwards: true"), &[]);
    let written = ORPHANS.replace("spec:", "spec.forwards:");
    check(&row("deadline: 300ms", "deadline: 2s", "forwards: false"), &[&written]);
}

#[test]
fn t06_calls_that_end_in_time_and_calls_of_which_nothing_is_known_are_no_finding() {
    check(&row("deadline: 300ms", "deadline: 300ms", ""), &[]);
    check(&row("", "deadline: 2s", "forwards: true"), &[]);
    check(&row("deadline: 300ms", "idempotent: true", ""), &[]);
    let takes = |p99: &str| {
        row("deadline: 300ms", "idempotent: true", "")
            .replace("path: /c }", &format!("path: /c }}, takes: {{ p50: 50ms, p99: {p99} }}"))
    };
    check(&takes("300ms"), &[]);
    let orphans = ORPHANS.replace("2 s,", "400 ms,");
    check(&takes("400ms"), &[&orphans]);
}

// ---- T07

#[test]
fn t07_limits_that_add_up_to_more_than_the_gateway_waits() {
    let twice = "does: [ { work: 20ms }, { call: b.run }, { call: b.run } ]";
    let found = check(
        &chain("deadline: 500ms", twice, "deadline: 300ms", ""),
        &[
            "T07 warning spec.deadline: gateway door gives a.run up after 500 ms, and a.run goes on for up to 620 ms",
        ],
    );
    assert_eq!(found[0].formula, "20 ms + 300 ms + 300 ms = 620 ms > 500 ms");
    let side_by_side = "does: [ { work: 20ms }, { parallel: [ { call: b.run }, { call: b.run } ] } ]";
    check(&chain("deadline: 500ms", side_by_side, "deadline: 300ms", ""), &[]);
    check(&chain("deadline: 620ms", twice, "deadline: 300ms", ""), &[]);
    check(&chain("deadline: 500ms", &format!("{twice}\n  forwards: true"), "deadline: 300ms", ""), &[]);
    check(&chain("deadline: 500ms", twice, "", ""), &[]);
}

#[test]
fn t07_the_30_seconds_that_a_gateway_stamps_are_a_limit_too() {
    let found = check(
        &chain("", "does: [ { call: b.run } ]", "deadline: 45s", ""),
        &[
            "T07 warning spec.http[0]: gateway door gives a.run up after 30 s, and a.run goes on for up to 45 s",
        ],
    );
    assert_eq!(
        found[0].advice,
        "let gateway door wait for 45s, or let a hand the deadline on and say so with `forwards: true`"
    );
}

// ---- T02, of what is handed on

#[test]
fn t02_a_deadline_ends_where_a_service_does_not_hand_it_on() {
    let route = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: c }
spec: { hosts: [ c ], http: [ { route: [ { destination: { host: c } } ], retries: { attempts: 0 } } ] }
";
    let yaml = row("idempotent: true", "idempotent: true", "forwards: true");
    check(&(yaml.clone() + route), &[]);
    // b hands on what it is told, and a tells it nothing.
    check(
        &(yaml.replacen("forwards: true", "forwards: false", 1) + route),
        &["T02 warning spec.http[0]: a call of c may take for ever: nothing in the design sets a deadline"],
    );
}
