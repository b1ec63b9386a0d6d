//! What all calls of one policy to one destination have in common.

use crate::balance::Balancer;
use crate::counters::Counters;
use crate::hedge::SharedHedge;
use crate::quantile::LiveQuantile;
use crate::settings::CallPolicy;
use crate::shared::{
    SharedAdmission, SharedBreaker, SharedBudget, SharedBulkhead, SharedRate, SharedRetryThrottle,
};
use std::sync::Arc;

/// What all calls of one policy to one destination and subset have in common.
#[derive(Debug)]
pub struct Edge {
    policy: CallPolicy,
    parts: Parts,
}

/// What an edge remembers: kept over a reload, and shared by edges whose key is the same.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The breaker's state.
    pub breaker: Option<Arc<SharedBreaker>>,
    /// What is left of the budget.
    pub budget: Option<Arc<SharedBudget>>,
    /// What is left of the retry throttle's tokens.
    pub retry_throttle: Option<Arc<SharedRetryThrottle>>,
    /// Who is under way.
    pub bulkhead: Option<Arc<SharedBulkhead>>,
    /// What is left of the rate.
    pub rate: Option<Arc<SharedRate>>,
    /// How much of what is asked is accepted.
    pub admission: Option<Arc<SharedAdmission>>,
    /// How long tries take, as of late.
    pub median: Option<Arc<LiveQuantile>>,
    /// What is late.
    pub hedge: Option<Arc<SharedHedge>>,
    /// The hosts. Whoever knows them makes it, from the policy's settings and from the one before.
    pub balancer: Option<Arc<Balancer>>,
    /// What has happened so far.
    pub counters: Arc<Counters>,
}

impl Edge {
    /// An edge that nobody has used yet.
    #[must_use]
    pub fn new(policy: CallPolicy) -> Arc<Self> {
        Self::with(policy, Parts::default())
    }

    /// An edge that goes on from `parts`. A part whose settings are not the policy's begins anew.
    #[must_use]
    pub fn with(policy: CallPolicy, parts: Parts) -> Arc<Self> {
        let parts = Parts {
            breaker: policy.breaker.map(|settings| match parts.breaker {
                Some(kept) if *kept.settings() == settings => kept,
                _ => Arc::new(SharedBreaker::new(settings)),
            }),
            budget: policy.budget.map(|settings| match parts.budget {
                Some(kept) if *kept.settings() == settings => kept,
                _ => Arc::new(SharedBudget::new(settings)),
            }),
            retry_throttle: policy.retry_throttle.map(|settings| match parts.retry_throttle {
                Some(kept) if *kept.settings() == settings => kept,
                _ => Arc::new(SharedRetryThrottle::new(settings)),
            }),
            bulkhead: policy.bulkhead.map(|settings| match parts.bulkhead {
                Some(kept) if *kept.settings() == settings => kept,
                _ => Arc::new(SharedBulkhead::new(settings)),
            }),
            rate: policy.rate.map(|settings| match parts.rate {
                Some(kept) if *kept.settings() == settings => kept,
                _ => Arc::new(SharedRate::new(settings)),
            }),
            admission: policy.admission.map(|settings| match parts.admission {
                Some(kept) if *kept.settings() == settings => kept,
                _ => Arc::new(SharedAdmission::new(settings)),
            }),
            median: policy.doomed.map(|settings| match parts.median {
                Some(kept) if *kept.settings() == settings.quantile() => kept,
                _ => Arc::new(LiveQuantile::new(settings.quantile())),
            }),
            hedge: policy.hedge.map(|settings| match parts.hedge {
                Some(kept) if *kept.settings() == settings => kept,
                _ => Arc::new(SharedHedge::new(settings)),
            }),
            balancer: parts.balancer,
            counters: parts.counters,
        };
        Arc::new(Self { policy, parts })
    }

    /// What governs its calls.
    #[must_use]
    pub const fn policy(&self) -> &CallPolicy {
        &self.policy
    }

    /// What it remembers, to be handed to [`Edge::with`].
    #[must_use]
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Its breaker, if it has one.
    #[must_use]
    pub fn breaker(&self) -> Option<&SharedBreaker> {
        self.parts.breaker.as_deref()
    }

    /// Its retry budget, if it has one.
    #[must_use]
    pub fn budget(&self) -> Option<&SharedBudget> {
        self.parts.budget.as_deref()
    }

    /// Its retry throttle, if it has one.
    #[must_use]
    #[inline]
    pub fn retry_throttle(&self) -> Option<&SharedRetryThrottle> {
        self.parts.retry_throttle.as_deref()
    }

    /// Its bulkhead, if it has one.
    #[must_use]
    pub fn bulkhead(&self) -> Option<&SharedBulkhead> {
        self.parts.bulkhead.as_deref()
    }

    /// Its rate limit, if it has one.
    #[must_use]
    pub fn rate(&self) -> Option<&SharedRate> {
        self.parts.rate.as_deref()
    }

    /// Its admission throttle, if it has one.
    #[must_use]
    pub fn admission(&self) -> Option<&SharedAdmission> {
        self.parts.admission.as_deref()
    }

    /// How long half of its tries take, if that is measured.
    #[must_use]
    pub fn median(&self) -> Option<&LiveQuantile> {
        self.parts.median.as_deref()
    }

    /// What it knows of hedging, if it hedges.
    #[must_use]
    #[inline]
    pub fn hedge(&self) -> Option<&SharedHedge> {
        self.parts.hedge.as_deref()
    }

    /// Its hosts, where more is known of them than their number.
    #[must_use]
    pub fn balancer(&self) -> Option<&Balancer> {
        self.parts.balancer.as_deref()
    }

    /// What its calls have done so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.parts.counters
    }
}
