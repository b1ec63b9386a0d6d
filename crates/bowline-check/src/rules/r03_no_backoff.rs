//! R03: retries that come back all at once.

use super::{Met, Rule, settings};
use crate::Asked;
use crate::finding::{Edit, Finding, Severity};
use crate::worst::span;
use bowline_policy::Backoff;

pub(super) const RULE: Rule = Rule {
    id: "R03",
    title: "no back-off or no jitter",
    about: "Retries without a pause hit a callee that is already struggling; pauses without jitter make all callers\n\
        that failed together come back together. Full jitter needs about half the calls for the same work under\n\
        contention (AWS Architecture Blog, \"Exponential Backoff And Jitter\", 2015).\n\
        Warning: at low rates it may not matter. Istio's back-off always has jitter; this is about our kinds.\n\
        The edit asks for full jitter, or for the default base of 25 ms.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    settings(asked.design).iter().filter_map(finding).collect()
}

fn finding(met: &Met<'_>) -> Option<Finding> {
    let plan = &met.settings.retry;
    let place = plan.backoff.from.place()?;
    let fixed = matches!(plan.backoff.value, Backoff::None) || is_fixed(&plan.backoff.value);
    if plan.tries.value < 2 || !fixed {
        return None;
    }
    let pause = plan.backoff.value.worst(1);
    let (what, label) = if pause.is_zero() {
        (format!("retries of {} follow each other without a pause", met.name), "no back-off".to_owned())
    } else {
        (
            format!("retries of {} come back in step: all callers that failed together wait the same {}", met.name, span(pause)),
            "no jitter".to_owned(),
        )
    };
    Some(Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what,
        place: place.clone(),
        label,
        path: Vec::new(),
        formula: format!("{} tries, first pause exactly {}", plan.tries.value, span(pause)),
        advice: "spread them: `jitter: full` with a base of 25 ms or more".to_owned(),
        edit: Some(Edit::Replace { place: place.clone(), text: "{ base: 25ms, max: 250ms, jitter: full }".to_owned() }),
    })
}

/// Whether the same retry always waits the same span: asked of the back-off itself, with two streams
/// of random numbers as far apart as can be.
fn is_fixed(backoff: &Backoff) -> bool {
    struct Always(u64);
    impl bowline_model::Random for Always {
        fn next_u64(&mut self) -> u64 {
            self.0
        }
    }
    let first = |bits| backoff.delay(1, std::time::Duration::ZERO, &mut Always(bits));
    first(0) == first(u64::MAX)
}
