//! How tries are made to fit into a span: the smallest edit that does it and does no harm.

use crate::edit::Edit;
use crate::met::Met;
use crate::tries::{fitting, formula, per_try_that_fits, rounded_up, worst};
use crate::words::{counted, span};
use crate::{Asked, layer};
use bowline_design::format::format_duration;
use bowline_design::resolved::{CallSettings, TryPlan};
use bowline_design::{Place, Sourced};
use std::time::Duration;

/// What to do, and the edits that do it.
pub(crate) struct Mend {
    pub(crate) advice: String,
    pub(crate) edits: Vec<Edit>,
}

/// Makes the tries of `plan` fit into `limit`: by a shorter per-try time, where the callee is known to
/// need less or nothing is known; else by fewer tries; else by a longer deadline, where `deadline` is the
/// one that is too short.
pub(crate) fn to_fit(
    asked: &Asked<'_>,
    plan: &TryPlan,
    limit: Duration,
    deadline: Option<&Sourced<Duration>>,
) -> Mend {
    let Some(per_try) = &plan.per_try else { return Mend { advice: String::new(), edits: Vec::new() } };
    // By an alias, one text may be both: whatever is written there, it does not fit into itself.
    if is_one_text(per_try, deadline) {
        let advice = "one value is a try's time and the deadline: give each its own".to_owned();
        return Mend { advice, edits: Vec::new() };
    }
    let fit = fitting(plan, per_try.value, limit);
    shorter_tries(asked, plan, per_try, limit, fit)
        .or_else(|| fewer_tries(plan, fit))
        .unwrap_or_else(|| longer_deadline(plan, fit, deadline))
}

/// Whether a try's time and a deadline are written once, by an alias.
pub(crate) fn is_one_text(per_try: &Sourced<Duration>, deadline: Option<&Sourced<Duration>>) -> bool {
    let at = |span: &Sourced<Duration>| {
        span.from.place().map(|place| (place.file.clone(), place.line, place.column))
    };
    deadline.is_some_and(|deadline| at(per_try).is_some() && at(per_try) == at(deadline))
}

/// The one deadline of a call, if a longer one would be obeyed: no other may be shorter.
pub(crate) fn only_deadline(settings: &CallSettings) -> Option<&Sourced<Duration>> {
    match settings.deadlines.as_slice() {
        [(_, only)] => Some(only),
        _ => None,
    }
}

fn shorter_tries(
    asked: &Asked<'_>,
    plan: &TryPlan,
    per_try: &Sourced<Duration>,
    limit: Duration,
    fit: u32,
) -> Option<Mend> {
    let place = per_try.from.place()?;
    let fits = per_try_that_fits(plan, limit).filter(|fits| *fits >= needed(asked, place))?;
    let field = place.path.rsplit('.').next().unwrap_or_default();
    let or = if fit > 0 { format!(", or allow {}", counted(fit, "try", "tries")) } else { String::new() };
    let text = format_duration(fits);
    Some(Mend {
        advice: format!(
            "lower {field} to {} and all {} fit ({}){or}",
            span(fits),
            plan.tries.value,
            formula(plan, fits)
        ),
        edits: vec![Edit::Replace { place: place.clone(), text }],
    })
}

fn fewer_tries(plan: &TryPlan, fit: u32) -> Option<Mend> {
    let lowered = (fit > 0).then(|| layer::fewer(plan, fit)).flatten()?;
    (lowered.tries <= fit).then(|| Mend {
        advice: format!("allow {}: its callee needs the time that a try has", counted(fit, "try", "tries")),
        edits: vec![lowered.edit],
    })
}

/// `raise the deadline to 8.3 s`: with it, all tries fit as they are. `None` where one text is both.
pub(crate) fn longer(plan: &TryPlan, deadline: Option<&Sourced<Duration>>) -> Option<String> {
    let longer = rounded_up(worst(plan)?);
    let one_text = plan.per_try.as_ref().is_some_and(|per_try| is_one_text(per_try, deadline));
    (deadline.is_some() && !one_text).then(|| format!("raise the deadline to {}", span(longer)))
}

fn longer_deadline(plan: &TryPlan, fit: u32, deadline: Option<&Sourced<Duration>>) -> Mend {
    let longer = worst(plan).map(rounded_up).unwrap_or_default();
    let place = deadline.and_then(|deadline| deadline.from.place());
    Mend {
        advice: format!(
            "raise the deadline to {}, or allow {}",
            span(longer),
            counted(fit.max(1), "try", "tries")
        ),
        edits: place
            .map(|place| Edit::Replace { place: place.clone(), text: format_duration(longer) })
            .into_iter()
            .collect(),
    }
}

/// The least time that a place may be given: what the slowest operation among all calls that take their per-try time or
/// their deadline from it is known to need.
pub(crate) fn needed(asked: &Asked<'_>, place: &Place) -> Duration {
    let theirs = |settings: &CallSettings| {
        let whole = settings.deadlines.iter().map(|(_, deadline)| deadline);
        whole.chain(&settings.retry.per_try).any(|limit| limit.from.place() == Some(place))
    };
    let met = asked.met.iter().filter(|met| theirs(met.settings)).filter_map(Met::node);
    let called = asked.graph.calls.iter().filter(|call| theirs(call.settings)).map(|call| call.to);
    met.chain(called).map(|node| asked.needs(node)).max().unwrap_or_default()
}
