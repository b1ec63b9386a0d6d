//! What came in, and what becomes of it.

use super::Engine;
use super::call::Caller;
use super::event::What;
use super::slab::Handle;
use super::spent::Spent;
use crate::model::{EdgeId, EntryTo, Model, Start, TopicId};
use crate::run::Cause;
use crate::stream::{self, Draw, Purpose};
use bowline_model::time::nanos;
use bowline_model::{Instant, Outcome, Random, SplitMix64};

/// A way in, as far as it has been used.
#[derive(Debug)]
pub(super) struct Door {
    rng: SplitMix64,
    number: u64,
    last: Instant,
    /// Nobody comes any more.
    pub(super) closed: bool,
}

pub(super) fn doors(model: &Model, seed: u64) -> Vec<Door> {
    let door = |entry: u64| Door {
        // By number, not by name: whatever an arm's way in is called, the same customers come.
        rng: stream::sequence(seed, entry, Purpose::Arrivals),
        number: 0,
        last: Instant::ZERO,
        closed: false,
    };
    (0..model.entries.len() as u64).map(door).collect()
}

/// One request, until all that it caused is over.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) number: u64,
    entry: u32,
    pub(super) arrived: u64,
    /// Whether it arrived in the measured window.
    pub(super) counted: bool,
    /// What refers to it: calls, jobs, records. It goes with the last of them.
    held: u32,
    /// What must be over for it to be completed.
    due: u32,
    /// What must be over for it to be visible everywhere.
    due_anywhere: u32,
    pub(super) answer: Option<Answer>,
    pub(super) answered: u64,
    pub(super) completed: u64,
    pub(super) visible: u64,
    /// The time of what was done for it last.
    pub(super) spent: Spent,
    effects: Option<Handle>,
    /// The asker is kept no longer.
    patience_over: bool,
    /// The broker has what an intake published for it.
    stored: bool,
    /// Records that were published for it so far.
    pub(super) published: u32,
    pub(super) lost: bool,
    pub(super) stuck: bool,
    pub(super) duplicated: bool,
    pub(super) reordered: bool,
    /// Whether any operation was carried out to its end.
    pub(super) had_effect: bool,
}

/// What the asker was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is done.
    Final,
    /// It will be.
    Accepted,
    /// It failed.
    Failed,
}

/// How often something that must happen once has happened: shared by all tries and deliveries of it.
#[derive(Debug)]
pub(super) struct Effects {
    held: u32,
    happened: u32,
}

impl Request {
    /// Whether everything was done that its asker was promised.
    pub(super) const fn is_complete(&self) -> bool {
        self.due == 0 && !self.lost && !self.stuck
    }

    /// Whether all that follows from it is done, too.
    pub(super) const fn is_visible(&self) -> bool {
        self.due_anywhere == 0 && self.is_complete()
    }
}

// === coming in ===

impl Engine<'_> {
    /// Plans the next arrival of a way in; none after the measured window.
    pub(super) fn expect_next(&mut self, entry: usize) {
        let door = &mut self.doors[entry];
        let next = self.model.entries[entry].arrivals.next(door.number, door.last, &mut door.rng);
        match next.filter(|at| at.as_nanos() < self.record.to) {
            Some(at) => {
                door.last = at;
                self.future.plan(at.as_nanos(), What::Arrives { entry: entry as u32 });
            }
            None => door.closed = true,
        }
    }

    pub(super) fn arrives(&mut self, entry: usize) {
        let number = self.doors[entry].number;
        self.doors[entry].number += 1;
        self.expect_next(entry);

        let counted = self.record.from <= self.now;
        let request = self.requests.insert(Request {
            // Ways in do not share numbers, so that they do not share draws.
            number: number | (entry as u64) << 48,
            entry: entry as u32,
            arrived: self.now,
            counted,
            held: 1,
            due: 1,
            due_anywhere: 1,
            answer: None,
            answered: 0,
            completed: 0,
            visible: 0,
            spent: Spent::default(),
            effects: None,
            patience_over: false,
            stored: false,
            published: 0,
            lost: false,
            stuck: false,
            duplicated: false,
            reordered: false,
            had_effect: false,
        });
        self.record.arrived(counted, self.requests.len());
        self.hold_to_limit(self.requests.len());
        match self.model.entries[entry].to {
            EntryTo::Call(edge) => self.call_from_outside(request, edge),
            EntryTo::Intake(intake) => {
                let intake = &self.model.intakes[intake.index()];
                match intake.start {
                    Start::Publish(topic) => self.publish_from_outside(request, topic),
                    Start::Call(edge) | Start::CallOr(edge, _) => self.call_from_outside(request, edge),
                }
                // What was refused at once waits for nobody.
                if self.requests.get(request).is_some_and(|request| request.answer.is_none()) {
                    self.future.after(nanos(intake.wait), What::Patience { request });
                }
            }
        }
    }

    fn call_from_outside(&mut self, request: Handle, edge: EdgeId) {
        let Some(asked) = self.requests.get(request) else { return };
        let (draw, entry) = (Draw { request: asked.number, ..Draw::default() }, asked.entry as usize);
        let clients = self.model.entries[entry].clients;
        let client = if clients == 1 {
            0
        } else {
            let mut rng = stream::draw(self.spec.seed, entry as u64, Purpose::Client, draw);
            rng.below(clients.into()) as u32
        };
        let effects = self.new_effects(edge);
        if let Some(request) = self.requests.get_mut(request) {
            request.effects = effects;
        }
        self.begin_call(edge, client, Caller::Outside, request, draw, 0, effects);
    }

    fn publish_from_outside(&mut self, request: Handle, topic: TopicId) {
        if self.world.is_broker_down(topic) {
            self.record.topics[topic.index()].refused += 1;
            self.root_failed(request);
            return;
        }
        let Some(number) = self.requests.get(request).map(|request| request.number) else { return };
        let draw = Draw { request: number, ..Draw::default() };
        let took = self.confirmation(topic, draw);
        self.future.after(took, What::Stores { request });
    }

    /// The broker has what an intake published, or has gone down meanwhile.
    pub(super) fn stores(&mut self, handle: Handle) {
        let Some(request) = self.requests.get_mut(handle) else { return };
        let intake = match self.model.entries[request.entry as usize].to {
            EntryTo::Intake(intake) => &self.model.intakes[intake.index()],
            EntryTo::Call(_) => return,
        };
        let (Start::Publish(topic) | Start::CallOr(_, topic)) = intake.start else { return };
        if self.world.is_broker_down(topic) {
            self.record.topics[topic.index()].refused += 1;
            self.root_failed(handle);
            return;
        }
        if matches!(intake.start, Start::Publish(_)) {
            request.spent.add(Cause::Broker, self.now - request.arrived);
        }
        request.stored = true;
        let effects = request.effects;
        // A record that makes up for a failed call is not waited for; nor is any once the asker is gone.
        let tells =
            request.patience_over || matches!(intake.start, Start::CallOr(..)) || intake.wait.is_zero();
        self.append(handle, topic, 0, effects);
        if tells {
            self.answer(handle, Answer::Accepted);
        }
        self.due_over(handle, true);
    }

    pub(super) fn patience_over(&mut self, handle: Handle) {
        let Some(request) = self.requests.get_mut(handle) else { return };
        request.patience_over = true;
        let EntryTo::Intake(intake) = self.model.entries[request.entry as usize].to else { return };
        // A record that the broker does not have yet may still be refused: then nothing may be promised.
        let promised = match self.model.intakes[intake.index()].start {
            Start::Call(_) | Start::CallOr(..) => true,
            Start::Publish(_) => request.stored,
        };
        if promised {
            self.answer(handle, Answer::Accepted);
        }
    }
}

// === what becomes of it ===

impl Engine<'_> {
    /// The call that a request came in for is over.
    pub(super) fn root_over(&mut self, handle: Handle, outcome: Outcome, spent: Spent) {
        let Some(request) = self.requests.get_mut(handle) else { return };
        request.spent += spent;
        if matches!(outcome, Outcome::Succeeded | Outcome::Pending) {
            let answer = if outcome == Outcome::Pending { Answer::Accepted } else { Answer::Final };
            self.answer(handle, answer);
            self.due_over(handle, true);
            return;
        }
        let instead = match self.model.entries[request.entry as usize].to {
            EntryTo::Intake(intake) => match self.model.intakes[intake.index()].start {
                Start::CallOr(_, topic) => Some(topic),
                Start::Call(_) | Start::Publish(_) => None,
            },
            EntryTo::Call(_) => None,
        };
        match instead {
            Some(topic) => self.publish_from_outside(handle, topic),
            None => self.root_failed(handle),
        }
    }

    /// What a request came in for will not be done.
    fn root_failed(&mut self, handle: Handle) {
        let Some(request) = self.requests.get_mut(handle) else { return };
        match request.answer {
            // It was promised.
            Some(Answer::Accepted | Answer::Final) => request.lost = true,
            Some(Answer::Failed) | None => self.answer(handle, Answer::Failed),
        }
        self.due_over(handle, true);
    }

    pub(super) fn answer(&mut self, handle: Handle, answer: Answer) {
        let Some(request) = self.requests.get_mut(handle) else { return };
        if request.answer.is_some() {
            return;
        }
        request.answer = Some(answer);
        request.answered = self.now;
        self.record.answered(request, answer, self.now);
    }

    /// One thing less is due, and one reference is gone. `completes`: the request waited for it to be
    /// complete, not only to be visible.
    pub(super) fn due_over(&mut self, handle: Handle, completes: bool) {
        let Some(request) = self.requests.get_mut(handle) else { return };
        request.due_anywhere -= 1;
        if request.due_anywhere == 0 {
            request.visible = self.now;
        }
        if completes {
            request.due -= 1;
            if request.due == 0 {
                request.completed = self.now;
                self.record.completed(request);
                if request.answer.is_none() {
                    let answer = if request.stuck || request.lost { Answer::Failed } else { Answer::Final };
                    self.answer(handle, answer);
                }
            }
        }
        self.release(handle);
    }

    /// One thing more is due.
    pub(super) fn is_due(&mut self, handle: Handle, completes: bool) {
        if let Some(request) = self.requests.get_mut(handle) {
            request.due_anywhere += 1;
            request.due += u32::from(completes);
            request.held += 1;
        }
    }

    #[inline]
    pub(super) fn hold(&mut self, handle: Handle) {
        if let Some(request) = self.requests.get_mut(handle) {
            request.held += 1;
        }
    }

    #[inline]
    pub(super) fn release(&mut self, handle: Handle) {
        let Some(request) = self.requests.get_mut(handle) else { return };
        request.held -= 1;
        if request.held == 0
            && let Some(request) = self.requests.remove(handle)
        {
            if let Some(effects) = request.effects {
                self.release_effects(effects);
            }
            self.record.gone(&request);
        }
    }
}

// === what must happen once ===

impl Engine<'_> {
    /// Something that must happen once begins, unless it may happen twice anyway.
    pub(super) fn new_effects(&mut self, edge: EdgeId) -> Option<Handle> {
        let to = self.model.edges[edge.index()].spec.to;
        if self.model.operations[to.index()].idempotent {
            return None;
        }
        Some(self.effects.insert(Effects { held: 1, happened: 0 }))
    }

    pub(super) fn hold_effects(&mut self, effects: Option<Handle>) {
        if let Some(effects) = effects.and_then(|effects| self.effects.get_mut(effects)) {
            effects.held += 1;
        }
    }

    pub(super) fn release_effects(&mut self, handle: Handle) {
        if let Some(effects) = self.effects.get_mut(handle) {
            effects.held -= 1;
            if effects.held == 0 {
                self.effects.remove(handle);
            }
        }
    }

    /// An operation was carried out to its end.
    #[inline]
    pub(super) fn effect_happened(&mut self, request: Handle, effects: Option<Handle>) {
        let again = effects.and_then(|effects| self.effects.get_mut(effects)).is_some_and(|effects| {
            effects.happened += 1;
            1 < effects.happened
        });
        if let Some(request) = self.requests.get_mut(request) {
            request.had_effect = true;
            request.duplicated |= again;
        }
    }
}
