//! The local API: health, metrics, and who may ask.

use crate::clock::until;
use crate::designs::Shop;
use crate::http::{self, Caller};
use crate::world::{Ports, Up, bowline, signal_to};
use rustix::process::Signal;
use std::collections::{HashMap, HashSet};

#[test]
fn readiness_follows_the_services_and_health_does_not() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    let ask = |path: &str| http::get(up.ports.api, path);
    assert_eq!((ask("/healthz").status(), ask("/healthz").text().as_str()), (200, "ok\n"));
    assert_eq!((ask("/readyz").status(), ask("/readyz").text().as_str()), (200, "ready\n"));

    // Stopped, not dead: it does not answer, and nobody starts it again.
    let pid = up.pid_of("inventory");
    signal_to(pid, Signal::STOP);
    until("not ready", || ask("/readyz").status() == 503);
    let why = ask("/readyz").text();
    assert!(why.contains("inventory is unhealthy"), "{why}");
    assert_eq!(ask("/healthz").status(), 200);

    signal_to(pid, Signal::CONT);
    until("ready again", || ask("/readyz").status() == 200);
    assert_eq!(up.pid_of("inventory"), pid);
}

#[test]
fn the_metrics_are_prometheus_text() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    up.verb(&["fault", "add", "inventory", "--drop", "--percent", "50"]);
    for _ in 0..10 {
        up.order(&[]);
        up.ask("GET", "/inventory/stock", &[], "");
        up.ask("GET", "/nowhere", &[], "");
    }
    until("guards reported", || up.metric("bowline_guard_calls_total", &[]) > 0.0);
    let page = http::get(up.ports.api, "/metrics");
    assert_eq!(page.header("content-type"), Some("text/plain; version=0.0.4"));
    let families = check_prometheus(&page.text());
    for wanted in [
        "bowline_requests_total",
        "bowline_request_seconds",
        "bowline_calls_total",
        "bowline_tries_total",
        "bowline_retries_total",
        "bowline_breaker_state",
        "bowline_deadline_exhausted_total",
        "bowline_faults_injected_total",
        "bowline_guard_calls_total",
    ] {
        assert!(families.contains_key(wanted), "no {wanted}");
    }
    assert!(
        up.metric("bowline_retries_total", &["service=\"inventory\"", "reason="]) > 0.0,
        "{}",
        page.text()
    );
    assert!(up.metric("bowline_requests_total", &["class=\"4xx\""]) >= 10.0);
}

/// Checks the text form 0.0.4, line by line; the families and their types.
fn check_prometheus(page: &str) -> HashMap<String, String> {
    let mut types: HashMap<String, String> = HashMap::new();
    let mut samples = HashSet::new();
    let mut family = String::new();
    assert!(page.ends_with('\n'), "the last line ends, too");
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split(' ').next().unwrap().to_owned();
            assert!(!types.contains_key(&family), "{family} comes twice");
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, family, "a type of its own family");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            types.insert(name.to_owned(), kind.to_owned());
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        assert!(value == "+Inf" || value.parse::<f64>().is_ok(), "{line}");
        assert!(samples.insert(series.to_owned()), "{series} comes twice");
        let (name, labels) = series
            .split_once('{')
            .map_or((series, ""), |(name, labels)| (name, labels.strip_suffix('}').unwrap()));
        let histogram = ["_bucket", "_sum", "_count"].iter().filter_map(|end| name.strip_suffix(end));
        let base = histogram
            .into_iter()
            .find(|base| types.get(*base).is_some_and(|kind| kind == "histogram"))
            .unwrap_or(name);
        assert_eq!(base, family, "a sample outside its family: {line}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
        check_labels(labels);
    }
    types
}

/// `name="text",..` with `\\`, `\"` and `\n` alone escaped.
fn check_labels(mut labels: &str) {
    while !labels.is_empty() {
        let (name, rest) = labels.split_once("=\"").unwrap_or_else(|| panic!("labels: {labels}"));
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "label {name}");
        let mut end = None;
        let mut escaped = false;
        for (at, character) in rest.char_indices() {
            match character {
                _ if escaped => {
                    assert!(['\\', '"', 'n'].contains(&character), "escape: {rest}");
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    end = Some(at);
                    break;
                }
                _ => {}
            }
        }
        labels = &rest[end.expect("an end") + 1..];
        labels = labels.strip_prefix(',').unwrap_or(labels);
    }
}

#[test]
fn a_page_from_elsewhere_cannot_ask_the_local_api() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    let api = up.ports.api;
    let status = |headers: &[&str]| http::ask(api, "GET", "/v1/status", headers, "").unwrap().status();
    assert_eq!(status(&[]), 200);
    assert_eq!(status(&[&format!("host: localhost:{api}"), &format!("origin: http://localhost:{api}")]), 200);
    assert_eq!(status(&[&format!("host: evil.example:{api}")]), 403, "a name that was bound to this machine");
    assert_eq!(status(&["origin: http://evil.example"]), 403, "a page from elsewhere");
    assert_eq!(status(&["origin: null"]), 403);

    let body = r#"{"target":"inventory","drop":true}"#;
    let added = http::ask(api, "POST", "/v1/faults", &["origin: http://evil.example"], body).unwrap();
    assert_eq!(added.status(), 403);
    assert_eq!(up.verb(&["fault", "ls", "--output", "json"]).json()["faults"], serde_json::json!([]));
}

#[test]
fn the_local_api_says_what_it_does_not_understand() {
    let shop = Shop::new();
    let up = Up::ready(&shop.folder, Ports::new(), &[]);
    let mut api = Caller::connect(up.ports.api).unwrap();
    let answer = api.ask("POST", "/v1/faults", &[], r#"{"target":"inventory"}"#).unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains("name what happens"), "{}", answer.text());
    let answer = api.ask("GET", "/v1/explain/last?status=abc", &[], "").unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(api.ask("GET", "/v2/nothing", &[], "").unwrap().status(), 404);
}

/// Two tokens, and a comment.
const TOKENS: &str = "# who may ask\nread    0123456789abcdef-reads\noperate 0123456789abcdef-works\n";

#[test]
fn where_tokens_are_given_each_lets_its_bearer_do_what_its_scope_says() {
    let shop = Shop::new();
    shop.folder.write("tokens", TOKENS);
    let file = shop.folder.path().join("tokens");
    let up = Up::ready(&shop.folder, Ports::new(), &["--api-tokens", &file.display().to_string()]);
    let api = up.ports.api;
    let status = |method: &str, path: &str, headers: &[&str]| {
        http::ask(api, method, path, headers, "").unwrap().status()
    };
    let (reads, works) =
        ("authorization: Bearer 0123456789abcdef-reads", "authorization: Bearer 0123456789abcdef-works");
    for path in ["/", "/metrics", "/v1/status", "/v1/faults", "/v1/explain/last", "/nowhere"] {
        assert_eq!(status("GET", path, &[]), 401, "{path}");
        assert_eq!(status("GET", path, &["authorization: Bearer 0123456789abcdef"]), 401, "{path}");
    }
    for (method, path) in [("POST", "/v1/faults"), ("DELETE", "/v1/faults")] {
        assert_eq!(status(method, path, &[]), 401, "{method}");
        assert_eq!(status(method, path, &[reads]), 403, "{method}");
    }
    assert_eq!(status("GET", "/v1/status", &[reads]), 200);
    assert_eq!(status("DELETE", "/v1/faults", &[works]), 200);
    // By whatever name it is asked; a page from elsewhere may not even with a token.
    assert_eq!(status("GET", "/v1/status", &[works, "host: bowline.example"]), 200);
    assert_eq!(status("GET", "/v1/status", &[works, "origin: http://evil.example"]), 403);
    // Probes have none, and are told whether and not why.
    assert_eq!(http::get(api, "/healthz").status(), 200);
    assert_eq!(
        (http::get(api, "/readyz").status(), http::get(api, "/readyz").text().as_str()),
        (200, "ready\n")
    );
    let answer = http::get(api, "/v1/status");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    // Libraries go on with the tokens of their processes.
    up.order(&[]);
    let metrics = || http::ask(api, "GET", "/metrics", &[reads], "").unwrap().text();
    until("guards reported", || metrics().contains("bowline_guard_calls_total{"));
    let verb = up.verb(&["fault", "ls"]);
    assert_eq!(verb.code, 2);
    assert!(verb.err.contains("asks for a token") && verb.err.contains("BOWLINE_API_TOKEN"), "{}", verb.err);
}

#[test]
fn off_loopback_it_does_not_listen_without_tokens() {
    let shop = Shop::new();
    let folder = shop.folder.path().display().to_string();
    let data = shop.folder.data().display().to_string();
    let ran = bowline(&["up", &folder, "--data", &data, "--api", "0.0.0.0:0"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("would be open to whoever reaches this machine"), "{}", ran.err);
    assert!(ran.err.contains("--api-tokens FILE"), "{}", ran.err);
    shop.folder.write("tokens", "write 0123456789abcdef\n");
    let file = shop.folder.path().join("tokens").display().to_string();
    let ran = bowline(&["up", &folder, "--data", &data, "--api", "0.0.0.0:0", "--api-tokens", &file]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("line 1: the first word is no scope"), "{}", ran.err);
    assert!(!ran.err.contains("0123456789abcdef"), "{}", ran.err);
}
