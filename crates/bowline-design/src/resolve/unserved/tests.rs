//! Every field of Istio's four kinds is acted on, refused, or noted by its name.

use crate::kinds::{DestinationRule, Gateway, ServiceEntry, VirtualService};
use crate::mistake::Text;
use crate::read::reader::Read;
use crate::read::shape::Shape;
use std::collections::BTreeSet;

/// What is acted on: fields of a mapping, one mapping a line. Names of ports are: they have to differ,
/// and endpoints use those of a ServiceEntry.
const ACTED_ON: &str = "
VirtualService: hosts gateways
VirtualService.http: name timeout mirrorPercent mirrorPercentage.value
VirtualService.http.match: name uri scheme method authority headers withoutHeaders queryParams port gateways ignoreUriCase
VirtualService.http.route: destination.host destination.subset destination.port.number weight
VirtualService.http.route.headers: request.set request.add request.remove response.set response.add response.remove
VirtualService.http.headers: request.set request.add request.remove response.set response.add response.remove
VirtualService.http.redirect: uri prefixRewrite authority port derivePort scheme redirectCode
VirtualService.http.directResponse: status body.string body.bytes
VirtualService.http.delegate: name namespace
VirtualService.http.rewrite: uri authority uriRegexRewrite.match uriRegexRewrite.rewrite
VirtualService.http.retries: attempts perTryTimeout retryOn backoff
VirtualService.http.fault.delay: fixedDelay percentage.value percent
VirtualService.http.fault.abort: httpStatus grpcStatus percentage.value
VirtualService.http.mirror: host subset port.number
VirtualService.http.mirrors: destination.host destination.subset destination.port.number percentage.value
VirtualService.http.corsPolicy: allowOrigin allowOrigins allowMethods allowHeaders exposeHeaders maxAge
VirtualService.http.corsPolicy: allowCredentials unmatchedPreflights
DestinationRule: host
DestinationRule.subsets: name labels
DestinationRule.trafficPolicy.portLevelSettings: port.number
DestinationRule.trafficPolicy.connectionPool: tcp.maxConnections http.http2MaxRequests http.h2UpgradePolicy
DestinationRule.trafficPolicy.connectionPool.tcp: connectTimeout maxConnectionDuration idleTimeout
DestinationRule.trafficPolicy.connectionPool.tcp.tcpKeepalive: probes time interval
DestinationRule.trafficPolicy.connectionPool.http: maxRequestsPerConnection maxRetries idleTimeout
DestinationRule.trafficPolicy.connectionPool.http: maxConcurrentStreams http2KeepAlive.interval
DestinationRule.trafficPolicy.connectionPool.http: http2KeepAlive.timeout
DestinationRule.trafficPolicy.retryBudget: percent minRetryConcurrency
DestinationRule.trafficPolicy.loadBalancer: simple warmupDurationSecs
DestinationRule.trafficPolicy.loadBalancer.warmup: duration minimumPercent aggression
DestinationRule.trafficPolicy.loadBalancer.consistentHash: httpHeaderName httpCookie.name useSourceIp
DestinationRule.trafficPolicy.loadBalancer.consistentHash: httpQueryParameterName minimumRingSize
DestinationRule.trafficPolicy.loadBalancer.consistentHash: ringHash.minimumRingSize maglev.tableSize
DestinationRule.trafficPolicy.outlierDetection: consecutiveErrors splitExternalLocalOriginErrors
DestinationRule.trafficPolicy.outlierDetection: consecutiveLocalOriginFailures consecutiveGatewayErrors
DestinationRule.trafficPolicy.outlierDetection: consecutive5xxErrors interval baseEjectionTime
DestinationRule.trafficPolicy.outlierDetection: maxEjectionPercent minHealthPercent
DestinationRule.trafficPolicy.tls: mode clientCertificate privateKey caCertificates
DestinationRule.trafficPolicy.tls: subjectAltNames sni insecureSkipVerify caCrl
ServiceEntry: hosts resolution
ServiceEntry.ports: number name targetPort
ServiceEntry.endpoints: address ports labels weight
Gateway.servers: port.number port.name bind hosts
Gateway.servers.tls: httpsRedirect mode serverCertificate privateKey caCertificates caCrl credentialName
Gateway.servers.tls: credentialNames caCertCredentialName tlsCertificates.serverCertificate
Gateway.servers.tls: tlsCertificates.privateKey tlsCertificates.caCertificates subjectAltNames
Gateway.servers.tls: verifyCertificateSpki verifyCertificateHash minProtocolVersion maxProtocolVersion cipherSuites
";

/// What Istio itself refuses wherever it is written.
const REFUSED: [(&str, &str); 3] = [
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
        ("retries.retryIgnorePreviousHosts", "retries: { attempts: 1, retryIgnorePreviousHosts: false }"),
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
        (
            "outlierDetection.outlierDetectionHttpErrorCodes",
            "outlierDetection: { outlierDetectionHttpErrorCodes: [ 500 ] }",
        ),
        ("tls.credentialName", "tls: { mode: SIMPLE, credentialName: c }"),
        ("tunnel", "tunnel: { targetHost: far, targetPort: 443 }"),
        ("proxyProtocol", "proxyProtocol: { version: V1 }"),
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
        (
            "ports.protocol",
            "ports: [ { number: 443, name: https, protocol: HTTPS } ], resolution: DNS".to_owned(),
        ),
        ("location", format!("{ports}, resolution: DNS, location: MESH_INTERNAL")),
        ("addresses", format!("{ports}, resolution: STATIC, addresses: [ 10.0.0.1 ]")),
        ("workloadSelector", format!("{ports}, workloadSelector: {{ labels: {{ app: a }} }}")),
        ("exportTo", format!("{ports}, resolution: DNS, exportTo: ['.']")),
        ("subjectAltNames", format!("{ports}, resolution: DNS, subjectAltNames: [ a ]")),
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
    add(
        "Gateway.servers.port.protocol",
        "{ servers: [ { hosts: ['*'], port: { number: 3306, name: db, protocol: MYSQL } } ] }".to_owned(),
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

fn acted_on() -> Vec<String> {
    let lines = ACTED_ON.lines().filter_map(|line| line.split_once(": "));
    lines.flat_map(|(within, names)| names.split(' ').map(move |name| format!("{within}.{name}"))).collect()
}

fn document(path: &str, spec: &str) -> [Text; 1] {
    let kind = path.split('.').next().unwrap();
    let text =
        format!("apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{ name: a }}\nspec: {spec}\n");
    [Text { name: "istio.yaml".into(), text }]
}

#[test]
fn no_field_is_silently_ignored() {
    let (fields, acted_on) = (fields(), acted_on());
    assert!(fields.len() > 150, "{fields:?}");
    let noted: Vec<String> = noted().into_iter().map(|(path, _)| path).collect();
    let refused: Vec<String> = REFUSED.iter().map(|(path, _)| (*path).to_owned()).collect();
    let within = |field: &str, path: &str| {
        field.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    for field in &fields {
        let known = acted_on.contains(field) || noted.iter().chain(&refused).any(|path| within(field, path));
        assert!(known, "{field} is neither acted on nor noted nor refused");
    }
    for path in acted_on.iter().chain(&noted).chain(&refused) {
        assert!(fields.iter().any(|field| within(field, path)), "{path}: there is no such field");
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
fn what_istio_refuses_is_refused_by_its_name() {
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
