//! Where requests go under Istio's own samples: a table for each of them.

use crate::support::fixture;
use bowline_design::explain::Door;
use bowline_design::routing::{Asked, host};
use bowline_design::{Design, load};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

fn design(sample: &str) -> Design {
    load(&[fixture(&format!("istio-samples/{sample}"))])
        .unwrap_or_else(|mistakes| panic!("{sample}: {mistakes:?}"))
}

/// What becomes of `GET url`, at the gateway or in the mesh.
fn goes(design: &Design, door: Door<'_>, url: &str, headers: &[(&str, &str)]) -> String {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    }
    let rest = url.strip_prefix("http://").unwrap();
    let (authority, path) = rest.split_at(rest.find('/').unwrap());
    let port = match door {
        Door::Gateway(listener) => listener.bind.port(),
        Door::Mesh(_) => host::port_of(authority).unwrap_or(80),
    };
    let asked =
        Asked { method: &Method::GET, path, query: None, scheme: "http", authority, headers: &map, port };
    match door.table().find(&asked) {
        Some(found) => design.describe(found.route).replace(".default.svc.cluster.local", ""),
        None => "404".to_owned(),
    }
}

#[track_caller]
fn at_the_gateway(sample: &str, rows: &[(&str, &str)]) {
    let design = design(sample);
    let [listener] = &design.listeners[..] else { panic!("{sample}: {} listeners", design.listeners.len()) };
    for (url, expected) in rows {
        assert_eq!(goes(&design, Door::Gateway(listener), url, &[]), *expected, "{sample}: {url}");
    }
}

/// Rows of (user, url, where it goes).
#[track_caller]
fn in_the_mesh(sample: &str, rows: &[(&str, &str, &str)]) {
    let design = design(sample);
    for (user, url, expected) in rows {
        let got = goes(&design, Door::Mesh(&design.mesh), url, &[("end-user", user)]);
        assert_eq!(got, *expected, "{sample}: {url} by {user}");
    }
}

#[test]
fn gateways_route_by_path() {
    at_the_gateway(
        "bookinfo__networking__bookinfo-gateway.yaml",
        &[
            ("http://any/productpage", "to productpage port 9080"),
            ("http://any:8080/productpage", "to productpage port 9080"),
            ("http://any/productpages", "404"),
            ("http://any/static/style.css", "to productpage port 9080"),
            ("http://any/login", "to productpage port 9080"),
            ("http://any/api/v1/products/0", "to productpage port 9080"),
            ("http://any/", "404"),
        ],
    );
    at_the_gateway(
        "bookinfo__networking__certmanager-gateway.yaml",
        &[
            (
                "http://any/.well-known/acme-challenge/x",
                "to cert-manager-resolver.istio-system.svc.cluster.local port 8089",
            ),
            ("http://any/", "404"),
        ],
    );
    at_the_gateway(
        "helloworld__helloworld-gateway.yaml",
        &[("http://any/hello", "to helloworld port 5000"), ("http://any/hello/", "404")],
    );
    at_the_gateway("httpbin__httpbin-gateway.yaml", &[("http://any/anything", "to httpbin port 8000")]);
    at_the_gateway("websockets__route.yaml", &[("http://any/ws", "to tornado")]);
}

#[test]
fn the_mesh_routes_by_host_and_user() {
    let file = |name: &str| format!("bookinfo__networking__virtual-service-{name}.yaml");
    in_the_mesh(
        &file("all-v1"),
        &[
            ("-", "http://productpage/", "to productpage subset v1"),
            ("-", "http://reviews:9080/reviews/0", "to reviews subset v1"),
            ("-", "http://ratings.default/", "to ratings subset v1"),
            ("-", "http://details.default.svc.cluster.local/", "to details subset v1"),
            ("-", "http://nobody/", "404"),
        ],
    );
    in_the_mesh(&file("details-v2"), &[("-", "http://details/", "to details subset v2")]);
    for (name, subset) in
        [("ratings-db", "v2"), ("ratings-mysql", "v2-mysql"), ("ratings-mysql-vm", "v2-mysql-vm")]
    {
        let expected = format!("to ratings subset {subset}");
        let rows = [("-", "http://ratings/", &*expected), ("-", "http://reviews/", "to reviews subset v3")];
        in_the_mesh(&file(name), &rows);
    }
    for (name, expected) in [
        ("reviews-50-v3", "to reviews subset v1 weight 50, reviews subset v3 weight 50"),
        ("reviews-80-20", "to reviews subset v1 weight 80, reviews subset v2 weight 20"),
        ("reviews-90-10", "to reviews subset v1 weight 90, reviews subset v2 weight 10"),
        ("reviews-v2-v3", "to reviews subset v2 weight 50, reviews subset v3 weight 50"),
        ("reviews-v3", "to reviews subset v3"),
    ] {
        in_the_mesh(&file(name), &[("jason", "http://reviews/", expected)]);
    }
    for (name, rest) in [("reviews-jason-v2-v3", "v3"), ("reviews-test-v2", "v1")] {
        let rest = format!("to reviews subset {rest}");
        let rows =
            [("jason", "http://reviews/", "to reviews subset v2"), ("Jason", "http://reviews/", &*rest)];
        in_the_mesh(&file(name), &rows);
    }
}

#[test]
fn istios_faults_stand_on_the_route_and_switch_its_tries_off() {
    for (sample, host, user, fault) in [
        ("bookinfo__networking__fault-injection-details-v1.yaml", "details", "-", "answered 555, 100 %"),
        (
            "bookinfo__networking__virtual-service-ratings-test-abort.yaml",
            "ratings",
            "jason",
            "answered 500, 100 %",
        ),
        (
            "bookinfo__networking__virtual-service-ratings-test-delay.yaml",
            "ratings",
            "jason",
            "held back 7s, 100 %",
        ),
    ] {
        let design = design(sample);
        let mut headers = HeaderMap::new();
        headers.insert("end-user", HeaderValue::from_static(user));
        let asked = Asked {
            method: &Method::GET,
            path: "/",
            query: None,
            scheme: "http",
            authority: host,
            headers: &headers,
            port: 80,
        };
        let explanation = bowline_design::explain::explain_at(&design, &asked, Door::Mesh(&design.mesh));
        let taken = explanation.route.unwrap();
        assert_eq!(taken.lines[0].what, "fault");
        assert!(taken.lines[0].value.starts_with(fault), "{sample}: {}", taken.lines[0].value);
        let tries = taken.legs[0].lines.iter().find(|line| line.what == "tries").unwrap();
        assert_eq!(tries.value, "1", "{sample}");
    }
}

#[test]
fn an_entered_host_may_be_sent_to_another_port() {
    let sample = "bookinfo__networking__egress-rule-google-apis.yaml";
    in_the_mesh(
        sample,
        &[
            ("-", "http://www.googleapis.com/", "to www.googleapis.com port 443"),
            ("-", "http://www.googleapis.com:443/", "404"),
        ],
    );
}

#[test]
fn entered_hosts_are_routed_to_their_endpoints() {
    let design = design("extauthz__local-ext-authz.yaml");
    let id = design.service_named("ext-authz-http.local").unwrap();
    let addresses: Vec<&str> =
        design.service(id).endpoints.iter().map(|endpoint| &*endpoint.address).collect();
    assert_eq!(addresses, ["127.0.0.1:8000"]);
    let github = self::design("external__github.yaml");
    let id = github.service_named("github.com").unwrap();
    assert_eq!(github.service(id).endpoints[0].address, "github.com:443");
}

#[test]
fn what_is_neither_http_nor_https_is_noted_and_not_served() {
    for (sample, subject) in [
        ("multicluster__expose-istiod-https.yaml", "Gateway servers.tls.credentialName $CREDENTIAL_NAME"),
        ("multicluster__expose-istiod.yaml", "Gateway protocol tls"),
        ("multicluster__expose-services.yaml", "Gateway protocol TLS"),
        ("tcp-echo__tcp-echo-20-v2.yaml", "VirtualService tcp"),
    ] {
        let design = design(sample);
        assert!(design.listeners.is_empty(), "{sample}");
        assert!(design.notes.iter().any(|note| note.subject == subject), "{sample}: {:?}", design.notes);
    }
}

#[test]
fn the_articles_retries_are_four_tries_of_two_seconds() {
    let design = load(&[fixture("article/virtual-service-complete.yaml")]).unwrap();
    let headers = HeaderMap::new();
    let asked = Asked {
        method: &Method::GET,
        path: "/inventory/stock",
        query: None,
        scheme: "http",
        authority: "inventory-service",
        headers: &headers,
        port: 80,
    };
    let settings = &design.mesh.find(&asked).unwrap().route.destinations()[0].call(None).settings;
    assert_eq!(settings.retry.tries.value, 4);
    assert_eq!(settings.retry.per_try.as_ref().unwrap().value.as_secs(), 2);
    let worst: u128 = (1..=3).map(|retry| settings.retry.backoff.value.worst(retry).as_millis()).sum();
    assert_eq!(4 * 2_000 + worst, 8_275);
    assert_eq!(settings.deadline(), None, "nobody bounds them");
}

#[test]
fn a_server_that_sends_to_https_does_so_for_hosts_more_special_than_its_own() {
    let yaml = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge }
spec:
  servers:
  - port: { number: 80, name: http, protocol: HTTP }
    hosts: [ '*.acme.io' ]
    tls: { httpsRedirect: true }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: www }
spec:
  hosts: [ www.acme.io ]
  gateways: [ edge ]
  http: [ { route: [ { destination: { host: web } } ] } ]
";
    let design = load(&[crate::support::text("edge.yaml", yaml)]).unwrap();
    for url in ["http://www.acme.io/x", "http://other.acme.io/x"] {
        let got = goes(&design, Door::Gateway(&design.listeners[0]), url, &[]);
        assert!(got.starts_with("redirect 301"), "{url}: {got}");
    }
}
