//! Who calls whom: entries, operations, and the calls between them.

use bowline_design::Place;
pub(crate) use bowline_design::graph::Node;
use bowline_design::resolved::{CallSettings, Design, Operation, Work};
use bowline_model::decision::RetryOn;
use bowline_policy::RetryRule;
use http::Method;
use std::time::Duration;

/// A call that the design makes.
#[derive(Clone, Debug)]
pub(crate) struct Call<'d> {
    /// Who calls: an operation, or nobody of the design (a gateway's client).
    pub(crate) from: Option<Node>,
    /// Who calls, for people.
    pub(crate) caller: String,
    /// Who is called.
    pub(crate) to: Node,
    /// What governs it.
    pub(crate) settings: &'d CallSettings,
    /// Where the design says that it is made.
    pub(crate) place: &'d Place,
    /// What the callee's caller has done at best before it makes this call.
    pub(crate) after: Duration,
}

/// The design as a graph.
#[derive(Debug)]
pub(crate) struct Graph<'d> {
    pub(crate) design: &'d Design,
    pub(crate) calls: Vec<Call<'d>>,
}

impl<'d> Graph<'d> {
    pub(crate) fn new(design: &'d Design) -> Self {
        let mut calls = Vec::new();
        for entry in design.entries() {
            let Some(operation) = entry.leg.operation else { continue };
            calls.push(Call {
                from: None,
                caller: format!("gateway :{}", entry.listener.bind.port()),
                to: Node { service: entry.leg.service, operation },
                settings: entry.leg.settings,
                place: &entry.route.place,
                after: Duration::ZERO,
            });
        }
        for from in design.nodes() {
            collect(design, from, &design.operation(from).does, Duration::ZERO, &mut calls);
        }
        Self { design, calls }
    }

    /// The calls that `node` makes.
    pub(crate) fn made_by(&self, node: Node) -> impl Iterator<Item = &Call<'d>> {
        self.calls.iter().filter(move |call| call.from == Some(node))
    }

    /// `inventory.allocate`.
    pub(crate) fn name(&self, node: Node) -> String {
        self.design.name_of(node)
    }

    pub(crate) fn operation(&self, node: Node) -> &'d Operation {
        self.design.operation(node)
    }

    /// The least time in which `node` can answer: its own work and everything it waits for, with
    /// uncontended service times and no failure. Cycles count once.
    pub(crate) fn best(&self, node: Node) -> Duration {
        let mut open = Vec::new();
        best_of(self.design, node, &mut open)
    }

    /// Every path from an entry, entry call first. A path ends where it would enter a node again.
    pub(crate) fn paths(&self) -> Vec<Vec<&Call<'d>>> {
        let mut all = Vec::new();
        for entry in self.calls.iter().filter(|call| self.begins(call)) {
            self.extend(&mut vec![entry], &mut all);
        }
        all
    }

    /// A gateway's call, or a call of an operation that the design calls from nowhere.
    fn begins(&self, call: &Call<'_>) -> bool {
        call.from.is_none_or(|from| !self.calls.iter().any(|other| other.to == from))
    }

    fn extend<'g>(&'g self, path: &mut Vec<&'g Call<'d>>, all: &mut Vec<Vec<&'g Call<'d>>>) {
        /// A design of people has dozens of paths; a graph made to explode is cut here.
        const PATHS_MAX: usize = 10_000;
        if all.len() >= PATHS_MAX {
            return;
        }
        let last = path[path.len() - 1].to;
        let mut ends = true;
        for next in self.made_by(last) {
            if path.iter().any(|call| call.to == next.to || call.from == Some(next.to)) {
                continue;
            }
            ends = false;
            path.push(next);
            self.extend(path, all);
            path.pop();
        }
        if ends {
            all.push(path.clone());
        }
    }

    /// A path's stations, for people.
    pub(crate) fn stations(&self, path: &[&Call<'d>]) -> Vec<String> {
        let first = path.first().map(|call| call.caller.clone());
        first.into_iter().chain(path.iter().map(|call| self.name(call.to))).collect()
    }
}

/// How many tries of a call can follow work that its callee has done: all of them where the retry
/// rule allows one after an unknown outcome, one otherwise. A connection that was refused or a stream
/// that was never opened costs the callee nothing and is not counted.
pub(crate) fn tries_after_work(settings: &CallSettings, operation: &Operation) -> u32 {
    let method = operation.http.as_ref().map_or(&Method::POST, |(method, _)| method);
    let repeats = match &settings.retry.rule.value {
        RetryRule::Outcome => settings.idempotent.value.repeatable(method, true),
        RetryRule::Named(named) => {
            let grpc = operation.grpc.is_some();
            WORK_DONE.iter().any(|on| named.contains(*on))
                || (grpc && GRPC_WORK_DONE.iter().any(|on| named.contains(*on)))
                || !named.codes().is_empty()
        }
    };
    if repeats { settings.retry.tries.value } else { 1 }
}

/// The conditions of `retryOn` under which the callee may have done the work.
pub(crate) const WORK_DONE: [RetryOn; 6] = [
    RetryOn::FiveXx,
    RetryOn::GatewayError,
    RetryOn::Reset,
    RetryOn::Retriable4xx,
    RetryOn::RetriableHeaders,
    RetryOn::Http3PostConnectFailure,
];

/// The same, of those that speak of gRPC statuses.
pub(crate) const GRPC_WORK_DONE: [RetryOn; 4] =
    [RetryOn::Cancelled, RetryOn::DeadlineExceeded, RetryOn::Internal, RetryOn::Unavailable];

/// Adds the calls in `does`, made after `after` at best; answers with when its end is reached at best.
fn collect<'d>(design: &'d Design, from: Node, does: &'d [Work], after: Duration, calls: &mut Vec<Call<'d>>) -> Duration {
    let mut now = after;
    for work in does {
        now = match work {
            Work::Work(span) => now + *span,
            Work::Publish { .. } => now,
            Work::Call { service, operation, place } => {
                let to = Node { service: *service, operation: *operation };
                for leg in design.way_to(to).legs {
                    let Some(operation) = leg.operation else { continue };
                    calls.push(Call {
                        from: Some(from),
                        caller: design.name_of(from),
                        to: Node { service: leg.service, operation },
                        settings: leg.settings,
                        place,
                        after: now,
                    });
                }
                now + best_of(design, to, &mut vec![from])
            }
            Work::Parallel(branches) => branches
                .iter()
                .map(|branch| collect(design, from, std::slice::from_ref(branch), now, calls))
                .max()
                .unwrap_or(now),
            Work::Choice(branches) => {
                branches.iter().map(|(_, does)| collect(design, from, does, now, calls)).min().unwrap_or(now)
            }
        };
    }
    now
}

fn best_of(design: &Design, node: Node, open: &mut Vec<Node>) -> Duration {
    if open.contains(&node) {
        return Duration::ZERO;
    }
    open.push(node);
    let operation = design.operation(node);
    let takes = operation.takes.as_ref().map_or(Duration::ZERO, |takes| takes.value.p50);
    let does = best_sequence(design, &operation.does, open);
    open.pop();
    // `takes` is measured at the operation's door; `does` is its parts. Where both speak, the parts
    // may leave something out, and the measurement may include waiting: the smaller is the proof.
    match (takes, operation.does.is_empty()) {
        (takes, true) => takes,
        (Duration::ZERO, false) => does,
        (takes, false) => takes.min(does),
    }
}

fn best_sequence(design: &Design, does: &[Work], open: &mut Vec<Node>) -> Duration {
    does.iter()
        .map(|work| match work {
            Work::Work(span) => *span,
            Work::Publish { .. } => Duration::ZERO,
            Work::Call { service, operation, .. } => {
                best_of(design, Node { service: *service, operation: *operation }, open)
            }
            Work::Parallel(branches) => branches
                .iter()
                .map(|branch| best_sequence(design, std::slice::from_ref(branch), open))
                .max()
                .unwrap_or_default(),
            Work::Choice(branches) => {
                branches.iter().map(|(_, does)| best_sequence(design, does, open)).min().unwrap_or_default()
            }
        })
        .sum()
}

