//! Who is let through, at a real gateway and at the mesh port: by a certificate, by a token, by a process' own token.

use crate::certificates::{Authority, Folder};
use crate::signing::{Signer, key_set};
use crate::support::{Callee, Caller, Message, World, route};
use crate::tls::{Client, Secure, mutual, secure};
use crate::tokens::{ask, ask_grpc, claims, issuer, with_file};
use crate::upgrade::head;
use bowline_proxy::Filter;
use serde_json::json;
use std::sync::Arc;

/// An Access `name`.
fn access(name: &str, from: &str, may: &str) -> String {
    format!("---\nkind: Access\nmetadata: {{ name: {name} }}\nspec: {{ from: [ {from} ], may: [ {may} ] }}\n")
}

/// A service that proves who it is by the token that its process was given.
const ORDERS: &str = "---\nkind: Service\nmetadata: { name: orders }\nspec: { endpoints: [ { address: \"127.0.0.1:1\" } ], run: { command: [ \"true\" ] } }\n";

const CLERKS: &str = "{ jwt: { issuer: accounts, claims: { role: clerk } } }";

fn why(world: &World) -> Option<String> {
    let record = world.proxy.trails().last(&Filter::default())?;
    let (_, decision) = record.trail.decisions().last()?;
    Some(bowline_model::describe::describe(decision).to_string())
}

#[tokio::test]
async fn with_the_first_access_whatever_none_lets_through_is_denied() {
    let signer = Signer::p256("a");
    let rules = access("clerks-read", CLERKS, "{ call: stock.read }");
    let (world, callee, _) = with_file([&signer], &rules).await;
    let denied = |answer: &Message| {
        assert_eq!((answer.status(), answer.header("x-bowline-reason")), (403, Some("access denied")));
        assert!(answer.text().starts_with("stock") && answer.text().ends_with(": access denied\n"));
        assert_eq!(answer.header("x-bowline-outcome"), Some("failed"));
    };
    denied(&world.get("/stock").await);
    assert_eq!(why(&world).as_deref(), Some("not let through: anonymous"));
    let clerk = format!("Bearer {}", signer.token(&claims(&world)));
    assert_eq!(ask(&world, &clerk).await.status(), 200);
    let mut claims = claims(&world);
    claims["role"] = json!("guest");
    denied(&ask(&world, &format!("Bearer {}", signer.token(&claims))).await);
    assert_eq!(why(&world).as_deref(), Some("not let through: not granted"));
    // Another operation, and what is no declared one.
    let fields = format!("authorization: {clerk}\r\n");
    for (method, path) in [("POST", "/charges"), ("GET", "/elsewhere"), ("DELETE", "/stock")] {
        denied(&world.caller().await.ask(method, path, &fields, "").await);
        assert_eq!(why(&world).as_deref(), Some("not let through: nobody may"), "{method} {path}");
    }
    assert_eq!(callee.count(), 1);
    let read = |result: &str| {
        let result = format!("result=\"{result}\"");
        world.metric("bowline_access_total", &["operation=\"read\"", &result])
    };
    assert_eq!((read("allowed"), read("anonymous"), read("not granted")), (1.0, 1.0, 1.0));
    assert_eq!(world.metric("bowline_access_total", &["operation=\"charge\"", "result=\"nobody may\""]), 1.0);
    assert_eq!(world.metric("bowline_requests_total", &["flag=\"UAEX\"", "service=\"stock\""]), 5.0);
}

#[tokio::test]
async fn the_record_of_a_request_says_which_rule_let_it_through() {
    let signer = Signer::rsa("a");
    let rules = access("nobody", "{ identity: \"spiffe://x\" }", "{ call: stock }")
        + &access("clerks", CLERKS, "{ call: stock }");
    let (world, _callee, _) = with_file([&signer], &rules).await;
    let bearer = format!("Bearer {}\r\nx-bowline-explain: 1", signer.token(&claims(&world)));
    assert_eq!(ask(&world, &bearer).await.status(), 200);
    let record = world.proxy.trails().last(&Filter::default()).unwrap();
    assert_eq!(record.access.as_ref().map(|rule| &*rule.name), Some("Access default/clerks"));
    assert_eq!(record.caller.as_deref(), Some("ada"));
    assert_eq!(world.last_words()[0], "access-granted");
}

#[tokio::test]
async fn grpc_callers_are_told_in_a_status_of_theirs() {
    let signer = Signer::ed25519("a");
    let (world, _callee, _) = with_file([&signer], &access("clerks", CLERKS, "{ call: stock.read }")).await;
    let (status, fields) = ask_grpc(world.gateway, "/shop.Stock/Read", &[]).await;
    assert_eq!((status, &fields["grpc-status"]), (200, &"7".parse().unwrap()));
    assert_eq!(fields["grpc-message"], "stock: access denied");
    let (_, fields) = ask_grpc(world.gateway, "/shop.Stock/Read", &[("authorization", "Bearer x")]).await;
    assert_eq!(fields["grpc-status"], "16");
}

#[tokio::test]
async fn anyone_is_let_through_where_the_design_says_so() {
    let (callee, rules) =
        (Callee::friendly().await, access("open", "{ anyone: {} }", "{ call: stock.read }"));
    let world = World::start(&(route(&[callee.address], "") + &rules));
    assert_eq!(world.get("/stock").await.status(), 200);
    assert_eq!(world.caller().await.ask("POST", "/charges", "", "").await.status(), 403);
}

#[tokio::test]
async fn who_is_denied_costs_the_callee_nothing_and_what_goes_to_nobody_is_no_call() {
    let callee = Callee::friendly().await;
    let rule = "    mirrors: [ { destination: { host: stock } } ]\n    fault: { abort: { percentage: { value: 100 }, httpStatus: 418 } }\n  - name: hello\n    match: [ { uri: { exact: /hello } } ]\n    directResponse: { status: 200, body: { string: hi } }";
    let yaml = route(&[callee.address], rule).replacen(
        "  - name: all",
        "  - name: all\n    match: [ { uri: { prefix: /stock } } ]",
        1,
    );
    let world = World::start(&(yaml + &access("nobody", "{ identity: \"spiffe://x\" }", "{ call: stock }")));
    assert_eq!(world.get("/stock").await.status(), 403);
    assert_eq!(world.get("/hello").await.status(), 200);
    assert_eq!(callee.count(), 0);
}

#[tokio::test]
async fn a_certificate_proves_a_name_and_a_service_by_the_names_that_are_its_own() {
    let (callee, folder, authority) = (Callee::friendly().await, Folder::default(), Authority::new());
    folder.write("ca", authority.pem());
    folder.keep("shop", &authority.issue(&["shop.test"]));
    let own = "---\nkind: Service\nmetadata: { name: orders }\nspec: { identities: [ \"spiffe://shop/orders\" ], endpoints: [ { address: \"127.0.0.1:1\" } ] }\n";
    let rules = access("a", "{ service: orders }, { identity: \"spiffe://shop/ops\" }", "{ call: stock }");
    let yaml = secure(&[("shop.test", &mutual("OPTIONAL_MUTUAL", ""))], "", &[callee.address]) + own + &rules;
    let secure = Secure::over(&yaml, folder, authority, |_| ());
    for (uri, status) in
        [("spiffe://shop/orders", 200), ("spiffe://shop/ops", 200), ("spiffe://shop/other", 403)]
    {
        let identity = secure.authority.issue_uri(uri);
        let client = Client { own: Some(&identity), ..Client::PLAIN };
        assert_eq!(secure.ask("shop.test", client).await, Ok(status), "{uri}");
    }
    assert_eq!(secure.ask("shop.test", Client::PLAIN).await, Ok(403));
    // What a header claims is no proof, at a plain door or in a trusted mesh.
    let claim = "x-forwarded-client-cert: Hash=00;URI=spiffe://shop/ops\r\n";
    assert_eq!(secure.world.caller().await.ask("GET", "/stock", claim, "").await.status(), 403);
    let mut mesh = Caller::connect(secure.world.mesh).await;
    mesh.send(&format!("GET /stock HTTP/1.1\r\nhost: stock\r\n{claim}\r\n")).await;
    assert_eq!(mesh.receive("GET").await.unwrap().status(), 403);
}

/// Asks at the mesh port, with this in `Proxy-Authorization`.
async fn ask_mesh(world: &World, proof: &str) -> u16 {
    let mut caller = Caller::connect(world.mesh).await;
    caller.send(&format!("GET /stock HTTP/1.1\r\nhost: stock\r\n{proof}\r\n")).await;
    caller.receive("GET").await.unwrap().status()
}

#[tokio::test]
async fn at_the_mesh_a_process_proves_which_service_it_is_by_the_token_that_it_was_given() {
    let (callee, rules) =
        (Callee::friendly().await, access("a", "{ service: orders }", "{ call: stock.read }"));
    let world = World::start(&(route(&[callee.address], "") + ORDERS + &rules));
    world.proxy.know_processes([("s3cret", "orders"), ("other", "stock")]);
    // base64 of `s3cret:`, `orders:s3cret` and `orders:other`
    for (proof, status) in [
        ("proxy-authorization: Bearer s3cret\r\n", 200),
        ("proxy-authorization: bearer  s3cret \r\n", 200),
        ("proxy-authorization: Basic czNjcmV0Og==\r\n", 200),
        ("proxy-authorization: Basic b3JkZXJzOnMzY3JldA==\r\n", 200),
        ("", 403),
        ("authorization: Bearer s3cret\r\n", 403),
        ("proxy-authorization: Bearer other\r\n", 403),
        ("proxy-authorization: Bearer s3cre\r\n", 403),
        ("proxy-authorization: Bearer\r\n", 403),
        ("proxy-authorization: Basic b3JkZXJzOm90aGVy\r\n", 403),
        ("proxy-authorization: Basic ????\r\n", 403),
        ("proxy-authorization: Digest s3cret\r\n", 403),
    ] {
        assert_eq!(ask_mesh(&world, proof).await, status, "{proof}");
    }
    let told = |hit: &crate::support::Hit| hit.message.header("proxy-authorization").is_some();
    assert!(!callee.hits().iter().any(told), "the token goes no further");
    // At a gateway the same is nothing.
    let proof = "proxy-authorization: Bearer s3cret\r\n";
    assert_eq!(world.caller().await.ask("GET", "/stock", proof, "").await.status(), 403);
    world.proxy.know_processes([]);
    assert_eq!(ask_mesh(&world, proof).await, 403, "a process that is gone proves nothing");
}

#[tokio::test]
async fn what_a_caller_proves_when_it_takes_the_mesh_for_its_proxy_holds_in_the_tunnel() {
    let (callee, rules) =
        (Callee::friendly().await, access("a", "{ service: orders }", "{ call: stock.read }"));
    let world = World::start(&(route(&[callee.address], "") + ORDERS + &rules));
    world.proxy.know_processes([("s3cret", "orders")]);
    for (proof, status) in [("proxy-authorization: Basic czNjcmV0Og==\r\n", 200), ("", 403)] {
        let mut caller = Caller::connect(world.mesh).await;
        caller.send(&format!("CONNECT stock:80 HTTP/1.1\r\nhost: stock:80\r\n{proof}\r\n")).await;
        assert_eq!(head(&mut caller).await, 200);
        for _ in 0..2 {
            caller.send("GET /stock HTTP/1.1\r\nhost: stock\r\n\r\n").await;
            assert_eq!(caller.receive("GET").await.unwrap().status(), status);
        }
    }
}

#[tokio::test]
async fn a_reload_brings_other_rules_and_takes_them_away() {
    let signer = Signer::ed25519("a");
    let (callee, folder) = (Callee::friendly().await, Folder::default());
    folder.write("keys.json", key_set([&signer]));
    let plain = route(&[callee.address], "") + &issuer("file: keys.json");
    let files = Arc::new(folder);
    let world = World::start_with(&plain, 1, |config| config.files = files);
    assert_eq!(world.get("/stock").await.status(), 200);
    world.proxy.reload(crate::support::design(&(plain.clone() + &access("a", CLERKS, "{ call: stock }"))));
    assert_eq!(world.get("/stock").await.status(), 403);
    let bearer = format!("Bearer {}", signer.token(&claims(&world)));
    assert_eq!(ask(&world, &bearer).await.status(), 200);
    world.proxy.reload(crate::support::design(&plain));
    assert_eq!(world.get("/stock").await.status(), 200);
}
