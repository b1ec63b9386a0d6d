//! Our own kinds, in the form that the design's description gives them.

use crate::support::{read, refused, taken};
use bowline_design::kinds::policy::Target;
use bowline_design::kinds::service::{Idempotent, Work};
use std::time::Duration;

const SERVICE: &str = "apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: { name: payment }
spec:
  protocol: grpc
  endpoints: [ { address: \"127.0.0.1:7102\", labels: { version: v1 } } ]
  run: { cargo: shop, args: [ payment ] }
  replicas: 1
  concurrency: 64
  forwards: true
  operations:
  - name: authorize
    grpc: bowline.shop.v1.Payment/Authorize
    idempotent: by-key
    takes: { p50: 8ms, p99: 40ms, samples: 5000 }
    needs: { consistency: strong, loss: none, answerWithin: 300ms }
    does: [ { work: 8ms }, { call: ledger.post } ]
";

const POLICY: &str = "kind: Policy
metadata: { name: payments }
spec:
  targets: [ { operation: payment.authorize } ]
  deadline: 300ms
  retry:   { tries: 2, perTry: 120ms, backoff: { base: 25ms, max: 250ms }, budget: { ratio: 0.2, minPerSecond: 10 } }
  breaker: { window: 10s, minCalls: 20, failureRatio: 0.5, open: 10s, probes: 3 }
  bulkhead: { concurrent: 64, queue: 32, wait: 20ms }
  faults: [ { dropFirst: 2 } ]
";

/// Wraps a spec into a Policy.
fn policy(spec: &str) -> String {
    format!("kind: Policy\nmetadata: {{ name: p }}\nspec: {{ targets: [{{ service: a }}], {spec} }}\n")
}

/// Wraps a spec into a Service.
fn service(spec: &str) -> String {
    format!("kind: Service\nmetadata: {{ name: s }}\nspec: {{ {spec} }}\n")
}

/// Demands that `path: what was found` and nothing else is found.
#[track_caller]
fn finds(content: &str, expected: &[&str]) {
    let found: Vec<String> =
        read(content).mistakes.iter().map(|m| format!("{}: {}", m.place.path, m.found)).collect();
    assert_eq!(found, expected, "{content}");
}

#[test]
fn a_service_is_read_as_the_design_shows_it() {
    let reading = taken(SERVICE);
    let payment = &reading.documents.services[0];
    let authorize = &payment.spec.operations[0];
    assert_eq!(payment.meta.namespace, "default");
    assert_eq!(authorize.idempotent.as_ref().map(|i| i.value), Some(Idempotent::ByKey));
    assert!(matches!(&authorize.does[0].value, Work::Work(span) if span.value == Duration::from_millis(8)));
    assert!(matches!(&authorize.does[1].value, Work::Call(call) if call.value == "ledger.post"));
}

#[test]
fn a_policy_is_read_as_the_design_shows_it() {
    let reading = taken(POLICY);
    let payments = &reading.documents.policies[0].spec;
    assert!(
        matches!(&payments.targets[0].value, Target::Operation(name) if name.value == "payment.authorize")
    );
    let retry = payments.retry.as_ref().expect("retry");
    let tries = retry.tries.as_ref().expect("tries");
    assert_eq!((tries.value, &*tries.place.path), (2, "spec.retry.tries"));
    assert_eq!(payments.faults[0].drop_first.as_ref().map(|n| n.value), Some(2));
}

#[test]
fn work_holds_work() {
    let reading = taken(&service(
        "operations: [ { name: place, http: { method: POST, path: '/orders/{id}' }, idempotent: false, accepts: true,
          does: [ { parallel: [ { call: a.b }, { work: 1ms } ] }, { publish: events },
                  { choice: [ { weight: 0.9, does: [ { call: c.d } ] }, { does: [] } ] } ] } ]",
    ));
    let does = &reading.documents.services[0].spec.operations[0].does;
    assert!(matches!(&does[0].value, Work::Parallel(parts) if parts.len() == 2));
    assert!(matches!(&does[2].value, Work::Choice(branches) if branches[0].does.len() == 1));
}

#[test]
fn a_misspelt_field_is_named_with_what_was_meant() {
    let reading = read(&policy("deadlin: 3s, retry: { tries: 2, timeout: 1s, targets: [] }"));
    let hints: Vec<_> = reading.mistakes.iter().map(|m| (&*m.place.path, m.hint.as_deref())).collect();
    assert_eq!(
        hints,
        [
            ("spec.deadlin", Some("did you mean `deadline`?")),
            ("spec.retry.timeout", None),
            ("spec.retry.targets", Some("there is such a field at `spec.targets`")),
        ]
    );
}

#[test]
fn all_mistakes_are_found_in_one_run() {
    let reading = bowline_design::read(&[
        crate::support::text(
            "a.yaml",
            &policy("deadline: soon, retry: { tries: two }, faults: { drop: true }"),
        ),
        crate::support::text(
            "b.yaml",
            "a: [\n---\nkind: Service\nmetadata: {}\nspec: { replicas: 0, ports: [] }\n",
        ),
    ]);
    let found: Vec<String> = reading
        .mistakes
        .iter()
        .map(|m| format!("{}:{} {} {}", m.place.file, m.place.line, m.code, m.place.path))
        .collect();
    assert_eq!(
        found,
        [
            "a.yaml:3 bad-duration spec.deadline",
            "a.yaml:3 wrong-type spec.retry.tries",
            "a.yaml:3 wrong-type spec.faults",
            "b.yaml:1 syntax ",
            "b.yaml:4 missing-field metadata.name",
            "b.yaml:5 bad-value spec.replicas",
            "b.yaml:5 unknown-field spec.ports",
        ]
    );
}

#[test]
fn policies_that_make_no_sense_are_refused() {
    for (spec, expected) in [
        ("idempotent: maybe", "spec.idempotent: `maybe`"),
        ("deadline: 0s", "spec.deadline: no time at all"),
        ("deadline: 5", "spec.deadline: the number 5"),
        ("deadline: -1s", "spec.deadline: `-1s`"),
        ("retry: {}", "spec.retry: a retry that says nothing"),
        ("retry: { tries: 0 }", "spec.retry.tries: 0 tries"),
        (
            "retry: { backoff: { base: 2s, max: 1s } }",
            "spec.retry.backoff.max: a longest wait below the first one",
        ),
        ("retry: { backoff: { jitter: some } }", "spec.retry.backoff.jitter: `some`"),
        ("retry: { budget: { ratio: 20 } }", "spec.retry.budget.ratio: a ratio of 20"),
        ("hedge: { after: p93 }", "spec.hedge.after: `p93`"),
        ("hedge: { after: soon }", "spec.hedge.after: `soon`"),
        ("hedge: { after: 0s }", "spec.hedge.after: a delay of nothing"),
        ("hedge: { tries: 1 }", "spec.hedge.tries: 1 try"),
        ("hedge: { tries: 6 }", "spec.hedge.tries: 6 tries"),
        ("hedge: { ratio: 5 }", "spec.hedge.ratio: a ratio of 5"),
        ("hedge: { minCalls: 0 }", "spec.hedge.minCalls: 0"),
        (
            "hedge: { after: 20ms, minCalls: 50 }",
            "spec.hedge.minCalls: calls for a delay that is not learned",
        ),
        ("breaker: { failureRatio: 0 }", "spec.breaker.failureRatio: a ratio of 0"),
        ("breaker: { window: 0s }", "spec.breaker.window: no time at all"),
        ("breaker: { slowCall: { ratio: 0.5 } }", "spec.breaker.slowCall.over: no `over`"),
        (
            "breaker: { open: 10s, openMax: 5s }",
            "spec.breaker.openMax: a longest open time below the first one",
        ),
        ("bulkhead: { concurrent: 0 }", "spec.bulkhead.concurrent: 0"),
        ("bulkhead: { concurrent: 1, queue: 0, wait: 1s }", "spec.bulkhead.wait: a wait in a queue of 0"),
        ("admission: { multiplier: 0.5 }", "spec.admission.multiplier: 0.5 calls for each that is accepted"),
        ("admission: { rejectMax: 1 }", "spec.admission.rejectMax: a share of all calls"),
        ("admission: { window: 0s }", "spec.admission.window: no time at all"),
        ("doomed: { letThrough: 0 }", "spec.doomed.letThrough: a ratio of 0"),
        ("rateLimit: { burst: 5 }", "spec.rateLimit.perSecond: no `perSecond`"),
        ("faults: [{}]", "spec.faults[0]: a fault that does nothing"),
        ("faults: [{ drop: true, delay: 1s }]", "spec.faults[0]: more than one fault in one entry"),
        ("faults: [{ abort: 20 }]", "spec.faults[0].abort: the status 20"),
        ("faults: [{ abortGrpc: NO }]", "spec.faults[0].abortGrpc: the gRPC status `NO`"),
        ("faults: [{ drop: true, percent: 101 }]", "spec.faults[0].percent: 101 percent"),
    ] {
        finds(&policy(spec), &[expected]);
    }
    finds("kind: Policy\nmetadata: { name: p }\nspec: { deadline: 1s }\n", &["spec.targets: no `targets`"]);
    finds(&policy(""), &["spec: a policy that says nothing"]);
    let operation = "kind: Policy\nmetadata: { name: p }\nspec: { targets: [{ operation: a }, {}, { host: a, route: b }], deadline: 1s }\n";
    finds(
        operation,
        &[
            "spec.targets[0].operation: `a`",
            "spec.targets[1]: an empty mapping",
            "spec.targets[2]: `host` and `route` together",
        ],
    );
}

#[test]
fn services_that_make_no_sense_are_refused() {
    for (spec, expected) in [
        ("endpoints: [{ address: here }]", "spec.endpoints[0].address: `here`"),
        ("endpoints: [{ address: 'a:0' }]", "spec.endpoints[0].address: `a:0`"),
        (
            "endpoints: [{ address: 'a:80', labels: { version: 1 } }]",
            "spec.endpoints[0].labels.version: the number 1",
        ),
        ("run: { args: [a] }", "spec.run: nothing to run"),
        ("run: { cargo: a, command: [b] }", "spec.run.command[0]: `cargo` and `command` together"),
        ("health: ready", "spec.health: `ready`"),
        ("operations: [{ name: a.b }]", "spec.operations[0].name: the operation name `a.b`"),
        ("operations: [{ name: a }, { name: a }]", "spec.operations[1].name: a second operation `a`"),
        (
            "operations: [{ name: a, grpc: p.S/M }]",
            "spec.operations[0].grpc: a gRPC operation of a service that speaks http",
        ),
        ("protocol: grpc, operations: [{ name: a, grpc: S }]", "spec.operations[0].grpc: `S`"),
        (
            "operations: [{ name: a, http: { method: post, path: /a } }]",
            "spec.operations[0].http.method: `post`",
        ),
        (
            "operations: [{ name: a, http: { method: GET, path: '/a{b}' } }]",
            "spec.operations[0].http.path: `/a{b}`",
        ),
        (
            "operations: [{ name: a, takes: { p50: 2s, p99: 1s } }]",
            "spec.operations[0].takes.p50: a p50 above the p99",
        ),
        (
            "operations: [{ name: a, does: [{ sleep: 1s }] }]",
            "spec.operations[0].does[0].sleep: unknown field `sleep`",
        ),
    ] {
        finds(&service(spec), &[expected]);
    }
}

#[test]
fn a_field_written_twice_names_both_places() {
    let reading = read("kind: Service\nmetadata: { name: s }\nspec:\n  replicas: 1\n  replicas: 2\n");
    assert_eq!(reading.mistakes.len(), 1);
    let mistake = &reading.mistakes[0];
    assert_eq!((mistake.code, mistake.place.line, mistake.also[0].line), ("duplicate-key", 5, 4));
}

#[test]
fn text_that_yaml_takes_for_something_else_wants_quotes() {
    let reading = read(&service("hosts: [1.10, true, no, '8080', !!str 5]"));
    let hints: Vec<_> = reading.mistakes.iter().filter_map(|m| m.hint.as_deref()).collect();
    assert_eq!(hints, ["write it in quotes: \"1.10\"", "write it in quotes: \"true\""]);
}

#[test]
fn names_are_what_kubernetes_takes_for_names() {
    refused(
        "kind: Service\nmetadata: { name: Shop_1, namespace: a.b }\nspec: {}\n",
        &["2:19 metadata.name [bad-name] `Shop_1`", "2:38 metadata.namespace [bad-name] `a.b`"],
    );
}

#[test]
fn route_tests_are_documents_of_their_own() {
    let reading = taken(
        "testCases:
- description: orders go to v1
  wantMatch: true
  request:
    authority: [shop.example.com, shop]
    method: [GET, POST]
    uri: ['/orders?page=1']
    headers: { x-user: jason }
  route:
  - destination: { host: orders, subset: v1 }
- request: { authority: [shop], gateway: front/door, port: 80, scheme: https }
  directResponse: { status: 200 }
",
    );
    assert_eq!(reading.documents.tests[0].test_cases.len(), 2);
    finds(
        "testCases:\n- request: { uri: [a] }\n  wantmatch: true\n",
        &[
            "testCases[0].request: no `authority`",
            "testCases[0].request.uri[0]: `a`",
            "testCases[0].wantmatch: unknown field `wantmatch`",
        ],
    );
    taken("testCases:\n- request: { authority: [a] }\n  policy: { breaker: none, hedge: { after: 40ms } }\n");
    finds(
        "testCases:\n- request: { authority: [a] }\n  policy: { breker: none, deadline: never, hedge: late }\n",
        &[
            "testCases[0].policy.breker: unknown field `breker`",
            "testCases[0].policy.deadline: `never`",
            "testCases[0].policy.hedge: `late`",
        ],
    );
    finds("testCases:\n- request: { authority: [a] }\n", &["testCases[0]: a test that wants nothing"]);
}
