//! Fields of which one of a few words is written: what comes of each.

use super::{document, meaning};
use bowline_policy::conditions;

/// Rows of the guide: field, word, what comes of it, and what is said about it.
pub(super) fn all() -> Vec<(&'static str, String, &'static str, String)> {
    let mut all = Vec::new();
    for (field, spec, words) in fields() {
        for word in &words {
            let (says, remark) = truth(field, spec, word, &words);
            all.push((field, word.clone(), says, remark));
        }
    }
    all
}

/// `@` stands for the word.
fn fields() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let plain = words("HTTP HTTP2 GRPC GRPC-WEB TCP UDP MONGO REDIS MYSQL");
    let conditions = conditions::ALL.iter().map(|condition| condition.as_str().to_owned());
    vec![
        (
            "VirtualService.http.retries.retryOn",
            "{ hosts: [a], http: [ { route: [ { destination: { host: a } } ], retries: { attempts: 3, retryOn: @ } } ] }",
            conditions.chain(["'503'".to_owned()]).collect(),
        ),
        (
            "VirtualService.http.corsPolicy.unmatchedPreflights",
            "{ hosts: [a], http: [ { route: [ { destination: { host: a } } ], corsPolicy: { allowOrigins: [ { exact: 'https://a' } ], unmatchedPreflights: @ } } ] }",
            words("UNSPECIFIED FORWARD IGNORE"),
        ),
        (
            "VirtualService.http.redirect.derivePort",
            "{ hosts: [a], http: [ { redirect: { uri: /x, derivePort: @ } } ] }",
            words("FROM_PROTOCOL_DEFAULT FROM_REQUEST_PORT"),
        ),
        (
            "DestinationRule.trafficPolicy.loadBalancer.simple",
            "{ host: a, trafficPolicy: { loadBalancer: { simple: @ } } }",
            words("UNSPECIFIED LEAST_CONN LEAST_REQUEST RANDOM ROUND_ROBIN PASSTHROUGH"),
        ),
        (
            "DestinationRule.trafficPolicy.connectionPool.http.h2UpgradePolicy",
            "{ host: a, trafficPolicy: { connectionPool: { http: { h2UpgradePolicy: @ } } } }",
            words("DEFAULT DO_NOT_UPGRADE UPGRADE"),
        ),
        (
            "DestinationRule.trafficPolicy.tls.mode",
            "{ host: a, trafficPolicy: { tls: { mode: @, clientCertificate: c, privateKey: k } } }",
            words("DISABLE SIMPLE MUTUAL ISTIO_MUTUAL"),
        ),
        (
            "ServiceEntry.location",
            "{ hosts: [ a.test ], ports: [ { number: 80, name: http, protocol: HTTP } ], resolution: DNS, location: @ }",
            words("MESH_EXTERNAL MESH_INTERNAL"),
        ),
        (
            "ServiceEntry.resolution",
            "{ hosts: [ a.test ], ports: [ { number: 80, name: http, protocol: HTTP } ], resolution: @ }",
            words("NONE DNS DNS_ROUND_ROBIN"),
        ),
        (
            "ServiceEntry.resolution",
            "{ hosts: [ a.test ], ports: [ { number: 80, name: http, protocol: HTTP } ], resolution: @, endpoints: [ { address: 10.0.0.1 } ] }",
            words("STATIC"),
        ),
        (
            "ServiceEntry.resolution",
            "{ hosts: [ '*.test' ], ports: [ { number: 80, name: http, protocol: HTTP } ], resolution: @ }",
            words("DYNAMIC_DNS"),
        ),
        (
            "ServiceEntry.ports.protocol",
            "{ hosts: [ a.test ], ports: [ { number: 80, name: http, protocol: @ } ], resolution: DNS }",
            [plain.clone(), words("HTTPS TLS")].concat(),
        ),
        (
            "Gateway.servers.port.protocol",
            "{ servers: [ { hosts: ['*'], port: { number: 80, name: http, protocol: @ } } ] }",
            plain,
        ),
        (
            "Gateway.servers.port.protocol",
            "{ servers: [ { hosts: ['*'], port: { number: 80, name: http, protocol: @ }, tls: { mode: SIMPLE, credentialName: c } } ] }",
            words("HTTPS TLS"),
        ),
        (
            "Gateway.servers.tls.mode",
            "{ servers: [ { hosts: ['*'], port: { number: 443, name: https, protocol: HTTPS }, tls: { mode: @, credentialName: c } } ] }",
            words("SIMPLE MUTUAL OPTIONAL_MUTUAL PASSTHROUGH AUTO_PASSTHROUGH"),
        ),
        (
            "Gateway.servers.tls.mode",
            "{ servers: [ { hosts: ['*'], port: { number: 443, name: https, protocol: HTTPS }, tls: { mode: @ } } ] }",
            words("ISTIO_MUTUAL"),
        ),
        (
            "Gateway.servers.tls.minProtocolVersion",
            "{ servers: [ { hosts: ['*'], port: { number: 443, name: https, protocol: HTTPS }, tls: { mode: SIMPLE, credentialName: c, minProtocolVersion: @ } } ] }",
            words("TLS_AUTO TLSV1_0 TLSV1_1 TLSV1_2 TLSV1_3"),
        ),
        (
            "Gateway.servers.tls.maxProtocolVersion",
            "{ servers: [ { hosts: ['*'], port: { number: 443, name: https, protocol: HTTPS }, tls: { mode: SIMPLE, credentialName: c, maxProtocolVersion: @ } } ] }",
            words("TLS_AUTO TLSV1_0 TLSV1_1 TLSV1_2 TLSV1_3"),
        ),
        (
            "Gateway.servers.tls.cipherSuites",
            "{ servers: [ { hosts: ['*'], port: { number: 443, name: https, protocol: HTTPS }, tls: { mode: SIMPLE, credentialName: c, cipherSuites: [ @ ] } } ] }",
            words(
                "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384 \
                 ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305 ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA \
                 ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-SHA AES256-SHA DES-CBC3-SHA",
            ),
        ),
        (
            "Gateway.servers.tls.ecdhCurves",
            "{ servers: [ { hosts: ['*'], port: { number: 443, name: https, protocol: HTTPS }, tls: { mode: SIMPLE, credentialName: c, ecdhCurves: [ X25519, @ ] } } ] }",
            words("X25519 P-256 P-384 P-521 X25519MLKEM768"),
        ),
        (
            "Gateway.servers.tls.alpnProtocols",
            "{ servers: [ { hosts: ['*'], port: { number: 443, name: https, protocol: HTTPS }, tls: { mode: SIMPLE, credentialName: c, alpnProtocols: [ h2, @ ] } } ] }",
            words("h2 http/1.1 http/1.0 istio"),
        ),
    ]
}

/// What comes of a word, and what is said about it: found out, not written down.
fn truth(field: &str, spec: &str, word: &str, words: &[String]) -> (&'static str, String) {
    if let Some(note) = noted(field, spec, word) {
        return ("noted", note);
    }
    let own = meaning(field, spec, word);
    let works = |other: &&String| *other != word && noted(field, spec, other).is_none();
    let others: Vec<&String> = words.iter().filter(works).collect();
    let same: Vec<&str> =
        others.iter().filter(|other| meaning(field, spec, other) == own).map(|it| it.as_str()).collect();
    // Where another word is noted, that is the difference.
    let differs = others.len() + 1 < words.len() || others.is_empty() || same.len() < others.len();
    assert!(differs, "{field}: it makes no difference whether {word} is written");
    let remark = if same.is_empty() { String::new() } else { format!("as `{}`", same.join("`, `")) };
    ("works", remark)
}

/// What is said about a word that nothing comes of.
fn noted(field: &str, spec: &str, word: &str) -> Option<String> {
    let last = field.rsplit('.').next().unwrap_or_default();
    let document = document(field, &spec.replace('@', word));
    let design = crate::load(&document).unwrap_or_else(|mistakes| panic!("{field} {word}: {mistakes:?}"));
    let is_about = |subject: &str| {
        subject.ends_with(".test") || subject.split(['.', ' ']).any(|part| part == last || part == word)
    };
    let note = design.notes.iter().find(|note| note.subject != "a" && is_about(&note.subject))?;
    let beside = note.subject.split_once(" (").map(|(_, rest)| rest.trim_end_matches(')'));
    Some(beside.unwrap_or(&note.text).to_owned())
}
