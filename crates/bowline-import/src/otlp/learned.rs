//! What all traces together say: of each operation how long it works itself, whom it calls, how often, and which
//! of its calls go on at the same time.

use super::spans::{Span, Spans};
use crate::note::Notes;
use std::collections::BTreeMap;

/// Calls of one request that are told apart. A loop over a list makes hundreds; a design with hundreds of steps
/// says no more than one with these.
const CALLS_MAX: usize = 64;

/// Different calls of one operation, over all of its requests.
const SLOTS_MAX: usize = 256;

/// A service and what it is asked: indexes of [`Spans`].
pub(super) type Key = (u32, u32);

/// Whom a call goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Operation(u32, u32),
    /// Somebody without spans of its own.
    Peer(u32),
    Topic(u32),
}

/// A call of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    target: Target,
    pub(super) start: u64,
    pub(super) end: u64,
    /// Whether it asks again what was asked before.
    again: bool,
}

/// The nth call to a target within a request.
pub(super) type Slot = (Target, u16);

/// All requests for one operation.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Nanoseconds of its own: without what it waits for.
    pub(super) own: Vec<u64>,
    pub(super) errors: u64,
    pub(super) slots: BTreeMap<Slot, Seen>,
    /// Of two slots, the lower one first: how often both were there, and how often they overlapped.
    pairs: BTreeMap<(Slot, Slot), Pair>,
    /// Those without a caller.
    pub(super) outside: Outside,
}

/// How often a call was there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) count: u64,
    /// The sum of how long after the request's beginning it began.
    offsets: u128,
}

impl Seen {
    /// How long after the request's beginning it begins, at the mean.
    pub(super) fn offset(&self) -> u128 {
        self.offsets / u128::from(self.count.max(1))
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    both: u64,
    overlapped: u64,
}

/// Requests from outside.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outside {
    pub(super) count: u64,
    pub(super) first: u64,
    pub(super) last: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Clocks {
    count: u64,
    furthest: u64,
}

#[derive(Debug, Default)]
pub(super) struct Learned {
    pub(super) nodes: BTreeMap<Key, Node>,
    /// Nanoseconds of calls to those without spans of their own.
    pub(super) peers: BTreeMap<u32, Vec<u64>>,
    /// By topic and group, who takes its records.
    pub(super) subscriptions: BTreeMap<(String, String, Key), u64>,
    /// Nanoseconds on the way, there and back.
    pub(super) wire: Vec<u64>,
    clocks: BTreeMap<(u32, u32), Clocks>,
    pub(super) traces: u64,
    pub(super) giants: u64,
    pub(super) twice: u64,
    pub(super) orphans: u64,
    pub(super) deep: u64,
    pub(super) unreached: u64,
    pub(super) unanswered: u64,
    again: u64,
    too_many: u64,
}

impl Call {
    pub(super) fn of(target: Target, span: &Span, again: bool) -> Self {
        Self { target, start: span.start, end: span.end, again }
    }
}

impl Learned {
    /// A request, and its calls in the order in which they began.
    pub(super) fn request(&mut self, key: Key, span: &Span, calls: impl Iterator<Item = Call>) {
        let node = self.nodes.entry(key).or_default();
        let mut waited = 0;
        let mut until = span.start;
        let mut counts: BTreeMap<Target, u16> = BTreeMap::new();
        let mut slots: Vec<(Slot, Call)> = Vec::new();
        for call in calls {
            // What it waits for: the union of its calls, within itself.
            let (start, end) = (call.start.max(until), call.end.min(span.end));
            if start < end {
                waited += end - start;
                until = end;
            }
            if call.again {
                self.again += 1;
                continue;
            }
            let count = counts.entry(call.target).or_default();
            let slot = (call.target, *count);
            *count = count.saturating_add(1);
            let room = node.slots.len() < SLOTS_MAX || node.slots.contains_key(&slot);
            if slots.len() >= CALLS_MAX || !room {
                self.too_many += 1;
                continue;
            }
            let seen = node.slots.entry(slot).or_default();
            seen.count += 1;
            seen.offsets += u128::from(call.start.saturating_sub(span.start));
            for (other, before) in &slots {
                let pair = node.pairs.entry((slot.min(*other), slot.max(*other))).or_default();
                pair.both += 1;
                pair.overlapped += u64::from(call.start < before.end && before.start < call.end);
            }
            slots.push((slot, call));
        }
        node.own.push((span.end - span.start).saturating_sub(waited));
        node.errors += u64::from(span.error);
    }

    pub(super) fn asked_from_outside(&mut self, key: Key, at: u64) {
        let outside = &mut self.nodes.entry(key).or_default().outside;
        let first = if outside.count == 0 { at } else { outside.first.min(at) };
        *outside = Outside { count: outside.count + 1, first, last: outside.last.max(at) };
    }

    pub(super) fn peer(&mut self, span: &Span) {
        self.peers.entry(span.what).or_default().push(span.end - span.start);
    }

    pub(super) fn subscribed(&mut self, topic: &str, group: &str, key: Key) {
        *self.subscriptions.entry((topic.to_owned(), group.to_owned(), key)).or_default() += 1;
    }

    /// What a call took beyond its answer was spent on the way.
    pub(super) fn wire(&mut self, call: &Span, answer: &Span) {
        self.wire.extend((call.end - call.start).checked_sub(answer.end - answer.start));
    }

    /// Whether the clocks of two services agree.
    pub(super) fn clocks(&mut self, from: u32, to: u32, call: &Span, answer: &Span) {
        let outside = call.start.saturating_sub(answer.start).max(answer.end.saturating_sub(call.end));
        if outside > 0 {
            let clocks = self.clocks.entry((from, to)).or_default();
            clocks.count += 1;
            clocks.furthest = clocks.furthest.max(outside);
        }
    }

    /// Notes what was passed over, and what was met on the way.
    pub(super) fn tell(&self, spans: &Spans, notes: &mut Notes) {
        let told = [
            (self.giants, "traces", "left out: of more than 100000 spans"),
            (self.twice, "spans", "left out: a second one with the same id"),
            (
                self.orphans,
                "spans",
                "orphans: the span that caused them is not there; those that answer count as asked from outside",
            ),
            (self.deep, "spans", "left out: more than 1000 levels deep"),
            (
                self.unreached.saturating_sub(self.deep),
                "spans",
                "left out: they cause one another in a circle, or lie below what was left out",
            ),
            (
                self.unanswered,
                "CLIENT spans",
                "without an answer in the trace, and without a peer's name: counted as own time",
            ),
            (
                self.again,
                "retries",
                "seen, and not written as calls: what is asked again is for a Policy to say",
            ),
            (
                self.too_many,
                "calls",
                "left out: more than 64 in one request, or more than 256 different ones of an operation",
            ),
        ];
        for (count, subject, text) in told {
            notes.count(subject, text, count, None);
        }
        for ((from, to), clocks) in &self.clocks {
            let name = |service: &u32| crate::note::shorten(&spans.services[*service as usize].name);
            let by =
                bowline_design::format::format_duration(std::time::Duration::from_nanos(clocks.furthest));
            let text = format!(
                "clocks differ, or it went on after the answer: outside the call by up to {by}; each service's times are its own clock's"
            );
            notes.count(&format!("{} -> {}", name(from), name(to)), text, clocks.count, None);
        }
    }
}

impl Node {
    pub(super) fn requests(&self) -> u64 {
        self.own.len() as u64
    }

    fn pair(&self, a: Slot, b: Slot) -> Pair {
        self.pairs.get(&(a.min(b), a.max(b))).copied().unwrap_or_default()
    }

    /// Whether two calls go on at the same time, more often than not where both are there.
    pub(super) fn at_once(&self, a: Slot, b: Slot) -> bool {
        let pair = self.pair(a, b);
        pair.overlapped * 2 > pair.both
    }

    /// Whether two calls stand for one another: never both in a request, where chance alone would have had both
    /// in five at least.
    pub(super) fn instead(&self, a: Slot, b: Slot) -> bool {
        let share = |slot| self.slots.get(&slot).map_or(0.0, |seen| seen.count as f64);
        let by_chance = share(a) * share(b) / (self.requests().max(1) as f64);
        self.pair(a, b).both == 0 && by_chance >= 5.0
    }
}
