//! What is simulated, as plain arrays.
//!
//! A [`Model`] is made by hand ([`Model::builder`]) or from a resolved design ([`Model::of`]), checked once,
//! and cannot be wrong afterwards: no cycle of calls, no rate of zero, no program without an end.
//!
//! - [`spec`]: what its parts are
//! - [`builder`]: putting them together, and everything that is refused
//! - [`design`]: the model of a resolved design

pub mod builder;
pub mod design;
pub mod spec;

pub use builder::{Builder, ModelError};
pub use design::DesignError;
pub use spec::{
    Do, EdgeKeys, EdgeSpec, EntrySpec, EntryTo, IntakeSpec, MachineSpec, OperationSpec, Order, Overflow,
    ServiceSpec, Start, SubscriptionSpec, TopicSpec,
};

use std::sync::Arc;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        $($(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// Its index in the lists that a model or a run has of its kind.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        })+
    };
}

ids! {
    /// A service of the model.
    ServiceId,
    /// An operation of the model.
    OperationId,
    /// A call edge of the model.
    EdgeId,
    /// A topic of the model.
    TopicId,
    /// A subscription of the model.
    SubscriptionId,
    /// An intake of the model.
    IntakeId,
    /// A machine that services share.
    MachineId,
    /// A way in.
    EntryId,
}

/// What is simulated. Checked; see [`Builder::build`].
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) services: Vec<ServiceSpec>,
    pub(crate) machines: Vec<MachineSpec>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) topics: Vec<Topic>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) intakes: Vec<IntakeSpec>,
    pub(crate) entries: Vec<EntrySpec>,
    /// The programs of all operations, one after the other.
    pub(crate) code: Vec<Code>,
    pub(crate) assumptions: Vec<Arc<str>>,
}

/// An operation, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) name: Arc<str>,
    pub(crate) service: ServiceId,
    pub(crate) idempotent: bool,
    pub(crate) pending: bool,
    /// Where its program begins in [`Model::code`].
    pub(crate) begins: u32,
    /// What its draws are derived from.
    pub(crate) stream: u64,
}

/// An edge, with who uses it.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) spec: EdgeSpec,
    /// The service that calls; `None`: clients or Bowline itself.
    pub(crate) caller: Option<ServiceId>,
    /// How many callers have policies of their own.
    pub(crate) callers: u32,
    pub(crate) stream: u64,
}

/// A topic, with who reads it.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) spec: TopicSpec,
    pub(crate) subscriptions: Vec<SubscriptionId>,
    pub(crate) stream: u64,
}

/// A subscription, and whether its effects can happen twice.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) spec: SubscriptionSpec,
    pub(crate) stream: u64,
}

/// One instruction of a compiled program.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Code {
    /// Work this long.
    Work(crate::Dist),
    /// Call and wait. `site` tells apart the calls that lead to one operation.
    Call { edge: EdgeId, site: u32 },
    /// Publish and wait for the broker.
    Publish(TopicId),
    /// Start a branch at each of these, wait for all, go on at `join`.
    Fork { branches: Arc<[u32]>, join: u32 },
    /// Go on at one of these, by their cumulated shares.
    Choose(Arc<[(f64, u32)]>),
    /// Go on there.
    Goto(u32),
    /// The branch or the operation is over.
    End,
}

impl Model {
    /// Puts a model together by hand.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// What the model takes for granted because nobody said: one sentence each, for the report.
    #[must_use]
    pub fn assumptions(&self) -> &[Arc<str>] {
        &self.assumptions
    }

    /// Its services' names, by [`ServiceId`].
    pub fn service_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.services.iter().map(|service| &*service.name)
    }

    /// Its operations' names (`service.operation`), by [`OperationId`].
    pub fn operation_names(&self) -> impl ExactSizeIterator<Item = String> + '_ {
        self.operations
            .iter()
            .map(|operation| format!("{}.{}", self.services[operation.service.index()].name, operation.name))
    }

    /// Its edges' names (`caller -> service.operation`), by [`EdgeId`].
    pub fn edge_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.edges.iter().map(|edge| &*edge.spec.name)
    }

    /// What its edges were made from, by [`EdgeId`].
    pub fn edges(&self) -> impl ExactSizeIterator<Item = &EdgeSpec> {
        self.edges.iter().map(|edge| &edge.spec)
    }

    /// Its topics' names, by [`TopicId`].
    pub fn topic_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.topics.iter().map(|topic| &*topic.spec.name)
    }

    /// Its subscriptions' names, by [`SubscriptionId`].
    pub fn subscription_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.subscriptions.iter().map(|subscription| &*subscription.spec.name)
    }

    /// The service of that name.
    #[must_use]
    pub fn service_named(&self, name: &str) -> Option<ServiceId> {
        self.service_names().position(|each| each == name).map(|index| ServiceId(index as u32))
    }

    /// The edge of that name.
    #[must_use]
    pub fn edge_named(&self, name: &str) -> Option<EdgeId> {
        self.edge_names().position(|each| each == name).map(|index| EdgeId(index as u32))
    }

    /// The topic of that name.
    #[must_use]
    pub fn topic_named(&self, name: &str) -> Option<TopicId> {
        self.topic_names().position(|each| each == name).map(|index| TopicId(index as u32))
    }

    /// The subscription of that name.
    #[must_use]
    pub fn subscription_named(&self, name: &str) -> Option<SubscriptionId> {
        self.subscription_names().position(|each| each == name).map(|index| SubscriptionId(index as u32))
    }

    /// Its ways in, by [`EntryId`].
    #[must_use]
    pub fn entries(&self) -> &[EntrySpec] {
        &self.entries
    }

    /// The same model under another load: each way in gets `arrivals`.
    ///
    /// # Errors
    /// Requests cannot come that way.
    pub fn under(&self, arrivals: &crate::Arrivals) -> Result<Self, ModelError> {
        let mut model = self.clone();
        for entry in &mut model.entries {
            arrivals.check().map_err(|error| ModelError::Arrivals(entry.name.clone(), error))?;
            entry.arrivals = arrivals.clone();
        }
        Ok(model)
    }
}
