//! Callers before callees.

use super::Node;
use std::collections::{BTreeMap, BTreeSet};

/// Every operation, callers before callees. In a cycle some call must point backwards: the one that, seen
/// from where the design begins, leads back to an operation that is waiting.
#[derive(Debug, Default)]
pub(crate) struct Order {
    nodes: Vec<Node>,
    positions: BTreeMap<Node, usize>,
}

impl Order {
    /// Visits in depth from each of `starts`: the reverse of the order in which visits end.
    ///
    /// Without a call that points backwards every other call keeps its direction: visits never went by it.
    pub(crate) fn of(starts: impl Iterator<Item = Node>, next: &BTreeMap<Node, Vec<Node>>) -> Self {
        let callees = |node: Node| next.get(&node).map_or(&[][..], Vec::as_slice);
        let mut seen: BTreeSet<Node> = BTreeSet::new();
        let mut ended = Vec::new();
        for start in starts {
            if !seen.insert(start) {
                continue;
            }
            // Without recursion: a chain may be as long as a text allows.
            let mut open = vec![(start, callees(start).iter())];
            while let Some((node, rest)) = open.last_mut() {
                match rest.next() {
                    Some(callee) if seen.insert(*callee) => {
                        open.push((*callee, callees(*callee).iter()));
                    }
                    Some(_) => {}
                    None => {
                        ended.push(*node);
                        open.pop();
                    }
                }
            }
        }
        ended.reverse();
        let positions = ended.iter().enumerate().map(|(at, node)| (*node, at)).collect();
        Self { nodes: ended, positions }
    }

    /// All of them, callers first.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Where a node comes.
    pub(crate) fn position(&self, node: Node) -> usize {
        self.positions.get(&node).copied().unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_design::resolved::ServiceId;

    const fn node(number: u32) -> Node {
        Node { service: ServiceId(number), operation: 0 }
    }

    fn order(calls: &[(u32, u32)]) -> Vec<u32> {
        let mut next: BTreeMap<Node, Vec<Node>> = BTreeMap::new();
        for (from, to) in calls {
            next.entry(node(*from)).or_default().push(node(*to));
        }
        Order::of((0..4).map(node), &next).nodes().iter().map(|node| node.service.0).collect()
    }

    #[test]
    fn callers_come_before_callees() {
        assert_eq!(order(&[(3, 2), (2, 1), (1, 0)]), [3, 2, 1, 0]);
        assert_eq!(order(&[(0, 1), (0, 2), (1, 3), (2, 3)]), [0, 2, 1, 3]);
    }

    #[test]
    fn in_a_cycle_the_call_back_to_the_first_points_backwards() {
        assert_eq!(order(&[(0, 1), (1, 2), (2, 0)])[..], [3, 0, 1, 2]);
    }
}
