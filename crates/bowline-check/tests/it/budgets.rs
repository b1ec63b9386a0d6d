//! R04 and R07: retries that nothing bounds, and that sleep where others wait.

use crate::support::{check, findings};

/// A window that asks stock by a route of Istio's, under a load of `rate`; `more` documents besides.
fn asked(rate: u32, stock: &str, retries: &str, more: &str) -> String {
    format!(
        "
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: window }}
spec:
  operations: [ {{ name: look, http: {{ method: GET, path: /items }}, does: [ {{ call: stock.read }} ] }} ]
---
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: stock }}
spec: {{ {stock}, operations: [ {{ name: read, http: {{ method: GET, path: /stock }}, takes: {{ p50: 707us, p99: 4.9ms }} }} ] }}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: stock }}
spec:
  hosts: [ stock ]
  http:
  - route: [ {{ destination: {{ host: stock }} }} ]
    timeout: 2s
    retries: {{ {retries} }}
---
apiVersion: bowline.dev/v1alpha1
kind: Scenario
metadata: {{ name: busy }}
spec: {{ load: {{ operation: window.look, arrivals: poisson, rate: {rate}/s, for: 10m }} }}
{more}"
    )
}

/// A DestinationRule of stock with this policy.
fn rule(policy: &str) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{ name: stock }}
spec: {{ host: stock, trafficPolicy: {{ {policy} }} }}
"
    )
}

const THREE: &str = "attempts: 3, perTryTimeout: 40ms, retryOn: 5xx";
const STORM: &str = "R04 error spec.http[0].retries.attempts: nothing bounds the retries of stock.read, and under Scenario busy \
                     they keep themselves going once its queue is long";
const TOO_MUCH: &str = "R04 warning spec.http[0].retries.attempts: nothing bounds the retries of stock.read: when it fails under \
                        Scenario busy, it is asked for more than it can do";

#[test]
fn r04_retries_that_keep_themselves_going_are_an_error_and_a_budget_ends_them() {
    let without = format!("{STORM} (no edit)");
    let found = check(&asked(700, "concurrency: 1", THREE, ""), &[&without]);
    assert_eq!(
        found[0].formula,
        "700/s + 2100/s of retries = 2800/s of 1000.5/s: 100 % of tries wait longer than 40 ms, 2800/s >= 2100/s"
    );
    assert_eq!(found[0].label, "4 tries of each call, and no budget");
    check(&asked(700, "concurrency: 1", THREE, &rule("loadBalancer: { simple: RANDOM }")), &[STORM]);
    check(&asked(700, "concurrency: 1", THREE, &rule("retryBudget: { percent: 20 }")), &[]);
}

/// The budget that Istio has is not always enough; then it is the queue that has to have an end.
#[test]
fn r04_where_a_budget_does_not_end_them_the_queue_is_to_blame() {
    let found = findings(&[crate::support::design(&asked(
        790,
        "concurrency: 1",
        THREE,
        &rule("retryBudget: { percent: 20 }"),
    ))]);
    assert_eq!(found.iter().map(|finding| finding.rule).collect::<Vec<_>>(), ["Q01"]);
}

#[test]
fn r04_more_than_the_callee_can_do_is_a_warning_where_no_try_waits_so_long() {
    let without = format!("{TOO_MUCH} (no edit)");
    let found = check(&asked(700, "concurrency: 1, queue: 20", THREE, ""), &[&without]);
    assert_eq!(found[0].formula, "700/s, with all retries 2800/s > 1000.5/s that stock can do");
    // 100 that wait for 1 ms each wait longer than a try.
    let error = format!("{STORM} (no edit)");
    let found = findings(&[crate::support::design(&asked(700, "concurrency: 1, queue: 100", THREE, ""))]);
    assert!(found.iter().map(crate::support::line).any(|line| line == error), "{found:?}");
}

#[test]
fn r04_tries_that_all_fit_and_tries_after_refusals_are_no_finding() {
    check(&asked(200, "concurrency: 1", THREE, ""), &[]);
    check(&asked(700, "concurrency: 1", "attempts: 3, perTryTimeout: 40ms", ""), &[]);
    check(&asked(700, "concurrency: 1", "attempts: 0", ""), &[]);
}

#[test]
fn r04_where_no_numbers_are_known_it_is_worth_knowing_once_for_a_namespace() {
    let route = |name: &str, retry: &str| {
        format!(
            "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: {name}, namespace: shop }}
spec:
  hosts: [ {name} ]
  http: [ {{ match: [ {{ method: {{ exact: GET }} }} ], route: [ {{ destination: {{ host: {name} }} }} ], timeout: 9s, retries: {{ attempts: 2, {retry} }} }} ]
"
        )
    };
    let of = |name: &str, more: &str| {
        route(name, "retryOn: 5xx")
            + &format!(
                "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{ name: {name}, namespace: shop }}
spec: {{ host: {name}, trafficPolicy: {{ {more} }} }}
"
            )
    };
    let both = "R04 info spec.http[0].retries.attempts: when calls of 2 routes in shop fail, nothing bounds how many are made again";
    let found =
        check(&(of("ratings", "tls: { mode: DISABLE }") + &of("prices", "tls: { mode: DISABLE }")), &[both]);
    assert_eq!(found[0].formula, "up to 3 times the load (ratings, prices); retryBudget: none");
    let one = "R04 info spec.http[0].retries.attempts: when calls of prices fail, nothing bounds how many are made again";
    check(&(of("ratings", "retryBudget: { percent: 10 }") + &of("prices", "tls: { mode: DISABLE }")), &[one]);
    check(&of("ratings", "connectionPool: { http: { maxRetries: 3 } }"), &[]);
    check(&route("ratings", "retryOn: connect-failure"), &[]);
}

#[test]
fn r07_calls_that_sleep_take_all_places_of_a_pool() {
    let pool = "connectionPool: { http: { http2MaxRequests: 20, http1MaxPendingRequests: 10 } }";
    let again = "attempts: 2, retryOn: \"connect-failure,refused-stream\"";
    // A short timeout: one that hangs is T05's.
    let asked = |rate, more: &str| {
        asked(rate, "concurrency: 8", again, &rule(more)).replace("timeout: 2s", "timeout: 80ms")
    };
    let found = check(
        &asked(700, pool),
        &[
            "R07 warning spec.trafficPolicy.connectionPool.http.http2MaxRequests: when stock.read refuses at once under Scenario \
             busy, calls that sleep between their tries hold all places of its bulkhead",
        ],
    );
    assert_eq!(found[0].formula, "700/s x 50 ms of pauses = 35 asleep >= 20 at once");
    check(&asked(300, pool), &[]);
    check(&asked(700, &format!("{pool}, retryBudget: {{ percent: 20 }}")), &[]);
}
