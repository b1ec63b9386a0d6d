//! Who may call what, and whose tokens are believed: by names in, by ids out.

use super::directory::{Directory, ISSUER};
use super::findings::Findings;
use super::services::Services;
use super::works::operation;
use crate::kinds::access::{AccessFrom, AccessTo};
use crate::kinds::issuer::KeysUrl;
use crate::kinds::{Access as WrittenAccess, Doc, Documents, Issuer as WrittenIssuer};
use crate::mistake::Spot;
use crate::resolved::access::{Access, AccessRule, Callable, Issuer, IssuerId, KeySource, Proof};
use crate::resolved::{CallerProof, Listener};
use std::sync::Arc;
use std::time::Duration;

/// How far clocks may be apart where nobody says it: machines that keep time differ by less.
const LEEWAY: Duration = Duration::from_secs(30);

/// The most rules: their numbers are kept in two bytes of each decision.
const RULES_MAX: usize = u16::MAX as usize;

/// All issuers; an id is the index of its document.
pub(super) fn issuers(documents: &Documents, findings: &mut Findings) -> Vec<Issuer> {
    for (index, second) in documents.issuers.iter().enumerate() {
        let same = |first: &&Doc<WrittenIssuer>| first.spec.issuer.value == second.spec.issuer.value;
        if let Some(first) = documents.issuers[..index].iter().find(same) {
            let what = format!("whose tokens those of `{}` are", second.spec.issuer.value);
            let places = (&second.spec.issuer.place, &first.spec.issuer.place);
            findings.said_twice_by(&what, places.0, places.1, "one Issuer may have several audiences");
        }
    }
    documents.issuers.iter().map(|document| issuer(document, findings)).collect()
}

fn issuer(document: &Doc<WrittenIssuer>, findings: &mut Findings) -> Issuer {
    let (meta, spec) = (&document.meta, &document.spec);
    let text = |spot: &Spot<String>| Arc::from(spot.value.as_str());
    let url = spec.keys.url.as_ref().and_then(|url| Some((url, KeysUrl::parse(url)?)));
    if let Some((url, _)) = url.as_ref().filter(|(_, at)| !at.secure && !at.is_local()) {
        let text = "keys come over plain HTTP: whoever is on the way may put others in their place";
        findings.note(format!("Issuer {}", meta.name), text, &url.place);
    }
    let keys = match (url, &spec.keys.file) {
        (Some((_, at)), _) => KeySource::Url {
            secure: at.secure,
            host: at.host.into(),
            port: at.port,
            path: at.path.into(),
            ca: spec.keys.ca.as_ref().map(text),
        },
        // What is wrong with it was said when it was read.
        (None, file) => KeySource::File(file.as_ref().map(text).unwrap_or_default()),
    };
    Issuer {
        name: meta.name.as_str().into(),
        namespace: meta.namespace.as_str().into(),
        place: meta.place.clone(),
        issuer: text(&spec.issuer),
        audiences: spec.audiences.iter().map(text).collect(),
        keys,
        leeway: spec.leeway.as_ref().map_or(LEEWAY, |leeway| leeway.value),
    }
}

/// All rules; `None`: there is none, and nobody is denied anything.
pub(super) fn access(
    documents: &Documents,
    services: &Services,
    listeners: &[Listener],
    findings: &mut Findings,
) -> Option<Access> {
    let issuers = Directory::of(ISSUER, &documents.issuers);
    let first = documents.access.first()?;
    if RULES_MAX < documents.access.len() {
        let found = format!("{} documents of kind Access", documents.access.len());
        findings.mistake("too-many", &first.place, found, format!("at most {RULES_MAX}"), None);
    }
    let asked = |listener: &Listener| {
        listener.tls.as_ref().is_some_and(|tls| !matches!(tls.callers, CallerProof::None))
    };
    let certificates = listeners.iter().any(asked);
    let rules =
        documents.access.iter().map(|document| rule(document, services, &issuers, certificates, findings));
    Some(Access { rules: rules.collect() })
}

fn rule(
    document: &Doc<WrittenAccess>,
    services: &Services,
    issuers: &Directory<'_>,
    certificates: bool,
    findings: &mut Findings,
) -> AccessRule {
    let (meta, spec) = (&document.meta, &document.spec);
    let from = spec.from.iter().filter_map(|from| {
        let proof = proof(from, &meta.namespace, services, issuers, findings)?;
        if !certificates && matches!(proof, Proof::Identity(_)) {
            let text = "nobody can prove it: no server of a Gateway asks callers for a certificate (MUTUAL)";
            findings.note(format!("Access identity {proof}"), text, &from.place);
        }
        Some(proof)
    });
    let from = from.collect();
    let calls = spec.may.iter().filter_map(|to| callable(to, &meta.namespace, services, findings)).collect();
    let name = format!("Access {}/{}", meta.namespace, meta.name).into();
    AccessRule { name, place: meta.place.clone(), from, calls }
}

fn proof(
    from: &Spot<AccessFrom>,
    namespace: &str,
    services: &Services,
    issuers: &Directory<'_>,
    findings: &mut Findings,
) -> Option<Proof> {
    match &from.value {
        AccessFrom::Anyone(_) => Some(Proof::Anyone),
        AccessFrom::Identity(name) => Some(Proof::Identity(name.value.as_str().into())),
        AccessFrom::Service(name) => {
            let Some(id) = services.names.find(name, namespace) else {
                super::policies::unknown_service(name, namespace, services, findings);
                return None;
            };
            let service = services.get(id);
            if service.identities.is_empty() && !service.proves_itself_among(&services.all) {
                let found = format!("nobody can prove to be `{}`", name.value);
                let expected = "a Service with `identities`, the names in its certificate, or with `run` and a \
                                name that no other namespace runs: what `bowline up` starts gets a token";
                findings.mistake("unprovable", &name.place, found, expected, None);
            }
            let (name, identities) = (Arc::clone(&service.name), service.identities.clone().into());
            Some(Proof::Service { service: id, name, identities })
        }
        AccessFrom::Jwt(jwt) => {
            let issuer = issuers.look_up(&jwt.issuer, namespace, findings)?;
            let text = |spot: &Spot<String>| Arc::from(spot.value.as_str());
            let claims = jwt.claims.iter().map(|(name, value)| (name.as_str().into(), text(value))).collect();
            let (name, subject) = (text(&jwt.issuer), jwt.subject.as_ref().map(text));
            Some(Proof::Token { issuer: IssuerId(issuer), name, subject, claims })
        }
    }
}

fn callable(
    to: &Spot<AccessTo>,
    namespace: &str,
    services: &Services,
    findings: &mut Findings,
) -> Option<Callable> {
    match &to.value {
        AccessTo::Call(name) => {
            // A service's own name may have dots in it; an operation's has none.
            if let Some(service) = services.names.find(name, namespace) {
                return Some(Callable { service, operation: None });
            }
            if !name.contains('.') {
                super::policies::unknown_service(name, namespace, services, findings);
                return None;
            }
            let (service, operation) = operation(name, namespace, services, findings)?;
            Some(Callable { service, operation: Some(operation) })
        }
        // A rule that is not enforced would look like one that is.
        AccessTo::Publish(name) => not_served("publish", name, findings),
        AccessTo::Start(name) => not_served("start", name, findings),
    }
}

fn not_served(what: &str, name: &Spot<String>, findings: &mut Findings) -> Option<Callable> {
    let found = format!("`{what}: {}`", name.value);
    let expected = format!("`call`: this version guards calls, and nobody yet who may {what}");
    findings.mistake("not-served", &name.place, found, expected, None);
    None
}
