//! TLS towards a callee: what is spoken, and who it must prove to be.

use crate::bench::{Bench, Request, whole};
use crate::http2::{calling, local};
use bowline_call::tls::{Source, Tls, TlsSettings, Trust};
use bowline_call::{Http, PoolLimits, Transport};
use bowline_model::decision::TryEnd;
use bowline_policy::CallPolicy;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;

/// Somebody whose word is taken, or not.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Somebody called `dns` and `uri`.
    fn issue(&self, dns: &str, uri: &str) -> Identity {
        let mut params = CertificateParams::new(vec![dns.to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI(Ia5String::try_from(uri).unwrap()));
        params.serial_number = Some(SerialNumber::from(7_u64));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate, key }
    }

    /// A list with the one certificate that was issued.
    fn revoke(&self) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(7_u64),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2200, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

/// Files by name.
#[derive(Debug, Default)]
struct Texts(HashMap<&'static str, String>);

impl Source for Texts {
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let text = self.0.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.clone().into_bytes())
    }
}

fn settings() -> TlsSettings {
    TlsSettings {
        server_name: "stock.test".to_owned(),
        names: Vec::new(),
        trust: Trust::File("ca".to_owned()),
        revoked: None,
        own: None,
    }
}

/// A callee that is `identity` and wants callers to be known to `callers`.
fn acceptor(identity: &Identity, callers: Option<&Authority>, http: Http) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match callers {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
    let mut config = builder.with_single_cert(vec![identity.certificate.der().clone()], key).unwrap();
    config.alpn_protocols = vec![if http == Http::Two { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    TlsAcceptor::from(Arc::new(config))
}

/// Answers every request with 204, if a connection comes about.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor, http: Http) {
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(mut stream) = acceptor.accept(stream).await else { continue };
        match http {
            Http::One => {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                let _ = stream.flush().await;
            }
            Http::Two => {
                let Ok(mut server) = h2::server::handshake(stream).await else { continue };
                while let Some(Ok((request, mut respond))) = server.accept().await {
                    assert_eq!(request.uri().scheme_str(), Some("https"));
                    let answer = http::Response::builder().status(204).body(()).unwrap();
                    respond.send_response(answer, true).unwrap();
                }
            }
        }
    }
}

/// How a call under TLS ends: its status, or how its try did.
async fn ask(
    http: Http,
    settings: &TlsSettings,
    files: &Texts,
    acceptor: TlsAcceptor,
) -> Result<u16, Option<TryEnd>> {
    let tls = Tls::load(settings, http == Http::Two, files).unwrap();
    let transport = Transport { http, tls: Some(Arc::new(tls)), ..Transport::default() };
    let bench = Bench::with(&transport, CallPolicy::default(), PoolLimits::default());
    // On the heap: the tests that ask often would be larger than a stack should hold.
    let (bench, listener) = Box::pin(bench).await;
    let serving = spawn_local(serve(listener, acceptor, http));
    let ended = calling(&bench, Request::get()).await.unwrap();
    serving.abort();
    if ended.answer.is_some() { Ok(whole(ended).await.status) } else { Err(ended.end.last) }
}

const NOBODY: Result<u16, Option<TryEnd>> = Err(Some(TryEnd::ConnectFailed));

#[tokio::test]
async fn both_versions_are_spoken_under_tls() {
    local(async {
        let authority = Authority::new();
        let callee = authority.issue("stock.test", "spiffe://shop/stock");
        let files = Texts(HashMap::from([("ca", authority.0.pem())]));
        for http in [Http::One, Http::Two] {
            assert_eq!(ask(http, &settings(), &files, acceptor(&callee, None, http)).await, Ok(204));
        }
        // The callee agrees to HTTP/1.1 alone.
        let other = acceptor(&callee, None, Http::One);
        assert_eq!(ask(Http::Two, &settings(), &files, other).await, NOBODY);
    })
    .await;
}

#[tokio::test]
async fn a_callee_proves_the_name_it_is_asked_for_or_one_of_those_given() {
    local(async {
        let authority = Authority::new();
        let callee = authority.issue("stock.test", "spiffe://shop/stock");
        let files = Texts(HashMap::from([("ca", authority.0.pem())]));
        for (server_name, names, good) in [
            ("stock.test", &[][..], true),
            ("other.test", &[][..], false),
            ("other.test", &["stock.test"][..], true),
            ("other.test", &["x.test", "spiffe://shop/stock"][..], true),
            ("stock.test", &["other.test"][..], false),
            ("stock.test", &["spiffe://shop/stoc"][..], false),
        ] {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            let settings = TlsSettings { server_name: server_name.to_owned(), names, ..settings() };
            let got = ask(Http::Two, &settings, &files, acceptor(&callee, None, Http::Two)).await;
            assert_eq!(got, if good { Ok(204) } else { NOBODY }, "{settings:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn whoever_is_vouched_for_by_nobody_we_trust_is_refused_unless_nobody_need_be() {
    local(async {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let callee = stranger.issue("stock.test", "spiffe://shop/stock");
        let files = Texts(HashMap::from([("ca", authority.0.pem())]));
        let blind = TlsSettings { trust: Trust::Blind, ..settings() };
        let system = TlsSettings { trust: Trust::System, ..settings() };
        let named = TlsSettings { names: vec!["stock.test".to_owned()], ..settings() };
        for (settings, expected) in
            [(settings(), NOBODY), (system, NOBODY), (named, NOBODY), (blind, Ok(204))]
        {
            let got = ask(Http::Two, &settings, &files, acceptor(&callee, None, Http::Two)).await;
            assert_eq!(got, expected, "{settings:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_was_revoked_is_refused() {
    local(async {
        let authority = Authority::new();
        let callee = authority.issue("stock.test", "spiffe://shop/stock");
        let files = Texts(HashMap::from([("ca", authority.0.pem()), ("crl", authority.revoke())]));
        for names in [vec![], vec!["stock.test".to_owned()]] {
            let settings = TlsSettings { revoked: Some("crl".to_owned()), names, ..settings() };
            assert_eq!(ask(Http::Two, &settings, &files, acceptor(&callee, None, Http::Two)).await, NOBODY);
        }
    })
    .await;
}

#[tokio::test]
async fn where_both_prove_who_they_are_we_show_our_certificate() {
    local(async {
        let authority = Authority::new();
        let callee = authority.issue("stock.test", "spiffe://shop/stock");
        let caller = authority.issue("gate.test", "spiffe://shop/gate");
        let files = Texts(HashMap::from([
            ("ca", authority.0.pem()),
            ("cert", caller.certificate.pem()),
            ("key", caller.key.serialize_pem()),
        ]));
        let wants_ours = || acceptor(&callee, Some(&authority), Http::Two);
        assert_eq!(ask(Http::Two, &settings(), &files, wants_ours()).await, NOBODY);
        let own = Some(("cert".to_owned(), "key".to_owned()));
        assert_eq!(ask(Http::Two, &TlsSettings { own, ..settings() }, &files, wants_ours()).await, Ok(204));
    })
    .await;
}

#[test]
fn a_renewed_certificate_is_another_way_and_the_same_one_is_the_same() {
    let authority = Authority::new();
    let mut files = Texts(HashMap::from([("ca", authority.0.pem())]));
    let load = |files: &Texts, http2| Tls::load(&settings(), http2, files).unwrap();
    let first = load(&files, false);
    assert!(first == load(&files, false));
    assert!(first != load(&files, true));
    files.0.insert("ca", Authority::new().0.pem());
    assert!(first != load(&files, false));
}

#[test]
fn a_file_that_is_missing_or_holds_something_else_is_named() {
    let authority = Authority::new();
    let own = Some(("cert".to_owned(), "key".to_owned()));
    for (files, about) in [
        (vec![], "ca"),
        (vec![("ca", "nothing".to_owned())], "ca"),
        (vec![("ca", authority.0.pem())], "cert"),
        (vec![("ca", authority.0.pem()), ("cert", authority.0.pem())], "key"),
        (vec![("ca", authority.0.pem()), ("cert", authority.0.pem()), ("key", authority.0.pem())], "key"),
    ] {
        let files = Texts(HashMap::from_iter(files));
        let error = Tls::load(&TlsSettings { own: own.clone(), ..settings() }, false, &files).unwrap_err();
        assert_eq!(error.about, about);
    }
}
