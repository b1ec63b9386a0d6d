//! Istio's Gateway: where requests come in from outside.

use crate::kinds::Meta;
use crate::kinds::istio::{self, PROTOCOLS, REFUSED, Spoken};
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::documents::{Group, ISTIO, Kind};
use crate::read::names::{is_label, quoted};
use crate::read::record::{record, words};
use std::collections::BTreeMap;

record! {
    /// Where requests come in from outside.
    pub struct Gateway {
        /// Its listeners.
        pub servers: Vec<Spot<Server>>,
        /// The workloads that listen.
        pub selector: BTreeMap<String, String>,
    }
}

record! {
    /// One listener.
    pub struct Server {
        /// Its port.
        pub port: Option<Spot<Port>>,
        /// The address it listens on; all of them when absent.
        pub bind: Option<Spot<String>>,
        /// The hosts it serves, `*` or `namespace/host` allowed.
        pub hosts: Vec<Spot<String>>,
        /// TLS from callers.
        pub tls: Option<Spot<ServerTls>>,
        /// Read by no version of Istio.
        pub default_endpoint: Option<Spot<String>>,
        /// Its name.
        pub name: Option<Spot<String>>,
    } checked by check_server
}

record! {
    /// A listener's port.
    pub struct Port {
        /// The number.
        pub number: Option<Spot<u32>>,
        /// What is spoken there.
        pub protocol: Option<Spot<String>>,
        /// Its name.
        pub name: Option<Spot<String>>,
        /// Read by no version of Istio.
        pub target_port: Option<Spot<u32>>,
    } checked by check_port
}

record! {
    /// TLS from callers.
    pub struct ServerTls {
        /// Whether plain requests are redirected.
        pub https_redirect: Option<Spot<bool>>,
        /// How.
        pub mode: Option<Spot<ServerTlsMode>>,
        /// Our certificate.
        pub server_certificate: Option<Spot<String>>,
        /// Its key.
        pub private_key: Option<Spot<String>>,
        /// Whom we trust.
        pub ca_certificates: Option<Spot<String>>,
        /// Certificates no longer trusted.
        pub ca_crl: Option<Spot<String>>,
        /// The secret that holds all of them.
        pub credential_name: Option<Spot<String>>,
        /// The secrets, where there are two.
        pub credential_names: Vec<Spot<String>>,
        /// Where the trusted certificates are, where they are apart.
        pub ca_cert_credential_name: Option<Spot<String>>,
        /// Certificates, where there are two.
        pub tls_certificates: Vec<Spot<TlsCertificate>>,
        /// Names a caller may prove.
        pub subject_alt_names: Vec<Spot<String>>,
        /// Public keys a caller may prove, by SPKI.
        pub verify_certificate_spki: Vec<Spot<String>>,
        /// Certificates a caller may prove, by hash.
        pub verify_certificate_hash: Vec<Spot<String>>,
        /// The oldest version allowed.
        pub min_protocol_version: Option<Spot<TlsVersion>>,
        /// The newest version allowed.
        pub max_protocol_version: Option<Spot<TlsVersion>>,
        /// Ciphers allowed.
        pub cipher_suites: Vec<Spot<String>>,
        /// Curves allowed.
        pub ecdh_curves: Vec<Spot<String>>,
        /// What may be agreed to be spoken (ALPN).
        pub alpn_protocols: Vec<Spot<String>>,
        /// Whether a caller's proof may be none.
        pub insecure_skip_verify: Option<Spot<bool>>,
    } checked by check_tls
}

record! {
    /// A certificate.
    pub struct TlsCertificate {
        /// The certificate.
        pub server_certificate: Option<Spot<String>>,
        /// Its key.
        pub private_key: Option<Spot<String>>,
        /// Whom we trust.
        pub ca_certificates: Option<Spot<String>>,
    }
}

words! {
    /// TLS from callers.
    pub enum ServerTlsMode {
        /// Passed through, routed by server name.
        Passthrough = "PASSTHROUGH",
        /// We prove who we are.
        Simple = "SIMPLE",
        /// Both do.
        Mutual = "MUTUAL",
        /// Passed through to the destination that the server name encodes.
        AutoPassthrough = "AUTO_PASSTHROUGH",
        /// Both do, with Istio's certificates.
        IstioMutual = "ISTIO_MUTUAL",
        /// We do; a caller may.
        OptionalMutual = "OPTIONAL_MUTUAL",
    }
}

words! {
    /// Versions of TLS.
    pub enum TlsVersion {
        /// Istio picks.
        Auto = "TLS_AUTO",
        /// 1.0
        V1_0 = "TLSV1_0",
        /// 1.1
        V1_1 = "TLSV1_1",
        /// 1.2
        V1_2 = "TLSV1_2",
        /// 1.3
        V1_3 = "TLSV1_3",
    }
}

impl Kind for Gateway {
    const KIND: &'static str = "Gateway";
    const GROUP: Group = ISTIO;

    fn check(meta: &Meta, spec: &Self, place: &Place, mistakes: &mut Mistakes) {
        if !meta.name.is_empty() && !is_label(&meta.name) {
            let found = format!("the gateway name {}", quoted(&meta.name));
            mistakes.add(REFUSED, &meta.place, found, "letters, digits and `-`: no dots");
        }
        if spec.servers.is_empty() {
            let place = Place { path: "spec.servers".into(), ..place.clone() };
            mistakes.add(REFUSED, &place, "no `servers`", "at least one");
        }
        let names = || spec.servers.iter().filter_map(|server| server.port.as_ref()?.name.as_ref());
        for (index, second) in names().enumerate() {
            if let Some(first) = names().take(index).find(|first| first.value == second.value) {
                let found = format!("a second port {}", quoted(second));
                mistakes
                    .add(REFUSED, &second.place, found, "one port of each name")
                    .also(first.place.clone());
            }
        }
    }
}

/// The beginning of a Unix socket's address.
const UNIX: &str = "unix://";

fn check_server(server: &Server, place: &Place, mistakes: &mut Mistakes) {
    if server.hosts.is_empty() {
        mistakes.add(REFUSED, place, "a server without `hosts`", "at least one, `*` for all");
    }
    server.hosts.iter().for_each(|host| check_host(host, mistakes));
    let socket = server.bind.as_ref().and_then(|bind| bind.strip_prefix(UNIX));
    if let Some(bind) = server.bind.as_ref().filter(|bind| !bind.is_empty()) {
        match socket {
            Some(path) if !istio::is_unix_path(path) => {
                mistakes.add(REFUSED, &bind.place, quoted(bind), "an absolute path to a file, or `@name`");
            }
            None if !istio::is_address(bind) => {
                mistakes.add(REFUSED, &bind.place, quoted(bind), "an IP address");
            }
            _ => {}
        }
    }
    let Some(port) = &server.port else {
        mistakes.add(REFUSED, place, "a server without a `port`", "its number, protocol and name");
        return;
    };
    match &port.number {
        Some(number) if socket.is_some() && number.value != 0 => {
            mistakes.add(REFUSED, &number.place, "a port number for a Unix socket", "0, or none");
        }
        Some(number) if socket.is_none() => istio::port(number, mistakes),
        None if socket.is_none() => {
            mistakes.add(REFUSED, &port.place, "a port without a `number`", "1 to 65535");
        }
        _ => {}
    }
    check_tls_fits(server, port, place, mistakes);
}

/// HTTPS and TLS need to know how; plain HTTP may at most redirect.
fn check_tls_fits(server: &Server, port: &Port, place: &Place, mistakes: &mut Mistakes) {
    let spoken = port.protocol.as_ref().and_then(|protocol| istio::spoken(protocol));
    match (spoken, &server.tls) {
        (Some(Spoken::Tls), None) => {
            mistakes.add(REFUSED, place, "a server for TLS without `tls`", "`tls` with a mode");
        }
        (Some(Spoken::Http), Some(tls)) => {
            let mode = tls.mode.as_ref().map_or(ServerTlsMode::Passthrough, |mode| mode.value);
            let passes = matches!(mode, ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough);
            let files = [&tls.ca_certificates, &tls.private_key, &tls.server_certificate];
            if !passes || files.into_iter().any(written) {
                let expected = "`httpsRedirect` at most, or the protocol HTTPS";
                mistakes.add(REFUSED, &tls.place, "`tls` for plain HTTP", expected);
            }
        }
        (Some(Spoken::Other), Some(tls)) => {
            let expected = "none, or the protocol TLS or HTTPS";
            mistakes.add(REFUSED, &tls.place, "`tls` for a protocol without it", expected);
        }
        _ => {}
    }
}

/// `host`, `namespace/host`, `./host` or `*/host`; the host may be `*` or begin with `*.`.
fn check_host(host: &Spot<String>, mistakes: &mut Mistakes) {
    let (namespace, name) = host.split_once('/').unwrap_or((".", host));
    let fits = (matches!(namespace, "*" | ".") || is_label(namespace)) && istio::is_wildcard_host(name);
    if !fits && (host.contains('/') || !istio::is_address(host)) {
        let expected = "a host's name, `*` or `*.name`, with `namespace/` before it at most";
        mistakes.add(REFUSED, &host.place, quoted(host), expected);
    }
}

fn check_port(port: &Port, place: &Place, mistakes: &mut Mistakes) {
    match &port.protocol {
        Some(protocol) if istio::spoken(protocol).is_some() => {}
        Some(protocol) => {
            mistakes.add(REFUSED, &protocol.place, format!("the protocol {}", quoted(protocol)), PROTOCOLS);
        }
        None => {
            mistakes.add(REFUSED, place, "a port without a `protocol`", PROTOCOLS);
        }
    }
    if port.name.as_ref().is_none_or(|name| name.is_empty()) {
        mistakes.add(REFUSED, place, "a port without a `name`", "its name, unique in the gateway");
    }
    if let Some(target) = port.target_port.as_ref().filter(|target| target.value != 0) {
        mistakes.add(REFUSED, &target.place, "`targetPort`", "none: it means nothing for gateways");
    }
}

fn written(text: &Option<Spot<String>>) -> bool {
    text.as_ref().is_some_and(|text| !text.is_empty())
}

fn check_tls(tls: &ServerTls, place: &Place, mistakes: &mut Mistakes) {
    let Some(mode) = &tls.mode else { return };
    let files = [
        (&tls.server_certificate, "serverCertificate"),
        (&tls.private_key, "privateKey"),
        (&tls.ca_certificates, "caCertificates"),
    ];
    let credential = [(&tls.credential_name, "credentialName")];
    let (needed, name) = match mode.value {
        ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough => return,
        ServerTlsMode::IstioMutual => {
            for (file, field) in files.into_iter().chain(credential) {
                if let Some(file) = file.as_ref().filter(|file| !file.is_empty()) {
                    let found = format!("`{field}` with ISTIO_MUTUAL");
                    mistakes.add(REFUSED, &file.place, found, "none: Istio brings its own");
                }
            }
            return;
        }
        ServerTlsMode::Simple => (&files[..2], "SIMPLE"),
        ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual => (&files[..], "MUTUAL"),
    };
    let fetched = written(&tls.credential_name) || !tls.credential_names.is_empty();
    if fetched || !tls.tls_certificates.is_empty() {
        return;
    }
    for (_, field) in needed.iter().filter(|(file, _)| !written(file)) {
        let expected = "the files, or a `credentialName`";
        mistakes.add(REFUSED, place, format!("{name} without `{field}`"), expected);
    }
    if let Some(crl) =
        tls.ca_crl.as_ref().filter(|crl| mode.value == ServerTlsMode::Simple && !crl.is_empty())
    {
        mistakes.add(REFUSED, &crl.place, "`caCrl` with SIMPLE", "none: callers prove nothing there");
    }
}
