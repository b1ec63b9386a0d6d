//! R08: a hedge of what must be done once.

use super::Rule;
use crate::Asked;
use crate::finding::{Finding, Severity};
use crate::met::{self, Met};
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
        gRPC's `hedgingPolicy` asks nobody whether a call may be repeated: there the second try is sent, and an operation\n\
        that is not idempotent has its effect twice. That is reported of each, an error where the operation is declared.\n\
        If the operation honours an Idempotency-Key, declare it `idempotent: by-key`. Otherwise drop the `hedge`.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let by_name = met::by_name(asked.design);
    for met in asked.met.iter().chain(&by_name) {
        let Some(place) = place(met) else { continue };
        let known = found.iter().any(|finding| finding.place == *place);
        let is_sent = met.settings.hedge.as_ref().is_some_and(|hedge| hedge.value.by_grpc);
        if !known && is_sent && !is_known_to_repeat(asked, met) {
            found.push(sent_twice(asked, place, met));
        } else if !known && !is_sent && is_written(met) && !reaches_what_repeats(asked, place) {
            found.push(finding(asked, place, met));
        }
    }
    found
}

/// Whether a document writes the route: what a policy promises is looked at where somebody asked for it.
fn is_written(met: &Met<'_>) -> bool {
    met.route.is_some_and(|route| !route.implied)
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

/// Whether every request of this kind may be repeated; of gRPC they are all POST.
fn is_known_to_repeat(asked: &Asked<'_>, met: &Met<'_>) -> bool {
    let method = met.operation_in(asked.design).and_then(|operation| operation.http.as_ref());
    met.settings.idempotent.value.repeatable(method.map_or(&Method::POST, |(method, _)| method), true)
}

/// A hedge that is sent although the call may not be repeated.
fn sent_twice(asked: &Asked<'_>, place: &Place, met: &Met<'_>) -> Finding {
    let declared = met.operation_in(asked.design).is_some();
    let name = name(asked, met);
    Finding {
        severity: if declared { Severity::Error } else { Severity::Warning },
        what: format!("{name} is hedged and not known to be idempotent: what is sent twice is done twice"),
        label: "sent beside a late try, whether it may be repeated or not".to_owned(),
        formula: "gRPC's hedging asks nothing of an operation".to_owned(),
        advice:
            "declare the operation `idempotent: by-key` if it honours Idempotency-Key; or use a `retryPolicy`"
                .to_owned(),
        ..finding(asked, place, met)
    }
}

/// What is asked, whichever route asks for it.
fn name(asked: &Asked<'_>, met: &Met<'_>) -> String {
    Met { route: None, ..met.clone() }.name(asked.design)
}

fn finding(asked: &Asked<'_>, place: &Place, met: &Met<'_>) -> Finding {
    let what = name(asked, met);
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
