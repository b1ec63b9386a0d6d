//! The rules over service configs of gRPC: they read what is resolved, whoever says it.

use crate::support::check;

/// A payment service with this operation, governed by this `methodConfig` entry and more of the config.
fn payment(operation: &str, method: &str, more: &str) -> String {
    format!(
        "
kind: Service
metadata: {{ name: payment }}
spec:
  protocol: grpc
  endpoints: [ {{ address: \"127.0.0.1:7102\" }} ]
  operations: [ {{ name: pay, grpc: shop.Payment/Pay{operation} }} ]
---
kind: GrpcServiceConfig
metadata: {{ name: payment }}
spec:
  service: payment
  config:
    methodConfig: [ {{ name: [ {{ service: shop.Payment }} ], timeout: 1s, {method} }} ]
{more}
"
    )
}

fn retry(codes: &str) -> String {
    format!(
        "retryPolicy: {{ maxAttempts: 3, initialBackoff: 0.02s, maxBackoff: 0.1s, backoffMultiplier: 2, \
         retryableStatusCodes: [ {codes} ] }}"
    )
}

const THROTTLED: &str = "    retryThrottling: { maxTokens: 10, tokenRatio: 0.1 }";

#[test]
fn r05_a_status_that_says_nothing_of_the_effect_pays_twice() {
    let at = "R05 error spec.config.methodConfig[0].retryPolicy.retryableStatusCodes[0]: payment.pay is sent again after";
    for (codes, why) in [("UNAVAILABLE", "UNAVAILABLE"), ("RESOURCE_EXHAUSTED, INTERNAL", "INTERNAL")] {
        let said = format!("{at} `{why}`, when the first try may have had its effect (no edit)");
        check(&payment("", &retry(codes), THROTTLED), &[&said]);
    }
    check(&payment("", &retry("RESOURCE_EXHAUSTED, ABORTED"), THROTTLED), &[]);
    check(&payment(", idempotent: by-key", &retry("UNAVAILABLE"), THROTTLED), &[]);
}

#[test]
fn r04_a_throttle_bounds_what_a_budget_would() {
    let idempotent = ", idempotent: true";
    check(&payment(idempotent, &retry("UNAVAILABLE"), THROTTLED), &[]);
    check(
        &payment(idempotent, &retry("UNAVAILABLE"), ""),
        &[
            "R04 info spec.config.methodConfig[0].retryPolicy.maxAttempts: when calls of payment.pay fail, nothing bounds how many are made again (no edit)",
        ],
    );
}

#[test]
fn r08_grpcs_hedge_of_what_must_be_done_once_is_sent() {
    let hedging = "hedgingPolicy: { maxAttempts: 2, hedgingDelay: 0.1s }";
    check(
        &payment("", hedging, THROTTLED),
        &[
            "R08 error spec.config.methodConfig[0].hedgingPolicy: payment.pay is hedged and not known to be idempotent: what is sent twice is done twice (no edit)",
        ],
    );
    check(&payment(", idempotent: true", hedging, THROTTLED), &[]);
}

#[test]
fn r01_retries_of_service_configs_multiply_as_any_others_do() {
    let chain = |throttle: &str| {
        let layer = |name: &str, does: &str| {
            format!(
                "kind: Service\nmetadata: {{ name: {name} }}\nspec:\n  protocol: grpc\n  forwards: true\n  \
                 endpoints: [ {{ address: \"127.0.0.1:1\" }} ]\n  \
                 operations: [ {{ name: do, grpc: a.{name}/Do, idempotent: true, takes: {{ p50: 1ms }}, does: [ {does} ] }} ]\n---\n\
                 kind: GrpcServiceConfig\nmetadata: {{ name: {name} }}\nspec:\n  service: {name}\n  config:\n    \
                 methodConfig: [ {{ name: [ {{}} ], timeout: 5s, {} }} ]\n{throttle}\n---\n",
                retry("UNAVAILABLE")
            )
        };
        layer("a", "{ call: b.do }") + &layer("b", "{ call: c.do }") + &layer("c", "")
    };
    let rules = |yaml: &str| {
        let found = crate::support::findings(&[crate::support::design(yaml)]);
        found.iter().map(|finding| finding.rule).collect::<std::collections::BTreeSet<_>>()
    };
    assert!(rules(&chain("")).contains("R01"), "{:?}", rules(&chain("")));
    assert!(!rules(&chain(THROTTLED)).contains("R01"), "{:?}", rules(&chain(THROTTLED)));
}
