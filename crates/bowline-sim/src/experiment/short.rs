//! The same plan, but shorter: for a first look, where a whole experiment would take minutes.
//!
//! What is cut off is what tells least: the quiet before the first fault and the long end after the last. What
//! happens in between is as it was, and so is everything else about the plan.

use super::{Plan, least_work};
use crate::arrivals::Arrivals;
use crate::definitions::seconds;
use bowline_model::Instant;
use std::time::Duration;

impl Plan {
    /// The plan with at most `before` in front of the first fault, and `after` behind the end of the last (behind
    /// its beginning, where it does not end). Without faults it is as long as both.
    ///
    /// A load that changes with time keeps its beginning: its faults meet the same rates as before.
    #[must_use]
    pub fn shortened(mut self, before: Duration, after: Duration) -> Self {
        let faults = self.arms.iter().flat_map(|arm| &arm.faults);
        let on_the_clock = |at: Instant| at.since(Instant::ZERO + self.warm_up);
        let ends = |begins: Duration, length: Option<Duration>| begins + length.unwrap_or_default();
        let spans = faults.map(|fault| (on_the_clock(fault.at), fault.length));
        let (first, last) = spans.fold((None, Duration::ZERO), |(first, last), (begins, length)| {
            (Some(first.map_or(begins, |first: Duration| first.min(begins))), last.max(ends(begins, length)))
        });
        let Some(first) = first else {
            self.length = self.length.min(before + after);
            return self;
        };
        let cut = if self.is_even() { first.saturating_sub(before) } else { Duration::ZERO };
        self.length = self.length.min(last + after).saturating_sub(cut);
        for fault in self.arms.iter_mut().flat_map(|arm| &mut arm.faults) {
            fault.at = fault.at - cut;
        }
        for words in &mut self.faults {
            words.at = words.at.saturating_sub(cut);
            words.until = words.until.map(|until| until.saturating_sub(cut));
        }
        self
    }

    /// Requests to services over all runs, were every try to succeed: what it costs, before it is run.
    #[must_use]
    pub fn work(&self) -> f64 {
        let length = seconds(self.warm_up + self.length);
        let arms = self.arms.iter().map(|arm| {
            let entries = arm.model.entries().iter();
            let rate: f64 = entries.map(|entry| entry.arrivals.rate_at(Instant::ZERO + self.warm_up)).sum();
            let runs = if arm.faults.is_empty() { 1.0 } else { 2.0 };
            rate * least_work(&arm.model).max(1.0) * runs
        });
        arms.sum::<f64>() * length * self.seeds.len() as f64
    }

    /// Whether as much arrives at any time as at any other.
    fn is_even(&self) -> bool {
        let entries = self.arms.iter().flat_map(|arm| arm.model.entries());
        entries
            .into_iter()
            .all(|entry| matches!(entry.arrivals, Arrivals::Poisson { .. } | Arrivals::Constant { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Options;
    use bowline_design::{Text, read};

    const SECOND: Duration = Duration::from_secs(1);

    /// One service under `load`, with `faults`.
    fn plan(load: &str, faults: &str) -> Plan {
        let text = format!(
            "kind: Service\nmetadata: {{ name: prices }}\nspec:\n  operations:\n  - {{ name: all, http: {{ method: GET, path: /prices }}, takes: {{ p50: 1ms, p99: 5ms }} }}
---\nkind: Scenario\nmetadata: {{ name: sale }}\nspec:\n  load: {{ operation: prices.all, {load}, for: 10m }}\n  warmUp: 5s\n  faults: [ {faults} ]\n"
        );
        let reading = read(&[Text { name: "design.yaml".into(), text }]);
        Plan::of(&reading, "default/sale", &Options::default()).unwrap()
    }

    /// The length, and when the first fault begins after the warm-up.
    fn of(plan: &Plan) -> (Duration, Duration) {
        let begins = plan.arms[0].faults[0].at.since(Instant::ZERO + plan.warm_up);
        assert_eq!(begins, plan.faults[0].at, "the words say when it begins");
        (plan.length, begins)
    }

    const EVEN: &str = "arrivals: poisson, rate: 100/s";

    #[test]
    fn the_quiet_before_the_first_fault_and_after_the_last_is_cut_off() {
        let faults = "{ at: 60s, for: 10s, service: prices, crash: {} }, { at: 80s, for: 5s, service: prices, pause: {} }";
        let short = plan(EVEN, faults).shortened(10 * SECOND, 40 * SECOND);
        assert_eq!(of(&short), (75 * SECOND, 10 * SECOND));
        assert_eq!(short.faults[1].until, Some(35 * SECOND));
    }

    #[test]
    fn a_load_that_changes_keeps_its_beginning() {
        let ramp = "rate: 10/s, arrivals: { ramp: { to: 100/s, over: 60s } }";
        let short = plan(ramp, "{ at: 60s, for: 10s, service: prices, crash: {} }")
            .shortened(10 * SECOND, 40 * SECOND);
        assert_eq!(of(&short), (110 * SECOND, 60 * SECOND));
    }

    #[test]
    fn what_is_short_enough_stays_as_it_is() {
        let short =
            plan(EVEN, "{ at: 1s, service: prices, crash: {} }").shortened(10 * SECOND, 3_600 * SECOND);
        assert_eq!(of(&short), (600 * SECOND, SECOND));
    }

    #[test]
    fn without_faults_it_is_as_long_as_both() {
        assert_eq!(plan(EVEN, "").shortened(10 * SECOND, 40 * SECOND).length, 50 * SECOND);
    }

    #[test]
    fn work_counts_every_request_of_every_run() {
        let mut plan =
            plan(EVEN, "{ at: 1s, for: 1s, service: prices, crash: {} }").shortened(SECOND, 3 * SECOND);
        plan.seeds.truncate(2);
        // 100/s for 5 + 5 s, with the faults and without, for two seeds.
        assert_eq!((plan.length, plan.work().round()), (5 * SECOND, 4_000.0));
    }
}
