//! How often one request asks each operation, when all is well and when tries fail.
//!
//! Why sums and not paths: a graph of sixty operations may have more paths than anybody can count, and
//! still each operation's load is the sum over its callers' loads. One pass, callers first, does it.

use super::{Call, Graph, Node};
use std::collections::BTreeMap;

/// Where a request begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With a call that a gateway lets in, an index of the graph's calls.
    Entry(usize),
    /// At an operation that nobody of the design calls.
    Operation(Node),
}

/// How often one request asks an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// If every try but the last of each call fails. Choices count by their shares.
    pub(crate) asked: f64,
    /// If nothing fails.
    pub(crate) usual: f64,
    /// The tries along the path that multiplies most.
    most: f64,
    /// The last call of that path; `None` where the request begins.
    via: Option<usize>,
}

impl Load {
    /// How many times its usual load an operation may get.
    pub(crate) fn factor(&self) -> f64 {
        if self.usual > 0.0 { self.asked / self.usual } else { 1.0 }
    }

    /// Whether the worst path is the only one.
    pub(crate) fn is_one_path(&self) -> bool {
        self.usual <= 1.0 && self.asked <= self.most
    }
}

/// The loads that one request causes.
#[derive(Debug)]
pub(crate) struct Loads(BTreeMap<Node, Load>);

impl Loads {
    /// Every operation that the request may ask.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Node, &Load)> {
        self.0.iter().map(|(node, load)| (*node, load))
    }

    /// The path to `node` that multiplies most.
    pub(crate) fn worst_path<'g, 'd>(&self, graph: &'g Graph<'d>, node: Node) -> Vec<&'g Call<'d>> {
        let mut path = Vec::new();
        let mut at = Some(node);
        while let Some(via) = at.and_then(|node| self.0.get(&node)?.via) {
            path.push(&graph.calls[via]);
            at = graph.calls[via].from;
        }
        path.reverse();
        path
    }

    /// The load of one operation.
    pub(crate) fn get(&self, node: Node) -> Option<&Load> {
        self.0.get(&node)
    }
}

impl Graph<'_> {
    /// Where requests begin: at every way in, and at every operation that nobody calls.
    pub(crate) fn starts(&self) -> Vec<Start> {
        let mut called: Vec<Node> = self.calls.iter().map(|call| call.to).collect();
        called.sort_unstable();
        let alone = self.in_order().filter(|node| called.binary_search(node).is_err());
        self.ways_in().map(|(index, _)| Start::Entry(index)).chain(alone.map(Start::Operation)).collect()
    }

    /// What one request from `start` asks of each operation, if each call makes as many tries as `tries`
    /// says. Calls that close a cycle are left out: their load has no end, and another rule says so.
    pub(crate) fn loads(&self, start: Start, tries: &dyn Fn(&Call<'_>) -> f64) -> Loads {
        let mut loads: BTreeMap<Node, Load> = BTreeMap::new();
        match start {
            Start::Operation(node) => {
                loads.insert(node, Load { asked: 1.0, usual: 1.0, most: 1.0, via: None });
            }
            Start::Entry(via) => {
                let tries = tries(&self.calls[via]);
                loads.insert(
                    self.calls[via].to,
                    Load { asked: tries, usual: 1.0, most: tries, via: Some(via) },
                );
            }
        }
        for node in self.in_order() {
            let Some(from) = loads.get(&node).copied() else { continue };
            for (via, call) in self.made_by(node).filter(|(_, call)| !self.closes_a_cycle(call)) {
                if call.share <= 0.0 {
                    continue;
                }
                let (tries, most) = (tries(call), from.most * tries(call));
                let to =
                    loads.entry(call.to).or_insert(Load { asked: 0.0, usual: 0.0, most: 0.0, via: None });
                to.asked += from.asked * call.share * tries;
                to.usual += from.usual * call.share;
                if most > to.most {
                    (to.most, to.via) = (most, Some(via));
                }
            }
        }
        Loads(loads)
    }
}
