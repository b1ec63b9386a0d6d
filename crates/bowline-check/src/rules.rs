//! The rules, one file each: what it finds, why that hurts, and how sure it can be.

mod b01_breaker_without_minimum;
mod b02_breaker_over_parts;
mod b03_open_shorter_than_restart;
mod b04_retries_an_open_breaker;
mod b05_no_fallback;
mod q01_unbounded_queue;
mod q02_dead_on_arrival;
mod q03_no_dead_letter;
mod q04_retention;
mod r01_amplification;
mod r02_two_layers_retry;
mod r03_no_backoff;
mod r04_retries_without_a_budget;
mod r05_repeats_an_effect;
mod r06_repeats_a_refused_request;
mod r07_sleeps_in_the_bulkhead;
mod r08_hedges_a_write;
mod t01_deadline_cannot_be_met;
mod t02_no_deadline;
mod t03_try_as_long_as_call;
mod t04_timeout_below_p99;
mod t05_timeout_far_above;
mod t06_deadline_not_handed_on;
mod t07_gateway_gives_up_first;
mod t08_tries_do_not_fit;
mod x01_cycle;
mod x02_depth;
mod x03_optional_and_waited_for;
mod x04_accepted_and_never_heard_of;

use crate::Asked;
use crate::finding::Finding;
use crate::graph::Node;
use bowline_design::Place;
use bowline_design::resolved::Subscription;
use std::collections::HashMap;

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
///
/// ```
/// let names: Vec<_> = bowline_check::all().iter().map(|rule| rule.id).collect();
/// assert_eq!(names, ["B01", "B02", "B03", "B04", "B05", "Q01", "Q02", "Q03", "Q04", "R01", "R02", "R03", "R04", "R05", "R06", "R07", "R08", "T01", "T02", "T03", "T04", "T05", "T06", "T07", "T08", "X01", "X02", "X03", "X04"]);
/// ```
#[must_use]
pub fn all() -> &'static [Rule] {
    &[
        b01_breaker_without_minimum::RULE,
        b02_breaker_over_parts::RULE,
        b03_open_shorter_than_restart::RULE,
        b04_retries_an_open_breaker::RULE,
        b05_no_fallback::RULE,
        q01_unbounded_queue::RULE,
        q02_dead_on_arrival::RULE,
        q03_no_dead_letter::RULE,
        q04_retention::RULE,
        r01_amplification::RULE,
        r02_two_layers_retry::RULE,
        r03_no_backoff::RULE,
        r04_retries_without_a_budget::RULE,
        r05_repeats_an_effect::RULE,
        r06_repeats_a_refused_request::RULE,
        r07_sleeps_in_the_bulkhead::RULE,
        r08_hedges_a_write::RULE,
        t01_deadline_cannot_be_met::RULE,
        t02_no_deadline::RULE,
        t03_try_as_long_as_call::RULE,
        t04_timeout_below_p99::RULE,
        t05_timeout_far_above::RULE,
        t06_deadline_not_handed_on::RULE,
        t07_gateway_gives_up_first::RULE,
        t08_tries_do_not_fit::RULE,
        x01_cycle::RULE,
        x02_depth::RULE,
        x03_optional_and_waited_for::RULE,
        x04_accepted_and_never_heard_of::RULE,
    ]
}

/// Those that say what the loads of scenarios do.
pub(crate) const fn over_loads() -> &'static [Rule] {
    &[q01_unbounded_queue::RULE, q04_retention::RULE]
}

/// The rule called `id`, in any case.
///
/// ```
/// assert_eq!(bowline_check::rule("t02").unwrap().title, "no deadline");
/// assert!(bowline_check::rule("T99").is_none());
/// ```
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    all().iter().find(|rule| rule.id.eq_ignore_ascii_case(id))
}

/// Of several findings at one place the one with the least key: the edit there mends them all, if it mends
/// the one that asks for most.
fn one_per_place<K: Ord>(found: impl IntoIterator<Item = (K, Finding)>) -> Vec<Finding> {
    let mut of_places: Vec<(K, Finding)> = Vec::new();
    let mut positions: HashMap<Place, usize> = HashMap::new();
    for (key, finding) in found {
        match positions.get(&finding.place) {
            Some(at) if of_places[*at].0 <= key => {}
            Some(at) => of_places[*at] = (key, finding),
            None => {
                positions.insert(finding.place.clone(), of_places.len());
                of_places.push((key, finding));
            }
        }
    }
    of_places.into_iter().map(|(_, finding)| finding).collect()
}

/// The topic whose records are given to an operation.
fn topic_to<'a>(asked: &'a Asked<'_>, node: Node) -> Option<&'a str> {
    let reads = |it: &&Subscription| (it.service, it.operation) == (node.service, node.operation);
    let subscription = asked.design.subscriptions.iter().find(reads)?;
    Some(&asked.design.topics[subscription.topic.0 as usize].name)
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
