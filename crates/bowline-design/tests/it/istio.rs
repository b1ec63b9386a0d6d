//! Istio's kinds, read as Istio reads them.

use crate::support::{fixture, folder, line, refused, taken};
use std::collections::BTreeMap;

/// Every file of Istio's samples, and what is wrong with it: Istio takes them all.
#[test]
fn istios_own_samples_are_read_whole() {
    let mut kinds = BTreeMap::new();
    let mut files: Vec<_> = std::fs::read_dir(folder("fixtures/istio-samples"))
        .expect("the samples")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 31, "a sample came or went: look at it");
    for file in files {
        let text = fixture(&format!("istio-samples/{file}"));
        let reading = bowline_design::read(std::slice::from_ref(&text));
        let rendered: String =
            reading.mistakes.iter().map(|m| m.render(std::slice::from_ref(&text), false)).collect();
        assert!(reading.mistakes.is_empty(), "{rendered}");
        let documents = &reading.documents;
        for (kind, count) in [
            ("VirtualService", documents.virtual_services.len()),
            ("DestinationRule", documents.destination_rules.len()),
            ("ServiceEntry", documents.service_entries.len()),
            ("Gateway", documents.gateways.len()),
        ] {
            *kinds.entry(kind).or_insert(0) += count;
        }
        assert!(reading.notes.is_empty(), "{file}: {:?}", reading.notes);
    }
    let counted: Vec<_> = kinds.into_iter().collect();
    assert_eq!(
        counted,
        [("DestinationRule", 13), ("Gateway", 9), ("ServiceEntry", 5), ("VirtualService", 31)]
    );
}

#[test]
fn the_articles_virtual_service_is_refused_for_its_two_faults() {
    let text = fixture("article/virtual-service.yaml");
    let found: Vec<String> = bowline_design::read(&[text]).mistakes.iter().map(line).collect();
    assert_eq!(
        found,
        [
            "1:1 metadata.name [missing-field] no `metadata.name`",
            "3:1 spec.hosts [missing-field] no `hosts`, and no other VirtualService delegates to it",
        ]
    );
}

#[test]
fn the_articles_virtual_service_loads_once_it_is_complete() {
    let text = fixture("article/virtual-service-complete.yaml");
    let reading = bowline_design::read(&[text]);
    assert!(reading.mistakes.is_empty(), "{:?}", reading.mistakes);
    let retries = reading.documents.virtual_services[0].spec.http[0].retries.as_ref().expect("retries");
    let attempts = retries.attempts.as_ref().expect("attempts");
    assert_eq!(attempts.value, 3);
    assert_eq!((attempts.place.line, attempts.place.column), (13, 17));
    assert_eq!(&*attempts.place.path, "spec.http[0].retries.attempts");
    assert_eq!(&*attempts.place.resource, "VirtualService default/inventory-service");
}

/// A VirtualService with one rule, written in YAML's flow form so that a case fits on a line.
fn rule(rule: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{ name: shop }}\n\
         spec:\n  hosts: [shop]\n  http:\n  - {rule}\n"
    )
}

/// A document of a kind with this spec.
fn document(kind: &str, spec: &str) -> String {
    format!("apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{ name: shop }}\nspec: {spec}\n")
}

/// Demands that Istio's reasons, and nothing else, are found: `path: what was found`.
#[track_caller]
fn istio_refuses(content: &str, reasons: &[&str]) {
    let reading = crate::support::read(content);
    let found: Vec<String> =
        reading.mistakes.iter().map(|mistake| format!("{}: {}", mistake.place.path, mistake.found)).collect();
    assert_eq!(found, reasons, "{content}");
    for mistake in &reading.mistakes {
        assert_eq!(mistake.code, "istio-refuses", "{content}");
    }
}

const TO: &str = "route: [{destination: {host: shop}}]";

#[test]
fn all_documented_fields_of_a_rule_are_read() {
    let reading = taken(
        "apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: shop
  namespace: front
  annotations: { note: all of it }
spec:
  hosts: [shop, shop.example.com]
  gateways: [mesh, front/door]
  exportTo: ['.']
  http:
  - name: everything
    match:
    - name: first
      uri: { prefix: /orders }
      scheme: { exact: https }
      method: { regex: GET|HEAD }
      authority: { exact: shop }
      headers: { x-user: {}, x-group: { prefix: beta } }
      withoutHeaders: { x-old: { regex: '*' } }
      queryParams: { page: { exact: '' } }
      port: 80
      sourceLabels: { app: web }
      sourceNamespace: front
      gateways: [mesh]
      ignoreUriCase: true
      statPrefix: orders
    route:
    - destination: { host: orders, subset: v1, port: { number: 8080 } }
      weight: 90
      headers: { request: { set: { x-way: new } } }
    - destination: { host: orders, subset: v2 }
      weight: 10
    timeout: 3s
    retries:
      attempts: 3
      perTryTimeout: 800ms
      retryOn: 5xx,reset,503
      retryRemoteLocalities: true
      retryIgnorePreviousHosts: false
      backoff: 10ms
    fault:
      delay: { percentage: { value: 0.1 }, fixedDelay: 5s }
      abort: { percentage: { value: 1 }, grpcStatus: UNAVAILABLE }
    rewrite: { uri: /v2/orders, authority: orders.internal }
    mirrors: [ { destination: { host: shadow }, percentage: { value: 5 } } ]
    corsPolicy:
      allowOrigins: [ { exact: https://shop.example.com }, { regex: '.*' } ]
      allowMethods: [GET, POST]
      allowHeaders: [x-user, '*']
      exposeHeaders: [x-trace]
      maxAge: 24h
      allowCredentials: true
      unmatchedPreflights: IGNORE
    headers:
      request: { set: { x-a: '1' }, add: { x-b: '%REQ(x-c)%' }, remove: [x-d] }
      response: { set: { x-e: 100%% }, remove: [server] }
  - match: [ { uri: { exact: /old } } ]
    redirect: { uri: /new, authority: shop, derivePort: FROM_REQUEST_PORT, scheme: https, redirectCode: 302 }
  - match: [ { uri: { regex: '/stock/[0-9]+' } } ]
    rewrite: { uriRegexRewrite: { match: '/stock/([0-9]+)', rewrite: '/items/\\1' } }
    route: [ { destination: { host: stock } } ]
  - match: [ { uri: { exact: /hello } } ]
    directResponse: { status: 200, body: { string: hello } }
  tls:
  - match: [ { sniHosts: [shop.example.com], port: 443, destinationSubnets: [10.0.0.0/8], gateways: [mesh] } ]
    route: [ { destination: { host: shop }, weight: 1 } ]
  tcp:
  - match: [ { port: 27017, sourceLabels: { app: web } } ]
    route: [ { destination: { host: mongo, port: { number: 27017 } } } ]
",
    );
    let rules = &reading.documents.virtual_services[0];
    assert_eq!((rules.meta.namespace.as_str(), rules.spec.http.len()), ("front", 4));
    let everything = &rules.spec.http[0];
    assert_eq!(everything.matches[0].headers["x-user"].value.as_ref().map(|_| ()), None, "presence");
    assert_eq!(
        &*everything.route[1].weight.as_ref().expect("a weight").place.path,
        "spec.http[0].route[1].weight"
    );
}

#[test]
fn a_rule_leads_to_one_place() {
    istio_refuses(&rule("{name: nowhere}"), &["spec.http[0]: a rule that leads nowhere"]);
    for (fields, found) in [
        ("redirect: {uri: /a}", "redirect: `redirect` and `route` in one rule"),
        ("directResponse: {status: 200}", "directResponse: `directResponse` and `route` in one rule"),
        ("delegate: {name: other}", "delegate: `delegate` and `route` in one rule"),
    ] {
        istio_refuses(&rule(&format!("{{{TO}, {fields}}}")), &[&format!("spec.http[0].{found}")]);
    }
    istio_refuses(
        &rule("{redirect: {uri: /a}, fault: {abort: {httpStatus: 500}}, rewrite: {uri: /b}}"),
        &[
            "spec.http[0].redirect: `redirect` and `fault` in one rule",
            "spec.http[0].redirect: `redirect` and `rewrite` in one rule",
        ],
    );
    istio_refuses(
        &rule(&format!("{{{TO}, mirror: {{host: a}}, mirrors: [{{destination: {{host: b}}}}]}}")),
        &["spec.http[0].mirror: `mirror` and `mirrors` in one rule"],
    );
}

#[test]
fn retries_are_refused_as_istio_refuses_them() {
    for (retries, reasons) in [
        ("{attempts: 0}", &[][..]),
        (
            "{perTryTimeout: 2s}",
            &["retries: `perTryTimeout` while `attempts` is 0, which is no retries at all"],
        ),
        (
            "{attempts: 0, retryOn: 5xx}",
            &["retries.attempts: `retryOn` while `attempts` is 0, which is no retries at all"],
        ),
        ("{attempts: 2, retryOn: '5xx, reset'}", &["retries.retryOn: the condition ` reset`"]),
        ("{attempts: 2, retryOn: 'connect-failure,503,429'}", &[]),
        ("{attempts: 2, retryOn: '599'}", &["retries.retryOn: the condition `599`"]),
        ("{attempts: 2, perTryTimeout: 0s}", &["retries.perTryTimeout: 0s"]),
        ("{attempts: 2, perTryTimeout: 1.5ms}", &["retries.perTryTimeout: 1.5ms"]),
        ("{attempts: 2, backoff: 500us}", &["retries.backoff: 500us"]),
    ] {
        let reasons: Vec<String> = reasons.iter().map(|reason| format!("spec.http[0].{reason}")).collect();
        let reasons: Vec<&str> = reasons.iter().map(String::as_str).collect();
        istio_refuses(&rule(&format!("{{{TO}, retries: {retries}}}")), &reasons);
    }
    istio_refuses(&rule(&format!("{{{TO}, timeout: 0s}}")), &["spec.http[0].timeout: 0s"]);
}

#[test]
fn faults_are_refused_as_istio_refuses_them() {
    for (fault, reason) in [
        ("{}", "fault: a fault that does nothing"),
        ("{delay: {exponentialDelay: 1s}}", "fault.delay.exponentialDelay: `exponentialDelay`"),
        ("{abort: {http2Error: NO_ERROR}}", "fault.abort.http2Error: `http2Error`"),
        ("{abort: {httpStatus: 99}}", "fault.abort.httpStatus: the status 99"),
        ("{abort: {grpcStatus: NOPE}}", "fault.abort.grpcStatus: the gRPC status `NOPE`"),
        ("{delay: {fixedDelay: 1s, percentage: {value: 101}}}", "fault.delay.percentage.value: 101 percent"),
        (
            "{delay: {fixedDelay: 1s, percentage: {value: 0.00001}}}",
            "fault.delay.percentage.value: 0.00001 percent",
        ),
    ] {
        istio_refuses(&rule(&format!("{{{TO}, fault: {fault}}}")), &[&format!("spec.http[0].{reason}")]);
    }
}

#[test]
fn conditions_are_refused_as_istio_refuses_them() {
    for (condition, reason) in [
        ("uri: {regex: '['}", "uri: `[`, which is no RE2 expression: unclosed character class"),
        (
            "uri: {regex: '(?=a)b'}",
            "uri: `(?=a)b`, which is no RE2 expression: look-around, including look-ahead and look-behind, is not supported",
        ),
        ("uri: {regex: ''}", "uri: an empty expression"),
        ("method: {prefix: ''}", "method: an empty prefix"),
        ("headers: {'x y': {exact: a}}", "headers.x y: the header name `x y`"),
        (
            "headers: {'@request.auth.claims.group': {exact: a}}",
            "headers.@request.auth.claims.group: a match on the claim `@request.auth.claims.group`",
        ),
        ("gateways: ['a/b/c']", "gateways[0]: `a/b/c`"),
        ("sourceNamespace: a.b", "sourceNamespace: `a.b`"),
        ("sourceLabels: {'-': a}", ": the label `-`"),
    ] {
        let reason = format!("spec.http[0].match[0].{reason}").replace(".:", ":");
        istio_refuses(&rule(&format!("{{match: [{{{condition}}}], {TO}}}")), &[&reason]);
    }
    taken(&rule(&format!("{{match: [{{uri: {{prefix: ''}}}}], {TO}}}")));
}

#[test]
fn destinations_need_names_and_weights() {
    istio_refuses(
        &rule("{route: [{destination: {host: a}}, {destination: {host: b}, weight: 0}]}"),
        &["spec.http[0]: 2 destinations without any weight"],
    );
    istio_refuses(
        &rule("{route: [{destination: {host: '*'}}]}"),
        &["spec.http[0].route[0].destination.host: the destination host `*`"],
    );
    istio_refuses(
        &rule("{route: [{destination: {host: a, subset: 'v 1', port: {number: 0}}}]}"),
        &[
            "spec.http[0].route[0].destination.subset: the subset name `v 1`",
            "spec.http[0].route[0].destination.port.number: port 0",
        ],
    );
}

#[test]
fn redirects_rewrites_and_answers_say_something() {
    for (rule_, reason) in [
        ("{redirect: {}}", "redirect: a redirect to the same place"),
        ("{redirect: {uri: /a, redirectCode: 200}}", "redirect.redirectCode: the status 200"),
        ("{redirect: {scheme: ftp}}", "redirect.scheme: `ftp`"),
        (
            "{redirect: {port: 80, derivePort: FROM_REQUEST_PORT}}",
            "redirect.derivePort: `port` and `derivePort` together",
        ),
        ("{directResponse: {status: 600}}", "directResponse.status: the status 600"),
        ("{route: [{destination: {host: a}}], rewrite: {}}", "rewrite: a rewrite that changes nothing"),
        (
            "{route: [{destination: {host: a}}], rewrite: {uri: /a, uriRegexRewrite: {match: a, rewrite: b}}}",
            "rewrite.uriRegexRewrite: `uri` and `uriRegexRewrite` together",
        ),
        (
            "{route: [{destination: {host: a}}], rewrite: {uriRegexRewrite: {match: a}}}",
            "rewrite.uriRegexRewrite: half a rewrite",
        ),
    ] {
        istio_refuses(&rule(rule_), &[&format!("spec.http[0].{reason}")]);
    }
}

#[test]
fn headers_and_cors_are_refused_as_istio_refuses_them() {
    for (fields, reason) in [
        ("headers: {request: {set: {':path': /a}}}", "headers.request.set.:path"),
        ("headers: {request: {remove: [host]}}", "headers.request.remove[0]"),
        ("headers: {response: {set: {Host: a}}}", "headers.response.set.Host"),
        ("headers: {response: {set: {x-a: 'abc%123'}}}", "headers.response.set.x-a"),
        ("headers: {response: {set: {x-a: '%START_TIME%%'}}}", "headers.response.set.x-a"),
        ("headers: {request: {set: {host: a}}}, rewrite: {authority: b}", "headers.request.set.host"),
        ("corsPolicy: {allowMethods: [GTE]}", "corsPolicy.allowMethods[0]"),
        ("corsPolicy: {allowOrigins: [{exact: ''}]}", "corsPolicy.allowOrigins[0]"),
        ("corsPolicy: {maxAge: 1.5s}", "corsPolicy.maxAge"),
        ("corsPolicy: {exposeHeaders: ['a b']}", "corsPolicy.exposeHeaders[0]"),
    ] {
        let reading = crate::support::read(&rule(&format!("{{{TO}, {fields}}}")));
        let paths: Vec<&str> = reading.mistakes.iter().map(|mistake| &*mistake.place.path).collect();
        assert_eq!(paths, [format!("spec.http[0].{reason}")], "{fields}");
    }
}

#[test]
fn hosts_are_refused_as_istio_refuses_them() {
    let http = "http: [{route: [{destination: {host: a}}]}]";
    for (spec, reasons) in [
        (format!("{{hosts: ['*'], {http}}}"), &["spec.hosts[0]: `*` as a host of the mesh"][..]),
        (format!("{{hosts: ['*'], gateways: [door], {http}}}"), &[]),
        (format!("{{hosts: ['*.com', 'a.com'], {http}}}"), &["spec.hosts[1]: `a.com` beside `*.com`"]),
        (format!("{{hosts: ['a_b'], {http}}}"), &["spec.hosts[0]: `a_b`"]),
        (format!("{{hosts: [10.0.0.1], {http}}}"), &[]),
        ("{hosts: [a]}".to_owned(), &["spec: no routes"]),
        (format!("{{hosts: [a], exportTo: ['*', b], {http}}}"), &["spec.exportTo[0]: `*` beside others"]),
        (
            format!("{{hosts: [a], exportTo: ['.', default], {http}}}"),
            &["spec.exportTo[1]: `default` a second time"],
        ),
    ] {
        istio_refuses(&document("VirtualService", &spec), reasons);
    }
}

#[test]
fn a_virtual_service_without_hosts_is_a_delegate_that_somebody_names() {
    let root = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: root, namespace: front }
spec: { hosts: [shop], http: [ { match: [ { uri: { prefix: /a } } ], delegate: { name: leaf, namespace: back } } ] }
---
";
    let leaf = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: leaf, namespace: back }
spec: { http: [ { route: [ { destination: { host: a } } ] } ] }
";
    taken(&format!("{root}{leaf}"));
    refused(
        leaf,
        &["4:7 spec.hosts [missing-field] no `hosts`, and no other VirtualService delegates to it"],
    );
    let (leaf, regex) =
        (leaf.replace("http: [ {", "gateways: [a], http: [ { delegate: { name: b },"), "regex: '/a'");
    let content = format!("{}{leaf}", root.replace("prefix: /a", regex));
    istio_refuses(
        &content,
        &[
            "spec.http[0].match[0].uri: a regular expression in a delegated route",
            "spec.gateways[0]: `gateways` without `hosts`",
            "spec.http[0].delegate: `delegate` and `route` in one rule",
            "spec.http[0].delegate: a delegate that delegates",
        ],
    );
}

#[test]
fn destination_rules_are_refused_as_istio_refuses_them() {
    for (spec, reason) in [
        ("{host: a, subsets: [{name: v1}, {name: v1}]}", "spec.subsets[1].name: a second subset `v1`"),
        ("{host: a, subsets: [{name: 'v.1'}]}", "spec.subsets[0].name: the subset name `v.1`"),
        ("{host: a, subsets: [{labels: {a: b}}]}", "spec.subsets[0]: a subset without a `name`"),
        ("{host: a, trafficPolicy: {}}", "spec.trafficPolicy: a traffic policy that says nothing"),
        (
            "{host: a, trafficPolicy: {connectionPool: {}}}",
            "spec.trafficPolicy.connectionPool: a connection pool that says nothing",
        ),
        (
            "{host: a, trafficPolicy: {outlierDetection: {maxEjectionPercent: 101}}}",
            "spec.trafficPolicy.outlierDetection.maxEjectionPercent: 101 percent",
        ),
        (
            "{host: a, trafficPolicy: {outlierDetection: {consecutiveLocalOriginFailures: 5}}}",
            "spec.trafficPolicy.outlierDetection.consecutiveLocalOriginFailures: `consecutiveLocalOriginFailures` alone",
        ),
        (
            "{host: a, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 0s}}}}",
            "spec.trafficPolicy.connectionPool.tcp.connectTimeout: 0s",
        ),
        (
            "{host: a, trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}}}",
            "spec.trafficPolicy.connectionPool.http.useClientProtocol: the caller's protocol kept and upgraded at once",
        ),
        (
            "{host: a, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x, maglev: {tableSize: 100}}}}}",
            "spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize: a Maglev table of 100",
        ),
        (
            "{host: a, trafficPolicy: {tls: {mode: MUTUAL, privateKey: k}}}",
            "spec.trafficPolicy.tls: MUTUAL without `clientCertificate`",
        ),
        (
            "{host: a, trafficPolicy: {portLevelSettings: [{port: {number: 80}}]}}",
            "spec.trafficPolicy.portLevelSettings[0]: a port's policy that says nothing",
        ),
        ("{host: 'a b'}", "spec.host: `a b`"),
    ] {
        istio_refuses(&document("DestinationRule", spec), &[reason]);
    }
    taken(&document(
        "DestinationRule",
        "{host: a, trafficPolicy: {connectionPool: {tcp: {idleTimeout: 0s}}}}",
    ));
}

#[test]
fn service_entries_are_refused_as_istio_refuses_them() {
    let ports = "ports: [{number: 80, name: http, protocol: HTTP}]";
    for (spec, reasons) in [
        (format!("{{{ports}}}"), &["spec.hosts: no `hosts`"][..]),
        (format!("{{hosts: ['*'], {ports}}}"), &["spec.hosts[0]: `*` as a host"]),
        (
            format!("{{hosts: ['*.com'], resolution: DNS, {ports}}}"),
            &["spec.hosts[0]: `*.com`, which DNS cannot answer for"],
        ),
        (
            format!("{{hosts: [a.com], addresses: [10.0.0.0/8], resolution: DNS, {ports}}}"),
            &["spec.addresses[0]: the subnet `10.0.0.0/8`"],
        ),
        (format!("{{hosts: [a.com], addresses: [here], {ports}}}"), &["spec.addresses[0]: `here`"]),
        (
            format!("{{hosts: [a.com], endpoints: [{{address: 10.0.0.1}}], {ports}}}"),
            &["spec.endpoints[0]: `endpoints`"],
        ),
        (
            format!("{{hosts: [a.com], resolution: STATIC, endpoints: [{{address: b.com}}], {ports}}}"),
            &["spec.endpoints[0].address: the address `b.com`"],
        ),
        (
            format!(
                "{{hosts: [a.com], resolution: STATIC, endpoints: [{{address: 10.0.0.1, ports: {{ftp: 21}}}}], {ports}}}"
            ),
            &["spec.endpoints[0].ports.ftp: the port name `ftp`"],
        ),
        (
            "{hosts: [a.com, b.com], resolution: DNS, ports: [{number: 1, name: a, protocol: TCP}]}"
                .to_owned(),
            &["spec.ports[0]: 2 hosts at a port that is neither HTTP nor TLS"],
        ),
        (
            "{hosts: [a.com], ports: [{number: 80, name: a}, {number: 80, name: a}]}".to_owned(),
            &["spec.ports[1].number: a second port 80", "spec.ports[1].name: a second port `a`"],
        ),
        (
            "{hosts: [a.com], ports: [{number: 80, name: a, protocol: SMTP}]}".to_owned(),
            &["spec.ports[0].protocol: the protocol `SMTP`"],
        ),
    ] {
        istio_refuses(&document("ServiceEntry", &spec), reasons);
    }
    taken(&document("ServiceEntry", "{hosts: [a.com], exportTo: ['~'], ports: [{number: 80, name: a}]}"));
}

#[test]
fn gateways_are_refused_as_istio_refuses_them() {
    let port = "port: {number: 80, name: http, protocol: HTTP}";
    let https = "port: {number: 443, name: https, protocol: HTTPS}";
    for (servers, reasons) in [
        (String::new(), &["spec.servers: no `servers`"][..]),
        (format!("{{{port}}}"), &["spec.servers[0]: a server without `hosts`"]),
        ("{hosts: ['*']}".to_owned(), &["spec.servers[0]: a server without a `port`"]),
        (format!("{{{https}, hosts: ['*']}}"), &["spec.servers[0]: a server for TLS without `tls`"]),
        (
            format!("{{{port}, hosts: ['*'], tls: {{mode: SIMPLE, credentialName: a}}}}"),
            &["spec.servers[0].tls: `tls` for plain HTTP"],
        ),
        (format!("{{{port}, hosts: ['*'], tls: {{httpsRedirect: true}}}}"), &[]),
        (
            format!("{{{https}, hosts: ['*'], tls: {{mode: SIMPLE, privateKey: k}}}}"),
            &["spec.servers[0].tls: SIMPLE without `serverCertificate`"],
        ),
        (
            format!("{{{https}, hosts: ['*'], tls: {{mode: ISTIO_MUTUAL, credentialName: a}}}}"),
            &["spec.servers[0].tls.credentialName: `credentialName` with ISTIO_MUTUAL"],
        ),
        (format!("{{{port}, hosts: ['a/b/c']}}"), &["spec.servers[0].hosts[0]: `a/b/c`"]),
        (format!("{{{port}, hosts: ['./*', '*/a.com', 'ns/*.com']}}"), &[]),
        (format!("{{{port}, hosts: ['*'], bind: here}}"), &["spec.servers[0].bind: `here`"]),
        (
            format!("{{{port}, hosts: ['*']}}, {{{port}, hosts: ['*']}}"),
            &["spec.servers[1].port.name: a second port `http`"],
        ),
        (
            "{port: {number: 0, name: a, protocol: HTTP}, hosts: ['*']}".to_owned(),
            &["spec.servers[0].port.number: port 0"],
        ),
    ] {
        istio_refuses(&document("Gateway", &format!("{{servers: [{servers}]}}")), reasons);
    }
}
