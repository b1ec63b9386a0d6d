//! Tables against a naive scan, and every matcher by a row of its own.

use super::host::HostPattern;
use super::text_match::FullRegex;
use super::*;
use crate::mistake::Place;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;

fn place() -> Place {
    Place { file: "t".into(), line: 1, column: 1, end: (1, 1), resource: "".into(), path: "".into() }
}

fn route(name: &str, conditions: Vec<Condition>) -> Arc<Route> {
    Arc::new(Route {
        name: name.into(),
        place: place(),
        conditions,
        action: Action::Respond { status: 200, body: bytes::Bytes::new() },
        timeout: None,
        headers: HeaderOps::default(),
        fault: None,
        cors: None,
        mirrors: Vec::new(),
        implied: false,
    })
}

/// `GET http://shop.example:8080/orders?id=7` with two headers.
fn holds(condition: &Condition) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert("x-team", HeaderValue::from_static("blue"));
    headers.append("x-many", HeaderValue::from_static("a"));
    headers.append("x-many", HeaderValue::from_static("b"));
    condition.holds(&Asked {
        method: &Method::GET,
        path: "/orders",
        query: Some("id=7&flag&id=8"),
        scheme: "http",
        authority: "shop.example:8080",
        headers: &headers,
        port: 8080,
    })
}

fn exact(text: &str) -> TextMatch {
    TextMatch::Exact(text.into())
}

fn prefix(text: &str) -> TextMatch {
    TextMatch::Prefix(text.into())
}

fn regex(text: &str) -> TextMatch {
    TextMatch::Regex(FullRegex::new(text).unwrap())
}

#[test]
fn each_matcher_asks_for_its_own_part() {
    let any = Condition::default;
    let check = |expected: bool, condition: Condition| {
        assert_eq!(holds(&condition), expected, "{condition:?}");
    };
    check(true, any());
    check(true, Condition { uri: Some(exact("/orders")), ..any() });
    check(false, Condition { uri: Some(exact("/Orders")), ..any() });
    check(true, Condition { uri: Some(exact("/Orders")), ignore_uri_case: true, ..any() });
    check(true, Condition { uri: Some(prefix("/ord")), ..any() });
    check(true, Condition { uri: Some(prefix("")), ..any() });
    check(true, Condition { uri: Some(regex("/o[rd]+ers")), ..any() });
    check(false, Condition { uri: Some(regex("/o")), ..any() });
    check(false, Condition { uri: Some(regex("/ORDERS")), ignore_uri_case: true, ..any() });
    check(true, Condition { scheme: Some(exact("http")), ..any() });
    check(false, Condition { scheme: Some(exact("https")), ..any() });
    check(true, Condition { method: Some(regex("GET|HEAD")), ..any() });
    check(false, Condition { method: Some(exact("get")), ..any() });
    // The authority as it came, as in Envoy: with its port.
    check(true, Condition { authority: Some(prefix("shop.example")), ..any() });
    check(false, Condition { authority: Some(exact("shop.example")), ..any() });
    check(true, Condition { port: Some(8080), ..any() });
    check(false, Condition { port: Some(80), ..any() });
    check(false, Condition { excluded: Some("callers with app=x".into()), ..any() });
}

#[test]
fn headers_are_asked_for_by_presence_value_and_absence() {
    let header = |name: &'static str, wanted: TextMatch| Condition {
        headers: vec![(HeaderName::from_static(name), wanted)],
        ..Condition::default()
    };
    let without = |name: &'static str, unwanted: TextMatch| Condition {
        without_headers: vec![(HeaderName::from_static(name), unwanted)],
        ..Condition::default()
    };
    assert!(holds(&header("x-team", TextMatch::Present)));
    assert!(!holds(&header("x-none", TextMatch::Present)));
    assert!(holds(&header("x-team", exact("blue"))));
    assert!(!holds(&header("x-team", exact("BLUE"))));
    assert!(holds(&header("x-many", exact("a,b"))));
    assert!(!holds(&header("x-many", exact("a"))));
    assert!(holds(&without("x-none", TextMatch::Present)));
    assert!(!holds(&without("x-team", TextMatch::Present)));
    assert!(holds(&without("x-team", exact("red"))));
    assert!(!holds(&without("x-team", exact("blue"))));
    assert!(holds(&without("x-none", exact("red"))));
    // A header that is missing counts as empty.
    assert!(!holds(&without("x-none", regex(".*"))));
}

#[test]
fn query_parameters_are_asked_for_by_their_first_value() {
    let query = |name: &str, wanted: TextMatch| Condition {
        query: vec![(name.into(), wanted)],
        ..Condition::default()
    };
    assert!(holds(&query("id", exact("7"))));
    assert!(!holds(&query("id", exact("8"))));
    assert!(holds(&query("id", regex(r"\d+$"))));
    assert!(holds(&query("flag", exact(""))));
    assert!(holds(&query("flag", TextMatch::Present)));
    assert!(!holds(&query("none", exact(""))));
    assert!(!holds(&query("none", TextMatch::Present)));
}

#[test]
fn the_first_rule_that_is_met_is_taken() {
    let uri = |uri| Condition { uri: Some(uri), ..Condition::default() };
    let routes = vec![
        route("a", vec![uri(exact("/a"))]),
        route("b", vec![uri(prefix("/b")), uri(exact("/c"))]),
        route("rest", Vec::new()),
    ];
    let table = Table::new(vec![VirtualHost { names: vec!["*".into()], routes }]);
    for (path, expected, block) in [("/a", "a", Some(0)), ("/c", "b", Some(1)), ("/d", "rest", None)] {
        let headers = HeaderMap::new();
        let asked = Asked {
            method: &Method::GET,
            path,
            query: None,
            scheme: "http",
            authority: "x",
            headers: &headers,
            port: 80,
        };
        let found = table.find(&asked).unwrap();
        assert_eq!(&*found.route.name, expected);
        let at = found
            .condition
            .map(|held| found.route.conditions.iter().position(|own| std::ptr::eq(own, held)).unwrap());
        assert_eq!(at, block);
    }
}

fn name() -> impl Strategy<Value = String> {
    // Few letters and labels, so that names meet wildcards often.
    let label = "[ab]{1,2}";
    proptest::collection::vec(label, 1..4).prop_map(|labels| labels.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => name(),
        3 => name().prop_map(|name| format!("*.{name}")),
        1 => Just("*".to_owned()),
    ]
}

proptest! {
    /// A table finds what the rule in words says: the exact name, else the longest wildcard, and of
    /// equals the earlier.
    #[test]
    fn a_table_finds_the_host_that_a_scan_finds(
        hosts in proptest::collection::vec(proptest::collection::vec(pattern(), 1..3), 1..8),
        asked in name(),
        upper: bool,
        port in proptest::option::of(1_u16..),
    ) {
        let virtual_hosts = hosts
            .iter()
            .enumerate()
            .map(|(index, names)| VirtualHost {
                names: names.iter().map(|name| name.as_str().into()).collect(),
                routes: vec![route(&index.to_string(), Vec::new())],
            })
            .collect();
        let table = Table::new(virtual_hosts);
        let mut best: Option<(usize, usize)> = None;
        for (index, names) in hosts.iter().enumerate() {
            for name in names.iter().filter(|name| HostPattern::new(name).matches(&asked)) {
                let weight = if name == "*" { 0 } else if name.starts_with('*') { name.len() } else { usize::MAX };
                if best.is_none_or(|(_, known)| weight > known) {
                    best = Some((index, weight));
                }
            }
        }
        let mut authority = if upper { asked.to_ascii_uppercase() } else { asked.clone() };
        if let Some(port) = port {
            authority.push_str(&format!(":{port}"));
        }
        let found = table.host_of(&authority).map(|host| host.routes[0].name.to_string());
        prop_assert_eq!(found, best.map(|(index, _)| index.to_string()));
    }

    /// The intersection of two patterns means exactly the names that both mean.
    #[test]
    fn an_intersection_means_what_both_mean(a in pattern(), b in pattern(), asked in name()) {
        let (a, b) = (HostPattern::new(&a), HostPattern::new(&b));
        let both = a.matches(&asked) && b.matches(&asked);
        prop_assert_eq!(a.intersection(&b).is_some_and(|meet| meet.matches(&asked)), both);
    }

    /// Nothing that looks like an authority makes the lookup panic.
    #[test]
    fn any_text_can_be_asked_for(authority in ".*") {
        let table = Table::new(vec![VirtualHost { names: vec!["*.a".into(), "a".into()], routes: Vec::new() }]);
        let _ = table.host_of(&authority);
    }
}
