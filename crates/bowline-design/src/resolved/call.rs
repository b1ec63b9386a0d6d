//! The effective policy of one call: everything that decides about its tries, and who said so.

use super::service::Idempotency;
use super::{Source, Sourced};
use bowline_fault::{Fault, Plan};
use bowline_model::Priority;
use bowline_model::decision::DeadlineSource;
use bowline_policy::{
    AdmissionSettings, Backoff, BalanceSettings, BreakerSettings, BudgetSettings, BulkheadSettings,
    CallPolicy, DoomedSettings, HedgeSettings, OutlierSettings, RateSettings, RetryRule, RetrySettings,
    RetryThrottleSettings,
};
use std::sync::Arc;
use std::time::Duration;

/// What governs a call to one operation of one destination.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedCall {
    /// The operation, as an index of the service's; `None`: a request that is no declared operation.
    pub operation: Option<usize>,
    /// Its policy.
    pub settings: Arc<CallSettings>,
}

/// The effective policy of one call, each value with where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct CallSettings {
    /// Whose state its breaker, budget, bulkhead and limiter are.
    pub keys: EdgeKeys,
    /// All who set a deadline. The smallest holds.
    pub deadlines: Vec<(DeadlineSource, Sourced<Duration>)>,
    /// What the edge stamps when neither the caller nor anybody in `deadlines` sets one.
    pub edge_deadline: Option<Sourced<Duration>>,
    /// Tries, per-try time and back-off.
    pub retry: TryPlan,
    /// When another try is sent beside one that is late.
    pub hedge: Option<Sourced<HedgeSettings>>,
    /// The retry budget.
    pub budget: Option<Sourced<BudgetSettings>>,
    /// When nothing is tried again because too much fails.
    pub retry_throttle: Option<Sourced<RetryThrottleSettings>>,
    /// The breaker.
    pub breaker: Option<Sourced<BreakerSettings>>,
    /// The bulkhead.
    pub bulkhead: Option<Sourced<BulkheadSettings>>,
    /// The rate limit.
    pub rate: Option<Sourced<RateSettings>>,
    /// When calls are rejected because the callee accepts too few.
    pub admission: Option<Sourced<AdmissionSettings>>,
    /// What its calls matter, where they do not say so themselves.
    pub priority: Option<Sourced<Priority>>,
    /// When calls are shed that have too little time left.
    pub doomed: Option<Sourced<DoomedSettings>>,
    /// Faults inside the try.
    pub faults: Vec<Sourced<Fault>>,
    /// Whether the call may be repeated after an unknown outcome.
    pub idempotent: Sourced<Idempotency>,
    /// Whether a 202 means accepted and not finished.
    pub pending: bool,
    /// Which endpoint a try goes to.
    pub balance: Sourced<Balancing>,
    /// When an endpoint is left out for a while.
    pub outlier: Option<Sourced<OutlierSettings>>,
}

impl CallSettings {
    /// One try and nothing else.
    pub(crate) fn bare() -> Self {
        let why = "nobody has spoken yet";
        Self {
            keys: EdgeKeys::default(),
            deadlines: Vec::new(),
            edge_deadline: None,
            retry: TryPlan::once(Source::Default(why)),
            hedge: None,
            budget: None,
            retry_throttle: None,
            breaker: None,
            bulkhead: None,
            rate: None,
            admission: None,
            priority: None,
            doomed: None,
            faults: Vec::new(),
            idempotent: Sourced::default(Idempotency::ByMethod, why),
            pending: false,
            balance: Sourced::default(Balancing::default(), why),
            outlier: None,
        }
    }

    /// The deadline that holds when the caller brings none, and whose word it is. The edge's stamp is
    /// used only where nobody else speaks.
    #[must_use]
    pub fn deadline(&self) -> Option<(DeadlineSource, &Sourced<Duration>)> {
        let smallest = self.deadlines.iter().min_by_key(|(_, span)| span.value).map(|(by, span)| (*by, span));
        smallest.or_else(|| self.edge_deadline.as_ref().map(|span| (DeadlineSource::Edge, span)))
    }

    /// What the policy machine runs on.
    #[must_use]
    pub fn call_policy(&self) -> CallPolicy {
        CallPolicy {
            retry: self.retry.settings(),
            hedge: self.hedge.as_ref().map(|hedge| hedge.value),
            budget: self.budget.as_ref().map(|budget| budget.value),
            retry_throttle: self.retry_throttle.as_ref().map(|throttle| throttle.value),
            breaker: self.breaker.as_ref().map(|breaker| breaker.value),
            bulkhead: self.bulkhead.as_ref().map(|bulkhead| bulkhead.value),
            rate: self.rate.as_ref().map(|rate| rate.value),
            admission: self.admission.as_ref().map(|admission| admission.value),
            priority: self.priority.as_ref().map_or(Priority::Normal, |priority| priority.value),
            doomed: self.doomed.as_ref().map(|doomed| doomed.value),
            faults: Plan::new(self.faults.iter().map(|fault| fault.value).collect()),
            balance: self.balance.value.settings,
            outlier: self.outlier.as_ref().map(|outlier| outlier.value),
            ..CallPolicy::default()
        }
    }
}

/// Tries, per-try time and back-off, each with its own origin.
#[derive(Clone, Debug, PartialEq)]
pub struct TryPlan {
    /// All tries, the first included.
    pub tries: Sourced<u32>,
    /// The most that one try may take; `None`: what is left of the deadline.
    pub per_try: Option<Sourced<Duration>>,
    /// The pause before each further try.
    pub backoff: Sourced<Backoff>,
    /// What deserves another try.
    pub rule: Sourced<RetryRule>,
}

impl TryPlan {
    /// One try and no more.
    #[must_use]
    pub fn once(why: Source) -> Self {
        let none = RetrySettings::none();
        Self {
            tries: Sourced { value: none.tries, from: why.clone() },
            per_try: None,
            backoff: Sourced { value: none.backoff, from: why.clone() },
            rule: Sourced { value: none.rule, from: why },
        }
    }

    /// The bare values.
    #[must_use]
    pub fn settings(&self) -> RetrySettings {
        RetrySettings {
            tries: self.tries.value,
            per_try: self.per_try.as_ref().map(|per_try| per_try.value),
            backoff: self.backoff.value,
            rule: self.rule.value.clone(),
        }
    }
}

/// Whose state each part of a call's policy is: (the policy that asks for it, destination service,
/// subset), as text. Two calls with the same key share the state; a reload keeps it where the key
/// stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EdgeKeys {
    /// The breaker's.
    pub breaker: Arc<str>,
    /// The retry budget's.
    pub budget: Arc<str>,
    /// The retry throttle's: of the whole service, whatever the subset.
    pub retry_throttle: Arc<str>,
    /// The bulkhead's.
    pub bulkhead: Arc<str>,
    /// The rate limit's.
    pub rate: Arc<str>,
    /// The admission throttle's.
    pub admission: Arc<str>,
    /// What is known of how long calls take: the operation's own.
    pub hedge: Arc<str>,
    /// The balancer's. It is the destination's alone: what is known of a host does not depend on whose policy
    /// asks.
    pub balance: Arc<str>,
}

/// Which endpoint a try goes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Balancing {
    /// In which way.
    pub settings: BalanceSettings,
    /// What of the request is hashed, where that way goes by a hash.
    pub hash: Option<HashBy>,
}

/// What of a request is hashed. One that has none of it is sent anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HashBy {
    /// A header, by its name.
    Header(Arc<str>),
    /// A cookie, by its name.
    Cookie(Arc<str>),
    /// A query parameter, by its name.
    Query(Arc<str>),
    /// The caller's address.
    SourceIp,
}
