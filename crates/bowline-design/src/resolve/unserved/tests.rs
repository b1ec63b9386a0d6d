//! Every field of Istio's four kinds is acted on, refused, or noted by its name, and the guide says which.

use crate::kinds::{DestinationRule, Gateway, ServiceEntry, VirtualService};
use crate::mistake::Text;
use crate::read::reader::Read;
use crate::read::shape::Shape;
use std::collections::BTreeSet;

mod words;
mod works;

/// What is looked at and does nothing else: written like this it is refused.
const CHECKED: [(&str, &str); 1] = [(
    "Gateway.servers.port.name",
    "{ servers: [ { hosts: ['*'], port: { number: 80, name: http, protocol: HTTP } }, { hosts: ['*'], port: { number: 81, name: http, protocol: HTTP } } ] }",
)];

/// What is refused wherever it is written: by Istio itself, or because this version does not do it.
const REFUSED: [(&str, &str); 7] = [
    (
        "VirtualService.http.fault.delay.exponentialDelay",
        "{ hosts: [a], http: [ { route: [ { destination: { host: a } } ], fault: { delay: { exponentialDelay: 1s } } } ] }",
    ),
    (
        "VirtualService.http.fault.abort.http2Error",
        "{ hosts: [a], http: [ { route: [ { destination: { host: a } } ], fault: { abort: { http2Error: NO_ERROR } } } ] }",
    ),
    (
        "Gateway.servers.port.targetPort",
        "{ servers: [ { hosts: ['*'], port: { number: 80, name: http, protocol: HTTP, targetPort: 81 } } ] }",
    ),
    (
        "Gateway.servers.tls.insecureSkipVerify",
        "{ servers: [ { hosts: ['*'], port: { number: 443, name: https, protocol: HTTPS }, tls: { mode: MUTUAL, credentialName: c, insecureSkipVerify: true } } ] }",
    ),
    (
        "DestinationRule.trafficPolicy.loadBalancer.backendUtilization",
        "{ host: a, trafficPolicy: { loadBalancer: { backendUtilization: { weightUpdatePeriod: 1s } } } }",
    ),
    (
        "DestinationRule.trafficPolicy.tunnel",
        "{ host: a, trafficPolicy: { tunnel: { targetHost: far, targetPort: 443 } } }",
    ),
    (
        "DestinationRule.trafficPolicy.proxyProtocol",
        "{ host: a, trafficPolicy: { proxyProtocol: { version: V1 } } }",
    ),
];

/// What is noted, with all that stands below it, and a spec that asks for it.
fn noted() -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut add = |path: &str, spec: String| all.push((path.to_owned(), spec));

    let route = "route: [ { destination: { host: a } } ]";
    add(
        "VirtualService.tls",
        format!("{{ hosts: [a], tls: [ {{ match: [ {{ sniHosts: [a] }} ], {route} }} ] }}"),
    );
    add("VirtualService.tcp", format!("{{ hosts: [a], tcp: [ {{ {route} }} ] }}"));
    add("VirtualService.exportTo", format!("{{ hosts: [a], exportTo: ['.'], http: [ {{ {route} }} ] }}"));
    for (field, rule) in [
        ("match.sourceLabels", "match: [ { sourceLabels: { app: web } } ]"),
        ("match.sourceNamespace", "match: [ { sourceNamespace: front } ]"),
        ("match.statPrefix", "match: [ { statPrefix: orders } ]"),
        ("retries.retryRemoteLocalities", "retries: { attempts: 1, retryRemoteLocalities: true }"),
    ] {
        let path = format!("VirtualService.http.{field}");
        add(&path, format!("{{ hosts: [a], http: [ {{ {route}, {rule} }} ] }}"));
    }

    add("DestinationRule.exportTo", "{ host: a, exportTo: ['.'] }".to_owned());
    add(
        "DestinationRule.workloadSelector",
        "{ host: a, workloadSelector: { matchLabels: { app: web } } }".to_owned(),
    );
    for (field, policy) in [
        ("loadBalancer.localityLbSetting", "loadBalancer: { localityLbSetting: { enabled: true } }"),
        ("loadBalancer.zoneAwareLbSetting", "loadBalancer: { zoneAwareLbSetting: { enabled: true } }"),
        (
            "loadBalancer.consistentHash.httpCookie.ttl",
            "loadBalancer: { consistentHash: { httpCookie: { name: u, ttl: 1h } } }",
        ),
        (
            "loadBalancer.consistentHash.httpCookie.path",
            "loadBalancer: { consistentHash: { httpCookie: { name: u, path: /, ttl: 1h } } }",
        ),
        (
            "loadBalancer.consistentHash.httpCookie.attributes",
            "loadBalancer: { consistentHash: { httpCookie: { name: u, ttl: 1h, attributes: [ { name: SameSite } ] } } }",
        ),
        // Beside a limit it is acted on: the queue of a bulkhead.
        (
            "connectionPool.http.http1MaxPendingRequests",
            "connectionPool: { http: { http1MaxPendingRequests: 9 } }",
        ),
        ("connectionPool.http.useClientProtocol", "connectionPool: { http: { useClientProtocol: true } }"),
        ("retryBudget.budgetInterval", "retryBudget: { budgetInterval: 10s }"),
    ] {
        let path = format!("DestinationRule.trafficPolicy.{field}");
        add(&path, format!("{{ host: a, trafficPolicy: {{ {policy} }} }}"));
        add(&path, format!("{{ host: a, subsets: [ {{ name: v1, trafficPolicy: {{ {policy} }} }} ] }}"));
        let of_ports = ["loadBalancer", "connectionPool", "outlierDetection", "tls"];
        if of_ports.iter().any(|block| policy.starts_with(block)) {
            let at_port = format!("portLevelSettings: [ {{ port: {{ number: 80 }}, {policy} }} ]");
            add(&path, format!("{{ host: a, trafficPolicy: {{ {at_port} }} }}"));
        }
    }

    let ports = "ports: [ { number: 80, name: http, protocol: HTTP } ]";
    for (field, spec) in [
        ("location", format!("{ports}, resolution: DNS, location: MESH_INTERNAL")),
        ("addresses", format!("{ports}, resolution: STATIC, addresses: [ 10.0.0.1 ]")),
        ("workloadSelector", format!("{ports}, workloadSelector: {{ labels: {{ app: a }} }}")),
        ("exportTo", format!("{ports}, resolution: DNS, exportTo: ['.']")),
    ] {
        add(&format!("ServiceEntry.{field}"), format!("{{ hosts: [ a.test ], {spec} }}"));
    }
    for (field, written) in [("network", "n"), ("locality", "here/there"), ("serviceAccount", "sa")] {
        let endpoint = format!("endpoints: [ {{ address: 10.0.0.2, {field}: {written} }} ]");
        let spec = format!("{{ hosts: [ a.test ], {ports}, resolution: STATIC, {endpoint} }}");
        add(&format!("ServiceEntry.endpoints.{field}"), spec);
    }

    let http = "hosts: ['*'], port: { number: 80, name: http, protocol: HTTP }";
    add(
        "Gateway.selector",
        format!("{{ selector: {{ istio: ingressgateway }}, servers: [ {{ {http} }} ] }}"),
    );
    add("Gateway.servers.name", format!("{{ servers: [ {{ {http}, name: front }} ] }}"));
    add(
        "Gateway.servers.defaultEndpoint",
        format!("{{ servers: [ {{ {http}, defaultEndpoint: 127.0.0.1:80 }} ] }}"),
    );
    all
}

/// The fields that hold no others, by their paths. A matcher counts as one, and what a subset or a port
/// says of its traffic counts like what the host says.
fn fields() -> BTreeSet<String> {
    fn collect(shape: &Shape, path: &str, found: &mut BTreeSet<String>) {
        match shape {
            Shape::List(inner) | Shape::Map(inner) => collect(inner, path, found),
            Shape::Record(record) => {
                for field in (record.fields)() {
                    let path = format!("{path}.{}", field.name)
                        .replace("subsets.trafficPolicy", "trafficPolicy")
                        .replace("portLevelSettings.loadBalancer", "loadBalancer")
                        .replace("portLevelSettings.connectionPool", "connectionPool")
                        .replace("portLevelSettings.outlierDetection", "outlierDetection")
                        .replace("portLevelSettings.tls", "tls");
                    collect(&(field.shape)(), &path, found);
                }
            }
            _ => {
                found.insert(path.to_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    collect(&VirtualService::shape(), "VirtualService", &mut found);
    collect(&DestinationRule::shape(), "DestinationRule", &mut found);
    collect(&ServiceEntry::shape(), "ServiceEntry", &mut found);
    collect(&Gateway::shape(), "Gateway", &mut found);
    found
}

/// The fields that Istio's own schemas have.
fn istios() -> Vec<&'static str> {
    let all = include_str!("../../../tests/fixtures/istio-fields.txt");
    all.lines().filter(|line| !line.starts_with('#')).collect()
}

fn document(path: &str, spec: &str) -> [Text; 1] {
    let kind = path.split('.').next().unwrap();
    let text =
        format!("apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{ name: a }}\nspec: {spec}\n");
    [Text { name: "istio.yaml".into(), text }]
}

fn within(field: &str, path: &str) -> bool {
    field.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What comes of a field, and what is said about it: found out, not written down.
fn truth(field: &str) -> (&'static str, String) {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    if let Some(works) = works::ALL.iter().find(|works| works.field == field) {
        assert_ne!(
            meaning(field, works.spec, works.with),
            meaning(field, works.spec, works.without),
            "{field}"
        );
        return ("works", String::new());
    }
    if let Some((path, spec)) = noted().into_iter().find(|(path, _)| within(field, path)) {
        let design = crate::load(&document(&path, &spec)).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let names = |subject: &str| subject.split(['.', ' ', ':']).any(|word| *word == last(&path));
        let note = design.notes.iter().find(|note| names(&note.subject));
        let note = note.unwrap_or_else(|| panic!("{path}: only {:?} of {spec}", design.notes));
        let beside = note.subject.split_once(" (").map_or("", |(_, rest)| rest.trim_end_matches(')'));
        let text = if beside.is_empty() { &*note.text } else { beside };
        return ("noted", text.to_owned());
    }
    if let Some((path, spec)) = REFUSED.iter().find(|(path, _)| within(field, path)) {
        return ("refused", refusal(path, spec));
    }
    let checked = CHECKED.iter().find(|(path, _)| *path == field);
    let (path, spec) = checked.unwrap_or_else(|| panic!("{field}: nobody knows what comes of it"));
    ("works", format!("refused where {}", refusal(path, spec)))
}

fn refusal(path: &str, spec: &str) -> String {
    let mistakes = crate::load(&document(path, spec)).expect_err(spec);
    let last = path.rsplit('.').next().unwrap_or_default();
    let named = mistakes.iter().find(|mistake| mistake.place.path.ends_with(last));
    let named = named.unwrap_or_else(|| panic!("{path}: {mistakes:?}"));
    format!("found {}, expected {}", named.found, named.expected)
}

/// What a document means, in words of the resolved design. What is written stays as long as it may be, so that
/// places do not differ.
fn meaning(path: &str, spec: &str, written: &str) -> String {
    let longest = works::ALL.iter().map(|works| works.with.len().max(works.without.len())).max().unwrap_or(0);
    let spec = spec.replace('@', &format!("{written:longest$}"));
    let mut design =
        crate::load(&document(path, &spec)).unwrap_or_else(|mistakes| panic!("{spec}\n{mistakes:?}"));
    design.notes.clear();
    // Where a word ends depends on its length alone.
    let text = format!("{design:?}");
    let mut parts = text.split("end: (");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once(')').map_or("", |(_, rest)| rest))
}

#[test]
fn every_field_that_istio_has_is_known_and_no_other() {
    let (known, istios) = (fields(), istios());
    for field in &istios {
        assert!(
            known.iter().any(|own| within(field, own)),
            "{field} is a field of Istio's, and nobody reads it"
        );
    }
    for own in &known {
        assert!(istios.iter().any(|field| within(field, own)), "{own} is read, and no field of Istio's");
    }
}

#[test]
fn the_guide_says_of_every_field_what_comes_of_it_and_no_field_is_silently_ignored() {
    let text = include_str!("../../../../../docs/guide/istio-fields.md");
    let head = text.split("\n## ").next().unwrap_or_default().trim_end();
    let mut told = format!("{head}\n");
    let mut kind = "";
    for field in istios() {
        let own = field.split('.').next().unwrap_or_default();
        if own != kind {
            kind = own;
            told.push_str(&format!("\n## {kind}\n\n| field | what comes of it | |\n|---|---|---|\n"));
        }
        let (says, remark) = truth(field);
        let field = field.strip_prefix(kind).unwrap_or(field).trim_start_matches('.');
        told.push_str(&row(&[&format!("`{field}`"), says, &remark]));
    }
    told.push_str("\n## Words\n\n| field | word | what comes of it | |\n|---|---|---|---|\n");
    for (field, word, says, remark) in words::all() {
        told.push_str(&row(&[&format!("`{field}`"), &format!("`{word}`"), says, &remark]));
    }
    // A test of this crate writes nothing: whoever changed what comes of a field copies the page from here.
    assert!(text == told, "docs/guide/istio-fields.md differs; it would be:\n{told}");
}

fn row(cells: &[&str]) -> String {
    let row = cells.iter().map(|cell| format!("| {}", cell.replace('|', "or"))).collect::<Vec<_>>().join(" ");
    format!("{} |\n", row.trim_end())
}

#[test]
fn whatever_is_said_to_work_is_a_field() {
    let fields = fields();
    for works in works::ALL {
        assert!(fields.contains(works.field), "{}: there is no such field", works.field);
    }
    for (path, _) in noted() {
        assert!(fields.iter().any(|field| within(field, &path)), "{path}: there is no such field");
    }
}

#[test]
fn what_is_not_acted_on_is_noted_by_its_name() {
    for (path, spec) in noted() {
        let text = document(&path, &spec);
        let design = crate::load(&text).unwrap_or_else(|mistakes| panic!("{spec}\n{mistakes:?}"));
        let field = path.rsplit('.').next().unwrap();
        let named = |subject: &str| subject.split(['.', ' ', ':']).any(|word| word == field);
        let notes: Vec<&str> = design.notes.iter().map(|note| &*note.subject).collect();
        assert!(notes.iter().any(|subject| named(subject)), "{path}: only {notes:?} of {spec}");
    }
}

#[test]
fn what_is_refused_is_refused_by_its_name() {
    for (path, spec) in REFUSED {
        let mistakes = crate::load(&document(path, spec)).expect_err(spec);
        let field = path.rsplit('.').next().unwrap();
        assert!(mistakes.iter().any(|mistake| mistake.place.path.ends_with(field)), "{path}: {mistakes:?}");
    }
}

#[test]
fn what_is_asked_for_and_done_anyway_is_not_noted() {
    for (kind, spec) in [
        (
            "DestinationRule",
            "{ host: a, trafficPolicy: { connectionPool: { http: { h2UpgradePolicy: DO_NOT_UPGRADE, useClientProtocol: false } } } }",
        ),
        (
            "DestinationRule",
            "{ host: a, trafficPolicy: { connectionPool: { http: { h2UpgradePolicy: UPGRADE } } } }",
        ),
        (
            "DestinationRule",
            "{ host: a, trafficPolicy: { tls: { mode: SIMPLE, sni: b, subjectAltNames: [ c ] } } }",
        ),
        ("DestinationRule", "{ host: a, trafficPolicy: { tls: { mode: DISABLE } } }"),
        (
            "ServiceEntry",
            "{ hosts: [ a.test ], ports: [ { number: 80, name: http, protocol: GRPC } ], resolution: DNS, location: MESH_EXTERNAL }",
        ),
        (
            "ServiceEntry",
            "{ hosts: [ a.test ], ports: [ { number: 80, name: http, protocol: http } ], resolution: DNS, location: MESH_EXTERNAL }",
        ),
    ] {
        let design = crate::load(&document(kind, spec)).unwrap();
        let notes: Vec<_> = design.notes.iter().filter(|note| note.subject != "a").collect();
        assert!(notes.is_empty(), "{notes:?}");
    }
}

#[test]
fn a_port_that_speaks_tls_is_told_that_it_gets_plain_http() {
    let text = |protocol: &str| {
        let spec = format!(
            "{{ hosts: [ a.test ], ports: [ {{ number: 443, name: p, protocol: {protocol} }} ], resolution: DNS }}"
        );
        let design = crate::load(&document("ServiceEntry", &spec)).unwrap();
        design.notes.iter().map(|note| format!("{}: {}", note.subject, note.text)).collect::<Vec<_>>()
    };
    let tls = |name| {
        [format!(
            "ServiceEntry ports.protocol {name}: plain HTTP/1.1 is spoken to it, unless the `tls` of a DestinationRule says otherwise"
        )]
    };
    assert_eq!(text("HTTPS"), tls("HTTPS"));
    assert_eq!(text("tls"), tls("tls"));
    assert_eq!(
        text("TCP"),
        [
            "ServiceEntry ports.protocol TCP: HTTP/1.1 is spoken to it: this version speaks nothing else but HTTP"
        ]
    );
    assert_eq!(text("GRPC"), [""; 0]);
}

#[test]
fn certificates_that_istio_would_hand_out_are_told_to_be_missing() {
    let spec = "{ host: a, trafficPolicy: { tls: { mode: ISTIO_MUTUAL } } }";
    let design = crate::load(&document("DestinationRule", spec)).unwrap();
    assert!(design.notes.iter().any(|note| note.subject.contains("ISTIO_MUTUAL")), "{:?}", design.notes);
}

#[test]
fn names_that_nobody_looks_at_are_told_of() {
    let notes = |more: &str| {
        let spec = format!(
            "{{ hosts: [ a.test ], ports: [ {{ number: 443, name: p, protocol: HTTP }} ], resolution: DNS, subjectAltNames: [ b.test ] }}\n{more}"
        );
        let design = crate::load(&document("ServiceEntry", &spec)).unwrap();
        design.notes.iter().map(|note| note.subject.clone()).collect::<Vec<_>>()
    };
    assert_eq!(notes(""), ["ServiceEntry subjectAltNames"]);
    let rule = |host: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{ name: a }}\n\
             spec: {{ host: {host}, subsets: [ {{ name: v1, trafficPolicy: {{ tls: {{ mode: SIMPLE }} }} }} ] }}\n"
        )
    };
    assert_eq!(notes(&rule("'*.test'")), [""; 0]);
    assert_eq!(notes(&rule("c.test"))[0], "ServiceEntry subjectAltNames");
}
