//! R03, R05, R06 and R08: retries that come back at once, that may repeat an effect, and that cannot help; a hedge of
//! what must be done once.

use crate::support::check;

/// A payment service with this operation, and a route to it that says this.
fn payment(operation: &str, says: &str) -> String {
    let operations = match operation {
        "" => String::new(),
        says => format!("\n  operations: [ {{ name: pay, {says} }} ]"),
    };
    format!(
        "
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: payment }}
spec:
  endpoints: [ {{ address: \"127.0.0.1:7102\" }} ]{operations}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: payment }}
spec:
  hosts: [ payment ]
  http:
  - {{ route: [ {{ destination: {{ host: payment }} }} ], timeout: 3s, {says} }}
"
    )
}

/// What is said of retries that may be made, as no budget bounds them.
const UNBOUNDED: &str = "R04 info spec.http[0].retries.attempts: when calls of payment fail, nothing bounds how many are made \
                         again (no edit)";

const POST: &str = "http: { method: POST, path: /payments }";

#[test]
fn r05_a_payment_that_is_retried_after_5xx_is_paid_twice() {
    let found = check(
        &payment(POST, "retries: { attempts: 2, retryOn: \"connect-failure,5xx\" }"),
        &[
            "R05 error spec.http[0].retries.retryOn: payment.pay is sent again after `5xx`, when the first try may have had \
           its effect",
        ],
    );
    assert_eq!(found[0].formula, "3 tries, not known to be idempotent, retried after `5xx`");
}

#[test]
fn r05_the_edit_is_quoted_inside_braces() {
    let yaml = payment(POST, "retries: { attempts: 2, retryOn: 5xx }");
    let found = check(
        &yaml,
        &[
            "R05 error spec.http[0].retries.retryOn: payment.pay is sent again after `5xx`, when the first try may have had \
           its effect",
        ],
    );
    let mended = found[0].mended(&[crate::support::design(&yaml)]).unwrap();
    let expected = "retryOn: \"connect-failure,refused-stream,reset-before-request\" }";
    assert!(mended[0].text.contains(expected), "{}", mended[0].text);
}

#[test]
fn r05_what_no_operation_declares_is_a_warning() {
    check(
        &payment("", "retries: { attempts: 2, retryOn: \"503\" }"),
        &[
            "R05 warning spec.http[0].retries.retryOn: a POST by payment may be sent again after `503`, when the first try \
           may have had its effect",
        ],
    );
}

#[test]
fn r05_a_route_that_takes_no_post_repeats_no_effect() {
    let get = "match: [ { method: { exact: GET } } ], retries: { attempts: 2, retryOn: 5xx }";
    check(&payment("", get), &[UNBOUNDED]);
    check(&payment(POST, get), &[]);
}

#[test]
fn r05_idempotent_operations_and_refusals_are_no_finding() {
    let on = |condition: &str| format!("retries: {{ attempts: 2, retryOn: \"{condition}\" }}");
    check(&payment(&format!("{POST}, idempotent: by-key"), &on("5xx")), &[UNBOUNDED]);
    check(&payment(&format!("{POST}, idempotent: true"), &on("5xx")), &[UNBOUNDED]);
    check(&payment("http: { method: PUT, path: /payments }", &on("5xx")), &[UNBOUNDED]);
    check(
        &payment(POST, &on("connect-failure,refused-stream,reset-before-request,retriable-4xx,409,429")),
        &[
            "R06 warning spec.http[0].retries.retryOn: payment is asked again after `409`, which seldom passes",
        ],
    );
    check(&payment(POST, "retries: { attempts: 2 }"), &[]);
}

#[test]
fn r05_grpc_words_matter_to_grpc_alone() {
    let on = "retries: { attempts: 2, retryOn: unavailable }";
    check(&payment(POST, on), &[]);
    check(
        &payment("grpc: shop.Payment/Pay", on)
            .replace("spec:\n  endpoints", "spec:\n  protocol: grpc\n  endpoints"),
        &[
            "R05 error spec.http[0].retries.retryOn: payment.pay is sent again after `unavailable`, when the first try may \
           have had its effect",
        ],
    );
}

#[test]
fn r05_an_operation_that_an_earlier_route_takes_is_not_judged_by_a_later_one() {
    let first = "http:\n  - { match: [ { uri: { exact: /payments } } ], route: [ { destination: { host: payment } } ], \
                 timeout: 3s, retries: { attempts: 0 } }";
    let yaml =
        payment(POST, "retries: { attempts: 2, retryOn: 5xx }").replace("http:\n", &format!("{first}\n"));
    check(&yaml, &[]);
}

#[test]
fn r05_our_own_policies_never_repeat_an_effect() {
    let policy = "---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: { name: payments }
spec: { targets: [ { operation: payment.pay } ], retry: { tries: 3, perTry: 100ms } }
";
    check(&(payment(POST, "corsPolicy: {}") + policy), &[]);
}

/// A policy for the one operation, with these retries.
fn retried(retry: &str) -> String {
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
  retry:
{retry}"
    )
}

#[test]
fn r03_decorrelated_jitter_that_is_capped_at_once_leaves_nothing_to_chance() {
    let in_step = "R03 warning spec.retry.backoff: retries of stock.read come back in step: all that failed together \
                   wait the same 50 ms";
    let block = "    tries: 3\n    backoff:\n      base: 50ms\n      max: 50ms\n      jitter: decorrelated\n";
    let found = check(&retried(block), &[in_step]);
    assert_eq!(found[0].formula, "3 tries, first pause always 50 ms");
    check(
        &retried("    { tries: 3, backoff: { base: 50ms, max: 50ms, jitter: decorrelated } }\n"),
        &[in_step],
    );
}

#[test]
fn r03_a_pause_below_a_millisecond_is_none() {
    let none = "R03 warning spec.retry.backoff: retries of stock.read follow each other without a pause";
    check(&retried("    { tries: 2, backoff: { base: 999us, max: 2ms } }\n"), &[none]);
    check(&retried("    tries: 2\n    backoff:\n      base: 1us\n"), &[none]);
}

#[test]
fn r03_jitter_a_millisecond_and_a_single_try_are_no_finding() {
    for backoff in [
        "{ base: 1ms, max: 2ms }",
        "{ base: 50ms, max: 50ms }",
        "{ base: 50ms, max: 50ms, jitter: equal }",
        "{ base: 50ms, max: 51ms, jitter: decorrelated }",
    ] {
        check(&retried(&format!("    {{ tries: 3, backoff: {backoff} }}\n")), &[]);
    }
    check(&retried("    { tries: 1, backoff: { base: 1us } }\n"), &[]);
}

const GET: &str = "http: { method: GET, path: /payments }";

#[test]
fn r06_a_forbidden_request_stays_forbidden() {
    let yaml = payment(GET, "retries: { attempts: 2, retryOn: \"connect-failure,403,503\" }");
    let expected =
        "R06 error spec.http[0].retries.retryOn: payment is asked again after `403`, which is its answer";
    let found = check(&yaml, &[expected, UNBOUNDED]);
    assert_eq!(found[0].formula, "1 + 2 = 3 tries for one answer `403`");
    let mended = found[0].mended(&[crate::support::design(&yaml)]).unwrap();
    assert!(mended[0].text.contains("retryOn: \"connect-failure,503\""), "{}", mended[0].text);
}

#[test]
fn r06_a_conflict_may_pass() {
    check(
        &payment(GET, "retries: { attempts: 2, retryOn: retriable-4xx }"),
        &[
            "R06 warning spec.http[0].retries.retryOn: payment is asked again after `retriable-4xx`, which seldom passes",
        ],
    );
}

#[test]
fn r06_a_request_that_came_too_early_or_too_often_may_be_sent_again() {
    check(&payment(GET, "retries: { attempts: 2, retryOn: \"408,425,429,503\" }"), &[UNBOUNDED]);
}

// === R08 ===

/// The payment service, and a policy that hedges this target.
fn hedged(operation: &str, target: &str) -> String {
    let policy = format!(
        "---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: {{ name: hedged }}
spec:
  targets: [ {{ {target} }} ]
  hedge: {{ after: p95 }}
"
    );
    payment(operation, "retries: { attempts: 0 }") + &policy
}

const OF_PAY: &str = "operation: payment.pay";

#[test]
fn r08_a_payment_that_is_hedged_is_never_hedged() {
    check(
        &hedged(POST, OF_PAY),
        &[
            "R08 error spec.hedge: payment.pay is hedged and may not be repeated, so no hedge is ever sent (no edit)",
        ],
    );
}

#[test]
fn r08_what_may_be_repeated_is_no_finding() {
    for operation in [
        "http: { method: POST, path: /payments }, idempotent: by-key",
        "http: { method: POST, path: /payments }, idempotent: true",
        "http: { method: GET, path: /payments }",
    ] {
        check(&hedged(operation, OF_PAY), &[]);
    }
}

#[test]
fn r08_a_policy_for_a_whole_service_may_reach_what_is_read() {
    check(&hedged("", "service: payment"), &[]);
    let both =
        "http: { method: POST, path: /payments } }, { name: list, http: { method: GET, path: /payments }";
    check(&hedged(both, "service: payment"), &[]);
}
