//! R08: a hedge of what must be done once.

use super::Rule;
use crate::Asked;
use crate::finding::{Finding, Severity};
use crate::met::Met;
use bowline_design::Place;
use http::Method;

pub(super) const RULE: Rule = Rule {
    id: "R08",
    title: "a hedge of what must be done once",
    about: "A Policy sends a second try beside a late one (`hedge`), and nothing that it is for may be repeated: POST and PATCH\n\
        whose operation is not declared idempotent. Two tries at once have their effect twice, whatever is cancelled\n\
        afterwards, so none is ever sent: the policy promises a shorter tail and changes nothing.\n\
        Error: every call that the policy reaches through a route is of that kind.\n\
        Not reported: a policy that also reaches something that may be repeated; there the others simply go without.\n\
        If the operation honours an Idempotency-Key, declare it `idempotent: by-key`. Otherwise drop the `hedge`.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for met in &asked.met {
        let Some(place) = place(met) else { continue };
        let known = found.iter().any(|finding| finding.place == *place);
        if !known && !reaches_what_repeats(asked, place) {
            found.push(finding(asked, place, met));
        }
    }
    found
}

fn reaches_what_repeats(asked: &Asked<'_>, at: &Place) -> bool {
    asked.met.iter().any(|met| place(met) == Some(at) && may_repeat(asked, met))
}

fn place<'d>(met: &Met<'d>) -> Option<&'d Place> {
    met.settings.hedge.as_ref()?.from.place()
}

/// Whether some request of this kind may be repeated.
fn may_repeat(asked: &Asked<'_>, met: &Met<'_>) -> bool {
    let method = match met.operation_in(asked.design) {
        Some(operation) => operation.http.as_ref().map_or(&Method::POST, |(method, _)| method),
        // Whatever is asked for, some of it is read.
        None => &Method::GET,
    };
    met.settings.idempotent.value.repeatable(method, true)
}

fn finding(asked: &Asked<'_>, place: &Place, met: &Met<'_>) -> Finding {
    let service = asked.design.service(met.service);
    let what = match met.operation_in(asked.design) {
        Some(operation) => format!("{}.{}", service.name, operation.name),
        None => service.name.to_string(),
    };
    Finding {
        rule: RULE.id,
        severity: Severity::Error,
        what: format!("{what} is hedged and may not be repeated, so no hedge is ever sent"),
        place: place.clone(),
        label: "nothing that this is for may be done twice".to_owned(),
        path: Vec::new(),
        formula: "a hedge is sent only where asking twice is as good as asking once".to_owned(),
        advice: "declare the operation `idempotent: by-key` if it honours Idempotency-Key; or drop the hedge"
            .to_owned(),
        edits: Vec::new(),
    }
}
