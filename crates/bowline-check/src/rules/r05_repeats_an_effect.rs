//! R05: a retry may do twice what must be done once.

use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::layer::{REFUSALS, code_after_work, work_done};
use crate::met::Met;
use crate::words::counted;
use bowline_design::resolved::Protocol;
use bowline_design::routing::{Condition, Route};
use bowline_policy::RetryRule;
use http::Method;
use std::cmp::Reverse;

pub(super) const RULE: Rule = Rule {
    id: "R05",
    title: "a retry may repeat an effect",
    about: "A request that changes something is sent again although the first try may have had its effect: Istio's\n\
        `retryOn` names answers (5xx, gateway-error, reset, a status) that say nothing about it, and so may gRPC's\n\
        `retryableStatusCodes` (UNAVAILABLE, INTERNAL). That is how a payment is paid twice.\n\
        Error: the design declares an operation behind the route that is not idempotent.\n\
        Warning: the route takes POST or PATCH, and no operation says that repeating is safe.\n\
        Tries that our own Policy configures never do this: after an unknown outcome only what is idempotent is\n\
        asked again.\n\
        The edit keeps the retries after refusals, which surely had no effect. If the operation honours an\n\
        Idempotency-Key, declare it `idempotent: by-key` instead and let a Policy retry it.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    // Of several at one place the gravest speaks.
    one_per_place(
        asked
            .met
            .iter()
            .filter_map(|met| finding(asked, met))
            .map(|finding| (Reverse(finding.severity), finding)),
    )
}

pub(super) fn finding(asked: &Asked<'_>, met: &Met<'_>) -> Option<Finding> {
    let plan = &met.settings.retry;
    let rule = &plan.rule.value;
    let place = plan.rule.from.place()?;
    // What hedging repeats is R08's.
    if plan.tries.value < 2 || met.settings.hedge.as_ref().is_some_and(|hedge| hedge.value.by_grpc) {
        return None;
    }
    let service = asked.design.service(met.service);
    let (what, severity, grpc) = match met.operation_in(asked.design) {
        Some(operation) => {
            let method = operation.http.as_ref().map_or(&Method::POST, |(method, _)| method);
            if met.settings.idempotent.value.repeatable(method, true) {
                return None;
            }
            (format!("{}.{} is", service.name, operation.name), Severity::Error, operation.grpc.is_some())
        }
        None => {
            let route = met.route.filter(|route| takes_effects(route))?;
            (
                format!("a POST by {} may be", route.name),
                Severity::Warning,
                service.protocol == Protocol::Grpc,
            )
        }
    };
    let (why, advice, edits) = match rule {
        RetryRule::Outcome => return None,
        RetryRule::Named(named) => (
            work_done(named, grpc)?,
            format!("retry only after refusals: `{REFUSALS}`"),
            vec![Edit::Replace { place: place.clone(), text: REFUSALS.to_owned() }],
        ),
        RetryRule::Codes(codes) => (
            code_after_work(*codes)?.to_owned(),
            "name only statuses that say that nothing was done, such as RESOURCE_EXHAUSTED".to_owned(),
            Vec::new(),
        ),
    };
    Some(Finding {
        rule: RULE.id,
        severity,
        what: format!("{what} sent again after `{why}`, when the first try may have had its effect"),
        place: place.clone(),
        label: format!("`{why}` says nothing about the effect"),
        path: Vec::new(),
        formula: format!(
            "{}, not known to be idempotent, retried after `{why}`",
            counted(plan.tries.value, "try", "tries")
        ),
        advice: format!(
            "{advice}; or declare the operation `idempotent: by-key` if it honours Idempotency-Key"
        ),
        edits,
    })
}

/// Whether some POST or PATCH can meet the route: no condition rules the method out.
fn takes_effects(route: &Route) -> bool {
    let allows = |condition: &Condition, method: &Method| {
        condition.excluded.is_none()
            && condition.method.as_ref().is_none_or(|own| own.matches(method.as_str()))
    };
    let some = |method| route.conditions.iter().any(|condition| allows(condition, method));
    route.conditions.is_empty() || some(&Method::POST) || some(&Method::PATCH)
}
