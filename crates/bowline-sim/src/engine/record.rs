//! What is remembered of a run. None of it grows with the run's length.

use super::request::{Answer, Request};
use super::spent::Breakdown;
use crate::run::{
    Clocks, EdgeRun, Ending, Fates, Run, RunSpec, ServiceRun, SubscriptionRun, TopicRun, Watched,
};
use crate::series::{Point, Series};
use bowline_model::decision::{BreakerState, GiveUp, Observer};
use bowline_model::time::nanos;
use bowline_model::{Decision, Instant, SplitMix64, Trail};
use bowline_policy::Ask;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) events: u64,
    pub(super) work: u64,
    series: Series,
    /// The second that is not over.
    pub(super) second: Point,
    /// Requests that wait in front of services.
    waiting: u64,
    breakers_open: u32,
    in_flight_max: u32,
    clocks: Clocks,
    fates: Fates,
    breakdown: Breakdown,
    pub(super) services: Vec<ServiceRun>,
    pub(super) edges: Vec<EdgeRun>,
    pub(super) topics: Vec<TopicRun>,
    pub(super) subscriptions: Vec<SubscriptionRun>,
    /// Whose decisions are kept: of which edge and request.
    pub(super) watched: Option<(u32, u64, Watched)>,
}

impl Recorder {
    pub(super) fn new(spec: &RunSpec) -> Self {
        let model = &spec.model;
        Self {
            from: nanos(spec.warm_up),
            to: nanos(spec.warm_up + spec.length),
            events: 0,
            work: 0,
            series: Series::default(),
            second: Point::default(),
            waiting: 0,
            breakers_open: 0,
            in_flight_max: 0,
            clocks: Clocks::default(),
            fates: Fates::default(),
            breakdown: Breakdown::default(),
            services: vec![ServiceRun::default(); model.services.len()],
            edges: vec![EdgeRun::default(); model.edges.len()],
            topics: vec![TopicRun::default(); model.topics.len()],
            subscriptions: vec![SubscriptionRun::default(); model.subscriptions.len()],
            watched: None,
        }
    }

    #[inline]
    pub(super) fn arrived(&mut self, counted: bool, in_flight: usize) {
        self.second.offered += 1;
        self.fates.arrived += u64::from(counted);
        self.in_flight_max = self.in_flight_max.max(in_flight as u32);
        self.second.in_flight = self.second.in_flight.max(in_flight as u32);
    }

    pub(super) fn answered(&mut self, request: &Request, answer: Answer, now: u64) {
        let took = now - request.arrived;
        match answer {
            Answer::Final => {
                self.second.answered += 1;
                self.second.answered_ns += took;
                self.second.answered_max_ns = self.second.answered_max_ns.max(took);
            }
            Answer::Accepted => self.second.accepted += 1,
            Answer::Failed => self.second.failed += 1,
        }
        if !request.counted {
            return;
        }
        match answer {
            Answer::Final => {
                self.clocks.answered.add(took);
                self.clocks.acknowledged.add(took);
                self.breakdown.add(took, request.spent);
            }
            Answer::Accepted => {
                self.clocks.acknowledged.add(took);
                self.breakdown.add(took, request.spent);
            }
            Answer::Failed => self.clocks.refused.add(took),
        }
    }

    pub(super) fn completed(&mut self, request: &Request) {
        if request.is_complete() && request.answer != Some(Answer::Failed) {
            self.second.completed += 1;
        }
    }

    /// A request has left, or is there when the run ends.
    pub(super) fn gone(&mut self, request: &Request) {
        if !request.counted {
            return;
        }
        let fates = &mut self.fates;
        fates.duplicated += u64::from(request.duplicated);
        fates.reordered += u64::from(request.reordered);
        match request.answer {
            None => fates.unanswered += 1,
            Some(Answer::Failed) => {
                fates.failed += 1;
                fates.failed_with_effect += u64::from(request.had_effect);
            }
            Some(answer) => {
                fates.acknowledged += 1;
                fates.accepted += u64::from(answer == Answer::Accepted);
                if request.lost {
                    fates.lost += 1;
                } else if request.stuck {
                    fates.stuck += 1;
                } else if request.is_complete() {
                    fates.completed += 1;
                    // An answer that came after the work is when the asker knows; the work was done before.
                    self.clocks.completed.add(request.completed.max(request.answered) - request.arrived);
                } else {
                    fates.unfinished += 1;
                }
                if request.is_visible() {
                    self.clocks.visible.add(request.visible.max(request.answered) - request.arrived);
                    self.clocks.staleness.add(request.visible.saturating_sub(request.answered));
                }
            }
        }
    }

    #[inline]
    pub(super) fn waits(&mut self, service: usize, in_front_of_one: usize) {
        self.waiting += 1;
        self.second.queue = self.second.queue.max(self.waiting);
        let service = &mut self.services[service];
        service.queue_max = service.queue_max.max(in_front_of_one as u32);
    }

    #[inline]
    pub(super) fn waits_no_more(&mut self, count: usize) {
        self.waiting -= count as u64;
    }

    pub(super) fn second_over(&mut self, now: u64, in_flight: u32, backlog: u64, lag: u64) {
        let mut second = std::mem::take(&mut self.second);
        second.backlog = second.backlog.max(backlog);
        second.lag_ns = second.lag_ns.max(lag);
        second.breakers_open = second.breakers_open.max(self.breakers_open);
        second.in_flight = second.in_flight.max(in_flight);
        self.series.add(now - 1, &second);
        // Heights go on where they are.
        self.second.queue = self.waiting;
        self.second.breakers_open = self.breakers_open;
    }

    /// Breakers begin anew, closed.
    pub(super) fn breakers_begin_anew(&mut self, open: u32) {
        self.breakers_open -= open;
    }

    #[inline]
    pub(super) fn seen(&mut self, edge: usize, request: u64) -> Seen<'_> {
        let trail = match &mut self.watched {
            Some((whose, number, watched)) if *whose as usize == edge && *number == request => {
                Some(&mut watched.trail)
            }
            _ => None,
        };
        Seen {
            opened: &mut self.edges[edge].opened,
            open: &mut self.breakers_open,
            open_max: &mut self.second.breakers_open,
            trail,
        }
    }

    /// A call begins; kept if it is watched and the first.
    #[inline]
    pub(super) fn call_begins(&mut self, edge: usize, request: u64, ask: Ask, rng: &SplitMix64) {
        let Some((whose, number, watched)) = &mut self.watched else { return };
        if *whose as usize == edge && *number == request && watched.began.is_none() {
            watched.began = Some((ask, rng.clone()));
        }
    }

    pub(super) fn into_run(
        mut self,
        spec: &RunSpec,
        ending: Ending,
        now: u64,
        ends: Vec<Vec<(GiveUp, u64)>>,
    ) -> Run {
        if self.second != Point::default() && 0 < now {
            let (waiting, second) = (self.waiting, std::mem::take(&mut self.second));
            self.series.add(now - 1, &Point { queue: second.queue.max(waiting), ..second });
        }
        for (edge, ends) in self.edges.iter_mut().zip(ends) {
            edge.ends = ends;
        }
        Run {
            seed: spec.seed,
            ending,
            ended_at: Duration::from_nanos(now),
            from: spec.warm_up,
            to: spec.warm_up + spec.length,
            series: self.series,
            clocks: self.clocks,
            fates: self.fates,
            attribution: self.breakdown.attribution(),
            services: self.services,
            edges: self.edges,
            topics: self.topics,
            subscriptions: self.subscriptions,
            work: self.work,
            events: self.events,
            in_flight_max: self.in_flight_max,
        }
    }
}

/// What the engine wants to know of a call's decisions.
pub(super) struct Seen<'r> {
    opened: &'r mut u64,
    open: &'r mut u32,
    open_max: &'r mut u32,
    trail: Option<&'r mut Trail>,
}

impl Observer for Seen<'_> {
    #[inline]
    fn decided(&mut self, at: Instant, decision: Decision) {
        if let Decision::BreakerMoved { from, to, .. } = decision {
            let shut = |state| matches!(state, BreakerState::Open | BreakerState::HalfOpen);
            match (shut(from), shut(to)) {
                (false, true) => {
                    *self.open += 1;
                    *self.open_max = (*self.open_max).max(*self.open);
                }
                (true, false) => *self.open = self.open.saturating_sub(1),
                _ => (),
            }
            *self.opened += u64::from(to == BreakerState::Open);
        }
        if let Some(trail) = &mut self.trail {
            trail.decided(at, decision);
        }
    }
}
