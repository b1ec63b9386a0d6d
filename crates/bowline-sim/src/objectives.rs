//! What an arm has to keep, and whether it does: a scenario's objectives and the needs of its operations.
//!
//! One population: every request that arrived in the measured window. A quantile is one of all of them, and
//! those that failed stand behind all that did not: with two of a hundred failed there is no time within which
//! 99 of 100 are acknowledged, however quick the others were. Requests that had not ended when the run did are
//! counted as "at least".

use crate::definitions::Recovery;
use crate::histogram::Histogram;
use crate::model::Model;
use crate::run::Run;
use crate::stats::{Estimate, Value};
use bowline_design::format::format_duration;
use bowline_design::resolved::scenario::{Amount, Bound, Metric, Objective, Quantile};
use bowline_design::resolved::service::{Consistency, Loss};
use bowline_design::resolved::{Needs, Operation};
use std::time::Duration;

/// The share of requests for which `answerWithin` has to hold: 99 of 100. A need names no quantile; all of them
/// is what no network can keep, half is what nobody means.
pub const ANSWERED_SHARE: f64 = 0.99;

/// One run and what it is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'r> {
    /// The run.
    pub run: &'r Run,
    /// Whether and when it was back to normal.
    pub recovery: &'r Recovery,
    /// What a request costs in requests to services when every try succeeds.
    pub least_work: f64,
}

impl Seen<'_> {
    /// What the run gave for a metric: times in seconds, requests and records as counts.
    #[must_use]
    pub fn value(&self, metric: Metric) -> Value {
        let (run, fates) = (self.run, &self.run.fates);
        // What may yet become of what was not seen to its end.
        let open =
            |count: u64| if 0 < fates.unfinished { at_least(count) } else { Value::Known(count as f64) };
        match metric {
            Metric::Ack(quantile) => self.time(&run.clocks.acknowledged, fates.unanswered, quantile.share()),
            Metric::Completion(quantile) => {
                self.time(&run.clocks.completed, self.censored(), quantile.share())
            }
            Metric::Visible(quantile) => self.time(&run.clocks.visible, self.censored(), quantile.share()),
            Metric::Failed if 0 < fates.unanswered => at_least(fates.failed),
            Metric::Failed => Value::Known(fates.failed as f64),
            Metric::Lost => open(fates.lost),
            Metric::Duplicated => open(fates.duplicated),
            Metric::Reordered => open(fates.reordered),
            Metric::Stuck => Value::Known((fates.stuck + fates.censored()) as f64),
            Metric::Staleness => {
                let worst = run.clocks.staleness.max().as_secs_f64();
                match fates.unfinished {
                    0 => Value::Known(worst),
                    // The youngest of them arrived when the load ended.
                    _ => Value::AtLeast(worst.max(self.shortest_wait())),
                }
            }
            Metric::Recovery => recovered(self.recovery),
            Metric::Backlog => {
                let groups = run.subscriptions.iter().map(|group| group.backlog_max);
                Value::Known(groups.max().unwrap_or(0) as f64)
            }
            Metric::Work => self.work(),
        }
    }

    /// Requests to services for each request, over what they would be were every try to succeed.
    fn work(&self) -> Value {
        let arrived = self.run.fates.arrived as f64;
        if arrived <= 0.0 || self.least_work <= 0.0 {
            return Value::Unknown;
        }
        Value::Known(self.run.work as f64 / arrived / self.least_work)
    }

    const fn censored(&self) -> u64 {
        self.run.fates.censored()
    }

    /// How long a request at least took that had not ended when the run did, in seconds.
    fn shortest_wait(&self) -> f64 {
        self.run.ended_at.saturating_sub(self.run.to).as_secs_f64()
    }

    /// The time within which this share of **all** requests got so far, in seconds.
    #[must_use]
    pub fn time(&self, clock: &Histogram, censored: u64, share: f64) -> Value {
        let arrived = self.run.fates.arrived;
        if arrived == 0 {
            return Value::Unknown;
        }
        let rank = ((share * arrived as f64).ceil() as u64).clamp(1, arrived);
        let known = clock.count();
        if known < rank {
            let among_censored = rank <= known + censored;
            return if among_censored { Value::AtLeast(self.shortest_wait()) } else { Value::Never };
        }
        match clock.quantile(rank as f64 / known as f64).map(|time| time.as_secs_f64()) {
            // Those that had not ended may stand before it.
            Some(time) if 0 < censored && self.shortest_wait() < time => Value::AtLeast(self.shortest_wait()),
            Some(time) => Value::Known(time),
            None => Value::Unknown,
        }
    }

    /// The share of all requests that got so far within `within`, from 0 to 1.
    #[must_use]
    pub fn share_within(&self, clock: &Histogram, within: Duration) -> Value {
        let arrived = self.run.fates.arrived;
        if arrived == 0 {
            return Value::Unknown;
        }
        Value::Known(clock.count_within(within) as f64 / arrived as f64)
    }
}

const fn at_least(count: u64) -> Value {
    Value::AtLeast(count as f64)
}

/// A recovery as a figure, in seconds.
#[must_use]
pub const fn recovered(recovery: &Recovery) -> Value {
    match recovery {
        Recovery::Untriggered => Value::Known(0.0),
        Recovery::Back { after, .. } => Value::Known(after.as_secs_f64()),
        Recovery::Metastable { watched } | Recovery::Censored { watched, .. } => {
            Value::AtLeast(watched.as_secs_f64())
        }
        Recovery::TriggerStays | Recovery::FailsByItself(_) => Value::Unknown,
    }
}

// === objectives ===

/// What an arm has to keep, with what it is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// What it is called: `ack.p99`, or `orders.place answerWithin`.
    pub name: String,
    /// What it may be at most, as it is written: `300ms`.
    pub bound: String,
    /// What is measured.
    pub measure: Measure,
}

/// What is measured, and against what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// A metric is at most so much.
    AtMost(Metric, Bound),
    /// No request that was acknowledged is done only later.
    Strong,
    /// Calls to an operation: [`ANSWERED_SHARE`] of them succeed within so long. The operation by its index in
    /// the model.
    Answers {
        /// Which operation.
        operation: u32,
        /// Within how long.
        within: Duration,
    },
}

impl Target {
    /// An objective of a scenario.
    #[must_use]
    pub fn of(objective: &Objective) -> Self {
        Self {
            name: objective.metric.as_str().to_owned(),
            bound: written(objective.at_most),
            measure: Measure::AtMost(objective.metric, objective.at_most),
        }
    }

    /// What the operation that a load asks needs of each request.
    #[must_use]
    pub fn needs_of(name: &str, needs: &Needs) -> Vec<Self> {
        let none = Bound::Requests(Amount::Count(0));
        let quantile = Quantile::P99;
        let mut targets = Vec::new();
        let mut add = |need: &str, bound: String, measure| {
            targets.push(Self { name: format!("{name} {need}"), bound, measure });
        };
        if let Some(within) = needs.answer_within {
            let measure = Measure::AtMost(Metric::Ack(quantile), Bound::Time(within));
            add("answerWithin", format_duration(within), measure);
        }
        if needs.loss == Some(Loss::None) {
            add("loss", "none".to_owned(), Measure::AtMost(Metric::Lost, none));
        }
        if needs.consistency == Some(Consistency::Strong) {
            add("consistency", "strong".to_owned(), Measure::Strong);
        }
        if let Some(staleness) = needs.staleness {
            let measure = Measure::AtMost(Metric::Staleness, Bound::Time(staleness));
            add("staleness", format_duration(staleness), measure);
        }
        targets
    }

    /// What an operation further inside needs of the calls to it: an answer in time. What its other needs come
    /// to shows in the requests as a whole.
    #[must_use]
    pub fn needs_inside(name: &str, operation: u32, does: &Operation) -> Option<Self> {
        let within = does.needs.as_ref()?.value.answer_within?;
        let measure = Measure::Answers { operation, within };
        Some(Self { name: format!("{name} answerWithin"), bound: format_duration(within), measure })
    }

    /// Whether it is over the calls to an operation further inside, and not over requests.
    #[must_use]
    pub const fn is_inside(&self) -> bool {
        matches!(self.measure, Measure::Answers { .. })
    }

    /// What a run gave: times in seconds, requests as counts, or as shares where the bound is one.
    #[must_use]
    pub fn value(&self, model: &Model, seen: &Seen<'_>) -> Value {
        match self.measure {
            Measure::AtMost(metric, Bound::Requests(Amount::Share(_))) => {
                let arrived = seen.run.fates.arrived as f64;
                let share = |count: f64| if arrived <= 0.0 { 0.0 } else { count / arrived };
                match seen.value(metric) {
                    Value::Known(count) => Value::Known(share(count)),
                    Value::AtLeast(count) => Value::AtLeast(share(count)),
                    other => other,
                }
            }
            Measure::AtMost(metric, _) => seen.value(metric),
            Measure::Strong => Value::Known(seen.run.clocks.staleness.max().as_secs_f64()),
            Measure::Answers { operation, .. } => answers(model, seen.run, operation),
        }
    }

    /// What the value may be at most.
    #[must_use]
    pub fn at_most(&self) -> f64 {
        match self.measure {
            Measure::AtMost(_, bound) => match bound {
                Bound::Time(time) => time.as_secs_f64(),
                Bound::Requests(Amount::Count(count)) | Bound::Records(count) => count as f64,
                Bound::Requests(Amount::Share(share)) => share,
                Bound::Times(times) => times,
            },
            Measure::Strong => 0.0,
            Measure::Answers { within, .. } => within.as_secs_f64(),
        }
    }

    /// Whether one run keeps it; `None`: it was over before that was known.
    #[must_use]
    pub fn is_met(&self, value: Value) -> Option<bool> {
        match value {
            Value::Known(value) => Some(value <= self.at_most()),
            Value::AtLeast(value) if self.at_most() < value => Some(false),
            Value::AtLeast(_) | Value::Unknown => None,
            Value::Never => Some(false),
        }
    }

    /// Whether an arm keeps it, by what its runs gave, one a seed.
    #[must_use]
    pub fn judge(&self, values: Vec<Value>) -> Judged {
        let met = |wanted| values.iter().filter(|value| self.is_met(**value) == wanted).count();
        let (kept, missed) = (met(Some(true)), met(Some(false)));
        let estimate = Estimate::of(&values);
        let standing = if values.is_empty() {
            Standing::Unsure
        } else if kept == values.len() {
            Standing::Met
        } else if missed == values.len() || (0 < missed && self.at_most() <= 0.0) {
            // A bound of nothing is broken by once.
            Standing::Missed
        } else {
            let edges = estimate.is_whole().then_some(()).and(estimate.mean).zip(estimate.half);
            match edges {
                Some((mean, half)) if mean + half <= self.at_most() => Standing::Met,
                Some((mean, half)) if self.at_most() < mean - half => Standing::Missed,
                _ => Standing::Unsure,
            }
        };
        Judged { kept, missed, of: values.len(), estimate, standing, values }
    }
}

/// What became of one target in one arm.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// In how many seeds it was met.
    pub kept: usize,
    /// In how many it was missed.
    pub missed: usize,
    /// How many there are; those that are neither were over before it was known.
    pub of: usize,
    /// What the seeds gave, together.
    pub estimate: Estimate,
    /// Whether it is met.
    pub standing: Standing,
    /// What each seed gave.
    pub values: Vec<Value>,
}

/// Whether a target is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In every seed, or their mean's 95 % interval lies within the bound.
    Met,
    /// In no seed, or their mean's 95 % interval lies beyond the bound, or the bound is zero and it is not.
    Missed,
    /// The bound lies within the noise, or runs were over before it was known.
    Unsure,
}

impl Standing {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Unsure => "unsure",
        }
    }
}

/// The time within which [`ANSWERED_SHARE`] of all calls to an operation succeeded, in seconds.
///
/// The recorder times calls whether they succeed or not. Had every failure been quicker than every success, the
/// quantile would be the one of all calls; so what is said here errs on the operation's side by no more than
/// that, and is [`Value::Never`] as soon as more fail than the share allows.
fn answers(model: &Model, run: &Run, operation: u32) -> Value {
    let mut took = Histogram::default();
    let (mut calls, mut succeeded) = (0, 0);
    for (edge, did) in model.edges.iter().zip(&run.edges) {
        if edge.spec.to.0 == operation {
            took.merge(&did.took);
            calls += did.calls;
            succeeded += did.succeeded;
        }
    }
    if calls == 0 {
        return Value::Unknown;
    }
    if (succeeded as f64) < ANSWERED_SHARE * calls as f64 {
        return Value::Never;
    }
    took.quantile(ANSWERED_SHARE).map_or(Value::Unknown, |time| Value::Known(time.as_secs_f64()))
}

fn written(bound: Bound) -> String {
    match bound {
        Bound::Time(time) => format_duration(time),
        Bound::Requests(amount) => amount.to_string(),
        Bound::Records(count) => count.to_string(),
        Bound::Times(times) => times.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Attribution, Clocks, Ending, Fates};
    use crate::series::Series;

    const RECOVERY: Recovery = Recovery::Back { after: Duration::from_secs(40), late: false };

    /// A run of 60 s and ten to drain, in which `done` requests took so many milliseconds each.
    fn run(done: &[u64], fates: Fates) -> Run {
        let mut clocks = Clocks::default();
        for millis in done {
            let nanos = millis * 1_000_000;
            clocks.acknowledged.add(nanos);
            clocks.completed.add(nanos);
            clocks.visible.add(nanos);
            clocks.staleness.add(0);
        }
        Run {
            seed: 1,
            ending: Ending::Done,
            ended_at: Duration::from_secs(70),
            from: Duration::ZERO,
            to: Duration::from_secs(60),
            series: Series::default(),
            clocks,
            fates,
            attribution: Attribution::default(),
            services: Vec::new(),
            edges: Vec::new(),
            topics: Vec::new(),
            subscriptions: Vec::new(),
            work: 300,
            events: 0,
            in_flight_max: 0,
        }
    }

    fn value(run: &Run, metric: Metric) -> Value {
        Seen { run, recovery: &RECOVERY, least_work: 2.0 }.value(metric)
    }

    fn near(value: Value, expected: f64) {
        let known = value.known().unwrap_or_else(|| panic!("{value:?}, expected {expected}"));
        assert!((known - expected).abs() <= expected / 100.0, "{known}, expected {expected}");
    }

    #[test]
    fn a_quantile_is_one_of_all_requests_and_the_failed_stand_last() {
        let times: Vec<u64> = (1..=99).collect();
        let fates = Fates { arrived: 100, acknowledged: 99, completed: 99, failed: 1, ..Fates::default() };
        let run = run(&times, fates);
        near(value(&run, Metric::Ack(Quantile::P50)), 0.050);
        near(value(&run, Metric::Ack(Quantile::P99)), 0.099);
        assert_eq!(value(&run, Metric::Ack(Quantile::Max)), Value::Never);
        assert_eq!(value(&run, Metric::Ack(Quantile::P999)), Value::Never);
        assert_eq!(value(&run, Metric::Failed), Value::Known(1.0));
    }

    #[test]
    fn what_had_not_ended_took_at_least_the_drain() {
        let fates =
            Fates { arrived: 100, acknowledged: 100, completed: 98, unfinished: 2, ..Fates::default() };
        let mut run = run(&[5; 98], fates);
        near(value(&run, Metric::Completion(Quantile::P90)), 0.005);
        assert_eq!(value(&run, Metric::Completion(Quantile::P99)), Value::AtLeast(10.0));
        assert_eq!(value(&run, Metric::Staleness), Value::AtLeast(10.0));
        assert_eq!(value(&run, Metric::Lost), Value::AtLeast(0.0));
        // A known time beyond what is known of the others may not be the quantile after all.
        run.clocks.completed = Histogram::default();
        (0..98).for_each(|_| run.clocks.completed.add(20_000_000_000));
        assert_eq!(value(&run, Metric::Completion(Quantile::P50)), Value::AtLeast(10.0));
    }

    #[test]
    fn work_is_over_what_it_costs_when_every_try_succeeds() {
        let run = run(&[1], Fates { arrived: 100, acknowledged: 100, completed: 100, ..Fates::default() });
        assert_eq!(value(&run, Metric::Work), Value::Known(1.5));
    }

    #[test]
    fn a_recovery_that_was_not_seen_is_never_a_number() {
        let watched = Duration::from_secs(9);
        let needed = Duration::from_secs(30);
        assert_eq!(recovered(&RECOVERY), Value::Known(40.0));
        assert_eq!(recovered(&Recovery::Censored { watched, needed }), Value::AtLeast(9.0));
        assert_eq!(recovered(&Recovery::Metastable { watched }), Value::AtLeast(9.0));
        assert_eq!(recovered(&Recovery::TriggerStays), Value::Unknown);
    }

    fn at_most(bound: Bound) -> Target {
        let metric =
            if matches!(bound, Bound::Time(_)) { Metric::Ack(Quantile::P99) } else { Metric::Failed };
        Target { name: String::new(), bound: String::new(), measure: Measure::AtMost(metric, bound) }
    }

    #[test]
    fn a_bound_itself_is_within_it() {
        let target = at_most(Bound::Time(Duration::from_millis(300)));
        for (value, met) in [
            (Value::Known(0.3), Some(true)),
            (Value::Known(0.300_000_001), Some(false)),
            (Value::AtLeast(0.2), None),
            (Value::AtLeast(0.3), None),
            (Value::AtLeast(0.301), Some(false)),
            (Value::Never, Some(false)),
            (Value::Unknown, None),
        ] {
            assert_eq!(target.is_met(value), met, "{value:?}");
        }
        assert_eq!(at_most(Bound::Requests(Amount::Count(0))).is_met(Value::Known(0.0)), Some(true));
        assert_eq!(at_most(Bound::Requests(Amount::Count(0))).is_met(Value::Known(1.0)), Some(false));
    }

    #[test]
    fn a_share_is_one_of_those_that_arrived() {
        let model = {
            use crate::model::{EdgeSpec, EntrySpec, EntryTo, ServiceSpec};
            let mut model = Model::builder();
            let service = model.service(ServiceSpec::new("one"));
            let serve = model.serve(service, "serve", Vec::new());
            let edge = model.edge(EdgeSpec::new("clients", serve));
            let arrivals = crate::Arrivals::Poisson { rate: 1.0 };
            model.entry(EntrySpec { name: "clients".into(), to: EntryTo::Call(edge), arrivals, clients: 1 });
            model.build().unwrap()
        };
        let fates =
            Fates { arrived: 1_000, acknowledged: 999, completed: 999, failed: 1, ..Fates::default() };
        let run = run(&[1; 999], fates);
        let seen = Seen { run: &run, recovery: &RECOVERY, least_work: 1.0 };
        let target = at_most(Bound::Requests(Amount::Share(0.001)));
        assert_eq!(target.is_met(target.value(&model, &seen)), Some(true));
        let target = at_most(Bound::Requests(Amount::Share(0.000_9)));
        assert_eq!(target.is_met(target.value(&model, &seen)), Some(false));
    }

    #[test]
    fn an_arm_is_judged_by_all_its_seeds() {
        let time = at_most(Bound::Time(Duration::from_secs(10)));
        let none = at_most(Bound::Requests(Amount::Count(0)));
        let known = |values: &[f64]| values.iter().copied().map(Value::Known).collect::<Vec<_>>();
        for (target, values, standing) in [
            (&time, known(&[9.0, 10.0, 8.0]), Standing::Met),
            (&time, known(&[11.0, 12.0, 10.5]), Standing::Missed),
            (&time, known(&[9.0, 11.0, 10.0]), Standing::Unsure),
            (&time, known(&[5.0, 5.1, 4.9, 5.0, 5.0, 5.1, 4.9, 10.1]), Standing::Met),
            (&time, known(&[15.0, 15.1, 14.9, 15.0, 15.0, 15.1, 14.9, 9.9]), Standing::Missed),
            (&time, vec![Value::Known(1.0), Value::AtLeast(2.0)], Standing::Unsure),
            (&time, vec![Value::Known(1.0), Value::Never], Standing::Unsure),
            (&time, Vec::new(), Standing::Unsure),
            (&none, known(&[0.0, 0.0]), Standing::Met),
            (&none, known(&[0.0, 0.0, 0.0, 1.0]), Standing::Missed),
        ] {
            let judged = target.judge(values.clone());
            assert_eq!(judged.standing, standing, "{values:?}");
        }
    }
}
