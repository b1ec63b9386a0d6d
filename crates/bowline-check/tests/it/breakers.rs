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
