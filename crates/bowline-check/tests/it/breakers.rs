//! B01: breakers that never trip, or that do not say how many calls prove something.

use crate::support::check;

/// A service with one operation, and a policy for it that says this.
fn policy(says: &str) -> String {
    format!(
        "
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: stock }}
spec:
  endpoints: [ {{ address: \"127.0.0.1:7102\" }} ]
  operations: [ {{ name: read, http: {{ method: GET, path: /stock }} }} ]
---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: {{ name: stock }}
spec:
  targets: [ {{ operation: stock.read }} ]
  {says}
"
    )
}

const UNSAID: &str = "B01 info spec.breaker: the breaker of Policy stock names no minimum volume";

#[test]
fn b01_a_ratio_without_a_minimum_is_worth_knowing() {
    check(&policy("breaker: { failureRatio: 0.5 }"), &[UNSAID]);
    let found =
        check(&policy("breaker:\n    # half of them\n    failureRatio: 0.5\n    window: 4s"), &[UNSAID]);
    assert_eq!(found[0].formula, "20 calls in 4 s = 5 calls/s: fewer than that never trip its ratio");
    check(&policy("breaker: { slowCall: { over: 1s } }"), &[UNSAID]);
    check(&policy("breaker: { open: 5s }"), &[UNSAID]);
}

#[test]
fn b01_a_minimum_or_failures_in_a_row_are_enough() {
    check(&policy("breaker: { failureRatio: 0.5, minCalls: 20 }"), &[]);
    check(&policy("breaker: { consecutive: 5 }"), &[]);
}

#[test]
fn b01_a_minimum_that_the_rate_limit_never_lets_through_is_an_error() {
    let limited = |calls: u32| {
        policy(&format!(
            "deadline: 1s\n  rateLimit: {{ perSecond: 2, burst: 4 }}\n  breaker: {{ failureRatio: 0.5, window: 10s, minCalls: {calls} }}"
        ))
    };
    check(&limited(26), &[]);
    let found = check(
        &limited(27),
        &[
            "B01 error spec.breaker: the breaker of stock.read never trips: it wants to see 27 calls in 10 s, and the rate \
           limit lets 26 through",
        ],
    );
    assert_eq!(found[0].formula, "(4 + 2/s x (10 s + 1 s)) x 1 try = 26 < 27");
}

#[test]
fn b01_tries_count_and_consecutive_trips_all_the_same() {
    let limited = |more: &str, breaker: &str| {
        policy(&format!(
            "deadline: 1s\n  rateLimit: {{ perSecond: 1 }}\n  {more}breaker: {{ failureRatio: 0.5{breaker} }}"
        ))
    };
    check(
        &limited("", ""),
        &[
            "B01 error spec.breaker: the breaker of stock.read never trips: it wants to see 20 calls in 10 s, and the rate \
           limit lets 12 through",
        ],
    );
    check(&limited("retry: { tries: 2 }\n  ", ", minCalls: 20"), &[]);
    check(&limited("", ", minCalls: 20, consecutive: 5"), &[]);
}

#[test]
fn b01_without_a_deadline_calls_of_any_age_may_end_in_a_window() {
    check(&policy("rateLimit: { perSecond: 1 }\n  breaker: { failureRatio: 0.5, minCalls: 100 }"), &[]);
}

/// A stock of several endpoints behind one breaker.
fn replicated(endpoints: &str, rule: &str, policy: &str) -> String {
    format!(
        "
kind: Service
metadata: {{ name: stock }}
spec:
  endpoints: [ {endpoints} ]
  operations: [ {{ name: read, http: {{ method: GET, path: /stock }} }} ]
---
kind: Policy
metadata: {{ name: stock }}
spec: {{ targets: [ {{ service: stock }} ], deadline: 1s, {policy} }}
{rule}"
    )
}

const TWO: &str =
    "{ address: \"127.0.0.1:1\", labels: { v: a } }, { address: \"127.0.0.1:2\", labels: { v: b } }";
const HALF: &str = "breaker: { minCalls: 20, failureRatio: 0.5 }";

#[test]
fn b02_one_of_two_replicas_is_half_of_all_calls() {
    let found = check(
        &replicated(TWO, "", HALF),
        &[
            "B02 warning spec.breaker.failureRatio: if 1 of 2 replicas fails, the breaker of stock opens for the others too",
        ],
    );
    assert_eq!(found[0].formula, "1 of 2 replicas = 50 % of calls >= 50 %");
    check(&replicated(TWO, "", "breaker: { minCalls: 20, failureRatio: 0.51 }"), &[]);
    check(&replicated("{ address: \"127.0.0.1:1\" }", "", HALF), &[]);
}

#[test]
fn b02_tries_that_go_elsewhere_thin_the_failures_out() {
    check(&replicated(TWO, "", &format!("retry: {{ tries: 2 }}, {HALF}")), &[]);
    let third = "retry: { tries: 2 }, breaker: { minCalls: 20, failureRatio: 0.33 }";
    let found = check(
        &replicated(TWO, "", third),
        &[
            "B02 warning spec.breaker.failureRatio: if 1 of 2 replicas fails, the breaker of stock opens for the others too",
        ],
    );
    assert_eq!(found[0].formula, "1 of 2 replicas = 50 % of first tries, 33.3 % of all tries >= 33 %");
}

#[test]
fn b02_a_subset_fails_as_one_and_ejection_is_the_better_answer() {
    let three = format!("{TWO}, {{ address: \"127.0.0.1:3\", labels: {{ v: b }} }}");
    let rule = |more: &str| {
        format!(
            "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{ name: stock }}
spec: {{ host: stock, subsets: [ {{ name: b, labels: {{ v: b }} }} ]{more} }}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: stock }}
spec: {{ hosts: [ stock ], http: [ {{ route: [ {{ destination: {{ host: stock }} }} ], timeout: 2s, retries: {{ attempts: 0 }} }} ] }}
"
        )
    };
    let found = check(
        &replicated(&three, &rule(""), HALF),
        &[
            "B02 warning spec.breaker.failureRatio: if subset b with 2 of 3 endpoints fails, the breaker of stock opens for the \
             others too",
        ],
    );
    assert_eq!(found[0].formula, "subset b with 2 of 3 endpoints = 66.7 % of calls >= 50 %");
    let ejects = ", trafficPolicy: { outlierDetection: { consecutive5xxErrors: 5 } }";
    check(&replicated(&three, &rule(ejects), HALF), &[]);
}

/// A stock that a scenario crashes.
fn crashed(crash: &str, breaker: &str) -> String {
    policy(&format!("breaker: {{ minCalls: 20, failureRatio: 0.5{breaker} }}"))
        + &format!(
            "---
kind: Scenario
metadata: {{ name: crash }}
spec:
  load: {{ operation: stock.read, arrivals: poisson, rate: 50/s, for: 5m }}
  faults: [ {{ at: 60s, for: 1s, service: stock, crash: {crash} }} ]
"
        )
}

#[test]
fn b03_an_open_time_below_the_restart_asks_too_early() {
    let expected = [
        "B03 warning spec.breaker.open: the breaker of stock asks again after 1 s, and stock takes 7.5 s to start",
    ];
    let found = check(&crashed("{ restart: 7500ms }", ", open: 1s"), &expected);
    assert_eq!(
        found[0].formula,
        "1 s < 7.5 s: 3 rounds of probes too early, after 1 s, 3 s, 7 s; asked again 7.5 s after the start is over"
    );
    assert_eq!(found[0].advice, "let it stay open for 8 s, as long as stock takes to start");
    check(&crashed("{ restart: 7500ms }", ", open: 1s, openMax: 2s"), &expected);
}

#[test]
fn b03_a_long_enough_open_time_or_an_unknown_restart_is_no_finding() {
    check(&crashed("{ restart: 7500ms }", ", open: 8s"), &[]);
    check(&crashed("{}", ", open: 1s"), &[]);
    check(
        &crashed("{ restart: 20s }", ""),
        &[
            "B03 warning spec.breaker: the breaker of stock asks again after 5 s, and stock takes 20 s to start",
        ],
    );
}

/// A window before a stock with a breaker; the way to the window tries again.
fn retried(on: &str, open: &str) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{ name: front }}
spec: {{ servers: [ {{ port: {{ number: 8080, name: http, protocol: HTTP }}, hosts: [ \"*\" ] }} ] }}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: window }}
spec:
  hosts: [ \"*\" ]
  gateways: [ front ]
  http: [ {{ route: [ {{ destination: {{ host: window }} }} ], timeout: 5s, retries: {{ attempts: 2, retryOn: \"{on}\" }} }} ]
---
kind: Service
metadata: {{ name: window }}
spec: {{ operations: [ {{ name: look, http: {{ method: GET, path: /items }}, does: [ {{ choice: [ {{ does: [ {{ call: stock.read }} ] }}, {{ does: [ {{ work: 1ms }} ] }} ] }} ] }} ] }}
---{}",
        policy(&format!("breaker: {{ minCalls: 20, failureRatio: 0.5, open: {open} }}"))
    )
}

/// No budget bounds the gateway's tries.
const UNBOUNDED: &str = "R04 info spec.http[0].retries.attempts: when calls of window fail, nothing bounds how many are made again \
                         (no edit)";

#[test]
fn b04_a_layer_that_names_503_asks_an_open_breaker_again() {
    for on in ["5xx", "gateway-error", "503,connect-failure"] {
        let found = check(
            &retried(on, "10s"),
            &[
                "B04 warning spec.http[0].retries.retryOn: while the breaker of stock.read is open, gateway front asks window.look 3 times for nothing",
                UNBOUNDED,
            ],
        );
        assert_eq!(found[0].formula, "100 ms of pauses at most < 10 s open: 2 retries without a chance");
    }
}

#[test]
fn b04_refusals_and_breakers_that_close_in_between_are_no_finding() {
    check(&retried("connect-failure,refused-stream,504", "10s"), &[UNBOUNDED]);
    check(&retried("5xx", "90ms"), &[UNBOUNDED]);
}

/// An intake that asks orders, which always asks stock, behind a breaker.
fn ordered(intake: &str, more: &str) -> String {
    policy("breaker: { minCalls: 20, failureRatio: 0.5 }")
        + &format!(
            "---
kind: Service
metadata: {{ name: orders }}
spec: {{ operations: [ {{ name: place, http: {{ method: POST, path: /orders }}, idempotent: by-key, does: [ {{ call: stock.read }} ] }}, {{ name: show, http: {{ method: GET, path: \"/orders/{{id}}\" }} }} ] }}
---
kind: Broker
metadata: {{ name: main }}
spec: {{ embedded: {{}} }}
---
kind: Topic
metadata: {{ name: waiting }}
spec: {{ broker: main, retention: 7d }}
---
kind: Subscription
metadata: {{ name: waiting }}
spec: {{ topic: waiting, group: orders, deliver: {{ operation: orders.place }}, deadLetter: {{ after: 16 }} }}
---
kind: Intake
metadata: {{ name: place }}
spec: {{ match: {{ method: POST, path: /orders }}, {intake} }}
{more}"
        )
}

const CALL: &str = "start: { call: { operation: orders.place } }";

#[test]
fn b05_a_call_that_every_request_makes_has_nothing_in_its_stead() {
    let found = check(
        &ordered(CALL, ""),
        &[
            "B05 info spec.operations[0].does[0].call: while the breaker of stock.read is open, every orders.place fails: nothing is done in its stead",
        ],
    );
    assert_eq!(found[0].path, ["orders.place", "stock.read"]);
}

#[test]
fn b05_several_breakers_in_the_way_are_one_finding() {
    let more = "---
kind: Service
metadata: { name: ledger }
spec: { operations: [ { name: write, http: { method: POST, path: /entries } } ] }
---
kind: Policy
metadata: { name: ledger }
spec: { targets: [ { service: ledger } ], breaker: { minCalls: 20, failureRatio: 0.5 } }
";
    check(
        &ordered(CALL, more).replace("{ call: stock.read }", "{ call: stock.read }, { call: ledger.write }"),
        &[
            "B05 info spec.operations[0].does[0].call: while the breaker of stock.read or ledger.write is open, every orders.place fails: nothing is done in its stead",
        ],
    );
}

#[test]
fn b05_another_way_in_the_design_or_in_a_variant_is_enough() {
    check(&ordered(&format!("{CALL}, otherwise: {{ publish: {{ topic: waiting }} }}"), ""), &[]);
    check(&ordered("start: { publish: { topic: waiting } }", ""), &[]);
    let overlay = "---
kind: Overlay
metadata: { name: hybrid }
spec: { patches: [ { kind: Intake, name: place, patch: { spec: { otherwise: { publish: { topic: waiting } } } } } ] }
";
    check(&ordered(CALL, overlay), &[]);
}
