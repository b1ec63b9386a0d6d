//! What a request costs when every try succeeds.

use crate::model::{Code, EntryTo, Model, Start, TopicId};

/// Requests to services for each request that comes in, when every try succeeds: the work that "1.00 per
/// request" stands for. Over several ways in, it is weighted by how many come through each.
#[must_use]
pub(crate) fn least_work(model: &Model) -> f64 {
    let costs = Costs::of(model);
    let (mut sum, mut weight) = (0.0, 0.0);
    for entry in &model.entries {
        let rate = entry.arrivals.rate_at(bowline_model::Instant::ZERO).max(f64::MIN_POSITIVE);
        let cost = match entry.to {
            EntryTo::Call(edge) => costs.edge(model, edge.index()),
            EntryTo::Intake(intake) => match model.intakes[intake.index()].start {
                Start::Call(edge) | Start::CallOr(edge, _) => costs.edge(model, edge.index()),
                Start::Publish(topic) => costs.topic(model, topic),
            },
        };
        sum += rate * cost;
        weight += rate;
    }
    if weight <= 0.0 { 0.0 } else { sum / weight }
}

/// What each operation costs, itself included.
struct Costs(Vec<Option<f64>>);

impl Costs {
    /// Callees before callers, without recursion: a chain of services may be longer than a stack is deep.
    fn of(model: &Model) -> Self {
        let mut costs = Self(vec![None; model.operations.len()]);
        for start in 0..model.operations.len() {
            let mut open = vec![start];
            while let Some(operation) = open.last().copied() {
                let before = open.len();
                if costs.0[operation].is_none() {
                    open.extend(leads_to(model, operation).filter(|to| costs.0[*to].is_none()));
                }
                if open.len() == before {
                    let cost = costs.0[operation].unwrap_or_else(|| costs.operation(model, operation));
                    costs.0[operation] = Some(cost);
                    open.pop();
                }
            }
        }
        costs
    }

    /// From the end to the beginning: every jump of a program goes forward.
    fn operation(&self, model: &Model, operation: usize) -> f64 {
        let (begin, code) = program(model, operation);
        let mut rest = vec![0.0; code.len() + 1];
        let cost_at = |rest: &[f64], target: u32| rest.get(target as usize - begin).copied().unwrap_or(0.0);
        for (at, step) in code.iter().enumerate().rev() {
            rest[at] = match step {
                Code::Work(_) => rest[at + 1],
                Code::Call { edge, .. } => self.edge(model, edge.index()) + rest[at + 1],
                Code::Publish(topic) => self.topic(model, *topic) + rest[at + 1],
                Code::Fork { branches, join } => {
                    branches.iter().map(|branch| cost_at(&rest, *branch)).sum::<f64>() + cost_at(&rest, *join)
                }
                Code::Choose(branches) => {
                    let mut below = 0.0;
                    let cost = branches.iter().map(|(upto, target)| {
                        let share = upto - below;
                        below = *upto;
                        share * cost_at(&rest, *target)
                    });
                    cost.sum()
                }
                Code::Goto(target) => cost_at(&rest, *target),
                Code::End => 0.0,
            };
        }
        1.0 + rest[0]
    }

    fn edge(&self, model: &Model, edge: usize) -> f64 {
        self.0[model.edges[edge].spec.to.index()].unwrap_or(0.0)
    }

    fn topic(&self, model: &Model, topic: TopicId) -> f64 {
        let groups = model.topics[topic.index()].subscriptions.iter();
        groups.map(|group| self.edge(model, model.subscriptions[group.index()].spec.deliver.index())).sum()
    }
}

/// Where an operation's program begins, and the program: programs stand one after the other.
fn program(model: &Model, operation: usize) -> (usize, &[Code]) {
    let begin = model.operations[operation].begins as usize;
    let end = model.operations.get(operation + 1).map_or(model.code.len(), |next| next.begins as usize);
    (begin, &model.code[begin..end])
}

/// The operations that an operation calls, or reaches by records.
fn leads_to(model: &Model, operation: usize) -> impl Iterator<Item = usize> + '_ {
    let (_, code) = program(model, operation);
    code.iter().flat_map(move |step| match step {
        Code::Call { edge, .. } => vec![model.edges[edge.index()].spec.to.index()],
        Code::Publish(topic) => {
            let groups = model.topics[topic.index()].subscriptions.iter();
            let deliver = groups.map(|group| model.subscriptions[group.index()].spec.deliver);
            deliver.map(|edge| model.edges[edge.index()].spec.to.index()).collect()
        }
        _ => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Do, EdgeSpec, EntrySpec, ServiceSpec, SubscriptionSpec, TopicSpec};
    use crate::{Arrivals, Dist};
    use std::time::Duration;

    #[test]
    fn a_request_costs_itself_its_calls_its_records_and_its_share_of_choices() {
        let mut model = Model::builder();
        let service = model.service(ServiceSpec::new("one"));
        let work = || Do::Work(Dist::Constant(Duration::from_millis(1)));
        let leaf = model.serve(service, "leaf", vec![work()]);
        let topic = model.topic(TopicSpec::new("events"));
        for group in ["a", "b"] {
            let deliver = model.edge(EdgeSpec::new(&format!("{group} -> leaf"), leaf));
            model.subscription(SubscriptionSpec::new(group, topic, deliver));
        }
        let mut call = |name: &str| Do::Call(model.edge(EdgeSpec::new(name, leaf)));
        let choice = vec![(1.0, vec![call("x")]), (3.0, vec![work()])];
        let parallel = vec![vec![call("y")], vec![call("z"), call("w")]];
        let does =
            vec![Do::Choice(choice.clone()), Do::Parallel(parallel), Do::Publish(topic), Do::Choice(choice)];
        let root = model.serve(service, "root", does);
        let edge = model.edge(EdgeSpec::new("clients", root));
        let arrivals = Arrivals::Poisson { rate: 1.0 };
        model.entry(EntrySpec { name: "clients".into(), to: EntryTo::Call(edge), arrivals, clients: 1 });
        // Itself, a quarter of a call twice, three calls side by side, two groups.
        let least = least_work(&model.build().unwrap());
        assert!((least - (1.0 + 0.5 + 3.0 + 2.0)).abs() < 1e-12, "{least}");
    }
}
