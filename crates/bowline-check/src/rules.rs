//! The rules, one file each: what it finds, why that hurts, and how sure it can be.

mod b01_breaker_without_minimum;
mod r01_amplification;
mod r02_two_layers_retry;
mod r03_no_backoff;
mod r05_repeats_an_effect;
mod t01_deadline_cannot_be_met;
mod t02_no_deadline;
mod t03_try_as_long_as_call;
mod t08_tries_do_not_fit;
mod x01_cycle;

use crate::Asked;
use crate::finding::Finding;
use bowline_design::resolved::{CallSettings, Design};
use bowline_design::routing::{Route, Table};
use std::sync::Arc;

/// A rule: its name, what it is about, and what finds it.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its name in findings, `T08`.
    pub id: &'static str,
    /// What it finds, in a few words.
    pub title: &'static str,
    /// What it finds, why that hurts, and how sure it is: what `bowline check --explain` prints.
    pub about: &'static str,
    pub(crate) check: fn(&Asked<'_>) -> Vec<Finding>,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rule").field("id", &self.id).field("title", &self.title).finish_non_exhaustive()
    }
}

/// All rules, by name.
#[must_use]
pub fn all() -> &'static [Rule] {
    &[
        b01_breaker_without_minimum::RULE,
        r01_amplification::RULE,
        r02_two_layers_retry::RULE,
        r03_no_backoff::RULE,
        r05_repeats_an_effect::RULE,
        t01_deadline_cannot_be_met::RULE,
        t02_no_deadline::RULE,
        t03_try_as_long_as_call::RULE,
        t08_tries_do_not_fit::RULE,
        x01_cycle::RULE,
    ]
}

/// The rule called `id`, in any case.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    all().iter().find(|rule| rule.id.eq_ignore_ascii_case(id))
}

/// A call's settings and where they are met: what the rules that need no graph look at.
pub(crate) struct Met<'d> {
    pub(crate) settings: &'d CallSettings,
    /// The route that sends the call, if one is written; otherwise the operation.
    pub(crate) route: Option<&'d Arc<Route>>,
    /// For people: the route's or the operation's name.
    pub(crate) name: String,
    /// Whether a gateway of ours sends it, and stamps a deadline where nobody else does.
    pub(crate) edge: bool,
}

/// Every call's settings that a design holds: those of each written route, and those of each operation
/// that a policy governs by itself. Where all operations behind a route share them, they come once.
pub(crate) fn settings(design: &Design) -> Vec<Met<'_>> {
    let tables = design.listeners.iter().map(|listener| (&listener.table, true)).chain([(&design.mesh, false)]);
    let routed = tables.flat_map(|(table, edge)| routes(table).map(move |route| (route, edge)));
    let mut met: Vec<Met<'_>> = Vec::new();
    for (route, edge) in routed {
        for weighted in route.destinations() {
            for call in &weighted.calls {
                if !met.iter().any(|known| same(known, &call.settings, Some(route))) {
                    let name = route.name.to_string();
                    met.push(Met { settings: &call.settings, route: Some(route), name, edge });
                }
            }
        }
    }
    for (_, service) in design.services() {
        for operation in &service.operations {
            if !met.iter().any(|known| known.settings == &*operation.settings) {
                let name = format!("{}.{}", service.name, operation.name);
                met.push(Met { settings: &operation.settings, route: None, name, edge: false });
            }
        }
    }
    met
}

/// The routes that documents write, not those that every service has by itself.
fn routes(table: &Table) -> impl Iterator<Item = &Arc<Route>> {
    table.hosts().iter().flat_map(|host| &host.routes).filter(|route| !route.implied)
}

/// Whether two calls would be judged alike: the same route, deadlines and tries.
fn same(known: &Met<'_>, settings: &CallSettings, route: Option<&Arc<Route>>) -> bool {
    let alike = known.settings.retry == settings.retry
        && known.settings.deadlines == settings.deadlines
        && known.settings.idempotent.value == settings.idempotent.value;
    alike && known.route.map(|route| &route.place) == route.map(|route| &route.place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_tells_what_why_and_how_sure() {
        for rule in all() {
            assert!(rule.about.len() > 200, "{} is too short to help", rule.id);
            assert_eq!(super::rule(&rule.id.to_lowercase()).map(|rule| rule.id), Some(rule.id));
        }
    }
}
