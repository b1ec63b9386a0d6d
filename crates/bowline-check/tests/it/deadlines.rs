//! T01, T02, T03 and T08: deadlines that are missing, too short, or too short for all tries.

use crate::support::{check, design, findings};

/// A VirtualService of the mesh whose one route says this.
fn route(says: &str) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: ratings }}
spec:
  hosts: [ ratings ]
  http:
  - route: [ {{ destination: {{ host: ratings }} }} ]
{says}"
    )
}

/// The end of an advice about tries with Istio's default conditions.
const BY_DEFAULT: &str = "; as written a try that times out is not followed by another: Istio's default retryOn does not \
                          name it";

/// A gateway and the services a and b, of which a does something and b something else. `to_a` and `to_b`
/// are the policies of calls to them, `a` and `b` more of their one operation.
pub(crate) fn chain(to_a: &str, a: &str, to_b: &str, b: &str) -> String {
    let service = |name: &str, says: &str| {
        format!(
            "---
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: {name} }}
spec:
  endpoints: [ {{ address: \"127.0.0.1:7101\" }} ]
  operations:
  - name: run
    http: {{ method: GET, path: /{name} }}
    {says}
"
        )
    };
    let policy = |name: &str, says: &str| match says {
        "" => String::new(),
        says => format!(
            "---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: {{ name: to-{name} }}
spec:
  targets: [ {{ operation: {name}.run }} ]
  {says}
"
        ),
    };
    let entry = "---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: door }
spec: { servers: [ { port: { number: 8080, name: http, protocol: HTTP }, hosts: [ \"*\" ] } ] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: door }
spec: { hosts: [ \"*\" ], gateways: [ door ], http: [ { route: [ { destination: { host: a } } ] } ] }
";
    [entry.to_owned(), service("a", a), service("b", b), policy("a", to_a), policy("b", to_b)].concat()
}

// ---- T08

#[test]
fn t08_only_one_of_four_tries_of_two_seconds_fits_into_three() {
    let found = check(
        &route("    timeout: 3s\n    retries:\n      attempts: 3\n      perTryTimeout: 2s\n"),
        &[
            "T08 info spec.http[0].retries.perTryTimeout: if each try takes as long as it may, only 1 of 4 tries of ratings \
           fits into its 3 s",
        ],
    );
    assert_eq!(found[0].label, "then try 2 is cut off at 3 s; tries 3 and 4 never start");
    assert_eq!(found[0].formula, "4 x 2 s + 25 ms + 75 ms + 175 ms = 8.275 s > 3 s");
    let shorter = "lower perTryTimeout to 680 ms and all 4 fit (4 x 680 ms + 25 ms + 75 ms + 175 ms = 2.995 s), or allow 1 try";
    assert_eq!(found[0].advice, format!("{shorter}{BY_DEFAULT}"));
}

/// What is added where a `retryOn` of 4 tries of 2 s in 3 s, or in no time at all, names no timeout.
#[track_caller]
fn check_fact(retry_on: &str, fact: &str) {
    for (timeout, rule) in [("timeout: 3s", "T08"), ("timeout: 2s", "T03"), ("name: r", "T02")] {
        let retries = format!("attempts: 3, perTryTimeout: 2s, retryOn: '{retry_on}'");
        let found = findings(&[design(&route(&format!("    {timeout}\n    retries: {{ {retries} }}\n")))]);
        let finding = found.iter().find(|finding| finding.rule == rule).unwrap();
        let told = finding.advice.split_once("; as written ").map_or("", |(_, fact)| fact);
        assert_eq!(told, fact, "{rule} with retryOn: {retry_on}");
    }
}

#[test]
fn whether_a_try_follows_one_that_times_out_is_said_where_none_does() {
    for follows in ["5xx", "gateway-error", "reset", "connect-failure,reset"] {
        check_fact(follows, "");
    }
    let none = "a try that times out is not followed by another: retryOn does not name it";
    for refusals in
        ["connect-failure,refused-stream", "503,504", "unavailable,deadline-exceeded", "retriable-4xx"]
    {
        check_fact(refusals, none);
    }
}

#[test]
fn tries_of_a_policy_follow_a_timeout_where_the_operation_may_be_repeated() {
    let both = |b: &str| {
        let policy = "deadline: 200ms\n  retry: { tries: 2, perTry: 120ms }";
        let found = findings(&[design(&chain("", "idempotent: true", policy, b))]);
        found.into_iter().find(|finding| finding.rule == "T08").unwrap().advice
    };
    assert!(!both("idempotent: by-key").contains("as written"));
    let fact = "; as written a try that times out is not followed by another: it may have had its effect, and may not be repeated";
    assert!(both("idempotent: false").ends_with(fact), "{}", both("idempotent: false"));
}

#[test]
fn t08_tries_that_no_timeout_starts_are_worth_knowing_and_no_more() {
    let severity = |retry_on: &str| {
        let retries = format!("timeout: 3s\n    retries: {{ attempts: 3, perTryTimeout: 2s{retry_on} }}");
        let found = findings(&[design(&route(&format!("    {retries}\n")))]);
        found.iter().find(|finding| finding.rule == "T08").unwrap().severity.as_str()
    };
    assert_eq!(severity(""), "info");
    // Somebody wrote it, and left the timeout out.
    assert_eq!(severity(", retryOn: \"connect-failure\""), "warning");
    assert_eq!(severity(", retryOn: 5xx"), "warning");
}

#[test]
fn t08_at_worst_is_said_where_a_shorter_back_off_lets_more_fit() {
    check(
        &route("    timeout: 2s\n    retries: { attempts: 1, perTryTimeout: 990ms }\n"),
        &[
            "T08 info spec.http[0].retries.perTryTimeout: if each try takes as long as it may, at worst only 1 of 2 tries of \
           ratings fits into its 2 s",
        ],
    );
}

#[test]
fn t08_tries_that_fit_to_the_millisecond_are_no_finding() {
    let exactly = "    timeout: 8275ms\n    retries: { attempts: 3, perTryTimeout: 2s }\n";
    check(&route(exactly), &[]);
    let found = findings(&[design(&route(&exactly.replace("8275", "8274")))]);
    assert_eq!(found[0].rule, "T08");
    assert_eq!(found[0].label, "then try 4 is cut off at 8.274 s");
}

#[test]
fn t08_tries_of_a_policy_are_counted_with_the_first() {
    let found = check(
        &chain("", "idempotent: true", "deadline: 200ms\n  retry: { tries: 2, perTry: 120ms }", ""),
        &[
            "T08 warning spec.retry.perTry: if each try takes as long as it may, only 1 of 2 tries of b.run fits into its 200 ms",
        ],
    );
    assert_eq!(found[0].formula, "2 x 120 ms + 25 ms = 265 ms > 200 ms");
    assert_eq!(found[0].label, "then try 2 is cut off at 200 ms");
}

#[test]
fn t08_a_callee_that_needs_its_time_gets_fewer_tries_and_not_shorter_ones() {
    let found = check(
        &chain(
            "",
            "",
            "deadline: 500ms\n  retry: { tries: 4, perTry: 200ms }",
            "takes: { p50: 20ms, p99: 180ms }",
        ),
        &[
            "T08 warning spec.retry.perTry: if each try takes as long as it may, only 2 of 4 tries of b.run fit into its 500 ms",
        ],
    );
    assert_eq!(found[0].advice, "allow 2 tries: its callee needs the time that a try has");
}

#[test]
fn t08_where_not_even_one_try_less_can_be_written_the_deadline_grows() {
    let needs = "takes: { p50: 20ms, p99: 180ms }";
    let routes = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: b }
spec:
  hosts: [ b ]
  http: [ { route: [ { destination: { host: b } } ], timeout: 300ms, retries: { attempts: 1, perTryTimeout: 200ms } } ]
";
    let found = check(
        &(chain("", "", "", needs) + routes),
        &[
            "T08 info spec.http[0].retries.perTryTimeout: if each try takes as long as it may, only 1 of 2 tries of b fits into \
           its 300 ms",
        ],
    );
    assert_eq!(found[0].advice, format!("raise the deadline to 425 ms, or allow 1 try{BY_DEFAULT}"));
}

#[test]
fn t08_of_calls_that_share_a_per_try_time_the_one_with_the_least_room_speaks() {
    let policy = "---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: { name: both }
spec: { targets: [ { operation: a.run }, { operation: b.run } ], retry: { tries: 3, perTry: 200ms } }
";
    let deadlines = chain("deadline: 500ms", "", "deadline: 300ms", "") + policy;
    check(
        &deadlines,
        &[
            "T08 warning spec.retry.perTry: if each try takes as long as it may, only 1 of 3 tries of b.run fits into its 300 ms",
        ],
    );
}

// ---- T03

#[test]
fn t03_a_try_as_long_as_the_call_leaves_no_time_for_another() {
    let found = check(
        &route("    timeout: 2s\n    retries: { attempts: 3, perTryTimeout: 2s }\n"),
        &[
            "T03 warning spec.http[0].retries.perTryTimeout: a try of ratings may take 2 s, the whole call 2 s: after a \
           timeout no try follows",
        ],
    );
    assert_eq!(found[0].formula, "2 s >= 2 s, with 4 tries");
    let advice = "lower perTryTimeout to 430 ms and all 4 fit (4 x 430 ms + 25 ms + 75 ms + 175 ms = 1.995 s), or allow 1 try; or \
                  raise the deadline to 8.3 s, where callers wait for that long";
    assert_eq!(found[0].advice, format!("{advice}{BY_DEFAULT}"));
}

#[test]
fn a_policy_for_a_service_without_operations_is_checked_too() {
    let policy = |per_try: &str| {
        uncalled("", &format!("  deadline: 300ms\n  retry: {{ tries: 2, perTry: {per_try} }}\n"))
    };
    check(
        &policy("500ms"),
        &[
            "T03 warning spec.retry.perTry: a try of b may take 500 ms, the whole call 300 ms: after a timeout no try \
             follows",
        ],
    );
    check(
        &policy("200ms"),
        &[
            "T08 warning spec.retry.perTry: if each try takes as long as it may, only 1 of 2 tries of b fits into its \
             300 ms",
        ],
    );
    check(&policy("100ms"), &[]);
}

#[test]
fn t03_a_millisecond_less_is_t08s() {
    let found =
        findings(&[design(&route("    timeout: 2s\n    retries: { attempts: 3, perTryTimeout: 1999ms }\n"))]);
    assert_eq!(found.iter().map(|finding| finding.rule).collect::<Vec<_>>(), ["T08"]);
}

#[test]
fn t03_retries_without_a_per_try_time_are_for_fast_failures() {
    check(&route("    timeout: 2s\n    retries: { attempts: 3, retryOn: connect-failure }\n"), &[]);
}

#[test]
fn t03_back_off_that_alone_is_too_long_is_mended_by_the_deadline() {
    let found = check(
        &route("    timeout: 1s\n    retries: { attempts: 2, perTryTimeout: 1s, backoff: 600ms }\n"),
        &[
            "T03 warning spec.http[0].retries.perTryTimeout: a try of ratings may take 1 s, the whole call 1 s: after a \
           timeout no try follows",
        ],
    );
    assert_eq!(found[0].advice, format!("raise the deadline to 5.4 s, or allow 1 try{BY_DEFAULT}"));
}

// ---- T02

#[test]
fn t02_retries_without_a_per_try_time_may_take_for_ever() {
    let found = check(
        &route("    retries:\n      attempts: 1\n      retryOn: connect-failure\n"),
        &[
            "T02 warning spec.http[0]: each of 2 tries of ratings may take for ever: nothing in the design bounds them",
        ],
    );
    assert_eq!(found[0].advice, "add `timeout: 15s` to the route, or less if its callers wait less");
}

#[test]
fn t02_a_route_with_a_timeout_or_a_fault_is_no_finding() {
    check(&route("    timeout: 3s\n"), &[]);
    check(&route("    fault: { abort: { httpStatus: 500, percentage: { value: 100 } } }\n"), &[]);
    check(
        &route("    timeout: 3s\n    fault: { delay: { fixedDelay: 7s, percentage: { value: 100 } } }\n"),
        &[],
    );
}

#[test]
fn t02_redirects_and_direct_responses_call_nobody() {
    let nobody = |says: &str| route("").replace("- route: [ { destination: { host: ratings } } ]", says);
    check(&nobody("- redirect: { uri: /v2 }"), &[]);
    check(&nobody("- directResponse: { status: 503 }"), &[]);
}

#[test]
fn t02_a_hundred_plain_routes_of_a_namespace_are_one_finding() {
    let yaml: String =
        (0..100).map(|i| "---".to_owned() + &route("").replace("ratings", &format!("r{i}"))).collect();
    let found = check(
        &yaml,
        &[
            "T02 warning spec.http[0]: calls of 100 routes of 100 VirtualServices in default may take for ever: nothing \
           in the design sets a deadline",
        ],
    );
    assert_eq!(found[0].edits.len(), 100);
    assert_eq!(
        found[0].formula,
        "timeout: none (r0: 1 route, r1: 1 route, r10: 1 route, r11: 1 route, r12: 1 route, r13: 1 route, and 94 more)"
    );
}

#[test]
fn t02_two_plain_routes_of_one_virtual_service_are_counted() {
    let second = "  - route: [ { destination: { host: reviews } } ]\n";
    let first = "    match: [ { uri: { prefix: /a } } ]\n";
    check(
        &route(&format!("{first}{second}")),
        &[
            "T02 warning spec.http[0]: calls of 2 routes of ratings may take for ever: nothing in the design sets a \
           deadline",
        ],
    );
    check(
        &route(&format!("{first}    timeout: 1s\n{second}")),
        &[
            "T02 warning spec.http[1]: a call of ratings[1] may take for ever: nothing in the design sets a deadline",
        ],
    );
}

#[test]
fn t02_our_gateways_stamp_a_deadline_and_one_that_is_only_named_does_not() {
    let bound = route("    retries: { attempts: 1, perTryTimeout: 1s }\n")
        .replace("hosts:", "gateways: [ door ]\n  hosts:");
    let gateway = "---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: door }
spec: { servers: [ { port: { number: 80, name: http, protocol: HTTP }, hosts: [ \"*\" ] } ] }
";
    check(&(bound.clone() + gateway), &[]);
    check(
        &bound,
        &[
            "T02 warning spec.http[0]: 2 tries of ratings with their back-off may take 2.025 s, and nothing in the \
           design bounds them",
        ],
    );
}

#[test]
fn t02_callers_that_hand_their_deadline_on_bound_a_route() {
    let routes = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: b }
spec: { hosts: [ b ], http: [ { route: [ { destination: { host: b } } ] } ] }
";
    let calling = chain("deadline: 1s", "does: [ { call: b.run } ]", "", "") + routes;
    let t02 =
        "T02 warning spec.http[0]: a call of b may take for ever: nothing in the design sets a deadline";
    check(&calling, &[t02]);
    let forwards = calling.replacen("spec:\n  endpoints", "spec:\n  forwards: true\n  endpoints", 1);
    check(&forwards, &[]);
}

#[test]
fn t02_a_policy_that_bounds_all_declared_operations_is_enough() {
    let routes = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: b }
spec: { hosts: [ b ], http: [ { route: [ { destination: { host: b } } ] } ] }
";
    check(&(chain("", "", "deadline: 1s", "") + routes), &[]);
}

// ---- T01, error

#[test]
fn t01_work_that_surely_takes_longer_than_its_caller_waits_is_an_error() {
    let found = check(
        &chain(
            "deadline: 300ms",
            "does: [ { work: 10ms }, { call: b.run } ]",
            "",
            "does: [ { work: 500ms } ]",
        ),
        &[
            "T01 error spec.deadline: gateway door gives a.run 300 ms, and a.run takes at least 510 ms if nothing fails: no \
           call can be in time",
        ],
    );
    assert_eq!(found[0].path, ["gateway door", "a.run"]);
    assert_eq!(found[0].advice, "raise it to 1.1s, or let a.run do less before it answers");
}

#[test]
fn t01_as_long_as_its_caller_waits_is_no_finding() {
    check(
        &chain(
            "deadline: 510ms",
            "does: [ { work: 10ms }, { call: b.run } ]",
            "",
            "does: [ { work: 500ms } ]",
        ),
        &[],
    );
}

#[test]
fn t01_a_median_proves_something_of_half_of_the_calls_and_two_do_not_add_up() {
    let takes = "takes: { p50: 200ms, p99: 400ms }";
    check(
        &chain("deadline: 150ms", takes, "", ""),
        &[
            "T01 error spec.deadline: gateway door gives a.run 150 ms, and a.run takes 200 ms or more in half of all calls: \
           at best every other call is in time",
        ],
    );
    let both = "does: [ { call: b.run }, { call: b.run } ]";
    check(&chain("deadline: 300ms", &format!("{both}\n  forwards: true"), "", takes), &[]);
    check(
        &chain("deadline: 199ms", both, "", takes),
        &[
            "T01 error spec.deadline: gateway door gives a.run 199 ms, and a.run takes 200 ms or more in half of all calls: \
           at best every other call is in time",
        ],
    );
}

#[test]
fn t01_what_happens_at_once_does_not_add_up_and_of_a_choice_the_fastest_counts() {
    let parallel = "does: [ { parallel: [ { call: b.run }, { work: 300ms } ] } ]";
    check(&chain("deadline: 500ms", parallel, "", "does: [ { work: 500ms } ]"), &[]);
    let choice = "does: [ { choice: [ { does: [ { call: b.run } ] }, { does: [ { work: 300ms } ] } ] } ]\n  forwards: true";
    check(&chain("deadline: 300ms", choice, "", "does: [ { work: 500ms } ]"), &[]);
    check(
        &chain("deadline: 299ms", choice, "", "does: [ { work: 500ms } ]"),
        &[
            "T01 error spec.deadline: gateway door gives a.run 299 ms, and a.run takes at least 300 ms if nothing fails: no \
           call can be in time",
        ],
    );
}

#[test]
fn t01_a_try_that_is_too_short_for_its_callee_is_an_error() {
    check(
        &chain(
            "",
            "does: [ { call: b.run } ]",
            "deadline: 2s\n  retry: { tries: 2, perTry: 100ms }",
            "does: [ { work: 200ms } ]",
        ),
        &[
            "T01 error spec.retry.perTry: a.run gives a try of b.run 100 ms, and b.run takes at least 200 ms if nothing fails: \
           no call can be in time",
        ],
    );
}

#[test]
fn t01_where_the_gateway_stamps_its_own_deadline_the_route_gets_one() {
    check(
        &chain("", "does: [ { work: 40s } ]", "", ""),
        &[
            "T01 error spec.http[0]: gateway door gives a.run 30 s, and a.run takes at least 40 s if nothing fails: no call \
           can be in time",
        ],
    );
}

#[test]
fn t01_every_deadline_that_is_too_short_is_a_finding_of_its_own() {
    let yaml = chain("deadline: 300ms", "does: [ { work: 1s } ]", "", "")
        .replace("host: a } } ]", "host: a } } ], timeout: 500ms");
    check(
        &yaml,
        &[
            "T01 error spec.http[0].timeout: gateway door gives a.run 500 ms, and a.run takes at least 1 s if nothing fails: \
             no call can be in time",
            "T01 error spec.deadline: gateway door gives a.run 300 ms, and a.run takes at least 1 s if nothing fails: no call \
             can be in time",
        ],
    );
}

/// A service that nobody in the design calls, and the policy for it.
fn uncalled(operations: &str, policy: &str) -> String {
    format!(
        "
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: b }}
spec:
  endpoints: [ {{ address: \"127.0.0.1:7101\" }} ]
{operations}---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: {{ name: to-b }}
spec:
  targets: [ {{ service: b }} ]
{policy}"
    )
}

#[test]
fn t01_an_operation_that_only_the_mesh_port_reaches_needs_no_caller() {
    let works =
        "  operations: [ { name: run, http: { method: GET, path: /b }, does: [ { work: 500ms } ] } ]\n";
    let found = check(
        &uncalled(works, "  deadline: 300ms\n  retry: { tries: 2, perTry: 100ms }\n"),
        &[
            "T01 error spec.deadline: Policy default/to-b gives b.run 300 ms, and b.run takes at least 500 ms if nothing \
             fails: no call can be in time",
            "T01 error spec.retry.perTry: Policy default/to-b gives a try of b.run 100 ms, and b.run takes at least 500 ms if \
             nothing fails: no call can be in time",
        ],
    );
    assert_eq!(found[0].path, ["b.run"]);
    check(&uncalled(works, "  deadline: 500ms\n"), &[]);
    let routes = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: b }
spec: { hosts: [ b ], http: [ { route: [ { destination: { host: b } } ], timeout: 200ms } ] }
";
    check(
        &(uncalled(works, "  deadline: 600ms\n") + routes),
        &[
            "T01 error spec.http[0].timeout: VirtualService default/b gives b.run 200 ms, and b.run takes at least 500 ms if \
             nothing fails: no call can be in time",
        ],
    );
}

// ---- T01, warning

#[test]
fn t01_tries_further_down_that_do_not_fit_into_what_is_left_are_a_warning() {
    let found = check(
        &chain(
            "deadline: 300ms",
            "does: [ { work: 50ms }, { call: b.run } ]",
            "retry: { tries: 3, perTry: 100ms, backoff: { base: 10ms, max: 20ms } }",
            "",
        ),
        &[
            "T01 warning spec.retry.perTry: if each takes as long as it may, only 2 of 3 tries of b.run fit into the 300 ms that \
           gateway door waits",
        ],
    );
    assert_eq!(found[0].path, ["gateway door", "a.run", "b.run"]);
    assert_eq!(found[0].label, "a.run has at most 250 ms left when it makes this call");
    assert_eq!(found[0].formula, "3 x 100 ms + 10 ms + 20 ms = 330 ms > 300 ms - 50 ms");
    assert_eq!(
        found[0].advice,
        "lower perTry to 70 ms and all 3 fit (3 x 70 ms + 10 ms + 20 ms = 240 ms), or allow 2 tries"
    );
}

#[test]
fn t01_tries_that_fit_and_tries_with_a_shorter_deadline_of_their_own_are_no_finding() {
    let to_b = "retry: { tries: 3, perTry: 100ms, backoff: { base: 10ms, max: 20ms } }";
    let a = "does: [ { work: 50ms }, { call: b.run } ]";
    check(&chain("deadline: 380ms", a, to_b, ""), &[]);
    let bounded = format!("deadline: 340ms\n  {to_b}");
    check(&chain("deadline: 400ms", a, &bounded, ""), &[]);
}

#[test]
fn t01_a_try_of_the_caller_is_all_the_time_its_callee_has() {
    check(
        &chain(
            "deadline: 2s\n  retry: { tries: 2, perTry: 300ms }",
            "does: [ { call: b.run } ]",
            "retry: { tries: 3, perTry: 150ms, backoff: { base: 10ms, max: 20ms } }",
            "",
        ),
        &[
            "R02 warning spec.retry.tries: two layers retry: gateway door asks a.run up to 2 times, and a.run asks b.run \
             up to 3 times",
            "T01 warning spec.retry.perTry: if each takes as long as it may, only 1 of 3 tries of b.run fits into the 300 ms that \
             gateway door waits",
        ],
    );
}

#[test]
fn t01_a_deadline_two_calls_above_counts_too() {
    let c = "---
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: { name: c }
spec:
  endpoints: [ { address: \"127.0.0.1:7101\" } ]
  operations: [ { name: run, http: { method: GET, path: /c } } ]
---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: { name: to-c }
spec: { targets: [ { operation: c.run } ], retry: { tries: 2, perTry: 1s } }
";
    let found = check(
        &(chain(
            "deadline: 1s",
            "does: [ { call: b.run } ]",
            "",
            "does: [ { work: 100ms }, { call: c.run } ]",
        ) + c),
        &[
            "T01 warning spec.retry.perTry: if each takes as long as it may, none of 2 tries of c.run fits into the 1 s that gateway \
           door waits",
        ],
    );
    assert_eq!(found[0].path, ["gateway door", "a.run", "b.run", "c.run"]);
}
