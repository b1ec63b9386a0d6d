//! R01 and R02: several layers that retry.

use crate::support::check;
use std::fmt::Write;

/// Services s0, s1, .. of one operation each that do what `does` says.
fn services(does: &[&str]) -> String {
    let mut yaml = String::new();
    for (i, does) in does.iter().enumerate() {
        let _ = write!(
            yaml,
            "---
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: s{i} }}
spec:
  endpoints: [ {{ address: \"127.0.0.1:7102\" }} ]
  operations: [ {{ name: run, http: {{ method: GET, path: /s{i} }}, does: [ {does} ] }} ]
"
        );
    }
    yaml
}

/// A chain: each calls the next.
fn chain(length: usize) -> String {
    let calls: Vec<String> = (1..=length)
        .map(|next| if next < length { format!("{{ call: s{next}.run }}") } else { String::new() })
        .collect();
    services(&calls.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A route to a service that retries so often after a 5xx.
fn istio(service: usize, attempts: u32) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: s{service} }}
spec:
  hosts: [ s{service} ]
  http:
  - route: [ {{ destination: {{ host: s{service} }} }} ]
    timeout: 60s
    retries:
      attempts: {attempts}
      retryOn: 5xx
"
    )
}

/// A policy of ours for a service.
fn policy(service: usize, retry: &str) -> String {
    format!(
        "---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: {{ name: s{service} }}
spec: {{ targets: [ {{ operation: s{service}.run }} ], retry: {retry} }}
"
    )
}

/// What is said of one route's retries, as no budget bounds them.
const UNBOUNDED: &str = "R04 info spec.http[0].retries.attempts: when calls of s1 fail, nothing bounds how many are made again \
                         (no edit)";

/// The same of several routes.
fn unbounded(routes: u32) -> String {
    UNBOUNDED.replace("of s1", &format!("of {routes} routes in default"))
}

#[test]
fn r01_three_layers_of_three_tries_ask_twenty_seven_times() {
    let found = check(
        &(chain(4) + &istio(1, 2) + &istio(2, 2) + &istio(3, 2)),
        &[
            "R01 error spec.http[0].retries.attempts: when s3.run fails, one request may ask it 27 times instead of once",
            "R02 warning spec.http[0].retries.attempts: two layers retry: s0.run asks s1.run up to 3 times, and s1.run \
             asks s2.run up to 3 times",
            "R02 warning spec.http[0].retries.attempts: two layers retry: s1.run asks s2.run up to 3 times, and s2.run \
             asks s3.run up to 3 times",
            &unbounded(3),
        ],
    );
    assert_eq!(found[0].path, ["s0.run", "s1.run", "s2.run", "s3.run"]);
    assert_eq!(found[0].formula, "3 x 3 x 3: 27 times the usual load > 4");
    assert_eq!(found[0].label, "this layer makes 3 tries");
    assert_eq!(found[1].formula, "3 x 3 = 9 tries of s2.run");
}

#[test]
fn r01_four_times_is_the_limit_and_no_finding() {
    let r02 = "R02 warning spec.http[0].retries.attempts: two layers retry: s0.run asks s1.run up to 2 times, and s1.run \
               asks s2.run up to 2 times";
    check(&(chain(2) + &istio(1, 3)), &[UNBOUNDED]);
    check(&(chain(3) + &istio(1, 1) + &istio(2, 1)), &[r02, &unbounded(2)]);
    check(
        &(chain(2) + &istio(1, 4)),
        &[
            "R01 error spec.http[0].retries.attempts: when s1.run fails, one request may ask it 5 times instead of once",
            UNBOUNDED,
        ],
    );
}

#[test]
fn r01_a_retry_budget_bounds_a_layer() {
    let with_budget = chain(3) + &policy(1, "{ tries: 3 }") + &policy(2, "{ tries: 9 }");
    let r02 = "R02 warning spec.retry.tries: two layers retry: s0.run asks s1.run up to 3 times, and s1.run asks s2.run \
               up to 9 times";
    check(&with_budget, &[r02]);
    let wide = chain(3)
        + &policy(1, "{ tries: 3, budget: { ratio: 1 } }")
        + &policy(2, "{ tries: 9, budget: { ratio: 1 } }");
    check(&wide, &[r02]);
    let between = [
        "R02 warning spec.retry.tries: two layers retry: s0.run asks s1.run up to 3 times, and s1.run asks s2.run up \
         to 3 times",
        "R02 warning spec.retry.tries: two layers retry: s1.run asks s2.run up to 3 times, and s2.run asks s3.run up \
         to 3 times",
    ];
    // A fifth of what is under way is the default beside any ratio: a quarter of the calls, and 1.25 x 1.25 x 1.25.
    let beside = chain(4) + &[1, 2, 3].map(|i| policy(i, "{ tries: 3, budget: { ratio: 1 } }")).concat();
    check(&beside, &between);
    let wider = beside.replace("ratio: 1 }", "ratio: 1, concurrent: { ratio: 1 } }");
    let error =
        "R01 error spec.retry.tries: when s3.run fails, one request may ask it 8 times instead of once";
    let found = check(&wider, &[&[error][..], &between].concat());
    assert_eq!(found[0].formula, "2 x 2 x 2: 8 times the usual load > 4");
}

#[test]
fn r01_calls_that_are_many_without_retries_are_the_usual_load() {
    check(
        &services(&[
            "{ call: s1.run }, { call: s1.run }, { call: s1.run }, { call: s1.run }, { call: s1.run }",
            "",
        ]),
        &[],
    );
}

#[test]
fn r01_paths_add_up_and_choices_count_by_their_share() {
    let routes = istio(1, 2) + &istio(2, 2) + &istio(3, 2);
    let two_paths =
        services(&["{ call: s1.run }, { call: s2.run }", "{ call: s3.run }", "{ call: s3.run }", ""]);
    let found = check(
        &(two_paths + &routes),
        &[
            "R01 error spec.http[0].retries.attempts: when s3.run fails, one request may ask it 18 times instead of 2 times",
            "R02 warning spec.http[0].retries.attempts: two layers retry: s0.run asks s1.run up to 3 times, and s1.run asks \
             s3.run up to 3 times",
            "R02 warning spec.http[0].retries.attempts: two layers retry: s0.run asks s2.run up to 3 times, and s2.run asks \
             s3.run up to 3 times",
            &unbounded(3),
        ],
    );
    assert_eq!(found[0].formula, "3 x 3, and the other paths: 9 times the usual load > 4");
    let half =
        services(&["{ choice: [ { does: [ { call: s1.run } ] }, { does: [] } ] }", "{ call: s2.run }", ""]);
    check(
        &(half + &istio(1, 2) + &istio(2, 2)),
        &[
            "R01 error spec.http[0].retries.attempts: when s2.run fails, one request may ask it 4.5 times instead of 0.5 \
             times",
            "R02 warning spec.http[0].retries.attempts: two layers retry: s0.run asks s1.run up to 3 times, and s1.run asks \
             s2.run up to 3 times",
            &unbounded(2),
        ],
    );
}

#[test]
fn r01_several_layers_are_lowered_where_one_is_not_enough() {
    let found = check(
        &(chain(6) + &[1, 2, 3, 4, 5].map(|i| istio(i, 3)).concat()),
        &[
            "R01 error spec.http[0].retries.attempts: when s5.run fails, one request may ask it 1024 times instead of once",
            "X02 warning spec.operations[0].does[0].call: an answer of s0.run waits for 5 calls one behind the other (no edit)",
            "R02 warning spec.http[0].retries.attempts: two layers retry: s0.run asks s1.run up to 4 times, and s1.run asks \
             s2.run up to 4 times",
            "R02 warning spec.http[0].retries.attempts: two layers retry: s1.run asks s2.run up to 4 times, and s2.run asks \
             s3.run up to 4 times",
            "R02 warning spec.http[0].retries.attempts: two layers retry: s2.run asks s3.run up to 4 times, and s3.run asks \
             s4.run up to 4 times",
            "R02 warning spec.http[0].retries.attempts: two layers retry: s3.run asks s4.run up to 4 times, and s4.run asks \
             s5.run up to 4 times",
            &unbounded(5),
        ],
    );
    assert_eq!(found[0].edits.len(), 4);
}

#[test]
fn r02_refusals_are_no_layer() {
    let refusals = |service| istio(service, 2).replace("5xx", "connect-failure,refused-stream");
    let only_s2 = UNBOUNDED.replace("s1", "s2");
    check(&(chain(3) + &refusals(1) + &istio(2, 2)), &[&only_s2]);
    let default = |service| istio(service, 2).replace("      retryOn: 5xx\n", "");
    check(&(chain(3) + &default(1) + &istio(2, 2)), &[&only_s2]);
}

#[test]
fn r02_a_layer_that_may_not_repeat_is_none() {
    let posts = chain(3).replace("GET, path: /s1", "POST, path: /s1");
    check(&(posts.clone() + &policy(1, "{ tries: 3 }") + &policy(2, "{ tries: 3 }")), &[]);
    let by_key = posts.replace("/s1 }", "/s1 }, idempotent: by-key");
    check(
        &(by_key + &policy(1, "{ tries: 3 }") + &policy(2, "{ tries: 3 }")),
        &[
            "R02 warning spec.retry.tries: two layers retry: s0.run asks s1.run up to 3 times, and s1.run asks s2.run up to \
           3 times",
        ],
    );
}

#[test]
fn r02_one_policy_for_both_layers_is_said_and_not_edited() {
    let both = policy(1, "{ tries: 3 }")
        .replace("[ { operation: s1.run } ]", "[ { operation: s1.run }, { operation: s2.run } ]");
    check(
        &(chain(3) + &both),
        &[
            "R02 warning spec.retry.tries: two layers retry: s0.run asks s1.run up to 3 times, and s1.run asks s2.run up to 3 \
           times (no edit)",
        ],
    );
}

#[test]
fn r02_layers_need_not_be_neighbours() {
    let found = check(
        &(chain(4) + &policy(1, "{ tries: 2 }") + &policy(3, "{ tries: 3 }")),
        &[
            "R02 warning spec.retry.tries: two layers retry: s0.run asks s1.run up to 2 times, and s2.run asks s3.run up to 3 \
           times",
        ],
    );
    assert_eq!(found[0].path, ["s0.run", "s1.run", "s2.run", "s3.run"]);
}
