//! The operations whose end somebody waits for, and what they surely ask on the way.
//!
//! A record is given to an operation when it is read; nobody waits for that. Everything else that is asked (by a
//! gateway, an intake, or by somebody whom the design does not show) has an asker who does.

use crate::graph::{Call, Graph, Node, Start};
use bowline_design::Design;
use bowline_design::resolved::intake;
use std::collections::{BTreeMap, BTreeSet};

/// Where requests come in that somebody waits for.
pub(crate) fn roots(design: &Design, graph: &Graph<'_>) -> BTreeSet<Node> {
    let read: BTreeSet<Node> =
        design.subscriptions.iter().map(|it| Node { service: it.service, operation: it.operation }).collect();
    let asked = graph.starts().into_iter().filter_map(|start| match start {
        Start::Entry(via) => Some(graph.calls[via].to),
        Start::Operation(node) => Some(node).filter(|node| !read.contains(node)),
    });
    asked.chain(design.intakes.iter().filter_map(called)).collect()
}

/// The operation that an intake calls.
pub(crate) fn called(intake: &intake::Intake) -> Option<Node> {
    match intake.start {
        intake::Start::Call { service, operation, .. } => Some(Node { service, operation }),
        intake::Start::Publish { .. } | intake::Start::Saga { .. } => None,
    }
}

/// What is asked on the way to an answer.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    /// For each operation, the last call of the shortest way to it; `None` where the way begins.
    via: BTreeMap<Node, Option<usize>>,
}

impl Ways {
    /// Every operation that a request to `root` may ask by calls that `counts`, and how.
    pub(crate) fn from(graph: &Graph<'_>, root: Node, counts: impl Fn(&Call<'_>) -> bool) -> Self {
        let mut via: BTreeMap<Node, Option<usize>> = BTreeMap::from([(root, None)]);
        let mut open = std::collections::VecDeque::from([root]);
        while let Some(node) = open.pop_front() {
            for (index, call) in graph.made_by(node).filter(|(_, call)| counts(call)) {
                if let std::collections::btree_map::Entry::Vacant(first) = via.entry(call.to) {
                    first.insert(Some(index));
                    open.push_back(call.to);
                }
            }
        }
        Self { via }
    }

    /// The operations.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node> {
        self.via.keys().copied()
    }

    /// The calls that lead to one of them.
    pub(crate) fn to<'g, 'd>(&self, graph: &'g Graph<'d>, node: Node) -> Vec<&'g Call<'d>> {
        let mut way = Vec::new();
        let mut at = node;
        while let Some(Some(index)) = self.via.get(&at)
            && let Some(from) = graph.calls[*index].from
        {
            way.push(&graph.calls[*index]);
            at = from;
        }
        way.reverse();
        way
    }
}

/// Whether every request to its caller makes this call.
pub(crate) fn is_sure(call: &Call<'_>) -> bool {
    // A hair below one is floating-point dust.
    call.share >= 1.0 - 1e-9
}
