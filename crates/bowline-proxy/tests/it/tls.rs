//! TLS from callers and towards callees: who is served by whom, who is refused and told so, and what changes while
//! connections go on.

use crate::certificates::{Authority, Folder, Identity};
use crate::support::{Callee, Caller, Do, Message, PATIENCE, World, eventually, route};
use bowline_proxy::{Config, Door, Sockets};
use http::Request;
use rustls::pki_types::ServerName;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, NamedGroup, RootCertStore, SupportedProtocolVersion};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Where the tests' gateway for HTTPS is bound, as its design says.
const BIND: &str = "127.0.0.1:18443";

/// A design whose gateway `secure` has these servers, and whose rules send everything to `callee`.
pub(crate) fn secure(servers: &[(&str, &str)], annotations: &str, callee: &[SocketAddr]) -> String {
    let server = |(number, (hosts, tls)): (usize, &(&str, &str))| {
        format!(
            "  - port: {{ number: 18443, name: s{number}, protocol: HTTPS }}\n    bind: 127.0.0.1\n    hosts: [ {hosts} ]\n    tls: {{ {tls} }}\n"
        )
    };
    let servers: String = servers.iter().enumerate().map(server).collect();
    let rules = route(callee, "").replace("gateways: [ gate ]", "gateways: [ gate, secure ]");
    format!(
        "\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{ name: secure, annotations: {{ {annotations} }} }}\nspec:\n  servers:\n{servers}---{rules}"
    )
}

/// A server's `tls` with the files `NAME.crt` and `NAME.key`.
fn simple(name: &str) -> String {
    format!("mode: SIMPLE, serverCertificate: {name}.crt, privateKey: {name}.key")
}

/// The same, for callers who prove who they are to `ca`.
pub(crate) fn mutual(mode: &str, more: &str) -> String {
    format!("mode: {mode}, serverCertificate: shop.crt, privateKey: shop.key, caCertificates: ca, {more}")
}

/// A world behind a gateway for HTTPS.
pub(crate) struct Secure {
    pub(crate) world: World,
    address: SocketAddr,
    pub(crate) folder: Folder,
    pub(crate) authority: Authority,
}

impl Secure {
    /// With servers by their hosts and `tls`; `ca` and `shop` are among its files.
    async fn start(servers: &[(&str, &str)]) -> (Self, Callee) {
        Self::start_with(servers, "", |_| ()).await
    }

    async fn start_with(
        servers: &[(&str, &str)],
        annotations: &str,
        change: impl FnOnce(&mut Config),
    ) -> (Self, Callee) {
        let callee = Callee::friendly().await;
        let (folder, authority) = (Folder::default(), Authority::new());
        folder.write("ca", authority.pem());
        folder.keep("shop", &authority.issue(&["shop.test"]));
        let secure = Self::over(&secure(servers, annotations, &[callee.address]), folder, authority, change);
        (secure, callee)
    }

    pub(crate) fn over(
        yaml: &str,
        folder: Folder,
        authority: Authority,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let files = Arc::new(folder.clone());
        let world = World::start_with(yaml, 1, |config| {
            config.files = files;
            let any = "127.0.0.1:0".parse().unwrap();
            config.sockets.push(Sockets::bind(door(), any, 1, 128).unwrap());
            change(config);
        });
        let addresses = world.proxy.addresses();
        let address = addresses.iter().find(|(own, _)| *own == door()).unwrap().1;
        Self { world, address, folder, authority }
    }

    /// Connects and asks for `name`.
    async fn connect(&self, name: &str, client: Client<'_>) -> std::io::Result<TlsStream<TcpStream>> {
        connect(self.address, name, &client.config(&self.authority)).await
    }

    /// How a request on a connection of its own ends: its status, or what the handshake's error says.
    pub(crate) async fn ask(&self, name: &str, client: Client<'_>) -> Result<u16, String> {
        let request = format!("GET /stock HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n");
        let asking = async {
            let mut stream = self.connect(name, client).await?;
            stream.write_all(request.as_bytes()).await?;
            stream.flush().await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        let asked: std::io::Result<String> =
            tokio::time::timeout(PATIENCE, asking).await.expect("an end in time");
        let answer = asked.map_err(|error| error.to_string())?;
        Ok(answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default())
    }

    fn handshakes(&self, end: &str) -> f64 {
        self.world.metric("bowline_tls_handshakes_total", &["default/secure", &format!("end=\"{end}\"")])
    }

    /// Whether handshakes ended so, once.
    async fn ended(&self, end: &str) {
        eventually(end, || self.handshakes(end) == 1.0).await;
    }
}

fn door() -> Door {
    Door::Gateway(BIND.parse().unwrap())
}

/// The two versions of TLS, one at a time.
const EACH: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];

/// What a caller brings to a handshake.
#[derive(Clone, Copy)]
pub(crate) struct Client<'c> {
    pub(crate) own: Option<&'c Identity>,
    pub(crate) protocols: &'static [&'static [u8]],
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
}

impl Client<'_> {
    pub(crate) const PLAIN: Self = Self { own: None, protocols: &[], versions: &[&TLS13, &TLS12] };

    fn config(self, trusted: &Authority) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.der()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.own {
            Some(own) => builder.with_client_auth_cert(vec![own.der()], own.key()).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }
}

async fn connect(
    address: SocketAddr,
    name: &str,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

/// Asks by HTTP/2; the answer's status.
async fn ask2(stream: TlsStream<TcpStream>, authority: &str) -> u16 {
    let (http, connection) = h2::client::handshake(stream).await.unwrap();
    let driving = tokio::spawn(connection);
    let request = Request::get(format!("https://{authority}/stock")).body(()).unwrap();
    let (answer, _) = http.ready().await.unwrap().send_request(request, true).unwrap();
    let answer = tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time").unwrap();
    driving.abort();
    answer.status().as_u16()
}

fn seen(callee: &Callee) -> Message {
    callee.hits().last().expect("a request").message.clone()
}

#[tokio::test]
async fn both_versions_of_http_and_of_tls_are_served_and_the_callee_learns_of_it() {
    let (secure, callee) = Secure::start(&[("shop.test", &simple("shop"))]).await;
    for versions in EACH {
        assert_eq!(secure.ask("shop.test", Client { versions, ..Client::PLAIN }).await, Ok(200));
        assert_eq!(seen(&callee).header("x-forwarded-proto"), Some("https"));
        let one = Client { versions, protocols: &[b"http/1.1"], ..Client::PLAIN };
        assert_eq!(secure.ask("shop.test", one).await, Ok(200));
        let two = Client { versions, protocols: &[b"h2", b"http/1.1"], ..Client::PLAIN };
        let stream = secure.connect("shop.test", two).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(ask2(stream, "shop.test").await, 200);
    }
    assert_eq!(secure.handshakes("full"), 6.0);
    assert_eq!(secure.world.get("/stock").await.status(), 200);
    assert_eq!(seen(&callee).header("x-forwarded-proto"), Some("http"));
    let neither = Client { protocols: &[b"imap"], ..Client::PLAIN };
    assert!(secure.ask("shop.test", neither).await.is_err());
    secure.ended("no-protocol").await;
}

#[tokio::test]
async fn what_a_server_may_agree_to_speak_is_no_more_than_it_says() {
    let one = format!("{}, alpnProtocols: [ http/1.1 ]", simple("shop"));
    let (secure, _callee) = Secure::start(&[("shop.test", &one)]).await;
    let both = Client { protocols: &[b"h2", b"http/1.1"], ..Client::PLAIN };
    let stream = secure.connect("shop.test", both).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(secure.ask("shop.test", Client { protocols: &[b"http/1.1"], ..Client::PLAIN }).await, Ok(200));
    assert!(secure.ask("shop.test", Client { protocols: &[b"h2"], ..Client::PLAIN }).await.is_err());
    secure.ended("no-protocol").await;
}

#[tokio::test]
async fn keys_are_agreed_on_over_the_curves_that_a_server_names_and_no_others() {
    let one = format!("{}, ecdhCurves: [ P-384 ]", simple("shop"));
    let (secure, _callee) = Secure::start(&[("shop.test", &one)]).await;
    for versions in EACH {
        let stream = secure.connect("shop.test", Client { versions, ..Client::PLAIN }).await.unwrap();
        let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap();
        assert_eq!(group.name(), NamedGroup::secp384r1);
    }
    let mut provider = rustls::crypto::ring::default_provider();
    provider.kx_groups.retain(|group| group.name() != NamedGroup::secp384r1);
    let mut roots = RootCertStore::empty();
    roots.add(secure.authority.der()).unwrap();
    let others =
        ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[&TLS13]).unwrap();
    let others = Arc::new(others.with_root_certificates(roots).with_no_client_auth());
    assert!(connect(secure.address, "shop.test", &others).await.is_err());
    secure.ended("incompatible").await;
}

#[tokio::test]
async fn the_name_that_is_asked_for_picks_the_server_and_its_rules() {
    let (secure, _callee) =
        Secure::start(&[("shop.test", &simple("shop")), ("\"*.wild.test\"", &simple("wild"))]).await;
    let (own, wild) = (secure.authority.issue(&["shop.test"]), secure.authority.issue(&["*.wild.test"]));
    secure.folder.keep("shop", &own);
    secure.folder.keep("wild", &wild);
    assert!(secure.world.proxy.renew_certificates());

    for (name, expected) in [("shop.test", &own), ("a.wild.test", &wild)] {
        let stream = secure.connect(name, Client::PLAIN).await.unwrap();
        assert_eq!(stream.get_ref().1.peer_certificates().unwrap()[0], expected.der());
    }
    let refused = secure.ask("other.test", Client::PLAIN).await.unwrap_err();
    assert!(refused.contains("UnrecognisedName"), "{refused}");
    secure.ended("unknown-name").await;

    // The handshake was made with one server; the other's rules are not reached by it.
    let mut caller = Caller::over(secure.connect("shop.test", Client::PLAIN).await.unwrap());
    caller.send("GET /stock HTTP/1.1\r\nhost: a.wild.test\r\n\r\n").await;
    let answer = caller.receive("GET").await.unwrap();
    assert_eq!((answer.status(), answer.header("x-bowline-reason")), (421, Some("misdirected")));
    caller.send("GET /stock HTTP/1.1\r\nhost: nobody.test\r\n\r\n").await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 404);
    caller.send("GET /stock HTTP/1.1\r\nhost: shop.test\r\n\r\n").await;
    assert_eq!(caller.receive("GET").await.unwrap().status(), 200);
}

#[tokio::test]
async fn callers_prove_who_they_are_or_are_told_why_not() {
    let more = "caCrl: crl, subjectAltNames: [ \"spiffe://shop/orders\", caller.test ]";
    let (secure, _callee) = Secure::start(&[("shop.test", &mutual("MUTUAL", more))]).await;
    secure.folder.write("crl", secure.authority.revoke());
    assert!(secure.world.proxy.renew_certificates());
    let stranger = Authority::new();
    for (own, alert, end) in [
        (None, "CertificateRequired", "no-certificate"),
        (Some(stranger.issue(&["caller.test"])), "UnknownCA", "untrusted"),
        (Some(secure.authority.issue_expired()), "CertificateExpired", "expired"),
        (Some(secure.authority.issue_revoked()), "CertificateRevoked", "revoked"),
        (Some(secure.authority.issue(&["other.test"])), "BadCertificate", "not-among-names"),
    ] {
        for versions in EACH {
            let client = Client { own: own.as_ref(), versions, ..Client::PLAIN };
            let refused = secure.ask("shop.test", client).await.unwrap_err();
            let told = refused.contains(alert) || (own.is_none() && refused.contains("HandshakeFailure"));
            assert!(told, "{end}: {refused}");
        }
        eventually(end, || secure.handshakes(end) == 2.0).await;
    }
    for own in [secure.authority.issue(&["caller.test"]), secure.authority.issue_uri("spiffe://shop/orders")]
    {
        assert_eq!(secure.ask("shop.test", Client { own: Some(&own), ..Client::PLAIN }).await, Ok(200));
    }
}

#[tokio::test]
async fn a_pinned_certificate_or_key_is_the_only_one_that_may_come() {
    let (secure, callee) = Secure::start(&[("shop.test", &simple("shop"))]).await;
    let (own, other) = (secure.authority.issue(&["caller.test"]), secure.authority.issue(&["caller.test"]));
    let key = webpki::EndEntityCert::try_from(&own.der()).unwrap().subject_public_key_info();
    for more in [
        format!("verifyCertificateHash: [ \"{}\" ]", colons(&sha256(&own.der()))),
        format!("verifyCertificateSpki: [ \"{}\" ]", base64(&sha256(&key))),
    ] {
        let yaml = self::secure(&[("shop.test", &mutual("MUTUAL", &more))], "", &[callee.address]);
        secure.world.proxy.reload(crate::support::design(&yaml));
        assert_eq!(
            secure.ask("shop.test", Client { own: Some(&own), ..Client::PLAIN }).await,
            Ok(200),
            "{more}"
        );
        let refused = secure.ask("shop.test", Client { own: Some(&other), ..Client::PLAIN }).await;
        assert!(refused.is_err(), "{more}");
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13().unwrap();
    suite.common.hash_provider.hash(bytes).as_ref().to_vec()
}

fn colons(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// By another road than the proxy's own: six bits at a time.
fn base64(bytes: &[u8]) -> String {
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let letters: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let six = bits.as_bytes().chunks(6).map(|six| {
        let padded = format!("{:0<6}", String::from_utf8_lossy(six));
        letters[usize::from_str_radix(&padded, 2).unwrap()]
    });
    let text: String = six.collect();
    format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4))
}

#[tokio::test]
async fn who_a_caller_proved_to_be_is_known_and_told_where_that_is_asked_for() {
    let tell = "\"bowline.dev/forward-client-cert\": \"true\"";
    let servers = mutual("OPTIONAL_MUTUAL", "");
    let (secure, callee) = Secure::start_with(&[("shop.test", &servers)], tell, |_| ()).await;
    let own = secure.authority.issue_uri("spiffe://shop/orders");
    let expected = format!(
        "Hash={};URI=spiffe://shop/orders;DNS=caller.test",
        colons(&sha256(&own.der())).replace(':', "").to_lowercase()
    );
    for (own, expected, identity) in
        [(Some(&own), Some(&*expected), Some("spiffe://shop/orders")), (None, None, None)]
    {
        let mut caller =
            Caller::over(secure.connect("shop.test", Client { own, ..Client::PLAIN }).await.unwrap());
        let claim = "x-forwarded-client-cert: Hash=00;URI=spiffe://shop/admin\r\nx-bowline-explain: 1\r\n";
        assert_eq!(caller.ask("GET", "/stock", claim, "").await.status(), 200);
        assert_eq!(seen(&callee).header("x-forwarded-client-cert"), expected);
        let record = secure.world.proxy.trails().last(&bowline_proxy::Filter::default()).unwrap();
        assert_eq!(record.caller.as_deref(), identity);
    }
    // Not asked for, not told: and a stranger's word for it goes nowhere either.
    let (secure, callee) = Secure::start(&[("shop.test", &servers)]).await;
    let own = secure.authority.issue_uri("spiffe://shop/orders");
    let mut caller =
        Caller::over(secure.connect("shop.test", Client { own: Some(&own), ..Client::PLAIN }).await.unwrap());
    caller.ask("GET", "/stock", "x-forwarded-client-cert: Hash=00\r\n", "").await;
    assert_eq!(seen(&callee).header("x-forwarded-client-cert"), None);
}

#[tokio::test]
async fn whoever_is_slow_or_speaks_something_else_is_let_go_and_counted() {
    let quick = |config: &mut Config| config.limits.handshake = Duration::from_millis(50);
    let (secure, _callee) = Secure::start_with(&[("shop.test", &simple("shop"))], "", quick).await;
    // Nothing at all, and the beginning of a handshake.
    for begin in ["", "\u{16}\u{3}\u{1}\u{0}"] {
        let mut silent = Caller::connect(secure.address).await;
        silent.send(begin).await;
        assert!(silent.is_closed().await);
    }
    eventually("two were too slow", || secure.handshakes("too-slow") == 2.0).await;
    let mut garbage = Caller::connect(secure.address).await;
    garbage.send("\u{16}garbage, and more of it than a head has").await;
    assert!(!garbage.is_closed().await, "an alert comes first");
    secure.ended("not-tls").await;
    let mut plain = Caller::connect(secure.address).await;
    let answer = plain.ask("GET", "/stock", "", "").await;
    assert_eq!(
        (answer.status(), answer.text()),
        (400, "this port speaks TLS; ask again with https://\n".to_owned())
    );
    assert!(plain.is_closed().await);
    secure.ended("plain-http").await;
    assert_eq!(secure.world.metric("bowline_tls_handshakes_open", &["default/secure"]), 0.0);
    // Whoever does not trust us says so.
    let config = Client::PLAIN.config(&Authority::new());
    assert!(connect(secure.address, "shop.test", &config).await.is_err());
    secure.ended("refused-by-caller").await;
}

#[tokio::test]
async fn handshakes_beyond_the_limit_wait_for_one_to_end() {
    let one = |config: &mut Config| config.limits.handshakes = 1;
    let (secure, _callee) = Secure::start_with(&[("shop.test", &simple("shop"))], "", one).await;
    let slow = Caller::connect(secure.address).await;
    eventually("one is under way", || secure.world.metric("bowline_tls_handshakes_open", &[]) == 1.0).await;
    let asking = secure.ask("shop.test", Client::PLAIN);
    let waited =
        eventually("one waits", || secure.world.metric("bowline_tls_handshakes_waited_total", &[]) == 1.0);
    let goes = async {
        waited.await;
        assert_eq!(secure.handshakes("full"), 0.0);
        drop(slow);
    };
    assert_eq!(tokio::join!(asking, goes).0, Ok(200));
}

#[tokio::test]
async fn a_caller_resumes_unless_it_has_to_prove_something() {
    let (secure, _callee) = Secure::start(&[("shop.test", &simple("shop"))]).await;
    for versions in EACH {
        let config = Client { versions, ..Client::PLAIN }.config(&secure.authority);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut caller = Caller::over(connect(secure.address, "shop.test", &config).await.unwrap());
            assert_eq!(caller.ask("GET", "/stock", "", "").await.status(), 200);
            kinds.push(caller.stream.get_ref().1.handshake_kind().unwrap());
            // A new certificate takes nothing away from them.
            secure.folder.keep("shop", &secure.authority.issue(&["shop.test"]));
            assert!(secure.world.proxy.renew_certificates());
        }
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
    }
    assert_eq!(secure.handshakes("resumed"), 2.0);

    let (secure, _callee) = Secure::start(&[("shop.test", &mutual("MUTUAL", ""))]).await;
    let own = secure.authority.issue(&["caller.test"]);
    for versions in EACH {
        let config = Client { versions, own: Some(&own), ..Client::PLAIN }.config(&secure.authority);
        for _ in 0..2 {
            let mut caller = Caller::over(connect(secure.address, "shop.test", &config).await.unwrap());
            assert_eq!(caller.ask("GET", "/stock", "", "").await.status(), 200);
            assert_eq!(caller.stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        }
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_and_a_broken_one_changes_nothing() {
    let (secure, _callee) = Secure::start(&[("shop.test", &simple("shop"))]).await;
    let ending = secure.authority.issue_with(&["shop.test"], |params| {
        params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    });
    let mut before = Caller::over(secure.connect("shop.test", Client::PLAIN).await.unwrap());
    assert_eq!(before.ask("GET", "/stock", "", "").await.status(), 200);
    assert!(!secure.world.proxy.renew_certificates(), "nothing changed");

    secure.folder.keep("shop", &ending);
    assert!(secure.world.proxy.renew_certificates());
    let shown = async || {
        secure.connect("shop.test", Client::PLAIN).await.unwrap().get_ref().1.peer_certificates().unwrap()[0]
            .clone()
    };
    assert_eq!(shown().await, ending.der());
    let seconds = secure.world.metric("bowline_tls_certificate_expiry_seconds", &["shop.crt"]);
    let years = seconds / (365.25 * 24.0 * 3600.0);
    assert!((40.0..80.0).contains(&years), "{years} years from now to 2100");

    // The key of another certificate, as when only one of the two has been written yet; then none at all.
    secure.folder.write("shop.key", secure.authority.issue(&["shop.test"]).key.serialize_pem());
    assert!(secure.world.proxy.renew_certificates());
    assert_eq!(shown().await, ending.der());
    let troubles = secure.world.proxy.troubles();
    assert_eq!(
        (&*troubles[0].user, &*troubles[0].about, troubles[0].kept),
        ("gateway default/secure", "shop.crt", true)
    );
    secure.folder.remove("shop.crt");
    assert!(secure.world.proxy.renew_certificates());
    assert_eq!(shown().await, ending.der());
    assert_eq!(secure.world.metric("bowline_tls_trouble", &["serves=\"before\"", "shop.crt"]), 1.0);

    // The connection of before has gone on through all of it.
    assert_eq!(before.ask("GET", "/stock", "", "").await.status(), 200);
    secure.folder.keep("shop", &ending);
    assert!(secure.world.proxy.renew_certificates());
    assert_eq!(secure.world.proxy.troubles(), []);
}

#[tokio::test]
async fn a_server_without_its_files_serves_nobody_until_they_are_there() {
    let (secure, _callee) = Secure::start(&[("shop.test", &simple("late"))]).await;
    let troubles = secure.world.proxy.troubles();
    assert_eq!((&*troubles[0].about, troubles[0].kept), ("late.crt", false));
    let refused = secure.ask("shop.test", Client::PLAIN).await.unwrap_err();
    assert!(refused.contains("InternalError"), "{refused}");
    secure.ended("not-ready").await;
    secure.folder.keep("late", &secure.authority.issue(&["shop.test"]));
    assert!(secure.world.proxy.renew_certificates());
    assert_eq!(secure.ask("shop.test", Client::PLAIN).await, Ok(200));
}

#[tokio::test]
async fn connections_end_when_their_callers_would_have_to_prove_more() {
    let (secure, callee) = Secure::start(&[("shop.test", &simple("shop"))]).await;
    let mut before = Caller::over(secure.connect("shop.test", Client::PLAIN).await.unwrap());
    assert_eq!(before.ask("GET", "/stock", "", "").await.status(), 200);
    let yaml = self::secure(&[("shop.test", &mutual("MUTUAL", ""))], "", &[callee.address]);
    secure.world.proxy.reload(crate::support::design(&yaml));
    assert!(before.is_closed().await);

    // A list of the revoked that changes is no other matter.
    let more = mutual("MUTUAL", "caCrl: crl");
    secure.folder.write("crl", Authority::new().revoke());
    let yaml = self::secure(&[("shop.test", &more)], "", &[callee.address]);
    secure.world.proxy.reload(crate::support::design(&yaml));
    let own = secure.authority.issue_revoked();
    let mut revoked =
        Caller::over(secure.connect("shop.test", Client { own: Some(&own), ..Client::PLAIN }).await.unwrap());
    assert_eq!(revoked.ask("GET", "/stock", "", "").await.status(), 200);
    secure.folder.write("crl", secure.authority.revoke());
    assert!(secure.world.proxy.renew_certificates());
    assert!(revoked.is_closed().await);
}

#[tokio::test]
async fn a_server_that_would_let_in_others_does_not_serve_on() {
    let (secure, callee) = Secure::start(&[("shop.test", &simple("shop"))]).await;
    assert_eq!(secure.ask("shop.test", Client::PLAIN).await, Ok(200));
    let tls = mutual("MUTUAL", "").replace("caCertificates: ca", "caCertificates: missing");
    let yaml = self::secure(&[("shop.test", &tls)], "", &[callee.address]);
    secure.world.proxy.reload(crate::support::design(&yaml));
    assert!(secure.ask("shop.test", Client::PLAIN).await.unwrap_err().contains("InternalError"));
    assert!(!secure.world.proxy.troubles()[0].kept);
}

/// A callee under TLS that answers every request with 204 in the version of HTTP that is agreed on; `callers`: to whom
/// those who ask must be known.
pub(crate) async fn callee_under_tls(own: &Identity, http2: bool, callers: Option<&Authority>) -> SocketAddr {
    answering_under_tls(own, http2, callers, "HTTP/1.1 204 No Content\r\n\r\n".to_owned()).await
}

/// The same, with this answer in HTTP/1.
pub(crate) async fn answering_under_tls(
    own: &Identity,
    http2: bool,
    callers: Option<&Authority>,
    answer: String,
) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match callers {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let mut config = builder.with_single_cert(vec![own.der()], own.key()).unwrap();
    config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                if http2 {
                    let mut server = h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((_, mut respond))) = server.accept().await {
                        let answer = http::Response::builder().status(204).body(()).unwrap();
                        respond.send_response(answer, true).unwrap();
                    }
                    return;
                }
                let mut buffer = Vec::new();
                while crate::support::read_message(&mut stream, &mut buffer, "").await.is_some() {
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    stream.flush().await.unwrap();
                }
            });
        }
    });
    address
}

/// TLS towards the service `stock`, whose authority is in `ca`.
const TO_STOCK: &str = "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: stock }
spec:
  host: stock
  trafficPolicy: { tls: { mode: SIMPLE, sni: stock.test, caCertificates: ca } }
";

#[tokio::test]
async fn every_version_goes_down_and_up_by_tls() {
    let authority = Authority::new();
    for http2 in [false, true] {
        let address = callee_under_tls(&authority.issue(&["stock.test"]), http2, None).await;
        let folder = Folder::default();
        let own = Authority::new();
        folder.write("ca", authority.pem());
        folder.keep("shop", &own.issue(&["shop.test"]));
        let mut yaml = secure(&[("shop.test", &simple("shop"))], "", &[address]) + TO_STOCK;
        if http2 {
            yaml = yaml.replace("spec:\n  endpoints", "spec:\n  protocol: http2\n  endpoints");
        }
        let secure = Secure::over(&yaml, folder, own, |_| ());
        assert_eq!(secure.world.get("/stock").await.status(), 204, "plain down, h2 up: {http2}");
        assert_eq!(secure.ask("shop.test", Client::PLAIN).await, Ok(204), "h1 down, h2 up: {http2}");
        let two = Client { protocols: &[b"h2"], ..Client::PLAIN };
        let stream = secure.connect("shop.test", two).await.unwrap();
        assert_eq!(ask2(stream, "shop.test").await, 204, "h2 down, h2 up: {http2}");
    }
}

#[tokio::test]
async fn a_callee_whose_files_cannot_be_used_is_told_apart_from_one_that_is_not_there() {
    let authority = Authority::new();
    let address = callee_under_tls(&authority.issue(&["stock.test"]), false, None).await;
    let folder = Folder::default();
    let own = Authority::new();
    folder.keep("shop", &own.issue(&["shop.test"]));
    let secure = Secure::over(
        &(secure(&[("shop.test", &simple("shop"))], "", &[address]) + TO_STOCK),
        folder,
        own,
        |_| (),
    );
    let answer = secure.world.get("/stock").await;
    assert_eq!((answer.status(), answer.header("x-bowline-reason")), (503, Some("no tls")));
    assert_eq!(answer.text(), "stock.read: no tls\n");
    assert_eq!(secure.world.metric("bowline_requests_total", &["flag=\"TLS\""]), 1.0);
    let trouble = &secure.world.proxy.troubles()[0];
    assert_eq!((&*trouble.user, &*trouble.about), ("service stock", "ca"));

    secure.folder.write("ca", authority.pem());
    assert!(secure.world.proxy.renew_certificates());
    assert_eq!(secure.world.get("/stock").await.status(), 204);
    // A file that breaks later stops nobody.
    secure.folder.write("ca", "nothing");
    assert!(secure.world.proxy.renew_certificates());
    assert_eq!(secure.world.get("/stock").await.status(), 204);
    assert!(secure.world.proxy.troubles()[0].kept);
}

#[tokio::test]
async fn a_drain_waits_for_answers_under_tls() {
    let (secure, _) = Secure::start(&[("shop.test", &simple("shop"))]).await;
    let callee = Callee::start(|_| Do::Late(Duration::from_millis(100), 200)).await;
    let yaml = self::secure(&[("shop.test", &simple("shop"))], "", &[callee.address]);
    secure.world.proxy.reload(crate::support::design(&yaml));
    let mut caller = Caller::over(secure.connect("shop.test", Client::PLAIN).await.unwrap());
    caller.send("GET /stock HTTP/1.1\r\nhost: shop.test\r\n\r\n").await;
    eventually("the callee has it", || callee.count() == 1).await;
    let (drained, answer) = tokio::join!(secure.world.proxy.drain(PATIENCE), caller.receive("GET"));
    assert_eq!((drained.cut, answer.unwrap().status()), (0, 200));
}
