//! R03: retries that come back all at once.

use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::met::Met;
use crate::words::span;
use bowline_design::kinds::policy::Backoff as Written;
use bowline_design::{Place, Spot};
use bowline_policy::Backoff;
use std::time::Duration;

/// A first pause that is always shorter is none: Envoy rounds a base below it up
/// (`RetryBackOff.base_interval`), and a callee has not changed its state by then.
const PAUSE_MIN: Duration = Duration::from_millis(1);

pub(super) const RULE: Rule = Rule {
    id: "R03",
    title: "no back-off or no jitter",
    about: "Retries without a pause hit a callee that is already struggling; pauses without jitter make all callers\n\
        that failed together come back together. Full jitter needs about half the calls for the same work under\n\
        contention (AWS Architecture Blog, \"Exponential Backoff And Jitter\", 2015).\n\
        Warning: at low rates it may not matter. A pause below 1 ms counts as none; `decorrelated` with `max` no\n\
        longer than `base` leaves nothing to chance. `jitter: none` is refused when the design is read, and Istio's\n\
        back-off always has jitter and at least 1 ms.\n\
        The edit asks for full jitter, or for the default pauses of 25 to 250 ms.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    one_per_place(asked.met.iter().filter_map(|met| Some((Duration::ZERO, finding(asked, met)?))))
}

fn finding(asked: &Asked<'_>, met: &Met<'_>) -> Option<Finding> {
    let plan = &met.settings.retry;
    let place = plan.backoff.from.place()?;
    // gRPC's hedging sends the next one at once when the only one fails: that is its manner, and it is throttled.
    let hedges = met.settings.hedge.as_ref().is_some_and(|hedge| hedge.value.by_grpc);
    if plan.tries.value < 2 || hedges {
        return None;
    }
    let (pause, name) = (plan.backoff.value.worst(1), met.name(asked.design));
    let (what, label, advice, edits) = if pause < PAUSE_MIN {
        (
            format!("retries of {name} follow each other without a pause"),
            format!("at most {} before the first retry", span(pause)),
            "pause for 25 ms at first and 250 ms at most".to_owned(),
            written(asked, place).map(longer).unwrap_or_default(),
        )
    } else if is_fixed(&plan.backoff.value) {
        (
            format!(
                "retries of {name} come back in step: all that failed together wait the same {}",
                span(pause)
            ),
            "no jitter".to_owned(),
            "spread them: `jitter: full`".to_owned(),
            written(asked, place).and_then(full).into_iter().collect(),
        )
    } else {
        return None;
    };
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what,
        place: place.clone(),
        label,
        path: Vec::new(),
        formula: format!(
            "{} tries, first pause {} {}",
            plan.tries.value,
            if pause < PAUSE_MIN { "at most" } else { "always" },
            span(pause)
        ),
        advice,
        edits,
    })
}

/// Whether chance has no say: of what the back-offs have, only decorrelated jitter that is capped at once.
fn is_fixed(backoff: &Backoff) -> bool {
    match backoff {
        Backoff::Decorrelated { base, max } => max <= base,
        Backoff::None
        | Backoff::Envoy { .. }
        | Backoff::Full { .. }
        | Backoff::Equal { .. }
        | Backoff::Grpc { .. } => false,
    }
}

/// The policy's back-off that stands at a place.
fn written<'a>(asked: &'a Asked<'_>, place: &Place) -> Option<&'a Spot<Written>> {
    let retries = asked.documents.policies.iter().filter_map(|policy| policy.spec.retry.as_ref());
    retries.filter_map(|retry| retry.backoff.as_ref()).find(|backoff| backoff.place == *place)
}

fn full(backoff: &Spot<Written>) -> Option<Edit> {
    let place = backoff.jitter.as_ref()?.place.clone();
    Some(Edit::Replace { place, text: "full".to_owned() })
}

/// The default pauses, in the place of those that are written.
fn longer(backoff: &Spot<Written>) -> Vec<Edit> {
    let replace = |spot: &Option<Spot<Duration>>, text: &str| {
        spot.as_ref().map(|spot| Edit::Replace { place: spot.place.clone(), text: text.to_owned() })
    };
    [replace(&backoff.base, "25ms"), replace(&backoff.max, "250ms")].into_iter().flatten().collect()
}
