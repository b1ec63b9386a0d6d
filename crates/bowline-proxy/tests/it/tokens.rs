//! Tokens at a real gateway: which are believed, what the others are answered with, and how keys come and go.

use crate::certificates::{Authority, Folder};
use crate::signing::{Signer, encode, key_set};
use crate::support::{Callee, Caller, Do, Hit, Message, World, eventually, nobody, route};
use crate::tls::answering_under_tls;
use bowline_proxy::Config;
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;

/// An Issuer `accounts` whose keys are there.
pub(crate) fn issuer(keys: &str) -> String {
    format!(
        "---\nkind: Issuer\nmetadata: {{ name: accounts }}\nspec: {{ issuer: \"https://accounts.test\", audiences: [ shop ], keys: {{ {keys} }} }}\n"
    )
}

/// What a good token of that issuer claims now.
pub(crate) fn claims(world: &World) -> Value {
    let now = world.proxy.clock().wall().as_unix_nanos() / 1_000_000_000;
    json!({ "iss": "https://accounts.test", "aud": "shop", "sub": "ada", "exp": now + 600, "role": "clerk" })
}

/// A world whose issuer has these keys in a file.
pub(crate) async fn with_file<'s>(
    keys: impl IntoIterator<Item = &'s Signer>,
    more: &str,
) -> (World, Callee, Folder) {
    let (callee, folder) = (Callee::friendly().await, Folder::default());
    folder.write("keys.json", key_set(keys));
    let yaml = route(&[callee.address], "") + &issuer("file: keys.json") + more;
    let files = Arc::new(folder.clone());
    let world = World::start_with(&yaml, 1, |config: &mut Config| config.files = files);
    (world, callee, folder)
}

/// One GET with this in `Authorization`.
pub(crate) async fn ask(world: &World, authorization: &str) -> Message {
    world.caller().await.ask("GET", "/stock", &format!("authorization: {authorization}\r\n"), "").await
}

/// What a gRPC caller is told: the HTTP status, and the fields of an answer that is one head.
pub(crate) async fn ask_grpc(gateway: SocketAddr, path: &str, fields: &[(&str, &str)]) -> (u16, HeaderMap) {
    let (http, connection) = h2::client::handshake(TcpStream::connect(gateway).await.unwrap()).await.unwrap();
    let driving = tokio::spawn(connection);
    let mut request =
        Request::post(format!("http://shop.test{path}")).header("content-type", "application/grpc");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (answer, _) = http.ready().await.unwrap().send_request(request.body(()).unwrap(), true).unwrap();
    let answer = answer.await.unwrap();
    assert!(answer.body().is_end_stream(), "the head is all of it");
    driving.abort();
    (answer.status().as_u16(), answer.headers().clone())
}

#[tokio::test]
async fn a_good_token_goes_through_and_its_callee_gets_it_too() {
    let signers = Signer::each();
    let (world, callee, _) = with_file(&signers, "").await;
    for signer in &signers {
        let token = signer.token(&claims(&world));
        for _ in 0..2 {
            assert_eq!(ask(&world, &format!("Bearer {token}")).await.status(), 200, "{}", signer.name);
        }
        let seen = callee.hits().last().unwrap().message.clone();
        assert_eq!(seen.header("authorization"), Some(&*format!("Bearer {token}")));
    }
    assert_eq!(world.metric("bowline_tokens_total", &["result=\"verified\""]), 3.0);
    assert_eq!(world.metric("bowline_tokens_total", &["result=\"known\""]), 3.0);
    // Nobody in particular, and who proves itself to the callee alone.
    assert_eq!(world.get("/stock").await.status(), 200);
    assert_eq!(ask(&world, "Basic YTpi").await.status(), 200);
    let kept =
        ask(&world, &format!("Bearer {}\r\nx-bowline-explain: 1", signers[0].token(&claims(&world)))).await;
    assert!(kept.header("x-bowline-explain-id").is_some());
    let record = world.proxy.trails().last(&bowline_proxy::Filter::default()).unwrap();
    assert_eq!(record.caller.as_deref(), Some("ada"));
}

/// Tokens that must not get anybody anywhere, each with the word for what is wrong with it.
fn hostile(world: &World, signer: &Signer) -> Vec<(String, &'static str)> {
    let good = claims(world);
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        signer.token(&claims)
    };
    let unsigned = |alg: &str| {
        let head = encode(json!({ "alg": alg, "kid": signer.name }).to_string());
        format!("{head}.{}.", encode(good.to_string()))
    };
    vec![
        (unsigned("none"), "token algorithm"),
        (unsigned("HS256"), "token algorithm"),
        (with("exp", json!(1_000)), "token expired"),
        (with("nbf", json!(4_000_000_000_u64)), "token not yet valid"),
        (with("aud", json!("somebody-else")), "token for another audience"),
        (with("iss", json!("https://evil.test")), "token of unknown issuer"),
        (Signer::p256("unheard-of").token(&good), "token of unknown key"),
        (Signer::ed25519(signer.name).token(&good), "token signature"),
        (with("padding", json!("x".repeat(8 * 1024))), "token too large"),
        ("!!!.???.###".to_owned(), "token malformed"),
        (signer.token(&good) + "A", "token signature"),
        (String::new(), "token malformed"),
    ]
}

#[tokio::test]
async fn a_token_that_does_not_hold_is_answered_with_401_and_why_in_each_protocol() {
    let signer = Signer::ed25519("a");
    let (world, callee, _) = with_file([&signer], "").await;
    for (token, reason) in hostile(&world, &signer) {
        let authorization = format!("Bearer {token}");
        let answer = ask(&world, &authorization).await;
        assert_eq!((answer.status(), answer.header("x-bowline-reason")), (401, Some(reason)));
        let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{reason}\"");
        assert_eq!(answer.header("www-authenticate"), Some(&*challenge));
        assert_eq!(answer.header("x-bowline-outcome"), Some("failed"));
        let (status, fields) =
            ask_grpc(world.gateway, "/shop.Stock/Read", &[("authorization", authorization.trim_end())]).await;
        assert_eq!(
            (status, &fields["grpc-status"], &fields["grpc-message"]),
            (200, &"16".parse().unwrap(), &reason.parse().unwrap())
        );
        assert!(world.metric("bowline_tokens_total", &[&format!("result=\"{reason}\"")]) >= 2.0, "{reason}");
    }
    let twice = format!("Bearer {0}\r\nauthorization: Bearer {0}", signer.token(&claims(&world)));
    let answer = ask(&world, &twice).await;
    assert_eq!((answer.status(), answer.header("x-bowline-reason")), (401, Some("several tokens")));
    assert!(answer.header("www-authenticate").unwrap().contains("invalid_request"));
    assert_eq!(callee.count(), 0, "none of them got anywhere");
    assert_eq!(world.last_words(), ["token-refused"]);
    assert!(world.metric("bowline_requests_total", &["flag=\"UAEX\"", "class=\"4xx\""]) > 0.0);
}

#[tokio::test]
async fn a_file_of_keys_is_read_again_when_it_changes() {
    let (before, after) = (Signer::ed25519("before"), Signer::ed25519("after"));
    let (world, _callee, folder) = with_file([&before], "").await;
    let bearer = |signer: &Signer| format!("Bearer {}", signer.token(&claims(&world)));
    assert_eq!(ask(&world, &bearer(&before)).await.status(), 200);
    folder.write("keys.json", "{ half of");
    assert!(world.proxy.renew_certificates());
    assert_eq!(ask(&world, &bearer(&before)).await.status(), 200);
    assert!(world.proxy.troubles()[0].kept);
    folder.write("keys.json", key_set([&after]));
    assert!(world.proxy.renew_certificates());
    assert_eq!(ask(&world, &bearer(&after)).await.status(), 200);
    assert_eq!(ask(&world, &bearer(&before)).await.status(), 401);
    assert_eq!(world.proxy.troubles(), []);
}

/// An issuer's web server: it answers with whatever it is told to.
struct Publisher {
    callee: Callee,
    publishes: Arc<Mutex<Do>>,
}

impl Publisher {
    async fn start(publishes: Do) -> Self {
        let publishes = Arc::new(Mutex::new(publishes));
        let told = Arc::clone(&publishes);
        let callee = Callee::start(move |_: &Hit| told.lock().unwrap().clone()).await;
        Self { callee, publishes }
    }

    fn publish(&self, what: Do) {
        *self.publishes.lock().unwrap() = what;
    }

    fn keys(&self) -> String {
        issuer(&format!("url: \"http://{}/keys?v=1\"", self.callee.address))
    }

    /// Waits until the issuer was asked so often, and the answer is known.
    async fn asked(&self, world: &World, often: usize) {
        let looks = || world.metric("bowline_discovery_looks_total", &["from=\"keys\""]);
        eventually("asked", || self.callee.count() == often && looks() == often as f64).await;
    }
}

fn set(signer: &Signer) -> Do {
    Do::AnswerWith(200, "cache-control: max-age=3600\r\n".to_owned(), key_set([signer]))
}

#[tokio::test]
async fn keys_that_an_issuer_has_changed_are_asked_for_by_the_first_token_that_names_one() {
    let (before, after) = (Signer::ed25519("before"), Signer::p256("after"));
    let (issuer, callee) = (Publisher::start(set(&before)).await, Callee::friendly().await);
    // The issuer answers, however busy the machine.
    let change = |config: &mut Config| config.limits.keys_wait = Duration::from_secs(30);
    let world = World::start_with(&(route(&[callee.address], "") + &issuer.keys()), 1, change);
    issuer.asked(&world, 1).await;
    let head = issuer.callee.hits()[0].message.clone();
    assert_eq!((head.path(), head.header("host")), ("/keys?v=1", Some(&*issuer.callee.address.to_string())));
    let bearer = |signer: &Signer| format!("Bearer {}", signer.token(&claims(&world)));
    assert_eq!(ask(&world, &bearer(&before)).await.status(), 200);
    issuer.publish(set(&after));
    // It waits for the answer, and is let through.
    assert_eq!(ask(&world, &bearer(&after)).await.status(), 200);
    issuer.asked(&world, 2).await;
    // The old key has been taken back, and no made-up one has the issuer asked again.
    assert_eq!(ask(&world, &bearer(&before)).await.status(), 401);
    for _ in 0..5 {
        assert_eq!(ask(&world, &bearer(&Signer::ed25519("made-up"))).await.status(), 401);
    }
    assert_eq!(issuer.callee.count(), 2);
}

#[tokio::test]
async fn what_is_known_of_keys_holds_while_their_issuer_does_not_answer() {
    let signer = Signer::ed25519("a");
    let (issuer, callee) = (Publisher::start(set(&signer)).await, Callee::friendly().await);
    let change = |config: &mut Config| {
        // Asked again at once, whatever it says.
        let keys = &mut config.limits.keys;
        (keys.least, keys.most) = (Duration::from_millis(10), Duration::from_millis(10));
        (keys.failed, keys.failed_most) = (Duration::from_millis(10), Duration::from_millis(10));
    };
    let world = World::start_with(&(route(&[callee.address], "") + &issuer.keys()), 1, change);
    let failing = || world.metric("bowline_discovery_failing", &["from=\"keys\""]);
    let known = || world.metric("bowline_discovery_endpoints", &["from=\"keys\""]);
    let bearer = format!("Bearer {}", signer.token(&claims(&world)));
    eventually("known", || known() == 1.0).await;
    for trouble in [
        Do::Answer(500, "down".to_owned()),
        Do::Answer(200, "<html>down</html>".to_owned()),
        Do::Answer(200, " ".repeat(256 * 1024 + 1)),
        Do::AnswerWith(302, "location: http://evil.test/keys\r\n".to_owned(), String::new()),
        Do::Close,
    ] {
        issuer.publish(trouble.clone());
        eventually("failing", || failing() == 1.0).await;
        assert_eq!((ask(&world, &bearer).await.status(), known()), (200, 1.0), "{trouble:?}");
        issuer.publish(set(&signer));
        eventually("well again", || failing() == 0.0).await;
    }
}

#[tokio::test]
async fn where_no_key_was_ever_known_a_token_may_be_good_and_its_caller_is_asked_to_come_again() {
    let callee = Callee::friendly().await;
    let keys = issuer(&format!("url: \"http://{}/keys\"", nobody()));
    let change = |config: &mut Config| config.limits.keys_wait = Duration::from_millis(50);
    let world = World::start_with(&(route(&[callee.address], "") + &keys), 1, change);
    let token = Signer::ed25519("a").token(&claims(&world));
    let answer = ask(&world, &format!("Bearer {token}")).await;
    assert_eq!((answer.status(), answer.header("x-bowline-reason")), (503, Some("keys not known yet")));
    assert_eq!((answer.header("retry-after"), answer.header("www-authenticate")), (Some("1"), None));
    assert_eq!(world.get("/stock").await.status(), 200, "nobody in particular is served");
    assert_eq!(callee.count(), 1);
}

#[tokio::test]
async fn keys_come_over_tls_from_whom_the_named_authority_vouches_for_alone() {
    let (folder, authority) = (Folder::default(), Authority::new());
    folder.write("ca", authority.pem());
    folder.write("other", Authority::new().pem());
    let signer = Signer::ed25519("a");
    let set = key_set([&signer]);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{set}", set.len());
    let address = answering_under_tls(&authority.issue(&["localhost"]), false, None, answer).await;
    let callee = Callee::friendly().await;
    for (ca, known) in [("ca", 1.0), ("other", 0.0)] {
        let keys = issuer(&format!("url: \"https://localhost:{}/keys\", ca: {ca}", address.port()));
        let files = Arc::new(folder.clone());
        let change = |config: &mut Config| config.files = files;
        let world = World::start_with(&(route(&[callee.address], "") + &keys), 1, change);
        let looks = || world.metric("bowline_discovery_looks_total", &["from=\"keys\""]);
        eventually("a look", || looks() >= 1.0).await;
        assert_eq!(world.metric("bowline_discovery_endpoints", &["from=\"keys\""]), known, "{ca}");
        assert_eq!(world.metric("bowline_discovery_failing", &["from=\"keys\""]), 1.0 - known, "{ca}");
    }
}

#[tokio::test]
async fn at_the_mesh_what_is_said_to_a_callee_is_the_callees_to_judge() {
    let signer = Signer::ed25519("a");
    let (world, callee, _) = with_file([&signer], "").await;
    let mut caller = Caller::connect(world.mesh).await;
    caller.send("GET /stock HTTP/1.1\r\nhost: stock\r\nauthorization: Bearer opaque\r\n\r\n").await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 200);
    assert_eq!(callee.hits()[0].message.header("authorization"), Some("Bearer opaque"));
}
