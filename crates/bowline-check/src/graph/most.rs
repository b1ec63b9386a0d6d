//! The longest that an operation waits by the limits that it sets itself.
//!
//! What it does by itself counts as it is written, a call as long as its caller waits for it. Nothing is known of one
//! that makes a call without a limit.

use super::order::Order;
use crate::tries::worst;
use bowline_design::graph::{Edge, Node};
use bowline_design::resolved::{CallSettings, Design, Work};
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest that a call lasts by what is written about it: its deadline, or all of its tries.
pub(crate) fn longest(settings: &CallSettings) -> Option<Duration> {
    let deadline = settings.deadlines.iter().map(|(_, deadline)| deadline.value).min();
    deadline.into_iter().chain(worst(&settings.retry)).min()
}

/// The longest times of all operations that make calls, where each call has a limit.
pub(super) fn all(design: &Design, edges: &[Edge<'_>], order: &Order) -> BTreeMap<Node, Duration> {
    let mut own: BTreeMap<Node, Vec<usize>> = BTreeMap::new();
    for (index, edge) in edges.iter().enumerate() {
        own.entry(edge.from).or_default().push(index);
    }
    let of = |node: &Node| {
        let mut calls = own.get(node)?.iter().map(|index| &edges[*index]);
        Some((*node, walk(&design.operation(*node).does, &mut calls)?))
    };
    order.nodes().iter().filter_map(of).collect()
}

/// How long `works` last, one after the other; `calls` are the edges in them, in the same order.
fn walk<'e, 'd: 'e>(works: &[Work], calls: &mut dyn Iterator<Item = &'e Edge<'d>>) -> Option<Duration> {
    // Every branch is walked, also behind a call without a limit: the edges have to stay in step.
    let spans: Vec<Option<Duration>> = works
        .iter()
        .map(|work| match work {
            Work::Work(span) => Some(*span),
            Work::Publish { .. } => Some(Duration::ZERO),
            Work::Call { .. } => limit(calls.next()?),
            Work::Parallel(branches) => {
                most(branches.iter().map(|branch| walk(std::slice::from_ref(branch), calls)).collect())
            }
            Work::Choice(branches) => most(branches.iter().map(|(_, branch)| walk(branch, calls)).collect()),
        })
        .collect();
    spans.into_iter().try_fold(Duration::ZERO, |sum, span| Some(sum.saturating_add(span?)))
}

/// How long a call lasts at most, wherever its route sends it. One that goes nowhere is over at once.
fn limit(edge: &Edge<'_>) -> Option<Duration> {
    most(edge.way.legs.iter().map(|leg| longest(leg.settings)).collect())
}

fn most(each: Vec<Option<Duration>>) -> Option<Duration> {
    let all: Option<Vec<Duration>> = each.into_iter().collect();
    Some(all?.into_iter().max().unwrap_or_default())
}
