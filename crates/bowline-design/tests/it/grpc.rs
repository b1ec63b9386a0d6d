//! Service configs of gRPC: what is read, what is refused, whom they govern, and whom they contradict.

use crate::support::{design, finds, read, refused, said};
use bowline_design::Design;
use bowline_design::explain::explain;
use bowline_design::resolved::{CallSettings, CheckedBy};
use bowline_policy::balance::Algorithm;
use bowline_policy::{Backoff, Codes, HedgeAfter, RetryRule};
use http::{HeaderMap, Method};
use std::time::Duration;

const SERVICE: &str = "kind: Service
metadata: { name: payment }
spec:
  protocol: grpc
  endpoints: [ { address: \"127.0.0.1:7102\" }, { address: \"127.0.0.1:7103\" } ]
  operations:
  - { name: authorize, grpc: shop.v1.Payment/Authorize }
  - { name: reverse, grpc: shop.v1.Payment/Reverse }
  - { name: list, grpc: shop.v1.Reports/List }
---
";

/// A service config as gRPC's documentation shows them, JSON and all.
const WHOLE: &str = r#"kind: GrpcServiceConfig
metadata: { name: payment }
spec:
  service: payment
  config: {
    "loadBalancingConfig": [ { "grpclb": {} }, { "round_robin": {} } ],
    "methodConfig": [
      {
        "name": [ { "service": "shop.v1.Payment" } ],
        "timeout": "1s",
        "retryPolicy": {
          "maxAttempts": 4,
          "initialBackoff": "0.1s",
          "maxBackoff": "1s",
          "backoffMultiplier": 1.6,
          "retryableStatusCodes": [ "UNAVAILABLE", 8 ]
        }
      },
      {
        "name": [ { "service": "shop.v1.Payment", "method": "Authorize" } ],
        "timeout": "0.25s",
        "hedgingPolicy": { "maxAttempts": 9, "hedgingDelay": "0.05s", "nonFatalStatusCodes": [ "ABORTED" ] }
      },
      { "name": [ {} ], "timeout": "3s" }
    ],
    "retryThrottling": { "maxTokens": 10, "tokenRatio": 0.0579 },
    "healthCheckConfig": { "serviceName": "shop.v1.Payment" }
  }
"#;

fn with(config: &str) -> String {
    format!(
        "{SERVICE}kind: GrpcServiceConfig\nmetadata: {{ name: p }}\nspec: {{ service: payment, config: {{ {config} }} }}\n"
    )
}

fn method(fields: &str) -> String {
    with(&format!("methodConfig: [ {{ name: [ {{ service: shop.v1.Payment }} ], {fields} }} ]"))
}

const RETRY: &str = "retryPolicy: { maxAttempts: 3, initialBackoff: 0.1s, maxBackoff: 1s, backoffMultiplier: 2, retryableStatusCodes: [ UNAVAILABLE ] }";

/// What governs a call by the mesh.
fn settings(design: &Design, path: &str) -> CallSettings {
    let host = design.mesh.host_of("payment").unwrap();
    let each = &host.routes[0].destinations()[0];
    let operation = design.service(each.destination.service).operation_for(&Method::POST, path);
    (*each.call(operation).settings).clone()
}

fn told(design: &Design, path: &str) -> String {
    let url = format!("http://payment{path}").parse().unwrap();
    explain(design, &Method::POST, &url, &HeaderMap::new()).to_string()
}

#[test]
fn the_longest_name_governs_a_call_and_no_other() {
    let design = design(&format!("{SERVICE}{WHOLE}"));
    let of = |path| settings(&design, path);
    let deadline = |settings: &CallSettings| settings.deadline().map(|(_, span)| span.value);

    let authorize = of("/shop.v1.Payment/Authorize");
    assert_eq!(deadline(&authorize), Some(Duration::from_millis(250)));
    let hedge = authorize.hedge.unwrap().value;
    assert_eq!((hedge.after, hedge.tries), (HedgeAfter::Fixed(Duration::from_millis(50)), 5));
    assert_eq!((authorize.retry.tries.value, authorize.retry.backoff.value), (5, Backoff::None));
    assert_eq!(authorize.retry.rule.value, RetryRule::Codes(Codes::NONE.with(10)));

    let reverse = of("/shop.v1.Payment/Reverse");
    assert_eq!(deadline(&reverse), Some(Duration::from_secs(1)));
    assert_eq!((reverse.retry.tries.value, reverse.hedge), (4, None));
    let backoff = Backoff::Grpc {
        base: Duration::from_millis(100),
        max: Duration::from_secs(1),
        multiplier: 1_600_000,
    };
    assert_eq!(reverse.retry.backoff.value, backoff);
    assert_eq!(reverse.retry.rule.value, RetryRule::Codes(Codes::NONE.with(8).with(14)));

    for other in ["/shop.v1.Reports/List", "/shop.v1.Payment/Undeclared"] {
        let list = of(other);
        assert_eq!(deadline(&list), Some(Duration::from_secs(3)), "{other}");
        assert!(matches!(list.retry.rule.value, RetryRule::Named(_)), "{other}: Istio's default");
    }
}

#[test]
fn one_throttle_is_for_all_calls_of_a_service_and_its_ratio_has_three_decimals() {
    let design = design(&format!("{SERVICE}{WHOLE}"));
    let throttles = ["/shop.v1.Payment/Authorize", "/shop.v1.Reports/List", "/undeclared"].map(|path| {
        let settings = settings(&design, path);
        let throttle = settings.retry_throttle.unwrap().value;
        assert_eq!((throttle.tokens_max, throttle.ratio), (10_000, 57), "{path}");
        settings.keys.retry_throttle.to_string()
    });
    assert_eq!(throttles[0], "GrpcServiceConfig default/payment/payment.default.svc.cluster.local");
    assert!(throttles.iter().all(|key| *key == throttles[0]), "{throttles:?}");
}

#[test]
fn the_first_way_to_balance_that_is_known_is_taken_and_the_others_are_noted() {
    let design = design(&format!("{SERVICE}{WHOLE}"));
    let balance = settings(&design, "/shop.v1.Reports/List").balance.value;
    assert_eq!(balance.settings.algorithm, Algorithm::RoundRobin);
    let noted: Vec<_> = design.notes.iter().map(|note| note.subject.as_str()).collect();
    assert!(noted.contains(&"loadBalancingConfig grpclb"), "{noted:?}");
    assert!(noted.contains(&"maxAttempts"), "{noted:?}");

    finds(
        &with("loadBalancingConfig: [ { pick_first: { shuffleAddressList: true } }, { xds: {} } ]"),
        &[
            "spec.config.loadBalancingConfig[0].pick_first: no way to pick an endpoint that is known here, but `pick_first`",
        ],
    );
}

#[test]
fn the_health_that_is_named_is_asked_for() {
    let design = design(&format!("{SERVICE}{WHOLE}"));
    let payment = design.services.iter().find(|service| &*service.name == "payment").unwrap();
    let check = payment.health_check.as_ref().unwrap();
    assert!(matches!(&check.value.by, CheckedBy::Grpc { service, .. } if service == "shop.v1.Payment"));
    let checked = SERVICE.replace("protocol: grpc\n", "protocol: grpc\n  healthCheck: { grpc: {} }\n");
    finds(
        &format!("{checked}{WHOLE}"),
        &[
            "spec.config.healthCheckConfig.serviceName: how its endpoints are asked whether they are well is said twice: here and in Service default/payment",
        ],
    );
}

#[test]
fn a_service_that_declares_nothing_is_taken_for_the_one_that_is_named() {
    let bare = "kind: Service\nmetadata: { name: payment }\nspec: { protocol: grpc, endpoints: [ { address: \"127.0.0.1:1\" } ] }\n---\n";
    let config = method(RETRY).replace(SERVICE, bare);
    let design = design(&config);
    assert_eq!(settings(&design, "/shop.v1.Payment/Anything").retry.tries.value, 3);
    let two = config
        .replace("[ { service: shop.v1.Payment } ]", "[ { service: shop.v1.Payment }, { service: b.B } ]");
    finds(
        &two,
        &[
            "spec.config.methodConfig[0].name[0]: no operation of payment is a method of `shop.v1.Payment`",
            "spec.config.methodConfig[0].name[1]: no operation of payment is a method of `b.B`",
        ],
    );
}

#[test]
fn every_value_is_explained_with_the_place_that_says_it() {
    let design = design(&format!("{SERVICE}{WHOLE}"));
    let reverse = told(&design, "/shop.v1.Payment/Reverse");
    for expected in [
        "1s   ",
        "tries       4",
        "100ms times 1.6 each, at most 1s, 20 % up or down",
        "RESOURCE_EXHAUSTED,UNAVAILABLE",
        "of 10 tokens a failure takes 1 and a success gives 0.057 back; no retry with 5 or less",
        "in turn",
        "gRPC's health protocol of shop.v1.Payment",
        "(design.yaml:20)",
    ] {
        assert!(reverse.contains(expected), "{expected}\n{reverse}");
    }
    let authorize = told(&design, "/shop.v1.Payment/Authorize");
    for expected in ["another try after 50ms, 5 tries, whether it may be repeated or not", "ABORTED"] {
        assert!(authorize.contains(expected), "{expected}\n{authorize}");
    }
}

// === two voices ===

#[test]
fn what_a_policy_says_as_well_is_a_mistake_that_names_both_and_deadlines_take_the_least() {
    let policy = |says: &str| {
        format!(
            "---\nkind: Policy\nmetadata: {{ name: q }}\nspec: {{ targets: [ {{ operation: payment.reverse }} ], {says} }}\n"
        )
    };
    let twice = method(RETRY) + &policy("retry: { tries: 2, backoff: { base: 1ms } }");
    let mistakes = bowline_design::resolve(&read(&twice)).unwrap_err();
    let found: Vec<_> = mistakes.iter().map(|mistake| (mistake.code, &*mistake.also[0].resource)).collect();
    let other = "GrpcServiceConfig default/p";
    assert_eq!(found, [("said-twice", other), ("said-twice", other)], "{}", said(&twice, &mistakes));

    let hedged = "hedgingPolicy: { maxAttempts: 2 }";
    finds(
        &(method(hedged) + &policy("hedge: {}")),
        &["spec.hedge: the hedge of one call is said twice: here and in GrpcServiceConfig default/p"],
    );

    let beside = method(&format!("timeout: 2s, {RETRY}")) + &policy("deadline: 1s, retry: { perTry: 300ms }");
    let settings = settings(&design(&beside), "/shop.v1.Payment/Reverse");
    assert_eq!(settings.deadline().map(|(_, span)| span.value), Some(Duration::from_secs(1)));
    assert_eq!(settings.retry.per_try.map(|span| span.value), Some(Duration::from_millis(300)));
    assert_eq!(settings.retry.tries.value, 3);
}

#[test]
fn an_istio_kind_and_a_service_config_do_not_both_say_how_often_a_call_is_tried() {
    let istio = "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: pay }\nspec:\n  hosts: [ payment ]\n  http: [ { route: [ { destination: { host: payment } } ], retries: { attempts: 1 } } ]\n";
    let mistakes = bowline_design::resolve(&read(&(method(RETRY) + istio))).unwrap_err();
    let found: Vec<_> =
        mistakes.iter().map(|mistake| (&*mistake.place.path, &*mistake.also[0].resource)).collect();
    let expected = ("spec.config.methodConfig[0].retryPolicy.maxAttempts", "VirtualService default/pay");
    assert_eq!(found, [expected]);
}

#[test]
fn a_service_has_one_service_config() {
    let second = "---\nkind: GrpcServiceConfig\nmetadata: { name: b }\nspec: { service: payment, config: { retryThrottling: { maxTokens: 9, tokenRatio: 1 } } }\n";
    finds(
        &(method(RETRY) + second),
        &[
            "spec.service: the service config of payment is said twice: here and in GrpcServiceConfig default/p",
        ],
    );
}

// === refusals ===

#[test]
fn what_grpc_refuses_is_refused() {
    let retry = |change: (&str, &str)| method(&RETRY.replace(change.0, change.1));
    let at = "spec.config.methodConfig[0].";
    for (content, expected) in [
        (retry(("maxAttempts: 3", "maxAttempts: 1")), "retryPolicy.maxAttempts: `maxAttempts` of 1"),
        (retry(("initialBackoff: 0.1s", "initialBackoff: 0s")), "retryPolicy.initialBackoff: no time at all"),
        (retry(("maxBackoff: 1s", "maxBackoff: 0.0s")), "retryPolicy.maxBackoff: no time at all"),
        (retry(("maxBackoff: 1s", "maxBackoff: 100ms")), "retryPolicy.maxBackoff: `100ms`"),
        (retry(("Multiplier: 2", "Multiplier: 0")), "retryPolicy.backoffMultiplier: a multiplier of 0"),
        (retry(("[ UNAVAILABLE ]", "[]")), "retryPolicy: a retry after nothing"),
        (retry(("UNAVAILABLE", "unavailable")), "retryPolicy.retryableStatusCodes[0]: `unavailable`"),
        (retry(("UNAVAILABLE", "17")), "retryPolicy.retryableStatusCodes[0]: the number 17"),
        (
            retry(("UNAVAILABLE", "OK")),
            "retryPolicy.retryableStatusCodes[0]: OK, after which nothing is to be done",
        ),
        (retry(("maxAttempts: 3, ", "")), "retryPolicy.maxAttempts: no `maxAttempts`"),
        (method("hedgingPolicy: { maxAttempts: 0 }"), "hedgingPolicy.maxAttempts: `maxAttempts` of 0"),
        (
            method(&format!("{RETRY}, hedgingPolicy: {{ maxAttempts: 2 }}")),
            "hedgingPolicy: `retryPolicy` and `hedgingPolicy` together",
        ),
        (method("timeout: 0s"), "timeout: no time at all"),
        (method("timeout: 1"), "timeout: the number 1"),
        (
            method("maxRequestMessageBytes: 1024"),
            "maxRequestMessageBytes: `maxRequestMessageBytes`, which nobody would keep: messages are not read here",
        ),
    ] {
        let reading = read(&content);
        let found: Vec<String> =
            reading.mistakes.iter().map(|m| format!("{}: {}", m.place.path, m.found)).collect();
        assert_eq!(found, [format!("{at}{expected}")], "{content}");
    }
    for (config, expected) in [
        (
            "retryThrottling: { maxTokens: 0, tokenRatio: 0.1 }",
            "spec.config.retryThrottling.maxTokens [bad-value] 0",
        ),
        (
            "retryThrottling: { maxTokens: 1001, tokenRatio: 0.1 }",
            "spec.config.retryThrottling.maxTokens [grpc-refuses] 1001 tokens",
        ),
        (
            "retryThrottling: { maxTokens: 10, tokenRatio: 0.0009 }",
            "spec.config.retryThrottling.tokenRatio [grpc-refuses] a ratio of 0.0009, of which three decimals count",
        ),
        (
            "methodConfig: [ { name: [ { method: A } ] } ]",
            "spec.config.methodConfig[0].name[0] [grpc-refuses] the method `A` of no service",
        ),
        (
            "methodConfig: [ { name: [ {}, {} ] } ]",
            "spec.config.methodConfig[0].name[1] [grpc-refuses] the entry for everything else a second time",
        ),
        ("", "spec.config [missing-field] a config that says nothing"),
    ] {
        let reading = read(&with(config));
        let found: Vec<String> =
            reading.mistakes.iter().map(|m| format!("{} [{}] {}", m.place.path, m.code, m.found)).collect();
        assert_eq!(found, [expected], "{config}");
    }
}

#[test]
fn a_method_that_nobody_declares_is_a_mistake_with_the_one_that_was_meant() {
    let content = with(&format!(
        "methodConfig: [ {{ name: [ {{ service: shop.v1.Payment, method: Authorise }} ], {RETRY} }} ]"
    ));
    let mistakes = bowline_design::resolve(&read(&content)).unwrap_err();
    assert_eq!(mistakes[0].found, "no operation of payment is `shop.v1.Payment/Authorise`");
    assert_eq!(mistakes[0].hint.as_deref(), Some("did you mean `shop.v1.Payment/Authorize`?"));
}

#[test]
fn a_service_that_speaks_http_has_no_service_config() {
    let http = "kind: Service\nmetadata: { name: payment }\nspec: { endpoints: [ { address: \"127.0.0.1:1\" } ] }\n---\n";
    finds(
        &method(RETRY).replace(SERVICE, http),
        &["spec.service: a gRPC service config of payment, which speaks http"],
    );
}

#[test]
fn what_means_nothing_at_a_proxy_is_noted() {
    let design = design(&method(&format!("waitForReady: true, {RETRY}")));
    assert!(design.notes.iter().any(|note| note.subject.starts_with("waitForReady")), "{:?}", design.notes);
    let unnamed = with("methodConfig: [ { timeout: 1s } ]");
    let design = self::design(&unnamed);
    assert!(design.notes.iter().any(|note| note.text.contains("names no method")), "{:?}", design.notes);
}

#[test]
fn an_unknown_service_is_a_mistake() {
    refused(
        "kind: GrpcServiceConfig\nmetadata: { name: p }\nspec: { config: { methodConfig: [ {} ] } }\n",
        &["3:7 spec.service [missing-field] no `service`"],
    );
    finds(
        &method(RETRY).replace("service: payment,", "service: paymnt,"),
        &["spec.service: no service is named `paymnt`"],
    );
}
