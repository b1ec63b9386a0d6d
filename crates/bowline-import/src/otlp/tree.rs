//! One trace's spans, made to requests and what each of them called.
//!
//! A request is a span that answers somebody: SERVER, CONSUMER, or one without a caller. What lies below it in
//! the same service belongs to it. A call is the span of whoever waits: the CLIENT span above an answer, or the
//! answer itself where no CLIENT span is recorded. Its own clock measured it, so clocks that differ between
//! services move nothing but what is noted.
//!
//! Where Bowline stands between two services, its spans are the call, and a try of it is the answer of a service
//! that has no spans of its own.
//!
//! No recursion: how deep spans lie is a stranger's decision.

use super::bowline::Role;
use super::learned::{Call, Learned, Target};
use super::spans::{Kind, Span, Spans, What};

/// Spans of one trace. A batch job that never ends is no request, and its tree would hide the others.
const TRACE_SPANS_MAX: usize = 100_000;

/// Levels of one trace.
const DEPTH_MAX: u32 = 1_000;

const NONE: usize = usize::MAX;

/// Learns from every trace.
pub(super) fn learn(spans: &mut Spans, learned: &mut Learned) {
    spans.list.sort_unstable_by_key(|span| (span.trace, span.start, span.id));
    for trace in spans.list.chunk_by(|a, b| a.trace == b.trace) {
        learned.traces += 1;
        if trace.len() > TRACE_SPANS_MAX {
            learned.giants += 1;
            continue;
        }
        Tree::of(trace, spans, learned).learn(learned);
    }
}

struct Tree<'s> {
    trace: &'s [Span],
    spans: &'s Spans,
    /// Of each span, the index of its parent, or [`NONE`].
    parents: Vec<usize>,
    /// Parents before children.
    order: Vec<usize>,
    /// Of each span, the request it belongs to, or [`NONE`].
    owners: Vec<usize>,
    /// Of each span, whether who was asked answers for himself: it has a span of somebody else's below it.
    answered: Vec<bool>,
    /// Of each span, whether a try of Bowline's for the same request reached somebody before.
    again: Vec<bool>,
}

impl<'s> Tree<'s> {
    fn of(trace: &'s [Span], spans: &'s Spans, learned: &mut Learned) -> Self {
        let mut by_id: Vec<(u64, usize)> = trace.iter().enumerate().map(|(at, span)| (span.id, at)).collect();
        by_id.sort_unstable();
        let all = by_id.len();
        by_id.dedup_by_key(|(id, _)| *id);
        learned.twice += (all - by_id.len()) as u64;
        let find = |id: u64| by_id.binary_search_by_key(&id, |(id, _)| *id).ok().map(|found| by_id[found].1);

        let mut parents = vec![NONE; trace.len()];
        let mut children: Vec<(usize, usize)> = Vec::with_capacity(trace.len());
        let mut order = Vec::with_capacity(trace.len());
        for &(_, at) in &by_id {
            let span = &trace[at];
            match find(span.parent).filter(|_| span.parent != 0) {
                Some(parent) => {
                    parents[at] = parent;
                    children.push((parent, at));
                }
                None => {
                    learned.orphans += u64::from(span.parent != 0);
                    order.push(at);
                }
            }
        }
        children.sort_unstable();
        let mut depths = vec![0_u32; trace.len()];
        let mut next = 0;
        while let Some(&at) = order.get(next) {
            next += 1;
            let from = children.partition_point(|(parent, _)| *parent < at);
            for &(_, child) in children[from..].iter().take_while(|(parent, _)| *parent == at) {
                depths[child] = depths[at] + 1;
                if depths[child] > DEPTH_MAX {
                    learned.deep += 1;
                } else {
                    order.push(child);
                }
            }
        }
        // Who was not reached stands in a circle, or below what was too deep.
        learned.unreached += (by_id.len() - order.len()) as u64;
        let owners = vec![NONE; trace.len()];
        let (mut answered, mut again) = (vec![false; trace.len()], vec![false; trace.len()]);
        for below in children.chunk_by(|a, b| a.0 == b.0) {
            let mut was_tried = false;
            for &(parent, at) in below {
                let Span { role, kind, .. } = trace[at];
                answered[parent] |= role == Role::Other && !matches!(kind, Kind::Client | Kind::Producer);
                again[at] = was_tried;
                was_tried |= role == Role::Try;
            }
        }
        let mut tree = Self { trace, spans, parents, order, owners, answered, again };
        for at in tree.order.clone() {
            let parent = tree.parents[at];
            tree.owners[at] = match parent {
                _ if tree.answers(at) => at,
                NONE => NONE,
                parent => tree.owners[parent],
            };
        }
        tree
    }

    /// Whether a span is a request that somebody makes.
    fn answers(&self, at: usize) -> bool {
        let span = &self.trace[at];
        match span.kind {
            _ if self.stands_for(at).is_some() => true,
            Kind::Server | Kind::Consumer => true,
            Kind::Client | Kind::Producer => false,
            Kind::Inside => match self.parents[at] {
                NONE => span.parent == 0,
                parent => self.service(parent) != self.service(at),
            },
        }
    }

    /// The service whose answer a try of Bowline's stands for.
    fn stands_for(&self, at: usize) -> Option<u32> {
        let span = &self.trace[at];
        (span.role == Role::Try && !self.answered[at]).then_some(span.asked)
    }

    /// A call by the span of whoever waits. Where the first try reached nobody, the second is the call.
    fn call(&self, target: Target, waiting: usize) -> Call {
        let span = &self.trace[waiting];
        let again = if span.role == Role::Try { self.again[waiting] } else { span.again };
        Call::of(target, span, again)
    }

    fn service(&self, at: usize) -> u32 {
        self.stands_for(at).unwrap_or_else(|| self.spans.service_of(&self.trace[at]))
    }

    fn what(&self, at: usize) -> &'s What {
        &self.spans.whats[self.trace[at].what as usize]
    }

    fn learn(&self, learned: &mut Learned) {
        let mut calls: Vec<(usize, Call)> = Vec::new();
        // CLIENT spans whose answer is there, or that hold another one.
        let mut told = vec![false; self.trace.len()];
        for &at in self.order.iter().filter(|at| self.owners[**at] == **at) {
            let key = (self.service(at), self.trace[at].what);
            let parent = self.parents[at];
            let caller = if parent == NONE { NONE } else { self.owners[parent] };
            if self.trace[at].kind == Kind::Consumer {
                self.subscribed(at, learned);
            } else if caller == NONE {
                learned.asked_from_outside(key, self.trace[at].start);
            } else {
                let mut waiting = at;
                let measured = self.stands_for(at).is_none();
                // A parent that answers itself calls somebody in the middle of it, and is not the call.
                if self.trace[parent].kind == Kind::Client && self.owners[parent] != parent && !told[parent] {
                    told[parent] = true;
                    waiting = parent;
                    if measured {
                        learned.wire(&self.trace[parent], &self.trace[at]);
                    }
                }
                // A try has the clock of whoever asks.
                if measured && self.service(parent) != key.0 {
                    learned.clocks(self.service(parent), key.0, &self.trace[parent], &self.trace[at]);
                }
                calls.push((caller, self.call(Target::Operation(key.0, key.1), waiting)));
            }
        }
        for &at in self.order.iter().rev() {
            let span = &self.trace[at];
            let owner = self.owners[at];
            match span.kind {
                // It is a request already.
                Kind::Client if owner == at => {}
                Kind::Client if !told[at] && owner != NONE => match self.what(at) {
                    What::Peer(_) => {
                        told[at] = true;
                        learned.peer(span);
                        calls.push((owner, self.call(Target::Peer(span.what), at)));
                    }
                    _ => learned.unanswered += 1,
                },
                Kind::Producer if owner != NONE => {
                    calls.push((owner, self.call(Target::Topic(span.what), at)));
                }
                _ => {}
            }
            if told[at] && self.parents[at] != NONE && self.owners[self.parents[at]] == owner {
                told[self.parents[at]] = true;
            }
        }
        // Each request's calls stand together, in the order in which they began.
        calls.sort_unstable_by_key(|(owner, call)| (*owner, call.start, call.end));
        for &at in self.order.iter().filter(|at| self.owners[**at] == **at) {
            let from = calls.partition_point(|(owner, _)| *owner < at);
            let own = calls[from..].iter().take_while(|(owner, _)| *owner == at).map(|(_, call)| *call);
            learned.request((self.service(at), self.trace[at].what), &self.trace[at], own);
        }
    }

    /// A record was taken: from the topic it names, or the one that its PRODUCER named.
    fn subscribed(&self, at: usize, learned: &mut Learned) {
        let What::Consumed { topic, group } = self.what(at) else { return };
        let above = match self.parents[at] {
            NONE => None,
            parent => Some(self.what(parent)),
        };
        let topic = match above {
            Some(What::Published(published)) if topic.is_empty() => published,
            _ => topic,
        };
        let key = (self.service(at), self.trace[at].what);
        learned.subscribed(topic, group, key);
    }
}
