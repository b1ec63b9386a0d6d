//! The least time in which an operation can answer, if nothing fails and nothing queues.
//!
//! Why two numbers. `work: 8ms` says that it always takes 8 ms, so nobody is faster. `takes: { p50: 8ms }`
//! says that half of all calls are faster, so it proves something about the other half alone. What adds
//! up of the first kind holds for every call; of the second kind one term may join the sum, and then the
//! sum holds for half of the calls: two medians do not add up to a median.

use super::order::Order;
use bowline_design::graph::{Edge, Node};
use bowline_design::resolved::{Design, Work};
use std::collections::BTreeMap;
use std::time::Duration;

/// The least time that something takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Least {
    /// No call takes less.
    pub(crate) surely: Duration,
    /// At most half of all calls take less.
    pub(crate) half: Duration,
}

impl Least {
    /// Something that always takes just this long.
    const fn exactly(span: Duration) -> Self {
        Self { surely: span, half: span }
    }

    /// One after the other.
    fn then(self, next: Self) -> Self {
        Self {
            surely: self.surely.saturating_add(next.surely),
            half: self.half.saturating_add(next.surely).max(self.surely.saturating_add(next.half)),
        }
    }

    /// Both at once.
    fn beside(self, other: Self) -> Self {
        Self { surely: self.surely.max(other.surely), half: self.half.max(other.half) }
    }

    /// One of both.
    fn or(self, other: Self) -> Self {
        Self { surely: self.surely.min(other.surely), half: self.half.min(other.half) }
    }

    /// Known to take `p50` in half of the calls. A measurement below what the parts promise takes their
    /// promise back.
    fn measured(self, p50: Duration) -> Self {
        Self { surely: if p50 < self.surely { Duration::ZERO } else { self.surely }, half: p50 }
    }
}

/// The least times of all operations, and what is over when each call is made.
#[derive(Debug, Default)]
pub(crate) struct Leasts {
    nodes: BTreeMap<Node, Least>,
    /// For each edge, how long its caller has surely been at work.
    before: Vec<Duration>,
}

impl Leasts {
    /// Works them out, callees first. A call that closes a cycle counts nothing: a cycle has no least time.
    pub(crate) fn of(design: &Design, edges: &[Edge<'_>], order: &Order) -> Self {
        let mut own: BTreeMap<Node, Vec<usize>> = BTreeMap::new();
        for (index, edge) in edges.iter().enumerate() {
            own.entry(edge.from).or_default().push(index);
        }
        let mut leasts = Self { nodes: BTreeMap::new(), before: vec![Duration::ZERO; edges.len()] };
        for node in order.nodes().iter().rev() {
            let operation = design.operation(*node);
            let mine = own.get(node).map_or(&[][..], Vec::as_slice);
            let does = leasts.walk(&operation.does, Least::default(), &mut mine.iter(), edges);
            let takes = operation.takes.as_ref();
            leasts.nodes.insert(*node, takes.map_or(does, |takes| does.measured(takes.value.p50)));
        }
        leasts
    }

    pub(crate) fn of_node(&self, node: Node) -> Least {
        self.nodes.get(&node).copied().unwrap_or_default()
    }

    pub(crate) fn before(&self, edge: usize) -> Duration {
        self.before[edge]
    }

    /// When `works`, begun at `since`, are over. `calls` are the edges in them, in the same order.
    fn walk(
        &mut self,
        works: &[Work],
        since: Least,
        calls: &mut std::slice::Iter<'_, usize>,
        edges: &[Edge<'_>],
    ) -> Least {
        let mut now = since;
        for work in works {
            now = match work {
                Work::Work(span) => now.then(Least::exactly(*span)),
                Work::Publish { .. } => now,
                Work::Call { .. } => {
                    let Some(index) = calls.next() else { continue };
                    self.before[*index] = now.surely;
                    now.then(self.answer(&edges[*index]))
                }
                Work::Parallel(branches) => {
                    let mut all = now;
                    for branch in branches {
                        all = all.beside(self.walk(std::slice::from_ref(branch), now, calls, edges));
                    }
                    all
                }
                Work::Choice(branches) => {
                    let mut one: Option<Least> = None;
                    for (_, works) in branches {
                        let end = self.walk(works, now, calls, edges);
                        one = Some(one.map_or(end, |one| one.or(end)));
                    }
                    one.unwrap_or(now)
                }
            };
        }
        now
    }

    /// The least time of a call: that of the fastest place where its route may send it.
    fn answer(&self, edge: &Edge<'_>) -> Least {
        let of_leg = |leg: &bowline_design::graph::Leg<'_>| {
            let node = leg.operation.map(|operation| Node { service: leg.service, operation });
            node.map_or_else(Least::default, |node| self.of_node(node))
        };
        edge.way.legs.iter().map(of_leg).reduce(Least::or).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn medians_do_not_add_up_and_certainties_do() {
        let measured = Least::default().measured(ms(8));
        assert_eq!(measured, Least { surely: ms(0), half: ms(8) });
        assert_eq!(measured.then(measured).half, ms(8));
        let sure = Least::exactly(ms(5));
        assert_eq!(sure.then(measured), Least { surely: ms(5), half: ms(13) });
        assert_eq!(measured.then(sure), Least { surely: ms(5), half: ms(13) });
        assert_eq!(sure.beside(measured), Least { surely: ms(5), half: ms(8) });
        assert_eq!(sure.or(measured), Least { surely: ms(0), half: ms(5) });
    }

    #[test]
    fn a_measurement_below_what_the_parts_promise_takes_the_promise_back() {
        assert_eq!(Least::exactly(ms(10)).measured(ms(6)), Least { surely: ms(0), half: ms(6) });
        assert_eq!(Least::exactly(ms(10)).measured(ms(16)), Least { surely: ms(10), half: ms(16) });
    }
}
