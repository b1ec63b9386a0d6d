//! B03: a breaker that asks again before its callee can be back.

use super::b01_breaker_without_minimum::breakers;
use super::{Rule, one_per_place};
use crate::Asked;
use crate::edit::Edit;
use crate::finding::{Finding, Severity};
use crate::words::{counted, span};
use bowline_design::format::format_duration;
use bowline_design::resolved::scenario::{FaultKind, Target};
use bowline_design::resolved::{CallSettings, Scenario, ServiceId};
use std::cmp::Reverse;
use std::time::Duration;

/// So many rounds are named in a formula.
const ROUNDS_NAMED_MAX: usize = 4;

pub(super) const RULE: Rule = Rule {
    id: "B03",
    title: "open for less than a restart",
    about: "A breaker stays open for less time than its callee takes to start: the probes after it are real calls,\n\
        they meet a process that is not ready, and each round of them doubles the open time. So callers fail whom the\n\
        breaker should have spared, and the callee is taken back later than it is there.\n\
        Warning: the restart is what a `crash` in a scenario of the design says; jitter, which only lengthens the open\n\
        time, is left out. A restart that no scenario names is not known, and neither is the time of a drain.\n\
        The edit makes `open` as long as the restart, in whole seconds.",
    check,
};

fn check(asked: &Asked<'_>) -> Vec<Finding> {
    let met = asked.met.iter().map(|met| (met.settings, met.service));
    let called = asked.graph.calls.iter().map(|call| (call.settings, call.to.service));
    one_per_place(met.chain(called).filter_map(|(settings, service)| finding(asked, settings, service)))
}

fn finding(
    asked: &Asked<'_>,
    settings: &CallSettings,
    service: ServiceId,
) -> Option<(Reverse<Duration>, Finding)> {
    let breaker = settings.breaker.as_ref()?;
    let (restart, scenario) = restart(asked, service)?;
    let open = breaker.value.open;
    if open >= restart {
        return None;
    }
    let (early, back) = rounds(open, breaker.value.open_max, breaker.value.growth, restart);
    let written = breakers(asked).find(|known| Some(&known.place) == breaker.from.place())?;
    let place = written.open.as_ref().map_or(&written.place, |open| &open.place);
    let enough = Duration::from_secs(restart.as_secs() + u64::from(restart.subsec_nanos() > 0));
    let text = format_duration(enough);
    let mut edits = vec![match &written.open {
        Some(open) => Edit::Replace { place: open.place.clone(), text: text.clone() },
        None => Edit::Add { place: written.place.clone(), field: format!("open: {text}") },
    }];
    let longest = written.open_max.as_ref().filter(|longest| longest.value < enough);
    edits.extend(longest.map(|longest| Edit::Replace { place: longest.place.clone(), text: text.clone() }));
    let name = &asked.design.service(service).name;
    let named: Vec<String> = early.iter().take(ROUNDS_NAMED_MAX).map(|at| span(*at)).collect();
    let more = if early.len() > ROUNDS_NAMED_MAX { " and so on" } else { "" };
    let finding = Finding {
        rule: RULE.id,
        severity: Severity::Warning,
        what: format!(
            "the breaker of {name} asks again after {}, and {name} takes {} to start",
            span(open),
            span(restart)
        ),
        place: place.clone(),
        label: format!("shorter than the restart in Scenario {}", scenario.name),
        path: Vec::new(),
        formula: format!(
            "{} < {}: {} of probes too early, after {}{more}; asked again {} after the start is over",
            span(open),
            span(restart),
            counted(u32::try_from(early.len()).unwrap_or(u32::MAX), "round", "rounds"),
            named.join(", "),
            span(back.saturating_sub(restart))
        ),
        advice: format!("let it stay open for {}, as long as {name} takes to start", span(enough)),
        edits,
    };
    Some((Reverse(restart), finding))
}

/// The longest start of a service that a scenario names.
fn restart<'d>(asked: &Asked<'d>, service: ServiceId) -> Option<(Duration, &'d Scenario)> {
    let faults = asked
        .design
        .scenarios
        .iter()
        .flat_map(|scenario| scenario.faults.iter().map(move |it| (it, scenario)));
    let crashes = faults.filter(|(fault, _)| fault.target == Target::Service(service));
    let restarts = crashes.filter_map(|(fault, scenario)| match fault.kind {
        FaultKind::Crash { restart } => Some((restart, scenario)),
        _ => None,
    });
    restarts.max_by_key(|(restart, _)| *restart)
}

/// When a breaker that opened at the crash probes within the restart, and when it does so after it.
fn rounds(open: Duration, longest: Duration, growth: u32, restart: Duration) -> (Vec<Duration>, Duration) {
    // Nothing that is written is shorter than this, and nobody reads so many rounds.
    const ROUNDS_MAX: usize = 10_000;
    let (mut early, mut at, mut next) = (Vec::new(), open, open);
    while at < restart && early.len() < ROUNDS_MAX && !next.is_zero() {
        early.push(at);
        next = next.saturating_mul(growth.max(1)).min(longest.max(open));
        at = at.saturating_add(next);
    }
    (early, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_come_later_and_later_up_to_the_longest_open_time() {
        let s = Duration::from_secs;
        assert_eq!(rounds(s(1), s(60), 2, s(8)), (vec![s(1), s(3), s(7)], s(15)));
        assert_eq!(rounds(s(1), s(2), 2, s(8)), (vec![s(1), s(3), s(5), s(7)], s(9)));
        assert_eq!(rounds(s(9), s(60), 2, s(8)), (Vec::new(), s(9)));
    }
}
