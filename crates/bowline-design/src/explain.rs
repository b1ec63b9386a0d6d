//! Why a request goes where it goes, and what governs it there: offline, from the design alone.
//!
//! [`explain()`] asks the same tables as the proxy. The answer is data; its `Display` tells it to a
//! person, [`Explanation::to_json`] to a program.

mod telling;
mod values;

use crate::mistake::Place;
use crate::resolved::{CallSettings, Design, Idempotency, Listener, ServiceId, Source, Sourced};
use crate::routing::host::HostPattern;
use crate::routing::redirect::RedirectPath;
use crate::routing::{Action, Asked, Route, Table, Weighted};
use bowline_model::decision::DeadlineSource;
use bowline_policy::RetryRule;
use http::{HeaderMap, Method, Uri};
use std::fmt::Write;

/// Whom a request is sent to.
#[derive(Clone, Copy, Debug)]
pub enum Door<'d> {
    /// A gateway's listener.
    Gateway(&'d Listener),
    /// The mesh port.
    Mesh(&'d Table),
}

impl<'d> Door<'d> {
    /// The door that a request most likely means. One for https is a gateway's that speaks TLS, at the port that its
    /// authority names, and there the server of its host; any other is at that port, if a gateway listens there;
    /// otherwise whoever has just that host is meant, the mesh before the gateways, and only then somebody with a
    /// wildcard for it. `None`: nobody speaks TLS to that host there.
    #[must_use]
    pub fn of(design: &'d Design, asked: &Asked<'_>) -> Option<Self> {
        let name = crate::routing::host::without_port(asked.authority);
        let named = crate::routing::host::port_of(asked.authority);
        let serves =
            |listener: &&Listener| listener.tls.as_ref().is_some_and(|tls| tls.serves(Some(name)).is_some());
        let at = |port: u16| {
            let mut at_port = design.listeners.iter().filter(move |listener| listener.bind.port() == port);
            let first = at_port.next()?;
            design.listener_at(first.bind, Some(name)).or(Some(first))
        };
        if asked.scheme == "https" {
            // Without a port the usual one is meant; a design on somebody's desk has another, and a person who leaves it
            // out means that one.
            let listener = match named {
                Some(port) => at(port),
                None => at(443)
                    .filter(|listener| serves(listener))
                    .or_else(|| design.listeners.iter().find(serves)),
            };
            return listener.filter(serves).map(Self::Gateway);
        }
        let mesh = Self::Mesh(&design.mesh);
        let plain = || design.listeners.iter().filter(|listener| listener.tls.is_none()).map(Self::Gateway);
        let exact = || std::iter::once(mesh).chain(plain()).find(|door| door.table().names(asked.authority));
        let wild = || plain().chain([mesh]).find(|door| door.table().host_of(asked.authority).is_some());
        Some(named.and_then(at).map(Self::Gateway).or_else(exact).or_else(wild).unwrap_or(mesh))
    }

    /// What it routes.
    #[must_use]
    pub fn table(self) -> &'d Table {
        match self {
            Self::Gateway(listener) => &listener.table,
            Self::Mesh(table) => table,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Gateway(Listener { name, bind, tls: Some(tls), .. }) => {
                format!("gateway {name}, {bind}, TLS {}", tls.mode())
            }
            Self::Gateway(listener) => format!("gateway {}, {}", listener.name, listener.bind),
            Self::Mesh(_) => "mesh".to_owned(),
        }
    }
}

/// What becomes of a request, and why.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The request, `POST http://shop/orders`.
    pub request: String,
    /// Where it comes in.
    pub door: String,
    /// Why it does not even come in.
    pub refused: Option<String>,
    /// The names of the virtual host that its authority picks; `None`: nobody has that name.
    pub host: Option<String>,
    /// The rules that came first and were not met.
    pub passed_over: Vec<PassedOver>,
    /// The rule that is met.
    pub route: Option<Taken>,
}

impl Explanation {
    /// Of a request of which nothing is known but where it comes in.
    fn of(asked: &Asked<'_>, door: String) -> Self {
        let query = asked.query.map(|query| format!("?{query}")).unwrap_or_default();
        let request = format!("{} {}://{}{}{query}", asked.method, asked.scheme, asked.authority, asked.path);
        Self { request, door, refused: None, host: None, passed_over: Vec::new(), route: None }
    }
}

/// A rule that was not met.
#[derive(Clone, Debug)]
pub struct PassedOver {
    /// Its name.
    pub route: String,
    /// Where it is written.
    pub place: Place,
    /// For each of its `match` blocks the first thing that it asks for and the request is not.
    pub asks_for: Vec<String>,
}

/// The rule that is met, and what it does.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its name.
    pub route: String,
    /// Where it is written.
    pub place: Place,
    /// Where the `match` block stands that held.
    pub condition: Option<Place>,
    /// What the rule says besides the destinations.
    pub lines: Vec<Line>,
    /// Where the request may go.
    pub legs: Vec<Leg>,
}

/// One destination and what governs the call there.
#[derive(Clone, Debug)]
pub struct Leg {
    /// The service's host.
    pub host: String,
    /// The subset.
    pub subset: Option<String>,
    /// Its share of the requests, from 0 to 1.
    pub share: f64,
    /// The operation that the request asks for there, if it is a declared one.
    pub operation: Option<String>,
    /// The addresses.
    pub endpoints: Vec<String>,
    /// Why there is none.
    pub missing: Option<String>,
    /// How TLS is spoken there, if it is.
    pub tls: Option<String>,
    /// The effective policy.
    pub lines: Vec<Line>,
}

/// One thing that holds, and who says so.
#[derive(Clone, Debug)]
pub struct Line {
    /// What: `deadline`.
    pub what: &'static str,
    /// `300ms`.
    pub value: String,
    /// Who says so.
    pub from: Source,
}

impl Line {
    fn new<T>(what: &'static str, value: String, sourced: &Sourced<T>) -> Self {
        Self { what, value, from: sourced.from.clone() }
    }
}

/// What becomes of a request, at the door that its URL most likely means ([`Door::of`]).
#[must_use]
pub fn explain(design: &Design, method: &Method, url: &Uri, headers: &HeaderMap) -> Explanation {
    // Who asks is of no matter here.
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let scheme = url.scheme_str().unwrap_or("http");
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = url.port_u16().unwrap_or(usual);
    let asked = Asked { method, path: url.path(), query: url.query(), scheme, authority, headers, port };
    let Some(door) = Door::of(design, &asked) else {
        let speak: Vec<String> = design
            .listeners
            .iter()
            .filter_map(|listener| {
                let names: Vec<String> = listener.tls.as_ref()?.names.iter().map(HostPattern::text).collect();
                Some(format!("{} at port {}", names.join(", "), listener.bind.port()))
            })
            .collect();
        let refused = match speak.as_slice() {
            [] => "no gateway of this design speaks TLS: the connection is refused".to_owned(),
            some => format!(
                "no server for TLS has this host and port: refused; TLS is spoken to {}",
                some.join("; ")
            ),
        };
        return Explanation { refused: Some(refused), ..Explanation::of(&asked, "nobody".to_owned()) };
    };
    explain_at(design, &asked, door)
}

/// What becomes of a request that comes in at `door`.
#[must_use]
pub fn explain_at(design: &Design, asked: &Asked<'_>, door: Door<'_>) -> Explanation {
    // A gateway's rules ask for the port that it listens at.
    let asked = Asked {
        port: if let Door::Gateway(listener) = door { listener.bind.port() } else { asked.port },
        ..*asked
    };
    let mut explanation = Explanation::of(&asked, door.text());
    if let Door::Gateway(Listener { tls: Some(_), .. }) = door
        && asked.scheme == "http"
    {
        let refused = "this port speaks TLS: plain HTTP is answered with 400, plain-http; ask with https://";
        return Explanation { refused: Some(refused.to_owned()), ..explanation };
    }
    let Some(host) = door.table().host_of(asked.authority) else { return explanation };
    explanation.host = Some(host.names.iter().map(|name| &**name).collect::<Vec<_>>().join(", "));
    for route in &host.routes {
        if let Some(condition) = route.accepts(&asked) {
            explanation.route = Some(taken(design, &asked, route, condition));
            break;
        }
        let asks_for = route.conditions.iter().filter_map(|condition| condition.unmet(&asked));
        explanation.passed_over.push(PassedOver {
            route: route.name.to_string(),
            place: route.place.clone(),
            asks_for: asks_for.map(|unmet| unmet.to_string()).collect(),
        });
    }
    explanation
}

fn taken(
    design: &Design,
    asked: &Asked<'_>,
    route: &Route,
    condition: Option<&crate::routing::Condition>,
) -> Taken {
    let written = |what, value| Line { what, value, from: Source::Written(route.place.clone()) };
    let mut lines = Vec::new();
    let mut path = asked.path.to_owned();
    match &route.action {
        Action::Redirect(redirect) => {
            lines.push(written(
                "redirect",
                format!("{} to {}", redirect.status, redirect.location(asked, condition)),
            ));
        }
        Action::Respond { status, body } => {
            lines.push(written("answer", format!("{status} with {} bytes", body.len())));
        }
        Action::Forward { rewrite: Some(rewrite), .. } => {
            if let Some(uri) = &rewrite.uri {
                path = uri.apply(asked.path, condition).into_owned();
                lines.push(written("path", path.clone()));
            }
            if let Some(authority) = &rewrite.authority {
                lines.push(written("authority", String::from_utf8_lossy(authority.as_bytes()).into_owned()));
            }
        }
        Action::Forward { rewrite: None, .. } => {}
    }
    if let Some(fault) = &route.fault {
        let from = Source::Written(fault.place.clone());
        let value = values::istio_fault(fault) + "; Istio's: outside of the tries, which it switches off";
        lines.push(Line { what: "fault", value, from });
    }
    for mirror in &route.mirrors {
        let host = design.service(mirror.destination.service).host();
        lines.push(written("mirror", format!("{} of requests to {host}", mirror.percent)));
    }
    let legs = route.destinations().iter().map(|each| leg(design, asked, route, each, &path)).collect();
    Taken {
        route: route.name.to_string(),
        place: route.place.clone(),
        condition: condition.and_then(|condition| condition.place.clone()),
        lines,
        legs,
    }
}

fn leg(design: &Design, asked: &Asked<'_>, route: &Route, each: &Weighted, path: &str) -> Leg {
    let destination = &each.destination;
    let service = design.service(destination.service);
    let operation = service.operation_for(asked.method, path);
    let total: u64 = route.destinations().iter().map(|other| u64::from(other.weight)).sum();
    Leg {
        host: service.host().to_owned(),
        subset: destination.subset.as_ref().map(ToString::to_string),
        share: f64::from(each.weight) / total.max(1) as f64,
        operation: operation.map(|index| format!("{}.{}", service.name, service.operations[index].name)),
        endpoints: destination.endpoints.iter().map(|index| service.endpoints[*index].to_string()).collect(),
        missing: destination.missing.as_ref().map(ToString::to_string),
        tls: destination.tls.as_ref().map(values::callee_tls),
        lines: {
            let mut lines = policy(&each.call(operation).settings, destination.endpoints.len(), asked);
            let kept = destination.connections.as_ref();
            lines.extend(kept.map(|kept| Line::new("connections", values::connections(&kept.value), kept)));
            let check = service.health_check.as_ref();
            lines.splice(0..0, access(design, destination.service, operation));
            lines.extend(check.map(|check| Line::new("health check", values::check(&check.value), check)));
            lines
        },
    }
}

/// Who is let through to a call, a line for each rule; nothing where the design has no Access.
fn access(design: &Design, service: ServiceId, operation: Option<usize>) -> Vec<Line> {
    let Some(access) = &design.access else { return Vec::new() };
    let grants = access.grants(service, operation);
    let each = grants.iter().filter_map(|grant| {
        let rule = access.rules.get(usize::from(grant.rule))?;
        let who: Vec<String> = grant.from.iter().map(ToString::to_string).collect();
        Some(Line { what: "access", value: who.join("; "), from: Source::Written(rule.place.clone()) })
    });
    let lines: Vec<Line> = each.collect();
    if !lines.is_empty() {
        return lines;
    }
    let from = Source::Default("no Access names this call, and what none names is denied");
    vec![Line { what: "access", value: "nobody: 403".to_owned(), from }]
}

/// The effective policy, line by line.
fn policy(settings: &CallSettings, endpoints: usize, asked: &Asked<'_>) -> Vec<Line> {
    let mut lines = vec![deadline(settings)];
    let retry = &settings.retry;
    lines.push(Line::new("tries", retry.tries.value.to_string(), &retry.tries));
    if retry.tries.value > 1 {
        lines.push(match &retry.per_try {
            Some(per_try) => Line::new("per try", values::span(per_try.value), per_try),
            None => Line {
                what: "per try",
                value: "what is left of the deadline".to_owned(),
                from: Source::Default("nobody says less"),
            },
        });
        lines.push(Line::new("back-off", values::backoff(retry.backoff.value), &retry.backoff));
        lines.push(Line::new("retry on", values::rule(&retry.rule.value), &retry.rule));
        // Istio's conditions ask nothing else; ours ask this as well.
        if retry.rule.value == RetryRule::Outcome {
            lines.push(repeatable(&settings.idempotent, asked));
        }
    } else if let Some(per_try) = &retry.per_try {
        lines.push(Line::new("per try", values::span(per_try.value), per_try));
    }
    if let Some(hedge) = &settings.hedge {
        lines.push(Line::new("hedge", values::hedge(&hedge.value), hedge));
        if retry.tries.value < 2 {
            lines.push(repeatable(&settings.idempotent, asked));
        }
    }
    if let Some(budget) = &settings.budget {
        lines.push(Line::new("budget", values::budget(&budget.value), budget));
    }
    if let Some(breaker) = &settings.breaker {
        lines.push(Line::new("breaker", values::breaker(&breaker.value), breaker));
    }
    // Of one endpoint there is nothing to pick.
    if endpoints > 1 || settings.balance.from.place().is_some() {
        lines.push(Line::new("balancing", values::balancing(&settings.balance.value), &settings.balance));
    }
    if let Some(bulkhead) = &settings.bulkhead {
        lines.push(Line::new("bulkhead", values::bulkhead(&bulkhead.value), bulkhead));
    }
    if let Some(rate) = &settings.rate {
        let value = format!("{} calls a second, {} at once", rate.value.per_second, rate.value.burst);
        lines.push(Line::new("rate limit", value, rate));
    }
    if let Some(admission) = &settings.admission {
        lines.push(Line::new("admission", values::admission(&admission.value), admission));
    }
    if let Some(priority) = &settings.priority {
        let value = format!("{}, where a trusted caller does not say", priority.value);
        lines.push(Line::new("priority", value, priority));
    }
    if let Some(doomed) = &settings.doomed {
        lines.push(Line::new("doomed", values::doomed(&doomed.value), doomed));
    }
    for fault in &settings.faults {
        lines.push(Line::new("fault", values::fault(fault.value) + ", inside the try", fault));
    }
    if let Some(outlier) = &settings.outlier {
        lines.push(Line::new("ejection", values::outlier(&outlier.value), outlier));
    }
    lines
}

fn deadline(settings: &CallSettings) -> Line {
    let Some((by, span)) = settings.deadline() else {
        let from = Source::Default("nobody sets one, and Istio has none of its own");
        return Line { what: "deadline", value: "none but the caller's".to_owned(), from };
    };
    let others: Vec<String> = settings
        .deadlines
        .iter()
        .filter(|(_, other)| other != span)
        .map(|(by, other)| format!("{by} {}", values::span(other.value)))
        .collect();
    let mut value = values::span(span.value);
    match (by, &others[..]) {
        (DeadlineSource::Edge, _) => value.push_str(", where the caller brings none"),
        (_, []) => {}
        (_, others) => {
            let _ = write!(value, " (the least; {})", others.join(", "));
        }
    }
    Line::new("deadline", value, span)
}

fn repeatable(idempotent: &Sourced<Idempotency>, asked: &Asked<'_>) -> Line {
    let keyed = asked.headers.contains_key("idempotency-key");
    let value = match (idempotent.value, idempotent.value.repeatable(asked.method, keyed)) {
        (Idempotency::ByKey, true) => "yes, by its key",
        (Idempotency::ByKey, false) => "no: the request has no Idempotency-Key",
        (_, true) => "yes",
        (_, false) => "no",
    };
    Line::new("repeatable", value.to_owned(), idempotent)
}

impl Design {
    /// What a route does, in one line.
    #[must_use]
    pub fn describe(&self, route: &Route) -> String {
        match &route.action {
            Action::Redirect(redirect) => {
                let mut text = format!("redirect {}", redirect.status);
                if let Some(authority) = &redirect.authority {
                    let _ = write!(text, " to authority {authority}");
                }
                match &redirect.path {
                    RedirectPath::Same => {}
                    RedirectPath::Whole(path) => {
                        let _ = write!(text, " to {path}");
                    }
                    RedirectPath::Matched(with) => {
                        let _ = write!(text, " to {with} in the place of what matched");
                    }
                }
                text
            }
            Action::Respond { status, .. } => format!("answer {status}"),
            Action::Forward { destinations, .. } => {
                let each = destinations.iter().map(|each| {
                    let destination = &each.destination;
                    let mut text = self.service(destination.service).host().to_owned();
                    if let Some(subset) = &destination.subset {
                        let _ = write!(text, " subset {subset}");
                    }
                    if let Some(port) = destination.port {
                        let _ = write!(text, " port {port}");
                    }
                    if destinations.len() > 1 {
                        let _ = write!(text, " weight {}", each.weight);
                    }
                    text
                });
                format!("to {}", each.collect::<Vec<_>>().join(", "))
            }
        }
    }
}
