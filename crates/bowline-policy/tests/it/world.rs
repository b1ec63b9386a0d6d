//! A small world that drives calls: a clock, a seeded generator, and a callee that answers as it is told.

use bowline_model::decision::{DeadlineSource, TryEnd};
use bowline_model::{Deadline, Instant, SplitMix64, Trail};
use bowline_policy::{Ask, Call, CallPolicy, Edge, End, Report, Step, Try, classify};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(crate) const MS: Duration = Duration::from_millis(1);

pub(crate) struct World {
    pub(crate) edge: Arc<Edge>,
    pub(crate) now: Instant,
    pub(crate) rng: SplitMix64,
    pub(crate) trail: Trail,
}

impl World {
    pub(crate) fn new(policy: CallPolicy) -> Self {
        Self::on(Edge::new(policy))
    }

    pub(crate) fn on(edge: Arc<Edge>) -> Self {
        let now = Instant::from_millis(1_000);
        Self { edge, now, rng: SplitMix64::new(17), trail: Trail::default() }
    }

    /// A second of time, three hosts, not repeatable.
    pub(crate) fn ask(&self) -> Ask {
        Ask {
            now: self.now,
            deadline: Deadline::after(self.now, Duration::from_secs(1)),
            deadline_by: DeadlineSource::Policy,
            repeatable: false,
            hosts: 3,
            hash: Some(0),
            arrived_try: 0,
            priority: None,
            seed: 1,
        }
    }

    pub(crate) fn begin(&mut self, ask: Ask) -> (Call, Step) {
        Call::begin(&self.edge, ask, &mut self.rng, &mut self.trail)
    }

    pub(crate) fn ended(&mut self, call: &mut Call, end: TryEnd) -> Step {
        self.report(call, Report::new(end, classify::of(end, false)))
    }

    pub(crate) fn report(&mut self, call: &mut Call, report: Report) -> Step {
        call.ended(self.now, report, &mut self.rng, &mut self.trail)
    }

    pub(crate) fn woke(&mut self, call: &mut Call) -> Step {
        call.woke(self.now, &mut self.rng, &mut self.trail)
    }

    pub(crate) fn poll_place(&mut self, call: &mut Call) -> Poll<Step> {
        let mut context = Context::from_waker(Waker::noop());
        call.poll_place(self.now, &mut context, &mut self.rng, &mut self.trail)
    }

    /// One call to its end, a millisecond a try, asleep as long as it is told; `answers` says how each try
    /// ends, the last of them for all that follow.
    pub(crate) fn run(&mut self, ask: Ask, answers: &[TryEnd]) -> (End, Vec<Try>) {
        let mut tries = Vec::new();
        let (mut call, mut step) = self.begin(ask);
        loop {
            step = match step {
                Step::Send(what) => {
                    let end = answers[tries.len().min(answers.len() - 1)];
                    tries.push(what);
                    self.now += MS;
                    self.ended(&mut call, end)
                }
                Step::Watch { .. } => panic!("nobody asked for a hedge"),
                Step::Sleep { until } | Step::Wait { until } => {
                    self.now = self.now.max(until);
                    self.woke(&mut call)
                }
                Step::End(end) => return (end, tries),
            };
        }
    }
}
