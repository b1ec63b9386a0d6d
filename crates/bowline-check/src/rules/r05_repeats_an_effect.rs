//! R05: a retry may do twice what must be done once.

use super::Rule;
use crate::Asked;
use crate::finding::{Edit, Finding, Severity};
use crate::graph::{GRPC_WORK_DONE, WORK_DONE};
use bowline_design::resolved::{CallSettings, Idempotency, Service};
use bowline_design::routing::{Asked as Request, Condition, Route};
use bowline_policy::RetryRule;
use http::{HeaderMap, Method};

/// The conditions after which surely nothing was done.
pub(super) const REFUSALS: &str = "connect-failure,refused-stream,reset-before-request";

pub(super) const RULE: Rule = Rule {
    id: "R05",
    title: "a retry may repeat an effect",
    about: "A request that changes something is sent again although the first try may have had its effect: Istio's\n\
        `retryOn` names answers (5xx, gateway-error, reset, a status) that say nothing about it. That is how a\n\
        payment is paid twice.\n\
        Error: the design declares an operation behind the route that is not idempotent.\n\
        Warning: the route takes POST or PATCH, and no operation says that repeating is safe.\n\
        Tries that our own Policy configures never do this: after an unknown outcome only what is idempotent is\n\
        asked again.\n\
        The edit keeps the retries after refusals, which surely had no effect. If the operation honours an\n\
        Idempotency-Key, declare it `idempotent: by-key` instead and let a Policy retry it.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let design = asked.design;
    let tables = design.listeners.iter().map(|listener| &listener.table).chain([&design.mesh]);
    let mut findings: Vec<Finding> = Vec::new();
    for route in tables.flat_map(super::routes) {
        for weighted in route.destinations() {
            let service = design.service(weighted.destination.service);
            let found = weighted.calls.iter().filter_map(|call| finding(route, service, call.operation, &call.settings));
            for finding in found {
                match findings.iter_mut().find(|known| known.place == finding.place) {
                    Some(known) if known.severity < finding.severity => *known = finding,
                    Some(_) => {}
                    None => findings.push(finding),
                }
            }
        }
    }
    findings
}

fn finding(route: &Route, service: &Service, operation: Option<usize>, settings: &CallSettings) -> Option<Finding> {
    let RetryRule::Named(named) = &settings.retry.rule.value else { return None };
    let place = settings.retry.rule.from.place()?;
    let http = WORK_DONE.iter().find(|on| named.contains(**on)).map(|on| on.as_str().to_owned());
    let code = named.codes().first().map(u16::to_string);
    let grpc = GRPC_WORK_DONE.iter().find(|on| named.contains(**on)).map(|on| on.as_str().to_owned());
    let (name, severity, speaks_grpc) = match operation.map(|index| &service.operations[index]) {
        Some(operation) => {
            let repeatable = matches!(settings.idempotent.value, Idempotency::Yes | Idempotency::ByKey);
            let (method, path) = operation.example()?;
            if repeatable || method.is_idempotent() || !takes(route, &method, &path) {
                return None;
            }
            (format!("{}.{}", service.name, operation.name), Severity::Error, operation.grpc.is_some())
        }
        // A service that declares its operations is judged by them alone.
        None if !service.operations.is_empty() => return None,
        None if [Method::POST, Method::PATCH].iter().any(|method| may_take(route, method)) => {
            (format!("a POST to {}", service.name), Severity::Warning, false)
        }
        None => return None,
    };
    let why = http.or(code).or_else(|| grpc.filter(|_| speaks_grpc))?;
    if settings.retry.tries.value < 2 {
        return None;
    }
    Some(Finding {
        rule: RULE.id,
        severity,
        what: format!("{name} {} sent again after `{why}`, when the first try may have had its effect", if severity == Severity::Error { "is" } else { "may be" }),
        place: place.clone(),
        label: format!("`{why}` says nothing about the effect"),
        path: Vec::new(),
        formula: format!("{} tries, not idempotent, retryOn names `{why}`", settings.retry.tries.value),
        advice: format!("retry only after refusals: `{REFUSALS}`; or declare the operation `idempotent: by-key` if it honours Idempotency-Key"),
        edit: Some(Edit::Replace { place: place.clone(), text: REFUSALS.to_owned() }),
    })
}

/// Whether the route takes this very request.
fn takes(route: &Route, method: &Method, path: &str) -> bool {
    let headers = HeaderMap::new();
    let asked = Request { method, path, query: None, scheme: "http", authority: "", headers: &headers, port: 80 };
    route.conditions.is_empty() || route.conditions.iter().any(|condition| may_hold(condition, &asked))
}

/// Whether some request of this method can meet the route: no condition rules the method out.
fn may_take(route: &Route, method: &Method) -> bool {
    let allows = |condition: &Condition| condition.method.as_ref().is_none_or(|own| own.matches(method.as_str()));
    route.conditions.is_empty() || route.conditions.iter().any(|condition| condition.excluded.is_none() && allows(condition))
}

/// Whether a request with this method and path can meet the condition, whatever its headers, query,
/// authority and port are.
fn may_hold(condition: &Condition, asked: &Request<'_>) -> bool {
    let uri = condition.uri.as_ref().is_none_or(|uri| match condition.ignore_uri_case {
        true => uri.matches_ignoring_case(asked.path),
        false => uri.matches(asked.path),
    });
    let method = condition.method.as_ref().is_none_or(|method| method.matches(asked.method.as_str()));
    condition.excluded.is_none() && uri && method
}
