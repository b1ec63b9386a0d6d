//! Route tests: requests in, what the routes make of them out.
//!
//! The form is that of istio-config-validator: a test lists authorities, methods and paths, and every
//! combination is one request. Asked are the same tables that the proxy asks.

mod access;
mod compare;
mod governed;

use crate::kinds::route_tests::RouteTest as Written;
use crate::mistake::{Place, Spot};
use crate::resolved::{Design, Listener};
use crate::routing::{Action, Asked, Found, Table, host};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use std::fmt;

/// One route test of a design.
#[derive(Clone, Debug)]
pub struct RouteTest {
    /// As it is written.
    pub written: Spot<Written>,
}

/// What one request of one test came to.
#[derive(Clone, Debug)]
pub struct TestResult {
    /// What the test shows.
    pub description: String,
    /// Where the test is written.
    pub place: Place,
    /// The request.
    pub request: String,
    /// What is not as it should be; empty: the test passed.
    pub differs: Vec<String>,
    /// What the routes make of the request.
    pub got: String,
    /// The rule that was met, and where it is written.
    pub route: Option<(String, Place)>,
}

impl TestResult {
    /// Whether all is as it should be.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.differs.is_empty()
    }

    /// The result for a program.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "description": self.description,
            "place": self.place.to_json(),
            "request": self.request,
            "passed": self.passed(),
            "differs": self.differs,
            "got": self.got,
            "route": self.route.as_ref().map(|(name, place)| json!({ "name": name, "place": place.to_json() })),
        })
    }
}

/// The result for a person: one line where all is well, and what is not below it.
impl fmt::Display for TestResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.description, self.request)?;
        if self.passed() {
            return Ok(());
        }
        for differs in &self.differs {
            write!(f, "\n      {differs}")?;
        }
        write!(f, "\n      got {}", self.got)?;
        if let Some((name, place)) = &self.route {
            write!(f, ", by route {name} ({place})")?;
        }
        write!(f, "\n      the test is {}", self.place)
    }
}

/// Runs all route tests of a design, every request of each.
#[must_use]
pub fn run(design: &Design) -> Vec<TestResult> {
    design.tests.iter().flat_map(|test| run_one(design, &test.written)).collect()
}

fn run_one(design: &Design, test: &Spot<Written>) -> Vec<TestResult> {
    let request = &test.request;
    let or = |spots: &[Spot<String>], default: &str| -> Vec<String> {
        if spots.is_empty() {
            vec![default.to_owned()]
        } else {
            spots.iter().map(|spot| spot.value.clone()).collect()
        }
    };
    let mut ran = Vec::new();
    for authority in or(&request.authority, "") {
        for method in or(&request.method, "GET") {
            for uri in or(&request.uri, "/") {
                ran.push(run_request(design, test, &authority, &method, &uri));
            }
        }
    }
    ran
}

fn run_request(
    design: &Design,
    test: &Spot<Written>,
    authority: &str,
    method: &str,
    uri: &str,
) -> TestResult {
    let written = &test.request;
    let mut ran = TestResult {
        description: test
            .description
            .as_ref()
            .map_or_else(|| "a route test".to_owned(), |it| it.value.clone()),
        place: test.place.clone(),
        request: format!("{method} {authority}{uri}"),
        differs: Vec::new(),
        got: String::new(),
        route: None,
    };
    let Ok(parsed) = Method::from_bytes(method.as_bytes()) else {
        ran.differs.push(format!("`{method}` is no method"));
        return ran;
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &written.headers {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => {
                headers.append(name, value);
            }
            _ => ran.differs.push(format!("`{name}: {value}` is no header")),
        }
    }
    let (path, query) = uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)));
    let asked = Asked {
        method: &parsed,
        path,
        query,
        scheme: written.scheme.as_ref().map_or("http", |scheme| &scheme.value),
        authority,
        headers: &headers,
        port: written.port.as_ref().map(|port| port.value).or_else(|| host::port_of(authority)).unwrap_or(80),
    };
    let gateway = written.gateway.as_ref().map(|gateway| gateway.value.as_str());
    let found = find(design, &asked, gateway, written.port.is_some());
    ran.route = found.map(|found| (found.route.name.to_string(), found.route.place.clone()));
    ran.got = found.map_or_else(|| "no route: 404".to_owned(), |found| design.describe(found.route));
    let wants = test.want_match.as_ref().is_none_or(|wants| wants.value);
    let differs = match found {
        None => vec!["no route is met".to_owned()],
        Some(found) => {
            let mut differs = compare::differences(design, test, found.route);
            differs.extend(governed(design, test, &asked, &found));
            differs.extend(access::differences(design, test, &asked, &found));
            differs
        }
    };
    match (wants, differs.is_empty()) {
        (true, _) => ran.differs.extend(differs),
        (false, false) => {}
        (false, true) => ran.differs.push("it matches, and should not".to_owned()),
    }
    ran
}

/// What of the policy of the calls that the request becomes is not as the test expects.
fn governed(design: &Design, test: &Written, asked: &Asked<'_>, found: &Found<'_>) -> Vec<String> {
    let Some(expected) = &test.policy else { return Vec::new() };
    let destinations = found.route.destinations();
    if destinations.is_empty() {
        return vec!["a policy expected, and no call is made".to_owned()];
    }
    let path = match &found.route.action {
        Action::Forward { rewrite: Some(rewrite), .. } => rewrite.uri.as_ref(),
        _ => None,
    };
    let path = path.map_or(asked.path.into(), |uri| uri.apply(asked.path, found.condition));
    let mut differs = Vec::new();
    for each in destinations {
        let service = design.service(each.destination.service);
        let call = each.call(service.operation_for(asked.method, &path));
        for differing in governed::differences(expected, &call.settings) {
            // Of several destinations each may differ.
            let whose = if destinations.len() > 1 { format!("{}: ", service.host()) } else { String::new() };
            differs.push(whose + &differing);
        }
    }
    differs
}

/// Asks the tables of the named gateway; or, where none is named, all of them and the mesh: first those
/// that have just the asked host, then those with a wildcard for it.
fn find<'d>(
    design: &'d Design,
    asked: &Asked<'_>,
    gateway: Option<&str>,
    port_given: bool,
) -> Option<Found<'d>> {
    let meant = |listener: &&Listener| {
        let named = gateway.is_none_or(|gateway| {
            // `name` alone means the gateway of any namespace.
            let is_it = |own: &str| own == gateway || own.rsplit('/').next() == Some(gateway);
            listener.name.split(',').any(is_it)
        });
        named && (!port_given || listener.bind.port() == asked.port)
    };
    // Who asks for https means a server that speaks it, if there is one; whoever does not, another.
    let secure = asked.scheme == "https";
    let mut listeners: Vec<&Listener> = design.listeners.iter().filter(meant).collect();
    listeners.sort_by_key(|listener| listener.tls.is_some() != secure);
    let listeners = listeners.into_iter().map(|listener| (&listener.table, listener.bind.port()));
    let mesh = Some((&design.mesh, asked.port)).filter(|_| gateway.is_none_or(|gateway| gateway == "mesh"));
    let tables: Vec<(&Table, u16)> = listeners.chain(mesh).collect();
    let ask = |exact: bool| {
        let asked_first = tables.iter().filter(|(table, _)| table.names(asked.authority) == exact);
        asked_first.into_iter().find_map(|(table, port)| table.find(&Asked { port: *port, ..*asked }))
    };
    ask(true).or_else(|| ask(false))
}
