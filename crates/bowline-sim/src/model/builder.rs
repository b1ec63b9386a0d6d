//! Putting a model together, and everything that is refused.
//!
//! Programs are compiled here to one flat list of instructions, so that the engine walks numbers and owns
//! nothing.

use super::spec::{
    Do, EdgeSpec, EntrySpec, EntryTo, IntakeSpec, MachineSpec, OperationSpec, ServiceSpec, Start,
    SubscriptionSpec, TopicSpec,
};
use super::{
    Code, Edge, EdgeId, EntryId, IntakeId, MachineId, Model, Operation, OperationId, ServiceId, Subscription,
    SubscriptionId, Topic, TopicId,
};
use crate::Dist;
use crate::arrivals::ArrivalsError;
use crate::dist::DistError;
use crate::stream;
use std::fmt;
use std::sync::Arc;

/// A model in the making. Whatever is put in is checked by [`Builder::build`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    services: Vec<ServiceSpec>,
    machines: Vec<MachineSpec>,
    operations: Vec<OperationSpec>,
    edges: Vec<EdgeSpec>,
    topics: Vec<TopicSpec>,
    subscriptions: Vec<SubscriptionSpec>,
    intakes: Vec<IntakeSpec>,
    entries: Vec<EntrySpec>,
    assumptions: Vec<Arc<str>>,
}

/// Why a model cannot be.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelError {
    /// Nobody comes: there is no way in.
    NoEntry,
    /// Operations that lead back to themselves, by calls or by records, in order.
    Cycle(Vec<String>),
    /// Something is named that is not there.
    Unknown {
        /// Who names it.
        what: String,
    },
    /// A number that must not be zero is.
    Zero {
        /// Whose.
        what: String,
        /// Which.
        field: &'static str,
    },
    /// Requests cannot come this way.
    Arrivals(Arc<str>, ArrivalsError),
    /// A distribution cannot be.
    Dist {
        /// Whose.
        what: String,
        /// Why.
        error: DistError,
    },
    /// Shares of a choice or of lost messages are negative, no numbers, or nothing (or everything) in sum.
    Share {
        /// Whose.
        what: String,
    },
    /// An edge is used by two callers. Policies are kept for each caller, so each needs an edge of its own.
    SharedEdge(Arc<str>),
    /// A program larger or deeper than [`Builder::PROGRAM_MAX`] and [`Builder::DEPTH_MAX`].
    TooLarge {
        /// Whose.
        what: String,
    },
}

impl Builder {
    /// The most instructions of all programs together. A thousand services with a hundred calls each fit.
    pub const PROGRAM_MAX: usize = 1_000_000;
    /// How deep `parallel` and `choice` may lie in each other.
    pub const DEPTH_MAX: usize = 64;

    /// Adds a service.
    pub fn service(&mut self, service: ServiceSpec) -> ServiceId {
        ServiceId(push(&mut self.services, service))
    }

    /// Adds a machine.
    pub fn machine(&mut self, machine: MachineSpec) -> MachineId {
        MachineId(push(&mut self.machines, machine))
    }

    /// Adds an operation.
    pub fn operation(&mut self, operation: OperationSpec) -> OperationId {
        OperationId(push(&mut self.operations, operation))
    }

    /// Adds an operation of `service` that does this and is idempotent.
    pub fn serve(&mut self, service: ServiceId, name: &str, does: Vec<Do>) -> OperationId {
        self.operation(OperationSpec { name: name.into(), service, idempotent: true, pending: false, does })
    }

    /// What an operation does, to be added to once the edges it calls by are known.
    ///
    /// # Panics
    /// If there is no such operation.
    pub fn does(&mut self, operation: OperationId) -> &mut Vec<Do> {
        &mut self.operations[operation.index()].does
    }

    /// Adds a call edge.
    pub fn edge(&mut self, edge: EdgeSpec) -> EdgeId {
        EdgeId(push(&mut self.edges, edge))
    }

    /// Adds a topic.
    pub fn topic(&mut self, topic: TopicSpec) -> TopicId {
        TopicId(push(&mut self.topics, topic))
    }

    /// Adds a subscription.
    pub fn subscription(&mut self, subscription: SubscriptionSpec) -> SubscriptionId {
        SubscriptionId(push(&mut self.subscriptions, subscription))
    }

    /// Adds an intake.
    pub fn intake(&mut self, intake: IntakeSpec) -> IntakeId {
        IntakeId(push(&mut self.intakes, intake))
    }

    /// Adds a way in.
    pub fn entry(&mut self, entry: EntrySpec) -> EntryId {
        EntryId(push(&mut self.entries, entry))
    }

    /// Notes something that is taken for granted because nobody said.
    pub fn assume(&mut self, sentence: impl Into<Arc<str>>) {
        self.assumptions.push(sentence.into());
    }

    /// The model.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn build(self) -> Result<Model, ModelError> {
        self.check_numbers()?;
        self.check_names()?;
        self.check_cycles()?;
        let callers = self.callers()?;
        let (begins, code) = Compiler::of(&self)?;
        let subscribers = |topic: usize| {
            let numbered = self.subscriptions.iter().enumerate();
            let own = numbered.filter(|(_, each)| each.topic.index() == topic);
            own.map(|(index, _)| SubscriptionId(index as u32)).collect()
        };
        let topics = self.topics.iter().enumerate().map(|(index, spec)| Topic {
            stream: stream::of(&["topic", &spec.name]),
            subscriptions: subscribers(index),
            spec: spec.clone(),
        });
        let topics = topics.collect();
        let operations = self.operations.iter().zip(&begins).map(|(spec, begins)| Operation {
            name: Arc::clone(&spec.name),
            service: spec.service,
            idempotent: spec.idempotent,
            pending: spec.pending,
            begins: *begins,
            stream: stream::of(&["operation", &self.services[spec.service.index()].name, &spec.name]),
        });
        let operations = operations.collect();
        let edges = self.edges.into_iter().zip(callers).map(|(spec, (caller, callers))| Edge {
            stream: stream::of(&["edge", &spec.name]),
            spec,
            caller,
            callers,
        });
        let subscriptions = self
            .subscriptions
            .into_iter()
            .map(|spec| Subscription { stream: stream::of(&["subscription", &spec.name]), spec });
        Ok(Model {
            edges: edges.collect(),
            subscriptions: subscriptions.collect(),
            services: self.services,
            machines: self.machines,
            operations,
            topics,
            intakes: self.intakes,
            entries: self.entries,
            code,
            assumptions: self.assumptions,
        })
    }
}

// === what is refused ===

impl Builder {
    fn check_numbers(&self) -> Result<(), ModelError> {
        if self.entries.is_empty() {
            return Err(ModelError::NoEntry);
        }
        let positive = |number: u32, what: String, field| {
            if number == 0 { Err(ModelError::Zero { what, field }) } else { Ok(()) }
        };
        let dist = |dist: &Dist, what: &str| {
            dist.check().map_err(|error| ModelError::Dist { what: what.to_owned(), error })
        };
        for service in &self.services {
            let what = || format!("service {}", service.name);
            positive(service.replicas, what(), "replicas")?;
            positive(service.concurrency, what(), "concurrency")?;
        }
        for machine in &self.machines {
            positive(machine.cores, format!("machine {}", machine.name), "cores")?;
        }
        for edge in &self.edges {
            dist(&edge.latency, &format!("edge {}", edge.name))?;
            if !(0.0..1.0).contains(&edge.loss) {
                return Err(ModelError::Share { what: format!("edge {}", edge.name) });
            }
        }
        for topic in &self.topics {
            let what = format!("topic {}", topic.name);
            dist(&topic.confirms, &what)?;
            dist(&topic.delivers, &what)?;
            positive(topic.partitions, what, "partitions")?;
        }
        for subscription in &self.subscriptions {
            let what = || format!("subscription {}", subscription.name);
            positive(subscription.concurrency, what(), "concurrency")?;
            positive(subscription.dead_letter_after, what(), "deadLetter.after")?;
        }
        for entry in &self.entries {
            positive(entry.clients, format!("entry {}", entry.name), "clients")?;
            entry.arrivals.check().map_err(|error| ModelError::Arrivals(Arc::clone(&entry.name), error))?;
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), ModelError> {
        let known = |index: usize, length: usize, what: String| {
            if index < length { Ok(()) } else { Err(ModelError::Unknown { what }) }
        };
        let edge = |edge: EdgeId, what: String| known(edge.index(), self.edges.len(), what);
        let topic = |topic: TopicId, what: String| known(topic.index(), self.topics.len(), what);
        for service in &self.services {
            if let Some(machine) = service.machine {
                known(machine.index(), self.machines.len(), format!("service {}", service.name))?;
            }
        }
        for operation in &self.operations {
            let what = format!("operation {}", operation.name);
            known(operation.service.index(), self.services.len(), what)?;
        }
        for each in &self.edges {
            known(each.to.index(), self.operations.len(), format!("edge {}", each.name))?;
        }
        for each in &self.subscriptions {
            let what = format!("subscription {}", each.name);
            topic(each.topic, what.clone())?;
            edge(each.deliver, what)?;
        }
        for each in &self.intakes {
            let what = format!("intake {}", each.name);
            match each.start {
                Start::Call(call) => edge(call, what)?,
                Start::Publish(to) => topic(to, what)?,
                Start::CallOr(call, to) => {
                    edge(call, what.clone())?;
                    topic(to, what)?;
                }
            }
        }
        for each in &self.entries {
            let what = format!("entry {}", each.name);
            match each.to {
                EntryTo::Call(call) => edge(call, what)?,
                EntryTo::Intake(intake) => known(intake.index(), self.intakes.len(), what)?,
            }
        }
        self.operations.iter().try_for_each(|operation| {
            let what = || format!("operation {}", operation.name);
            walk(&operation.does, 0, &mut |one| match one {
                Do::Call(call) => edge(*call, what()),
                Do::Publish(to) => topic(*to, what()),
                _ => Ok(()),
            })
        })
    }

    /// A program that leads back to itself, by calls or by records, has no end.
    fn check_cycles(&self) -> Result<(), ModelError> {
        let leads_to = |operation: usize| {
            let mut targets = Vec::new();
            let collected = walk(&self.operations[operation].does, 0, &mut |one| {
                match one {
                    Do::Call(edge) => targets.push(self.edges[edge.index()].to.index()),
                    Do::Publish(topic) => {
                        let readers = self.subscriptions.iter().filter(|each| each.topic == *topic);
                        targets.extend(readers.map(|each| self.edges[each.deliver.index()].to.index()));
                    }
                    _ => (),
                }
                Ok(())
            });
            collected.map(|()| targets)
        };
        let graph: Vec<Vec<usize>> = (0..self.operations.len()).map(leads_to).collect::<Result<_, _>>()?;
        match cycle(&graph) {
            None => Ok(()),
            Some(members) => {
                Err(ModelError::Cycle(members.into_iter().map(|each| self.name_of(each)).collect()))
            }
        }
    }

    fn name_of(&self, operation: usize) -> String {
        let operation = &self.operations[operation];
        format!("{}.{}", self.services[operation.service.index()].name, operation.name)
    }

    /// Who calls by each edge, and how many of them have policies of their own.
    fn callers(&self) -> Result<Vec<(Option<ServiceId>, u32)>, ModelError> {
        let mut callers: Vec<Option<(Option<ServiceId>, u32)>> = vec![None; self.edges.len()];
        let mut claim = |edge: EdgeId, caller: Option<ServiceId>, count: u32| {
            let known = &mut callers[edge.index()];
            match known {
                Some((other, most)) if *other == caller => *most = (*most).max(count),
                Some(_) => return Err(ModelError::SharedEdge(Arc::clone(&self.edges[edge.index()].name))),
                None => *known = Some((caller, count)),
            }
            Ok(())
        };
        for operation in &self.operations {
            let replicas = self.services[operation.service.index()].replicas;
            walk(&operation.does, 0, &mut |one| match one {
                Do::Call(edge) => claim(*edge, Some(operation.service), replicas),
                _ => Ok(()),
            })?;
        }
        for entry in &self.entries {
            match entry.to {
                EntryTo::Call(edge) => claim(edge, None, entry.clients)?,
                EntryTo::Intake(intake) => match self.intakes[intake.index()].start {
                    Start::Call(edge) | Start::CallOr(edge, _) => claim(edge, None, entry.clients)?,
                    Start::Publish(_) => (),
                },
            }
        }
        for subscription in &self.subscriptions {
            claim(subscription.deliver, None, 1)?;
        }
        Ok(callers.into_iter().map(|caller| caller.unwrap_or((None, 1))).collect())
    }
}

/// Visits everything that a program does, what lies in branches too.
fn walk(
    does: &[Do],
    depth: usize,
    visit: &mut impl FnMut(&Do) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    if Builder::DEPTH_MAX < depth {
        return Err(ModelError::TooLarge { what: "a program".to_owned() });
    }
    for one in does {
        visit(one)?;
        match one {
            Do::Parallel(branches) => {
                branches.iter().try_for_each(|branch| walk(branch, depth + 1, visit))?;
            }
            Do::Choice(branches) => {
                branches.iter().try_for_each(|(_, branch)| walk(branch, depth + 1, visit))?;
            }
            Do::Work(_) | Do::Call(_) | Do::Publish(_) => (),
        }
    }
    Ok(())
}

/// The members of a cycle, the first one repeated at the end. Without recursion: a chain of services may be
/// longer than a stack is deep.
fn cycle(graph: &[Vec<usize>]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; graph.len()];
    for start in 0..graph.len() {
        if marks[start] != Mark::New {
            continue;
        }
        // Each node of the path, and how many of its targets were looked at.
        let mut path = vec![(start, 0)];
        marks[start] = Mark::OnPath;
        while let Some((node, seen)) = path.last_mut() {
            let node = *node;
            let Some(target) = graph[node].get(*seen).copied() else {
                marks[node] = Mark::Done;
                path.pop();
                continue;
            };
            *seen += 1;
            match marks[target] {
                Mark::Done => (),
                Mark::New => {
                    marks[target] = Mark::OnPath;
                    path.push((target, 0));
                }
                Mark::OnPath => {
                    let members = path.iter().map(|(member, _)| *member);
                    let mut members: Vec<usize> = members.skip_while(|member| *member != target).collect();
                    members.push(target);
                    return Some(members);
                }
            }
        }
    }
    None
}

// === compiling ===

/// Where each program begins, and all of them.
struct Compiler<'b> {
    builder: &'b Builder,
    code: Vec<Code>,
    begins: Vec<u32>,
    /// How many calls lead to each operation so far.
    sites: Vec<u32>,
}

impl<'b> Compiler<'b> {
    fn of(builder: &'b Builder) -> Result<(Vec<u32>, Vec<Code>), ModelError> {
        let sites = vec![0; builder.operations.len()];
        let mut compiler = Self { builder, code: Vec::new(), begins: Vec::new(), sites };
        for (index, operation) in builder.operations.iter().enumerate() {
            compiler.begins.push(compiler.here());
            let too_large = || ModelError::TooLarge { what: builder.name_of(index) };
            compiler.block(&operation.does, &too_large)?;
            compiler.code.push(Code::End);
        }
        Ok((compiler.begins, compiler.code))
    }

    fn here(&self) -> u32 {
        self.code.len() as u32
    }

    fn block(&mut self, does: &[Do], too_large: &dyn Fn() -> ModelError) -> Result<(), ModelError> {
        for one in does {
            if Builder::PROGRAM_MAX <= self.code.len() {
                return Err(too_large());
            }
            match one {
                Do::Work(dist) => {
                    dist.check().map_err(|error| ModelError::Dist { what: "work".to_owned(), error })?;
                    self.code.push(Code::Work(dist.clone()));
                }
                Do::Call(edge) => {
                    let to = self.builder.edges[edge.index()].to.index();
                    // Site zero is for ways in and subscriptions, so that an operation draws the same whether it
                    // is called by the first edge or reached by a record.
                    let site = self.sites[to];
                    self.sites[to] += 1;
                    self.code.push(Code::Call { edge: *edge, site });
                }
                Do::Publish(topic) => self.code.push(Code::Publish(*topic)),
                Do::Parallel(branches) if branches.is_empty() => (),
                Do::Parallel(branches) => self.fork(branches, too_large)?,
                Do::Choice(branches) => self.choice(branches, too_large)?,
            }
        }
        Ok(())
    }

    fn fork(&mut self, branches: &[Vec<Do>], too_large: &dyn Fn() -> ModelError) -> Result<(), ModelError> {
        let fork = self.code.len();
        self.code.push(Code::End);
        let mut starts = Vec::new();
        for branch in branches {
            starts.push(self.here());
            self.block(branch, too_large)?;
            self.code.push(Code::End);
        }
        self.code[fork] = Code::Fork { branches: starts.into(), join: self.here() };
        Ok(())
    }

    fn choice(
        &mut self,
        branches: &[(f64, Vec<Do>)],
        too_large: &dyn Fn() -> ModelError,
    ) -> Result<(), ModelError> {
        let total: f64 = branches.iter().map(|(share, _)| share).sum();
        let fine = branches.iter().all(|(share, _)| share.is_finite() && 0.0 <= *share);
        // Of numbers that are all fine the sum may still be none, or no number.
        let some = total.is_finite() && 0.0 < total;
        if !(fine && some) {
            return Err(ModelError::Share { what: "a choice".to_owned() });
        }
        let choose = self.code.len();
        self.code.push(Code::End);
        let (mut starts, mut gotos, mut below) = (Vec::new(), Vec::new(), 0.0);
        for (share, branch) in branches {
            below += share / total;
            starts.push((below, self.here()));
            self.block(branch, too_large)?;
            gotos.push(self.code.len());
            self.code.push(Code::End);
        }
        let after = self.here();
        gotos.into_iter().for_each(|goto| self.code[goto] = Code::Goto(after));
        self.code[choose] = Code::Choose(starts.into());
        Ok(())
    }
}

fn push<T>(list: &mut Vec<T>, item: T) -> u32 {
    list.push(item);
    (list.len() - 1) as u32
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEntry => f.write_str("nobody comes: the model has no way in"),
            Self::Cycle(members) => {
                write!(f, "these lead back to themselves and have no end: {}", members.join(" -> "))
            }
            Self::Unknown { what } => write!(f, "{what} names something that is not there"),
            Self::Zero { what, field } => write!(f, "{what}: `{field}` must not be zero"),
            Self::Arrivals(entry, error) => write!(f, "entry {entry}: {error}"),
            Self::Dist { what, error } => write!(f, "{what}: {error}"),
            Self::Share { what } => {
                write!(f, "{what}: shares must be numbers from 0, and more than nothing in sum")
            }
            Self::SharedEdge(edge) => write!(f, "edge {edge} is used by two callers; give each its own"),
            Self::TooLarge { what } => write!(
                f,
                "{what} is too large: at most {} steps in all, {} deep",
                Builder::PROGRAM_MAX,
                Builder::DEPTH_MAX
            ),
        }
    }
}

impl std::error::Error for ModelError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arrivals;

    fn parts() -> (Builder, OperationId, EdgeId) {
        let mut model = Builder::default();
        let service = model.service(ServiceSpec::new("a"));
        let operation = model.serve(service, "get", vec![Do::Work(Dist::ZERO)]);
        let edge = model.edge(EdgeSpec::new("in", operation));
        let arrivals = Arrivals::Poisson { rate: 1.0 };
        model.entry(EntrySpec { name: "in".into(), to: EntryTo::Call(edge), arrivals, clients: 1 });
        (model, operation, edge)
    }

    fn check(change: impl FnOnce(&mut Builder, OperationId, EdgeId), expected: &str) {
        let (mut model, operation, edge) = parts();
        change(&mut model, operation, edge);
        assert_eq!(model.build().map(|_| ()).map_err(|error| error.to_string()), Err(expected.to_owned()));
    }

    #[test]
    fn a_cycle_of_calls_is_named_and_refused() {
        check(
            |model, a, _| {
                let service = model.service(ServiceSpec::new("b"));
                let back = model.edge(EdgeSpec::new("b -> a", a));
                let b = model.serve(service, "get", vec![Do::Parallel(vec![vec![Do::Call(back)]])]);
                let there = model.edge(EdgeSpec::new("a -> b", b));
                model.does(a).push(Do::Call(there));
            },
            "these lead back to themselves and have no end: a.get -> b.get -> a.get",
        );
    }

    #[test]
    fn a_topic_that_feeds_itself_is_refused() {
        check(
            |model, a, _| {
                let topic = model.topic(TopicSpec::new("t"));
                let deliver = model.edge(EdgeSpec::new("t -> a", a));
                model.subscription(SubscriptionSpec::new("s", topic, deliver));
                model.does(a).push(Do::Publish(topic));
            },
            "these lead back to themselves and have no end: a.get -> a.get",
        );
    }

    #[test]
    fn what_is_zero_or_no_number_is_refused() {
        check(|model, _, _| model.services[0].replicas = 0, "service a: `replicas` must not be zero");
        check(|model, _, _| model.services[0].concurrency = 0, "service a: `concurrency` must not be zero");
        check(
            |model, _, _| model.entries[0].arrivals = Arrivals::Poisson { rate: 0.0 },
            "entry in: a rate must be above zero and at most 100000000/s, not 0/s",
        );
        check(
            |model, a, _| model.does(a).push(Do::Choice(vec![(0.0, vec![]), (-0.0, vec![])])),
            "a choice: shares must be numbers from 0, and more than nothing in sum",
        );
        check(
            |model, _, edge| model.edges[edge.index()].loss = 1.0,
            "edge in: shares must be numbers from 0, and more than nothing in sum",
        );
        check(|model, _, _| model.entries.clear(), "nobody comes: the model has no way in");
    }

    #[test]
    fn an_edge_has_one_caller() {
        check(
            |model, _, edge| {
                let service = model.service(ServiceSpec::new("b"));
                model.serve(service, "get", vec![Do::Call(edge)]);
            },
            "edge in is used by two callers; give each its own",
        );
    }

    #[test]
    fn a_program_deeper_than_a_stack_is_refused() {
        check(
            |model, a, _| {
                let mut does = vec![];
                for _ in 0..=Builder::DEPTH_MAX {
                    does = vec![Do::Parallel(vec![does])];
                }
                *model.does(a) = does;
            },
            "a program is too large: at most 1000000 steps in all, 64 deep",
        );
    }

    #[test]
    fn a_chain_longer_than_a_stack_is_no_cycle() {
        let graph: Vec<Vec<usize>> = (1..200_000).map(|next| vec![next]).chain([vec![]]).collect();
        assert_eq!(cycle(&graph), None);
    }
}
