//! A server's `tls`, resolved: what of it this version does, and what keeps it from being served.
//!
//! What would weaken a server if it were left out is done, or the server is not served and a note says so by its
//! name: nobody should find out from an incident that a check was never made.

use super::credential::{self, Part};
use super::findings::Findings;
use crate::kinds::gateway::{Server, ServerTls, ServerTlsMode, TlsVersion as Written};
use crate::mistake::{Place, Spot};
use crate::resolved::caller_tls::{CallerProof, CallerTls, Cipher, Curve, Proof, Speaks, TlsVersion};
use crate::routing::host::HostPattern;

/// The field that a note is about.
fn field(name: &str) -> String {
    format!("Gateway servers.tls.{name}")
}

/// The TLS of a server for HTTPS; `None`, with a note, where it cannot be served.
pub(super) fn caller_tls(server: &Spot<Server>, findings: &mut Findings) -> Option<CallerTls> {
    let tls = server.tls.as_ref()?;
    let mode = mode(tls, findings)?;
    note_the_rest(tls, findings);
    let certificates = certificates(tls, findings)?;
    let callers = match mode {
        ServerTlsMode::Mutual => CallerProof::Required(proof(tls, findings)?),
        ServerTlsMode::OptionalMutual => CallerProof::Optional(proof(tls, findings)?),
        _ => CallerProof::None,
    };
    let versions = versions(tls, findings)?;
    let ciphers = ciphers(tls, versions.1, findings)?;
    let curves = known(&tls.ecdh_curves, "ecdhCurves", Curve::named, "curves", findings)?;
    let speaks = known(&tls.alpn_protocols, "alpnProtocols", Speaks::named, "protocols", findings)?;
    let host = |host: &Spot<String>| {
        HostPattern::new(host.rsplit_once('/').map_or(host.value.as_str(), |(_, name)| name))
    };
    let names = server.hosts.iter().map(host).collect();
    let place = tls.place.clone();
    Some(CallerTls { names, certificates, callers, versions, ciphers, curves, speaks, place })
}

/// `SIMPLE`, `MUTUAL` or `OPTIONAL_MUTUAL`.
fn mode(tls: &Spot<ServerTls>, findings: &mut Findings) -> Option<ServerTlsMode> {
    let (mode, place) = match &tls.mode {
        Some(mode) => (mode.value, &mode.place),
        // The first of Istio's modes, which is what an absent one means (`gateway.proto`, `TLSmode`).
        None => (ServerTlsMode::Passthrough, &tls.place),
    };
    let (name, instead) = match mode {
        ServerTlsMode::Simple | ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual => return Some(mode),
        ServerTlsMode::Passthrough => (
            "PASSTHROUGH",
            "it routes requests, which it has to read: use SIMPLE with a certificate of its own",
        ),
        ServerTlsMode::AutoPassthrough => {
            ("AUTO_PASSTHROUGH", "there are no other networks here: use SIMPLE with a certificate of its own")
        }
        ServerTlsMode::IstioMutual => {
            ("ISTIO_MUTUAL", "nobody hands out Istio's certificates here: use MUTUAL and name the files")
        }
    };
    let absent = if tls.mode.is_none() { " (`mode` is absent)" } else { "" };
    findings.note(
        format!("Gateway servers.tls.mode {name}"),
        format!("not served by this version{absent}; {instead}"),
        place,
    );
    None
}

/// Notes what is read and changes nothing.
fn note_the_rest(tls: &Spot<ServerTls>, findings: &mut Findings) {
    // By name, so that a new one has to be looked at.
    let ServerTls {
        https_redirect,
        mode: _,
        server_certificate: _,
        private_key: _,
        ca_certificates: _,
        ca_crl: _,
        credential_name: _,
        credential_names: _,
        ca_cert_credential_name: _,
        tls_certificates: _,
        subject_alt_names: _,
        verify_certificate_spki: _,
        verify_certificate_hash: _,
        min_protocol_version: _,
        max_protocol_version: _,
        cipher_suites: _,
        ecdh_curves: _,
        alpn_protocols: _,
        insecure_skip_verify: _,
    } = &tls.value;
    if let Some(redirect) = https_redirect.as_ref().filter(|redirect| redirect.value) {
        let text = "means nothing where TLS is spoken: it belongs to the server for HTTP";
        findings.note(field("httpsRedirect"), text, &redirect.place);
    }
}

fn written(text: &Option<Spot<String>>) -> Option<&Spot<String>> {
    text.as_ref().filter(|text| !text.is_empty())
}

/// The files of each certificate and its key.
fn certificates(tls: &Spot<ServerTls>, findings: &mut Findings) -> Option<Vec<(String, String)>> {
    let named = if tls.credential_names.is_empty() {
        written(&tls.credential_name).into_iter().collect()
    } else {
        tls.credential_names.iter().collect::<Vec<_>>()
    };
    if !named.is_empty() {
        let files = named.into_iter().map(|name| {
            Some((credential(name, Part::Certificate, findings)?, credential(name, Part::Key, findings)?))
        });
        return files.collect();
    }
    let listed = tls.tls_certificates.iter().filter_map(|each| {
        Some((written(&each.server_certificate)?.value.clone(), written(&each.private_key)?.value.clone()))
    });
    let mut all: Vec<_> = listed.collect();
    if let (Some(certificate), Some(key)) = (written(&tls.server_certificate), written(&tls.private_key)) {
        all.insert(0, (certificate.value.clone(), key.value.clone()));
    }
    if all.is_empty() {
        let text = "not served: none of them names a `serverCertificate` and its `privateKey`";
        findings.note(field("tlsCertificates"), text, &tls.place);
        return None;
    }
    Some(all)
}

fn credential(name: &Spot<String>, part: Part, findings: &mut Findings) -> Option<String> {
    let file = credential::file(name, part);
    if file.is_none() {
        let text = format!("not served: a credential is {}", credential::NAMES);
        findings.note(format!("Gateway servers.tls.credentialName {}", name.value), text, &name.place);
    }
    file
}

fn proof(tls: &Spot<ServerTls>, findings: &mut Findings) -> Option<Proof> {
    let credential_of = written(&tls.ca_cert_credential_name)
        .or_else(|| tls.credential_names.first())
        .or_else(|| written(&tls.credential_name));
    let listed = tls.tls_certificates.iter().find_map(|each| written(&each.ca_certificates));
    let trusted = match (credential_of, written(&tls.ca_certificates).or(listed)) {
        (Some(name), _) => credential(name, Part::Authority, findings)?,
        (None, Some(file)) => file.value.clone(),
        (None, None) => {
            let text = "not served: callers are to prove who they are, and nobody's word is taken for it";
            findings.note(field("caCertificates"), text, &tls.place);
            return None;
        }
    };
    let texts = |spots: &[Spot<String>]| spots.iter().map(|spot| spot.value.clone()).collect();
    Some(Proof {
        trusted,
        revoked: written(&tls.ca_crl).map(|file| file.value.clone()),
        names: texts(&tls.subject_alt_names),
        keys: texts(&tls.verify_certificate_spki),
        hashes: texts(&tls.verify_certificate_hash),
    })
}

/// The oldest and the newest version: of those that Istio knows, what is spoken here.
fn versions(tls: &Spot<ServerTls>, findings: &mut Findings) -> Option<(TlsVersion, TlsVersion)> {
    let place = |spot: &Option<Spot<Written>>| -> Place {
        spot.as_ref().map_or_else(|| tls.place.clone(), |spot| spot.place.clone())
    };
    let oldest = match tls.min_protocol_version.as_ref().map_or(Written::Auto, |version| version.value) {
        Written::Auto | Written::V1_2 => TlsVersion::V1_2,
        Written::V1_3 => TlsVersion::V1_3,
        Written::V1_0 | Written::V1_1 => {
            let text = "1.2 is the oldest version that is spoken: those before it are broken (RFC 8996)";
            findings.note(field("minProtocolVersion"), text, &place(&tls.min_protocol_version));
            TlsVersion::V1_2
        }
    };
    let newest = match tls.max_protocol_version.as_ref().map_or(Written::Auto, |version| version.value) {
        Written::Auto | Written::V1_3 => Some(TlsVersion::V1_3),
        Written::V1_2 => Some(TlsVersion::V1_2),
        Written::V1_0 | Written::V1_1 => None,
    };
    match newest.filter(|newest| oldest <= *newest) {
        Some(newest) => Some((oldest, newest)),
        None => {
            let text = "not served: no version is left between the oldest and the newest, and 1.2 is the oldest spoken";
            findings.note(field("maxProtocolVersion"), text, &place(&tls.max_protocol_version));
            None
        }
    }
}

/// What TLS 1.2 may be encrypted with.
fn ciphers(
    tls: &Spot<ServerTls>,
    newest: TlsVersion,
    findings: &mut Findings,
) -> Option<Option<Vec<Cipher>>> {
    let Some(first) = tls.cipher_suites.first() else { return Some(None) };
    let mut known = Vec::new();
    for name in &tls.cipher_suites {
        match Cipher::named(name) {
            Some(cipher) => known.push(cipher),
            None => {
                let text =
                    "not offered: it lacks forward secrecy or authenticated encryption, or nobody knows it";
                findings.note(format!("Gateway servers.tls.cipherSuites {}", name.value), text, &name.place);
            }
        }
    }
    if known.is_empty() && newest == TlsVersion::V1_2 {
        let text = "not served: none of these ciphers is spoken";
        findings.note(field("cipherSuites"), text, &first.place);
        return None;
    }
    Some(Some(known))
}

/// Those of a list that are known here. `None`, with a note: of those that are asked for none is; `Some(None)`: nothing
/// is asked for.
fn known<T>(
    list: &[Spot<String>],
    name: &str,
    named: fn(&str) -> Option<T>,
    what: &str,
    findings: &mut Findings,
) -> Option<Option<Vec<T>>> {
    let Some(first) = list.first() else { return Some(None) };
    let mut all = Vec::new();
    for written in list {
        match named(written) {
            Some(value) => all.push(value),
            None => {
                let subject = format!("{} {}", field(name), written.value);
                findings.note(subject, "not offered: this version does not know it", &written.place);
            }
        }
    }
    if all.is_empty() {
        findings.note(field(name), format!("not served: none of these {what} is known"), &first.place);
        return None;
    }
    Some(Some(all))
}
