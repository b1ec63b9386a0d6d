//! The time that an operation's callers leave it for its own calls, and what it is told of it.
//!
//! Whoever waits stops waiting whether or not anybody further down knows: that is what is [left](Graph::left). A service
//! that does not hand a deadline on keeps it to itself: what an operation is [told](Graph::told) may be longer, or nothing.

use super::{Call, Graph, Node};
use bowline_design::resolved::CallSettings;
use std::collections::BTreeMap;
use std::time::Duration;

/// The least that some path leaves an operation, counted from when it begins to work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    /// How long.
    pub(crate) span: Duration,
    /// What whoever gave it gave at first.
    pub(crate) given: Duration,
    /// The last call of the path, as an index of the graph's calls.
    via: usize,
    /// Whether that call gave it, not one before.
    own: bool,
    /// Whether somebody wrote it: a gateway stamps a time of its own where nobody did.
    pub(crate) is_written: bool,
}

/// How long a caller waits for one answer: a try's time or the call's, whichever is shorter.
pub(crate) fn patience(settings: &CallSettings) -> Option<Duration> {
    let deadline = settings.deadline().map(|(_, deadline)| deadline.value);
    let per_try = settings.retry.per_try.as_ref().map(|per_try| per_try.value);
    deadline.into_iter().chain(per_try).min()
}

impl<'d> Graph<'d> {
    /// What each operation is left by its least patient caller, or caller's caller. Callers first, so that
    /// every call is looked at once; one that closes a cycle is not looked at.
    pub(crate) fn left(&self) -> BTreeMap<Node, Left> {
        self.handed_on(|_| true)
    }

    /// The same as far as each operation is told: only services that forward hand on what they were told.
    pub(crate) fn told(&self) -> BTreeMap<Node, Left> {
        self.handed_on(|node| self.design.service(node.service).forwards.value)
    }

    fn handed_on(&self, by: impl Fn(Node) -> bool) -> BTreeMap<Node, Left> {
        let mut all: BTreeMap<Node, Left> = BTreeMap::new();
        for (via, call) in self.ways_in() {
            keep_least(&mut all, call, own(call, via));
        }
        for node in self.in_order() {
            let here = all.get(&node).copied().filter(|_| by(node));
            for (via, call) in self.made_by(node).filter(|(_, call)| !self.closes_a_cycle(call)) {
                keep_least(&mut all, call, own(call, via));
                let handed_on = here.map(|left| Left {
                    span: left.span.saturating_sub(call.before),
                    via,
                    own: false,
                    ..left
                });
                keep_least(&mut all, call, handed_on);
            }
        }
        all
    }

    /// The call that gave it, where that is the last of the path: nobody in between has spent any of it.
    pub(crate) fn given_by(&self, left: &Left) -> Option<&Call<'d>> {
        left.own.then(|| &self.calls[left.via])
    }

    /// The calls from whoever gave the time to the operation that has it left.
    pub(crate) fn path_of(&self, left: &Left, all: &BTreeMap<Node, Left>) -> Vec<&Call<'d>> {
        let mut path = vec![&self.calls[left.via]];
        let mut at = *left;
        while !at.own
            && let Some(from) = self.calls[at.via].from
            && let Some(before) = all.get(&from)
        {
            path.push(&self.calls[before.via]);
            at = *before;
        }
        path.reverse();
        path
    }
}

fn own(call: &Call<'_>, via: usize) -> Option<Left> {
    let is_written = !call.settings.deadlines.is_empty() || call.settings.retry.per_try.is_some();
    patience(call.settings).map(|span| Left { span, given: span, via, own: true, is_written })
}

fn keep_least(all: &mut BTreeMap<Node, Left>, call: &Call<'_>, new: Option<Left>) {
    let Some(new) = new else { return };
    if all.get(&call.to).is_none_or(|known| new.span < known.span) {
        all.insert(call.to, new);
    }
}
