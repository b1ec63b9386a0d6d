//! Who may call what: what is taken, what is a mistake, and what `explain` and `test` say of it.

use crate::support::{refused, text};
use bowline_design::resolved::access::KeySource;
use bowline_design::{Design, Mistake, load, route_test};
use http::{HeaderMap, Method};
use std::time::Duration;

const SHOP: &str = r#"
kind: Service
metadata: { name: orders }
spec:
  identities: [ "spiffe://shop/orders" ]
  endpoints: [ { address: "127.0.0.1:7101" } ]
  operations: [ { name: place, http: { method: POST, path: /orders } } ]
---
kind: Service
metadata: { name: payment }
spec:
  endpoints: [ { address: "127.0.0.1:7102" } ]
  operations:
  - { name: authorize, http: { method: POST, path: /authorizations } }
  - { name: refund, http: { method: POST, path: /refunds } }
---
kind: Issuer
metadata: { name: accounts }
spec: { issuer: "https://accounts.shop.test", audiences: [ shop ], keys: { file: keys.json } }
---
"#;

fn access(name: &str, from: &str, may: &str) -> String {
    format!("kind: Access\nmetadata: {{ name: {name} }}\nspec: {{ from: [ {from} ], may: [ {may} ] }}\n---\n")
}

fn design(more: &str) -> Design {
    load(&[text("shop.yaml", &format!("{SHOP}{more}"))]).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// What is wrong with the shop and `more`: the code, what was found, and what is suggested.
fn mistakes(more: &str) -> Vec<(&'static str, String, Option<String>)> {
    let mistakes = load(&[text("shop.yaml", &format!("{SHOP}{more}"))]).expect_err("a mistake");
    mistakes.into_iter().map(|Mistake { code, found, hint, .. }| (code, found, hint)).collect()
}

#[track_caller]
fn mistaken(from: &str, may: &str, code: &str, found: &str, hint: Option<&str>) {
    let hint = hint.map(|near| format!("did you mean `{near}`?"));
    let all = mistakes(&access("a", from, may));
    assert_eq!(all.iter().map(|(code, ..)| *code).collect::<Vec<_>>(), [code], "{all:?}");
    assert_eq!((all[0].1.as_str(), &all[0].2), (found, &hint));
}

#[test]
fn a_name_that_leads_nowhere_is_a_mistake_with_the_one_that_was_meant() {
    let (orders, pay) = ("{ service: orders }", "{ call: payment.authorize }");
    mistaken("{ service: order }", pay, "unknown-service", "no service is named `order`", Some("orders"));
    mistaken(
        "{ jwt: { issuer: account } }",
        pay,
        "unknown-issuer",
        "no issuer is named `account`",
        Some("accounts"),
    );
    mistaken(
        orders,
        "{ call: payment.authorise }",
        "unknown-operation",
        "`payment` has no operation `authorise`",
        Some("authorize"),
    );
    mistaken(orders, "{ call: paymnt }", "unknown-service", "no service is named `paymnt`", Some("payment"));
    mistaken(
        orders,
        "{ call: paymnt.authorize }",
        "unknown-service",
        "no service is named `paymnt`",
        Some("payment"),
    );
}

#[test]
fn what_could_not_be_kept_is_refused_by_name() {
    let pay = "{ call: payment.authorize }";
    mistaken("{ anyone: {} }", "{ publish: order-events }", "not-served", "`publish: order-events`", None);
    mistaken("{ anyone: {} }", "{ start: order }", "not-served", "`start: order`", None);
    mistaken("{ service: payment }", pay, "unprovable", "nobody can prove to be `payment`", None);
    let twice = "kind: Issuer\nmetadata: { name: other }\nspec: { issuer: \"https://accounts.shop.test\", audiences: [ b ], keys: { file: k } }\n";
    assert_eq!(mistakes(twice)[0].0, "said-twice");
}

#[test]
fn a_token_of_a_process_tells_no_namesakes_apart() {
    let one = |namespace: &str| {
        format!(
            "kind: Service\nmetadata: {{ name: stock, namespace: {namespace} }}\nspec: {{ endpoints: [ {{ address: \"127.0.0.1:1\" }} ], run: {{ command: [ a ] }} }}\n---\n"
        )
    };
    let may = access("a", "{ service: stock.here }", "{ call: payment }");
    let alone = design(&(one("here") + &may));
    assert!(alone.service_of_process("stock").is_some() && alone.service_of_process("orders").is_none());
    let both = one("here") + &one("there") + &may;
    assert_eq!(mistakes(&both), [("unprovable", "nobody can prove to be `stock.here`".to_owned(), None)]);
}

/// A rule for `/orders/{id}` must not let anybody through to what a server finds behind `/orders/..`.
#[test]
fn a_parameter_stands_for_nothing_that_leads_elsewhere() {
    let pattern = bowline_design::resolved::PathPattern::parse("/orders/{id}").unwrap();
    for good in ["/orders/7", "/orders/a.b", "/orders/...", "/orders/%41", "/orders/v1.%32"] {
        assert!(pattern.matches(good), "{good}");
    }
    for bad in ["..", ".", "%2e%2E", ".%2e", "..;a=1", "a%2fb", "..%2F..", "a%5Cb", "a%00"] {
        assert!(!pattern.matches(&format!("/orders/{bad}")), "{bad}");
    }
}

#[test]
fn an_issuer_says_whose_tokens_for_whom_and_where_its_keys_are() {
    let issuer =
        |spec: &str| format!("kind: Issuer\nmetadata: {{ name: i }}\nspec: {{ issuer: i, {spec} }}\n");
    refused(&issuer("keys: { file: k }"), &["3:7 spec [missing-field] no `audiences`"]);
    for (keys, mistake) in [
        ("{}", "[missing-field] keys without a place"),
        ("{ file: k, url: \"https://i/k\" }", "[conflict] a `url` beside a `file`"),
        ("{ url: \"ftp://i/k\" }", "[bad-value] `ftp://i/k`"),
        ("{ url: \"https://a:b@i/k\" }", "[bad-value] `https://a:b@i/k`"),
        ("{ url: /k }", "[bad-value] `/k`"),
        ("{ url: \"http://i/k\", ca: c }", "[conflict] `ca` where no TLS is spoken"),
    ] {
        let reading = crate::support::read(&issuer(&format!("audiences: [ a ], keys: {keys}")));
        let found: Vec<String> =
            reading.mistakes.iter().map(|mistake| format!("[{}] {}", mistake.code, mistake.found)).collect();
        assert_eq!(found, [mistake], "{keys}");
    }
    let far =
        design(&issuer("audiences: [ a, b ], leeway: 5s, keys: { url: \"http://keys.test:81/k?v=1\" }"));
    let own = &far.issuers[1];
    assert_eq!((own.audiences.len(), own.leeway), (2, Duration::from_secs(5)));
    assert!(matches!(&own.keys, KeySource::Url { secure: false, port: 81, path, .. } if **path == *"/k?v=1"));
    assert_eq!(far.issuers[0].leeway, Duration::from_secs(30));
    assert!(far.notes.iter().any(|note| note.text.contains("plain HTTP")), "{:?}", far.notes);
    let near = design(&issuer("audiences: [ a ], keys: { url: \"http://127.0.0.1:81/k\" }"));
    assert!(near.notes.iter().all(|note| !note.text.contains("plain HTTP")), "{:?}", near.notes);
}

#[test]
fn a_certificate_that_nobody_is_asked_for_is_noted() {
    let design = design(&access("a", "{ identity: \"spiffe://shop/ops\" }", "{ call: payment }"));
    let note = design.notes.iter().find(|note| note.subject == "Access identity spiffe://shop/ops");
    assert!(note.is_some_and(|note| note.text.contains("nobody can prove it")), "{:?}", design.notes);
}

#[test]
fn without_an_access_nobody_is_asked_and_with_one_explain_names_who_is_let_through() {
    let explain = |more: &str, path: &str| {
        let url = format!("http://payment{path}").parse().unwrap();
        bowline_design::explain::explain(&design(more), &Method::POST, &url, &HeaderMap::new()).to_string()
    };
    assert!(!explain("", "/refunds").contains("access"));
    let pay = access(
        "pay",
        "{ service: orders }, { jwt: { issuer: accounts, claims: { role: clerk } } }",
        "{ call: payment.authorize }",
    );
    let told = explain(&pay, "/authorizations");
    assert!(told.contains("service orders; a token of accounts, role clerk"), "{told}");
    assert!(told.contains("Access default/pay"), "{told}");
    let told = explain(&pay, "/refunds");
    assert!(told.contains("nobody: 403") && told.contains("no Access names this call"), "{told}");
}

const TESTS: &str = r#"
testCases:
- request: { authority: [ payment ], method: [ POST ], uri: [ /authorizations ], from: { FROM } }
  access: ACCESS
"#;

#[test]
fn a_route_test_says_who_asks_and_what_has_to_become_of_it() {
    let rules = access(
        "pay",
        "{ service: orders }, { identity: \"ops.shop.test\" }, { jwt: { issuer: accounts, subject: ada, claims: { /realm/roles: payer } } }",
        "{ call: payment.authorize }",
    );
    let differs = |rules: &str, from: &str, wanted: &str| {
        let tests = TESTS.replace("FROM", from).replace("ACCESS", wanted);
        let ran = route_test::run(&design(&format!("{rules}{tests}")));
        assert_eq!(ran.len(), 1);
        ran.into_iter().next().unwrap().differs
    };
    for allowed in [
        "service: orders",
        "identity: \"spiffe://shop/orders\"",
        "identity: OPS.shop.test",
        "jwt: { issuer: accounts, subject: ada, claims: { /realm/roles: payer, more: x } }",
    ] {
        assert_eq!(differs(&rules, allowed, "allowed"), [""; 0], "{allowed}");
        let denied = differs(&rules, allowed, "denied");
        assert!(denied[0].contains("Access default/pay lets it through to payment.authorize"), "{denied:?}");
    }
    for (denied, why) in [
        ("anyone: {}", "anonymous"),
        ("identity: \"spiffe://shop/payment\"", "not granted"),
        ("service: payment", "not granted"),
        ("jwt: { issuer: accounts, subject: bob, claims: { /realm/roles: payer } }", "not granted"),
        ("jwt: { issuer: accounts, subject: ada }", "not granted"),
    ] {
        assert_eq!(differs(&rules, denied, "denied"), [""; 0], "{denied}");
        let allowed = differs(&rules, denied, "allowed");
        assert_eq!(allowed, [format!("let through expected, denied to payment.authorize: {why}")]);
    }
    assert_eq!(differs(&rules, "service: nobody", "denied"), ["`from`: no service is named `nobody`"]);
    assert_eq!(differs("", "anyone: {}", "allowed"), [""; 0]);
    assert!(differs("", "anyone: {}", "denied")[0].contains("no Access"));
}
