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
