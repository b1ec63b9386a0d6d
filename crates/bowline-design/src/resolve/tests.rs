//! What documents come to, small ones written here.

use crate::explain::explain;
use crate::mistake::{Mistake, Text};
use crate::resolved::{Design, Idempotency};
use crate::routing::{Action, Asked, Found, Table, host};
use bowline_model::decision::DeadlineSource;
use bowline_policy::{Backoff, HedgeAfter, HedgeSettings, Ratio, RetryRule};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::time::Duration;

/// The design of one text, which must be sound.
pub(crate) fn design(yaml: &str) -> Design {
    match crate::load(&[text(yaml)]) {
        Ok(design) => design,
        Err(mistakes) => {
            let said: String = mistakes.iter().map(|mistake| mistake.render(&[text(yaml)], false)).collect();
            panic!("{said}")
        }
    }
}

/// The mistakes of one text, which must have some.
fn mistakes(yaml: &str) -> Vec<Mistake> {
    crate::load(&[text(yaml)]).expect_err("a design with a mistake")
}

fn text(yaml: &str) -> Text {
    Text { name: "test.yaml".into(), text: yaml.to_owned() }
}

/// What a table makes of `GET http://shop/orders?x=1` with headers.
fn find<'t>(table: &'t Table, method: &str, url: &str, headers: &[(&str, &str)]) -> Option<Found<'t>> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    }
    let rest = url.strip_prefix("http://").unwrap();
    let (authority, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let port = host::port_of(authority).unwrap_or(80);
    table.find(&Asked { method: &method, path, query, scheme: "http", authority, headers: &map, port })
}

/// `reviews.default.svc.cluster.local v2:50`, one after the other, or what else is done.
fn goes(design: &Design, found: Option<Found<'_>>) -> String {
    let Some(found) = found else { return "404".to_owned() };
    match &found.route.action {
        Action::Redirect(redirect) => format!("redirect {}", redirect.status),
        Action::Respond { status, .. } => format!("answer {status}"),
        Action::Forward { destinations, .. } => {
            let each = destinations.iter().map(|each| {
                let subset = each.destination.subset.as_deref().unwrap_or("-");
                format!("{} {subset}:{}", design.service(each.destination.service).name, each.weight)
            });
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

const REVIEWS: &str = r#"
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: { name: reviews }
spec:
  endpoints:
  - { address: "127.0.0.1:9001", labels: { version: v1 } }
  - { address: "127.0.0.1:9002", labels: { version: v2 } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec:
  host: reviews
  subsets: [ { name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }, { name: v3, labels: { version: v3 } } ]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [ reviews ]
  http:
  - match: [ { headers: { end-user: { exact: jason } } } ]
    route: [ { destination: { host: reviews, subset: v2 } } ]
  - route:
    - { destination: { host: reviews, subset: v1 }, weight: 50 }
    - { destination: { host: reviews, subset: v3 }, weight: 50 }
"#;

#[test]
fn the_mesh_routes_by_every_name_of_a_service() {
    let design = design(REVIEWS);
    for authority in [
        "reviews",
        "reviews:9080",
        "Reviews.default",
        "reviews.default.svc",
        "reviews.default.svc.cluster.local:80",
    ] {
        let url = format!("http://{authority}/x");
        assert_eq!(
            goes(&design, find(&design.mesh, "GET", &url, &[])),
            "reviews v1:50, reviews v3:50",
            "{url}"
        );
        let jason = [("end-user", "jason")];
        assert_eq!(goes(&design, find(&design.mesh, "GET", &url, &jason)), "reviews v2:1", "{url}");
    }
    assert_eq!(goes(&design, find(&design.mesh, "GET", "http://reviews.other/x", &[])), "404");
}

#[test]
fn a_subset_is_the_endpoints_that_carry_its_labels() {
    let design = design(REVIEWS);
    let found = find(&design.mesh, "GET", "http://reviews/", &[]).unwrap();
    let [v1, v3] = found.route.destinations() else { panic!("two destinations") };
    assert_eq!(v1.destination.endpoints, [0]);
    assert_eq!(v1.destination.missing, None);
    assert!(v3.destination.endpoints.is_empty());
    let why = v3.destination.missing.as_deref().unwrap();
    assert_eq!(why, "no endpoint of reviews.default.svc.cluster.local carries version=v3");
}

#[test]
fn weights_share_the_random_numbers() {
    let design = design(REVIEWS);
    let found = find(&design.mesh, "GET", "http://reviews/", &[]).unwrap();
    let picked = |random| found.route.pick(random).unwrap().destination.subset.as_deref().unwrap().to_owned();
    assert_eq!(picked(0), "v1");
    assert_eq!(picked(u64::MAX / 2 - 1), "v1");
    assert_eq!(picked(u64::MAX / 2 + 1), "v3");
    assert_eq!(picked(u64::MAX), "v3");
}

#[test]
fn a_host_that_only_rules_name_exists_without_endpoints() {
    let design = design(
        r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ratings, namespace: prod }
spec:
  hosts: [ ratings ]
  http: [ { route: [ { destination: { host: ratings, subset: v9 } } ] } ]
"#,
    );
    let found = find(&design.mesh, "GET", "http://ratings.prod/", &[]).unwrap();
    let destination = &found.route.destinations()[0].destination;
    assert!(design.service(destination.service).implied);
    assert!(destination.endpoints.is_empty());
    let notes: Vec<&str> = design.notes.iter().map(|note| note.subject.as_str()).collect();
    assert_eq!(notes, ["subset v9 of ratings.prod.svc.cluster.local", "ratings"]);
}

#[test]
fn what_nobody_says_is_istios_default() {
    let design = design(REVIEWS);
    let found = find(&design.mesh, "GET", "http://reviews/", &[]).unwrap();
    let settings = &found.route.destinations()[0].call(None).settings;
    assert_eq!(settings.retry.tries.value, 3);
    let RetryRule::Named(conditions) = &settings.retry.rule.value else { panic!("Istio's conditions") };
    let words: Vec<&str> = conditions.iter().map(bowline_model::decision::RetryOn::as_str).collect();
    assert_eq!(words.len(), 5);
    assert!(words.contains(&"connect-failure"));
    assert_eq!(settings.retry.backoff.value, Backoff::ENVOY);
    assert_eq!(settings.deadline(), None);
    assert_eq!(settings.breaker, None);
    assert_eq!(settings.budget, None);
    assert_eq!(settings.idempotent.value, Idempotency::ByMethod);
}

/// A shop with one operation, a gateway, and what the test adds.
fn shop(more: &str) -> String {
    format!(
        r#"
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: {{ name: payment }}
spec:
  endpoints: [ {{ address: "127.0.0.1:7102" }} ]
  operations:
  - name: authorize
    http: {{ method: POST, path: /authorizations }}
    idempotent: by-key
  - name: show
    http: {{ method: GET, path: "/authorizations/{{id}}" }}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{ name: edge }}
spec:
  servers: [ {{ port: {{ number: 8080, name: http, protocol: HTTP }}, bind: 127.0.0.1, hosts: [ "*" ] }} ]
---
{more}"#
    )
}

fn virtual_service(spec: &str) -> String {
    format!(
        r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: pay }}
spec:
  hosts: [ "*" ]
  gateways: [ edge ]
  http:
  - name: pay
    route: [ {{ destination: {{ host: payment }} }} ]
{spec}
---"#
    )
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        r#"
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: {{ name: {name} }}
spec:
{spec}
---"#
    )
}

/// The policy of `POST /authorizations` at the gateway.
fn authorize(yaml: &str) -> crate::resolved::CallSettings {
    let design = design(yaml);
    let table = &design.listeners[0].table;
    let found = find(table, "POST", "http://any/authorizations", &[]).unwrap();
    let each = &found.route.destinations()[0];
    let operation = design.service(each.destination.service).operation_for(&Method::POST, "/authorizations");
    (*each.call(operation).settings).clone()
}

#[test]
fn a_retries_block_counts_the_tries_after_the_first() {
    let check = |block: &str, tries: u32| {
        let settings = authorize(&shop(&virtual_service(block)));
        assert_eq!(settings.retry.tries.value, tries, "{block}");
    };
    check("    retries: { attempts: 3, perTryTimeout: 2s }", 4);
    check("    retries: { attempts: 0 }", 1);
    check("    retries: {}", 1);
    check("", 3);
}

#[test]
fn a_retries_block_names_per_try_time_and_back_off() {
    let settings =
        authorize(&shop(&virtual_service("    retries: { attempts: 1, perTryTimeout: 2s, backoff: 10ms }")));
    assert_eq!(settings.retry.per_try.unwrap().value, Duration::from_secs(2));
    assert_eq!(settings.retry.backoff.value, Backoff::envoy(Duration::from_millis(10)));
}

#[test]
fn a_policy_without_a_back_off_waits_like_one_whose_back_off_says_nothing() {
    let wait = |retry: &str| {
        let targets = "  targets: [ { operation: payment.authorize } ]";
        let policy = policy("a", &format!("{targets}\n  retry: {{ {retry} }}"));
        authorize(&shop(&(virtual_service("    timeout: 1s") + &policy))).retry.backoff.value
    };
    let full =
        |base, max| Backoff::Full { base: Duration::from_millis(base), max: Duration::from_millis(max) };
    assert_eq!(wait("tries: 3"), full(25, 250));
    assert_eq!(wait("tries: 3, backoff: {}"), full(25, 250));
    assert_eq!(wait("tries: 3, backoff: { base: 10ms }"), full(10, 100));
    assert_eq!(wait("tries: 3, backoff: { max: 40ms }"), full(25, 40));
}

#[test]
fn tries_of_istios_wait_as_envoy_does_whatever_else_a_policy_says() {
    let yaml = shop(
        &(virtual_service("    retries: { attempts: 2 }")
            + &policy("a", "  targets: [ { operation: payment.authorize } ]\n  retry: { perTry: 100ms }")),
    );
    assert_eq!(authorize(&yaml).retry.backoff.value, Backoff::ENVOY);
}

#[test]
fn of_all_deadlines_the_least_holds() {
    let yaml = shop(
        &(virtual_service("    timeout: 1s")
            + &policy("a", "  targets: [ { operation: payment.authorize } ]\n  deadline: 300ms")
            + &policy("b", "  targets: [ { service: payment } ]\n  deadline: 200ms")),
    );
    let settings = authorize(&yaml);
    assert_eq!(settings.deadlines.len(), 3);
    let (by, least) = settings.deadline().unwrap();
    assert_eq!((by, least.value), (DeadlineSource::Policy, Duration::from_millis(200)));
    assert_eq!(settings.edge_deadline, None);
}

#[test]
fn the_edge_stamps_what_nobody_gave_a_deadline() {
    let settings = authorize(&shop(&virtual_service("")));
    let (by, span) = settings.deadline().unwrap();
    assert_eq!((by, span.value), (DeadlineSource::Edge, Duration::from_secs(30)));
}

#[test]
fn a_policys_tries_beat_istios_default_and_follow_the_outcome() {
    let yaml = shop(
        &(virtual_service("")
            + &policy("a", "  targets: [ { service: payment } ]\n  retry: { tries: 2, perTry: 120ms }")),
    );
    let settings = authorize(&yaml);
    assert_eq!(settings.retry.tries.value, 2);
    assert_eq!(settings.retry.rule.value, RetryRule::Outcome);
    assert_eq!(settings.retry.per_try.unwrap().value, Duration::from_millis(120));
    assert_eq!(&*settings.keys.budget, "Policy default/a/payment.default.svc.cluster.local/");
    assert!(settings.budget.is_some(), "retries of ours come with a budget");
}

#[test]
fn the_more_specific_policy_wins_field_by_field() {
    let yaml = shop(
        &(virtual_service("")
            + &policy("a", "  targets: [ { service: payment } ]\n  retry: { tries: 2, perTry: 120ms }")
            + &policy("b", "  targets: [ { operation: payment.authorize } ]\n  retry: { tries: 4 }")),
    );
    let settings = authorize(&yaml);
    assert_eq!(settings.retry.tries.value, 4);
    assert_eq!(settings.retry.per_try.unwrap().value, Duration::from_millis(120));
}

#[test]
fn two_words_on_one_call_are_a_mistake_that_names_both() {
    let a = policy("a", "  targets: [ { operation: payment.authorize } ]\n  retry: { tries: 2 }");
    let b = policy("b", "  targets: [ { operation: payment.authorize } ]\n  retry: { tries: 3 }");
    let c = policy("c", "  targets: [ { route: pay } ]\n  retry: { tries: 3 }");
    let istio = virtual_service("    retries: { attempts: 3 }");
    let plain = virtual_service("");
    for (more, one, other) in [
        (plain.clone() + &a + &b, "Policy default/b", "Policy default/a"),
        (plain + &a + &c, "Policy default/c", "Policy default/a"),
        (istio + &a, "Policy default/a", "VirtualService default/pay"),
    ] {
        let mistakes = mistakes(&shop(&more));
        let [mistake] = &mistakes[..] else { panic!("one mistake, not {}", mistakes.len()) };
        assert_eq!(mistake.code, "said-twice");
        assert_eq!(&*mistake.place.resource, one);
        assert_eq!(&*mistake.also[0].resource, other);
    }
}

#[test]
fn a_rule_that_cannot_carry_an_operation_does_not_contradict_its_policy() {
    let retried = r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: pay }
spec:
  hosts: [ "*" ]
  gateways: [ edge ]
  http:
  - match: [ { method: { exact: POST }, uri: { prefix: /authorizations } } ]
    route: [ { destination: { host: payment } } ]
  - route: [ { destination: { host: payment } } ]
    retries: { attempts: 3 }
---"#;
    let policy = policy("a", "  targets: [ { operation: payment.authorize } ]\n  retry: { tries: 2 }");
    assert_eq!(authorize(&shop(&(retried.to_owned() + &policy))).retry.tries.value, 2);
}

#[test]
fn a_plain_istio_fault_switches_timeout_and_retries_off() {
    let block = "    timeout: 1s\n    retries: { attempts: 3 }\n    fault: { abort: { httpStatus: 503, percentage: { value: 50 } } }";
    let yaml = shop(&virtual_service(block));
    let settings = authorize(&yaml);
    assert_eq!(settings.retry.tries.value, 1);
    assert!(settings.deadlines.is_empty());
    let design = design(&yaml);
    let found = find(&design.listeners[0].table, "POST", "http://any/authorizations", &[]).unwrap();
    assert!(found.route.fault.as_ref().unwrap().abort.is_some());
    assert_eq!(found.route.timeout, None);
}

#[test]
fn an_annotation_puts_an_istio_fault_inside_the_try() {
    let block = "    retries: { attempts: 3 }\n    fault: { delay: { fixedDelay: 1s }, abort: { httpStatus: 503, percentage: { value: 50 } } }";
    let annotated = virtual_service(block)
        .replace("{ name: pay }", "{ name: pay, annotations: { bowline.dev/faults-inside-try: \"true\" } }");
    let settings = authorize(&shop(&annotated));
    assert_eq!(settings.retry.tries.value, 4);
    // The delay has no percentage: it hits nobody.
    let percents: Vec<String> = settings.faults.iter().map(|fault| fault.value.percent.to_string()).collect();
    assert_eq!(percents, ["0 %", "50 %"]);
}

#[test]
fn an_annotation_of_ours_that_nobody_knows_is_a_mistake() {
    let annotated = virtual_service("")
        .replace("{ name: pay }", "{ name: pay, annotations: { bowline.dev/fault-inside-try: \"true\" } }");
    let mistakes = mistakes(&shop(&annotated));
    assert_eq!(mistakes[0].code, "unknown-annotation");
    assert_eq!(mistakes[0].hint.as_deref(), Some("did you mean `bowline.dev/faults-inside-try`?"));
}

#[test]
fn a_name_of_our_own_kinds_that_leads_nowhere_is_a_mistake_with_a_suggestion() {
    for (targets, code, hint) in [
        ("{ service: paymnet }", "unknown-service", "did you mean `payment`?"),
        ("{ operation: payment.authorise }", "unknown-operation", "did you mean `authorize`?"),
        ("{ route: pya }", "unknown-route", "did you mean `pay`?"),
    ] {
        let yaml =
            shop(&(virtual_service("") + &policy("a", &format!("  targets: [ {targets} ]\n  deadline: 1s"))));
        let mistakes = mistakes(&yaml);
        assert_eq!((mistakes[0].code, mistakes[0].hint.as_deref()), (code, Some(hint)), "{targets}");
    }
}

#[test]
fn a_connection_pool_is_a_bulkhead() {
    let rule = r#"
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: payment }
spec:
  host: payment
  trafficPolicy:
    connectionPool: { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 2 } }
    outlierDetection: { consecutive5xxErrors: 1 }
"#;
    let settings = authorize(&shop(&(virtual_service("") + rule)));
    let bulkhead = settings.bulkhead.unwrap().value;
    assert_eq!((bulkhead.concurrent, bulkhead.queue), (1, 2));
    assert_eq!(settings.outlier.unwrap().value.consecutive_5xx, Some(1));
    assert_eq!(
        &*settings.keys.bulkhead,
        "DestinationRule default/payment/payment.default.svc.cluster.local/"
    );
}

#[test]
fn a_port_inherits_nothing() {
    let rule = r#"
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: payment }
spec:
  host: payment
  trafficPolicy:
    connectionPool: { tcp: { maxConnections: 1 } }
    portLevelSettings: [ { port: { number: 80 }, outlierDetection: { consecutive5xxErrors: 1 } } ]
"#;
    let at_port = virtual_service("").replace("host: payment }", "host: payment, port: { number: 80 } }");
    assert_eq!(authorize(&shop(&(at_port + rule))).bulkhead, None);
    assert!(authorize(&shop(&(virtual_service("") + rule))).bulkhead.is_some());
}

#[test]
fn a_breaker_opens_for_what_the_policy_names_and_nothing_else() {
    let breaker = |spec: &str| {
        let yaml = shop(
            &(virtual_service("")
                + &policy("a", &format!("  targets: [ {{ service: payment }} ]\n  breaker: {spec}"))),
        );
        authorize(&yaml).breaker.unwrap().value
    };
    let named = breaker("{ window: 10s, minCalls: 20, failureRatio: 0.5, open: 10s, probes: 3 }");
    assert_eq!((named.consecutive, named.slow), (None, None));
    assert_eq!(named.open, Duration::from_secs(10));
    let default = breaker("{ open: 90s }");
    assert_eq!(default.consecutive, Some(7));
    assert_eq!(default.open_max, Duration::from_secs(90));
}

#[test]
fn a_hedge_is_what_the_policy_says_and_ours_where_it_is_silent() {
    let hedge = |spec: &str| {
        let yaml = shop(
            &(virtual_service("")
                + &policy("a", &format!("  targets: [ {{ service: payment }} ]\n  hedge: {spec}"))),
        );
        let settings = authorize(&yaml);
        assert!(settings.keys.hedge.ends_with("/authorize"), "{}", settings.keys.hedge);
        settings.hedge.unwrap().value
    };
    assert_eq!(hedge("{}"), HedgeSettings::OURS);
    let quantile = |percent, min_calls| HedgeAfter::Quantile { quantile: Ratio::percent(percent), min_calls };
    assert_eq!(hedge("{ after: p90, minCalls: 20 }").after, quantile(90, 20));
    assert_eq!(hedge("{ minCalls: 20 }").after, quantile(95, 20));
    let said = hedge("{ after: 30ms, tries: 3, ratio: 0.05 }");
    let fixed = HedgeAfter::Fixed(Duration::from_millis(30));
    assert_eq!(said, HedgeSettings { after: fixed, tries: 3, ratio: Ratio::percent(5) });
}

#[test]
fn a_gateways_hosts_and_a_rules_hosts_meet() {
    let yaml = |server: &str, hosts: &str| {
        shop(&virtual_service("").replace("hosts: [ \"*\" ]", &format!("hosts: [ {hosts} ]")))
            .replace("hosts: [ \"*\" ]", &format!("hosts: [ {server} ]"))
    };
    let check = |server: &str, hosts: &str, authority: &str, expected: &str| {
        let design = design(&yaml(server, hosts));
        let found = find(&design.listeners[0].table, "GET", &format!("http://{authority}/"), &[]);
        assert_eq!(goes(&design, found), expected, "{server} {hosts} {authority}");
    };
    check("\"*\"", "shop.example", "shop.example:8080", "payment -:1");
    check("\"*\"", "shop.example", "other.example", "404");
    check("\"*.example\"", "\"*\"", "SHOP.example", "payment -:1");
    check("\"*.example\"", "\"*\"", "shop.test", "404");
    check("other/*.example", "shop.example", "shop.example", "404");
    check("./shop.example", "shop.example", "shop.example", "payment -:1");
}

#[test]
fn several_rules_for_one_gateway_host_are_merged_with_catch_alls_last() {
    let second = r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: second }
spec:
  hosts: [ "*" ]
  gateways: [ edge ]
  http:
  - match: [ { uri: { prefix: /static } } ]
    directResponse: { status: 204 }
"#;
    let design = design(&shop(&(virtual_service("") + second)));
    let table = &design.listeners[0].table;
    assert_eq!(goes(&design, find(table, "GET", "http://x/static/a", &[])), "answer 204");
    assert_eq!(goes(&design, find(table, "GET", "http://x/orders", &[])), "payment -:1");
}

#[test]
fn of_several_rules_for_one_mesh_host_the_first_holds_and_a_note_says_so() {
    let again = REVIEWS.to_owned()
        + r#"
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: again }
spec:
  hosts: [ reviews.default.svc.cluster.local ]
  http: [ { directResponse: { status: 204 } } ]
"#;
    let design = design(&again);
    let found = find(&design.mesh, "GET", "http://reviews/", &[]);
    assert_eq!(goes(&design, found), "reviews v1:50, reviews v3:50");
    assert!(design.notes.iter().any(|note| note.text == "spoken for by reviews already, which holds"));
}

#[test]
fn a_delegate_decides_within_the_roots_conditions() {
    let delegating = r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: root }
spec:
  hosts: [ "*" ]
  gateways: [ edge ]
  http:
  - match: [ { uri: { prefix: /pay } } ]
    timeout: 2s
    delegate: { name: pay, namespace: team }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: pay, namespace: team }
spec:
  http:
  - match: [ { uri: { prefix: /pay/fast } } ]
    directResponse: { status: 204 }
  - route: [ { destination: { host: payment.default.svc.cluster.local } } ]
"#;
    let design = design(&shop(delegating));
    let table = &design.listeners[0].table;
    assert_eq!(goes(&design, find(table, "GET", "http://x/pay/fast/1", &[])), "answer 204");
    let slow = find(table, "GET", "http://x/pay/slow", &[]);
    assert_eq!(goes(&design, slow), "payment -:1");
    assert_eq!(slow.unwrap().route.timeout.as_ref().unwrap().value, Duration::from_secs(2));
    assert_eq!(goes(&design, find(table, "GET", "http://x/else", &[])), "404");
}

#[test]
fn a_service_entry_answers_behind_each_of_its_ports() {
    let design = design(
        r#"
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: googleapis }
spec:
  hosts: [ www.googleapis.com ]
  ports: [ { number: 80, name: http, protocol: HTTP }, { number: 443, name: https, protocol: HTTPS } ]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: rewrite-port }
spec:
  hosts: [ www.googleapis.com ]
  http:
  - match: [ { port: 80 } ]
    route: [ { destination: { host: www.googleapis.com, port: { number: 443 } } } ]
"#,
    );
    let found = find(&design.mesh, "GET", "http://www.googleapis.com/", &[]).unwrap();
    let destination = &found.route.destinations()[0].destination;
    let service = design.service(destination.service);
    let addresses: Vec<&str> =
        destination.endpoints.iter().map(|at| &*service.endpoints[*at].address).collect();
    assert_eq!(addresses, ["www.googleapis.com:443"]);
    assert!(find(&design.mesh, "GET", "http://www.googleapis.com:8080/", &[]).is_none());
}

/// The notes of a Gateway with these servers, and its listeners.
fn gateway(servers: &str) -> (Vec<crate::resolved::Listener>, Vec<String>) {
    let yaml = format!(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{ name: gate }}\nspec:\n  servers:\n{servers}"
    );
    let design = design(&yaml);
    let notes = design.notes.iter().map(|note| format!("{}: {}", note.subject, note.text)).collect();
    (design.listeners, notes)
}

/// A server for HTTPS with these hosts and this `tls`.
fn https(hosts: &str, tls: &str) -> String {
    format!(
        "  - {{ port: {{ number: 443, name: p{}, protocol: HTTPS }}, tls: {{ {tls} }}, hosts: [ {hosts} ] }}\n",
        hosts.len()
    )
}

#[test]
fn what_keeps_a_server_from_being_served_is_said_by_name() {
    let files = "serverCertificate: c, privateKey: k";
    for (tls, named) in [
        ("mode: PASSTHROUGH".to_owned(), "mode PASSTHROUGH"),
        (files.to_owned(), "mode PASSTHROUGH"),
        ("mode: AUTO_PASSTHROUGH".to_owned(), "mode AUTO_PASSTHROUGH"),
        ("mode: ISTIO_MUTUAL".to_owned(), "mode ISTIO_MUTUAL"),
        ("mode: SIMPLE, credentialName: ../../etc".to_owned(), "credentialName"),
        (format!("mode: SIMPLE, {files}, maxProtocolVersion: TLSV1_1"), "maxProtocolVersion"),
        (
            format!("mode: SIMPLE, {files}, minProtocolVersion: TLSV1_3, maxProtocolVersion: TLSV1_2"),
            "maxProtocolVersion",
        ),
        (
            format!("mode: SIMPLE, {files}, maxProtocolVersion: TLSV1_2, cipherSuites: [ AES128-SHA ]"),
            "cipherSuites",
        ),
        (
            "mode: MUTUAL, tlsCertificates: [ { serverCertificate: c, privateKey: k } ]".to_owned(),
            "caCertificates",
        ),
    ] {
        let (listeners, notes) = gateway(&https("\"*\"", &tls));
        assert!(listeners.is_empty(), "{tls}");
        let said = notes.iter().any(|note| note.contains(named) && note.contains("not served"));
        assert!(said, "{tls}: {notes:?}");
    }
    let tcp = "  - { port: { number: 443, name: t, protocol: TLS }, tls: { mode: SIMPLE, credentialName: c }, hosts: [ a ] }\n";
    let (listeners, notes) = gateway(tcp);
    assert!(
        listeners.is_empty() && notes.iter().any(|note| note.starts_with("Gateway protocol TLS")),
        "{notes:?}"
    );
}

#[test]
fn a_servers_tls_is_what_it_says() {
    use crate::resolved::caller_tls::{CallerProof, Cipher, TlsVersion};
    let (listeners, notes) = gateway(&https("shop.test", "mode: SIMPLE, credentialName: shop"));
    let tls = listeners[0].tls.as_ref().unwrap();
    assert_eq!(notes, [""; 0]);
    assert_eq!(
        tls.certificates,
        [("credentials/shop/tls.crt".to_owned(), "credentials/shop/tls.key".to_owned())]
    );
    assert_eq!((&tls.callers, tls.versions), (&CallerProof::None, (TlsVersion::V1_2, TlsVersion::V1_3)));

    let mutual = "mode: OPTIONAL_MUTUAL, serverCertificate: c, privateKey: k, caCertificates: a, caCrl: r, \
                  subjectAltNames: [ \"spiffe://shop/orders\" ], minProtocolVersion: TLSV1_0, \
                  cipherSuites: [ ECDHE-RSA-AES128-GCM-SHA256, AES128-SHA ]";
    let (listeners, notes) = gateway(&https("shop.test", mutual));
    let tls = listeners[0].tls.as_ref().unwrap();
    let CallerProof::Optional(proof) = &tls.callers else { panic!("{tls:?}") };
    assert_eq!((&*proof.trusted, proof.revoked.as_deref()), ("a", Some("r")));
    assert_eq!(proof.names, ["spiffe://shop/orders"]);
    assert_eq!(tls.ciphers, Some(vec![Cipher::RsaAes128]));
    assert_eq!(notes.len(), 2, "{notes:?}");
}

#[test]
fn of_servers_at_one_address_the_narrowest_name_serves() {
    let tls = "mode: SIMPLE, credentialName: c";
    let servers =
        [https("\"*.shop.test\"", tls), https("a.shop.test", tls), https("default/b.test", tls)].concat();
    let design = {
        let head = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: { name: gate }\nspec:\n  servers:\n";
        design(&format!("{head}{servers}"))
    };
    let bind = design.listeners[0].bind;
    let serves =
        |name| design.listener_at(bind, name).map(|listener| listener.tls.as_ref().unwrap().names[0].text());
    assert_eq!(serves(Some("A.shop.test")).as_deref(), Some("a.shop.test"));
    assert_eq!(serves(Some("x.shop.test")).as_deref(), Some("*.shop.test"));
    assert_eq!(serves(Some("b.test")).as_deref(), Some("b.test"));
    assert_eq!((serves(Some("other.test")), serves(None)), (None, None));
}

#[test]
fn a_port_speaks_one_protocol_and_a_name_has_one_server() {
    let plain = "  - { port: { number: 443, name: plain, protocol: HTTP }, hosts: [ \"*\" ] }\n";
    let tls = https("shop.test", "mode: SIMPLE, credentialName: c");
    let (listeners, notes) = gateway(&format!("{plain}{tls}"));
    assert!(listeners.len() == 1 && listeners[0].tls.is_none());
    assert!(notes.iter().any(|note| note.contains("speaks another protocol")), "{notes:?}");
    let again = tls.replace("name: p", "name: q");
    let (_, notes) = gateway(&format!("{tls}{again}"));
    assert!(
        notes.iter().any(|note| note.contains("`shop.test` is served by default/gate before")),
        "{notes:?}"
    );
}

/// A design that sends HTTP to HTTPS, and whose server for HTTPS has `hosts`.
fn redirecting(hosts: &str) -> Design {
    let tls = https(hosts, "mode: SIMPLE, credentialName: c").replace("443", "8443");
    design(&format!(
        "apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{ name: gate }}
spec:
  servers:
  - {{ port: {{ number: 8080, name: http, protocol: HTTP }}, tls: {{ httpsRedirect: true }}, hosts: [ \"*\" ] }}
{tls}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: hello }}
spec:
  hosts: [ \"*\" ]
  gateways: [ gate ]
  http: [ {{ name: hello, directResponse: {{ status: 200 }} }} ]
"
    ))
}

fn explained(design: &Design, url: &str) -> String {
    let headers = HeaderMap::new();
    explain(design, &Method::GET, &url.parse().unwrap(), &headers).to_string()
}

#[test]
fn a_redirect_leads_to_the_port_where_tls_is_spoken() {
    let design = redirecting("shop.test");
    let told = explained(&design, "http://shop.test:8080/cart");
    assert!(told.contains("301 to https://shop.test:8443/cart"), "{told}");
}

#[test]
fn https_is_explained_by_the_server_that_speaks_it_or_by_nobody() {
    let design = redirecting("shop.test");
    for url in ["https://shop.test:8443/", "https://shop.test/"] {
        let told = explained(&design, url);
        assert!(told.contains("0.0.0.0:8443, TLS SIMPLE") && told.contains("route hello"), "{url}: {told}");
    }
    for url in ["https://other.test:8443/", "https://shop.test:8080/", "https://shop.test:443/"] {
        let told = explained(&design, url);
        assert!(told.contains("refused; TLS is spoken to shop.test at port 8443"), "{url}: {told}");
    }
    let told = explained(&design, "http://shop.test:8443/");
    assert!(told.contains("plain-http"), "{told}");
    let plain = Design { listeners: Vec::new(), ..design };
    assert!(explained(&plain, "https://shop.test/").contains("no gateway of this design speaks TLS"));
}

#[test]
fn the_graph_follows_calls_and_ways_in() {
    let orders = r#"
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: { name: orders }
spec:
  endpoints: [ { address: "127.0.0.1:7101" } ]
  operations:
  - name: place
    http: { method: POST, path: /orders }
    does: [ { work: 2ms }, { parallel: [ { call: payment.authorize }, { call: payment.show } ] } ]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: payment }
spec:
  hosts: [ payment ]
  http:
  - match: [ { method: { exact: POST } } ]
    route: [ { destination: { host: payment } } ]
    timeout: 1s
"#;
    let design = design(&shop(&(virtual_service("") + orders)));
    let edges = design.edges();
    let named: Vec<(String, String, bool)> = edges
        .iter()
        .map(|edge| (design.name_of(edge.from), design.name_of(edge.to), edge.way.route.is_some()))
        .collect();
    let row = |to: &str, governed| ("orders.place".to_owned(), to.to_owned(), governed);
    assert_eq!(named, [row("payment.authorize", true), row("payment.show", false)]);
    let (by, span) = edges[0].way.legs[0].settings.deadline().unwrap();
    assert_eq!((by, span.value), (DeadlineSource::Route, Duration::from_secs(1)));

    let entries = design.entries();
    let into: Vec<_> = entries.iter().map(|entry| entry.leg.operation).collect();
    assert_eq!(into, [Some(0), Some(1)]);
}

#[test]
fn explain_says_what_holds_and_who_says_so() {
    let first = r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: health }
spec:
  hosts: [ "*" ]
  gateways: [ edge ]
  http:
  - match: [ { uri: { exact: /health } } ]
    directResponse: { status: 200 }
---"#;
    let policy = policy(
        "payments",
        "  targets: [ { operation: payment.authorize } ]\n  deadline: 300ms\n  retry: { tries: 2, perTry: 120ms }",
    );
    let design = design(&shop(&(first.to_owned() + &virtual_service("    timeout: 1s") + &policy)));
    let headers = HeaderMap::new();
    let url = "http://127.0.0.1:8080/authorizations".parse().unwrap();
    let explanation = explain(&design, &Method::POST, &url, &headers);
    let expected = r#"  POST http://127.0.0.1:8080/authorizations
  gateway default/edge, 127.0.0.1:8080
  host *

  passed over
    health  asks for uri exact "/health"   test.yaml:28

  route pay   test.yaml:38

  to payment.authorize   127.0.0.1:7102
    deadline    300ms (the least; route 1s)              Policy default/payments (test.yaml:47)
    tries       2                                        Policy default/payments (test.yaml:48)
    per try     120ms                                    Policy default/payments (test.yaml:48)
    back-off    full jitter, 25ms doubled up to 250ms    default: where a policy asks for retries and says nothing of their pauses
    retry on    refused; unknown where repeatable        default: our own tries follow the outcome
    repeatable  no: the request has no Idempotency-Key   Service default/payment (test.yaml:10)
    budget      20 % of calls + 10/s over 10s; 20 % of calls under way, or 3   default: a policy that asks for retries gets a budget: a fifth of all calls, and 10 a second
"#;
    assert_eq!(explanation.to_string(), expected);
    let json = explanation.to_json();
    assert_eq!(json["route"]["to"][0]["policy"][0]["place"]["line"], 47);
}

#[test]
fn route_tests_say_what_was_expected_and_what_was_found() {
    let tests = r#"
testCases:
- description: jason sees v2
  wantMatch: true
  request: { authority: [ reviews, reviews.default ], method: [ GET, POST ], headers: { end-user: jason } }
  route: [ { destination: { host: reviews, subset: v2 } } ]
- description: others do not see v2
  wantMatch: false
  request: { authority: [ reviews ] }
  route: [ { destination: { host: reviews, subset: v2 } } ]
- description: wrong on purpose
  request: { authority: [ reviews ], uri: [ /a ] }
  route: [ { destination: { host: reviews, subset: v2 } } ]
"#;
    let texts = [text(REVIEWS), Text { name: "tests.yaml".into(), text: tests.to_owned() }];
    let design = crate::load(&texts).unwrap();
    let ran = crate::route_test::run(&design);
    let passed: Vec<bool> = ran.iter().map(crate::route_test::TestResult::passed).collect();
    assert_eq!(passed, [true, true, true, true, true, false]);
    assert_eq!(ran[5].differs, ["to reviews subset v2 expected"]);
    assert_eq!(ran[5].to_json()["passed"], false);
    assert!(
        ran[5]
            .to_string()
            .starts_with("wrong on purpose: GET reviews/a\n      to reviews subset v2 expected\n")
    );
    assert_eq!(
        ran[5].got,
        "to reviews.default.svc.cluster.local subset v1 weight 50, reviews.default.svc.cluster.local subset v3 weight 50"
    );
}

/// A service with everything that a test can ask for, and one with nothing.
const GOVERNED: &str = r#"
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: { name: shop }
spec:
  endpoints: [ { address: "127.0.0.1:1" } ]
  operations:
  - { name: read, http: { method: GET, path: /items } }
---
apiVersion: bowline.dev/v1alpha1
kind: Service
metadata: { name: plain }
spec: { endpoints: [ { address: "127.0.0.1:2" } ] }
---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: { name: shop }
spec:
  targets: [ { service: shop } ]
  deadline: 2s
  retry: { tries: 3, perTry: 500ms }
  breaker: { minCalls: 50, failureRatio: 0.3 }
  bulkhead: { concurrent: 12, queue: 40, wait: 500ms }
  rateLimit: { perSecond: 100 }
  admission: { window: 30s }
  doomed: {}
  priority: low
---
apiVersion: bowline.dev/v1alpha1
kind: Policy
metadata: { name: read }
spec:
  targets: [ { operation: shop.read } ]
  hedge: { after: p95 }
  priority: high
"#;

fn governed(policy: &str) -> Vec<String> {
    let tests =
        format!("testCases:\n- request: {{ authority: [ shop ], uri: [ /items ] }}\n  policy: {policy}\n");
    let texts = [text(GOVERNED), Text { name: "tests.yaml".into(), text: tests }];
    let design = crate::load(&texts).unwrap();
    crate::route_test::run(&design).remove(0).differs
}

#[test]
fn a_route_test_sees_what_governs_the_call() {
    let all = "{ deadline: 2s, retry: { tries: 3, perTry: 500ms, backoff: { base: 25ms }, budget: { ratio: 0.2 } },
      hedge: { after: p95, tries: 2, ratio: 0.1, minCalls: 100 }, breaker: { minCalls: 50, failureRatio: 0.3 },
      bulkhead: { concurrent: 12, queue: 40, wait: 500ms }, rateLimit: { perSecond: 100, burst: 100 },
      admission: { window: 30s, multiplier: 2 }, doomed: { letThrough: 0.05 }, priority: high }";
    assert_eq!(governed(all), [""; 0]);
}

#[test]
fn a_route_test_says_what_else_governs_the_call() {
    for (policy, differs) in [
        ("{ deadline: 1s }", "deadline 1s expected, found 2s"),
        ("{ deadline: none }", "no deadline expected, found one (test.yaml:"),
        ("{ retry: { tries: 2 } }", "retry.tries 2 expected, found 3"),
        ("{ retry: none }", "retry none expected, found 3 (test.yaml:"),
        ("{ hedge: none }", "no hedge expected, found one (test.yaml:"),
        ("{ hedge: { after: 40ms } }", "hedge.after 40ms expected, found p95"),
        ("{ breaker: { failureRatio: 0.5 } }", "breaker.failureRatio 0.5 expected, found 0.3"),
        ("{ breaker: { consecutive: 5 } }", "breaker.consecutive 5 expected, found none"),
        ("{ bulkhead: { concurrent: 12, queue: 4 } }", "bulkhead.queue 4 expected, found 40"),
        ("{ rateLimit: none }", "no rateLimit expected, found one (test.yaml:"),
        ("{ admission: { multiplier: 3 } }", "admission.multiplier 3 expected, found 2"),
        ("{ doomed: none }", "no doomed expected, found one (test.yaml:"),
        ("{ priority: low }", "priority low expected, found high"),
    ] {
        let found = governed(policy);
        assert!(found.len() == 1 && found[0].starts_with(differs), "{policy}: {found:?}");
    }
}

#[test]
fn a_route_test_misses_what_is_not_there_and_wants_a_call_to_govern() {
    let tests = "testCases:
- request: { authority: [ plain ] }
  policy: { breaker: {}, hedge: {}, priority: normal, retry: { tries: 3 }, bulkhead: none }
- request: { authority: [ shop ], uri: [ /gone ] }
  policy: { deadline: 1s }
";
    let gone = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: gone }
spec:
  hosts: [ shop ]
  http: [ { directResponse: { status: 410 } } ]
";
    let texts =
        [text(&(GOVERNED.to_owned() + gone)), Text { name: "tests.yaml".into(), text: tests.to_owned() }];
    let ran = crate::route_test::run(&crate::load(&texts).unwrap());
    assert_eq!(ran[0].differs, ["a hedge expected, found none", "a breaker expected, found none"]);
    assert_eq!(ran[1].differs, ["a policy expected, and no call is made"]);
}

const MOVED: &str = r#"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: moved }
spec:
  hosts: [ shop ]
  http:
  - match: [ { uri: { prefix: /old } } ]
    redirect: { prefixRewrite: /new, redirectCode: 308 }
"#;

#[test]
fn a_redirect_that_rewrites_a_prefix_does_not_lead_back_to_itself() {
    let design = design(MOVED);
    let url = "http://shop/old/orders?page=2".parse().unwrap();
    let told = explain(&design, &Method::GET, &url, &HeaderMap::new()).to_string();
    assert!(told.contains("308 to http://shop/new/orders?page=2"), "{told}");
    let found = find(&design.mesh, "GET", "http://shop/old/orders", &[]).unwrap();
    assert_eq!(design.describe(found.route), "redirect 308 to /new in the place of what matched");
}

#[test]
fn a_route_test_sees_what_a_redirect_puts_in_the_place_of_a_prefix() {
    let tests = "
testCases:
- { description: moved, request: { authority: [ shop ], uri: [ /old/a ] }, redirect: { prefixRewrite: /new } }
- { description: not there, request: { authority: [ shop ], uri: [ /old/a ] }, redirect: { prefixRewrite: /other } }
";
    let texts = [text(MOVED), Text { name: "tests.yaml".into(), text: tests.to_owned() }];
    let ran = crate::route_test::run(&crate::load(&texts).unwrap());
    assert!(ran[0].passed());
    assert_eq!(ran[1].differs, ["redirect prefixRewrite /other expected, found /new"]);
}

// === picking endpoints ===

/// The shop's payments with this `trafficPolicy`.
fn with_traffic(policy: &str) -> crate::resolved::CallSettings {
    let rule = format!(
        r#"
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{ name: payment }}
spec: {{ host: payment, trafficPolicy: {policy} }}
"#
    );
    authorize(&shop(&(virtual_service("") + &rule)))
}

#[test]
fn what_istio_asks_for_is_how_endpoints_are_picked() {
    use bowline_policy::balance::Algorithm;
    let algorithm = |policy: &str| with_traffic(policy).balance.value.settings.algorithm;
    assert!(matches!(algorithm("{ loadBalancer: { simple: UNSPECIFIED } }"), Algorithm::PeakEwma(_)));
    assert_eq!(algorithm("{ loadBalancer: { simple: ROUND_ROBIN } }"), Algorithm::RoundRobin);
    assert_eq!(algorithm("{ loadBalancer: { simple: LEAST_CONN } }"), Algorithm::LeastRequest);
    assert_eq!(algorithm("{ loadBalancer: { simple: RANDOM } }"), Algorithm::Random);
    let hash = with_traffic("{ loadBalancer: { consistentHash: { httpHeaderName: x-user } } }").balance.value;
    assert_eq!(hash.settings.algorithm, Algorithm::RingHash { size_min: 1_024 });
    assert_eq!(hash.hash, Some(crate::resolved::HashBy::Header("x-user".into())));
    assert_eq!(
        algorithm("{ loadBalancer: { consistentHash: { useSourceIp: true, maglev: { tableSize: 1021 } } } }"),
        Algorithm::Maglev { size: 1_021 }
    );
    let warm =
        with_traffic("{ loadBalancer: { simple: RANDOM, warmup: { duration: 10s, minimumPercent: 20 } } }");
    let slow_start = warm.balance.value.settings.slow_start.unwrap();
    assert_eq!((slow_start.window.as_secs(), slow_start.least, slow_start.aggression), (10, 0.2, 1.0));
}

#[test]
fn an_outlier_detection_without_fields_is_istios() {
    use bowline_policy::OutlierSettings;
    let settings = |policy: &str| with_traffic(policy).outlier.unwrap().value;
    assert_eq!(settings("{ outlierDetection: {} }"), OutlierSettings::ISTIO);
    let all = settings(
        "{ outlierDetection: { consecutive5xxErrors: 0, consecutiveGatewayErrors: 3, splitExternalLocalOriginErrors: true, \
         interval: 1s, baseEjectionTime: 7s, maxEjectionPercent: 40 } }",
    );
    assert_eq!(
        (all.consecutive_5xx, all.consecutive_gateway, all.consecutive_local),
        (None, Some(3), Some(5))
    );
    assert_eq!((all.interval.as_secs(), all.base.as_secs(), all.out_max), (1, 7, Ratio::percent(40)));
    let least = with_traffic("{ outlierDetection: { minHealthPercent: 30 } }");
    assert_eq!(least.balance.value.settings.panic, Ratio::percent(30));
}

#[test]
fn our_own_balance_and_outlier_say_what_they_leave_out() {
    use bowline_policy::balance::Algorithm;
    use bowline_policy::{BalanceSettings, OutlierSettings, Ratio};
    let ours = |spec: &str| {
        let spec = format!("  targets: [ {{ service: payment }} ]\n{spec}");
        authorize(&shop(&(virtual_service("") + &policy("a", &spec))))
    };
    let settings = ours("  balance: {}\n  outlier: {}\n");
    assert_eq!(settings.balance.value.settings, BalanceSettings::OURS);
    assert_eq!(settings.outlier.unwrap().value, OutlierSettings::OURS);
    let settings = ours(
        "  balance: { hash: { cookie: user }, slowStart: 5s, panicBelow: 0.5 }\n  outlier: { consecutiveGateway: 3, maxEjected: 0.3 }\n",
    );
    let balance = settings.balance.value.settings;
    assert_eq!(
        (balance.algorithm, balance.panic),
        (Algorithm::RingHash { size_min: 1_024 }, Ratio::percent(50))
    );
    let outlier = settings.outlier.unwrap().value;
    assert_eq!((outlier.consecutive_5xx, outlier.consecutive_gateway), (None, Some(3)), "it names one way");
    assert_eq!(outlier.out_max, Ratio::percent(30));
}

#[test]
fn a_way_that_goes_by_a_hash_needs_one() {
    let code = |balance: &str| {
        let spec = format!("  targets: [ {{ service: payment }} ]\n  balance: {balance}\n");
        mistakes(&shop(&(virtual_service("") + &policy("a", &spec))))[0].code
    };
    assert_eq!(code("{ by: maglev }"), "missing-field");
    assert_eq!(code("{ by: random, hash: { header: x } }"), "conflict");
    assert_eq!(code("{ hash: { sourceIp: false } }"), "bad-value");
}

#[test]
fn a_value_that_is_out_of_range_is_told_of_once() {
    let policy = |spec: &str| {
        format!(
            "apiVersion: bowline.dev/v1alpha1\nkind: Service\nmetadata: {{ name: a }}\n\
             spec: {{ endpoints: [ {{ address: \"127.0.0.1:1\" }} ] }}\n---\n\
             apiVersion: bowline.dev/v1alpha1\nkind: Policy\nmetadata: {{ name: p }}\n\
             spec: {{ targets: [ {{ service: a }} ], {spec} }}\n"
        )
    };
    for spec in [
        "outlier: { maxEjected: 7 }",
        "balance: { panicBelow: 7 }",
        "retry: { tries: 2, budget: { ratio: 7 } }",
        "faults: [ { abort: 503, percent: 110 } ]",
    ] {
        let said: Vec<_> = mistakes(&policy(spec)).into_iter().map(|mistake| mistake.found).collect();
        assert_eq!(said.len(), 1, "{spec}: {said:?}");
    }
}
