//! R06: the same request is sent again after an answer that will be the same.

use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::layer::REFUSALS;
use crate::met::Met;
use crate::words::counted;
use bowline_model::decision::RetryOn;
use bowline_policy::{Conditions, RetryRule};
use std::cmp::Reverse;

pub(super) const RULE: Rule = Rule {
    id: "R06",
    title: "a retry after an answer that is final",
    about: "`retryOn` names a status that speaks of the request itself (400, 401, 403, 422, 501 and their like): the same\n\
        request gets the same answer, so every try is load and delay for nothing, and repeated 401s lock accounts.\n\
        Or it names a status below 400, which is no failure at all.\n\
        Error: RFC 9110 ties the status to what was asked and how.\n\
        Warning: 404 and 409 (`retriable-4xx` is 409 alone in Envoy). Both may pass, where a write is seen late or a lock\n\
        is given back; as a rule they need another request.\n\
        Not reported: 408, 413, 421, 423, 424, 425, 429 and what is not known here, which time or another host may mend, and\n\
        `5xx`, although it has 501 among others. What a service means by its statuses cannot be seen in a design.\n\
        The edit leaves these out and keeps the rest of `retryOn`, or refusals where there is no rest.",
    check,
};

/// What the request itself is at fault for (RFC 9110, 15.5 and 15.6; RFC 6585; RFC 7725). 413 may be temporary, by
/// its `Retry-After`.
const FINAL: [u16; 20] =
    [400, 401, 402, 403, 405, 406, 407, 410, 411, 412, 414, 415, 416, 417, 422, 426, 428, 431, 451, 501];

/// What as a rule needs another request, and may pass by itself.
const RARELY_PASSES: [u16; 2] = [404, 409];

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    // Of several at one place the gravest speaks; one text says the same to all of them.
    let found = asked.met.iter().filter_map(|met| finding(asked, met));
    one_per_place(found.map(|finding| (Reverse(finding.severity), finding)))
}

fn finding(asked: &Asked<'_>, met: &Met<'_>) -> Option<Finding> {
    let plan = &met.settings.retry;
    let RetryRule::Named(named) = &plan.rule.value else { return None };
    let place = plan.rule.from.place()?;
    if plan.tries.value < 2 {
        return None;
    }
    let (severity, word) = worst(named)?;
    let again = plan.tries.value - 1;
    Some(Finding {
        rule: RULE.id,
        severity,
        what: match severity {
            Severity::Error => {
                format!("{} is asked again after `{word}`, which is its answer", met.name(asked.design))
            }
            _ => format!("{} is asked again after `{word}`, which seldom passes", met.name(asked.design)),
        },
        place: place.clone(),
        label: format!("after `{word}` the same request gets the same answer"),
        path: Vec::new(),
        formula: format!(
            "1 + {again} = {} for one answer `{word}`",
            counted(plan.tries.value, "try", "tries")
        ),
        advice: format!("leave `{word}` to the caller: `retryOn: {}`", without(named)),
        edits: vec![Edit::Replace { place: place.clone(), text: without(named) }],
    })
}

/// The first word of a `retryOn` that repeats in vain, the surest first.
fn worst(named: &Conditions) -> Option<(Severity, String)> {
    let first = |is: fn(u16) -> bool| named.codes().iter().find(|code| is(**code)).map(u16::to_string);
    let conflict =
        || named.contains(RetryOn::Retriable4xx).then(|| RetryOn::Retriable4xx.as_str().to_owned());
    let sure = first(is_final).map(|word| (Severity::Error, word));
    sure.or_else(|| Some((Severity::Warning, first(rarely_passes).or_else(conflict)?)))
}

fn is_final(code: u16) -> bool {
    code < 400 || FINAL.contains(&code)
}

fn rarely_passes(code: u16) -> bool {
    RARELY_PASSES.contains(&code)
}

/// The same `retryOn` without all of these.
fn without(named: &Conditions) -> String {
    // The word for status codes is there whenever a code is, and says nothing without one.
    let words =
        named.iter().filter(|on| !matches!(on, RetryOn::Retriable4xx | RetryOn::RetriableStatusCodes));
    let words = words.map(|on| on.as_str().to_owned());
    let codes = named.codes().iter().filter(|code| !is_final(**code) && !rarely_passes(**code));
    let rest: Vec<String> = words.chain(codes.map(u16::to_string)).collect();
    if rest.is_empty() { REFUSALS.to_owned() } else { rest.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst_of(on: &str) -> Option<(Severity, String)> {
        worst(&Conditions::parse(on).unwrap())
    }

    #[test]
    fn what_time_or_another_host_may_mend_is_not_reported() {
        for on in ["5xx,reset", "gateway-error", "408,413,421,423,424,425,429,502,503,504", REFUSALS] {
            assert_eq!(worst_of(on), None, "{on}");
        }
    }

    #[test]
    fn the_surest_word_speaks() {
        assert_eq!(worst_of("retriable-4xx,404,403"), Some((Severity::Error, "403".to_owned())));
        assert_eq!(worst_of("200"), Some((Severity::Error, "200".to_owned())));
        assert_eq!(worst_of("retriable-4xx"), Some((Severity::Warning, "retriable-4xx".to_owned())));
    }

    #[test]
    fn the_rest_of_retry_on_is_kept() {
        let without = |on: &str| without(&Conditions::parse(on).unwrap());
        assert_eq!(without("connect-failure,400,503,retriable-4xx"), "connect-failure,503");
        assert_eq!(without("401"), REFUSALS);
    }
}
